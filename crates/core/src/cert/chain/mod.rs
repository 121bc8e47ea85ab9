//! From a leaf upwards: who issued whom, proven by signature.
//!
//! The vendor sends CA certificates root first in some answers and issuer first in others, PKCS#7 is a set, and
//! bundles hold cross-signed twins: two certificates with one subject and one key, one of them self-signed, the
//! other signed by an older root (since 2025, Sectigo Public Server Authentication Root R46 and E46 beside the ones
//! signed by USERTrust). So position counts for nothing and a subject names no single certificate. Key
//! identifiers only decide which candidate is tried first, as RFC 5280 section 4.2.1.1 means them.
//!
//! Whether anyone trusts the end of the chain is not asked here; see `verify`.

use std::collections::HashMap;
use std::fmt;

use super::{Certificate, SignatureCheck, signed_by};

/// Signature checks of one search. With the ten certificates of one answer, every pair can be checked.
pub const MAX_CHECKS: usize = 100;
/// Distinct certificates of the pool that are looked at.
pub const MAX_POOL: usize = 32;
/// Certificates tried as next link in one search, over all paths. Honest bundles take below 20; a dense web
/// of cross-signatures ends here with the best path found so far.
const MAX_STEPS: usize = 5000;

/// The certificates above a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The leaf's issuer first, each signed by the next. A self-signed root is not among them.
    pub intermediates: Vec<Certificate>,
    /// The self-signed certificate at the end, if the pool held it. Where the chain ends with a cross-signed
    /// certificate, that one's self-signed twin.
    pub root: Option<Certificate>,
    pub complete: Completeness,
}

/// How a chain ends. `above` counts the intermediates between the leaf and the link in question: 0 is the leaf's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// With a self-signed root from the pool.
    Rooted,
    /// With a certificate whose issuer the pool does not hold. Normal: roots are often left out.
    Open,
    /// At once: the leaf signed itself.
    SelfSigned,
    /// At once: the pool holds nothing with the name of the leaf's issuer.
    NoIssuer,
    /// A certificate has the issuer's name, and the signature was not made with its key.
    BadSignature { above: usize },
    /// The signature is good, and the certificate that made it may not sign certificates.
    NotCa { above: usize },
    /// The signature is good, and its maker's basicConstraints allow fewer intermediates (RFC 5280 section 4.2.1.9).
    PathTooLong { above: usize },
    /// The signature cannot be checked.
    Unsupported { above: usize, algorithm: String },
    /// The search took more than [`MAX_CHECKS`] signature checks without finding a chain.
    TooCostly,
}

impl Completeness {
    /// Whether every link up to the end is proven.
    pub fn is_sound(&self) -> bool {
        matches!(self, Completeness::Rooted | Completeness::Open)
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = |above: &usize| match above {
            0 => "the certificate".to_owned(),
            above => format!("intermediate {above}"),
        };
        match self {
            Completeness::Rooted => f.write_str("the chain is complete, with its root"),
            Completeness::Open => f.write_str("the chain is complete, without a root"),
            Completeness::SelfSigned => f.write_str("the certificate is self-signed"),
            Completeness::NoIssuer => f.write_str("the issuer of the certificate was not sent with it"),
            Completeness::BadSignature { above } => {
                write!(f, "the signature of {} was not made by the issuer that was sent with it", link(above))
            }
            Completeness::NotCa { above } => {
                write!(f, "{} was signed by a certificate that may not sign certificates", link(above))
            }
            Completeness::PathTooLong { above } => {
                write!(f, "the issuer of {} allows fewer intermediates below it", link(above))
            }
            Completeness::Unsupported { above, algorithm } => {
                write!(f, "the signature of {} cannot be checked: {algorithm}", link(above))
            }
            Completeness::TooCostly => f.write_str("no chain was found within the limit on signature checks"),
        }
    }
}

