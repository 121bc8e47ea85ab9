//! One start or reload, and when there is another one. Nothing here acts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use certcollectd_core::follow::Request;

use crate::child::Program;
use crate::link::Content;

/// For test and reload together: less than the 60 s after which the daemon's hook counts as failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(50);

/// How long a server may take until it handles the signal: a script may start it.
pub(crate) const CATCH: Duration = Duration::from_secs(10);

/// Between two looks whether it does.
pub(crate) const CATCH_AGAIN: Duration = Duration::from_millis(100);

/// A server that ends so soon after its start or reload has not coped with it.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

/// Before the first retry. Each further one takes twice as long, up to [`LAST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_secs(15);
const LAST_RETRY: Duration = Duration::from_secs(15 * 60);

/// What the directories hold, by name: each with its generation. One that holds nothing now counts as before.
pub(crate) type View = BTreeMap<String, (Content, String)>;

/// A start or reload under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) view: View,
    pub(crate) stage: Stage,
    /// When the stage is over.
    pub(crate) until: Instant,
    /// The request that it answers.
    pub(crate) answers: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Stage {
    Test(Program),
    /// The server does not handle the signal yet; it may take until then.
    Catch(Instant),
    Reload(Program),
    /// It lives, so far.
    Settle,
}

/// How the last attempt ended.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) view: View,
    pub(crate) failure: Option<Failure>,
    /// Failures in a row for this view.
    pub(crate) failures: u32,
    pub(crate) ended: Instant,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) why: String,
    pub(crate) last_line: Option<String>,
}

impl Failure {
    pub(crate) fn new(why: impl Into<String>) -> Failure {
        Failure { why: why.into(), last_line: None }
    }
}

/// What is to be done between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Nothing,
    Attempt,
    /// The request asks for what is done already.
    Answer,
}

impl Past {
    pub(crate) fn next(&self, view: &View, request: Option<&Request>, now: Instant) -> Next {
        let failed = self.failure.is_some();
        match request {
            _ if *view != self.view => Next::Attempt,
            Some(request) if request.again || failed => Next::Attempt,
            Some(_) => Next::Answer,
            None if failed && now >= self.ended + self.retry_in() => Next::Attempt,
            None => Next::Nothing,
        }
    }

    pub(crate) fn retry_in(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        (FIRST_RETRY * 2_u32.pow(doublings)).min(LAST_RETRY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn past(failures: u32) -> Past {
        let failure = (failures > 0).then(|| Failure::new("exit code 1"));
        Past { view: View::new(), failure, failures, ended: clock::now() }
    }

    fn request(again: bool) -> Request {
        Request { version: certcollectd_core::follow::VERSION, id: "1".into(), again }
    }

    fn other() -> View {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), "x").unwrap();
        [("www".to_owned(), (Content::of(dir.path()).unwrap(), "one".to_owned()))].into()
    }

    #[test]
    fn another_attempt_follows_a_change_a_failure_or_a_rehearsal() {
        let (same, now) = (View::new(), clock::now());
        assert_eq!(past(0).next(&same, None, now + LAST_RETRY), Next::Nothing);
        assert_eq!(past(0).next(&other(), None, now), Next::Attempt);
        assert_eq!(past(0).next(&same, Some(&request(false)), now), Next::Answer);
        assert_eq!(past(0).next(&same, Some(&request(true)), now), Next::Attempt);
        assert_eq!(past(1).next(&same, Some(&request(false)), now), Next::Attempt);
        assert_eq!(past(1).next(&same, None, now), Next::Nothing);
        assert_eq!(past(1).next(&same, None, now + FIRST_RETRY + SETTLE), Next::Attempt);
        assert_eq!(past(2).next(&same, None, now + FIRST_RETRY + SETTLE), Next::Nothing);
    }

    #[test]
    fn retries_become_rarer_up_to_a_limit() {
        assert_eq!(past(1).retry_in(), FIRST_RETRY);
        assert_eq!(past(3).retry_in(), 4 * FIRST_RETRY);
        assert_eq!(past(u32::MAX).retry_in(), LAST_RETRY);
    }
}
