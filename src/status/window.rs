//! What waits for a window: until when, and in which.

use serde::Serialize;

use certcollectd_core::config::{Config, Order};
use certcollectd_core::engine::calendar::Calendar;
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::order::window::margin_begins;
use certcollectd_core::engine::time::{Now, day, rfc3339};

/// A verified certificate that waits to be installed.
#[derive(Debug, Clone, Serialize)]
pub struct WindowStatus {
    /// The window in which it will be installed; nothing where only a freeze is in the way, or none opens within a year.
    pub name: Option<String>,
    /// When that opens, or the freeze is over, RFC 3339; nothing if not within a year.
    pub opens: Option<String>,
    /// The freeze that holds now, as the configuration has it.
    pub freeze: Option<String>,
    /// When it is installed at the latest, because the installed certificate ends within `window_margin`, RFC 3339.
    pub latest: Option<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// RFC 3339.
    pub not_after: String,
    #[serde(skip)]
    brief: String,
    #[serde(skip)]
    described: String,
}

impl WindowStatus {
    pub(super) fn new(
        config: &Config,
        order: &Order,
        record: &OrderRecord,
        now: Now,
    ) -> Option<WindowStatus> {
        let held = record.held.as_ref().filter(|_| record.is_held())?;
        let unix = now.unix();
        let calendar = Calendar::of(config, order);
        let opening = calendar.opening(unix);
        let installed = record.installed.as_ref();
        let latest =
            installed.map(|installed| margin_begins(installed.not_after, order.settings.window_margin));
        // As good as it is known while no daemon runs.
        let opens = opening.at().or_else(|| opening.is_open().then_some(unix));
        let first = latest.filter(|latest| opens.is_none_or(|opens| *latest < opens));
        let brief = first.map(|latest| format!("installs {}, by its window_margin", day(&rfc3339(latest))));
        Some(WindowStatus {
            name: opening.window().map(|window| window.name.to_string()),
            opens: opens.map(rfc3339),
            freeze: calendar.freeze(unix).map(ToString::to_string),
            latest: latest.map(rfc3339),
            serial: held.serial.to_string(),
            not_after: rfc3339(held.not_after),
            brief: brief.unwrap_or_else(|| opening.brief(unix)),
            described: opening.describe(),
        })
    }

    /// Behind the name of the order: `installs Tue 02:00 in window night`.
    pub fn brief(&self) -> &str {
        &self.brief
    }

    /// A sentence about the order of this name.
    pub(super) fn sentence(&self, name: &str) -> String {
        let opens = self.opens.as_deref().map(|opens| format!(" ({opens})")).unwrap_or_default();
        let latest = self
            .latest
            .as_deref()
            .map(|latest| format!(", at the latest at {latest}, because the installed one ends soon after"))
            .unwrap_or_default();
        format!(
            "It waits for {}{opens}{latest}; `certcollectd accept {name} --now` installs it now.",
            self.described
        )
    }
}
