//! The forms of etcd's JSON gateway. Keys and values are base64, 64-bit numbers are text, and what is zero,
//! false or empty is absent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::effects::shared::Commit;
use certcollectd_core::api::Untrusted;

/// Keys from `key` on, below `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) key: Vec<u8>,
    pub(super) end: Vec<u8>,
}

impl Range {
    /// Keys that begin like this; all keys for the empty prefix, which etcd writes as two zero bytes.
    pub(super) fn of_prefix(prefix: &str) -> Range {
        let mut end = prefix.as_bytes().to_vec();
        match end.last_mut() {
            // No byte of UTF-8 is 0xff.
            Some(last) => *last += 1,
            None => return Range { key: vec![0], end: vec![0] },
        }
        Range { key: prefix.into(), end }
    }

    /// What of it comes after this key.
    pub(super) fn after(&self, key: &[u8]) -> Range {
        Range { key: [key, &[0]].concat(), end: self.end.clone() }
    }

    fn holds(&self, key: &[u8]) -> bool {
        self.key.as_slice() <= key && (key < self.end.as_slice() || self.end == [0])
    }
}

/// A page of a range; `revision` 0 is the present.
pub(super) fn range(range: &Range, limit: usize, revision: u64) -> Value {
    json!({
        "key": STANDARD.encode(&range.key),
        "range_end": STANDARD.encode(&range.end),
        "limit": limit.to_string(),
        "revision": revision.to_string(),
    })
}

/// A transaction that reads rows.
pub(super) fn read(keys: impl Iterator<Item = String>) -> Value {
    let ranges: Vec<Value> =
        keys.map(|key| json!({ "request_range": { "key": STANDARD.encode(key) } })).collect();
    json!({ "success": ranges })
}

/// A transaction that writes if all is as expected.
pub(super) fn write(prefix: &str, commit: &Commit) -> Value {
    let name = |key: &str| STANDARD.encode(format!("{prefix}{key}"));
    let compare = |key: &str, value: Option<&[u8]>| match value {
        Some(value) => {
            json!({ "key": name(key), "target": "VALUE", "result": "EQUAL", "value": STANDARD.encode(value) })
        }
        None => json!({ "key": name(key), "target": "CREATE", "result": "EQUAL", "create_revision": "0" }),
    };
    let expected = commit.expected.iter().map(|row| compare(&row.key, row.value.as_deref()));
    let puts = commit
        .puts
        .iter()
        .map(|row| json!({ "request_put": { "key": name(&row.key), "value": STANDARD.encode(&row.value) } }));
    let deletes = commit.deletes.iter().map(|key| json!({ "request_delete_range": { "key": name(key) } }));
    json!({
        "compare": expected.collect::<Vec<_>>(),
        "success": puts.chain(deletes).collect::<Vec<_>>(),
    })
}

/// A watch of everything from this revision on.
pub(super) fn watch(range: &Range, first: u64) -> Value {
    json!({ "create_request": {
        "key": STANDARD.encode(&range.key),
        "range_end": STANDARD.encode(&range.end),
        "start_revision": first.to_string(),
        "progress_notify": true,
        "fragment": true,
    } })
}

/// Where in the store's history an answer was given. Revision 0 is in no answer of etcd's: what reads like an
/// empty one then is somebody else's.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default, deserialize_with = "number")]
    pub(super) revision: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyValue {
    #[serde(deserialize_with = "bytes")]
    pub(super) key: Vec<u8>,
    #[serde(default, deserialize_with = "bytes")]
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
    #[serde(default)]
    pub(super) more: bool,
}

