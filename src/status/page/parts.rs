//! What several pages are made of.

use std::borrow::Cow;
use std::time::Duration;

use maud::{Markup, html};

use super::View;
use crate::status::{CertificateStatus, HookState, HookStatus, Need, OrderStatus};
use certcollectd_core::engine::finding::{Finding, Urgency};
use certcollectd_core::engine::order::lifetime::near;
use certcollectd_core::engine::time::{day, in_words};

/// How an order or a finding is marked: a class for the eye, a word for everyone.
pub(super) fn mark(order: &OrderStatus) -> (&'static str, &'static str) {
    match (order.need(), order.urgency()) {
        (Need::You, Some(urgency)) => urgent(urgency),
        (Need::You, None) => urgent(Urgency::Critical),
        (Need::Time, _) => ("waits", "waits"),
        (Need::Nothing, _) => ("fine", "in order"),
    }
}

pub(super) fn urgent(urgency: Urgency) -> (&'static str, &'static str) {
    match urgency {
        Urgency::Critical => ("critical", "critical"),
        Urgency::Warning => ("warning", "warning"),
    }
}

pub(super) fn badge((class, word): (&str, &str)) -> Markup {
    html! { span.badge.(class) { (word) } }
}

/// The start of a text that takes no more than so many bytes in a page.
pub(super) fn clipped(text: &str, limit: usize) -> Cow<'_, str> {
    let mut size = 0;
    let end = text.char_indices().find(|(_, character)| {
        size += match character {
            '<' | '>' => 4,
            '&' => 5,
            '"' => 6,
            other => other.len_utf8(),
        };
        size > limit
    });
    match end {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// A sentence in which commands stand between backticks.
pub(super) fn prose(text: &str, limit: usize) -> Markup {
    let text = clipped(text, limit);
    let pieces = text.split('`').enumerate();
    html! {
        @for (at, piece) in pieces {
            @if at % 2 == 0 { (piece) } @else { code { (piece) } }
        }
    }
}

/// A moment in RFC 3339, as people read it.
pub(super) fn moment(time: &str) -> Markup {
    let short = time.get(..16).map(|start| start.replace('T', " "));
    html! { time datetime=(time) { (short.as_deref().unwrap_or(time)) " UTC" } }
}

/// The same to the second.
pub(super) fn exactly(time: &str) -> Markup {
    html! { time datetime=(time) { (time.replacen('T', " ", 1).replacen('Z', " UTC", 1)) } }
}

/// Its day.
pub(super) fn date(time: &str) -> Markup {
    html! { time datetime=(time) { (day(time)) } }
}

pub(super) fn span(seconds: i64) -> String {
    in_words(Duration::from_secs(seconds.unsigned_abs()))
}

/// `in 3 h 20 min`, and why not.
pub(super) fn next_poll(order: &OrderStatus) -> String {
    match order.next_in {
        None => order.unpolled().into(),
        Some(..=0) => "now".into(),
        Some(seconds) => format!("in {}", span(seconds)),
    }
}

/// The whole of a bar.
const WIDTH: i64 = 1000;

/// The lifetime from left to right: what is over, where the end is near, and today.
pub(super) fn bar(certificate: &CertificateStatus) -> Markup {
    let life = certificate.life.max(1);
    let at = |passed: i64| {
        let share = i128::from(passed.clamp(0, life)) * i128::from(WIDTH) / i128::from(life);
        i64::try_from(share).unwrap_or(WIDTH)
    };
    let today = at(life - certificate.left);
    let late = at(life - near(life));
    let label = format!(
        "valid from {} to {}, {}",
        day(&certificate.not_before),
        day(&certificate.not_after),
        certificate.left()
    );
    html! {
        svg.bar role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " 12" } preserveAspectRatio="none" {
            rect.life y="4" width=(WIDTH) height="4" {}
            rect.late x=(late) y="4" width=(WIDTH - late) height="4" {}
            rect.over y="4" width=(today) height="4" {}
            line.today x1=(today) x2=(today) y1="0" y2="12" {}
        }
    }
}

/// The bar, and the end in words.
pub(super) fn lifetime(certificate: &CertificateStatus) -> Markup {
    html! {
        (bar(certificate))
        p { (certificate.left()) " " span.dim { "until " (date(&certificate.not_after)) } }
    }
}

/// Findings, each with what is known of it.
pub(super) fn findings(findings: &[Finding]) -> Markup {
    html! {
        @for finding in findings {
            p.what { (prose(finding.predicate(), 400)) }
            @if let Some(known) = &finding.known { p.said { (prose(known, 300)) } }
        }
    }
}

/// The commands that come next, each once.
pub(super) fn commands(findings: &[Finding]) -> Markup {
    let mut commands: Vec<&str> = Vec::new();
    for finding in findings {
        if !commands.contains(&&*finding.next) {
            commands.push(&finding.next);
        }
    }
    html! {
        @for next in commands { p.next { "Next: " code { (next) } } }
    }
}

/// A hook that is owed, in a sentence without its end.
pub(super) fn owed(hook: &HookStatus) -> Option<String> {
    let how = match hook.state {
        HookState::Done => return None,
        HookState::Owed => "is owed",
        HookState::Failing => "fails",
    };
    let HookStatus { hook: name, event, .. } = hook;
    let tries = hook.tried();
    let last = hook.last.as_deref().map(|last| format!(": {last}")).unwrap_or_default();
    let next = hook.next_try.as_deref().map(|next| format!(", the next at {next}")).unwrap_or_default();
    Some(format!("hook {name} {how} for {event} after {tries}{next}{last}"))
}

/// `served at 3 addresses`, where something was asked.
pub(super) fn served(order: &OrderStatus) -> Option<String> {
    let good = order.probes.iter().filter(|probe| probe.ok).count();
    let of = |number| match number {
        1 => "1 address".to_owned(),
        more => format!("{more} addresses"),
    };
    match order.probes.len() {
        0 => None,
        all if all == good => Some(format!("served at {}", of(all))),
        all => Some(format!("served at {good} of {}", of(all))),
    }
}

/// The way through the pages of a list whose address is `home`.
pub(super) fn pager(view: View, pages: usize, home: &str) -> Markup {
    let to = |page: usize| View { page, ..view }.link(home);
    let here = view.page;
    html! {
        @if pages > 1 {
            nav.pages aria-label="Pages" {
                @if here > 1 {
                    a href=(to(1)) { "First" }
                    a href=(to(here - 1)) rel="prev" { "Previous" }
                }
                span { "Page " (here) " of " (pages) }
                @if here < pages {
                    a href=(to(here + 1)) rel="next" { "Next" }
                    a href=(to(pages)) { "Last" }
                }
            }
        }
    }
}
