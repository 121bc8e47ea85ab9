//! The commands of the control port. Their table is in the documentation of [`sandbox`](super).

use aws_lc_rs::digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::der::pem;
use super::issue::hex;
use super::orders::{Certificate, Order};
use super::script::{Product, State, Step};
use super::vendor::Vendor;
use super::{Error, Handle, shape};

/// What a command is answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) value: Json,
}

/// Body of `POST /clock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

/// Body of `POST /orders/N/script`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    script: Vec<Step>,
}

/// Why a command was not carried out.
enum Failure {
    NoSuchPath,
    WrongMethod,
    Body(String),
    Vendor(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Vendor(error)
    }
}

/// Carries out a command.
pub(super) fn command(handle: &Handle, method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Reply {
    match route(handle, method, path, query, body) {
        Ok(value) => Reply { status: 200, value },
        Err(failure) => {
            let (status, reason) = match failure {
                Failure::NoSuchPath => (404, format!("there is no {path}; the documentation has a table")),
                Failure::WrongMethod => (405, format!("{path} does not take {method}")),
                Failure::Body(reason) => (400, format!("{method} {path}: {reason}")),
                Failure::Vendor(error) => match error {
                    Error::UnknownOrder(_) | Error::UnknownAccount(_) | Error::UnknownFault(_) => {
                        (404, error.to_string())
                    }
                    _ => (400, error.to_string()),
                },
            };
            Reply { status, value: json!({ "error": reason }) }
        }
    }
}

fn route(
    handle: &Handle,
    method: &str,
    path: &str,
    query: Option<&str>,
    body: &[u8],
) -> Result<Json, Failure> {
    let parts: Vec<String> = path.split('/').skip(1).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut vendor = handle.vendor();
    match (method, parts.as_slice()) {
        ("GET", [""]) => Ok(overview(handle, &vendor)),
        ("GET", ["ca"]) => Ok(json!(vendor.authorities())),
        ("POST", ["clock"]) => {
            let Advance { advance_ms } = parse(body)?;
            vendor.advance_clock(std::time::Duration::from_millis(advance_ms));
            Ok(overview(handle, &vendor))
        }
        ("POST", ["scenario"]) => done(vendor.load(parse(body)?)),
        ("GET", ["accounts"]) => Ok(json!(vendor.accounts().all().collect::<Vec<_>>())),
        ("POST", ["accounts"]) => done(vendor.put_account(parse(body)?)),
        ("DELETE", ["accounts", name]) => done(vendor.remove_account(name)),
        ("GET", ["orders"]) => {
            let numbers = vendor.book().numbers();
            let orders: Result<Vec<Json>, Failure> = numbers.iter().map(|n| order(&vendor, n)).collect();
            Ok(json!(orders?))
        }
        ("POST", ["orders"]) => {
            let spec: super::OrderSpec = parse(body)?;
            let number = spec.order_number.clone();
            vendor.put_order(spec)?;
            order(&vendor, &number)
        }
        ("GET", ["orders", number]) => order(&vendor, number),
        ("DELETE", ["orders", number]) => done(vendor.remove_order(number)),
        (_, ["orders", number, command]) => about_order(&mut vendor, method, number, command, body),
        ("GET", ["dials"]) => Ok(json!(vendor.dials())),
        ("POST", ["dials"]) => {
            vendor.set_dials(parse(body)?)?;
            Ok(json!(vendor.dials()))
        }
        ("GET", ["faults"]) => Ok(json!(vendor.faults().all())),
        ("POST", ["faults"]) => Ok(json!({ "id": vendor.add_fault(parse(body)?)? })),
        ("DELETE", ["faults"]) => {
            vendor.clear_faults();
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => {
            let id = id.parse().map_err(|_| Failure::Body(format!("'{id}' is no number of a fault")))?;
            done(vendor.remove_fault(id))
        }
        ("GET", ["calls"]) => Ok(json!(vendor.record().calls(after(query)?).collect::<Vec<_>>())),
        ("DELETE", ["calls"]) => {
            vendor.reset_record();
            Ok(json!({}))
        }
        ("GET", ["counters"]) => Ok(json!(vendor.record().counters())),
        ("POST", ["stop"]) => {
            handle.stop();
            Ok(json!({}))
        }
        (
            _,
            [""]
            | ["ca"]
            | ["clock"]
            | ["scenario"]
            | ["accounts"]
            | ["accounts", _]
            | ["orders"]
            | ["orders", _]
            | ["dials"]
            | ["faults"]
            | ["faults", _]
            | ["calls"]
            | ["counters"]
            | ["stop"],
        ) => Err(Failure::WrongMethod),
        _ => Err(Failure::NoSuchPath),
    }
}

/// `/orders/N/…`
fn about_order(
    vendor: &mut Vendor,
    method: &str,
    number: &str,
    command: &str,
    body: &[u8],
) -> Result<Json, Failure> {
    match (method, command) {
        ("POST", "script") => {
            let Script { script } = parse(body)?;
            vendor.set_script(number, script)?;
            order(vendor, number)
        }
        ("POST", "advance") => {
            vendor.advance(number)?;
            order(vendor, number)
        }
        ("POST", "issue") => {
            let spec = if body.is_empty() { None } else { Some(parse(body)?) };
            Ok(certificate(&vendor.issue(number, spec)?))
        }
        ("POST", "reissue") => {
            let spec = if body.is_empty() { Default::default() } else { parse(body)? };
            Ok(certificate(&vendor.reissue(number, &spec)?))
        }
        ("POST", "reject") => {
            vendor.reject(number)?;
            order(vendor, number)
        }
        ("POST", "revoke") => {
            vendor.revoke(number)?;
            order(vendor, number)
        }
        ("GET", "certificate") => Ok(certificate(newest(vendor, number)?)),
        ("GET", "certificates") => {
            let certificates = &entry(vendor, number)?.certificates;
            Ok(json!(certificates.iter().map(certificate).collect::<Vec<_>>()))
        }
        ("GET", "key") => match &newest(vendor, number)?.issued.key_pem {
            Some(key) => Ok(json!({ "key": key })),
            None => {
                let reason = format!("the sandbox did not make the key of order {number}");
                Err(Error::Refused(reason).into())
            }
        },
        (
            _,
            "script" | "advance" | "issue" | "reissue" | "reject" | "revoke" | "certificate" | "certificates"
            | "key",
        ) => Err(Failure::WrongMethod),
        _ => Err(Failure::NoSuchPath),
    }
}

fn entry<'a>(vendor: &'a Vendor, number: &str) -> Result<&'a Order, Failure> {
    Ok(vendor.book().get(number).ok_or_else(|| Error::UnknownOrder(number.into()))?)
}

