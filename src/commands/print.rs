//! Output of commands: the one way to standard output, and the exit code when it cannot be written.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::exit::Exit;
use crate::effects::errno::cause;
use crate::terminal::{self, progress::aside};

/// Output was lost. Sticky: half of an output is none.
static LOST: AtomicBool = AtomicBool::new(false);

/// With `--json`, all errors so far: they are printed as JSON if nothing else is.
static ERRORS: Mutex<Option<String>> = Mutex::new(None);

fn errors() -> MutexGuard<'static, Option<String>> {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on standard output is one JSON document, whatever happens.
pub fn for_a_machine() {
    errors().get_or_insert_default();
}

/// Whether messages on standard error may have colours: with `--json` they have none.
pub fn has_colours() -> bool {
    terminal::has_colours(&io::stderr()) && errors().is_none()
}

/// Prints to standard output; `false` if it cannot be written. The failure is
/// reported once, and [`outcome`] turns it into an exit code.
pub fn print(text: &str) -> bool {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // The document is written.
    *errors() = None;
    printed(write(&[text, end].concat()))
}

/// Bypasses the library's buffer, which drops errors at the end of the process.
fn write(text: &str) -> io::Result<()> {
    let out = io::stdout().lock();
    let mut file = File::from(out.as_fd().try_clone_to_owned()?);
    aside(|| file.write_all(text.as_bytes()))
}

/// Records the result of a write to standard output; `true` if it succeeded. A closed pipe is no
/// failure: its reader has read enough.
pub fn printed(result: io::Result<()>) -> bool {
    let Err(error) = result else { return true };
    if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        print_error(&format!("cannot write to standard output, so the output is lost: {}", cause(&error)));
    }
    false
}

/// The exit code of a command: lost output is a failure.
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

/// Prints an error, and returns how the command ends.
pub fn fail(exit: Exit, text: &str) -> Exit {
    print_error(text);
    exit
}

/// Prints an error.
pub fn print_error(text: &str) {
    tell_machine(text);
    let _ = aside(|| writeln!(io::stderr(), "{text}"));
}

/// Keeps an error for the JSON document, with `--json`.
pub fn tell_machine(text: &str) {
    if let Some(errors) = errors().as_mut() {
        if !errors.is_empty() {
            errors.push('\n');
        }
        errors.push_str(text);
    }
}
