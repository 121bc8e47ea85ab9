//! The two closed lists: everything that can set the engine going, and everything it can ask for.
//!
//! An effect ends in exactly one event, `Save`, `Report` and `Reply` excepted: a save says nothing unless
//! it fails, and what is reported is gone.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::push::Hint;
use crate::api::{Answer, Failure, Foreign, Replace, Request};
use crate::cert::{Anchors, Certificate, Fingerprint, KeyCandidate, PublicKey};
use crate::config::{Config, FileCopy, Files, Hook, HookEvent, KeySource};

use super::Adopted;
use super::NoteKind;
use super::account::AccountRecord;
use super::order::OrderRecord;

/// An order within one process; never used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u32);

/// One run of one hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

/// Names the operator's request that waits for a [`Effect::Reply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Everything that can set the engine going.
#[derive(Debug)]
pub enum Event {
    /// The state was loaded; look what is owed.
    Started,
    /// The time that `next_wake` asked for has come, or may have.
    Woke,
    Answered {
        account: Arc<str>,
        /// The answer, unread, or why there is none.
        outcome: Result<Answer, Failure>,
        /// The credential that was sent, where the answer may refuse it.
        credential: Option<CredentialTag>,
    },
    /// A credential was read for [`Effect::Fingerprint`].
    Fingerprinted {
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
    Staged {
        order: OrderId,
        /// What is there now, complete and durable, but not visible to readers.
        result: Result<StagedFiles, InstallError>,
    },
    Activated {
        order: OrderId,
        /// Readers see the new generation, or why not.
        result: Result<(), InstallError>,
    },
    /// [`Effect::Sweep`] or [`Effect::Quarantine`] ended.
    Tidied {
        order: OrderId,
        /// What did not work, in words.
        problem: Option<String>,
    },
    /// [`Effect::Inspect`], [`Effect::Stage`] or [`Effect::Activate`] ended in a panic.
    CameToGrief {
        order: OrderId,
    },
    /// [`Effect::RunHook`] ended.
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
    /// What kept the state from being saved is over, as far as can be seen.
    StateBack,
    /// Someone said that an order has news. Trusted for nothing but that.
    Hinted {
        hint: Hint,
    },
    Commanded {
        token: Token,
        command: Command,
    },
    /// The configuration was reloaded and is sound.
    Configured {
        config: Arc<Config>,
    },
    /// Start nothing new; finish what is under way.
    Stopping,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    Poll(String),
    /// Take an order up again that needed attention.
    Resume(String),
    /// Let one probe through on a closed account, with another password than the one that was refused.
    ResumeAccount(String),
    /// The same with whatever password is there.
    ResumeSamePassword(String),
    /// Install what is in quarantine, or what was rolled back from.
    Accept(String),
    /// Put the generation before the current one back.
    Rollback(String),
    Rehearse(String),
    /// End what is remembered of an order that is configured no more.
    Forget(String),
    /// Ask the vendor for the state of an order's domains.
    Domains(Target),
    /// Have the collection mail of an S/MIME order sent again.
    Resend(Target),
    Replace(Box<ReplaceCommand>),
}

/// Which order of the vendor's a command is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// One that is configured, by its name.
    Order(String),
    Number {
        /// `orderNumber`, 1 to 128 characters.
        number: String,
        /// On which account; needed where there are several and no configured order has the number.
        account: Option<String>,
    },
}

/// What `smime replace` wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceCommand {
    pub account: Option<String>,
    pub replace: Replace,
    /// The name under which the new order is to be collected.
    pub adopt: Option<String>,
    /// Sent although it may have been sent before.
    pub again: bool,
}

