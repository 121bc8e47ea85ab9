//! The table of the vendor's codes: what each means, to which class it belongs, and who must do what.
//!
//! Codes and words: the tables "Error codes" of the endpoints' pages under <https://docs.sectigo.com/sps/>.
//! This is the only place that decides what a code is; what follows from a class in time and in phases is
//! decided in `engine`.

use super::reply::Reply;
use super::request::Endpoint;
use super::untrusted::Untrusted;

/// What kind of news a code is. The engine has one reaction for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The certificates are in the answer.
    Ready,
    /// Issued, but the data is not in the answer.
    Available,
    /// Not yet; someone is working on it.
    Waiting,
    /// Not yet, and it needs human action: poll less often.
    WaitingSlowly,
    /// Passing trouble at the vendor: back off.
    Transient,
    /// The login is refused: no further call on this account.
    AccountClosed,
    /// Too many calls: a long pause for the whole account.
    AccountPaused,
    /// This endpoint is not open to the account; the others are.
    EndpointRefused,
    /// The call was wrong: repeating it changes nothing.
    Ours,
    /// The account lacks a right: repeating it changes nothing.
    Permission,
    /// The order was rejected; final.
    Rejected,
    /// The certificate was revoked; final for a pending order.
    Revoked,
    /// What an operator's own call asked for is done.
    Done,
    /// An answer to an operator's own call, to be shown to the operator.
    Report,
    /// Unknown: back off, and after some tries in a row the order needs attention.
    Unknown,
}

impl Class {
    /// Whether the vendor is at work on the order: asking again may bring the certificate.
    pub fn is_in_progress(self) -> bool {
        match self {
            Class::Available | Class::Waiting | Class::WaitingSlowly => true,
            Class::Ready
            | Class::Transient
            | Class::AccountClosed
            | Class::AccountPaused
            | Class::EndpointRefused
            | Class::Ours
            | Class::Permission
            | Class::Rejected
            | Class::Revoked
            | Class::Done
            | Class::Report
            | Class::Unknown => false,
        }
    }

    /// Whether the code does not say what has become of the order, so that something else in the answer can.
    fn leaves_open(self) -> bool {
        match self {
            Class::Ready
            | Class::Available
            | Class::Waiting
            | Class::WaitingSlowly
            | Class::Transient
            | Class::Unknown => true,
            Class::AccountClosed
            | Class::AccountPaused
            | Class::EndpointRefused
            | Class::Ours
            | Class::Permission
            | Class::Rejected
            | Class::Revoked
            | Class::Done
            | Class::Report => false,
        }
    }
}

/// What an integer status says of one part of an order [seed: GetMDCDomainDetails].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    NotRequired,
    NotBegun,
    Done,
    Begun,
    /// No document names the value.
    Unknown,
}

impl Progress {
    pub fn of(status: i32) -> Progress {
        match status {
            -1 => Progress::NotRequired,
            0 => Progress::NotBegun,
            1 => Progress::Done,
            2 => Progress::Begun,
            _ => Progress::Unknown,
        }
    }

    /// Whether the part is known to be missing.
    pub fn is_open(self) -> bool {
        match self {
            Progress::NotBegun | Progress::Begun => true,
            Progress::NotRequired | Progress::Done | Progress::Unknown => false,
        }
    }