impl Page {
    /// Whether it is a part of what was asked for, in the order of the keys: an endless listing would be
    /// none.
    pub(super) fn fits(&self, range: &Range) -> bool {
        self.header.revision > 0
            && self.kvs.iter().all(|row| range.holds(&row.key))
            && self.kvs.is_sorted_by(|one, next| one.key < next.key)
            && !(self.more && self.kvs.is_empty())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    pub(super) responses: Vec<Response>,
}

impl Transaction {
    /// What each of its reads found; `None` if it is no answer to so many.
    pub(super) fn values(self, reads: usize) -> Option<Vec<Option<Vec<u8>>>> {
        let found = |response: Response| Some(response.response_range?.kvs.pop().map(|row| row.value));
        let is_whole = self.header.revision > 0 && self.responses.len() == reads;
        is_whole.then(|| self.responses.into_iter().map(found).collect())?
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Response {
    pub(super) response_range: Option<Page>,
}

#[derive(Deserialize)]
pub(super) struct Authenticated {
    pub(super) token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) etcdserver: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    pub(super) errors: Vec<String>,
}

/// A line of a watch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Result(Watched),
    Error(Said),
}

#[derive(Debug, Deserialize)]
pub(super) struct Watched {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) created: bool,
    #[serde(default)]
    pub(super) canceled: bool,
    #[serde(default)]
    pub(super) cancel_reason: String,
    #[serde(default, deserialize_with = "number")]
    pub(super) compact_revision: u64,
    #[serde(default)]
    pub(super) events: Vec<WatchEvent>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WatchEvent {
    #[serde(default, rename = "type")]
    pub(super) kind: EventKind,
    pub(super) kv: KeyValue,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventKind {
    #[default]
    Put,
    Delete,
}

/// An error as the gateway writes it: its code is gRPC's. In a stream it has other names, and no word of it
/// is sure.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Said {
    #[serde(alias = "grpc_code")]
    code: Option<u32>,
    #[serde(default)]
    message: String,
}

/// What an error of the store's means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The token is not known any more, or older than the last change of users and roles.
    Token,
    Denied,
    /// No space. A write may have been carried out all the same: the one that crosses the quota is, and gets
    /// this answer.
    Full,
    /// Too much to do; it was not begun.
    Busy,
    /// A revision that is compacted, or still to come.
    Past,
    /// No quorum, no answer from the leader in time, or anything else that tells nothing about what was done.
    Unsure,
    /// A request that it does not take.
    Invalid,
}

/// An error of the store's, in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) kind: Kind,
    pub(super) text: Untrusted,
}

/// Reads the answer to a failed request.
pub(super) fn complaint(status: u16, body: &[u8]) -> Complaint {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    match said.code {
        Some(_) => said.into(),
        // Not by the gateway itself, but by what stands in front of it.
        None => {
            let kind = match status {
                401 => Kind::Token,
                403 => Kind::Denied,
                // A certificate's CN, together with authentication: nothing but another certificate helps.
                400 if body.starts_with(b"CommonName") => Kind::Denied,
                400..=407 | 409..=428 => Kind::Invalid,
                _ => Kind::Unsure,
            };
            let text = Untrusted::new(&format!("HTTP {status} {}", String::from_utf8_lossy(body).trim()));
            Complaint { kind, text }
        }
    }
}

impl From<Said> for Complaint {
    fn from(said: Said) -> Complaint {
        let is = |part: &str| said.message.contains(part);
        // Codes of gRPC; what none of the others means is unsure.
        let kind = match said.code {
            Some(3) if is("revision of auth store is old") => Kind::Token,
            Some(3) if is("user name is empty") => Kind::Denied,
            Some(3 | 5 | 6 | 9 | 12) => Kind::Invalid,
            Some(7) => Kind::Denied,
            Some(8) if is("space exceeded") => Kind::Full,
            Some(8) if is("larger than max") => Kind::Invalid,
            Some(8) => Kind::Busy,
            Some(11) => Kind::Past,
            Some(16) => Kind::Token,
            Some(_) | None => Kind::Unsure,
        };
        Complaint { kind, text: Untrusted::new(&said.message) }
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_what_does_not_begin_like_it() {
        let range = Range::of_prefix("a/");
        assert_eq!((range.key.as_slice(), range.end.as_slice()), (b"a/".as_slice(), b"a0".as_slice()));
        assert!(range.holds(b"a/") && range.holds(b"a/\xff") && !range.holds(b"a") && !range.holds(b"a0"));
        assert!(!range.after(b"a/b").holds(b"a/b") && range.after(b"a/b").holds(b"a/b\0"));
        let all = Range::of_prefix("");
        assert!(all.holds(b"\0") && all.holds(b"\xff"));
    }

    #[test]
    fn what_is_absent_is_zero() {
        let page: Page =
            serde_json::from_str(r#"{"header":{"revision":"7"},"kvs":[{"key":"YQ=="}]}"#).unwrap();
        assert_eq!(
            (page.header.revision, page.more, page.kvs[0].value.as_slice()),
            (7, false, b"".as_slice())
        );
        let transaction: Transaction = serde_json::from_str("{}").unwrap();
        assert!(!transaction.succeeded && transaction.responses.is_empty());
        let text = r#"{"header":{"revision":"7"},"responses":[
            {"response_range":{"kvs":[{"key":"YQ==","value":"dg=="}]}},
            {"response_range":{}}
        ]}"#;
        let read = || serde_json::from_str::<Transaction>(text).unwrap();
        assert_eq!(read().values(2), Some(vec![Some(b"v".to_vec()), None]));
        assert_eq!(read().values(1), None);
    }

