//! The state of the collector that leads: rows of the store, written under the fence of its term.
//!
//! The `state.db` of its host is the mirror: it shows what was written when the store is away, and knows better than a store
//! that was restored from a copy.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::keeper::Term;
use super::{Commit, Committed, Compare, MOST_ROWS, Row, Shared, Trouble};
use crate::effects::store::file::boot_id;
use crate::effects::store::load::identity;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::Now;
use certcollectd_core::fleet::keys::{Key, ROWS};
use certcollectd_core::fleet::published::{Meta, OTHER_FLEET};
use certcollectd_core::fleet::rows::{self, Boot, Wanted};
use certcollectd_core::state::RowError;

/// Bytes of values in one commit; a store takes half as much again.
const MOST_BYTES: usize = 1_000_000;
/// How often a commit is tried whose fate is unknown.
const TRIES: u32 = 3;

/// Why nothing of a list of effects may be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwritten {
    /// Another process leads.
    Deposed,
    Trouble(Trouble),
}

/// Why the state cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error("{0}")]
    Store(Trouble),
    #[error(
        "{0}; nothing is called without it. Put the store back from a copy, or delete the row if its order may start anew"
    )]
    Row(#[from] RowError),
}

/// Why it is not known which fleet this is, or it is the wrong one.
#[derive(Debug, thiserror::Error)]
pub enum Identified {
    #[error(
        "{OTHER_FLEET}: set another `prefix` in [fleet], or go on with that fleet by `certcollectd fleet accept-restore`"
    )]
    Other,
    #[error("{0}")]
    Not(String),
}

#[derive(Debug)]
pub struct Ledger {
    shared: Rc<Shared>,
    fence: Compare,
    boot: String,
    clock: fn() -> Now,
    skew: Duration,
    last: Mutex<Last>,
}

/// The last commit.
#[derive(Debug, Default)]
struct Last {
    /// Above all that were sent.
    number: u64,
    /// What the store has counted, as far as it is known.
    counted: Option<Vec<u8>>,
}

impl Ledger {
    pub fn new(shared: Rc<Shared>, term: &Term, clock: fn() -> Now) -> Ledger {
        let fence = Compare { key: Key::Term.to_string(), value: Some(term.fence.clone()) };
        Ledger { shared, fence, boot: boot_id(), clock, skew: Duration::ZERO, last: Mutex::default() }
    }

    /// As far as this machine's clock was found to be from the leader's before.
    pub fn with_skew(self, skew: Duration) -> Ledger {
        Ledger { skew, ..self }
    }

