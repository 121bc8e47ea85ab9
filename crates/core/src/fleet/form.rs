//! How a row of the store is read: whole, strictly, within bounds. Whoever can write to the store may have written it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::Untrusted;
use crate::engine::time::rfc3339;

/// Why a row is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it has {octets} octets, and at most {most} are read")]
    TooLong { octets: usize, most: usize },
    /// What the parser says may quote the row.
    #[error("it has not the form of such a row: {0}")]
    Form(Untrusted),
}

/// Reads a row of JSON of at most `most` octets.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8], most: usize) -> Result<T, Malformed> {
    fits(bytes, most)?;
    serde_json::from_slice(bytes).map_err(|error| Malformed::Form(Untrusted::new(&error.to_string())))
}

pub(super) fn fits(bytes: &[u8], most: usize) -> Result<(), Malformed> {
    let octets = bytes.len();
    if octets > most { Err(Malformed::TooLong { octets, most }) } else { Ok(()) }
}

/// A row as it is stored.
pub(super) fn written<T: Serialize>(row: &T) -> Vec<u8> {
    serde_json::to_vec(row).expect("a row has no keys but text")
}

/// A moment of the wall clock of the host that wrote it, UNIX seconds; in a row RFC 3339 in UTC, in one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moment, D::Error> {
        let text = Box::<str>::deserialize(deserializer)?;
        let unix = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        unix.filter(|unix| rfc3339(*unix) == *text)
            .map(Moment)
            .ok_or_else(|| serde::de::Error::custom("a moment is not written as 2027-01-15T08:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_one_form() {
        let text = "\"2027-01-15T08:00:00Z\"";
        let moment: Moment = serde_json::from_str(text).unwrap();
        assert_eq!(moment, Moment(1_800_000_000));
        assert_eq!(serde_json::to_string(&moment).unwrap(), text);
        for other in [
            "2027-01-15T08:00:00+00:00",
            "2027-01-15T09:00:00+01:00",
            "2027-01-15 08:00:00Z",
            "2027-01-15T08:00:00.5Z",
            "2027-01-15T08:00:00z",
            "2027-01-15",
            "1800000000",
            "",
        ] {
            assert!(serde_json::from_str::<Moment>(&format!("{other:?}")).is_err(), "{other}");
        }
    }

    #[test]
    fn a_row_is_bounded_and_what_it_says_is_escaped() {
        assert_eq!(read::<Moment>(b"12345", 4), Err(Malformed::TooLong { octets: 5, most: 4 }));
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Empty {}
        let refused = read::<Empty>(
            "{\"\u{1b}[31m\n<0>\": 1}".replace('\u{1b}', "\\u001b").replace('\n', "\\n").as_bytes(),
            99,
        );
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("unknown field") && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{text}"
        );
    }
}
