//! Logging, the service manager, and how a process that holds a password protects itself.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::os::fd::AsFd;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use sd_notify::NotifyState;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::terminal::{self, progress::Aside};
use certcollectd_core::config::{Log, LogFormat, count};
use certcollectd_core::engine::note::{Level, Note};
use certcollectd_core::engine::tally::Summary;

/// Dependencies that could, at their most verbose, log what is sent. They never get beyond `info`,
/// whatever the configuration or `RUST_LOG` asks for.
const QUIET: &str = "trace,hyper=info,hyper_util=info,hyper_rustls=info,reqwest=info,rustls=info,\
    rustls_platform_verifier=info,tokio=info,mio=info,h2=info,want=info,tower=info";

/// Begins to log to standard error.
pub fn start_logging(log: &Log) {
    let wanted = std::env::var("RUST_LOG")
        .ok()
        .filter(|filter| !filter.is_empty())
        .unwrap_or_else(|| log.level.clone());
    let filter = targets(&wanted).unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let quiet = targets(QUIET).expect("targets and levels");
    let base = || fmt::layer().with_writer(|| Aside).with_target(false);
    // In text the message says it all; the fields repeat it for machines.
    let text = || base().with_ansi(terminal::has_colours(&std::io::stderr()));
    let sentence = || {
        fmt::format::debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            _ => Ok(()),
        })
    };
    let journal = if log.format == LogFormat::Auto && is_journal() { journal() } else { None };
    let layer: Box<dyn Layer<_> + Send + Sync> = match log.format {
        LogFormat::Json => Box::new(base().json().with_target(true).flatten_event(true)),
        LogFormat::Auto if journal.is_some() => Box::new(journal),
        // The journal adds its own time.
        LogFormat::Auto if is_journal() => Box::new(text().without_time().fmt_fields(sentence())),
        LogFormat::Auto | LogFormat::Text => Box::new(text().fmt_fields(sentence())),
    };
    // A second start in one process (a test) keeps the first one's logging.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter).with_filter(quiet)).try_init();
}

/// A level, or levels by target, as RUST_LOG is commonly written: `info,certcollectd=trace`.
fn targets(text: &str) -> Option<Targets> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(",").parse().ok()
}

/// The journal's native protocol: each entry has its priority, and the fields ORDER, ACCOUNT and KIND where they
/// apply. Nothing if it cannot be reached.
fn journal() -> Option<tracing_journald::Layer> {
    let layer = tracing_journald::layer().ok()?;
    let priorities =
        PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
    let layer = layer.with_field_prefix(None).with_syslog_identifier("certcollectd".into());
    Some(layer.with_priority_mappings(priorities))
}

/// Whether standard error goes to the journal: systemd names the stream's device and inode.
pub fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(std::io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Logs a note.
pub fn report(note: &Note) {
    let (order, account, kind) = (note.order.as_deref(), note.account.as_deref(), note.kind.as_str());
    let of = order.map(|order| format!("{order}: ")).unwrap_or_default();
    let text = of + &note.text;
    match note.level {
        Level::Error => tracing::error!(order, account, kind, "{text}"),
        Level::Warn => tracing::warn!(order, account, kind, "{text}"),
        Level::Info => tracing::info!(order, account, kind, "{text}"),
    }
}

/// A panic is a bug that costs one order. It is logged as one line like everything else: its text
/// may quote what came from outside.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        tracing::error!("{}", panic_line(&place, info.payload_as_str().unwrap_or("no reason given")));
        if backtrace.status() == BacktraceStatus::Captured {
            tracing::error!("where it happened:\n{backtrace}");
        }
    }));
}

/// Maximum number of characters of a panic's text shown.
const PANIC_TEXT: usize = 400;

fn panic_line(place: &str, text: &str) -> String {
    let shown: String = text.escape_default().take(PANIC_TEXT).collect();
    format!("internal error at {place}, please report it: {shown}")
}

/// No core file, and no access to our memory for other processes of the same user.
pub fn protect_memory() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!("cannot disable core dumps: {error}");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!("cannot protect the memory of the process: {error}");
    }
}

