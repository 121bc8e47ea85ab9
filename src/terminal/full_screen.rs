//! A screen of its own: what is drawn on it leaves nothing behind, whatever ends the program.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// The alternate screen, without cursor, and long lines cut.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// What is between these two is shown at once, by terminals that know them.
const BEGIN: &str = "\u{1b}[?2026h\u{1b}[H";
const END: &str = "\u{1b}[J\u{1b}[?2026l";
/// Clears what an earlier picture had to the right.
const END_OF_LINE: &str = "\u{1b}[K\r\n";

/// Standard output as a screen of its own, until it is dropped.
#[derive(Debug)]
pub struct FullScreen {
    /// Held while something is written: no signal may come in between.
    pen: Arc<Mutex<()>>,
    /// The picture is no longer right: the size is another one, or the program was stopped and goes on.
    stale: Receiver<()>,
}

impl FullScreen {
    pub fn enter() -> io::Result<FullScreen> {
        let pen = Arc::new(Mutex::new(()));
        let (sender, stale) = channel();
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH])?;
        let shared = pen.clone();
        std::thread::Builder::new().name("screen".into()).spawn(move || answer(signals, &shared, &sender))?;
        let screen = FullScreen { pen, stale };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Draws lines from the top; what was there is gone. `rows` are shown at most.
    pub fn draw(&self, text: &str, rows: usize) -> io::Result<()> {
        let lines: Vec<&str> = text.lines().take(rows).collect();
        self.write(&[BEGIN, &lines.join(END_OF_LINE), END].concat())
    }

    /// Waits until it is time for the next picture.
    pub fn wait(&self, time: Duration) {
        // The sender is there as long as the thread.
        let _ = self.stale.recv_timeout(time);
        while self.stale.try_recv().is_ok() {}
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let _pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        write(text)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        let _ = self.write(LEAVE);
    }
}

/// On a thread of its own, so that Ctrl-C works whatever the picture waits for.
fn answer(mut signals: Signals, pen: &Mutex<()>, stale: &Sender<()>) {
    for signal in signals.forever() {
        if signal != SIGWINCH {
            let _pen = pen.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = write(LEAVE);
            // Of all but a stop, the program dies here.
            let _ = emulate_default_handler(signal);
            let _ = write(ENTER);
        }
        if stale.send(()).is_err() {
            return;
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
