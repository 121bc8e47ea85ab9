//! Which of the certificates is the one that was ordered.
//!
//! The key decides where it is known: position, names and "the first that is no CA" have all been seen to fail
//! (root first in some answers, leaf first in others, unrelated certificates beside).

use super::super::signature;
use super::super::{Certificate, SignatureCheck, san};
use super::{Check, Expectation, Findings, KeyExpectation, Purpose, listed};

pub(super) struct Choice {
    pub(super) leaf: Option<Certificate>,
    /// The key candidate that it belongs to.
    pub(super) key: Option<usize>,
}

/// Chooses from distinct certificates; says what stands against the choice.
pub(super) fn choose(pool: &[Certificate], expected: &Expectation<'_>, findings: &mut Findings) -> Choice {
    let fitting =
        pool.iter().filter_map(|certificate| Some((certificate, fitting_key(certificate, &expected.key)?)));
    // A re-issue can come together with what it replaces, both with the same key.
    let newest = fitting
        .max_by_key(|(leaf, _)| (!leaf.is_ca(), leaf.not_before(), leaf.not_after(), leaf.fingerprint()));
    if let Some((leaf, key)) = newest {
        return Choice { leaf: Some(leaf.clone()), key };
    }
    let leaf = match by_elimination(pool, expected) {
        Ok(leaf) => Some(leaf.clone()),
        Err(text) => {
            findings.add(Check::Leaf, text);
            None
        }
    };
    if let Some(text) = misfit(&expected.key).filter(|_| !pool.is_empty()) {
        findings.add(Check::Key, text);
    }
    Choice { leaf, key: None }
}

/// `Some` if the certificate carries the expected key: with the candidate's index, if it is one.
fn fitting_key(certificate: &Certificate, expected: &KeyExpectation<'_>) -> Option<Option<usize>> {
    match expected {
        KeyExpectation::None => None,
        KeyExpectation::Candidates(candidates) => candidates
            .iter()
            .position(|candidate| candidate.key.as_ref().is_ok_and(|key| key.matches(certificate)))
            .map(Some),
        KeyExpectation::Csr(Ok(key)) => key.matches(certificate).then_some(None),
        KeyExpectation::Csr(Err(_)) => None,
    }
}

/// What is said when no certificate carries the expected key.
fn misfit(expected: &KeyExpectation<'_>) -> Option<String> {
    match expected {
        KeyExpectation::None | KeyExpectation::Candidates([]) => None,
        KeyExpectation::Candidates(candidates) => {
            let mut readable = Vec::new();
            let mut unreadable = Vec::new();
            for candidate in *candidates {
                match &candidate.key {
                    Ok(_) => readable.push(candidate.label.as_str()),
                    Err(reason) => unreadable.push(format!("{} cannot be used: {reason}", candidate.label)),
                }
            }
            let unreadable = listed(unreadable.iter().map(String::as_str));
            let is_readable = !readable.is_empty();
            let fits_none = format!("the certificate's public key matches none of {}", listed(readable));
            Some(match (is_readable, unreadable.is_empty()) {
                (false, _) => format!("there is no key to compare with; {unreadable}"),
                (true, true) => fits_none,
                (true, false) => format!("{fits_none}; {unreadable}"),
            })
        }
        KeyExpectation::Csr(Ok(_)) => {
            Some("the certificate's public key does not match the certificate request".to_owned())
        }
        KeyExpectation::Csr(Err(reason)) => {
            Some(format!("there is no key to compare with; the certificate request cannot be used: {reason}"))
        }
    }
}

/// The one that is no CA and issued none of the others; usage and domains decide between several.
fn by_elimination<'a>(
    pool: &'a [Certificate],
    expected: &Expectation<'_>,
) -> Result<&'a Certificate, String> {
    let mut left: Vec<&Certificate> = pool
        .iter()
        .filter(|certificate| !certificate.is_ca() && !issued_another(certificate, pool))
        .collect();
    narrow(&mut left, |certificate| is_for(certificate, expected.purpose));
    if !expected.domains.is_empty() {
        narrow(&mut left, |leaf| expected.domains.iter().all(|domain| san::covers(leaf.names(), domain)));
    }
    match left[..] {
        [leaf] => Ok(leaf),
        [] => Err(match pool.len() {
            0 => "there is no certificate".to_owned(),
            1 => "the only certificate is a CA certificate".to_owned(),
            all => format!("none of the {all} certificates is an end-entity certificate"),
        }),
        _ => {
            Err(format!("{} certificates could be the ordered one; configure its key or domains", left.len()))
        }
    }
}

/// Keeps those that pass, unless none or only one is left to choose from.
fn narrow(left: &mut Vec<&Certificate>, passes: impl Fn(&Certificate) -> bool) {
    if left.len() > 1 && left.iter().any(|certificate| passes(certificate)) {
        left.retain(|certificate| passes(certificate));
    }
}

fn issued_another(certificate: &Certificate, pool: &[Certificate]) -> bool {
    pool.iter().any(|other| {
        other != certificate
            && other.issuer() == certificate.subject()
            && signature::check(other, certificate) == SignatureCheck::Good
    })
}

fn is_for(certificate: &Certificate, purpose: Purpose) -> bool {
    let wanted = match purpose {
        Purpose::Server => "1.3.6.1.5.5.7.3.1",
        Purpose::Mark => "1.3.6.1.5.5.7.3.31",
        Purpose::Email => "1.3.6.1.5.5.7.3.4",
    };
    certificate.extended_key_usages().iter().any(|usage| usage == wanted)
}
