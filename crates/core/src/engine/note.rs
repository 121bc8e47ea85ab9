//! Log records, kept in the history where worth remembering.

use std::sync::Arc;

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The operator should look now.
    Error,
    /// Not as it should be, but being dealt with.
    Warn,
    /// As it should be.
    Info,
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

/// Consecutive failures after which the operator should look, although retries go on.
pub const ALARM_AFTER: u32 = 3;

/// The level for this many failures in a row.
pub(crate) fn level_of(failures: u32) -> Level {
    if failures >= ALARM_AFTER { Level::Error } else { Level::Warn }
}

words! {
    /// What a note is about, for machines.
    pub enum NoteKind {
        Accepted = "accepted",
        AccountClosed = "account-closed",
        AccountOpen = "account-open",
        AccountTrial = "account-probe",
        Adopted = "adopted",
        Attention = "attention",
        CallLimit = "call-limit",
        Clock = "clock",
        Collected = "collected",
        Domains = "domains",
        DomainsRefused = "domains-refused",
        Drift = "drift",
        Expiring = "expiring",
        Forgotten = "forgotten",
        Found = "found",
        Garbled = "garbled",
        Guarded = "guarded",
        Held = "held",
        HookDone = "hook-done",
        HookDropped = "hook-dropped",
        HookFailed = "hook-failed",
        HookUntold = "hook-untold",
        InPlace = "in-place",
        InstallFailed = "install-failed",
        Installed = "installed",
        LateAnswer = "late-answer",
        Lost = "lost",
        NoNews = "no-news",
        NotReplaced = "not-replaced",
        NotYetValid = "not-yet-valid",
        OtherName = "other-name",
        PauseOver = "pause-over",
        ProbeFailed = "probe-failed",
        ProbeGood = "probe-good",
        PaymentPending = "payment-pending",
        Pending = "pending",
        Published = "published",
        Push = "push",
        Quarantined = "quarantined",
        Reconfigured = "reconfigured",
        Reissue = "reissue",
        ReissueRefused = "reissue-refused",
        ReissueUnclear = "reissue-unclear",
        Rejected = "rejected",
        Reloaded = "reloaded",
        Removed = "removed",
        Replace = "replace",
        ReplaceUnclear = "replace-unclear",
        Replaced = "replaced",
        ReplacementSettled = "replacement-settled",
        Restage = "restage",
        Resumed = "resumed",
        RevocationAnnounced = "revocation-announced",
        RevocationAnswered = "revocation-answered",
        Revoked = "revoked",
        Rewrite = "rewrite",
        Rollback = "rollback",
        State = "state",
        TakenOver = "taken-over",
        TermEnding = "term-ending",
        Tidy = "tidy",
        Unanswered = "unanswered",
        UnknownCode = "unknown-code",
        Unreachable = "unreachable",
        Unread = "unread",
        Verdict = "verdict",
    }
}
