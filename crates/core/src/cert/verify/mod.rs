//! The gate: is this the certificate that was ordered, and may it replace the installed one?
//!
//! Every doubt becomes a named [`Finding`]; what a finding does is the operator's policy. Nothing is repaired
//! and nothing is dropped in silence. How the checks are divided: `leaf` chooses, `chain` orders, `trust`
//! asks what a strict client would say, and the rest is here.

mod leaf;
mod proven;
mod trust;

use std::fmt;

pub use trust::{Anchors, AnchorsError, MAX_ANCHORS, MAX_ANCHORS_INPUT, read_roots};

use super::chain::{self, Completeness};
use super::key::{PublicKey, PublicKeys};
use super::{Certificate, Chain, Fingerprint, SanName, san, still_covers, strength};

/// Tolerated clock difference in seconds, between this host, the CA and clients.
pub const CLOCK_TOLERANCE: i64 = 600;
/// Names that a finding lists before it counts the rest.
const MAX_LISTED: usize = 5;

words! {
    /// What a check does when it does not hold.
    pub enum Severity {
        /// Nothing is installed; the answer goes to quarantine.
        Block = "block",
        /// It is installed, and said.
        Warn = "warn",
        /// Not reported. A configured key and domains still help to choose the leaf.
        Off = "off",
    }
}

/// The level of each check that an operator can choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The public key is that of the operator's key or request.
    pub key: Severity,
    /// The configured domains are covered.
    pub domains: Severity,
    /// What the installed certificate covers is covered.
    pub coverage: Severity,
    /// Leaf and intermediates form a chain, by name and by signature.
    pub chain: Severity,
    /// Leaf and intermediates are valid now.
    pub dates: Severity,
    /// It is not older than what is installed.
    pub downgrade: Severity,
    /// A strict client would accept it against the anchors.
    pub trust: Severity,
}

impl Default for Policy {
    /// All block, but for trust, which warns: a private hierarchy is in no store; and for coverage: names are also left
    /// out on purpose.
    fn default() -> Policy {
        Policy {
            key: Severity::Block,
            domains: Severity::Block,
            coverage: Severity::Warn,
            chain: Severity::Block,
            dates: Severity::Block,
            downgrade: Severity::Block,
            trust: Severity::Warn,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// TLS server: `trust` asks for the usage serverAuth.
    Server,
    /// Mark certificate (VMC, CMC), usage 1.3.6.1.5.5.7.3.31.
    Mark,
    /// S/MIME, usage emailProtection.
    Email,
}

/// A private key that the certificate may belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCandidate {
    /// How findings call it: the path of its file.
    pub label: String,
    /// The public keys of all private keys in it, or why none could be read.
    pub key: Result<PublicKeys, String>,
}

/// How the right public key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyExpectation<'a> {
    /// It is not: the key check has nothing to say. So has it with an empty list of candidates.
    None,
    /// It belongs to one of these private keys.
    Candidates(&'a [KeyCandidate]),
    /// It is that of the certificate request, or the reason why that could not be read.
    Csr(Result<&'a PublicKey, String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    pub fingerprint: Fingerprint,
    /// Of its leaf, UNIX seconds.
    pub not_before: i64,
    /// Of its leaf, UNIX seconds.
    pub not_after: i64,
}

/// What was ordered.
#[derive(Debug, Clone)]
pub struct Expectation<'a> {
    pub policy: Policy,
    pub purpose: Purpose,
    pub key: KeyExpectation<'a>,
    /// What it must cover: DNS names in A-label form, wildcards, IP addresses, e-mail addresses.
    pub domains: &'a [Box<str>],
    /// What it would replace.
    pub installed: Option<Installed>,
    /// The names of that, as [`san::SanName`] is written.
    pub covered: &'a [Box<str>],
    /// The roots for `trust`; `None` if they could not be read.
    pub anchors: Option<&'a Anchors>,
}

words! {
    /// The checks, by the words of the configuration.
    pub enum Check {
        /// Which of the certificates is the one that was ordered, and whether it is of any use. Always blocks: without it
        /// there is nothing to install.
        Leaf = "leaf",
        Key = "key",
        Domains = "domains",
        Coverage = "coverage",
        Chain = "chain",
        Dates = "dates",
        Downgrade = "downgrade",
        Trust = "trust",
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    /// What it does: [`Severity::Block`] or [`Severity::Warn`], never [`Severity::Off`].
    pub level: Severity,
    /// For people: lower case, no full stop, foreign parts in printable ASCII and bounded.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.text)
    }
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The certificate that was ordered. There can be one although the verdict blocks, so that it can be looked at.
    pub leaf: Option<Certificate>,
    /// What stands above it.
    pub chain: Chain,
    /// Which key candidate it belongs to: an index into [`KeyExpectation::Candidates`].
    pub key: Option<usize>,
    /// In the order of [`Check`].
    pub findings: Vec<Finding>,
    /// The leaf becomes valid at this time, UNIX seconds: ask again then. Only where dates are looked at.
    pub not_yet_valid_until: Option<i64>,
}

impl Verdict {
    pub fn blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.level == Severity::Block)
    }
}

