//! The vendor's floor is the number's, whatever the order is called today and whatever its entry named before.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config;
use crate::engine::order::record::{Domains, Former, OrderRecord, of_another_number};
use crate::engine::time::{Now, Time};

/// Maximum number of an entry's former order numbers remembered.
const FORMER: usize = 4;

/// When numbers were asked about, by account and number: polls, and calls for the domain details.
pub(crate) type LastAsked = HashMap<(Arc<str>, Box<str>), (Time, Option<Time>)>;

/// The vendor's floor belongs to the number, whatever the order is called today.
pub(crate) fn keep_floor(record: &mut OrderRecord, last_asked: &LastAsked) {
    let Some((polled, asked)) = last_asked.get(&(record.account.clone(), record.handle.clone())) else {
        return;
    };
    record.polled = Some(*polled);
    if record.domains.is_none() {
        record.domains = asked.map(|asked| Box::new(Domains { asked, heard: None }));
    }
}

/// The entry names another order now: what is installed stays and is still compared with; all else is new. When the
/// old one was asked about stays known, in case the entry names it again.
pub(crate) fn become_another(record: &mut OrderRecord, order: &config::Order, handle: &str, now: Now) {
    let old = record.clone();
    *record = OrderRecord::new(order.account.clone(), handle.into(), now);
    record.installed.clone_from(&old.installed);
    record.pushed = of_another_number(&old);
    record.lost.clone_from(&old.lost);
    record.uncovered.clone_from(&old.uncovered);
    record.warned = old.warned;
    record.revoked = old.revoked;
    record.tokens.clone_from(&old.tokens);
    record.debts.clone_from(&old.debts);
    record.alarms.clone_from(&old.alarms);
    record.alarmed = old.alarmed;
    remember_former(record, &old);
}

/// Carries over when the numbers were asked about that an earlier record of the order was about.
pub(crate) fn remember_former(record: &mut OrderRecord, old: &OrderRecord) {
    let mut former: Vec<Former> = old.former.iter().cloned().chain(Former::of(old)).collect();
    former.retain(|former| former.account != record.account || former.handle != record.handle);
    former.sort_by_key(|former| std::cmp::Reverse(former.polled));
    former.truncate(FORMER);
    record.former = former;
}