/// Finds the best chain above `leaf` among the certificates of `pool` (the leaf itself may be in it).
///
/// A chain whose links are all proven comes before one that breaks off; then one in which everything is valid
/// at `now` (UNIX seconds), the root included; then the longest, which is the one through a cross-signed
/// certificate: it also serves clients that know the older root only. No path visits the same subject and key
/// twice (RFC 4158 section 5.2).
pub fn build(leaf: &Certificate, pool: &[Certificate], now: i64) -> Chain {
    let mut search = Search::new(leaf, pool, now);
    search.extend(&mut vec![0]);
    let Some((_, path, complete)) = search.best.take() else {
        return Chain { intermediates: Vec::new(), root: None, complete: Completeness::TooCostly };
    };
    let mut intermediates: Vec<_> = path[1..].iter().map(|at| search.certificates[*at].clone()).collect();
    let root = match complete {
        Completeness::Rooted => intermediates.pop(),
        Completeness::Open => search.twin_of(path[path.len() - 1]),
        _ => None,
    };
    Chain { intermediates, root, complete }
}

/// What one certificate is to another.
#[derive(Clone, PartialEq, Eq)]
enum Link {
    /// The names do not fit, or the key identifiers say "another key of that name" and the signature agrees.
    None,
    Good,
    Bad,
    NotCa,
    Unsupported(String),
    OutOfBudget,
}

/// How good a path is, most important first. Greater is better.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    sound: bool,
    valid: bool,
    /// Did not end only because the next link would have closed a loop.
    ended: bool,
    length: usize,
}

/// Indices are into `certificates`; 0 is the leaf.
struct Search<'a> {
    certificates: Vec<&'a Certificate>,
    now: i64,
    links: HashMap<(usize, usize), Link>,
    checks: usize,
    steps: usize,
    best: Option<(Rank, Vec<usize>, Completeness)>,
}

impl<'a> Search<'a> {
    fn new(leaf: &'a Certificate, pool: &'a [Certificate], now: i64) -> Search<'a> {
        let mut certificates = vec![leaf];
        for certificate in pool {
            if certificates.len() <= MAX_POOL && !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
        Search { certificates, now, links: HashMap::new(), checks: MAX_CHECKS, steps: MAX_STEPS, best: None }
    }

    /// Tries every way to go on from the end of `path`, depth first.
    fn extend(&mut self, path: &mut Vec<usize>) {
        let above = path.len() - 1;
        let child = path[above];
        if self.is_self_signed(child) {
            let end = if above == 0 { Completeness::SelfSigned } else { Completeness::Rooted };
            return self.offer(path, end, true);
        }
        let mut extended = false;
        let mut looped = false;
        let mut trouble = None;
        for issuer in self.candidates(child) {
            if self.closes_loop(path, issuer) {
                looped |= self.link(child, issuer) == Link::Good;
                continue;
            }
            let found = match self.link(child, issuer) {
                Link::Good if self.too_long(path, issuer) => Completeness::PathTooLong { above },
                Link::Good => {
                    if self.steps == 0 {
                        return;
                    }
                    self.steps -= 1;
                    extended = true;
                    path.push(issuer);
                    self.extend(path);
                    path.pop();
                    continue;
                }
                Link::NotCa => Completeness::NotCa { above },
                Link::Unsupported(algorithm) => Completeness::Unsupported { above, algorithm },
                Link::Bad => Completeness::BadSignature { above },
                Link::OutOfBudget => Completeness::TooCostly,
                Link::None if above == 0 => Completeness::BadSignature { above },
                Link::None => continue,
            };
            if trouble.as_ref().is_none_or(|known| weight(&found) > weight(known)) {
                trouble = Some(found);
            }
        }
        if !extended {
            let end = if above == 0 && !looped { Completeness::NoIssuer } else { Completeness::Open };
            self.offer(path, trouble.unwrap_or(end), !looped);
        }
    }

    /// Keeps a finished path if none of its rank or better is known.
    fn offer(&mut self, path: &[usize], complete: Completeness, ended: bool) {
        let valid = path[1..].iter().all(|at| self.certificates[*at].is_valid_at(self.now));
        let rootless = if complete == Completeness::Rooted { path.len() - 1 } else { path.len() };
        let rank = Rank { sound: complete.is_sound(), valid, ended, length: rootless };
        if self.best.as_ref().is_none_or(|(best, ..)| rank > *best) {
            self.best = Some((rank, path.to_vec(), complete));
        }
    }