/// Judges what an answer held, at `now` (UNIX seconds). Whatever is in the pool, this ends, and soon: the search
/// for a chain and webpki's path check have their own limits on signature checks, and of the pool at most
/// [`chain::MAX_POOL`] distinct certificates are looked at.
pub fn judge(pool: &[Certificate], expected: &Expectation<'_>, now: i64) -> Verdict {
    let mut distinct: Vec<Certificate> = Vec::new();
    for certificate in pool {
        if distinct.len() < chain::MAX_POOL && !distinct.contains(certificate) {
            distinct.push(certificate.clone());
        }
    }
    let mut findings = Findings { policy: expected.policy, list: Vec::new() };
    let choice = leaf::choose(&distinct, expected, &mut findings);
    let Some(leaf) = choice.leaf else {
        let chain = Chain { intermediates: Vec::new(), root: None, complete: Completeness::NoIssuer };
        return Verdict { leaf: None, chain, key: None, findings: findings.list, not_yet_valid_until: None };
    };
    usable(&leaf, expected.purpose, &mut findings);
    let chain = chain::build(&leaf, &distinct, now);
    let chain = without_expired(&leaf, chain, expected, now, &mut findings);
    names(&leaf, expected, &mut findings);
    links(&leaf, &chain, &mut findings);
    let not_yet_valid_until = dates(&leaf, &chain, now, &mut findings);
    downgrade(&leaf, expected.installed, &mut findings);
    if expected.policy.trust != Severity::Off
        && let Err(text) = trust::check(&leaf, &chain, expected, now)
    {
        findings.add(Check::Trust, text);
    }
    Verdict { leaf: Some(leaf), chain, key: choice.key, findings: findings.list, not_yet_valid_until }
}

/// Collects findings at the level that the policy gives them.
struct Findings {
    policy: Policy,
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, check: Check, text: String) {
        let level = match check {
            Check::Leaf => Severity::Block,
            Check::Key => self.policy.key,
            Check::Domains => self.policy.domains,
            Check::Coverage => self.policy.coverage,
            Check::Chain => self.policy.chain,
            Check::Dates => self.policy.dates,
            Check::Downgrade => self.policy.downgrade,
            Check::Trust => self.policy.trust,
        };
        if level != Severity::Off {
            self.list.push(Finding { check, level, text });
        }
    }
}

/// What no policy allows, because it would be insecure.
fn usable(leaf: &Certificate, purpose: Purpose, findings: &mut Findings) {
    if let Some(weakness) = strength::weakness(leaf.spki()) {
        findings.add(Check::Leaf, format!("the certificate's {weakness}"));
    }
    let named = leaf.names().iter().any(|name| matches!(name, SanName::Dns(_) | SanName::Ip(_)));
    if purpose == Purpose::Server && !named && !leaf.is_ca() {
        let text = "the certificate names no server: its subjectAltName is missing, empty or unreadable";
        findings.add(Check::Leaf, text.to_owned());
    } else if let (Purpose::Server, odd @ 1..) = (purpose, leaf.unreadable_names()) {
        // The others serve as they are.
        let text = match odd {
            1 => "one of the certificate's names is neither a DNS name nor an address; no client accepts it"
                .to_owned(),
            _ => format!(
                "{odd} of the certificate's names are neither DNS names nor addresses; no client accepts them"
            ),
        };
        findings.list.push(Finding { check: Check::Leaf, level: Severity::Warn, text });
    }
}