    #[test]
    fn a_page_that_was_not_asked_for() {
        let fits = |rest: &str| {
            let text = format!("{{\"header\":{{\"revision\":\"1\"}},{rest}}}");
            serde_json::from_str::<Page>(&text).unwrap().fits(&Range::of_prefix("a"))
        };
        assert!(fits(r#""kvs":[{"key":"YQ=="},{"key":"YWI="}],"more":true"#));
        for wrong in [
            r#""kvs":[{"key":"Yg=="}]"#,
            r#""kvs":[{"key":"YWI="},{"key":"YQ=="}]"#,
            r#""kvs":[{"key":"YQ=="},{"key":"YQ=="}]"#,
            r#""more":true"#,
        ] {
            assert!(!fits(wrong), "{wrong}");
        }
    }

    #[test]
    fn an_answer_without_a_revision_is_not_of_etcd() {
        for foreign in ["{}", r#"{"ok":true}"#, r#"{"error":{"code":14,"message":"x"}}"#] {
            assert!(!serde_json::from_str::<Page>(foreign).unwrap().fits(&Range::of_prefix("a")));
            assert_eq!(serde_json::from_str::<Transaction>(foreign).unwrap().values(0), None);
        }
    }

    #[test]
    fn what_an_error_means() {
        for (status, body, kind) in [
            (401, r#"{"code":16,"message":"etcdserver: invalid auth token"}"#, Kind::Token),
            (400, r#"{"code":3,"message":"etcdserver: revision of auth store is old"}"#, Kind::Token),
            (400, r#"{"code":3,"message":"etcdserver: user name is empty"}"#, Kind::Denied),
            (400, r#"{"code":3,"message":"etcdserver: request is too large"}"#, Kind::Invalid),
            (403, r#"{"code":7,"message":"etcdserver: permission denied"}"#, Kind::Denied),
            (429, r#"{"code":8,"message":"etcdserver: mvcc: database space exceeded"}"#, Kind::Full),
            (
                429,
                r#"{"code":8,"message":"grpc: received message larger than max (3 vs. 2)"}"#,
                Kind::Invalid,
            ),
            (429, r#"{"code":8,"message":"etcdserver: too many requests"}"#, Kind::Busy),
            (400, r#"{"code":11,"message":"required revision has been compacted"}"#, Kind::Past),
            (503, r#"{"code":14,"message":"etcdserver: request timed out"}"#, Kind::Unsure),
            (400, "CommonName of client sending a request", Kind::Denied),
            (404, "Not Found\n", Kind::Invalid),
            (408, "", Kind::Unsure),
            (502, "<html>", Kind::Unsure),
            (302, "", Kind::Unsure),
            (500, r#"{"code":2,"message":"raft proposal dropped"}"#, Kind::Unsure),
        ] {
            assert_eq!(complaint(status, body.as_bytes()).kind, kind, "{status} {body}");
        }
        assert_eq!(complaint(502, b"<html>").text.as_str(), "HTTP 502 <html>");
    }

    #[test]
    fn an_error_in_a_stream() {
        let old = r#"{"error":{"grpc_code":14,"http_code":503,"message":"no leader","http_status":"x"}}"#;
        let new = r#"{"error":{"code":14,"message":"no leader","details":[]}}"#;
        for text in [old, new] {
            let Ok(Line::Error(said)) = serde_json::from_str(text) else { panic!("{text}") };
            let complaint = Complaint::from(said);
            assert_eq!((complaint.kind, complaint.text.as_str()), (Kind::Unsure, "no leader"));
        }
    }

    #[test]
    fn events() {
        let text = r#"{"result":{"events":[
            {"kv":{"key":"YQ==","value":"dg=="}},
            {"type":"DELETE","kv":{"key":"YQ=="}}
        ]}}"#;
        let Ok(Line::Result(watched)) = serde_json::from_str(text) else { panic!("{text}") };
        let kinds: Vec<_> = watched.events.iter().map(|event| &event.kind).collect();
        assert_eq!(kinds, [&EventKind::Put, &EventKind::Delete]);
        assert_eq!(watched.events[0].kv.value, b"v");
    }
}
