//! What a command says: the one way to standard output, and the exit code when that could not be written.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::exit::Exit;
use crate::effects::errno::cause;

/// Something that was to be read has not been written. Sticky: half of an output is none.
static LOST: AtomicBool = AtomicBool::new(false);

/// What a machine that asked with `--json` is told if nothing else is: all that went wrong so far.
static ERRORS: Mutex<Option<String>> = Mutex::new(None);

fn errors() -> MutexGuard<'static, Option<String>> {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on standard output is for a machine, which is told in one document whatever happens.
pub fn for_a_machine() {
    errors().get_or_insert_default();
}

/// Whether messages on standard error may have colours: those that a machine is told as well have none.
pub fn has_colours() -> bool {
    io::stderr().is_terminal() && errors().is_none()
}

/// Prints something for people or machines; whether someone can still read it. That it could not be
/// written is said once, and [`outcome`] knows of it.
pub fn print(text: &str) -> bool {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // The document is written.
    *errors() = None;
    printed(write(&[text, end].concat()))
}

/// Past the library's buffer, which keeps its errors to itself at the end of the process.
fn write(text: &str) -> io::Result<()> {
    let out = io::stdout().lock();
    File::from(out.as_fd().try_clone_to_owned()?).write_all(text.as_bytes())
}

/// Takes note of how a writing to standard output ended; whether it did well. Who closed a pipe has
/// read enough.
pub fn printed(result: io::Result<()>) -> bool {
    let Err(error) = result else { return true };
    if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        print_error(&format!("cannot write to standard output, so the output is lost: {}", cause(&error)));
    }
    false
}

/// The exit code of a command that ended so: what could not be said is a failure, and no success.
pub fn outcome(result: Result<(), Exit>) -> u8 {
    let untold = errors().take();
    if let Some(text) = untold.filter(|_| result.is_err()) {
        print(&serde_json::json!({ "ok": false, "text": text }).to_string());
    }
    match result {
        Err(exit) => exit.code(),
        Ok(()) if LOST.load(Ordering::Relaxed) => Exit::Failed.code(),
        Ok(()) => 0,
    }
}

/// Prints what went wrong, and gives back how the command ends for it.
pub fn fail(exit: Exit, text: &str) -> Exit {
    print_error(text);
    exit
}

/// Prints what went wrong.
pub fn print_error(text: &str) {
    tell_machine(text);
    let _ = writeln!(io::stderr(), "{text}");
}

/// Keeps what went wrong for the machine that asked, if one did.
pub fn tell_machine(text: &str) {
    if let Some(errors) = errors().as_mut() {
        if !errors.is_empty() {
            errors.push('\n');
        }
        errors.push_str(text);
    }
}
