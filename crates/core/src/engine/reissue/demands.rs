//! What must hold of a re-issued certificate, whatever the order's policy says.

use crate::cert::verify::listed;
use crate::cert::{self, Certificate, Check, Finding, Severity};
use crate::engine::order::record::OrderRecord;
use crate::engine::reissue::record::{Reissue, Stage};
use crate::engine::time::rfc3339;

/// What blocks this certificate while a re-issue is awaited: another key than its request's, names that are lost, an end that
/// is no later. While it is unclear whether it was made, somebody else may have asked for another one.
pub(crate) fn findings(record: &OrderRecord, leaf: &Certificate) -> Vec<Finding> {
    let awaited = record.reissue.as_deref().and_then(Reissue::awaited);
    let (Some(_), Some(installed)) = (awaited, record.installed.as_deref()) else { return Vec::new() };
    if leaf.fingerprint() == installed.fingerprint {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut block = |check, text: String| findings.push(Finding { check, level: Severity::Block, text });
    let key = open_request(record);
    if key.is_some_and(|key| key.spki() != leaf.spki()) {
        block(Check::Key, "the certificate's key is not that of the re-issue's request".to_owned());
    }
    let lost =
        listed(installed.names.iter().map(|name| &**name).filter(|name| !cert::still_covers(leaf, name)));
    if !lost.is_empty() {
        block(
            Check::Coverage,
            format!("the re-issued certificate does not cover {lost}, which the installed one covers"),
        );
    }
    if leaf.not_after() <= installed.not_after {
        let (new, old) = (rfc3339(leaf.not_after()), rfc3339(installed.not_after));
        block(
            Check::Downgrade,
            format!("the re-issued certificate ends {new}, no later than the installed one ({old})"),
        );
    }
    findings
}

/// The key that the certificate of an open re-issue has to have.
pub(crate) fn open_request(record: &OrderRecord) -> Option<cert::PublicKey> {
    let known = record.reissue.as_deref().filter(|known| known.stage == Stage::Open)?;
    Some(cert::csr::read(&known.request()).ok()?.public_key().clone())
}
