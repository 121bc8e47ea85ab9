//! What DNS shows of an order's domains, judged: can the vendor see the records, and may it issue?
//!
//! It looks nothing up: the lookups come in as [`Found`]. It says what it cannot know: the name of the record
//! follows from the certificate request, a unique value only from the order, and a file is not fetched.

use super::{Caa, Match, Token, caa_refusal, unknown_critical};
use crate::api::Untrusted;
use crate::api::reply::{Dcv, Details, is_validated};

/// Maximum number of domains looked at; the vendor's products end at 250 names.
pub const MAX_DOMAINS: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Records of the kind that was asked for.
    Records(Vec<T>),
    /// The name is there and has none of that kind.
    NoRecord,
    /// There is no such name (NXDOMAIN).
    NoName,
    /// Nothing is known, with the reason in words.
    Failed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its name, a wildcard included.
    pub domain: String,
    /// The vendor's word for how control is proven, where it is known.
    pub method: Option<String>,
    pub validated: bool,
}

/// How control of a domain is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Cname,
    /// A file, over HTTP or HTTPS.
    File(&'static str),
    /// A mail, a TXT record or something else that cannot be computed here.
    Other,
    Unknown,
}

words! {
    /// How a finding counts.
    pub enum State {
        /// As it should be.
        Ok = "ok",
        /// Worth knowing, neither good nor bad.
        Note = "note",
        /// What the vendor looks for is not there.
        Missing = "missing",
        /// The vendor may not issue.
        Refused = "refused",
        /// It cannot be told.
        Unknown = "unknown",
    }
}

impl State {
    pub fn is_fine(self) -> bool {
        matches!(self, State::Ok | State::Note)
    }
}

/// One thing that was found out about one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `cname`, `caa` or `file`.
    pub check: &'static str,
    pub state: State,
    /// In words; further lines are what to write into a zone or a file.
    pub text: String,
}

impl Finding {
    fn new(check: &'static str, state: State, text: impl Into<String>) -> Finding {
        Finding { check, state, text: text.into() }
    }
}

/// The domains to look at: what GetMDCDomainDetails said, else what the collecting call said, else the names of the
/// configuration, else those of the request. `told` holds what the vendor said, the most telling answer first.
pub fn subjects(told: &[&Details], configured: &[Box<str>], requested: &[String]) -> Vec<Subject> {
    let plain = |domain: &str| Subject { domain: domain.to_owned(), method: None, validated: false };
    let detailed = told.iter().map(|details| &details.dcv).find(|dcv| !dcv.is_empty());
    let listed = told.iter().map(|details| &details.domains).find(|listed| !listed.is_empty());
    let mut list: Vec<Subject> = if let Some(detailed) = detailed {
        let subject = |dcv: &Dcv| Subject {
            method: dcv.method.as_ref().map(|method| method.as_str().to_owned()),
            validated: dcv.is_validated(),
            ..plain(dcv.domain.as_str())
        };
        detailed.iter().map(subject).collect()
    } else if let Some(listed) = listed {
        let subject = |(domain, state): &(Untrusted, Untrusted)| Subject {
            validated: is_validated(state.as_str()),
            ..plain(domain.as_str())
        };
        listed.iter().map(subject).collect()
    } else if !configured.is_empty() {
        configured.iter().map(|domain| plain(domain)).collect()
    } else {
        requested.iter().map(|domain| plain(domain)).collect()
    };
    list.truncate(MAX_DOMAINS);
    list
}

impl Subject {
    /// How control is proven, by the vendor's word [doc: GetMDCDomainDetails].
    pub fn way(&self) -> Way {
        let method = self.method.as_deref().unwrap_or_default().to_ascii_uppercase();
        match method.as_str() {
            "" => Way::Unknown,
            "CNAME_CSR_HASH" | "CNAME" => Way::Cname,
            "HTTP_CSR_HASH" | "HTTP" => Way::File("http"),
            "HTTPS_CSR_HASH" | "HTTPS" => Way::File("https"),
            _ => Way::Other,
        }
    }

    pub fn is_wildcard(&self) -> bool {
        self.domain.starts_with("*.")
    }

    /// Whether DNS has anything to say: an IP address has neither CNAME nor CAA records.
    pub fn is_name(&self) -> bool {
        self.domain.parse::<std::net::IpAddr>().is_err()
    }

    pub fn wants_cname(&self) -> bool {
        !self.validated && self.is_name() && matches!(self.way(), Way::Cname | Way::Unknown)
    }

    /// The names whose CAA records count, the first that has any alone: the domain and each parent, the root left
    /// out (RFC 8659 section 3).
    pub fn caa_names(&self) -> Vec<String> {
        super::with_parents(&self.domain)
    }
}

