//! The commands of the control port: the table, which `GET /` shows, and what each does. More in docs/rehearsal.md.

use aws_lc_rs::digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::der::pem;
use super::issue::hex;
use super::orders::{Certificate, Order};
use super::script::Step;
use super::vendor::Vendor;
use super::{Error, Handle, shape};

/// What a command is answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) value: Json,
}

/// Every command: method and path, and what it does. `N`, `NAME` and `ID` stand for an order number, a login name, a
/// number of a fault.
const COMMANDS: [(&str, &str); 31] = [
    ("GET /", "addresses, time, names of shapes, and these commands"),
    ("GET /ca", "all CA certificates as PEM; `api` is what a client must trust"),
    ("POST /clock", "advances the clock"),
    ("POST /scenario", "adds accounts, orders and faults, sets dials"),
    ("GET /accounts", "all accounts, without their passwords"),
    ("POST /accounts", "adds or replaces an account; a locked-out one is unlocked"),
    ("DELETE /accounts/NAME", "removes an account"),
    ("GET /orders", "all orders"),
    ("GET /orders/N", "an order"),
    ("POST /orders", "adds or replaces an order"),
    ("DELETE /orders/N", "removes an order"),
    ("POST /orders/N/script", "replaces the script and starts it now"),
    ("POST /orders/N/advance", "goes to the next step of the script"),
    ("POST /orders/N/issue", "issues the first certificate"),
    ("POST /orders/N/reissue", "issues another certificate"),
    ("POST /orders/N/prove", "takes the domains of a re-issue as proven"),
    ("POST /orders/N/reject", "-20 from here on"),
    ("POST /orders/N/revoke", "-21 from here on"),
    ("GET /orders/N/certificate", "the present certificate"),
    ("GET /orders/N/certificates", "all certificates, oldest first"),
    ("GET /orders/N/key", "the present certificate's key, where the sandbox made it"),
    ("GET /dials", "the dial settings"),
    ("POST /dials", "sets the named dials"),
    ("GET /faults", "the active faults"),
    ("POST /faults", "sets a fault"),
    ("DELETE /faults", "removes all faults"),
    ("DELETE /faults/ID", "removes a fault"),
    ("GET /calls", "the last 10,000 calls; with ?after=n those with a larger number"),
    ("GET /counters", "counters of calls, gaps and refused logins"),
    ("DELETE /calls", "clears calls and counters"),
    ("POST /stop", "stops the sandbox"),
];

