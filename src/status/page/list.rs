//! The page of all orders: who needs a person comes first.

use maud::{Markup, html};

use super::parts::{
    badge, clipped, commands, findings, lifetime, mark, next_poll, owed, pager, prose, served, urgent,
};
use super::{Frame, Shown, View};
use crate::status::{Found, HookState, Need, OrderStatus, Status, Summary};
use certcollectd_core::cert::listed;
use certcollectd_core::config::count;
use certcollectd_core::engine::finding::FindingKind;
use certcollectd_core::engine::order::phase::Phase;

/// Orders on a page. With as much to say of each as there can be, a page stays below 100 KB.
const ORDERS: usize = 40;
/// Findings that concern no single order.
const ALERTS: usize = 12;
/// Findings of an order; its own page has all.
const FINDINGS: usize = 2;

/// The way from this page to itself.
const HOME: &str = "./";

impl Status {
    /// The part of the list that is asked for.
    pub fn page(&self, view: View) -> String {
        let summary = self.summary();
        let orders = self.worst_first().into_iter();
        let orders: Vec<&OrderStatus> =
            orders.filter(|order| view.show.is_none_or(|need| order.need() == need)).collect();
        let pages = orders.len().div_ceil(ORDERS).max(1);
        let view = View { page: view.page.min(pages), ..view };
        let shown = orders.iter().skip((view.page - 1) * ORDERS).take(ORDERS);
        let main = html! {
            @if let Some(fleet) = &self.fleet { p.dim { (fleet.words()) } }
            (self.alerts())
            section aria-labelledby="orders" {
                h2 #orders tabindex="-1" { (title(&orders, view)) }
                @if view.show.is_some() {
                    p.dim { a href=(View { show: None, page: 1, ..view }.link(HOME)) { "Show all " (self.orders.len()) } }
                }
                @if !orders.is_empty() { (self.rows(shown.copied())) }
            }
            (pager(view, pages, HOME))
        };
        let frame = Frame {
            title: &summary.to_string(),
            home: HOME,
            is_list: true,
            skip: ("orders", "Skip to the orders"),
            shown: Some(Shown {
                at: &self.at,
                live: view.live,
                other: &View { live: !view.live, ..view }.link(HOME),
            }),
        };
        frame.around(&header(summary, view), &main)
    }

    /// What concerns an account or this machine.
    fn alerts(&self) -> Markup {
        let found: Vec<Found<'_>> =
            self.found().into_iter().filter(|found| found.order.is_none_or(|name| !self.has(name))).collect();
        let resting = self.accounts.iter().filter(|account| account.findings.is_empty());
        let resting: Vec<_> = resting.filter(|account| account.reason.is_some()).take(ALERTS).collect();
        if found.is_empty() && resting.is_empty() {
            return html! {};
        }
        html! {
            section aria-labelledby="alerts" {
                h2 #alerts { "Accounts and this machine" }
                ul.alerts {
                    @for found in found.iter().take(ALERTS) {
                        @let mark = urgent(found.finding.urgency);
                        li.(mark.0) {
                            p { (badge(mark)) " " span.what { (prose(&found.finding.text, 600)) } }
                            @if let Some(why) = self.why(found) { p.said { (prose(why, 300)) } }
                            p.next { "Next: " code { (found.finding.next) } }
                        }
                    }
                    @for account in resting {
                        li.waits {
                            p {
                                (badge(("waits", "waits"))) " "
                                span.what { (prose(&account.standing().unwrap_or_default(), 400)) }
                            }
                            @if let Some(advice) = &account.advice { p.said { (prose(advice, 300)) } }
                        }
                    }
                }
                @if found.len() > ALERTS {
                    p.dim { "And " (found.len() - ALERTS) " more: " code { "certcollectd status" } }
                }
            }
        }
    }

    /// Why an account is not open, unless the finding says so.
    fn why(&self, found: &Found<'_>) -> Option<&str> {
        let account = self.accounts.iter().find(|account| Some(&*account.name) == found.account)?;
        account.reason.as_deref().filter(|_| found.order.is_none())
    }

    fn rows<'a>(&self, orders: impl Iterator<Item = &'a OrderStatus>) -> Markup {
        let several = self.accounts.len() > 1;
        html! {
            table role="table" aria-labelledby="orders" {
                thead role="rowgroup" {
                    tr role="row" {
                        @for heading in ["Order", "State", "What to know", "Certificate", "Next poll"] {
                            th role="columnheader" scope="col" { (heading) }
                        }
                    }
                }
                tbody role="rowgroup" { @for order in orders { (row(order, several)) } }
            }
        }
    }
}