/// One place where the CNAME record may be, and what was found there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    /// Where it points.
    pub found: Found<String>,
    /// Where that points in turn, if it was asked.
    pub further: Option<Found<String>>,
}

impl Seen {
    /// What the record, or the one it points to, proves.
    pub fn proves(&self, token: &Token) -> Match {
        let of = |found: &Found<String>| match found {
            Found::Records(targets) => targets
                .iter()
                .map(|target| token.matches(target))
                .find(|seen| *seen != Match::Other)
                .unwrap_or(Match::Other),
            Found::NoRecord | Found::NoName | Found::Failed(_) => Match::Other,
        };
        match of(&self.found) {
            Match::Other => self.further.as_ref().map_or(Match::Other, of),
            proof => proof,
        }
    }
}

/// What stands to say about control of a domain. `seen` holds the lookups of [`Token::record_names`], in
/// their order, up to the first that proves control.
pub fn control(subject: &Subject, token: Option<&Token>, seen: &[Seen]) -> Vec<Finding> {
    if subject.validated {
        return vec![Finding::new("cname", State::Ok, "the vendor has seen the proof of control")];
    }
    if !subject.is_name() {
        let text = "an IP address has neither CNAME nor CAA records; it is validated by a file";
        return vec![file(subject, token, "http"), Finding::new("cname", State::Note, text)];
    }
    match subject.way() {
        Way::File(scheme) => vec![file(subject, token, scheme)],
        Way::Other => {
            let method = Untrusted::new(subject.method.as_deref().unwrap_or_default());
            let text = format!("control is proven by {method}, which DNS does not show");
            vec![Finding::new("cname", State::Note, text)]
        }
        Way::Cname | Way::Unknown => match token {
            None => vec![Finding::new(
                "cname",
                State::Unknown,
                "the record's name is a hash of the certificate request, which is unknown; configure the order's csr_file",
            )],
            Some(token) => cname(subject, token, seen),
        },
    }
}

fn cname(subject: &Subject, token: &Token, seen: &[Seen]) -> Vec<Finding> {
    let (state, text) = match record(token, seen) {
        Ok(text) => return vec![Finding::new("cname", State::Ok, text)],
        Err(lack) => lack,
    };
    let name = token.record_names(&subject.domain).into_iter().next().unwrap_or_default();
    let text = format!("{text}; it should be\n{name}. CNAME {}.", token.record_target());
    let mut findings = vec![Finding::new("cname", state, text)];
    if subject.way() == Way::Unknown {
        let file = file(subject, Some(token), "http");
        let text = format!("if the order is validated by a file instead: {}", file.text);
        findings.push(Finding { state: State::Note, text, ..file });
    }
    findings
}

/// The record that proves control, in words, or what is there instead.
pub fn record(token: &Token, seen: &[Seen]) -> Result<String, (State, String)> {
    let points = |seen: &Seen| {
        let mut text = format!("{} points to {}", seen.name, shown(&seen.found));
        if let Some(further @ Found::Records(_)) = &seen.further {
            text += &format!(" and on to {}", shown(further));
        }
        text
    };
    if let Some(proof) = seen.iter().find(|seen| seen.proves(token).is_proof()) {
        let comment = match (proof.proves(token), &proof.further) {
            (Match::WithUniqueValue, _) => {
                "; it matches the request, but only the vendor knows whether its unique value is the order's"
            }
            // A resolver that is asked for an address would follow; one that is asked for the CNAME does not.
            (_, Some(_)) => {
                "; it matches the request, but the vendor does not document whether it follows a second CNAME"
            }
            (Match::Exact | Match::Older | Match::Other, None) => ", as it should",
        };
        return Ok(format!("CNAME {}{comment}", points(proof)));
    }
    if let Some(older) = seen.iter().find(|seen| seen.proves(token) == Match::Older) {
        let text = format!(
            "CNAME {}: that belongs to an earlier proof with this request, and its unique value is an older one",
            points(older)
        );
        return Err((State::Missing, text));
    }
    let tell = |seen: &Seen| match &seen.found {
        Found::Records(_) => {
            let further = match &seen.further {
                Some(further @ Found::Records(_)) => format!(" and on to {}", shown(further)),
                Some(Found::NoRecord | Found::NoName | Found::Failed(_)) | None => String::new(),
            };
            format!("{} points elsewhere, to {}{further}", seen.name, shown(&seen.found))
        }
        Found::NoRecord => format!("{} has no CNAME record", seen.name),
        Found::NoName => format!("{} does not exist", seen.name),
        Found::Failed(why) => format!("{}: {why}", seen.name),
    };
    if let Some(failed) = seen.iter().find(|seen| matches!(seen.found, Found::Failed(_))) {
        return Err((State::Unknown, format!("CNAME {}", tell(failed))));
    }
    let told: Vec<String> = seen.iter().map(tell).collect();
    Err((State::Missing, format!("no CNAME that matches the request: {}", told.join("; "))))
}

