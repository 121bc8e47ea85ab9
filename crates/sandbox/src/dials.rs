//! What can be turned while the sandbox runs, apart from orders, accounts and faults.

use serde::{Deserialize, Serialize};

use super::accounts::CallLimit;
use super::proof::Proof;
use super::refusal::LoginWords;
use super::reissue::ReusedToken;
use super::script::{Step, check_script};
use super::shape::Choice;

/// The dials. In [`DialSettings`] each may be left out, and then stays as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Dials {
    pub(super) shape: Choice,
    pub(super) lockout_after: u32,
    pub(super) call_limit: CallLimit,
    pub(super) extra_arguments: Vec<String>,
    pub(super) replacement_script: Vec<Step>,
    pub(super) reissue_script: Vec<Step>,
    pub(super) proof: Proof,
    pub(super) reused_token: ReusedToken,
    pub(super) related_orders: bool,
    pub(super) login_words: LoginWords,
    pub(super) ignore_empty: bool,
    pub(super) clock_ahead: i32,
}

/// New positions for some of the dials; shown, all of them are there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialSettings {
    /// Shape of the answers, see [`shape`](super::shape); `documented` at the start.
    pub shape: Option<String>,
    /// Consecutive wrong passwords after which an account is locked for good; 0, the default, means
    /// never.
    pub lockout_after: Option<u32>,
    /// More calls of one account than this are answered with -42; no limit at the start.
    pub call_limit: Option<CallLimit>,
    /// Parameters that AutoReplaceSSL and AutoReplaceSMIME take besides those whose names are known: the page of the
    /// latter lost the names of a language and three template ids. None at the start.
    pub extra_arguments: Option<Vec<String>>,
    /// Script of the orders that AutoReplaceSMIME makes; pending once, then issued, at the start.
    pub replacement_script: Option<Vec<Step>>,
    /// Script of an order from AutoReplaceSSL on; pending once, then issued, at the start.
    pub reissue_script: Option<Vec<Step>>,
    /// Whether the domains of a re-issue count as proven, before which its script does not begin; `good` at the start.
    pub proof: Option<Proof>,
    /// What follows from a request token that was used before; `rejected-later` at the start.
    pub reused_token: Option<ReusedToken>,
    /// Whether AutoReplaceSSL without `exactOrder=Y` acts on another order of the family (`base_order_number`); it does
    /// not at the start.
    pub related_orders: Option<bool>,
    /// How a refused login is worded; `four-causes` at the start.
    pub login_words: Option<LoginWords>,
    /// Whether a parameter with an empty value counts as not sent; at the start it is invalid, as nothing says otherwise.
    pub ignore_empty: Option<bool>,
    /// How many seconds the answers' Date header is ahead of this machine's clock, or behind if negative; 0 at the start.
    pub clock_ahead: Option<i32>,
}

impl Dials {
    /// Turns the dials that are named; all of them or, where one cannot be, none.
    pub(super) fn set(&mut self, new: DialSettings) -> Result<(), String> {
        let shape = new.shape.as_deref().map(Choice::parse).transpose()?;
        if let Some(script) = &new.replacement_script {
            check_script(script).map_err(|reason| format!("replacement_{reason}"))?;
        }
        if let Some(script) = &new.reissue_script {
            check_script(script).map_err(|reason| format!("reissue_{reason}"))?;
        }
        self.shape = shape.unwrap_or_else(|| self.shape.clone());
        self.lockout_after = new.lockout_after.unwrap_or(self.lockout_after);
        self.call_limit = new.call_limit.unwrap_or(self.call_limit);
        self.extra_arguments = new.extra_arguments.unwrap_or_else(|| self.extra_arguments.clone());
        self.replacement_script = new.replacement_script.unwrap_or_else(|| self.replacement_script.clone());
        self.reissue_script = new.reissue_script.unwrap_or_else(|| self.reissue_script.clone());
        self.proof = new.proof.unwrap_or(self.proof);
        self.reused_token = new.reused_token.unwrap_or(self.reused_token);
        self.related_orders = new.related_orders.unwrap_or(self.related_orders);
        self.login_words = new.login_words.unwrap_or(self.login_words);
        self.ignore_empty = new.ignore_empty.unwrap_or(self.ignore_empty);
        self.clock_ahead = new.clock_ahead.unwrap_or(self.clock_ahead);
        Ok(())
    }

    pub(super) fn settings(&self) -> DialSettings {
        DialSettings {
            shape: Some(self.shape.text().into()),
            lockout_after: Some(self.lockout_after),
            call_limit: Some(self.call_limit),
            extra_arguments: Some(self.extra_arguments.clone()),
            replacement_script: Some(self.replacement_script()),
            reissue_script: Some(self.reissue_script()),
            proof: Some(self.proof),
            reused_token: Some(self.reused_token),
            related_orders: Some(self.related_orders),
            login_words: Some(self.login_words),
            ignore_empty: Some(self.ignore_empty),
            clock_ahead: Some(self.clock_ahead),
        }
    }

    pub(super) fn replacement_script(&self) -> Vec<Step> {
        or_usual(&self.replacement_script)
    }

    pub(super) fn reissue_script(&self) -> Vec<Step> {
        or_usual(&self.reissue_script)
    }
}

/// Without steps of its own, a new certificate is pending once.
fn or_usual(script: &[Step]) -> Vec<Step> {
    if script.is_empty() { vec![Step::pending(1), Step::issued()] } else { script.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_that_is_not_named_stays() {
        let mut dials = Dials::default();
        let json = r#"{"shape":"crlf","lockout_after":3}"#;
        dials.set(serde_json::from_str(json).unwrap()).unwrap();
        dials.set(serde_json::from_str(r#"{"lockout_after":4}"#).unwrap()).unwrap();
        let settings = dials.settings();
        assert_eq!((settings.shape.as_deref(), settings.lockout_after), (Some("crlf"), Some(4)));
        assert_eq!(settings.replacement_script.unwrap().len(), 2);
    }

    #[test]
    fn a_wrong_position_changes_nothing() {
        let mut dials = Dials::default();
        let json = r#"{"shape":"nonsense","lockout_after":3}"#;
        assert!(dials.set(serde_json::from_str(json).unwrap()).is_err());
        assert_eq!(dials.lockout_after, 0);
    }
}