    fn boot(&self) -> Boot<'_> {
        Boot { id: &self.boot, now: (self.clock)(), skew: self.skew }
    }

    /// All of it is durable in the store when it returns.
    pub async fn save(&self, changes: &Changes) -> Result<(), Unwritten> {
        self.write(rows::write(changes, self.boot())).await
    }

    /// In several commits, if there are many.
    pub async fn write(&self, rows: Vec<Wanted>) -> Result<(), Unwritten> {
        let (mut puts, mut deletes, mut bytes) = (Vec::new(), Vec::new(), 0);
        for (key, value) in rows {
            let size = value.as_ref().map_or(0, Vec::len);
            // Its number is a row more.
            let count = puts.len() + deletes.len() + 1;
            if count == MOST_ROWS || (count > 1 && bytes + size > MOST_BYTES) {
                self.commit(std::mem::take(&mut puts), std::mem::take(&mut deletes)).await?;
                bytes = 0;
            }
            bytes += size;
            match value {
                Some(value) => puts.push(Row { key, value }),
                None => deletes.push(key),
            }
        }
        if puts.is_empty() && deletes.is_empty() {
            return Ok(());
        }
        self.commit(puts, deletes).await
    }

    /// One at a time, each after the one before, whatever becomes of the answers: a commit that arrives late finds that another
    /// one was counted since.
    async fn commit(&self, puts: Vec<Row>, deletes: Vec<String>) -> Result<(), Unwritten> {
        let mut last = self.last.lock().await;
        last.number += 1;
        let counted = last.number.to_string().into_bytes();
        let key = Key::Commit.to_string();
        let mut commit = Commit { puts, deletes, ..Commit::default() };
        commit.puts.push(Row { key: key.clone(), value: counted.clone() });
        let mut tries = 0;
        loop {
            tries += 1;
            let before = Compare { key: key.clone(), value: last.counted.clone() };
            commit.expected = vec![self.fence.clone(), before];
            let trouble = match self.shared.commit(&commit).await {
                Committed::Done => {
                    last.counted = Some(counted);
                    return Ok(());
                }
                Committed::Fenced => None,
                Committed::Refused(trouble) => return Err(Unwritten::Trouble(trouble)),
                Committed::Unknown(trouble) => Some(trouble),
            };
            match self.counted().await {
                Ok(found) => last.counted = found?,
                Err(away) if tries == TRIES => return Err(Unwritten::Trouble(trouble.unwrap_or(away))),
                Err(_) => continue,
            }
            // Even where this very commit was counted, the same is written again: what a primary shows after a wait that was cut
            // short, no standby may have. What is done after it is behind it on every one of them.
            if tries == TRIES {
                let other =
                    || Trouble::Other("rows of the fleet's store change under the leader's hands".into());
                return Err(Unwritten::Trouble(trouble.unwrap_or_else(other)));
            }
        }
    }

    /// The last commit that the store has counted; an error within where this process does not lead.
    async fn counted(&self) -> Result<Result<Option<Vec<u8>>, Unwritten>, Trouble> {
        let keys = [Key::Term, Key::Commit].map(|key| key.to_string());
        let mut found = self.shared.get(&keys.each_ref().map(String::as_str)).await?;
        let counted = found.pop().flatten();
        let term = found.pop().flatten();
        Ok(if term == self.fence.value { Ok(counted) } else { Err(Unwritten::Deposed) })
    }

    /// Goes on after the last commit of the leaders before.
    async fn go_on(&self) -> Result<(), TakeOver> {
        let counted = self.counted().await.map_err(Unread::Store)??;
        let number = counted.as_ref().and_then(|counted| std::str::from_utf8(counted).ok()?.parse().ok());
        *self.last.lock().await = Last { number: number.unwrap_or(0), counted };
        Ok(())
    }

    /// The id of the fleet, made with its first leader. `known` is the one that this host has been in.
    pub async fn identify(&self, known: Option<&str>) -> Result<String, Identified> {
        self.go_on().await.map_err(|why| Identified::Not(why.to_string()))?;
        let key = Key::Meta.to_string();
        let found = self.shared.get(&[&key]).await;
        let found = found.map_err(|trouble| Identified::Not(trouble.to_string()))?.pop().flatten();
        let Some(row) = found else {
            let mut random = [0; 16];
            aws_lc_rs::rand::fill(&mut random).expect("the system has randomness");
            // A store that was emptied: its hosts know the fleet again.
            let meta = known.and_then(Meta::of).unwrap_or_else(|| Meta::new(random));
            let written = self.write(vec![(key, Some(meta.to_row()))]).await;
            written.map_err(|why| Identified::Not(TakeOver::Unwritten(why).to_string()))?;
            return Ok(meta.id().to_owned());
        };
        let unread = |refusal| Identified::Not(format!("the row {key} of the store: {refusal}"));
        let meta = Meta::read(&row).map_err(unread)?;
        if let Some(host) = meta.moved_to() {
            return Err(Identified::Not(format!(
                "this fleet has ended: `certcollectd fleet export` made its state that of {host}, which calls the vendor now. For \
                 a new one set another `prefix` in [fleet]"
            )));
        }
        match known {
            Some(known) if known != meta.id() => Err(Identified::Other),
            Some(_) | None => Ok(meta.id().to_owned()),
        }
    }

    /// The state of the leaders before, and the salt of the fleet, which is `salt` if there is none yet.
    pub async fn load(&self, salt: &[u8]) -> Result<(Loaded, Arc<[u8]>), TakeOver> {
        let listing = self.shared.list(ROWS).await.map_err(Unread::Store)?;
        let values = listing.rows.iter().map(|row| (&*row.key, &*row.value));
        let mut loaded = rows::read(values, self.boot()).map_err(Unread::Row)?;
        let key = Key::Salt.to_string();
        let known = listing.rows.iter().find(|row| row.key == key);
        let salt: Arc<[u8]> = match known {
            Some(known) => known.value.as_slice().into(),
            None => {
                self.write(vec![(key, Some(salt.to_vec()))]).await?;
                salt.into()
            }
        };
        loaded.identity = identity(&String::from_utf8_lossy(&salt));
        Ok((loaded, salt))
    }
}

/// Why a term begins with nothing.
#[derive(Debug, thiserror::Error)]
pub enum TakeOver {
    #[error(transparent)]
    Unread(#[from] Unread),
    #[error("{}", match .0 { Unwritten::Deposed => "another collector leads by now".to_owned(), Unwritten::Trouble(why) => why.to_string() })]
    Unwritten(Unwritten),
}

impl From<Unwritten> for TakeOver {
    fn from(why: Unwritten) -> TakeOver {
        TakeOver::Unwritten(why)
    }
}
