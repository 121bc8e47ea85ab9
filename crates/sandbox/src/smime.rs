//! AutoReplaceSMIME and ResendCollectionEmailSMIME.

use serde_json::json;

use super::answer::{Answer, Format, Pairs, form, json};
use super::keys::PublicKey;
use super::orders::{Standing, Status};
use super::params::{Args, Endpoint};
use super::refusal::Refusal;
use super::shape::Shape;

/// What AutoReplaceSMIME is asked to do, after everything was checked.
pub(super) struct Replacement {
    /// The CSR as PEM.
    pub(super) csr: String,
    pub(super) revoke_old: bool,
}

/// Checks the CSR and whether the order can be replaced. `agreement` is the special one that
/// `caCertificateID` needs.
pub(super) fn replacement(args: &Args, standing: &Standing, agreement: bool) -> Result<Replacement, Refusal> {
    const ENDPOINT: Endpoint = Endpoint::ReplaceSmime;
    let csr = args.get("csr").unwrap_or_default();
    let key = PublicKey::from_csr_text(csr).map_err(|_| Refusal::invalid("csr"))?;
    if key.too_small() {
        return Err(Refusal { item: Some("csr".into()), ..Refusal::of(ENDPOINT, -13) });
    }
    if args.get("caCertificateID").is_some() && !agreement {
        return Err(Refusal::of(ENDPOINT, -91));
    }
    let revoke_old = args.yes("revokeOldOrder");
    match &standing.status {
        Status::Issued(_) | Status::Available(_) => Ok(Replacement { csr: armoured(csr), revoke_old }),
        // Revoked and "in the process of being issued" have codes of their own on the page.
        Status::Error { code: code @ (-21 | -26 | -42), .. } => Err(Refusal::of(ENDPOINT, *code)),
        // "The certificate is not in a state that allows the requested operation."
        Status::Pending | Status::Error { .. } => Err(Refusal::of(ENDPOINT, -122)),
    }
}

/// The armour is optional on the way in; the order keeps a PEM text.
fn armoured(csr: &str) -> String {
    if csr.contains("-----BEGIN") {
        return csr.into();
    }
    format!("-----BEGIN CERTIFICATE REQUEST-----\n{csr}\n-----END CERTIFICATE REQUEST-----\n")
}

/// The answer with the number of the new order, "which is returned if the replacement order has been
/// created".
pub(super) fn replaced(number: &str, format: Format, shape: &Shape) -> Answer {
    let number = Some(number).filter(|_| !shape.no_new_number);
    match format {
        Format::Lines => {
            let lines: Vec<String> = ["0"].into_iter().chain(number).map(Into::into).collect();
            Answer::lines(0, &lines, shape)
        }
        Format::Form => {
            let mut pairs: Pairs = vec![("errorCode".into(), 0.into())];
            pairs.extend(number.map(|number| ("orderNumber".to_owned(), number.into())));
            form(0, pairs, shape)
        }
        Format::Json => {
            let mut value = json!({ "errorCode": 0 });
            if let Some(number) = number {
                // The page does not say whether it is a number or a text.
                let digits = number.parse::<u64>().ok().filter(|_| shape.nested_json);
                value["orderNumber"] = digits.map_or_else(|| json!(number), |digits| json!(digits));
            }
            json(0, &value, shape)
        }
    }
}

/// ResendCollectionEmailSMIME: `0`, or why no e-mail goes out.
pub(super) fn resend(standing: &Standing, forced: Option<i32>, shape: &Shape) -> Result<Answer, Refusal> {
    let follows = match &standing.status {
        Status::Issued(_) | Status::Available(_) => 0,
        Status::Pending | Status::Error { code: -26, .. } => -125,
        Status::Error { .. } => -122,
    };
    match forced.unwrap_or(follows) {
        0 => Ok(Answer::lines(0, &["0".into()], shape)),
        code => Err(Refusal::of(Endpoint::ResendSmime, code)),
    }
}
