//! Push notifications: they have an order polled sooner, are kept in its history, and raise an alarm where they
//! announce a revocation.
//!
//! A notification proves nothing about who sent it. So it is trusted for no certificate and no state of an order;
//! a poll that it asked for and that brought nothing new makes the next such poll wait longer; and what it leaves in
//! the history is bounded, because anyone may be able to send one.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::api::push::Hint;
use crate::engine::Engine;
use crate::engine::id::OrderId;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::hints::is_named;
use crate::engine::time::Time;

/// Maximum number of distinct notifications kept in a history within [`WINDOW`]; of equal ones, the
/// first.
const KEPT: usize = 8;
const WINDOW: Duration = Duration::from_secs(3600);
/// Number of remembered orders at which those whose window is over are forgotten.
const MANY: usize = 1024;

/// What was kept of notifications lately, so that a flood pushes nothing else out of a history.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    of: HashMap<About, Window>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum About {
    Order(OrderId),
    Gate(usize),
}

#[derive(Debug)]
struct Window {
    since: Time,
    seen: Vec<u64>,
}

/// What happens to one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Yes,
    /// It is the first that is too much.
    Enough,
    No,
}

impl Recent {
    pub(crate) fn keep(&mut self, about: About, text: &str, now: Time) -> Kept {
        if self.of.len() >= MANY {
            self.of.retain(|_, window| now.since(window.since) < WINDOW);
        }
        let window = self.of.entry(about).or_insert_with(|| Window { since: now, seen: Vec::new() });
        if now.since(window.since) >= WINDOW {
            *window = Window { since: now, seen: Vec::new() };
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if window.seen.len() > KEPT || window.seen.contains(&hash) {
            return Kept::No;
        }
        window.seen.push(hash);
        if window.seen.len() > KEPT { Kept::Enough } else { Kept::Yes }
    }
}

impl Engine {
    pub(crate) fn hinted(&mut self, hint: &Hint) {
        // Looked at only: what a notification does not name is not caught up on.
        let named = |id: &OrderId| {
            let state = self.orders.state(*id);
            !state.removed && is_named(&state.record, &self.config.orders[state.entry].handle, hint)
        };
        let ids: Vec<OrderId> = self.orders.ids().filter(named).collect();
        if hint.revocation && ids.is_empty() {
            let mut recent = std::mem::take(&mut self.recent);
            self.accounts().revocation_of_a_stranger(hint, &mut recent);
            self.recent = recent;
            return;
        }
        for id in ids {
            let news = hint.revocation && self.order(id).revocation_of(hint);
            self.order(id).want_poll();
            let next = self.order(id).next_poll();
            if news {
                let name = self.orders.name_of(id);
                let text = format!(
                    "a push notification announces that the vendor will revoke the certificate: {}; have it \
                     re-issued now; this stays an alarm until a newer certificate is installed, or \
                     `certcollectd accept {name}`; {next}",
                    hint.why
                );
                self.order(id).note(Level::Error, NoteKind::RevocationAnnounced, text);
                self.outbox.save_first();
                continue;
            }
            let text = match self.recent.keep(About::Order(id), &hint.why, self.now.time) {
                Kept::Yes => format!("a push notification says: {}; {next}", hint.why),
                Kept::Enough => {
                    "too many push notifications within an hour; the rest are not kept".to_owned()
                }
                Kept::No => continue,
            };
            let level = if hint.bad { Level::Warn } else { Level::Info };
            self.order(id).note(level, NoteKind::Push, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_a_bounded_number_of_lines() {
        let mut recent = Recent::default();
        let about = About::Order(OrderId(1));
        let kept: Vec<Kept> =
            (0..100).map(|at| recent.keep(about, &format!("{}", at / 2), Time(at))).collect();
        assert_eq!(kept.iter().filter(|kept| **kept == Kept::Yes).count(), KEPT);
        assert_eq!(kept.iter().filter(|kept| **kept == Kept::Enough).count(), 1);
        assert_eq!(recent.keep(About::Gate(1), "0", Time(5)), Kept::Yes, "another one has a room of its own");
        assert_eq!(recent.keep(about, "0", Time(0) + WINDOW), Kept::Yes, "an hour later");
    }
}
