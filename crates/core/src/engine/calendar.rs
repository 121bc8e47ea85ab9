//! When a certificate may come into place, by the windows of its order and the freezes of all. Pure: the time comes in.

use std::time::Duration;

use jiff::civil::DateTime;

use crate::config::{Config, Freeze, Order, Window};
use crate::engine::time::{day, rfc3339};

/// Windows are looked for this far ahead, in days: a year.
const REACH: i32 = 366;
const DAY: i64 = 24 * 3600;

/// What an order's windows and the freezes allow.
#[derive(Debug, Clone)]
pub struct Calendar<'a> {
    /// With none, every time is right outside freezes.
    pub windows: Vec<&'a Window>,
    pub freezes: &'a [Freeze],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening<'a> {
    Open,
    /// In UNIX seconds, and the window, if it is one and not the end of a freeze.
    Opens(i64, Option<&'a Window>),
    /// Not within a year.
    Never,
}

impl<'a> Calendar<'a> {
    pub fn of(config: &'a Config, order: &Order) -> Calendar<'a> {
        let named = order.settings.windows.iter().filter_map(|name| config.window(name));
        Calendar { windows: named.collect(), freezes: &config.freezes }
    }

    /// When the next moment comes, this one included, at which a certificate may be put into place.
    pub fn opening(&self, unix: i64) -> Opening<'a> {
        let next = if self.windows.is_empty() {
            Some((self.thawed(unix), None))
        } else {
            let next = |window: &&'a Window| Some((self.next(window, unix)?, Some(*window)));
            self.windows.iter().filter_map(next).min_by_key(|(at, _)| *at)
        };
        let next = next.filter(|(at, _)| *at - unix <= i64::from(REACH) * DAY);
        match next {
            None => Opening::Never,
            Some((at, _)) if at <= unix => Opening::Open,
            Some((at, window)) => Opening::Opens(at, window),
        }
    }

    /// The freeze that holds at this moment; of several, the one that lasts longest.
    pub fn freeze(&self, unix: i64) -> Option<&'a Freeze> {
        let holds = |freeze: &&Freeze| (freeze.begins()..freeze.is_over()).contains(&unix);
        self.freezes.iter().filter(holds).max_by_key(|freeze| freeze.is_over())
    }

    fn next(&self, window: &Window, unix: i64) -> Option<i64> {
        // One may last from yesterday, and a zone may leave out a day.
        let mut day = window.zone.local(unix)?.date();
        for _ in 0..2 {
            day = day.yesterday().ok()?;
        }
        for _ in 0..REACH + 4 {
            if let Some((from, to)) = window.span(day) {
                let at = self.thawed(from.max(unix));
                if at < to {
                    return Some(at);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// The first moment from this one on that is in no freeze.
    fn thawed(&self, unix: i64) -> i64 {
        let mut at = unix;
        // One may begin where another ends.
        while let Some(freeze) = self.freeze(at).filter(|_| at < i64::MAX) {
            at = freeze.is_over();
        }
        at
    }
}

impl<'a> Opening<'a> {
    pub fn is_open(&self) -> bool {
        *self == Opening::Open
    }

    /// The window that opens.
    pub fn window(&self) -> Option<&'a Window> {
        match self {
            Opening::Opens(_, window) => *window,
            Opening::Open | Opening::Never => None,
        }
    }

    /// In UNIX seconds, unless it is open or will not be within a year.
    pub fn at(&self) -> Option<i64> {
        match self {
            Opening::Opens(at, _) => Some(*at),
            Opening::Open | Opening::Never => None,
        }
    }

    /// Behind the name of an order: `installs Tue 02:00 in window night`; the date where the day is not clear.
    pub fn brief(&self, unix: i64) -> String {
        match self {
            Opening::Open => "is installed now".to_owned(),
            Opening::Opens(at, window) => {
                let local = |window: &&Window| window.zone.local(*at);
                let near = at - unix < 6 * DAY;
                match window.as_ref().and_then(|window| Some((local(window)?, &window.name))) {
                    Some((local, name)) => format!("installs {} in window {name}", shown(local, near)),
                    None => format!("installs {} after the freeze", day(&rfc3339(*at))),
                }
            }
            Opening::Never => "waits: no window opens within a year".to_owned(),
        }
    }

    /// `window night, which opens Tue 2026-12-01 02:00 Europe/Berlin`: what is waited for.
    pub fn describe(&self) -> String {
        match self {
            Opening::Open => "nothing: a window is open".to_owned(),
            Opening::Opens(at, window) => {
                match window.and_then(|window| Some((window, window.zone.local(*at)?))) {
                    Some((window, local)) => {
                        let zone = window.zone.name;
                        format!(
                            "window {}, which opens {} {zone}",
                            window.name,
                            local.strftime("%a %Y-%m-%d %H:%M")
                        )
                    }
                    None => format!("the end of the freeze, at {}", rfc3339(*at)),
                }
            }
            Opening::Never => "a window, of which none opens within a year".to_owned(),
        }
    }

    /// How long until then; a year where it is not known.
    pub(crate) fn wait(&self, unix: i64) -> Duration {
        let seconds = match self {
            Opening::Open => 0,
            Opening::Opens(at, _) => at - unix,
            Opening::Never => i64::from(REACH) * DAY,
        };
        Duration::from_secs(seconds.unsigned_abs())
    }
}

fn shown(local: DateTime, near: bool) -> String {
    local.strftime(if near { "%a %H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}
