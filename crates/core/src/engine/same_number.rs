//! An order that has another name today is the same one to the vendor. Its files are installed again, under
//! its new name; what is known of the certificate that is out there, under the old one, still holds.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::id::OrderId;
use crate::engine::order::record::{OrderRecord, Pushed, of_another_number};
use crate::engine::orders::Orders;

/// Announced revocations of orders under names that are not configured any more, by account and number.
pub(crate) type Threats = HashMap<(Arc<str>, Box<str>), Box<Pushed>>;

impl Orders {
    /// What is known of an order under a name that is not configured any more, if a certificate is installed there; of
    /// several names, the one that was installed last.
    fn under_old_name(&self, account: &str, handle: &str) -> Option<&OrderRecord> {
        let records = self.archive.values().map(|known| &known.record);
        let same = records.filter(|known| *known.handle == *handle && *known.account == *account);
        same.filter(|known| known.installed.is_some())
            .max_by_key(|known| known.installed.as_ref().map(|installed| installed.at))
    }

    /// The names that an order which has nothing installed covers, or covered, under an old name.
    pub(crate) fn names_under_old_name(&self, id: OrderId) -> Vec<Box<str>> {
        let record = &self.state(id).record;
        let installed = record.installed.is_some();
        let old = Some(record).filter(|_| !installed);
        let old = old.and_then(|record| self.under_old_name(&record.account, &record.handle));
        let covered = old.iter().flat_map(|old| old.installed.iter().flat_map(|installed| &installed.names));
        covered.chain(old.iter().flat_map(|old| &old.uncovered)).cloned().collect()
    }

    /// An announced revocation stays an alarm under the new name. Of several names, the last one knows what came of it.
    pub(crate) fn threats(&self) -> Threats {
        let mut records: Vec<&OrderRecord> = self.archive.values().map(|known| &known.record).collect();
        records.sort_by_key(|record| record.polled);
        let number = |record: &OrderRecord| (record.account.clone(), record.handle.clone());
        let last: HashMap<_, _> = records.into_iter().map(|record| (number(record), record)).collect();
        last.into_iter().filter_map(|(number, record)| Some((number, of_another_number(record)?))).collect()
    }
}
