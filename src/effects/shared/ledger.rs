//! The state of the collector that leads: rows of the store, written under the fence of its term.
//!
//! The `state.db` of its host is the mirror: it shows what was written when the store is away, and knows better than a store
//! that was restored from a copy.

use std::rc::Rc;
use std::sync::Arc;

use super::keeper::Term;
use super::{Commit, Committed, Compare, MOST_ROWS, Row, Shared, Trouble};
use crate::effects::store::file::boot_id;
use crate::effects::store::load::identity;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::Now;
use certcollectd_core::fleet::keys::{Key, ROWS};
use certcollectd_core::fleet::published::Meta;
use certcollectd_core::fleet::rows::{self, Boot, Wanted};
use certcollectd_core::state::RowError;

/// Bytes of values in one commit; a store takes half as much again.
const MOST_BYTES: usize = 1_000_000;
/// How often a commit is tried whose fate is unknown: the rows are the same each time.
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
        "the store holds another fleet than this host has been in: set another `prefix` in [fleet], or go on with that fleet by \
         `certcollectd fleet accept-restore`"
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
}

impl Ledger {
    pub fn new(shared: Rc<Shared>, term: &Term, clock: fn() -> Now) -> Ledger {
        let fence = Compare { key: Key::Term.to_string(), value: Some(term.fence.clone()) };
        Ledger { shared, fence, boot: boot_id(), clock }
    }

    fn boot(&self) -> Boot<'_> {
        Boot { id: &self.boot, now: (self.clock)() }
    }

    /// All of it is durable in the store when it returns.
    pub async fn save(&self, changes: &Changes) -> Result<(), Unwritten> {
        self.write(rows::write(changes, self.boot())).await
    }

    /// In several commits, if there are many; repeated as long as the fate of one is unknown.
    pub async fn write(&self, rows: Vec<Wanted>) -> Result<(), Unwritten> {
        let mut commit = self.empty();
        let mut bytes = 0;
        for (key, value) in rows {
            let size = value.as_ref().map_or(0, Vec::len);
            let count = commit.puts.len() + commit.deletes.len();
            if count == MOST_ROWS || (count > 0 && bytes + size > MOST_BYTES) {
                self.commit(&std::mem::replace(&mut commit, self.empty())).await?;
                bytes = 0;
            }
            bytes += size;
            match value {
                Some(value) => commit.puts.push(Row { key, value }),
                None => commit.deletes.push(key),
            }
        }
        if commit.puts.is_empty() && commit.deletes.is_empty() {
            return Ok(());
        }
        self.commit(&commit).await
    }

    fn empty(&self) -> Commit {
        Commit { expected: vec![self.fence.clone()], ..Commit::default() }
    }

    async fn commit(&self, commit: &Commit) -> Result<(), Unwritten> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.shared.commit(commit).await {
                Committed::Done => return Ok(()),
                Committed::Fenced => return Err(Unwritten::Deposed),
                Committed::Unknown(_) if tries < TRIES => {}
                Committed::Refused(trouble) | Committed::Unknown(trouble) => {
                    return Err(Unwritten::Trouble(trouble));
                }
            }
        }
    }

    /// The id of the fleet, made with its first leader. `known` is the one that this host has been in.
    pub async fn identify(&self, known: Option<&str>) -> Result<String, Identified> {
        let key = Key::Meta.to_string();
        let found = self.shared.get(&[&key]).await;
        let found = found.map_err(|trouble| Identified::Not(trouble.to_string()))?.pop().flatten();
        let Some(row) = found else {
            let mut random = [0; 16];
            aws_lc_rs::rand::fill(&mut random).expect("the system has randomness");
            let meta = Meta::new(random);
            let written = self.write(vec![(key, Some(meta.to_row()))]).await;
            written.map_err(|why| Identified::Not(TakeOver::Unwritten(why).to_string()))?;
            return Ok(meta.id().to_owned());
        };
        let unread = |refusal| Identified::Not(format!("the row {key} of the store: {refusal}"));
        let meta = Meta::read(&row).map_err(unread)?;
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
