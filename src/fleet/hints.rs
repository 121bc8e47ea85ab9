//! Push notifications that came to a collector that does not lead: rows of the store, until the leader has read them.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::member;
use crate::effects::shared::ledger::{Ledger, Unwritten};
use crate::effects::shared::{Change, Commit, Committed, News, Row, Shared, Trouble};
use crate::sources::{Inbox, Message};
use certcollectd_core::api::push::Hint;
use certcollectd_core::fleet::keys::{HINTS, Key};

/// All rows are read again after this, whatever the watch brought.
const LIST_EVERY: Duration = Duration::from_secs(60);
/// After the store could not be read.
const WAIT: Duration = Duration::from_secs(2);
const PLACES: usize = 16;

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
        Committed::Done => {}
        Committed::Fenced => {}
        Committed::Refused(trouble) | Committed::Unknown(trouble) => {
            tracing::warn!("a push notification could not be left for the leader: {trouble}");
        }
    }
}

/// Brings what others left to the engine, for as long as this host leads.
pub async fn collect(shared: Rc<Shared>, ledger: Rc<Ledger>, inbox: Inbox) {
    loop {
        let (news, mut changes) = mpsc::channel(PLACES);
        let mut watches = JoinSet::new();
        let rows = match shared.list(HINTS).await {
            Ok(listing) => {
                watches.spawn_local(member::pass_on(shared.watch(HINTS, listing.revision), news));
                listing.rows
            }
            Err(Trouble::Away(_) | Trouble::Full(_) | Trouble::Denied(_) | Trouble::Other(_)) => {
                sleep(WAIT).await;
                continue;
            }
        };
        let mut end = pin!(sleep(LIST_EVERY));
        if take(rows, &ledger, &inbox).await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                next = changes.recv() => {
                    let Some(News::Changes(changes)) = next else { break };
                    let put = |change| match change {
                        Change::Put(row) => Some(row),
                        Change::Deleted(_) => None,
                    };
                    if take(changes.into_iter().filter_map(put).collect(), &ledger, &inbox).await.is_err() {
                        return;
                    }
                }
                () = &mut end => break,
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Whether this host still leads.
async fn take(rows: Vec<Row>, ledger: &Ledger, inbox: &Inbox) -> Result<(), ()> {
    let mut read = Vec::new();
    for Row { key, value } in rows {
        if let Ok(hint) = serde_json::from_slice::<Hint>(&value) {
            let _ = inbox.send(Message::Hint(hint)).await;
        }
        read.push((key, None));
    }
    match ledger.write(read).await {
        Err(Unwritten::Deposed) => Err(()),
        // They are read again, which does nothing more.
        Ok(()) | Err(Unwritten::Trouble(_)) => Ok(()),
    }
}