    /// Everything with the name of the child's issuer: fitting key identifier first, then the newer one.
    fn candidates(&self, child: usize) -> Vec<usize> {
        let child = self.certificates[child];
        let all = 1..self.certificates.len();
        let mut found: Vec<_> = all.filter(|at| self.certificates[*at].subject() == child.issuer()).collect();
        found.sort_by_key(|at| {
            let candidate = self.certificates[*at];
            let newest = std::cmp::Reverse((candidate.not_before(), candidate.fingerprint()));
            (key_ids(child, candidate) != Some(true), newest)
        });
        found
    }

    fn link(&mut self, child: usize, issuer: usize) -> Link {
        if let Some(known) = self.links.get(&(child, issuer)) {
            return known.clone();
        }
        if self.checks == 0 {
            return Link::OutOfBudget;
        }
        self.checks -= 1;
        let (lower, upper) = (self.certificates[child], self.certificates[issuer]);
        let link = match signed_by(lower, upper) {
            SignatureCheck::Good if upper.may_issue() => Link::Good,
            SignatureCheck::Good => Link::NotCa,
            SignatureCheck::Unsupported(algorithm) => Link::Unsupported(algorithm),
            SignatureCheck::Bad if key_ids(lower, upper) == Some(false) => Link::None,
            SignatureCheck::Bad => Link::Bad,
        };
        self.links.insert((child, issuer), link.clone());
        link
    }

    /// Roots are often signed with algorithms no longer checked (SHA-1, 1024 bits). Where only that stands
    /// against it and the key identifiers do not, a self-issued certificate counts as self-signed: its own
    /// signature proves nothing anyway.
    fn is_self_signed(&mut self, at: usize) -> bool {
        let certificate = self.certificates[at];
        certificate.is_self_issued()
            && match self.link(at, at) {
                Link::Good | Link::NotCa => true,
                Link::Unsupported(_) => key_ids(certificate, certificate) != Some(false),
                Link::None | Link::Bad | Link::OutOfBudget => false,
            }
    }

    /// The self-signed certificate with the subject and key of this one.
    fn twin_of(&mut self, at: usize) -> Option<Certificate> {
        let twin = (1..self.certificates.len())
            .find(|other| self.are_twins(at, *other) && self.is_self_signed(*other))?;
        Some(self.certificates[twin].clone())
    }

    fn are_twins(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.certificates[one], self.certificates[other]);
        one.subject() == other.subject() && one.spki() == other.spki()
    }

    fn closes_loop(&self, path: &[usize], next: usize) -> bool {
        path.iter().any(|at| self.are_twins(*at, next))
    }

    /// RFC 5280 section 4.2.1.9: self-issued certificates below are not counted, and neither is the leaf.
    fn too_long(&self, path: &[usize], issuer: usize) -> bool {
        let below = path[1..].iter().filter(|at| !self.certificates[**at].is_self_issued()).count();
        self.certificates[issuer].path_len().is_some_and(|limit| below as u64 > u64::from(limit))
    }
}

/// Whether the key identifiers agree; `None` where one of the two is missing.
fn key_ids(child: &Certificate, issuer: &Certificate) -> Option<bool> {
    Some(child.authority_key_id()? == issuer.subject_key_id()?)
}

/// Which of several troubles tells most: one with a good signature names the true issuer, and where the search
/// broke off, nothing is known about the rest.
fn weight(trouble: &Completeness) -> u8 {
    match trouble {
        Completeness::PathTooLong { .. } => 5,
        Completeness::NotCa { .. } => 4,
        Completeness::TooCostly => 3,
        Completeness::Unsupported { .. } => 2,
        Completeness::BadSignature { .. } => 1,
        Completeness::Rooted | Completeness::Open | Completeness::SelfSigned | Completeness::NoIssuer => 0,
    }
}

#[cfg(test)]
mod tests;
