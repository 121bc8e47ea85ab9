//! Orders with windows, and a freeze: nothing new is put into place outside of them, but for a reason.

use certcollectd_core::config::{Clock, Config, Day, Freeze, Window, Zone};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::Effect;

use super::Sim;
use crate::world::{self, START};

/// The order that has windows.
const ORDER: &str = "shop";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Days from the start on.
const FREEZE: std::ops::Range<i64> = 20..28;
const MARGIN: i64 = 7 * DAY;

/// Whether the worlds of this seed have windows.
fn has_windows(seed: u64) -> bool {
    seed % 3 == 1
}

fn midnight(day: i64) -> i64 {
    (START / DAY + day) * DAY
}

/// A window each night from 02:00 to 04:00, and a freeze of some days.
pub(super) fn add(config: &mut Config, seed: u64) {
    if !has_windows(seed) {
        return;
    }
    let clock = |text| Clock::read(text).unwrap();
    let zone = Zone::named("UTC").unwrap();
    let (from, to) = (clock("02:00"), clock("04:00"));
    config.windows.push(Window { name: "night".into(), days: Day::ALL.to_vec(), from, to, zone }.into());
    let day =
        |day: i64| jiff::Timestamp::from_second(midnight(day)).unwrap().strftime("%Y-%m-%d").to_string();
    config.freezes.push(Freeze::read(&format!("{}/{}", day(FREEZE.start), day(FREEZE.end - 1))).unwrap());
    for order in config.orders.iter_mut().filter(|order| &*order.name == ORDER) {
        world::change(order, |settings| settings.windows = Box::new(["night".into()]));
    }
}

impl Sim {
    /// Looks at what is about to be put into place.
    pub(super) fn look_at_window(&mut self, effect: &Effect) {
        let Effect::Install(stage) = effect else { return };
        if !has_windows(self.seed) {
            return;
        }
        let unix = self.world.now.unix();
        let leaf = stage.material.leaf.fingerprint().to_string();
        let Some((_, row)) = self.world.rows.orders.get(&*stage.name) else { return };
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let installed = &row["installed"];
        let is_frozen = (midnight(FREEZE.start)..midnight(FREEZE.end)).contains(&unix);
        let is_night = (2 * HOUR..4 * HOUR).contains(&unix.rem_euclid(DAY));
        let is_open = !is_frozen && (&*stage.name != ORDER || is_night);
        let ends = installed["not_after"].as_i64();
        let is_forced = installed["fingerprint"] == leaf.as_str()
            || row["at_once"] == leaf.as_str()
            || ends.is_some_and(|ends| unix >= ends - MARGIN)
            || (!installed.is_null() && row["revoked"] == installed["fingerprint"]);
        self.opened += u64::from(is_open);
        self.forced += u64::from(!is_open && is_forced);
        self.ensure(is_open || is_forced, &format!("{} is put into place outside its windows", stage.name));
    }

    /// The operator does not want to wait.
    pub(super) fn hurry(&mut self) {
        let row = self.world.rows.orders.get(ORDER).map_or("", |(_, row)| row);
        let is_held = row.contains("\"phase\":\"collected\"") && row.contains("\"held\":");
        if is_held && self.world.config.orders.iter().any(|order| &*order.name == ORDER) {
            self.command(Command::AcceptNow(ORDER.into()));
        }
    }
}
