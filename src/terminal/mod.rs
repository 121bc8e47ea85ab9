//! What a terminal can show: whether in colour, and how much of it.

pub mod full_screen;
pub mod progress;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::termios::tcgetwinsize;

certcollectd_core::words! {
    /// When output has colours.
    pub enum Colours {
        /// On a terminal, unless NO_COLOR is set.
        Auto = "auto",
        Always = "always",
        Never = "never",
    }
}

static CHOSEN: OnceLock<Colours> = OnceLock::new();

/// Columns of a terminal that does not tell.
const COLUMNS: usize = 80;
/// Rows of a terminal that does not tell.
const ROWS: usize = 24;

/// How much fits onto a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// What the operator asked for; the first word counts.
pub fn choose(colours: Colours) {
    let _ = CHOSEN.set(colours);
}

/// Whether what goes there may have colours.
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    match CHOSEN.get().copied().unwrap_or(Colours::Auto) {
        Colours::Always => true,
        Colours::Never => false,
        Colours::Auto => {
            let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !forbidden && stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// The size, if it is a terminal.
pub fn size(stream: &(impl IsTerminal + AsFd)) -> Option<Size> {
    if !stream.is_terminal() {
        return None;
    }
    // A serial line and a fresh pseudo-terminal have no size: both are 0.
    let known = tcgetwinsize(stream).ok();
    let told =
        |cells: Option<u16>, unknown| cells.map(usize::from).filter(|cells| *cells > 0).unwrap_or(unknown);
    Some(Size {
        columns: told(known.map(|size| size.ws_col), COLUMNS),
        rows: told(known.map(|size| size.ws_row), ROWS),
    })
}