/// What is wrong with the content of the file that proves control, if anything is.
pub fn content(token: &Token, found: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(found);
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_ascii_lowercase).collect()
    };
    let (found, wanted) = (lines(text.trim_start_matches('\u{feff}')), lines(&token.file_content()));
    if found == wanted {
        return None;
    }
    Some(match found.first() == wanted.first() {
        true => "holds an earlier proof with this request: its unique value is an older one",
        false => "holds something else than the proof",
    })
}

fn shown(found: &Found<String>) -> String {
    match found {
        Found::Records(targets) => {
            targets.iter().map(|target| Untrusted::new(target).to_string()).collect::<Vec<_>>().join(", ")
        }
        Found::NoRecord | Found::NoName | Found::Failed(_) => "nothing".into(),
    }
}

/// Where the file must be and what must be in it
/// (<https://www.sectigo.com/knowledge-base/detail/complete-domain-validation-using-http-http-s-method>). A wildcard
/// cannot be validated by a file.
fn file(subject: &Subject, token: Option<&Token>, scheme: &str) -> Finding {
    if subject.is_wildcard() {
        let text = "a wildcard cannot be validated by a file; ask the vendor for CNAME validation";
        return Finding::new("file", State::Missing, text);
    }
    let Some(token) = token else {
        let text = "the file's name is a hash of the certificate request, which is unknown; configure the order's csr_file";
        return Finding::new("file", State::Unknown, text);
    };
    let text = format!(
        "{scheme}://{}{} must contain these lines; doctor does not fetch it\n{}",
        Untrusted::new(&subject.domain),
        token.file_path(),
        token.file_content().trim_end()
    );
    Finding::new("file", State::Note, text)
}

/// What stands to say about CAA. `climbed` holds the lookups of [`Subject::caa_names`], in their order, up to
/// the first with records.
pub fn caa(subject: &Subject, climbed: &[(String, Found<Caa>)]) -> Finding {
    for (name, found) in climbed {
        match found {
            Found::Records(records) => return judged(subject, name, records),
            Found::Failed(why) => {
                let text = format!(
                    "CAA {name}: {why}; the vendor may refuse to issue if it cannot look up CAA either"
                );
                return Finding::new("caa", State::Unknown, text);
            }
            Found::NoRecord | Found::NoName => {}
        }
    }
    let text = match climbed.first() {
        Some((name, Found::NoName)) => {
            format!("no CAA record ({name} does not exist), so any authority may issue")
        }
        _ => "no CAA record, so any authority may issue".to_owned(),
    };
    Finding::new("caa", State::Ok, text)
}

