//! `once` on a terminal: a line that changes for each order that is not there yet, below the log.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::daemon::Onlooker;
use crate::status::{Brief, Need, Pressing, Screen, Summary};
use crate::terminal;
use crate::terminal::progress::{Lines, PATIENCE, is_drawable};
use certcollectd_core::config::{Config, Order};
use certcollectd_core::engine::account::record::AccountRecord;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::time::{Now, Time, in_words};

/// At most so many lines, and never more than half of the screen.
const LINES: usize = 8;
/// Between two pictures.
const AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Live {
    config: Arc<Config>,
    orders: HashMap<Arc<str>, Seen>,
    accounts: HashMap<Arc<str>, AccountRecord>,
    start: Time,
    /// When the wait ends.
    end: Option<Time>,
    drawn: Option<Time>,
    lines: Option<Lines>,
}

#[derive(Debug)]
struct Seen {
    /// Its place in the configuration.
    at: usize,
    record: Option<OrderRecord>,
    pressing: Pressing,
}

impl Live {
    /// Nothing if there is no terminal to draw on.
    pub(super) fn new(
        config: &Arc<Config>,
        loaded: Loaded,
        wait: Option<Duration>,
        now: Now,
    ) -> Option<Live> {
        if !is_drawable() {
            return None;
        }
        let mut live = Live {
            config: config.clone(),
            orders: HashMap::with_capacity(config.orders.len()),
            accounts: loaded.accounts,
            start: now.time,
            end: wait.map(|wait| now.time + wait),
            drawn: None,
            lines: None,
        };
        let mut records = loaded.orders;
        for (at, order) in config.orders.iter().enumerate() {
            let record = records.remove(&order.name).map(|known| known.record);
            let pressing = live.brief(order, record.as_ref(), now).pressing();
            live.orders.insert(order.name.clone(), Seen { at, record, pressing });
        }
        Some(live)
    }

    fn brief(&self, order: &Order, record: Option<&OrderRecord>, now: Now) -> Brief {
        let blank = AccountRecord::default();
        Brief::new(&self.config, order, record, self.accounts.get(&order.account).unwrap_or(&blank), now)
    }

    fn summary(&self) -> Summary {
        let of = |need| self.orders.values().filter(|seen| seen.pressing.need == need).count();
        Summary { you: of(Need::You), time: of(Need::Time), nothing: of(Need::Nothing) }
    }

    /// The most pressing orders, and the line that sums up.
    fn picture(&self, now: Now) -> String {
        let size = terminal::size(&io::stderr());
        let screen = Screen {
            // A terminal may go to the next line when the last column is taken.
            columns: size.map(|size| size.columns.saturating_sub(1)),
            ..Screen::default()
        };
        let room = size.map_or(LINES, |size| (size.rows / 2).saturating_sub(2).clamp(1, LINES));
        let open = self.orders.values().filter(|seen| seen.pressing.need != Need::Nothing);
        let mut open: Vec<&Seen> = open.collect();
        open.sort_by_key(|seen| (seen.pressing, seen.at));
        let shown = open.iter().take(room).map(|seen| {
            let order = &self.config.orders[seen.at];
            self.brief(order, seen.record.as_ref(), now).line(&screen)
        });
        let mut lines: Vec<String> = shown.collect();
        if open.len() > room {
            lines.push(format!("and {} more", open.len() - room));
        }
        let left = self.end.map(|end| format!(" · {} left", in_words(end.since(now.time))));
        lines.push(screen.cut(&format!("{}{}", self.summary(), left.unwrap_or_default())));
        lines.join("\n")
    }
}

impl Drop for Live {
    /// How it stands then stays below the log.
    fn drop(&mut self) {
        if let Some(lines) = self.lines.take() {
            lines.end(self.summary().to_string());
        }
    }
}

impl Onlooker for Live {
    fn saved(&mut self, changes: &Changes, now: Now) {
        self.accounts.extend(changes.accounts.iter().cloned());
        for (name, record) in &changes.orders {
            let Some(at) = self.orders.get(name).map(|seen| seen.at) else { continue };
            let pressing = self.brief(&self.config.orders[at], Some(record), now).pressing();
            self.orders.insert(name.clone(), Seen { at, record: Some(record.clone()), pressing });
        }
    }

    fn look(&mut self, now: Now) -> Duration {
        let next = self.drawn.map_or(self.start + PATIENCE, |drawn| drawn + AGAIN);
        if now.time < next {
            return next.since(now.time);
        }
        self.drawn = Some(now.time);
        let picture = self.picture(now);
        self.lines.get_or_insert_with(Lines::begin).show(picture);
        AGAIN
    }
}