/// Everything the engine can ask for.
#[derive(Debug)]
pub enum Effect {
    /// Make these changes durable, all or none, before any effect behind it.
    Save(Box<Changes>),
    /// One POST.
    Call(Call),
    /// Read an account's credential and say whether it is still the same, without saying what it is.
    Fingerprint {
        account: Arc<str>,
    },
    /// Look at keys, trust anchors and what is installed.
    Inspect(Box<Inspect>),
    /// Write a new generation beside the current one; readers do not see it yet.
    Stage(Box<Stage>),
    /// Let readers see a staged generation; then the copies.
    Activate(Box<Activate>),
    /// Remove generations that are neither current nor young.
    Sweep {
        order: OrderId,
        name: Arc<str>,
        /// The generation that stays whatever its age.
        current: String,
    },
    /// Put a refused bundle where the operator can look at it.
    Quarantine(Box<Quarantine>),
    RunHook(Box<HookRun>),
    /// Tell people and machines.
    Report(Note),
    /// Answer an operator's request.
    Reply {
        token: Token,
        reply: CommandReply,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// On which account; login and address are looked up there.
    pub account: Arc<str>,
    /// What is sent, but for the login.
    pub request: Request,
}

/// Tells a changed credential from the same one: 16 bits of a slow, salted hash. Enough to notice a
/// change (all but one in 65,536), too little to confirm a guess, and kept only while an account is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialTag(pub u16);

/// What is to be looked at for one order.
#[derive(Debug, Clone)]
pub struct Inspect {
    pub order: OrderId,
    pub name: Arc<str>,
    pub purpose: InspectPurpose,
    /// The generation on record; its certificates are wanted even where no link leads there.
    pub current: Option<Box<str>>,
    /// The end entity on record.
    pub leaf: Option<Fingerprint>,
    /// What should be there, for comparison; permissions that drifted are put right.
    pub expected: Vec<InstalledFile>,
    /// Owner, group and mode that should be there.
    pub files: Files,
    /// The copies that should be elsewhere.
    pub copies: Box<[FileCopy]>,
}

/// What an order is inspected for, and what is read for that besides its installed files.
#[derive(Debug, Clone)]
pub enum InspectPurpose {
    /// To judge its bundle.
    Verify {
        key: KeySource,
        /// `None` where trust is not checked.
        anchors: Option<AnchorSource>,
    },
    /// To see whether its files are still what was installed.
    Look,
    /// To put the generation before the current one back.
    RollBack { key: KeySource },
}

impl InspectPurpose {
    pub fn key(&self) -> Option<&KeySource> {
        match self {
            InspectPurpose::Verify { key, .. } | InspectPurpose::RollBack { key } => Some(key),
            InspectPurpose::Look => None,
        }
    }
}

/// Where the trust anchors come from.
#[derive(Debug, Clone)]
pub enum AnchorSource {
    Platform,
    File(PathBuf),
}

#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// A candidate for each key file that was read, readable or not.
    pub keys: Vec<KeyCandidate>,
    /// Key files, or the CSR's, that could not be read or hold nothing of use, and why.
    pub unread: Vec<InstallError>,
    /// The CSR's public key, or why there is none.
    pub csr: Option<Result<PublicKey, String>>,
    /// The trust anchors, or why there are none.
    pub anchors: Option<Result<Arc<Anchors>, String>>,
    /// What `<install_dir>/<name>` is.
    pub link: Link,
    /// The certificates found in the generation that the link names, or else in the one on record.
    pub certificates: Vec<Certificate>,
    /// Name and SHA-256 of each file of that generation.
    pub files: Vec<(String, Fingerprint)>,
    /// What was put right, in words.
    pub repaired: Vec<String>,
    /// What drifted and could not be put right, in words.
    pub unmended: Vec<String>,
    /// Why it cannot be told whether readers find what was installed, in words.
    pub unreadable: Vec<String>,
    /// Copies elsewhere that cannot be looked at, and why. What is missing is put back all the same.
    pub unseen: Vec<String>,
    /// Expected files that are missing, or of no use to anyone.
    pub missing: Vec<String>,
    /// Expected files whose content is not what was installed.
    pub altered: Vec<String>,
    /// Whether no link leads to the generation on record, and its own files are to the byte what was installed.
    pub unlinked: bool,
    /// The newest complete generation before the current one: its name, certificates and files.
    pub previous: Option<(String, Vec<Certificate>, Vec<InstalledFile>)>,
}

/// What stands where readers look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Link {
    #[default]
    Missing,
    /// Our link, to this generation.
    Generation(String),
    /// Something that is not ours, described.
    Foreign(String),
    /// It could not be looked at: why.
    Unknown(String),
}

/// A file of an installed generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstalledFile {
    /// Plain file name within the generation.
    pub name: String,
    /// SHA-256 of the content.
    #[serde(rename = "sha256")]
    pub digest: Fingerprint,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFiles {
    pub generation: String,
    /// Its files, as read back from the disk.
    pub files: Vec<InstalledFile>,
}

/// The verified certificates of one generation.
#[derive(Debug, Clone)]
pub struct Material {
    pub leaf: Certificate,
    /// Leaf's issuer first, self-signed root left out.
    pub chain: Vec<Certificate>,
    /// The self-signed root, if the vendor sent it.
    pub root: Option<Certificate>,
    /// The key file that fits.
    pub key: Option<PathBuf>,
}

/// A generation to write.
#[derive(Debug, Clone)]
pub struct Stage {
    pub order: OrderId,
    pub name: Arc<str>,
    pub generation: String,
    pub material: Material,
    pub files: Files,
}

/// A generation to put into place.
#[derive(Debug, Clone)]
pub struct Activate {
    pub order: OrderId,
    pub name: Arc<str>,
    /// The generation, which must be complete.
    pub generation: String,
    pub expected: Vec<InstalledFile>,
    /// For the copies.
    pub material: Material,
    /// For the copies.
    pub files: Files,
    /// Real files elsewhere.
    pub copies: Box<[FileCopy]>,
    /// Whether it is the installed generation, of which only the link is gone: that does not wait for the copies.
    pub relinks: bool,
}

/// A refused bundle.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub order: OrderId,
    pub name: Arc<str>,
    /// All certificates, the presumed leaf first.
    pub certificates: Vec<Certificate>,
    /// The reasons, a line each.
    pub reason: String,
}

