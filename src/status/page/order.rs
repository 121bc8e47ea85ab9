//! The page of one order: what `explain` says, and the facts behind it.

use maud::{Markup, html};

use super::ahead::timeline;
use super::parts::{badge, bar, clipped, commands, date, exactly, mark, moment, pager, prose, urgent};
use super::{Frame, Shown, View};
use crate::status::{
    CertificateStatus, Explanation, HistoryEntry, HookState, HookStatus, OrderStatus, Poller, ProbeStatus,
};
use certcollectd_core::engine::time::rfc3339;
use certcollectd_core::forecast::Forecast;

/// Names, addresses and hooks of an order that are shown.
const SHOWN: usize = 50;
/// Lines of history on a page.
const LINES: usize = 50;

/// The way from this page to the list.
const HOME: &str = "../";

impl Explanation {
    /// With what is to come for this order. Of the view only the page counts: that of the history, if that could be read.
    pub fn page(&self, forecast: &Forecast, is_read: bool, view: View) -> String {
        let order = &self.order;
        let pages = self.history.len().div_ceil(LINES).max(1);
        let view = View { page: view.page.min(pages), show: None, ..view };
        let main = html! {
            @if !order.findings.is_empty() { (wrong(order)) }
            div.two { div {
            (part("now", "Now", &self.standing, |line| prose(line, 600)))
            (part("missing", "Missing, and who must act", &self.missing, |missing| html! {
                (prose(&missing.what, 300)) "; " b { (missing.who) }
            }))
            (part("next", "Next", &self.next, |line| prose(line, 600)))
            } div {
            @if let Some(certificate) = &order.certificate { (installed(certificate)) }
            (hooks(&order.hooks))
            (probes(&order.probes))
            (part("statuses", "In the vendor's numbers", &self.statuses, |status| html! {
                (clipped(&status.name, 100)) " " (status.value) ": " (status.means)
            }))
            } }
            (timeline(forecast))
            (self.past(is_read, view, pages))
        };
        let frame = Frame {
            title: &format!("{}: {}", order.name, mark(order).1),
            home: HOME,
            is_list: false,
            skip: ("now", "Skip to how it stands"),
            shown: Some(Shown {
                at: &rfc3339(forecast.from),
                live: view.live,
                other: &View { live: !view.live, ..view }.link(&order.name),
            }),
        };
        frame.around(&header(order), &main)
    }

    /// The history, the newest line first.
    fn past(&self, is_read: bool, view: View, pages: usize) -> Markup {
        let lines = self.history.iter().rev().skip((view.page - 1) * LINES).take(LINES);
        html! {
            section aria-labelledby="history" {
                h2 #history { "History, the newest first" }
                @if !is_read {
                    p { "It cannot be read now: " code { "certcollectd explain " (self.order.name) } " says why." }
                } @else if self.history.is_empty() {
                    p.dim { "Nothing has happened yet." }
                }
                ol.history { @for line in lines { (event(line)) } }
                (pager(view, pages, &self.order.name))
            }
        }
    }
}

/// What is said of a name that no order has. The name is not repeated.
pub fn no_order() -> String {
    let frame = Frame {
        title: "No such order",
        home: HOME,
        is_list: false,
        skip: ("now", "Skip to what to do"),
        shown: None,
    };
    let main = html! {
        p #now tabindex="-1" { "No order of that name is configured here. " a href=(HOME) { "All orders" } }
    };
    frame.around(&html! { h1 { "No such order" } }, &main)
}

fn header(order: &OrderStatus) -> Markup {
    html! {
        h1 { (order.name) " " (badge(mark(order))) }
        p.dim {
            @match order.poller {
                Poller::Host | Poller::Leader => {
                    (order.product) " order " (clipped(&order.order_number, 100)) " on account " (order.account)
                }
                Poller::Fleet => { (order.product) " order of the fleet" }
            }
            ", "
            (order.phase)
            @if let Some(since) = &order.since { " since " (moment(since)) }
        }
    }
}