fn judged(subject: &Subject, name: &str, records: &[Caa]) -> Finding {
    let Some(why) = caa_refusal(records, subject.is_wildcard()) else {
        return Finding::new(
            "caa",
            State::Ok,
            format!("the CAA record set of {name} allows the vendor to issue"),
        );
    };
    let reports = records.iter().find(|record| record.tag.eq_ignore_ascii_case("iodef"));
    let reports = reports
        .map(|record| format!("; a refusal may be reported to {}", Untrusted::new(&record.value)))
        .unwrap_or_default();
    let remedy = match unknown_critical(records) {
        Some(_) => "remove that record, or its critical flag".to_owned(),
        None => {
            let tag = if subject.is_wildcard() { "issuewild" } else { "issue" };
            format!("add\n{name}. CAA 0 {tag} \"sectigo.com\"")
        }
    };
    let text = format!("the CAA record set of {name} refuses the vendor: {why}{reports}; {remedy}");
    Finding::new("caa", State::Refused, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reply::Dcv;

    fn subject(domain: &str, method: &str) -> Subject {
        let method = Some(method.to_owned()).filter(|method| !method.is_empty());
        Subject { domain: domain.into(), method, validated: false }
    }

    #[test]
    fn caa_climbs_to_the_top_but_not_to_the_root() {
        assert_eq!(subject("*.a.Example.com.", "").caa_names(), ["a.example.com", "example.com", "com"]);
        assert_eq!(subject("com", "").caa_names(), ["com"]);
        assert_eq!(subject("", "").caa_names(), [""; 0]);
    }

    #[test]
    fn only_the_first_records_count() {
        let record = |tag: &str, value: &str| Caa { critical: false, tag: tag.into(), value: value.into() };
        let check = |climbed: &[(&str, Found<Caa>)], state: State| {
            let climbed: Vec<_> =
                climbed.iter().map(|(name, found)| ((*name).to_owned(), found.clone())).collect();
            assert_eq!(caa(&subject("a.example.com", ""), &climbed).state, state, "{climbed:?}");
        };
        let ours = Found::Records(vec![record("issue", "sectigo.com")]);
        let others = Found::Records(vec![record("issue", "letsencrypt.org")]);
        check(&[], State::Ok);
        check(&[("a.example.com", ours.clone()), ("example.com", others.clone())], State::Ok);
        check(&[("a.example.com", Found::NoName), ("example.com", others)], State::Refused);
        check(&[("a.example.com", Found::Failed("x".into())), ("example.com", ours)], State::Unknown);
    }

    #[test]
    fn what_the_vendor_said_comes_before_the_configuration() {
        let foreign = |text: &str| Untrusted::new(text);
        let names = |list: Vec<Subject>| {
            list.into_iter()
                .map(|subject| format!("{} {:?} {}", subject.domain, subject.way(), subject.validated))
                .collect::<Vec<_>>()
        };
        let configured: [Box<str>; 1] = ["c.example".into()];
        let mut details = Details::default();
        assert_eq!(names(subjects(&[], &[], &["r.example".into()])), ["r.example Unknown false"]);
        assert_eq!(names(subjects(&[&details], &configured, &[])), ["c.example Unknown false"]);
        details.domains = vec![(foreign("d.example"), foreign("NOTVALIDATED"))];
        assert_eq!(names(subjects(&[&details], &configured, &[])), ["d.example Unknown false"]);
        details.dcv = vec![Dcv {
            domain: foreign("e.example"),
            method: Some(foreign("CNAME_CSR_HASH")),
            status: Some(foreign("Validated")),
        }];
        assert_eq!(names(subjects(&[&details], &configured, &[])), ["e.example Cname true"]);
        // What was told of the domains alone says how each is proven, whichever of the two came last.
        let plain =
            Details { domains: vec![(foreign("e.example"), foreign("VALIDATED"))], ..Details::default() };
        assert_eq!(names(subjects(&[&details, &plain], &configured, &[])), ["e.example Cname true"]);
        assert_eq!(names(subjects(&[&plain], &configured, &[])), ["e.example Unknown true"]);
        assert_eq!(
            names(subjects(&[&Details::default(), &plain], &configured, &[])),
            ["e.example Unknown true"]
        );
    }

    #[test]
    fn files_are_not_for_wildcards_and_need_the_request() {
        let token = Token::of(b"abc");
        let state = |domain: &str, token: Option<&Token>| {
            control(&subject(domain, "HTTP_CSR_HASH"), token, &[])[0].state
        };
        assert_eq!(state("*.example.com", Some(&token)), State::Missing);
        assert_eq!(state("example.com", None), State::Unknown);
        assert_eq!(state("192.0.2.1", Some(&token)), State::Note);
    }

    #[test]
    fn an_earlier_proof_is_told_from_none() {
        let ours = Token::with_unique(b"abc", "new1");
        let at = |target: String| Seen {
            name: "_x.example.com".into(),
            found: Found::Records(vec![target]),
            further: None,
        };
        assert!(record(&ours, &[at(ours.record_target())]).is_ok());
        for older in [Token::of(b"abc"), Token::with_unique(b"abc", "old1")] {
            let (state, text) = record(&ours, &[at(older.record_target())]).unwrap_err();
            assert_eq!(state, State::Missing);
            assert!(text.ends_with("and its unique value is an older one"), "{text}");
        }
        let (_, text) = record(&ours, &[at(Token::of(b"b").record_target())]).unwrap_err();
        assert!(text.contains("points elsewhere"), "{text}");
        // Higher up there may be the right one.
        assert!(record(&ours, &[at(Token::of(b"abc").record_target()), at(ours.record_target())]).is_ok());
    }

    #[test]
    fn a_file_is_compared_line_by_line() {
        let ours = Token::with_unique(b"abc", "new1");
        let content = |text: &str| content(&ours, text.as_bytes());
        let file = ours.file_content();
        for same in
            [file.as_str(), file.trim_end(), &file.replace('\n', "\r\n"), &format!("\u{feff}{file}\n")]
        {
            assert_eq!(content(same), None, "{same:?}");
        }
        let older = "holds an earlier proof with this request: its unique value is an older one";
        for token in [Token::of(b"abc"), Token::with_unique(b"abc", "old1")] {
            assert_eq!(content(&token.file_content()), Some(older));
        }
        for other in ["", "<html>", &Token::of(b"b").file_content(), &format!("x\n{file}")] {
            assert_eq!(content(other), Some("holds something else than the proof"), "{other}");
        }
    }
}
