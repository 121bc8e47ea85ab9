//! Domain control validation: what the vendor looks for, computed from a certificate request.
//!
//! Sources: the request token, <https://docs.sectigo.com/sps/domain-control-validation/request-token>; the CNAME
//! record, <https://www.sectigo.com/faqs/detail/complete-dv-using-cname-method>; the file,
//! <https://www.sectigo.com/knowledge-base/detail/complete-domain-validation-using-http-http-s-method>. An order may add
//! a unique value as a third part of the token. It is not in the request; for a re-issue of ours it is [`unique_value`].

pub mod survey;

use std::fmt::Display;

use aws_lc_rs::digest;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

/// The names in CAA records by which the vendor may issue, as the vendor's statement is quoted at
/// <https://ssl247.com/knowledge-base/detail/internal-caa-records/ka01n000000xnreqao>.
pub const CAA_NAMES: [&str; 5] =
    ["sectigo.com", "comodoca.com", "comodo.com", "usertrust.com", "trust-provider.com"];

words! {
    /// How control of the names is proven for a re-issue.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Dcv {
        /// A CNAME record for each name.
        Cname = "cname",
        /// A file on each name's web server, over port 80.
        Http = "http",
        /// The same over port 443.
        Https = "https",
        /// Nothing is published: the vendor still accepts an earlier proof.
        Reuse = "reuse",
    }
}

impl TryFrom<String> for Dcv {
    type Error = String;

    fn try_from(word: String) -> Result<Dcv, String> {
        Dcv::named(&word).ok_or_else(|| format!("there is no way {word:?} to prove control"))
    }
}

impl Dcv {
    /// The vendor's word for it. A call must name a method even where nothing is published for it.
    pub fn method(self) -> &'static str {
        match self {
            Dcv::Cname | Dcv::Reuse => "CNAME_CSR_HASH",
            Dcv::Http => "HTTP_CSR_HASH",
            Dcv::Https => "HTTPS_CSR_HASH",
        }
    }
}

/// What proves control of a domain, as far as it follows from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// MD5 of the DER request, upper-case hexadecimal: names the record and the file.
    pub name: String,
    /// SHA-256 of the DER request, upper-case hexadecimal.
    pub hash: String,
    /// `uniqueValue`, where it is known.
    pub unique: Option<String>,
}

/// What a record that was found proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The token as it is.
    Exact,
    /// The token with a unique value in it, and only the order knows which.
    WithUniqueValue,
    /// The same request's token with another unique value than the one that is known, or with none: an earlier proof.
    Older,
    /// Some other request's token, or none.
    Other,
}

impl Match {
    /// Whether the vendor may take it as the proof.
    pub fn is_proof(self) -> bool {
        match self {
            Match::Exact | Match::WithUniqueValue => true,
            Match::Older | Match::Other => false,
        }
    }
}

impl Token {
    /// The token of a certificate request in DER.
    pub fn of(csr: &[u8]) -> Token {
        let hash = hex(digest::digest(&digest::SHA256, csr).as_ref());
        Token { name: hex(&Md5::digest(csr)), hash, unique: None }
    }

    /// The same with the unique value that goes with it.
    pub fn with_unique(csr: &[u8], unique: &str) -> Token {
        Token { unique: Some(unique.to_owned()), ..Token::of(csr) }
    }

    /// The names at which the vendor looks for the record: the domain and each of its parents, the domain
    /// first. The last of them may be a public suffix, which holds no such record.
    pub fn record_names(&self, domain: &str) -> Vec<String> {
        authorization_names(domain).iter().map(|name| self.record_name(name)).collect()
    }

    /// The name of the record at a domain, which is no wildcard.
    pub fn record_name(&self, domain: &str) -> String {
        format!("_{}.{domain}", self.name)
    }

    /// Where the record points: the hash in two labels of 32 characters, because a label has at most 63.
    pub fn record_target(&self) -> String {
        let (first, last) = self.hash.split_at(32);
        let unique = self.unique.as_ref().map(|unique| format!("{unique}.")).unwrap_or_default();
        format!("{first}.{last}.{unique}sectigo.com")
    }

