//! What a follower says of itself: that it is there, and how far it is with each order.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::follower::Said;
use crate::effects::files::random_name;
use crate::effects::shared::{Commit, Committed, Row, Shared, Trouble};
use crate::sources::{Inbox, Message, clock};
use certcollectd_core::api::Untrusted;
use certcollectd_core::engine::time::Time;
use certcollectd_core::fleet::form::Moment;
use certcollectd_core::fleet::keys::{self, Key};
use certcollectd_core::fleet::report::{Report, Seen, State};

/// A host that says nothing for three times as long counts as silent.
const SEEN_EVERY: Duration = Duration::from_secs(300);
/// After so many on end that are not its own, another host has its name.
const STRANGERS: u32 = 2;

pub(super) struct Reports {
    shared: Rc<Shared>,
    name: Box<str>,
    groups: Vec<Arc<str>>,
    inbox: Inbox,
    said: Rc<Said>,
    /// The last ones that the store has.
    known: HashMap<Arc<str>, (u64, State, String)>,
    /// When this host last said that it is there.
    signed: Option<Time>,
    /// Random: what it says is this process's.
    process: Box<str>,
    /// What stood there last, as far as is known.
    sign_there: Option<Vec<u8>>,
    /// How many times on end that was new, and not its own.
    strangers: u32,
}

impl Reports {
    pub(super) fn new(
        shared: Rc<Shared>,
        name: Box<str>,
        groups: Vec<Arc<str>>,
        inbox: Inbox,
        said: Rc<Said>,
    ) -> Reports {
        Reports {
            shared,
            name,
            groups,
            inbox,
            said,
            known: HashMap::new(),
            signed: None,
            process: random_name().into(),
            sign_there: None,
            strangers: 0,
        }
    }

    /// The generation that the store knows of this host, and how far it is with it.
    pub(super) fn known(&self, order: &str) -> Option<(u64, State)> {
        self.known.get(order).map(|(generation, state, _)| (*generation, *state))
    }

    /// The reports that the store has are those that this host has made and that are not over, and it knows of this host.
    pub(super) async fn compare(&mut self, is_over: impl Fn(&str, &Report) -> bool) -> Result<(), Trouble> {
        let own = self.shared.list(&keys::host(&self.name)).await?.rows;
        let mut known = HashMap::new();
        for row in &own {
            if let Some(Key::Report { order, .. }) = Key::parse(&row.key)
                && let Ok(report) = Report::read(&row.value)
            {
                known.insert(order, report);
            }
        }
        // One whose answer was lost may have come after a newer one.
        self.known.retain(|order, (generation, state, _)| {
            known.get(&**order).is_some_and(|row| (row.generation, row.state) == (*generation, *state))
        });
        let over = known.iter().filter(|(order, report)| is_over(order, report));
        let over: Vec<Arc<str>> = over.map(|(order, _)| (*order).into()).collect();
        for order in over {
            self.take_back(&order).await;
        }
        let seen = Key::Seen { host: &self.name }.to_string();
        let sign = own.iter().find(|row| row.key == seen).map(|row| row.value.clone());
        let is_own = sign
            .as_ref()
            .and_then(|sign| Seen::read(sign).ok())
            .is_some_and(|seen| seen.process == self.process);
        let before = std::mem::replace(&mut self.sign_there, sign);
        self.tell_namesake(!is_own && before.is_some() && before != self.sign_there).await;
        let is_recent = self.signed.is_some_and(|at| clock::now().time.since(at) < SEEN_EVERY);
        // Where the last words did not arrive, these say whether any do.
        if !(is_own && is_recent) || self.said.is_unwritten() {
            self.sign().await;
        }
        Ok(())
    }

    /// A new sign that is not its own may be one of before the store was restored; the one after that is not.
    async fn tell_namesake(&mut self, is_strange: bool) {
        let text = || {
            format!(
                "another host of the fleet is called {} as well, and each takes the other's reports for its own: give one of \
                 them another `name` in [fleet]",
                self.name
            )
        };
        match is_strange {
            true if self.strangers == STRANGERS => {}
            true => {
                self.strangers += 1;
                if self.strangers == STRANGERS {
                    let text = text();
                    tracing::warn!("{text}");
                    let _ = self.inbox.send(Message::Finding { text, holds: true }).await;
                }
            }
            false if self.strangers == STRANGERS => {
                self.strangers = 0;
                let _ = self.inbox.send(Message::Finding { text: text(), holds: false }).await;
            }
            false => self.strangers = 0,
        }
    }

    pub(super) async fn report(
        &mut self,
        order: &Arc<str>,
        generation: u64,
        state: State,
        reason: impl Into<String>,
    ) {
        let report = (generation, state, reason.into());
        if self.known.get(order) == Some(&report) {
            return;
        }
        let row =
            Report { generation, state, reason: Untrusted::new(&report.2), at: Moment(clock::now().unix()) };
        let key = Key::Report { host: &self.name, order }.to_string();
        if self.put(key, row.to_row()).await {
            self.known.insert(order.clone(), report);
        } else {
            // The next listing has it said again, whatever the store knows.
            self.known.remove(order);
        }
    }

    pub(super) async fn take_back(&mut self, order: &Arc<str>) {
        let key = Key::Report { host: &self.name, order }.to_string();
        let commit = Commit { deletes: vec![key], ..Commit::default() };
        if self.commit(&commit).await {
            self.known.remove(order);
        }
    }

    /// Says that this host is there.
    async fn sign(&mut self) {
        let groups = self.groups.iter().map(|group| (**group).into()).collect();
        let version = Untrusted::new(env!("CARGO_PKG_VERSION"));
        let (at, process) = (Moment(clock::now().unix()), self.process.clone());
        let row = Seen { at, groups, version, process }.to_row();
        if self.put(Key::Seen { host: &self.name }.to_string(), row.clone()).await {
            self.signed = Some(clock::now().time);
            self.sign_there = Some(row);
        }
    }

    async fn put(&self, key: String, value: Vec<u8>) -> bool {
        self.commit(&Commit { puts: vec![Row { key, value }], ..Commit::default() }).await
    }

    async fn commit(&self, commit: &Commit) -> bool {
        let (done, trouble) = match self.shared.commit(commit).await {
            Committed::Done => (true, None),
            Committed::Fenced => (false, None),
            Committed::Refused(trouble) | Committed::Unknown(trouble) => (false, Some(trouble)),
        };
        self.said.wrote(trouble);
        done
    }
}