fn wrong(order: &OrderStatus) -> Markup {
    html! {
        section aria-labelledby="wrong" {
            h2 #wrong { "What is wrong" }
            ul.alerts {
                @for finding in &order.findings {
                    @let mark = urgent(finding.urgency);
                    li.(mark.0) {
                        p { (badge(mark)) " " b.what { (prose(finding.predicate(), 600)) } }
                        @if let Some(known) = &finding.known { p.said { (prose(known, 600)) } }
                    }
                }
            }
            (commands(&order.findings))
        }
    }
}

/// A section with a list, if there is something to list.
fn part<T>(id: &str, title: &str, items: &[T], item: impl Fn(&T) -> Markup) -> Markup {
    html! {
        @if !items.is_empty() {
            section aria-labelledby=(id) {
                h2 id=(id) tabindex="-1" { (title) }
                ul.plain { @for one in items.iter().take(SHOWN) { li { (item(one)) } } }
                (rest(items.len()))
            }
        }
    }
}

/// How many there are besides those that are shown.
fn rest(all: usize) -> Markup {
    html! { @if all > SHOWN { p.dim { "And " (all - SHOWN) " more: " code { "certcollectd status" } } } }
}

fn installed(certificate: &CertificateStatus) -> Markup {
    let CertificateStatus {
        serial, fingerprint, not_before, not_after, names, generation, installed_at, ..
    } = certificate;
    html! {
        section aria-labelledby="certificate" {
            h2 #certificate { "Certificate" }
            div.life-of {
                p.ends { (date(not_before)) span { (certificate.left()) } (date(not_after)) }
                (bar(certificate))
            }
            dl.facts {
                dt { "Names" }
                dd { (names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ")) (rest(names.len())) }
                dt { "Valid" }
                dd { (moment(not_before)) " to " (moment(not_after)) }
                dt { "Serial" }
                dd { code { (serial) } }
                dt { "SHA-256" }
                dd { code { (fingerprint) } }
                dt { "Generation" }
                dd { code { (generation) } ", installed " (moment(installed_at)) }
            }
        }
    }
}

fn hooks(hooks: &[HookStatus]) -> Markup {
    html! {
        @if !hooks.is_empty() {
            section aria-labelledby="hooks" {
                h2 #hooks { "Hooks" }
                ul.plain {
                    @for hook in hooks.iter().take(SHOWN) {
                        li {
                            b { (hook.hook) } " for " (hook.event) ": " (hook.state) ", " (hook.tried())
                            @if let Some(next) = &hook.next_try { ", the next at " (moment(next)) }
                            @if let Some(last) = hook.last.as_ref().filter(|_| hook.state != HookState::Done) { p.said { (prose(last, 400)) } }
                        }
                    }
                }
                (rest(hooks.len()))
            }
        }
    }
}

fn probes(probes: &[ProbeStatus]) -> Markup {
    html! {
        @if !probes.is_empty() {
            section aria-labelledby="probes" {
                h2 #probes { "Is it served?" }
                ul.plain {
                    @for probe in probes.iter().take(SHOWN) {
                        li {
                            b { (if probe.ok { "Yes: " } else { "No: " }) } (clipped(&probe.address, 120))
                            @if probe.connect != probe.address { " of " (clipped(&probe.connect, 120)) }
                            " " (prose(&probe.last, 300)) ", asked " (moment(&probe.at))
                        }
                    }
                }
                (rest(probes.len()))
            }
        }
    }
}

fn event(line: &HistoryEntry) -> Markup {
    let level = match &*line.level {
        "error" => Some(("critical", "error")),
        "warn" => Some(("warning", "warning")),
        _ => None,
    };
    html! {
        li {
            span.dim { (exactly(&line.at)) } " "
            span { @if let Some(mark) = level { (badge(mark)) " " } (prose(&line.text, 500)) }
        }
    }
}
