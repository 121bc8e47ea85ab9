//! `status --watch`: the same picture again and again, on a screen of its own; elsewhere one block below the other.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::exit::Exit;
use super::load::load_some;
use super::print::{fail, print, printed};
use super::status::{Failure, in_words, look, screen};
use crate::effects::errno::cause;
use crate::status::{Screen, Status};
use crate::terminal::{self, full_screen::FullScreen};

/// How often the picture is drawn anew.
const AGAIN: Duration = Duration::from_secs(2);

pub fn watch(path: &Path, name: Option<&str>) -> Result<(), Exit> {
    let (config, invalid) = load_some(path)?;
    let wrong = invalid.as_ref().map(|invalid| format!("the configuration is invalid: {}", invalid.first));
    let look = || {
        let (status, exit) = look(&config, invalid.as_ref(), name)?;
        let at = status.at.clone();
        Ok(Look { status, at, exit })
    };
    let draw = |status: &Status, screen: &Screen| {
        // Elsewhere than on a screen it stands above already.
        let wrong = wrong.as_ref().filter(|_| screen.rows.is_some());
        let head = wrong.map(|wrong| screen.cut(wrong) + "\n").unwrap_or_default();
        let rows = screen.rows.map(|rows| rows.saturating_sub(head.lines().count()));
        head + &in_words(status, name, &Screen { rows, ..*screen })
    };
    again_and_again(look, draw)
}

/// What is there at a moment.
pub(super) struct Look<T> {
    pub(super) status: T,
    /// RFC 3339.
    pub(super) at: String,
    /// How the command ends if nothing follows.
    pub(super) exit: Result<(), Exit>,
}

/// Draws one look after the other, until nobody reads them.
pub(super) fn again_and_again<T>(
    look: impl Fn() -> Result<Look<T>, Failure>,
    draw: impl Fn(&T, &Screen) -> String,
) -> Result<(), Exit> {
    let watched =
        if terminal::size(&io::stdout()).is_some() { on_screen(look, draw) } else { in_blocks(look, draw) };
    // Only now is the screen the one on which a message stays.
    watched.unwrap_or_else(|(exit, why)| Err(fail(exit, &why)))
}

fn on_screen<T>(
    look: impl Fn() -> Result<Look<T>, Failure>,
    draw: impl Fn(&T, &Screen) -> String,
) -> Result<Result<(), Exit>, Failure> {
    let cannot = |error: io::Error| (Exit::Failed, format!("cannot draw on the terminal: {}", cause(&error)));
    let canvas = FullScreen::enter().map_err(cannot)?;
    loop {
        let Look { status, at, exit } = look()?;
        let screen = screen();
        let rows = screen.rows.unwrap_or(usize::MAX);
        let body = draw(&status, &screen);
        let foot = screen.cut(&format!("{at}, every {} s; Ctrl-C ends", AGAIN.as_secs()));
        if !printed(canvas.draw(&picture(&body, &foot, rows), rows)) {
            return Ok(exit);
        }
        canvas.wait(AGAIN);
    }
}

/// The foot is always there; of what is above it, as much as there is room for.
fn picture(body: &str, foot: &str, rows: usize) -> String {
    let lines: Vec<&str> = body.lines().collect();
    let room = rows.saturating_sub(1);
    let (shown, rest) = match lines.len() {
        all if all <= room => (all, ""),
        _ if room == 0 => (0, ""),
        _ => (room - 1, "…\n"),
    };
    let shown: String = lines[..shown].iter().map(|line| format!("{line}\n")).collect();
    format!("{shown}{rest}{foot}")
}

fn in_blocks<T>(
    look: impl Fn() -> Result<Look<T>, Failure>,
    draw: impl Fn(&T, &Screen) -> String,
) -> Result<Result<(), Exit>, Failure> {
    loop {
        let Look { status, at, exit } = look()?;
        let block = draw(&status, &screen());
        if !print(&format!("{block}{at} (every {} s)\n\n", AGAIN.as_secs())) {
            return Ok(exit);
        }
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::picture;

    #[test]
    fn the_foot_is_the_last_line_of_the_screen_at_most() {
        assert_eq!(picture("a\nb\n", "foot", 3), "a\nb\nfoot");
        assert_eq!(picture("a\nb\nc\n", "foot", 3), "a\n…\nfoot");
        assert_eq!(picture("a\n", "foot", 1), "foot");
    }
}
