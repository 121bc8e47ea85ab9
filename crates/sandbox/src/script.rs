//! What an order is, as it is written down: in a scenario file, at the control port, in a test.
//!
//! The heart is the script, a list of steps. The order answers as its current step says and goes to the
//! next one when the step is over: after a number of polls, after a time, or at a moment, whatever comes
//! first. The last step is never over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::issue::CertificateSpec;

/// The three kinds of order, and with them the endpoint that collects them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Product {
    /// `ssl`: a TLS server certificate, CollectSSL.
    #[default]
    Ssl,
    /// `mark`: a mark certificate, CollectMC.
    Mark,
    /// `smime`: an S/MIME certificate, CollectSMIME.
    Smime,
}

/// An order as it is put into the book.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSpec {
    /// At most 128 characters ("string", CollectSSL page); digits only where it is to be collected with
    /// an endpoint whose page says "integer".
    pub order_number: String,
    /// Which endpoint collects it; `ssl` where it is left out.
    #[serde(default)]
    pub product: Product,
    /// Login name of the account it belongs to; without it, every account may collect it.
    #[serde(default)]
    pub account: Option<String>,
    /// The family it belongs to, for `baseOrderNumber`.
    #[serde(default)]
    pub base_order_number: Option<String>,
    /// Names in the certificate: domain names, or e-mail addresses for S/MIME.
    #[serde(default)]
    pub domains: Vec<String>,
    /// What it answers, one step after the other; an issued certificate where it is left out.
    #[serde(default)]
    pub script: Vec<Step>,
    /// How its certificate is made, unless a step says otherwise.
    #[serde(default)]
    pub certificate: CertificateSpec,
    /// Shape of its answers, instead of the one set by the dial.
    #[serde(default)]
    pub shape: Option<String>,
    /// Days of the product term, which can span several certificates; 365 where it is left out.
    #[serde(default)]
    pub term_days: Option<u32>,
    /// What ResendCollectionEmailSMIME answers (-122, -123, -124, -125) instead of what follows from the
    /// order's state.
    #[serde(default)]
    pub resend_code: Option<i32>,
}

impl OrderSpec {
    /// An order of this number that is issued at once.
    pub fn new(product: Product, order_number: &str, domains: &[&str]) -> OrderSpec {
        OrderSpec {
            order_number: order_number.into(),
            product,
            domains: domains.iter().map(|name| (*name).into()).collect(),
            ..OrderSpec::default()
        }
    }

    /// The same order with this script.
    pub fn with_script(mut self, script: Vec<Step>) -> OrderSpec {
        self.script = script;
        self
    }

    /// Rejects what cannot be put into the book.
    pub(super) fn check(&self) -> Result<(), String> {
        let number = &self.order_number;
        if number.is_empty() || number.chars().count() > 128 {
            return Err(format!("order_number must have 1 to 128 characters, not '{number}'"));
        }
        let of = |reason: String| format!("order {number}: {reason}");
        self.certificate.check().map_err(of)?;
        check_script(&self.script).map_err(of)
    }
}

/// Rejects a script with an invalid step.
pub(super) fn check_script(script: &[Step]) -> Result<(), String> {
    for (at, step) in script.iter().enumerate() {
        step.check().map_err(|reason| format!("script, step {}: {reason}", at + 1))?;
    }
    Ok(())
}

/// What an order answers in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// `pending`: status 0, "being processed".
    #[default]
    Pending,
    /// `available`: status 1, "certificates available", whatever was asked for.
    Available,
    /// `issued`: status 2 with the certificate where the call asked for it, 1 where it did not.
    Issued,
    /// `error`: a negative code with its message.
    Error,
}

/// One step of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    pub state: State,
    /// With `error`: the code, below zero.
    pub code: Option<i32>,
    /// With `error`: the message; without it, the documented one.
    pub message: Option<String>,
    /// The step is over after this many answers.
    pub polls: Option<u32>,
    /// The step is over after this many milliseconds.
    pub for_ms: Option<u64>,
    /// The step is over at this moment, UNIX seconds.
    pub until: Option<i64>,
    /// With `issued`: how the certificate is made; without it, the present one is kept or the first one
    /// made as the order says.
    pub certificate: Option<CertificateSpec>,
    /// Integer statuses (`csrStatus`, `dcvStatus`, …) that differ from what the state suggests.
    pub status: BTreeMap<String, i64>,
    /// `caaStatus`.
    pub caa: Option<String>,
    /// `certificateStatus` for showExtStatus, instead of what the state suggests.
    pub certificate_status: Option<String>,
    /// `validationStatus` for showExtStatus, instead of what the state suggests.
    pub validation_status: Option<String>,
    /// State of the control validation of each domain; where it is left out, all alike.
    pub dcv: Vec<Dcv>,
}

impl Step {
    /// Status 0 for `polls` answers.
    pub fn pending(polls: u32) -> Step {
        Step { polls: Some(polls), ..Step::default() }
    }

    /// The certificate, from here on.
    pub fn issued() -> Step {
        Step { state: State::Issued, ..Step::default() }
    }