/// Tells the service manager that we are up.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells the service manager that a reload begins. The time stamp is sent always, so that a drop-in can set
/// Type=notify-reload.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(stamp) => notify(&[NotifyState::Reloading, stamp]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Tells the service manager that we are stopping.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Feeds the watchdog.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often the watchdog wants a sign, with room to spare; nothing where there is none.
pub fn watchdog() -> Option<std::time::Duration> {
    sd_notify::watchdog_enabled().map(|interval| interval / 3)
}

/// How a collector stands that does not lead, in our own words and names.
pub fn standby(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

/// How things stand, for `systemctl status`: our own words and numbers only. Untrusted text in a status could
/// hold a line break, and what follows one is a command to the service manager.
pub fn status(summary: &Summary, findings: usize) {
    notify(&[NotifyState::Status(&status_text(summary, findings))]);
}

fn status_text(summary: &Summary, findings: usize) -> String {
    let Summary { orders, waiting, in_order, attention, owed_hooks, closed, unreadable, hopeful: _ } =
        *summary;
    let mut text = format!(
        "{}: {in_order} in order, {waiting} waiting, {attention} needing attention",
        count(orders, "order")
    );
    if owed_hooks > 0 {
        text.push_str(&format!("; {} owed", count(owed_hooks, "hook")));
    }
    if closed > 0 {
        text.push_str(&format!("; {} closed", count(closed, "account")));
    }
    if unreadable > 0 {
        text.push_str(&format!("; {} cannot be read", count(unreadable, "password")));
    }
    if findings > 0 {
        let (things, does) = (count(findings, "thing"), if findings == 1 { "does" } else { "do" });
        text.push_str(&format!(
            "; {things} {does} not work on this machine, `certcollectd health` says which"
        ));
    }
    text
}

fn notify(state: &[NotifyState<'_>]) {
    // Without a service manager this does nothing.
    let _ = sd_notify::notify(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_of_our_own_words() {
        let summary = Summary {
            orders: 5,
            waiting: 1,
            in_order: 3,
            attention: 1,
            owed_hooks: 2,
            closed: 1,
            ..Summary::default()
        };
        assert_eq!(
            status_text(&summary, 0),
            "5 orders: 3 in order, 1 waiting, 1 needing attention; 2 hooks owed; 1 account closed"
        );
        assert_eq!(
            status_text(&Summary::default(), 1),
            "0 orders: 0 in order, 0 waiting, 0 needing attention; 1 thing does not work on this machine, \
             `certcollectd health` says which"
        );
    }

    #[test]
    fn levels_are_read_as_they_are_commonly_written() {
        use tracing::Level;
        let enabled = |text: &str, target: &str, level| targets(text).unwrap().would_enable(target, &level);
        assert!(enabled("debug", "certcollectd::daemon", Level::DEBUG));
        assert!(!enabled("debug", "certcollectd::daemon", Level::TRACE));
        assert!(enabled(" warn, certcollectd=trace,", "certcollectd::daemon", Level::TRACE));
        assert!(!enabled(" warn, certcollectd=trace,", "hickory_net", Level::INFO));
        assert!(!enabled("off", "certcollectd", Level::ERROR));
        assert!(targets("certcollectd=loud").is_none());
        assert!(enabled(QUIET, "hyper::proto", Level::INFO) && !enabled(QUIET, "hyper::proto", Level::DEBUG));
        assert!(enabled(QUIET, "certcollectd::daemon", Level::TRACE));
    }

    #[test]
    fn a_panic_is_one_line_of_plain_characters() {
        let line =
            panic_line("src/x.rs:1:2", &format!("byte 3 of `a\n<0>\u{1b}[2J\u{202e}`{}", "x".repeat(5000)));
        assert!(
            line.starts_with(
                "internal error at src/x.rs:1:2, please report it: byte 3 of `a\\n<0>\\u{1b}[2J\\u{202e}`x"
            ),
            "{line}"
        );
        assert!(line.len() < 500 && line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
    }
}
