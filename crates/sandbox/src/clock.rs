//! The sandbox's own time: the real time plus what the control port has added to it.
//!
//! Scripts and certificates follow this time, so that a test can let three hours pass at once. What is
//! recorded about calls (gaps, calls in flight) follows the real time instead: a jump of this clock
//! must not make a client look patient that was not.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment, in milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time {
    /// Milliseconds since the epoch; negative before it.
    pub unix_ms: i64,
}

impl Time {
    /// The moment that lies `seconds` after the epoch.
    pub fn from_unix(seconds: i64) -> Time {
        Time { unix_ms: seconds.saturating_mul(1000) }
    }

    /// Whole seconds since the epoch, rounded down: the form in which the vendor sends times.
    pub fn unix(self) -> i64 {
        self.unix_ms.div_euclid(1000)
    }

    /// This moment and `span` more.
    pub fn plus(self, span: Duration) -> Time {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Time { unix_ms: self.unix_ms.saturating_add(span) }
    }

    /// How long ago `earlier` was, in milliseconds; zero where it was not.
    pub fn since(self, earlier: Time) -> u64 {
        u64::try_from(self.unix_ms.saturating_sub(earlier.unix_ms)).unwrap_or(0)
    }

    /// 00:00:00 UTC of the same day. "Certificates issued by Sectigo always have a 'not before' time
    /// of 00:00:00 GMT" (CollectSSL page).
    pub fn midnight(self) -> Time {
        Time::from_unix(self.unix().div_euclid(DAY) * DAY)
    }

    /// `DD/MM/YYYY`, as in the newline-delimited answers of the Collect pages.
    pub fn day_month_year(self) -> String {
        self.timestamp().strftime("%d/%m/%Y").to_string()
    }

    /// The form of a date in an HTTP header (RFC 9110, section 5.6.7).
    pub fn http_date(self) -> String {
        self.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.unix_ms).unwrap_or(Timestamp::MAX)
    }
}

/// Seconds in a day.
pub(super) const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_on_the_vendors_page() {
        // The page's own example: 29/10/2025 is 1761696000.
        assert_eq!(Time::from_unix(1_761_696_000).day_month_year(), "29/10/2025");
        assert_eq!(Time::from_unix(1_761_696_000 + 86_399).midnight().unix(), 1_761_696_000);
        assert_eq!(Time::from_unix(784_111_777).http_date(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn time_moves_only_forward() {
        let real = Time::from_unix(1_000);
        let later = real.plus(Duration::from_secs(3 * 3600));
        assert_eq!(later.unix(), 11_800);
        assert_eq!(later.since(real), 10_800_000);
        assert_eq!(real.since(later), 0);
    }
}
