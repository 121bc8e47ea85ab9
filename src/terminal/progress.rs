//! What is drawn on standard error while something lasts. Nothing is drawn within the first second, nor where standard
//! error is no terminal: there, a line says how far it is, now and then.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What ends sooner is not worth a bar.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Between two lines where there is no terminal.
const NEXT_LINE: Duration = Duration::from_secs(10);
/// Between two pictures of the bar.
const TICK: Duration = Duration::from_millis(250);

const COUNTED: &str = "{prefix} {bar:20} {pos} of {len}";
const UNCOUNTED: &str = "{prefix} {msg} {spinner}";

/// What is drawn at the moment: what else goes to standard error must go around it.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether something may be drawn on standard error.
pub fn is_drawable() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Does something that writes to the terminal, without tearing what is drawn there.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

fn draw(bar: Option<ProgressBar>) {
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Standard error, around what is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Aside;

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        aside(|| io::stderr().write(bytes))
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        aside(|| io::stderr().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// How far something is, until it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    helper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Of so many.
    pub fn new(what: &'static str, of: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(u64::try_from(of).ok(), ProgressDrawTarget::hidden())
            .with_prefix(what)
            .with_style(style(COUNTED));
        let (done, is_done) = channel();
        let shown = bar.clone();
        let helper = Builder::new().name("progress".into()).spawn(move || {
            let lasts = |time| is_done.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
            if !lasts(PATIENCE) {
                return;
            }
            if is_drawable() {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(TICK);
                return draw(Some(shown));
            }
            while lasts(NEXT_LINE) {
                let (at, of, stage) = (shown.position(), shown.length().unwrap_or(0), shown.message());
                let stage = if stage.is_empty() { format!("{at} of {of}") } else { stage };
                let _ = writeln!(io::stderr(), "{what}: {stage}");
            }
        });
        // Without a thread there is no bar.
        Progress { bar, helper: helper.ok().map(|thread| (done, thread)) }
    }

    /// One more is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }

    /// What is done now cannot be counted.
    pub fn stage(&self, what: &'static str) {
        self.bar.set_style(style(UNCOUNTED));
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.helper.take() {
            drop(done);
            let _ = thread.join();
        }
        draw(None);
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are sound")
        .progress_chars("=> ")
        .tick_chars(r"|/-\ ")
}

/// Some lines that change.
#[derive(Debug)]
pub struct Lines(ProgressBar);

impl Lines {
    pub fn begin() -> Lines {
        let bar =
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style("{msg}"));
        draw(Some(bar.clone()));
        Lines(bar)
    }

    /// No line may be longer than the terminal is wide, or have colours: their codes would count.
    pub fn show(&self, lines: String) {
        self.0.set_message(lines);
        self.0.tick();
    }

    /// Leaves this line behind.
    pub fn end(self, last: String) {
        draw(None);
        self.0.finish_with_message(last);
    }
}
