//! Answers made of names and values: URL-encoded and JSON.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Dcv, Details, LOGIN_REFUSED, MAX_DOMAINS, MAX_ITEMS, MAX_OTHERS, Reply, STATUSES, Unreadable, code,
    is_number, moment,
};
use crate::api::Untrusted;
use crate::api::dcv::is_unique_value;

/// Whether a body is a URL-encoded answer: the key `errorCode` stands at its start or after a `&`.
pub(super) fn is_urlencoded(body: &[u8]) -> bool {
    let start = &body[..body.len().min(64 * 1024)];
    start.split(|byte| *byte == b'&').take(MAX_ITEMS).any(|pair| {
        pair.trim_ascii_start().get(..10).is_some_and(|key| key.eq_ignore_ascii_case(b"errorCode="))
    })
}

/// `errorCode=…&certificate=…`, keys in any order and any case.
pub(super) fn urlencoded(body: &Bytes) -> Result<Reply, Unreadable> {
    let mut gather = Gather::default();
    for (at, pair) in body.split(|byte| *byte == b'&').enumerate() {
        if at >= MAX_ITEMS {
            return Err(Unreadable::TooMany(MAX_ITEMS));
        }
        // The vendor's own sample breaks its lines between pairs.
        let pair = pair.trim_ascii_start();
        let (key, value) = match pair.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &b""[..]),
        };
        gather.take(&String::from_utf8_lossy(&decoded(key)), decoded(value))?;
    }
    gather.finish()
}

/// `{"error":{"code":-16,…}}` or a flat object with the names of the URL-encoded form.
pub(super) fn json(body: &Bytes) -> Result<Reply, Unreadable> {
    let form = || Unreadable::Form(Untrusted::from_bytes(body));
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| form())?;
    let mut gather = Gather::default();
    let object = match value.get("error") {
        Some(serde_json::Value::Object(error)) => error,
        _ => value.as_object().ok_or_else(form)?,
    };
    gather.take_domain_objects(object);
    for (key, value) in object.iter().take(MAX_ITEMS) {
        if value.is_object() || value.is_array() {
            continue;
        }
        let key = match key.as_str() {
            "code" => "errorCode",
            "description" | "message" => "errorMessage",
            "item" => "errorItem",
            other => other,
        };
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        };
        gather.take(key, text.into_bytes())?;
    }
    gather.finish()
}

/// Percent-decoding to bytes; `+` stands for a space in forms.
fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

/// A certificate value whose encoding was undone once. "Base64-encoded and then URL-encoded" stands on the page in the same
/// words as for the lists of domains, which arrive encoded twice. Neither base64 nor PEM has a percent sign; text
/// around PEM may have one, which is then literal.
fn plain(value: Vec<u8>) -> Vec<u8> {
    let is_escape = |rest: &[u8]| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit);
    let mut escapes = value.split(|byte| *byte == b'%').skip(1).peekable();
    let encoded = escapes.peek().is_some() && escapes.all(is_escape);
    if encoded { decoded(&value) } else { value }
}

#[derive(Default)]
struct Gather {
    code: Option<i32>,
    reply: Reply,
    /// `N_domainName`, `N_dcvMethod` and `N_dcvStatus`, by N.
    numbered: BTreeMap<u32, [Option<Untrusted>; 3]>,
}

/// What is known of each domain, by the name of its key after the number.
const OF_DOMAIN: [&str; 3] = ["domainName", "dcvMethod", "dcvStatus"];

