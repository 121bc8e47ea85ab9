//! What came back from a call, still unread, or why nothing came back.

use bytes::Bytes;

use super::untrusted::Untrusted;

/// One HTTP answer, unread: decoding it is [`super::reply::decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The `Content-Type` header, if there was one.
    pub content_type: Option<Untrusted>,
    /// The `Retry-After` header, if there was one that can be read.
    pub retry_after: Option<RetryAfter>,
    /// The `Date` header in UNIX seconds, if there was one that can be read (RFC 9110 section 6.6.1).
    pub date: Option<i64>,
    /// The whole body, within the size limit.
    pub body: Bytes,
}

/// `Retry-After` in either of its forms (RFC 9110 section 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// Seconds after the answer.
    Seconds(u64),
    /// Not before this time, in UNIX seconds.
    At(i64),
}

impl RetryAfter {
    /// Reads the header's value; anything odd (negative, overflow, not a date) is as good as absent.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
            return value.parse().ok().map(RetryAfter::Seconds);
        }
        http_date(value).map(RetryAfter::At)
    }
}

/// A date of HTTP in UNIX seconds.
pub fn http_date(value: &str) -> Option<i64> {
    let date = httpdate::parse_http_date(value).ok()?;
    let seconds = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(seconds).ok()
}

/// Why a call brought no answer that could be read. None of the texts holds anything of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nothing was sent.
    #[error("the password cannot be read: {0}")]
    Credential(String),
    /// The client could not be built, for instance because `ca_file` cannot be read; nothing was sent.
    #[error("the call cannot be prepared: {0}")]
    Setup(String),
    /// Name, TCP or proxy; nothing was sent.
    #[error("no connection to the vendor: {0}")]
    Connect(String),
    /// The handshake failed or the vendor's certificate was not accepted; nothing was sent.
    #[error("TLS with the vendor's host failed, so the login was not sent: {0}")]
    Tls(String),
    /// The vendor may have seen the call. Who had sent how much by then.
    #[error("no complete answer within request_timeout: {0}")]
    Timeout(String),
    /// The request had been sent.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(String),
    /// The limit in bytes.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The limit in bytes.
    #[error("the answer's headers are larger than {0} bytes")]
    HeadersTooLarge(usize),
    #[error("the answer has content-encoding \"{0}\", which was not asked for")]
    Encoded(Untrusted),
    /// The effect itself panicked; a bug.
    #[error("internal error during the call, please report it: {0}")]
    Internal(String),
}

impl Failure {
    /// Whether it is certain that the vendor saw nothing of this call.
    pub fn unsent(&self) -> bool {
        match self {
            Failure::Credential(_) | Failure::Setup(_) | Failure::Connect(_) | Failure::Tls(_) => true,
            Failure::Timeout(_)
            | Failure::Broken(_)
            | Failure::TooLarge(_)
            | Failure::HeadersTooLarge(_)
            | Failure::Encoded(_)
            | Failure::Internal(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Option<RetryAfter>) {
        assert_eq!(RetryAfter::parse(value), expected, "{value:?}");
    }

    #[test]
    fn retry_after_takes_seconds_and_dates() {
        check("120", Some(RetryAfter::Seconds(120)));
        check(" 0 ", Some(RetryAfter::Seconds(0)));
        check("Fri, 20 Nov 2026 09:12:00 GMT", Some(RetryAfter::At(1_795_165_920)));
        check("-5", None);
        check("1.5", None);
        check("99999999999999999999999", None);
        check("tomorrow", None);
        check("", None);
    }
}
