//! Codes below zero and the words that go with them, as the vendor's pages print them.
//!
//! The tables of the GetMDCDomainDetails and ResendCollectionEmailSMIME pages are legible; those of the
//! other pages lost their message column in our copies. Where a page says nothing legible, the words of a
//! sibling page are used, and for -20, -21, -22, -26 and -42 the description turned into a sentence in the
//! style of the others. No client may depend on those five texts.

use serde::{Deserialize, Serialize};

use super::params::Endpoint;

/// How a refused login is worded. Clients in production met all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginWords {
    /// `four-causes`: -16 with one text for four causes, as the pages say since CollectSSL 1.20.
    #[default]
    FourCauses,
    /// `permission-denied`: -16 "Permission denied!", the wording of every endpoint until 2020.
    PermissionDenied,
    /// `missing-password`: -3 that names loginPassword.
    MissingPassword,
    /// `invalid-password`: -4 that names loginPassword.
    InvalidPassword,
    /// `invalid-name`: -4 that names loginName.
    InvalidName,
}

/// An answer below zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i32,
    pub(super) message: String,
    /// The parameter it is about: `errorItem`, or `item` in JSON.
    pub(super) item: Option<String>,
}

/// "Incorrect login details, account is locked, ..." (since CollectSSL 1.20): one text for four causes.
pub(super) const LOGIN_REFUSED: &str =
    "Incorrect login details, account is locked, password has expired or your source IP is blocked.";

impl Refusal {
    /// A code with the vendor's words for it.
    pub(super) fn of(endpoint: Endpoint, code: i32) -> Refusal {
        Refusal { code, message: words(endpoint, code).into(), item: None }
    }

    /// A code with words of one's own.
    pub(super) fn with(code: i32, message: &str) -> Refusal {
        Refusal { code, message: message.into(), item: None }
    }

    /// -2. The ResendCollectionEmailSMIME page has a text that names nothing.
    pub(super) fn unrecognized(endpoint: Endpoint, name: &str) -> Refusal {
        let message = if endpoint == Endpoint::ResendSmime {
            "Unrecognised argument!".into()
        } else {
            format!("'{name}' is an unrecognized argument!")
        };
        Refusal { code: -2, message, item: Some(name.into()) }
    }

    /// -3.
    pub(super) fn missing(name: &str) -> Refusal {
        let message = format!("The '{name}' argument is missing!");
        Refusal { code: -3, message, item: Some(name.into()) }
    }

    /// -4.
    pub(super) fn invalid(name: &str) -> Refusal {
        let message = format!("The value of the '{name}' argument is invalid!");
        Refusal { code: -4, message, item: Some(name.into()) }
    }

    /// The login is refused, in the words that the dial is set to. The item of -16 is the one of the JSON sample on the
    /// GetMDCDomainDetails page.
    pub(super) fn login(words: LoginWords) -> Refusal {
        let refused =
            |message: &str| Refusal { code: -16, message: message.into(), item: Some("loginName".into()) };
        match words {
            LoginWords::FourCauses => refused(LOGIN_REFUSED),
            LoginWords::PermissionDenied => refused("Permission denied!"),
            LoginWords::MissingPassword => Refusal::missing("loginPassword"),
            LoginWords::InvalidPassword => Refusal::invalid("loginPassword"),
            LoginWords::InvalidName => Refusal::invalid("loginName"),
        }
    }

    /// The account may not use this endpoint. GetMDCDomainDetails says it with -16 and other words than
    /// for a wrong login, the others with -91 (CollectSSL changelog 1.20).
    pub(super) fn denied(endpoint: Endpoint) -> Refusal {
        let code = if endpoint == Endpoint::DomainDetails { -16 } else { -91 };
        Refusal::with(code, "Permission denied!")
    }
}

/// What the sandbox itself cannot do is the vendor's unknown error.
impl From<super::Error> for Refusal {
    fn from(error: super::Error) -> Refusal {
        Refusal::with(-14, &error.to_string())
    }
}

/// The message of a code, without the parameter that -2 to -4 name.
pub(super) fn words(endpoint: Endpoint, code: i32) -> &'static str {
    match code {
        -1 if endpoint == Endpoint::ResendSmime => "Request was not made over https!",
        -1 => "Request was not made over HTTPS!",
        -2 => "Unrecognised argument!",
        -3 => "An argument is missing!",
        -4 => "The value of an argument is invalid!",
        -5 => "The CSR has a wildcard domain name, which the product does not allow!",
        -6 => "The CSR has no wildcard domain name, which the product requires!",
        -8 => "The CSR is missing a required field!",
        -9 => "The CSR is not valid base64!",
        -10 => "The CSR cannot be decoded!",
        -11 => "The CSR uses an unsupported algorithm!",
        -13 => "The CSR uses a key with an unsupported key size!",
        -15 => "There is not enough credit!",
        -16 => LOGIN_REFUSED,
        -17 => "Request used GET rather than POST!",
        -20 => "The certificate request has been rejected!",
        -21 => "The certificate has been revoked!",
        -22 => "Still awaiting payment!",
        -26 => "The certificate is currently being issued!",
        -42 => "The maximum number of calls has been reached, try again later!",
        -90 => "The user does not have permission to use the voucher!",
        -91 => "Permission denied!",
        -122 => "The Certificate is in wrong state.",
        -123 => "The agreement was not passed.",
        -124 => "The Certificate has actions not yet completed.",
        -125 => "The Certificate is not issued yet.",
        -160 => "General error",
        // -14 and every number that no page lists.
        _ => "An unknown error occurred!",
    }
}