    /// Status 1 for `polls` answers.
    pub fn available(polls: u32) -> Step {
        Step { state: State::Available, polls: Some(polls), ..Step::default() }
    }

    /// A code below zero with its documented message, from here on.
    pub fn error(code: i32) -> Step {
        Step { state: State::Error, code: Some(code), ..Step::default() }
    }

    /// The same step, over after `polls` answers.
    pub fn polls(mut self, polls: u32) -> Step {
        self.polls = Some(polls);
        self
    }

    fn check(&self) -> Result<(), String> {
        match (self.state, self.code) {
            (State::Error, None) => return Err("the state 'error' needs a code".into()),
            (State::Error, Some(code)) if code >= 0 => {
                return Err(format!("an error code is below zero, not {code}"));
            }
            (State::Error, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err("a code belongs to the state 'error'".into()),
        }
        if self.message.is_some() && self.state != State::Error {
            return Err("a message belongs to the state 'error'".into());
        }
        if self.state != State::Issued && self.certificate.is_some() {
            return Err("a certificate belongs to the state 'issued'".into());
        }
        if let Some(key) = self.status.keys().find(|key| !STATUS_KEYS.contains(&key.as_str())) {
            return Err(format!("'{key}' is not a status; known are {}", STATUS_KEYS.join(", ")));
        }
        self.certificate.as_ref().map_or(Ok(()), CertificateSpec::check)
    }
}

/// The integer statuses of showStatusDetails (CollectSSL page and its changelog 1.14 to 1.22).
/// -1 not required, 0 not completed, 1 completed, 2 in progress.
pub(super) const STATUS_KEYS: [&str; 14] = [
    "csrStatus",
    "dcvStatus",
    "ovCallBackStatus",
    "organizationValidationStatus",
    "freeDVUPStatus",
    "evClickThroughStatus",
    "brandValStatus",
    "maStatus",
    "evAssumedName",
    "evLegalExistence",
    "evPhysicalExistence",
    "evOperationalExistence",
    "evSignerApproverRequester",
    "evSignerSecondApproval",
];

/// Domain control validation of one domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dcv {
    pub domain: String,
    /// `N_dcvMethod`: an e-mail address, `CNAME_CSR_HASH`, `HTTP_CSR_HASH`, `HTTPS_CSR_HASH`, `EMAIL`;
    /// the key is missing from the answer where it is left out.
    #[serde(default)]
    pub method: Option<String>,
    /// How far it is.
    pub state: DcvState,
}

impl Dcv {
    pub(super) fn by_cname(domain: &str, state: DcvState) -> Dcv {
        Dcv { domain: domain.into(), method: Some("CNAME_CSR_HASH".into()), state }
    }
}

/// How far the control validation of a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DcvState {
    /// `validated`: `VALIDATED`, and `Validated` in GetMDCDomainDetails.
    Validated,
    /// `not-validated`: `NOTVALIDATED`, and `Not validated` in GetMDCDomainDetails.
    NotValidated,
    /// `in-progress`: `NOTVALIDATED`, and `In progress` in GetMDCDomainDetails.
    InProgress,
    /// `awaiting-brand`: `AWAITINGBRAND`, which only mdcDomainDetails2 knows, and `Awaiting brand
    /// validation` in GetMDCDomainDetails.
    AwaitingBrand,
}

impl DcvState {
    /// The word in mdcDomainDetails.
    pub(super) fn word(self) -> &'static str {
        match self {
            DcvState::Validated => "VALIDATED",
            DcvState::NotValidated | DcvState::InProgress | DcvState::AwaitingBrand => "NOTVALIDATED",
        }
    }

    /// The word in mdcDomainDetails2, "including domains awaiting brand validation".
    pub(super) fn word2(self) -> &'static str {
        match self {
            DcvState::AwaitingBrand => "AWAITINGBRAND",
            other => other.word(),
        }
    }

    /// The words in `N_dcvStatus` of GetMDCDomainDetails; two of them are in its samples.
    pub(super) fn words(self) -> &'static str {
        match self {
            DcvState::Validated => "Validated",
            DcvState::NotValidated => "Not validated",
            DcvState::InProgress => "In progress",
            DcvState::AwaitingBrand => "Awaiting brand validation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(step: Step, expected: &str) {
        let error = check_script(&[Step::pending(1), step]).unwrap_err();
        assert!(error.starts_with("script, step 2: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_step_that_contradicts_itself_is_refused() {
        check(Step { state: State::Error, ..Step::default() }, "needs a code");
        check(Step::error(7), "below zero");
        check(Step { code: Some(-1), ..Step::default() }, "belongs to the state 'error'");
        check(
            Step { certificate: Some(CertificateSpec::default()), ..Step::default() },
            "belongs to the state 'issued'",
        );
        let status = BTreeMap::from([("dcv".to_owned(), 1)]);
        check(Step { status, ..Step::default() }, "'dcv' is not a status");
    }

    #[test]
    fn an_unknown_field_is_named() {
        let error = serde_json::from_str::<OrderSpec>(r#"{"order_number":"1","stauts":1}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `stauts`"), "{error}");
        let error = serde_json::from_str::<Step>(r#"{"state":"done"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown variant `done`"), "{error}");
    }
}