fn names(leaf: &Certificate, expected: &Expectation<'_>, findings: &mut Findings) {
    let missing =
        listed(expected.domains.iter().map(|name| &**name).filter(|name| !san::covers(leaf.names(), name)));
    if !missing.is_empty() {
        findings.add(Check::Domains, format!("the certificate does not cover {missing}"));
    }
    let lost = listed(expected.covered.iter().map(|name| &**name).filter(|name| !still_covers(leaf, name)));
    if !lost.is_empty() {
        let text = format!("the certificate no longer covers {lost}, which the installed one covers");
        findings.add(Check::Coverage, text);
    }
}

/// Bundles go on holding a cross-signed CA certificate after it has expired. Where a trusted root lies below it, it is
/// useless and breaks clients that check it; otherwise it stays, and the date check reports it.
fn without_expired(
    leaf: &Certificate,
    chain: Chain,
    expected: &Expectation<'_>,
    now: i64,
    findings: &mut Findings,
) -> Chain {
    let expired = chain.intermediates.iter().position(|certificate| has_expired(certificate, now));
    let Some(keep) = expired.filter(|keep| *keep > 0 && expected.policy.dates != Severity::Off) else {
        return chain;
    };
    let intermediates = chain.intermediates[..keep].to_vec();
    let shorter = Chain { intermediates, root: None, complete: Completeness::Open };
    if trust::check(leaf, &shorter, expected, now).is_err() {
        return chain;
    }
    let (what, since) = (&chain.intermediates[keep], date(chain.intermediates[keep].not_after()));
    let text = format!(
        "the intermediate {} expired at {since}; it is left out, as the chain below it is trusted",
        what.subject_text()
    );
    findings.list.push(Finding { check: Check::Dates, level: Severity::Warn, text });
    shorter
}

fn has_expired(certificate: &Certificate, now: i64) -> bool {
    now > certificate.not_after().saturating_add(CLOCK_TOLERANCE)
}

fn links(leaf: &Certificate, chain: &Chain, findings: &mut Findings) {
    if leaf.is_ca() {
        // No policy allows this one: its key could sign certificates for any name.
        let text = "the certificate is a CA certificate".to_owned();
        findings.list.push(Finding { check: Check::Chain, level: Severity::Block, text });
    }
    if !chain.complete.is_sound() {
        findings.add(Check::Chain, chain.complete.to_string());
    }
}

fn dates(leaf: &Certificate, chain: &Chain, now: i64, findings: &mut Findings) -> Option<i64> {
    let mut look = |what: &str, certificate: &Certificate| {
        let early = now < certificate.not_before().saturating_sub(CLOCK_TOLERANCE);
        if early {
            let text = format!("{what} is not valid before {}", date(certificate.not_before()));
            findings.add(Check::Dates, text);
        } else if has_expired(certificate, now) {
            findings.add(Check::Dates, format!("{what} expired at {}", date(certificate.not_after())));
        }
        early
    };
    let early = look("the certificate", leaf);
    for certificate in &chain.intermediates {
        look(&format!("the intermediate {}", certificate.subject_text()), certificate);
    }
    (early && findings.policy.dates != Severity::Off).then(|| leaf.not_before())
}

fn downgrade(leaf: &Certificate, installed: Option<Installed>, findings: &mut Findings) {
    let Some(installed) = installed.filter(|installed| installed.fingerprint != leaf.fingerprint()) else {
        return;
    };
    let mut compare = |what: &str, new: i64, old: i64| {
        if new < old {
            let (new, old) = (date(new), date(old));
            let text = format!("the new certificate {what} earlier ({new}) than the installed one ({old})");
            findings.add(Check::Downgrade, text);
        }
    };
    compare("expires", leaf.not_after(), installed.not_after);
    compare("starts", leaf.not_before(), installed.not_before);
}

/// RFC 3339, or the bare number outside the years that it can write.
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| format!("UNIX second {seconds}"), |time| time.to_string())
}

/// The first five of a list, and how many more there are.
pub fn listed<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.into_iter().collect();
    let shown = items[..items.len().min(MAX_LISTED)].join(", ");
    match items.len().saturating_sub(MAX_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
