//! Commands of the operator.

use serde::{Deserialize, Serialize};

use crate::api::Replace;
use crate::config::Dcv;
use crate::engine::takeover::Takeover;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    Poll(String),
    /// Resume an order that needed attention.
    Resume(String),
    /// Let one trial call through on a closed account, with another password than the one that was refused.
    ResumeAccount(String),
    /// The same with whatever password is there.
    ResumeSamePassword(String),
    /// Install what is in quarantine, or what was rolled back from.
    Accept(String),
    /// The same, and it goes into place whatever the windows of the order say.
    AcceptNow(String),
    /// Put the generation before the current one back.
    Rollback(String),
    Rehearse(String),
    /// Record files that are served already as the installed generation of each of these orders.
    TakeOver(Vec<Takeover>),
    /// Say of each whether that would be refused, or something is installed already.
    CheckTakeOver(Vec<Takeover>),
    /// Forget an order that is no longer configured.
    Forget(String),
    /// Ask the vendor for the state of an order's domains.
    Domains(Target),
    /// Have the collection mail of an S/MIME order sent again.
    Resend(Target),
    Replace(Box<ReplaceCommand>),
    /// Have the certificate of a TLS order issued anew under its number.
    Reissue(Box<ReissueCommand>),
    /// Have a re-issue that is being prepared not sent.
    WithdrawReissue(String),
    /// What is about the fleet, and not about this host's orders.
    Fleet(FleetCommand),
    /// Let re-issues go on that were stopped because the last ones were in vain: of an account, or of all.
    ResumeReissues(Option<String>),
}

impl Command {
    /// Whether a call is part of it, or may be.
    pub fn asks_the_vendor(&self) -> bool {
        match self {
            Command::Poll(_)
            | Command::Resume(_)
            | Command::ResumeAccount(_)
            | Command::ResumeSamePassword(_)
            | Command::Domains(_)
            | Command::Resend(_)
            | Command::Replace(_)
            | Command::Reissue(_)
            | Command::WithdrawReissue(_)
            | Command::ResumeReissues(_) => true,
            Command::Accept(_)
            | Command::AcceptNow(_)
            | Command::Rollback(_)
            | Command::Rehearse(_)
            | Command::TakeOver(_)
            | Command::CheckTakeOver(_)
            | Command::Forget(_)
            | Command::Fleet(_) => false,
        }
    }
}

/// What an operator wants of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FleetCommand {
    /// Have another collector lead.
    StepDown,
    /// Let every host have the published generation of an order.
    Go(String),
    /// Let no further host have it.
    Hold(String),
    /// Let the roll-out go on without the hosts that failed.
    Skip(String),
    /// Take out what is published of an order that no collector knows any more.
    Forget(String),
    /// Go on with a store that shows less than it showed before.
    AcceptRestore,
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

/// What `reissue` wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReissueCommand {
    pub order: String,
    /// The request, DER in base64 without armour; nothing where the configuration says whence.
    pub csr: Option<String>,
    pub dcv: Option<Dcv>,
    /// `uniqueValue`, at most 20 letters and digits; nothing where one is to be made.
    pub unique: Option<String>,
    /// Show all of it, and send and save nothing.
    pub dry_run: bool,
    /// Although it is unclear whether an earlier one was made, or it was refused.
    pub again: bool,
    /// Further parameters, name and value.
    pub parameters: Vec<(String, String)>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    /// Whether what was wanted was done.
    pub ok: bool,
    /// In words, lines separated by line ends.
    pub text: String,
    /// The same for machines, where there is more than the text; else null.
    pub data: serde_json::Value,
}

impl CommandReply {
    /// The key in [`CommandReply::data`] after a poll: what its answer says of the login.
    pub const LOGIN: &str = "login";
    /// Its value where the answer cannot have come without an accepted login.
    pub const ACCEPTED: &str = "accepted";
    /// Its value where the vendor refused the login.
    pub const REFUSED: &str = "refused";
    /// The key in [`CommandReply::data`] that says what a re-issue waits for: `proof`.
    pub const WAITS: &str = "waits_for";

    /// Whether it is about a re-issue of which nothing was sent, for want of its proof alone.
    pub fn waits_for_proof(&self) -> bool {
        self.data[CommandReply::WAITS] == "proof"
    }

    pub fn new(ok: bool, text: impl Into<String>) -> Self {
        CommandReply { ok, text: text.into(), data: serde_json::Value::Null }
    }
}
