//! Re-issues of a TLS order under its own number, asked for by an operator's word: the proof of control is published and
//! seen first, the request goes out once, and nothing is ever repeated by the program.
//!
//! A re-issue lies over a guarded order and changes no phase: what is installed stays and is looked after. Each stage, and
//! what leaves it:
//!
//! ```text
//! preparing  the request is at hand, the proof is published and looked for
//!            -> intended   the proof is seen, and a poll just said that the vendor has what is installed
//!            -> open       it was to follow an unclear one, and a poll shows that that one was made
//! intended   saved before the call
//!            -> open       the vendor took it
//!            -> unclear    no answer was understood, or the process ended
//!            -> refused    it certainly was not made
//!            -> preparing  nothing was sent
//! unclear    -> open       a poll shows that a certificate is under way
//!            -> refused    a poll shows that the order was rejected
//! open       -> refused    likewise
//!            -> unclear    after a day, two polls in a row show the certificate of before
//! refused    -> preparing  by the operator's `--again`, as from unclear
//! all        -> closed     another certificate is installed, or from preparing by `--withdraw`
//! ```
//!
//! AutoReplaceSSL is not idempotent: a second call while one is under way edits the order, and a token that was used makes
//! it fail [doc: request-token]. So the call is made only in the same turn of the account as a poll that shows the
//! installed certificate, and the intent is on disk before it.

pub(crate) mod ask;
pub(crate) mod askers;
pub(crate) mod demands;
pub(crate) mod names;
pub(crate) mod plan;
pub(crate) mod prepare;
pub mod record;
pub mod run;
pub mod stop;
pub(crate) mod watch;