fn header(summary: Summary, view: View) -> Markup {
    html! {
        h1.sum {
            @for (at, need) in Need::ALL.into_iter().enumerate() {
                @if at > 0 { span { " · " } }
                @let (part, link) = (summary.part(need), View { show: Some(need), page: 1, ..view }.link(HOME));
                @let (number, words) = part.split_once(' ').unwrap_or((&part, ""));
                @let current = (view.show == Some(need)).then_some("true");
                a.(class(need)).none[summary.of(need) == 0] href=(link) aria-current=[current] { b { (number) } " " (words) }
            }
        }
    }
}

fn class(need: Need) -> &'static str {
    match need {
        Need::You => "you",
        Need::Time => "time",
        Need::Nothing => "nothing",
    }
}

fn title(orders: &[&OrderStatus], view: View) -> String {
    let number = count(orders.len(), "order");
    match (view.show, orders.len()) {
        (None, 0) => "No order is configured".into(),
        (None, _) => number,
        (Some(Need::You), 0) => "No order needs you".into(),
        (Some(Need::You), 1) => "1 order that needs you".into(),
        (Some(Need::You), _) => format!("{number} that need you"),
        (Some(Need::Time), 0) => "No order waits".into(),
        (Some(Need::Time), 1) => "1 order that waits".into(),
        (Some(Need::Time), _) => format!("{number} that wait"),
        (Some(Need::Nothing), 0) => "No order is in order".into(),
        (Some(Need::Nothing), _) => format!("{number} in order"),
    }
}

/// Its cells say what they are of: on a phone they stand below each other.
fn row(order: &OrderStatus, several: bool) -> Markup {
    let mark = mark(order);
    html! {
        tr.(mark.0) role="row" {
            th role="rowheader" scope="row" {
                a href={ "orders/" (order.name) } { (order.name) }
                p.dim {
                    (order.product) " " (clipped(&order.order_number, 60))
                    @if several { " on " (order.account) }
                }
            }
            td.state role="cell" { (badge(mark)) p.dim { (order.phase) } }
            td role="cell" { (what(order)) }
            td role="cell" {
                @match &order.certificate {
                    Some(certificate) => (lifetime(certificate)),
                    None => p.dim { "No certificate yet" },
                }
            }
            td role="cell" { p { span.label { "Next poll " } (next_poll(order)) } }
        }
    }
}

/// What is found, with the commands that come next; then what goes on by itself.
fn what(order: &OrderStatus) -> Markup {
    let shown = &order.findings[..order.findings.len().min(FINDINGS)];
    let more = order.findings.len() - shown.len();
    let hooks = order.hooks.iter().filter(|hook| hook.state != HookState::Done);
    let failing = |hook: &HookState| *hook == HookState::Failing && !shown.is_empty();
    let owed: Vec<String> = hooks.filter(|hook| !failing(&hook.state)).filter_map(owed).collect();
    html! {
        (findings(shown))
        @if more > 0 { p.dim { "And " (more) " more on its page" } }
        (commands(shown))
        @for hook in owed.iter().take(2) { p.owed { (prose(hook, 250)) } }
        @if owed.len() > 2 { p.dim { "And " (count(owed.len() - 2, "hook")) " more" } }
        @for remark in remarks(order) { p.dim { (prose(&remark, 250)) } }
    }
}

/// What goes on by itself, or is good to know.
fn remarks(order: &OrderStatus) -> Vec<String> {
    let said = order.vendor.as_ref().map(|vendor| vendor.text.clone());
    let waiting = match order.phase {
        Phase::Waiting => Some(said.unwrap_or_else(|| "not asked yet".into())),
        Phase::Collected if order.window.is_none() => Some("collected, and not in place yet".into()),
        Phase::Collected
        | Phase::Deploying
        | Phase::Guarding
        | Phase::Quarantined
        | Phase::Attention
        | Phase::Rejected
        | Phase::Revoked => order.reissue_note(),
    };
    let back = order.rolled_back && !order.rolled_back_by_probe;
    let back = back
        .then(|| format!("rolled back; `certcollectd accept {}` installs the newer certificate", order.name));
    let is_found = |kind| order.findings.iter().any(|finding| finding.kind == kind);
    let served = served(order).filter(|_| !is_found(FindingKind::ProbeFailed));
    let term = order.subscription().filter(|_| !is_found(FindingKind::SubscriptionEnding));
    let names = order.certificate.as_ref().map(|known| listed(known.names.iter().map(String::as_str)));
    let name = names.or_else(|| order.fqdn.clone()).map(|names| format!("for {names}"));
    let window = order.window.as_ref().map(|window| window.brief().to_owned());
    [waiting, window, back, served, term, name].into_iter().flatten().collect()
}
