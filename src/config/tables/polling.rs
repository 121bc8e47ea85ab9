//! `[polling]`, and the four keys of it that an order may set for itself.

use std::time::Duration;

use crate::config::parse::diagnostic::{Diagnostic, Diagnostics, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{
    self, DURATION_HELP, InvalidValue, LONGEST, MOST_TRIES, SHORTEST, duration, plain,
};
use certcollectd_core::config::{Cadence, Calls};

/// Longest pause between two calls: with a longer one, a handful of orders would never all be asked.
const LONGEST_GAP: Duration = Duration::from_secs(3600);

/// Longest time that a hook of one order waits for the others.
const LONGEST_MERGE: Duration = Duration::from_secs(3600);

/// Shortest user timeout that is worth one: a packet may be lost once.
const SHORTEST_SETTLE: Duration = Duration::from_secs(1);

/// The cadence as written: what is absent is inherited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct CadenceOverrides {
    interval: Option<Duration>,
    max_interval: Option<Duration>,
    guard_interval: Option<Option<Duration>>,
    spread_permille: Option<u16>,
}

/// Where it was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OverrideSpans {
    interval: Option<Span>,
    max_interval: Option<Span>,
    guard_interval: Option<Span>,
}

/// `[polling]` as written.
#[derive(Debug, Default)]
pub(crate) struct Polling {
    pub(crate) overrides: CadenceOverrides,
    pub(crate) spans: OverrideSpans,
    pub(crate) calls: Calls,
}

pub(crate) fn polling(table: &Table<'_>) -> Polling {
    let (overrides, spans) = overrides(table);
    let request = timeout(table, "request_timeout");
    let connect = timeout(table, "connect_timeout");
    let standard = Calls::default();
    let request_timeout = request.map_or(standard.request_timeout, |(value, _)| value);
    if let (Some((connect, at)), Some((request, request_at))) = (connect, request)
        && connect > request
    {
        Diagnostic::error("`connect_timeout` is longer than `request_timeout`", at)
            .label(plain(connect))
            .also(request_at, plain(request))
            .help("the connection is part of the whole call")
            .add_to(table.diagnostics());
    }
    // A short limit for the whole, given alone, shortens the part as well.
    let connect_timeout = connect.map_or(standard.connect_timeout, |(value, _)| value).min(request_timeout);
    let wait = |name, least, most| table.parse(name, DURATION_HELP, |text| duration(text, least, most));
    let gap = wait("call_gap", Duration::ZERO, LONGEST_GAP);
    let merge = wait("merge_window", Duration::ZERO, LONGEST_MERGE);
    let settle = wait("settle", SHORTEST_SETTLE, Calls::LONGEST_SETTLE);
    let tries = table.get("unknown_tries").and_then(|item| item.count(MOST_TRIES));
    let calls = Calls {
        call_gap: gap.unwrap_or(standard.call_gap),
        connect_timeout,
        request_timeout,
        settle: settle.unwrap_or(standard.settle),
        unknown_tries: tries.unwrap_or(standard.unknown_tries),
        merge_window: merge.unwrap_or(standard.merge_window),
    };
    let polling = Polling { overrides, spans, calls };
    check(table.diagnostics(), &polling, &CadenceOverrides::default(), &OverrideSpans::default());
    polling
}

/// The four keys that `[polling]` and `[[order]]` share.
pub(crate) fn overrides(table: &Table<'_>) -> (CadenceOverrides, OverrideSpans) {
    let interval = table.get("interval");
    let max = table.get("max_interval");
    let guard = table.get("guard_interval");
    let wait = |item: &Item<'_>| item.parse(DURATION_HELP, |text| duration(text, SHORTEST, LONGEST));
    let overrides = CadenceOverrides {
        interval: interval.as_ref().and_then(wait),
        max_interval: max.as_ref().and_then(wait),
        guard_interval: guard.as_ref().and_then(|item| {
            item.parse(GUARD_HELP, |text| match text {
                "off" => Ok(None),
                _ => duration(text, SHORTEST, LONGEST)
                    .map(Some)
                    .map_err(|wrong| InvalidValue::new(wrong.what, GUARD_HELP)),
            })
        }),
        spread_permille: table.get("spread").and_then(|item| spread(&item)),
    };
    let span = |item: Option<Item<'_>>| item.map(|item| item.at);
    let spans =
        OverrideSpans { interval: span(interval), max_interval: span(max), guard_interval: span(guard) };
    (overrides, spans)
}

