//! Orders that are no longer configured: reported when they are removed, forgotten on command.
//!
//! The time of the number's last poll is kept: forgetting an order and adding it again must not cause an early poll.

use std::sync::Arc;

use crate::api::OrderRef;
use crate::engine::Engine;
use crate::engine::id::Token;
use crate::engine::loaded::Remembered;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::record::{Domains, OrderRecord};
use crate::engine::time::{Now, day, rfc3339};

/// Maximum number of names listed.
const SHOWN: usize = 20;

/// Whether there is anything to forget besides the time of the last poll.
fn holds(known: &Remembered) -> bool {
    let record = &known.record;
    record.installed.is_some() || record.staged.is_some() || record.heard.is_some() || record.bundled
}

/// Why a name cannot be forgotten, if it cannot. `configured` are the names in force, `known` all in the state.
pub fn why_not<'a>(
    name: &str,
    is_configured: bool,
    known: impl Iterator<Item = (&'a str, &'a Remembered)>,
) -> Option<String> {
    let shown = crate::api::Untrusted::new(name);
    if is_configured {
        return Some(format!(
            "{shown} is configured: remove its entry from the configuration first, then run this again"
        ));
    }
    let mut others: Vec<&str> = Vec::new();
    for (known, remembered) in known {
        match holds(remembered) {
            true if known == name => return None,
            true => others.push(known),
            false => {}
        }
    }
    others.sort_unstable();
    let more = others.len().saturating_sub(SHOWN);
    others.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(match others[..] {
        [] => format!(
            "nothing is remembered about an order named {shown}, nor about any other that is not configured"
        ),
        _ => format!(
            "nothing is remembered about an order named {shown} that is not configured; there are: {}{more}",
            others.join(", ")
        ),
    })
}

/// A record with only the times at which its number, and its former ones, were asked about, and the tokens that are spent.
fn stripped(record: &OrderRecord, now: Now) -> OrderRecord {
    let mut bare = OrderRecord::new(record.account.clone(), record.handle.clone(), now);
    bare.polled = record.polled;
    bare.former.clone_from(&record.former);
    bare.tokens.clone_from(&record.tokens);
    bare.domains =
        record.domains.as_ref().map(|domains| Box::new(Domains { asked: domains.asked, heard: None }));
    bare.due = None;
    bare
}

impl Order<'_> {
    /// Reports the removal of an order; an installed certificate is no longer guarded.
    pub(crate) fn tell_removed(&mut self) {
        let state = &*self.state;
        let number = OrderRef::text_of(&state.record.handle);
        let (level, text) = match &state.record.installed {
            Some(installed) => {
                let end = rfc3339(installed.not_after);
                let day = day(&end);
                let text = format!(
                    "order {number} is no longer configured, and it holds an installed certificate: its \
                     files stay, but are no longer guarded, and the certificate expires on {day}; add it to \
                     the configuration again, or run `certcollectd forget {}`",
                    state.name
                );
                (Level::Warn, text)
            }
            None => (
                Level::Info,
                format!("order {number} is no longer configured: its files stay, it is not polled"),
            ),
        };
        self.note(level, NoteKind::Removed, text);
    }
}

impl Engine {
    /// Ends what is remembered of an order that is not configured.
    pub(crate) fn forget(&mut self, token: Token, name: &str) {
        let known = self.orders.archive.iter().map(|(name, known)| (&**name, known));
        if let Some(why) = why_not(name, self.orders.find(name).is_some(), known) {
            return self.outbox.reply(token, false, &why);
        }
        let name: Arc<str> = name.into();
        if let Some(known) = self.orders.archive.get_mut(&name) {
            *known = Remembered { record: stripped(&known.record, self.now), bundle: None };
        }
        self.outbox.unsaved.archived.insert(name.clone());
        self.outbox.unsaved.forgotten.insert(name.clone());
        self.note(Level::Info, NoteKind::Forgotten, format!("{name}: forgotten at the operator's request"));
        self.outbox.save_first();
        let text = format!(
            "{name} is forgotten; its files in {} stay, remove them once nothing uses them",
            self.config.install_dir.join(&*name).display()
        );
        self.outbox.reply(token, true, &text);
    }
}
