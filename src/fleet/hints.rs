//! Push notifications that came to a collector that does not lead: rows of the store, until the leader has read them.

use std::rc::Rc;
use std::time::Duration;

use super::feed::{Fed, Feed, Pace};
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::{Change, Commit, Committed, Row, Shared};
use crate::sources::{Inbox, Message};
use certcollectd_core::api::push::Hint;
use certcollectd_core::fleet::keys::{HINTS, Key};

const PACE: Pace = Pace { together: Duration::from_millis(10), pause: Duration::from_millis(100) };

/// Leaves a notification for the leader. It is worth one try: the order is polled without it, only later.
pub async fn leave(shared: &Shared, hint: &Hint) {
    let Some(number) = hint.numbers.first().or_else(|| hint.certificates.first()) else { return };
    let key = Key::Hint { number }.to_string();
    if Key::parse(&key).is_none() {
        return;
    }
    let value = serde_json::to_vec(hint).expect("texts and flags");
    let commit = Commit { puts: vec![Row { key, value }], ..Commit::default() };
    match shared.commit(&commit).await {
        Committed::Done | Committed::Fenced => {}
        Committed::Refused(trouble) | Committed::Unknown(trouble) => {
            tracing::warn!("a push notification could not be left for the leader: {trouble}");
        }
    }
}

/// Brings what others left to the engine, for as long as this host leads.
pub async fn collect(shared: Rc<Shared>, ledger: Rc<Ledger>, inbox: Inbox) {
    let mut feed = Feed::of(shared, vec![HINTS.to_owned()], PACE);
    loop {
        let rows: Vec<Row> = match feed.next().await {
            Fed::All(rows) => rows,
            Fed::Changed(changes) => changes.into_iter().filter_map(put).collect(),
            Fed::Away(_) => continue,
        };
        let mut read = Vec::new();
        for Row { key, value } in rows {
            if let Ok(hint) = serde_json::from_slice::<Hint>(&value) {
                let _ = inbox.send(Message::Hint(hint)).await;
            }
            read.push((key, None));
        }
        // What is not deleted is read again, which does nothing more.
        if ledger.write(read).await == Err(Unwritten::Deposed) {
            return;
        }
    }
}

fn put(change: Change) -> Option<Row> {
    match change {
        Change::Put(row) => Some(row),
        Change::Deleted(_) => None,
    }
}