const GUARD_HELP: &str = "a duration with a unit, such as \"24h\", or \"off\" to disable the guard";

fn timeout(table: &Table<'_>, name: &'static str) -> Option<(Duration, Span)> {
    let item = table.get(name)?;
    let value = item.parse(DURATION_HELP, |text| duration(text, SHORTEST, Calls::LONGEST))?;
    Some((value, item.at))
}

fn spread(item: &Item<'_>) -> Option<u16> {
    let Some(share) = item.as_number() else {
        item.wrong_type("a number", "write it without quotes, such as spread = 0.1");
        return None;
    };
    value::spread(share).map_err(|wrong| item.refuse(&wrong.what, wrong.help)).ok()
}

/// What holds for an order: its own word, else that of `[polling]`, else the default. Whatever is shorter than
/// `interval` gives way to it; where that was written, [`check`] has said so.
pub(crate) fn cadence(polling: &CadenceOverrides, own: &CadenceOverrides) -> Cadence {
    let interval = own.interval.or(polling.interval).unwrap_or(Cadence::INTERVAL);
    let max = own.max_interval.or(polling.max_interval);
    let guard = own.guard_interval.or(polling.guard_interval);
    Cadence {
        interval,
        max_interval: max.unwrap_or(Cadence::MAX_INTERVAL).max(interval),
        guard_interval: guard.unwrap_or(Some(Cadence::GUARD_INTERVAL)).map(|guard| guard.max(interval)),
        spread_permille: own.spread_permille.or(polling.spread_permille).unwrap_or(Cadence::SPREAD_PERMILLE),
    }
}

/// No interval is shorter than `interval`, or that would not be the least time between two polls.
pub(crate) fn check(
    diagnostics: &Diagnostics<'_>,
    polling: &Polling,
    own: &CadenceOverrides,
    spans: &OverrideSpans,
) {
    let cadence = cadence(&polling.overrides, own);
    let max = own.max_interval.or(polling.overrides.max_interval);
    let guard = own.guard_interval.or(polling.overrides.guard_interval).flatten();
    let interval_at = spans.interval.or(polling.spans.interval);
    for (name, value, own_at, inherited_at) in [
        ("max_interval", max, spans.max_interval, polling.spans.max_interval),
        ("guard_interval", guard, spans.guard_interval, polling.spans.guard_interval),
    ] {
        let (Some(value), Some(at)) = (value, own_at.or(inherited_at)) else { continue };
        // What `[polling]` says about itself is said once and not for every order.
        let is_said = own_at.is_none() && spans.interval.is_none() && *own != CadenceOverrides::default();
        if value >= cadence.interval || is_said {
            continue;
        }
        let problem = Diagnostic::warning(
            format!("`{name}` is shorter than `interval`, so {} holds", plain(cadence.interval)),
            at,
        )
        .label(plain(value));
        diagnostics.add(match interval_at {
            Some(interval_at) => problem.also(interval_at, "`interval`"),
            None => problem.help("`interval` is the minimum time between two polls; shorten it as well"),
        });
    }
}

impl OverrideSpans {
    /// Where the interval that holds was written, if it was: in the order, or in `[polling]`.
    pub(crate) fn interval(&self, polling: &Polling) -> Option<Span> {
        self.interval.or(polling.spans.interval)
    }
}
