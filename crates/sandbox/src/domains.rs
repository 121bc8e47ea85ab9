//! GetMDCDomainDetails: the domains of an order and how far their control validation is.

use serde_json::{Map, Value as Json, json};

use super::answer::{Answer, Format, Pairs, form, json};
use super::collect::details;
use super::orders::Standing;
use super::shape::Shape;

/// The statuses of this endpoint, in the order of its samples. The page has neither `brandValStatus` nor
/// `maStatus` nor `caaStatus`, and names the one for domain control `dcvStatusCode`, because
/// `N_dcvStatus` is a text here.
const STATUSES: [(&str, &str); 12] = [
    ("csrStatus", "csrStatus"),
    ("dcvStatus", "dcvStatusCode"),
    ("ovCallBackStatus", "ovCallBackStatus"),
    ("organizationValidationStatus", "organizationValidationStatus"),
    ("freeDVUPStatus", "freeDVUPStatus"),
    ("evClickThroughStatus", "evClickThroughStatus"),
    ("evLegalExistence", "evLegalExistence"),
    ("evAssumedName", "evAssumedName"),
    ("evPhysicalExistence", "evPhysicalExistence"),
    ("evOperationalExistence", "evOperationalExistence"),
    ("evSignerApproverRequester", "evSignerApproverRequester"),
    ("evSignerSecondApproval", "evSignerSecondApproval"),
];

/// Answers with 0 and the domains, whatever state the order is in.
pub(super) fn answer(standing: &Standing, with_statuses: bool, format: Format, shape: &Shape) -> Answer {
    let shown = if with_statuses { details(standing, shape) } else { Vec::new() };
    let statuses = STATUSES.iter().filter_map(|(from, to)| {
        shown.iter().find(|(key, _)| key == from).map(|(_, value)| (*to, value.as_str()))
    });
    match format {
        Format::Json if shape.nested_json => json(0, &nested(standing, statuses), shape),
        Format::Json => {
            let mut object = Map::from_iter([("errorCode".to_owned(), json!(0))]);
            object.extend(flat(standing).into_iter().map(|(key, value)| (key, Json::String(value))));
            object.extend(statuses.map(|(key, value)| (key.to_owned(), json!(number(value)))));
            json(0, &Json::Object(object), shape)
        }
        Format::Form | Format::Lines => {
            let mut pairs: Pairs = vec![("errorCode".into(), 0.into())];
            pairs.extend(flat(standing).into_iter().map(|(key, value)| (key, value.into())));
            pairs.extend(statuses.map(|(key, value)| (key.to_owned(), value.into())));
            form(0, pairs, shape)
        }
    }
}

/// `1_domainName`, `1_dcvMethod`, `1_dcvStatus`, `2_domainName`, …
fn flat(standing: &Standing) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (at, dcv) in standing.dcv.iter().enumerate() {
        let n = at + 1;
        pairs.push((format!("{n}_domainName"), dcv.domain.clone()));
        if let Some(method) = &dcv.method {
            pairs.push((format!("{n}_dcvMethod"), method.clone()));
        }
        pairs.push((format!("{n}_dcvStatus"), dcv.state.words().to_owned()));
    }
    pairs
}

/// No page shows the JSON of a success; this is what the nested error suggests.
fn nested<'a>(standing: &Standing, statuses: impl Iterator<Item = (&'a str, &'a str)>) -> Json {
    let domains: Vec<Json> = standing
        .dcv
        .iter()
        .map(|dcv| {
            let mut domain = json!({ "domainName": dcv.domain, "dcvStatus": dcv.state.words() });
            if let Some(method) = &dcv.method {
                domain["dcvMethod"] = json!(method);
            }
            domain
        })
        .collect();
    let mut object = Map::from_iter([("domains".to_owned(), json!(domains))]);
    object.extend(statuses.map(|(key, value)| (key.to_owned(), json!(number(value)))));
    Json::Object(object)
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_default()
}
