//! The forecast as pictures and lists: of all orders on a page of its own, of one order on its page.
//!
//! Lanes and shapes tell who acts; colour says nothing.

use maud::{Markup, html};

use super::parts::{clipped, date, pager, prose};
use super::{Frame, Shown, View};
use certcollectd_core::config::count;
use certcollectd_core::engine::time::{day, rfc3339};
use certcollectd_core::forecast::{AccountForecast, Event, Forecast, Who};

const DAY: i64 = 24 * 3600;
/// Events on a page.
const EVENTS: usize = 100;
/// Events of one order, and warnings.
const SHOWN: usize = 12;
/// Accounts.
const ACCOUNTS: usize = 20;
/// Height of the tallest bar, in pixels.
const TALL: usize = 60;

const ADDRESS: &str = "forecast";
const HOME: &str = "./";
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What will happen, by its days.
pub fn forecast(forecast: &Forecast, view: View) -> String {
    let all = forecast.orders.iter();
    let mut events: Vec<(&str, &Event)> =
        all.flat_map(|order| order.events.iter().map(|event| (&*order.name, event))).collect();
    events.sort_by_key(|(_, event)| event.at);
    let (own, yours): (Vec<_>, Vec<_>) = events.into_iter().partition(|(_, event)| event.who == Who::Daemon);
    let pages = yours.len().div_ceil(EVENTS).max(1);
    let view = View { page: view.page.min(pages), show: None, ..view };
    let shown = yours.iter().skip((view.page - 1) * EVENTS).take(EVENTS);
    let main = html! {
        @for warning in forecast.warnings.iter().take(SHOWN) { p.what { (prose(warning, 400)) } }
        section aria-labelledby="weeks" {
            h2 #weeks { "Week by week" }
            (weeks("What somebody must do", "filled", forecast, &yours))
            (weeks("What happens by itself", "hollow", forecast, &own))
            (months(forecast))
        }
        section aria-labelledby="events" {
            h2 #events tabindex="-1" { "What somebody must do" }
            @if yours.is_empty() { p.dim { "Nothing." } }
            ol.history {
                @for (name, event) in shown {
                    li {
                        span.dim { (date(&rfc3339(event.at))) ", " (event.who) }
                        span { a href={ "orders/" (name) } { (name) } ": " (prose(&event.what, 300)) }
                    }
                }
            }
            (pager(view, pages, ADDRESS))
        }
        section aria-labelledby="calls" {
            h2 #calls { "Calls" }
            ul.plain { @for account in forecast.accounts.iter().take(ACCOUNTS) { li { (calls(account)) } } }
        }
    };
    let frame = Frame {
        title: "Forecast",
        home: HOME,
        is_list: false,
        skip: ("events", "Skip to what somebody must do"),
        shown: Some(Shown {
            at: &rfc3339(forecast.from),
            live: view.live,
            other: &View { live: !view.live, ..view }.link(ADDRESS),
        }),
    };
    let days = (forecast.until - forecast.from) / DAY;
    let header = html! {
        h1 { "The next " (days) " days" }
        p.dim { "If every certificate is re-issued when it nears its end: " code { "certcollectd forecast" } }
    };
    frame.around(&header, &main)
}

fn calls(account: &AccountForecast) -> Markup {
    let AccountForecast { name, calls_per_day, possible_per_day, busiest: (at, most) } = account;
    html! {
        b { (name) } ": " (count(*calls_per_day, "call")) " a day"
        @if let Some(possible) = possible_per_day { " of " (possible) " that are possible" }
        ", at most " (most) " on " (date(&rfc3339(*at)))
    }
}

/// How far along the line a moment is.
fn place(forecast: &Forecast, at: i64) -> String {
    let (passed, all) = ((at - forecast.from).max(0), (forecast.until - forecast.from).max(1));
    let tenths = (passed * 1000 / all).min(1000);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// A bar for each week in which something is to happen, the tallest for the most.
fn weeks(title: &str, class: &str, forecast: &Forecast, events: &[(&str, &Event)]) -> Markup {
    let last = usize::try_from((forecast.until - forecast.from) / (7 * DAY)).unwrap_or(0);
    let mut counts = vec![0_usize; last + 1];
    for (_, event) in events {
        let week = usize::try_from((event.at - forecast.from) / (7 * DAY)).unwrap_or(0);
        counts[week.min(last)] += 1;
    }
    let start = |week: usize| forecast.from + i64::try_from(week).unwrap_or(0) * 7 * DAY;
    let most = counts.iter().copied().max().unwrap_or(0);
    let when = counts.iter().position(|count| *count == most).unwrap_or(0);
    let told = match most {
        0 => format!("{title}: nothing"),
        _ => format!(
            "{title}: {}, at most {most} in the week from {}",
            events.len(),
            day(&rfc3339(start(when)))
        ),
    };
    html! {
        p { (told) }
        svg.weeks.(class) role="img" aria-label=(told) {
            @for (week, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                @let tall = (count * TALL).div_ceil(most).max(3);
                rect x=(place(forecast, start(week))) y=(TALL + 2 - tall) width="1.3%" height=(tall) {}
            }
        }
    }
}

/// The first of each month, below a line.
fn months(forecast: &Forecast) -> Markup {
    let days = (0..=(forecast.until - forecast.from) / DAY).map(|day| forecast.from + day * DAY);
    let firsts = days.filter_map(|at| {
        let text = rfc3339(at);
        let month: usize = day(&text).strip_suffix("-01")?.get(5..)?.parse().ok()?;
        Some((place(forecast, at), *MONTHS.get(month - 1)?))
    });
    html! {
        svg.months aria-hidden="true" {
            line x2="100%" y1="1" y2="1" {}
            @for (x, name) in firsts {
                line x1=(x) x2=(x) y1="1" y2="6" {}
                text x=(x) y="18" { (name) }
            }
        }
    }
}

/// What is to come for the first order of a forecast: a picture, and the same in words.
pub(super) fn timeline(forecast: &Forecast) -> Markup {
    let events = forecast.orders.first().map_or(&[][..], |order| &order.events);
    let told = format!(
        "{} in the next {} days",
        count(events.len(), "event"),
        (forecast.until - forecast.from) / DAY
    );
    html! {
        @if !events.is_empty() {
            section aria-labelledby="ahead" {
                h2 #ahead { "What is to come" }
                svg.lanes role="img" aria-label={ (told) ", listed below" } {
                    @for event in events { (mark(event.who, &place(forecast, event.at))) }
                }
                (months(forecast))
                p.dim { "■ you, above · ○ the vendor, in the middle · | by itself, below" }
                ol.history {
                    @for event in events.iter().take(SHOWN) {
                        li {
                            span.dim { (date(&rfc3339(event.at))) ", " (event.who) }
                            span { (prose(&clipped(&event.what, 300), 300)) }
                        }
                    }
                }
                @if events.len() > SHOWN {
                    p.dim { "And " (events.len() - SHOWN) " more: " code { "certcollectd forecast" } }
                }
            }
        }
    }
}

/// Each who has a lane and a shape.
fn mark(who: Who, x: &str) -> Markup {
    match who {
        Who::You => html! { rect.filled x=(x) y="2" width="10" height="10" {} },
        Who::Vendor | Who::Fleet => html! { circle.hollow cx=(x) cy="22" r="5" {} },
        Who::Daemon => html! { line x1=(x) x2=(x) y1="32" y2="44" {} },
    }
}