impl Gather {
    fn take(&mut self, key: &str, value: Vec<u8>) -> Result<(), Unreadable> {
        let key = key.trim();
        let text = || String::from_utf8_lossy(&value).trim().to_owned();
        let words = || Untrusted::some(&text());
        let number = || Some(text()).filter(|number| is_number(number));
        if let Some((number, at)) = numbered(key) {
            if self.numbered.len() < MAX_DOMAINS || self.numbered.contains_key(&number) {
                self.numbered.entry(number).or_default()[at] = words();
            }
            return Ok(());
        }
        let details = &mut self.reply.details;
        match key.to_ascii_lowercase().as_str() {
            "errorcode" => {
                let new = code(&text())?;
                let refused = [self.code, Some(new)].contains(&Some(LOGIN_REFUSED));
                if self.code.is_some_and(|old| old != new) && !refused {
                    return Err(Unreadable::Code(Untrusted::new("two codes that differ")));
                }
                // Of two that differ, nothing follows but that the login may be refused.
                self.code = Some(if refused { LOGIN_REFUSED } else { new });
            }
            "certificate" | "cacertificate" | "zipfile" | "pkcs7" | "netscapecertificatesequence" => {
                if !text().is_empty() {
                    self.reply.parts.push(Bytes::from(plain(value)));
                }
            }
            "errormessage" => self.reply.message = words(),
            "erroritem" => self.reply.item = words(),
            "ordernumber" => self.reply.order_number = number(),
            "certificateid" => self.reply.certificate_id = number(),
            "uniquevalue" => self.reply.unique_value = Some(text()).filter(|text| is_unique_value(text)),
            "certificatestatus" => details.certificate_status = words(),
            "validationstatus" => details.validation_status = words(),
            "fqdn" => details.fqdn = words(),
            "producttermstartdate" => details.term_start = moment(&text()),
            "producttermenddate" => details.term_end = moment(&text()),
            "mdcdomaindetails" | "mdcdomaindetails2" => details.take_domains(&text()),
            "caastatus" => details.caa = words(),
            // Validity is read from the certificate itself.
            "notbefore" | "notafter" | "certificateduration" | "producttermduration" | "" => {}
            other => {
                if let Some(name) = STATUSES.into_iter().find(|name| name.eq_ignore_ascii_case(other)) {
                    details.statuses.extend(text().parse().ok().map(|status: i32| (name, status)));
                } else if details.others.len() < MAX_OTHERS {
                    details.others.extend(words().map(|words| (Untrusted::new(key), words)));
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Reply, Unreadable> {
        let code = self.code.ok_or_else(|| Unreadable::Code(Untrusted::new("no errorCode")))?;
        let mut reply = Reply { code, ..self.reply };
        let domains = self
            .numbered
            .into_values()
            .filter_map(|[domain, method, status]| Some(Dcv { domain: domain?, method, status }));
        reply.details.dcv = domains.collect();
        Ok(reply)
    }

    /// The JSON success of GetMDCDomainDetails is not documented: any list of objects that name a domain counts.
    fn take_domain_objects(&mut self, object: &serde_json::Map<String, serde_json::Value>) {
        let lists = object.values().filter_map(|value| value.as_array());
        let objects = lists.flatten().filter_map(|value| value.as_object()).take(MAX_DOMAINS);
        for (number, object) in (1u32..).zip(objects) {
            let field = |name: &str| {
                let (_, value) = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
                Untrusted::some(value.as_str()?)
            };
            let found = OF_DOMAIN.map(field);
            if found[0].is_some() {
                self.numbered.insert(number, found);
            }
        }
    }
}

/// `12_dcvStatus` is number 12, third field.
fn numbered(key: &str) -> Option<(u32, usize)> {
    let (number, name) = key.split_once('_')?;
    let at = OF_DOMAIN.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    Some((number.parse().ok()?, at))
}

impl Details {
    /// `domain STATE, domain STATE`; can itself be URL-encoded once more ("a URL-encoded string containing
    /// the paired information"). The second, richer list replaces what the first one said of a domain.
    pub(super) fn take_domains(&mut self, text: &str) {
        let once_more;
        let text = if text.contains('%') || (text.contains('+') && !text.contains(' ')) {
            once_more = decoded(text.as_bytes());
            String::from_utf8_lossy(&once_more)
        } else {
            text.into()
        };
        for pair in text.split(',').take(MAX_DOMAINS) {
            let mut words = pair.split_whitespace();
            let (Some(domain), Some(state), None) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let (domain, state) = (Untrusted::new(domain), Untrusted::new(state));
            if let Some(known) = self.domains.iter_mut().find(|(known, _)| *known == domain) {
                known.1 = state;
            } else if self.domains.len() < MAX_DOMAINS {
                self.domains.push((domain, state));
            }
        }
    }
}
