//! What a command says: the one way to standard output, and what becomes of the exit code when nobody could hear it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::exit;

/// Something that was to be read has not been written. Sticky: half of an output is none.
static LOST: AtomicBool = AtomicBool::new(false);

/// Says something to people or machines. That it could not be written is told once, and [`outcome`] knows of it.
pub(super) fn say(text: &str) {
    tell(text);
}

/// As [`say`], for those who would go on; whether somebody can still read it.
pub(super) fn tell(text: &str) -> bool {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    printed(write(&[text, end].concat()))
}

/// Past the library's buffer, which keeps its errors to itself at the end of the process.
fn write(text: &str) -> io::Result<()> {
    let out = io::stdout().lock();
    File::from(out.as_fd().try_clone_to_owned()?).write_all(text.as_bytes())
}

/// Takes note of how a writing to standard output ended; whether it did well. Who closed a pipe has read enough.
pub(super) fn printed(result: io::Result<()>) -> bool {
    let Err(error) = result else { return true };
    if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
        complain(&format!("standard output cannot be written to, so what it was to say is lost: {error}"));
    }
    false
}

/// The exit code of a command that ended with `code`: what could not be said is a failure, and no success.
pub(super) fn outcome(code: u8) -> u8 {
    if code == exit::OK && LOST.load(Ordering::Relaxed) { exit::FAILED } else { code }
}

/// Says what went wrong.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The names that there are, where another one was asked for.
pub(super) fn known<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = names.collect();
    let more = match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    match names.is_empty() {
        true => "there is none at all".into(),
        false => format!("there are: {}{more}", names[..names.len().min(SHOWN)].join(", ")),
    }
}
