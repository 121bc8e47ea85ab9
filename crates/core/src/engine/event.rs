//! The two closed lists: everything that makes the engine act, and everything it can ask for.
//!
//! An effect ends in exactly one event, `Save`, `Report` and `Reply` excepted: a save says nothing unless
//! it fails, and a report or reply has no result.

use std::sync::Arc;

use crate::api::push::Hint;
use crate::api::{Answer, Failure};
use crate::cert::Certificate;
use crate::config::Config;
use crate::engine::account::call::Call;
use crate::engine::account::record::CredentialTag;
use crate::engine::changes::Changes;
use crate::engine::command::{Command, CommandReply};
use crate::engine::hooks::run::{HookResult, HookRun};
use crate::engine::id::{OrderId, RunId, Token};
use crate::engine::install::{Activate, Inspect, Inspection, InstallError, Quarantine, Stage, Written};
use crate::engine::note::Note;
use crate::engine::probe::{ProbeAnswer, ProbeRun};
use crate::engine::reissue::run::{RequestFound, RequestRun, Survey, SurveyRun};
use crate::engine::time::Time;

/// Everything that makes the engine act.
#[derive(Debug)]
pub enum Event {
    /// The state was loaded; check what is owed.
    Started,
    /// As [`Event::Started`], with a state that another machine may have written last.
    TookOver,
    /// The time from `next_wake` has come, or may have.
    Woke,
    Answered {
        account: Arc<str>,
        /// The answer, unread, or why there is none.
        outcome: Result<Answer, Failure>,
        /// The credential that was sent, where the answer may refuse it.
        credential: Option<CredentialTag>,
    },
    /// A credential was read for [`Effect::TagCredential`].
    CredentialTagged {
        account: Arc<str>,
        /// See [`CredentialTag`]; `None` if it cannot be read.
        tag: Option<CredentialTag>,
    },
    /// A file that holds a credential was touched.
    CredentialTouched {
        account: Arc<str>,
    },
    Inspected {
        order: OrderId,
        inspection: Box<Inspection>,
    },
    /// [`Effect::Install`] ended.
    Installed {
        order: OrderId,
        /// What was written, or why readers see what they saw before.
        result: Result<Written, InstallError>,
    },
    Activated {
        order: OrderId,
        /// Readers see the new generation, or why not.
        result: Result<(), InstallError>,
    },
    /// [`Effect::Probe`] ended.
    Probed {
        run: Box<ProbeRun>,
        /// One list for each probe, in their order.
        answers: Vec<Vec<ProbeAnswer>>,
    },
    /// [`Effect::ReadRequest`] ended.
    RequestRead {
        order: OrderId,
        found: Box<RequestFound>,
    },
    /// [`Effect::Survey`] ended.
    Surveyed {
        order: OrderId,
        survey: Survey,
    },
    /// [`Effect::Sweep`] or [`Effect::Quarantine`] ended.
    Tidied {
        order: OrderId,
        /// What did not work, in words.
        problem: Option<String>,
    },
    /// [`Effect::Inspect`], [`Effect::Install`] or [`Effect::Activate`] ended in a panic.
    Panicked {
        order: OrderId,
    },
    /// [`Effect::RunHook`] or [`Effect::Tell`] ended.
    HookEnded {
        run: RunId,
        result: HookResult,
    },
    /// A save failed; the effects behind it were not carried out.
    SaveFailed {
        changes: Box<Changes>,
        /// What was dropped, in order.
        dropped: Vec<Effect>,
        error: String,
    },
    /// The state can be saved again, as far as is known.
    StateBack,
    /// A notification says that an order has news. Trusted for nothing else.
    Hinted {
        hint: Hint,
    },
    Commanded {
        token: Token,
        command: Command,
    },
    /// The configuration on disk was changed and is invalid.
    Misconfigured,
    /// The configuration was reloaded and is sound.
    Configured {
        config: Arc<Config>,
    },
    /// The fleet's collectors have published a certificate for an order, and it is this host's turn.
    Published {
        order: Arc<str>,
        generation: u64,
        /// The leaf first.
        bundle: Vec<Certificate>,
    },
    /// No call may begin after this: another host may call from then on.
    CallsUntil {
        last: Time,
    },
    /// Start nothing new; finish what is under way.
    Stopping,
}

/// Everything the engine can ask for.
#[derive(Debug)]
pub enum Effect {
    /// Make these changes durable, all or none, before any effect behind it.
    Save(Box<Changes>),
    /// One POST.
    Call(Call),
    /// Read an account's credential and return its tag, which does not reveal it.
    TagCredential {
        account: Arc<str>,
    },
    /// Look at keys, trust anchors and what is installed.
    Inspect(Box<Inspect>),
    /// Write a new generation beside the current one, then let readers see it; then the copies.
    Install(Box<Stage>),
    /// Let readers see a generation that was written before; then the copies.
    Activate(Box<Activate>),
    /// Remove generations that are neither current nor young.
    Sweep {
        order: OrderId,
        name: Arc<str>,
        /// The generation that stays whatever its age.
        current: String,
    },
    /// Ask servers until they serve what is installed, or their time is over.
    Probe(Box<ProbeRun>),
    /// Read the request for a re-issue, or have it made.
    ReadRequest(Box<RequestRun>),
    /// Look for the proof of control where the vendor will.
    Survey(Box<SurveyRun>),
    /// Put a refused bundle where the operator can look at it.
    Quarantine(Box<Quarantine>),
    RunHook(Box<HookRun>),
    /// Run a hook that tells of an account or of the daemon itself; relies on no save.
    Tell(Box<HookRun>),
    /// Tell people and machines.
    Report(Note),
    /// Answer an operator's request.
    Reply {
        token: Token,
        reply: CommandReply,
    },
}