    pub fn means(self) -> &'static str {
        match self {
            Progress::NotRequired => "not required",
            Progress::NotBegun => "not completed",
            Progress::Done => "completed",
            Progress::Begun => "in progress",
            Progress::Unknown => "an undocumented value",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The vendor's number.
    pub code: i32,
    pub class: Class,
    /// What the vendor means by it, in our words.
    pub means: &'static str,
    /// What the operator can do about it; empty where nothing needs doing.
    pub advice: &'static str,
}

const fn row(code: i32, class: Class, means: &'static str, advice: &'static str) -> Row {
    Row { code, class, means, advice }
}

impl Row {
    /// Whether the vendor cannot have said this without taking the login: certificates or the state of an
    /// order, a right that the account has not got. What is said of the call itself (its transport, its
    /// arguments, its frequency) may come before the login is checked, and it is not documented when "unknown
    /// error" comes.
    pub fn shows_login(&self) -> bool {
        match self.class {
            Class::Ready | Class::Available | Class::Waiting | Class::WaitingSlowly | Class::Done => true,
            Class::Rejected | Class::Revoked | Class::Permission => true,
            // The request and its names are arguments.
            Class::Report => !matches!(self.code, -13..=-5 | -19 | -18 | -35 | -40),
            // GetMDCDomainDetails has no other word for -16, and a refused login may be told with it as well.
            Class::EndpointRefused => false,
            Class::AccountClosed | Class::AccountPaused | Class::Ours => false,
            Class::Transient | Class::Unknown => false,
        }
    }
}

/// "Incorrect login details, account is locked, password has expired or your source IP is blocked."
pub const LOGIN_REFUSED: i32 = -16;

/// The code of an answer that consists of certificates only.
pub(super) const ATTACHED: i32 = 2;

/// Whether a code is an error; the others are the status of an order or plain success.
pub fn is_error(code: i32) -> bool {
    code < 0
}

/// Every code that the documents name, in falling order.
pub const TABLE: [Row; 27] = [
    row(ATTACHED, Class::Ready, "certificates attached", ""),
    row(1, Class::Available, "issued, but the certificate is not in the answer", ""),
    row(0, Class::Waiting, "being processed by Sectigo", ""),
    row(-1, Class::Ours, "the request was not made over HTTPS", "check base_url and any proxy in between"),
    row(-2, Class::Ours, "the vendor does not know one of the arguments", "check product and order number"),
    row(-3, Class::Ours, "a required argument is missing", "check product and order number"),
    row(-4, Class::Ours, "the value of an argument is invalid", "check the order number, the usual cause"),
    row(-13, Class::Report, "the key size in the CSR is not supported", "make a CSR with another key size"),
    row(-14, Class::Transient, "unknown error at the vendor", ""),
    row(
        LOGIN_REFUSED,
        Class::AccountClosed,
        "login refused: wrong login, locked account, expired password or blocked source address",
        "log in at the vendor's web site and fix the cause; `certcollectd status` shows the next step",
    ),
    row(-17, Class::Ours, "the request arrived as GET", "check base_url and any proxy in between"),
    row(-20, Class::Rejected, "the order was rejected", "place a new order"),
    row(-21, Class::Revoked, "the certificate was revoked", "request a new certificate"),
    row(-22, Class::WaitingSlowly, "payment is pending", "pay for the order"),
    // Listed by CollectSSL from 1.18 to 1.20 without words that are known; since then a replaced certificate is collected by
    // certificateID (changelog 1.21).
    row(
        -23,
        Class::Unknown,
        "the certificate may have been replaced",
        "configure certificate_id to collect a specific one",
    ),
    row(-26, Class::Waiting, "being issued right now", ""),
    row(-42, Class::AccountPaused, "call limit reached", "poll less often: raise interval or call_gap"),
    row(
        -90,
        Class::Permission,
        "the account may not use this voucher",
        "ask the vendor's account manager for permission",
    ),
    row(
        -91,
        Class::Permission,
        "the account has no permission for this action",
        "ask the vendor's account manager for permission",
    ),
    row(-122, Class::Report, "the order is not in a state that allows this", "check the order's state"),
    row(
        -123,
        Class::Report,
        "an agreement has not been accepted",
        "accept the agreement at the vendor's site",
    ),
    row(-124, Class::Report, "required actions are not completed", "complete them at the vendor's site"),
    row(-125, Class::Waiting, "not issued yet", ""),
    row(-160, Class::Unknown, "general error at the vendor", "see the vendor's message"),
    // Not codes of an endpoint that we call, but seen in clients' tables for orders that ended.
    row(-35, Class::Unknown, "the certificate has expired", "request a new certificate"),
    row(-36, Class::Unknown, "the certificate has expired", "request a new certificate"),
    row(-40, Class::Unknown, "the vendor believes the key is compromised", "have a new key certified"),
];

/// What AutoReplaceSSL means by codes that mean something else elsewhere, or nothing. The vendor's own table was not seen;
/// these are from clients in production [client: checkdomain, SSL.com].
const ON_REPLACE_SSL: [Row; 19] = [
    row(1, Class::Done, "taken, and payment is required", "pay for the order"),
    row(-5, Class::Report, "the request is for a wildcard, and the order is not", CSR),
    row(-6, Class::Report, "the request lacks the order's wildcard", CSR),
    row(-7, Class::Report, "the request's country is not a valid one", CSR),
    row(-8, Class::Report, "the request lacks a field", CSR),
    row(-9, Class::Report, "the request is not valid base64", CSR),
    row(-10, Class::Report, "the request cannot be decoded", CSR),
    row(-11, Class::Report, "the request's algorithm is not supported", CSR),
    row(-12, Class::Report, "the request's signature is wrong", CSR),
    row(-13, Class::Report, "the key size in the request is not supported", CSR),
    row(-15, Class::Report, "the account has not enough credit", "add credit at the vendor's web site"),
    row(-18, Class::Report, "a name is not fully qualified", CSR),
    row(-19, Class::Report, "a name cannot be reached from the internet", CSR),
    row(-20, Class::Report, "the order was rejected", "place a new order"),
    row(-21, Class::Report, "the certificate was revoked", "place a new order"),
    row(-22, Class::Report, "payment is pending", "pay for the order"),
    row(
        -26,
        Class::Report,
        "another certificate of the order is being issued right now",
        "wait until it is installed",
    ),
    row(-35, Class::Report, "a name may not be an IP address", CSR),
    row(
        -40,
        Class::Report,
        "the vendor believes the request's key is compromised",
        "make a new key and a request for it; replace that key wherever it is used",
    ),
];

const CSR: &str = "make another request for the installed names";

const UNKNOWN: Row =
    row(i32::MIN, Class::Unknown, "a code that the vendor does not document", "see the vendor's message");

/// The row of a code; a code that is not in the table has a row of class [`Class::Unknown`].
pub fn row_of(code: i32) -> Row {
    TABLE.iter().find(|row| row.code == code).copied().unwrap_or(Row { code, ..UNKNOWN })
}

/// The row for a whole reply: some codes mean something else at one endpoint or in one wording.
pub fn classify(endpoint: Endpoint, reply: &Reply) -> Row {
    let of_call =
        ON_REPLACE_SSL.iter().find(|row| endpoint == Endpoint::ReplaceSsl && row.code == reply.code);
    let row = of_call.copied().unwrap_or_else(|| row_of(reply.code));
    // The status of the certificate weighs more than that of the order, which stays 2 after a revocation.
    if endpoint.collects() && row.class.leaves_open() && reply.details.is_revoked() {
        return Row { means: "the certificate was revoked: its certificateStatus says so", ..row_of(-21) };
    }
    let names = |word: &str| {
        let in_text = |text: &Untrusted| text.as_str().to_ascii_lowercase().contains(word);
        reply.message.as_ref().is_some_and(in_text) || reply.item.as_ref().is_some_and(in_text)
    };
    match row.code {
        // GetMDCDomainDetails words its -16 "Permission denied!": a right is missing, the login is fine.
        // Only a text that speaks of the login is about the login.
        LOGIN_REFUSED if endpoint == Endpoint::DomainDetails && names("permission") && !names("login") => {
            Row {
                class: Class::EndpointRefused,
                means: "this endpoint is not open to the account",
                advice: "ask the vendor's account manager for permission",
                ..row
            }
        }
        // A login argument that is missing or malformed is refused for every order alike, and each further
        // try looks like a wrong login.
        -3 | -4 if names("loginname") || names("loginpassword") => Row {
            class: Class::AccountClosed,
            means: "the vendor rejects the format of the login name or password",
            ..row_of(LOGIN_REFUSED)
        },
        // Status and error code share their numbers; where nothing is collected, 0 is plain success.
        0 if !endpoint.collects() => Row { class: Class::Done, means: "done", ..row },
        // Outside Collect* these end one operator's call, not an order.
        -20 | -21 | -22 | -26 if !endpoint.collects() => Row { class: Class::Report, ..row },
        -35 if !endpoint.collects() => Row {
            class: Class::Report,
            means: "the name may not be an IP address",
            advice: "make a CSR without the address",
            ..row
        },
        // A positive status beyond 2 is in no document; it must never count as progress.
        _ => row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: i32, message: &str) -> Reply {
        Reply { code, message: Some(Untrusted::new(message)), ..Reply::default() }
    }

    fn check(code: i32, expected: Class) {
        assert_eq!(classify(Endpoint::CollectSsl, &reply(code, "some words")).class, expected, "{code}");
    }

    #[test]
    fn every_documented_code_has_its_class() {
        check(2, Class::Ready);
        check(1, Class::Available);
        check(0, Class::Waiting);
        for code in [-1, -2, -3, -4, -17] {
            check(code, Class::Ours);
        }
        check(-13, Class::Report);
        check(-14, Class::Transient);
        check(-16, Class::AccountClosed);
        check(-20, Class::Rejected);
        check(-21, Class::Revoked);
        check(-22, Class::WaitingSlowly);
        check(-26, Class::Waiting);
        check(-42, Class::AccountPaused);
        check(-90, Class::Permission);
        check(-91, Class::Permission);
        for code in [-122, -123, -124] {
            check(code, Class::Report);
        }
        check(-125, Class::Waiting);
        check(-160, Class::Unknown);
    }

    #[test]
    fn only_the_state_of_an_order_and_a_missing_right_show_that_the_login_is_taken() {
        let shows = |endpoint, code| classify(endpoint, &reply(code, "some words")).shows_login();
        for endpoint in [Endpoint::CollectSsl, Endpoint::ReplaceSmime] {
            let shown: Vec<i32> = (-2000..2000).filter(|code| shows(endpoint, *code)).collect();
            let mut expected = vec![-125, -124, -123, -122, -91, -90, -26, -22, -21, -20, 0, 1, 2];
            expected.sort_unstable();
            assert_eq!(shown, expected, "{endpoint:?}");
        }
        let denied = classify(Endpoint::DomainDetails, &reply(-16, "Permission denied!"));
        assert!(!denied.shows_login());
    }

    #[test]
    fn the_codes_in_progress_are_those_that_may_become_a_certificate() {
        let found: Vec<i32> = (-2000..2000).filter(|code| row_of(*code).class.is_in_progress()).collect();
        assert_eq!(found, [-125, -26, -22, 0, 1]);
    }

    #[test]
    fn zero_is_success_where_nothing_is_collected() {
        for endpoint in
            [Endpoint::DomainDetails, Endpoint::ReplaceSmime, Endpoint::ReplaceSsl, Endpoint::ResendSmime]
        {
            assert_eq!(classify(endpoint, &reply(0, "")).class, Class::Done);
        }
    }

    #[test]
    fn no_other_code_is_ever_progress_or_a_reason_to_close() {
        for code in (-2000..2000).filter(|code| TABLE.iter().all(|row| row.code != *code)) {
            check(code, Class::Unknown);
        }
        check(i32::MAX, Class::Unknown);
        check(i32::MIN, Class::Unknown);
    }

    #[test]
    fn no_code_stands_twice_in_the_table() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|other| other.code != row.code), "{}", row.code);
        }
    }

    #[test]
    fn permission_denied_for_domain_details_is_not_a_refused_login() {
        let class = |endpoint, message| classify(endpoint, &reply(-16, message)).class;
        let login =
            "Incorrect login details, account is locked, password has expired or your source IP is blocked.";
        assert_eq!(class(Endpoint::DomainDetails, "Permission denied!"), Class::EndpointRefused);
        assert_eq!(class(Endpoint::DomainDetails, login), Class::AccountClosed);
        assert_eq!(class(Endpoint::DomainDetails, ""), Class::AccountClosed);
        assert_eq!(class(Endpoint::CollectSsl, "Permission denied!"), Class::AccountClosed);
    }

    #[test]
    fn a_revoked_certificate_is_revoked_whatever_the_order_is() {
        let reply = |code, status: &str| {
            let mut reply = Reply { code, ..Reply::default() };
            reply.details.certificate_status = Some(Untrusted::new(status));
            reply
        };
        for code in [0, 1, 2, 3, -14, -22, -26, -125, -160, -999] {
            for status in ["Revoked", " revoked ", "REVOKED"] {
                let row = classify(Endpoint::CollectSsl, &reply(code, status));
                assert_eq!(row.class, Class::Revoked, "{code} {status}");
                assert!(row.shows_login());
            }
        }
        assert_eq!(classify(Endpoint::CollectSsl, &reply(2, "Issued")).class, Class::Ready);
        assert_eq!(classify(Endpoint::CollectSsl, &reply(2, "Not Revoked")).class, Class::Ready);
        for (code, class) in [
            (-16, Class::AccountClosed),
            (-42, Class::AccountPaused),
            (-4, Class::Ours),
            (-20, Class::Rejected),
            (-90, Class::Permission),
        ] {
            assert_eq!(classify(Endpoint::CollectSsl, &reply(code, "Revoked")).class, class, "{code}");
        }
        assert_eq!(classify(Endpoint::DomainDetails, &reply(0, "Revoked")).class, Class::Done);
    }

    #[test]
    fn the_same_number_means_other_things_where_orders_are_placed() {
        let means = |endpoint| classify(endpoint, &reply(-35, "")).means;
        assert!(means(Endpoint::CollectSsl).contains("expired"));
        assert!(means(Endpoint::ReplaceSmime).contains("IP address"));
    }

    #[test]
    fn of_a_re_issue_each_code_says_whether_it_was_made() {
        let class = |code| classify(Endpoint::ReplaceSsl, &reply(code, "some words")).class;
        assert_eq!([class(0), class(1)], [Class::Done, Class::Done]);
        // It may have been made.
        let open: Vec<i32> =
            (-200..0).filter(|code| matches!(class(*code), Class::Transient | Class::Unknown)).collect();
        let refused = [
            -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -15, -16, -17, -18, -19, -20, -21, -22,
            -26, -35, -40, -42, -90, -91, -122, -123, -124, -125,
        ];
        assert!(refused.iter().all(|code| !open.contains(code)), "{open:?}");
        assert_eq!(open.len() + refused.len(), 200);
        assert!([-14, -23, -36, -160].iter().all(|code| open.contains(code)));
        let advice = classify(Endpoint::ReplaceSsl, &reply(-40, "")).advice;
        assert!(advice.starts_with("make a new key"), "{advice}");
    }

    #[test]
    fn a_malformed_login_closes_the_account() {
        let class = |message| classify(Endpoint::CollectMc, &reply(-4, message)).class;
        assert_eq!(class("The value of the 'loginPassword' argument is invalid!"), Class::AccountClosed);
        assert_eq!(class("The value of the 'orderNumber' argument is invalid!"), Class::Ours);
    }
}