fn newest<'a>(vendor: &'a Vendor, number: &str) -> Result<&'a Certificate, Failure> {
    let newest = entry(vendor, number)?.certificates.last();
    Ok(newest.ok_or_else(|| Error::Refused(format!("order {number} has no certificate yet")))?)
}

fn overview(handle: &Handle, vendor: &Vendor) -> Json {
    json!({
        "base_url": handle.base_url(),
        "control_url": handle.control_url(),
        "now": vendor.now(),
        "ahead_ms": u64::try_from(vendor.ahead().as_millis()).unwrap_or(u64::MAX),
        "shapes": shape::names().collect::<Vec<_>>(),
    })
}

fn order(vendor: &Vendor, number: &str) -> Result<Json, Failure> {
    let order = entry(vendor, number)?;
    let step = order.current();
    Ok(json!({
        "order_number": order.spec.order_number,
        "product": product(order.spec.product),
        "account": order.spec.account,
        "base_order_number": order.spec.base_order_number,
        "domains": order.spec.domains,
        "state": state(step.state),
        "code": step.code,
        "step": order.step() + 1,
        "steps": order.spec.script.len(),
        "polls": order.polls,
        "certificate_id": order.certificate_id(),
        "certificates": order.certificates.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
    }))
}

fn product(product: Product) -> &'static str {
    match product {
        Product::Ssl => "ssl",
        Product::Mark => "mark",
        Product::Smime => "smime",
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Available => "available",
        State::Issued => "issued",
        State::Error => "error",
    }
}

fn certificate(certificate: &Certificate) -> Json {
    let issued = &certificate.issued;
    let text = |der: &[u8]| pem("CERTIFICATE", der, "\n");
    json!({
        "certificate_id": certificate.id,
        "serial": issued.serial,
        "sha256": hex(digest::digest(&digest::SHA256, &issued.der).as_ref()),
        "not_before": issued.not_before,
        "not_after": issued.not_after,
        "names": issued.names,
        "certificate": text(&issued.der),
        "chain": issued.chain.intermediate.iter().map(|ca| text(&ca.der)).collect::<Vec<_>>(),
        "root": text(&issued.chain.root.der),
    })
}

fn done(result: Result<(), Error>) -> Result<Json, Failure> {
    result?;
    Ok(json!({}))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::Body(error.to_string()))
}

fn after(query: Option<&str>) -> Result<u64, Failure> {
    let mut number = 0;
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if key != "after" {
            return Err(Failure::Body(format!("unknown parameter `{key}`, expected `after`")));
        }
        number = value.parse().map_err(|_| Failure::Body(format!("after: '{value}' is no number")))?;
    }
    Ok(number)
}

/// Percent-decodes one part of a path, in which a plus is a plus.
fn decode(part: &str) -> String {
    let pair = format!("={}", part.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}