    /// What a record that was found proves. Case does not count in names.
    pub fn matches(&self, target: &str) -> Match {
        let target = target.trim_end_matches('.').to_ascii_lowercase();
        let (first, last) = self.hash.split_at(32);
        let Some(rest) = target.strip_prefix(&format!("{first}.{last}.").to_ascii_lowercase()) else {
            return Match::Other;
        };
        // The vendor's former name is still answered for.
        let Some(found) = rest.strip_suffix("sectigo.com").or_else(|| rest.strip_suffix("comodoca.com"))
        else {
            return Match::Other;
        };
        let found = found.strip_suffix('.').map_or((found, false), |unique| (unique, true));
        let is_ours =
            |found: &str| self.unique.as_deref().is_some_and(|unique| unique.eq_ignore_ascii_case(found));
        match found {
            ("", false) if self.unique.is_none() => Match::Exact,
            ("", false) => Match::Older,
            (unique, true) if is_ours(unique) => Match::Exact,
            (unique, true) if is_unique_value(unique) => match self.unique {
                Some(_) => Match::Older,
                None => Match::WithUniqueValue,
            },
            _ => Match::Other,
        }
    }

    /// Where the file must be, below `http://` or `https://` and the domain. Not for wildcards.
    pub fn file_path(&self) -> String {
        format!("/.well-known/pki-validation/{}", self.file_name())
    }

    /// The file's name alone.
    pub fn file_name(&self) -> String {
        format!("{}.txt", self.name)
    }

    /// What the file must hold; a unique value is its third line.
    pub fn file_content(&self) -> String {
        let unique = self.unique.as_ref().map(|unique| format!("{unique}\n")).unwrap_or_default();
        format!("{}\nsectigo.com\n{unique}", self.hash)
    }
}

/// Characters of `uniqueValue` that the vendor takes [doc: request-token].
const UNIQUE_CHARS: usize = 20;

/// Whether the vendor takes this as `uniqueValue`.
pub fn is_unique_value(text: &str) -> bool {
    (1..=UNIQUE_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A unique value that is never made twice for one order, and is the same again after a restart: of the state's identity,
/// the order's number, the hashes of the request and of the installed certificate, and how many were made before.
/// Small letters and digits, because DNS does not keep the case.
pub fn unique_value(
    identity: &str,
    order_number: &str,
    csr: impl Display,
    leaf: Option<impl Display>,
    number: u32,
) -> String {
    /// Base32 in small letters: five bits of each octet.
    const SYMBOLS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let leaf = leaf.map(|leaf| leaf.to_string()).unwrap_or_default();
    let seed = format!("{identity}\n{order_number}\n{csr}\n{leaf}\n{number}");
    let hash = digest::digest(&digest::SHA256, seed.as_bytes());
    let symbol = |octet: &u8| char::from(SYMBOLS[usize::from(octet % 32)]);
    hash.as_ref().iter().take(UNIQUE_CHARS).map(symbol).collect()
}

/// The domain without a wildcard, and each parent that has at least two labels.
pub fn authorization_names(domain: &str) -> Vec<String> {
    let mut names = with_parents(domain);
    names.retain(|name| name.contains('.'));
    names
}

/// The domain without a wildcard, and each parent, the root left out.
fn with_parents(domain: &str) -> Vec<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let mut rest = domain.strip_prefix("*.").unwrap_or(&domain);
    let mut names = Vec::new();
    while !rest.is_empty() {
        names.push(rest.to_owned());
        rest = rest.split_once('.').map_or("", |(_, parent)| parent);
    }
    names
}

/// One property of a CAA record set (RFC 8659 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caa {
    /// Whether an issuer that does not understand the tag must refuse.
    pub critical: bool,
    /// `issue`, `issuewild`, `iodef`, ...
    pub tag: String,
    /// As it stands in the record.
    pub value: String,
}