/// A step of an installation that failed. Shows as `step path: cause`, then what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallError {
    /// What was being done, for instance `create`, `sync`, `swap the link`.
    pub step: &'static str,
    pub path: PathBuf,
    /// The cause in words.
    pub cause: String,
    /// What would help, if that is known.
    pub advice: Option<String>,
    /// Whether the staged generation is of no use and must be written again.
    pub stale: bool,
}

impl InstallError {
    pub fn new(step: &'static str, path: impl Into<PathBuf>, cause: impl Into<String>) -> InstallError {
        InstallError { step, path: path.into(), cause: cause.into(), advice: None, stale: false }
    }

    pub fn advise(self, advice: impl Into<String>) -> InstallError {
        InstallError { advice: Some(advice.into()), ..self }
    }
}

impl fmt::Display for InstallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.step, self.path.display(), self.cause)?;
        match &self.advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

/// One run of a hook, for one or several orders.
#[derive(Debug, Clone)]
pub struct HookRun {
    pub run: RunId,
    pub hook: Arc<Hook>,
    pub event: HookEvent,
    /// For whom; at least one.
    pub subjects: Vec<Subject>,
    pub rehearsal: bool,
}

/// What a hook is told of one order. Empty where there is nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    pub order: Arc<str>,
    /// The number it is known by at the vendor.
    pub number: String,
    /// `ssl`, `mark` or `smime`.
    pub product: &'static str,
    /// `<install_dir>/<name>`.
    pub dir: PathBuf,
    /// Where `cert` is, empty if it is not written.
    pub cert: PathBuf,
    /// Where `chain` is, empty if it is not written.
    pub chain: PathBuf,
    /// Where `fullchain` is, empty if it is not written.
    pub fullchain: PathBuf,
    /// Names in the certificate that are well-formed.
    pub domains: Vec<String>,
    /// Lower-case hexadecimal.
    pub serial: String,
    /// SHA-256, lower-case hexadecimal.
    pub fingerprint: String,
    /// UNIX seconds.
    pub not_after: Option<i64>,
    /// The generation's name.
    pub generation: String,
    /// What was left out because it is too long: variables without their `CERTCOLLECTD_`.
    pub untold: Vec<&'static str>,
}

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookResult {
    Done,
    /// Exit code 42: the hook says that this event is not for it.
    NotForMe,
    Failed {
        /// In our words: exit status, signal, timeout, what was refused.
        why: String,
        /// The last lines that it printed, three at most.
        last_words: Vec<Foreign>,
        /// The one thing to do, where that is known.
        remedy: Option<String>,
    },
}

impl HookResult {
    /// It did not work, and that is all that is known.
    pub fn failed(why: impl Into<String>) -> HookResult {
        HookResult::Failed { why: why.into(), last_words: Vec::new(), remedy: None }
    }
}

/// Rows to write in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub orders: Vec<(Arc<str>, OrderRecord)>,
    pub accounts: Vec<(Arc<str>, AccountRecord)>,
    /// Bundles that were collected (`Some`) or are no longer needed (`None`).
    pub bundles: Vec<(Arc<str>, Option<Vec<Certificate>>)>,
    /// Adopted orders that are new (`Some`) or are none any more (`None`).
    pub adopted: Vec<(Arc<str>, Option<Adopted>)>,
    /// Orders whose history and bundle go.
    pub forgotten: Vec<Arc<str>>,
    pub history: Vec<Note>,
    /// Wall time minus schedule time in milliseconds, if it changed.
    pub offset: Option<i64>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.orders.is_empty()
            && self.accounts.is_empty()
            && self.bundles.is_empty()
            && self.adopted.is_empty()
            && self.forgotten.is_empty()
            && self.history.is_empty()
            && self.offset.is_none()
    }
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The operator should look now.
    Error,
    /// Not as it should be, but being dealt with.
    Warn,
    /// As it should be.
    Info,
    /// For the curious.
    Debug,
}

/// Something worth telling: to the log, to an order's history, to metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub level: Level,
    pub kind: NoteKind,
    pub order: Option<Arc<str>>,
    pub account: Option<Arc<str>>,
    /// When, in UNIX seconds.
    pub at: i64,
    /// What happened, what happens next, what to do. No secret, nothing unescaped.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// Whether what was wanted was done.
    pub ok: bool,
    /// In words, lines separated by line ends.
    pub text: String,
    /// The same for machines, where there is more to tell than the words; else null.
    pub data: serde_json::Value,
}

impl CommandReply {
    /// The key in [`CommandReply::data`] after a poll: what its answer says of the login.
    pub const LOGIN: &str = "login";
    /// Its value where the answer cannot have come without an accepted login.
    pub const ACCEPTED: &str = "accepted";
    /// Its value where the vendor refused the login.
    pub const REFUSED: &str = "refused";

    pub fn new(ok: bool, text: impl Into<String>) -> Self {
        CommandReply { ok, text: text.into(), data: serde_json::Value::Null }
    }
}