/// Whether there is a command at this path, with whatever method.
fn exists(parts: &[&str]) -> bool {
    COMMANDS.iter().any(|(call, _)| {
        let path = call.split_once(" /").map_or("", |(_, path)| path);
        let same = |(known, part): (&str, &&str)| matches!(known, "N" | "NAME" | "ID") || known == *part;
        path.split('/').count() == parts.len() && path.split('/').zip(parts).all(same)
    })
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
                Failure::NoSuchPath => (404, format!("there is no {path}; GET / lists all commands")),
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
        ("GET", ["accounts"]) => Ok(json!(vendor.accounts.all().collect::<Vec<_>>())),
        ("POST", ["accounts"]) => done(vendor.accounts.put(parse(body)?)),
        ("DELETE", ["accounts", name]) => done(vendor.accounts.remove(name)),
        ("GET", ["orders"]) => {
            let numbers = vendor.book().numbers();
            let orders: Result<Vec<Json>, Failure> = numbers.iter().map(|n| order(&vendor, n)).collect();
            Ok(json!(orders?))
        }
        ("POST", ["orders"]) => {
            let spec: super::OrderSpec = parse(body)?;
            let number = spec.order_number.clone();
            changed(vendor.put_order(spec), &vendor, &number)
        }
        ("GET", ["orders", number]) => order(&vendor, number),
        ("DELETE", ["orders", number]) => done(vendor.remove_order(number)),
        ("POST", ["orders", number, "script"]) => {
            let Script { script } = parse(body)?;
            changed(vendor.set_script(number, script), &vendor, number)
        }
        ("POST", ["orders", number, "advance"]) => changed(vendor.advance(number), &vendor, number),
        ("POST", ["orders", number, "prove"]) => changed(vendor.prove(number), &vendor, number),
        ("POST", ["orders", number, "reject"]) => changed(vendor.reject(number), &vendor, number),
        ("POST", ["orders", number, "revoke"]) => changed(vendor.revoke(number), &vendor, number),
        ("POST", ["orders", number, "issue"]) => {
            let spec = if body.is_empty() { None } else { Some(parse(body)?) };
            Ok(certificate(&vendor.issue(number, spec)?))
        }
        ("POST", ["orders", number, "reissue"]) => {
            let spec = if body.is_empty() { Default::default() } else { parse(body)? };
            Ok(certificate(&vendor.reissue(number, &spec)?))
        }
        ("GET", ["orders", number, "certificate"]) => Ok(certificate(newest(&vendor, number)?)),
        ("GET", ["orders", number, "certificates"]) => {
            let certificates = &entry(&vendor, number)?.certificates;
            Ok(json!(certificates.iter().map(certificate).collect::<Vec<_>>()))
        }
        ("GET", ["orders", number, "key"]) => match &newest(&vendor, number)?.issued.key_pem {
            Some(key) => Ok(json!({ "key": key })),
            None => {
                let reason = format!("the sandbox did not make the key of order {number}");
                Err(Error::Refused(reason).into())
            }
        },
        ("GET", ["dials"]) => Ok(json!(vendor.dials())),
        ("POST", ["dials"]) => {
            vendor.set_dials(parse(body)?)?;
            Ok(json!(vendor.dials()))
        }
        ("GET", ["faults"]) => Ok(json!(vendor.faults.all())),
        ("POST", ["faults"]) => Ok(json!({ "id": vendor.faults.add(parse(body)?)? })),
        ("DELETE", ["faults"]) => {
            vendor.faults.clear();
            Ok(json!({}))
        }
        ("DELETE", ["faults", id]) => {
            let id = id.parse().map_err(|_| Failure::Body(format!("'{id}' is not a fault number")))?;
            done(vendor.faults.remove(id))
        }
        ("GET", ["calls"]) => Ok(json!(vendor.record().calls(after(query)?).collect::<Vec<_>>())),
        ("DELETE", ["calls"]) => {
            vendor.record.reset();
            Ok(json!({}))
        }
        ("GET", ["counters"]) => Ok(json!(vendor.record().counters())),
        ("POST", ["stop"]) => {
            handle.stop();
            Ok(json!({}))
        }
        _ if exists(&parts) => Err(Failure::WrongMethod),
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
        "ahead_ms": u64::try_from(vendor.ahead.as_millis()).unwrap_or(u64::MAX),
        "shapes": shape::names().collect::<Vec<_>>(),
        "commands": COMMANDS.map(|(call, does)| format!("{call}: {does}")),
    })
}

fn order(vendor: &Vendor, number: &str) -> Result<Json, Failure> {
    let order = entry(vendor, number)?;
    let step = order.current();
    Ok(json!({
        "order_number": order.spec.order_number,
        "product": order.spec.product,
        "account": order.spec.account,
        "base_order_number": order.spec.base_order_number,
        "domains": order.spec.domains,
        "state": step.state,
        "code": step.code,
        "step": order.step() + 1,
        "steps": order.spec.script.len(),
        "polls": order.polls,
        "unproven": order.asked.as_ref().map(|asked| &asked.unproven),
        "certificate_id": order.certificate_id(),
        "certificates": order.certificates.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
    }))
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

fn changed(result: Result<(), Error>, vendor: &Vendor, number: &str) -> Result<Json, Failure> {
    result?;
    order(vendor, number)
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
        number = value.parse().map_err(|_| Failure::Body(format!("after: '{value}' is not a number")))?;
    }
    Ok(number)
}

/// Percent-decodes one part of a path, in which a plus is a plus.
fn decode(part: &str) -> String {
    let pair = format!("={}", part.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes()).next().map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Options, Sandbox};
    use super::*;

    #[test]
    fn every_command_of_the_table_is_carried_out_and_explained() {
        let sandbox = Sandbox::start(Options::demo()).unwrap();
        let handle = sandbox.handle();
        let page = include_str!("../../../docs/rehearsal.md");
        for (call, _) in COMMANDS {
            let (method, path) = call.split_once(' ').unwrap();
            let path = path.replace("/N", "/1000001");
            let Reply { status, value } = command(&handle, method, &path, None, b"");
            let routed = !value.to_string().contains("there is no /") && status != 405;
            assert!(routed, "{call}: {status} {value}");
            assert!(page.contains(&format!("| `{call}` |")), "docs/rehearsal.md lacks {call}");
        }
        let rows = page.lines().filter(|line| {
            ["| `GET /", "| `POST /", "| `DELETE /"].iter().any(|start| line.starts_with(start))
        });
        assert_eq!(rows.count(), COMMANDS.len());
        assert_eq!(command(&handle, "PUT", "/orders/1000001/issue", None, b"").status, 405);
        assert_eq!(command(&handle, "POST", "/orders/1000001/melt", None, b"").status, 404);
    }
}