/// The first property that an issuer must understand and that is in no document (RFC 8659 section 4.5): no issuer may
/// then issue, whatever else the set says.
pub fn unknown_critical(records: &[Caa]) -> Option<&Caa> {
    let known = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];
    let is_known = |record: &Caa| known.iter().any(|tag| record.tag.eq_ignore_ascii_case(tag));
    records.iter().find(|record| record.critical && !is_known(record))
}

/// Why a CAA record set refuses the vendor, or `None` if it does not (RFC 8659 section 4.2 and 4.3).
pub fn caa_refusal(records: &[Caa], wildcard: bool) -> Option<String> {
    let tag = |record: &Caa| record.tag.to_ascii_lowercase();
    if let Some(odd) = unknown_critical(records) {
        return Some(format!(
            "it has a critical tag \"{}\" that the vendor may not know",
            super::Untrusted::new(&odd.tag)
        ));
    }
    let of = |name: &str| records.iter().filter(|record| tag(record) == name).collect::<Vec<_>>();
    let wild = of("issuewild");
    // For a wildcard, issuewild counts where there is one.
    let relevant = if wildcard && !wild.is_empty() { wild } else { of("issue") };
    if relevant.is_empty() {
        return None;
    }
    let issuer =
        |record: &&Caa| record.value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let allowed: Vec<String> = relevant.iter().map(issuer).collect();
    if allowed.iter().any(|name| CAA_NAMES.contains(&name.as_str())) {
        return None;
    }
    let others: Vec<&str> = allowed.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    Some(match others.as_slice() {
        [] => "it allows no CA".to_owned(),
        others => format!("it allows only {}", super::Untrusted::new(&others.join(", "))),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::of(b"abc")
    }

    #[test]
    fn record_and_file_follow_from_the_request() {
        let token = token();
        // RFC 1321 appendix A.5 and FIPS 180-2 appendix B.1 give both hashes of "abc".
        assert_eq!(token.name, "900150983CD24FB0D6963F7D28E17F72");
        assert_eq!(
            token.record_target(),
            "BA7816BF8F01CFEA414140DE5DAE2223.B00361A396177A9CB410FF61F20015AD.sectigo.com"
        );
        assert_eq!(
            token.record_names("*.a.example.com"),
            [
                "_900150983CD24FB0D6963F7D28E17F72.a.example.com",
                "_900150983CD24FB0D6963F7D28E17F72.example.com"
            ]
        );
        assert_eq!(token.file_path(), "/.well-known/pki-validation/900150983CD24FB0D6963F7D28E17F72.txt");
        assert_eq!(
            token.file_content(),
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\nsectigo.com\n"
        );
    }

    #[test]
    fn records_that_were_found_are_told_apart() {
        let check = |target: &str, expected: Match| assert_eq!(token().matches(target), expected, "{target}");
        let hash = "ba7816bf8f01cfea414140de5dae2223.b00361a396177a9cb410ff61f20015ad";
        check(&format!("{hash}.sectigo.com."), Match::Exact);
        check(&format!("{}.Sectigo.com", hash.to_uppercase()), Match::Exact);
        check(&format!("{hash}.comodoca.com."), Match::Exact);
        check(&format!("{hash}.b6gnGbHI.sectigo.com."), Match::WithUniqueValue);
        check(&format!("{hash}.evilsectigo.com."), Match::Other);
        check(&format!("{hash}.a.b.sectigo.com."), Match::Other);
        check("sectigo.com.", Match::Other);
        check(&format!("0{}.sectigo.com.", &hash[1..]), Match::Other);
    }

    #[test]
    fn a_unique_value_is_the_third_part() {
        let token = Token::with_unique(b"abc", "Ab12");
        let hash = "BA7816BF8F01CFEA414140DE5DAE2223.B00361A396177A9CB410FF61F20015AD";
        assert_eq!(token.record_target(), format!("{hash}.Ab12.sectigo.com"));
        assert_eq!(token.record_name("a.example.com"), "_900150983CD24FB0D6963F7D28E17F72.a.example.com");
        assert_eq!(
            token.file_content(),
            "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD\nsectigo.com\nAb12\n"
        );
        let check = |target: &str, expected: Match| assert_eq!(token.matches(target), expected, "{target}");
        check(&format!("{hash}.ab12.sectigo.com."), Match::Exact);
        check(&format!("{hash}.AB12.comodoca.com"), Match::Exact);
        check(&format!("{hash}.sectigo.com."), Match::Older);
        check(&format!("{hash}.ab1.sectigo.com."), Match::Older);
        check(&format!("{hash}.ab12x.sectigo.com."), Match::Older);
        check(&format!("{hash}..sectigo.com."), Match::Other);
        check(&format!("{hash}.x.ab12.sectigo.com."), Match::Other);
        check(&format!("{hash}.{}.sectigo.com.", "a".repeat(21)), Match::Other);
        check(&format!("{hash}.ab12sectigo.com."), Match::Other);
        check(&format!("0{}.ab12.sectigo.com.", &hash[1..]), Match::Other);
    }

    #[test]
    fn unique_values_are_the_same_again_and_never_twice() {
        let value = |identity, number, csr, leaf, running| unique_value(identity, number, csr, leaf, running);
        let first = value("id", "123", "csr", Some("leaf"), 0);
        // printf 'id\n123\ncsr\nleaf\n0' | sha256sum, each of the first 20 octets modulo 32 in base32
        assert_eq!(first, "4fu2d2krcy3hrwx32ft7");
        assert!(is_unique_value(&first));
        let all = [
            value("id", "123", "csr", Some("leaf"), 1),
            value("id", "123", "csr", None, 0),
            value("id", "123", "csr2", Some("leaf"), 0),
            value("id", "124", "csr", Some("leaf"), 0),
            value("ie", "123", "csr", Some("leaf"), 0),
            value("id", "123", "csr", Some("leaf"), 0),
        ];
        assert_eq!(all.iter().filter(|value| **value == first).count(), 1);
        for text in ["", "a-b", "a b", "é", &"a".repeat(21)] {
            assert!(!is_unique_value(text), "{text}");
        }
    }

    #[test]
    fn authorization_names_end_before_the_last_label() {
        assert_eq!(authorization_names("WWW.Example.COM."), ["www.example.com", "example.com"]);
        assert_eq!(authorization_names("*.example.com"), ["example.com"]);
        assert_eq!(authorization_names("localhost"), [""; 0]);
    }

    #[test]
    fn caa_refuses_only_where_it_speaks_of_somebody_else() {
        let record = |tag: &str, value: &str| Caa { critical: false, tag: tag.into(), value: value.into() };
        let check = |records: &[Caa], wildcard, expected: Option<&str>| {
            assert_eq!(caa_refusal(records, wildcard).as_deref(), expected, "{records:?} {wildcard}");
        };
        check(&[], false, None);
        check(&[record("iodef", "mailto:a@example.com")], false, None);
        check(&[record("issue", "sectigo.com")], false, None);
        check(&[record("ISSUE", " Sectigo.com ; validationmethods=dns")], false, None);
        check(&[record("issue", "letsencrypt.org"), record("issue", "comodoca.com")], false, None);
        check(&[record("issue", "letsencrypt.org")], false, Some("it allows only letsencrypt.org"));
        check(&[record("issue", ";")], false, Some("it allows no CA"));
        check(&[record("issue", "sectigo.com"), record("issuewild", ";")], true, Some("it allows no CA"));
        check(&[record("issue", "sectigo.com"), record("issuewild", ";")], false, None);
        check(&[record("issuewild", "letsencrypt.org")], false, None);
        check(&[record("issue", "letsencrypt.org"), record("issuewild", "sectigo.com")], true, None);
        let odd = Caa { critical: true, tag: "tbs".into(), value: "x".into() };
        check(&[odd], false, Some("it has a critical tag \"tbs\" that the vendor may not know"));
    }
}
