//! `doctor dcv`: whether the vendor can see what proves control of an order's domains, and may
//! issue for them.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::block_on::block_on;
use super::exit::Exit;
use super::load::load;
use super::print::{fail, print};
use super::unknown::unknown;
use crate::effects::dns::Dns;
use crate::effects::install::keys;
use crate::effects::proof;
use crate::effects::store::error::StoreError;
use crate::effects::store::load::Reader;
use crate::sources::clock;
use certcollectd_core::api::dcv::Token;
use certcollectd_core::api::dcv::survey::{self, Finding, Subject};
use certcollectd_core::api::{Product, Untrusted};
use certcollectd_core::cert::SanName;
use certcollectd_core::config::{Config, Dcv, KeySource, Order};
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::reissue::record::Stage;

pub fn dcv(path: &Path, name: &str, resolver: Option<SocketAddr>, json: bool) -> Result<(), Exit> {
    let config = load(path)?.config;
    let Some(order) = config.orders.iter().find(|order| *order.name == *name) else {
        let known = config.orders.iter().map(|order| &*order.name);
        return Err(fail(Exit::Usage, &unknown("order", name, known)));
    };
    if order.settings.product != Product::Ssl {
        let why = format!(
            "order {} is of product {}; domain control can be checked for orders of product ssl",
            order.name,
            order.settings.product.as_str()
        );
        return Err(fail(Exit::Usage, &why));
    }
    let failed = |why: String| fail(Exit::Failed, &why);
    let record = remembered(&config, order).map_err(|why| failed(why.to_string()))?;
    let (token, subjects) = match record.as_ref().and_then(reissue) {
        Some((token, subjects)) => (Some(token), subjects),
        None => {
            let request = request(order)
                .map_err(|why| fail(Exit::Usage, &format!("order {}: csr_file {why}", order.name)))?;
            let (token, requested) =
                request.map_or((None, Vec::new()), |(token, names)| (Some(token), names));
            (token, subjects(record.as_ref(), order, &requested))
        }
    };
    if subjects.is_empty() {
        let why = format!(
            "order {}: no domain is known; give it `domains` or a csr_file, or wait for its first poll",
            order.name
        );
        return Err(fail(Exit::Usage, &why));
    }
    let servers = resolver.map_or_else(|| config.dns.resolver.clone(), |server| vec![server]);
    let (asked, all) = block_on(async {
        let dns = Dns::new(&servers)?;
        let mut all = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let seen = proof::records(&dns, &subject, token.as_ref()).await;
            let mut findings = survey::control(&subject, token.as_ref(), &seen);
            if subject.is_name() {
                findings.push(survey::caa(&subject, &proof::caa(&dns, &subject).await));
            }
            all.push((subject, findings));
        }
        Ok((dns.describe().to_owned(), all))
    })?
    .map_err(failed)?;
    print(&if json { machine(order, &asked, &all) } else { text(order, &asked, &all) });
    if is_fine(&all) { Ok(()) } else { Err(Exit::Failed) }
}

type Looked = [(Subject, Vec<Finding>)];

fn is_fine(all: &Looked) -> bool {
    all.iter().all(|(_, findings)| findings.iter().all(|finding| finding.state.is_fine()))
}

/// What the state remembers of the order, where it is still the same one.
fn remembered(config: &Config, order: &Order) -> Result<Option<OrderRecord>, StoreError> {
    let Some(reader) = Reader::open(&config.state_dir)? else { return Ok(None) };
    let mut loaded = reader.load(clock::now())?;
    let record = loaded.orders.remove(&order.name).map(|known| known.record);
    Ok(record.filter(|record| *record.handle == *order.handle.identity()))
}

/// Of a re-issue that is not over, whose unique value is known: its token, and the names to be proven.
fn reissue(record: &OrderRecord) -> Option<(Token, Vec<Subject>)> {
    let known = record.reissue.as_deref()?;
    let is_over = match known.stage {
        Stage::Preparing | Stage::Intended | Stage::Unclear | Stage::Open => false,
        Stage::Refused | Stage::Closed => true,
    };
    let is_published = match known.dcv {
        Dcv::Cname | Dcv::Http | Dcv::Https => true,
        Dcv::Reuse => false,
    };
    if is_over || !is_published {
        return None;
    }
    let names = record.installed.as_deref()?.names.iter().take(survey::MAX_DOMAINS);
    let subjects = names.map(|name| Subject {
        domain: name.to_string(),
        method: Some(known.dcv.method().to_owned()),
        validated: false,
    });
    Some((Token::with_unique(&known.request(), &known.unique), subjects.collect()))
}

/// The token of the order's request and the DNS names in it, where the order has a request.
fn request(order: &Order) -> Result<Option<(Token, Vec<String>)>, String> {
    let csr = match (&order.key, &order.csr_file) {
        (KeySource::Request(text), _) => keys::sent_request(text)?,
        (KeySource::Csr(path), _) | (KeySource::Keys(_) | KeySource::None, Some(path)) => {
            keys::request(path)?
        }
        (KeySource::None | KeySource::Keys(_), None) => return Ok(None),
    };
    let names = csr.names().iter().filter_map(|name| match name {
        SanName::Dns(name) => Some(name.clone()),
        SanName::Ip(_) | SanName::Email(_) | SanName::Uri(_) => None,
    });
    Ok(Some((Token::of(csr.der()), names.collect())))
}

/// The order's domains, from what the state remembers of the vendor's words, else from the configuration.
fn subjects(record: Option<&OrderRecord>, order: &Order, requested: &[String]) -> Vec<Subject> {
    let named = record.and_then(|record| record.domains.as_deref()).and_then(|known| known.heard.as_ref());
    let collected = record.and_then(|record| record.heard.as_deref());
    let told: Vec<_> = named.into_iter().chain(collected).map(|heard| &*heard.details).collect();
    survey::subjects(&told, &order.domains, requested)
}

/// As people read it.
fn text(order: &Order, asked: &str, all: &Looked) -> String {
    let mut text = format!("order {}, asked {asked}\n", order.name);
    for (subject, findings) in all {
        let method = subject.method.as_deref().map(|method| format!(" ({})", Untrusted::new(method)));
        text += &format!("\n{}{}\n", Untrusted::new(&subject.domain), method.unwrap_or_default());
        for finding in findings {
            let mut lines = finding.text.lines();
            text += &format!("  {:<8} {}\n", finding.state.as_str(), lines.next().unwrap_or_default());
            text.extend(lines.map(|line| format!("             {line}\n")));
        }
    }
    let open =
        all.iter().filter(|(_, findings)| findings.iter().any(|finding| !finding.state.is_fine())).count();
    text + &match open {
        0 => "\neverything that can be seen over DNS is in order\n".to_owned(),
        open => {
            format!("\n{open} of {} domains: something is missing, refused or unknown\n", all.len())
        }
    }
}

/// As machines read it.
fn machine(order: &Order, asked: &str, all: &Looked) -> String {
    let domains = all.iter().map(|(subject, findings)| {
        let findings = findings.iter().map(|finding| {
            json!({ "check": finding.check, "state": finding.state.as_str(), "text": finding.text })
        });
        json!({
            "domain": subject.domain,
            "method": subject.method,
            "validated": subject.validated,
            "findings": findings.collect::<Vec<_>>(),
        })
    });
    let domains = domains.collect::<Vec<_>>();
    let value = json!({ "order": *order.name, "resolver": asked, "ok": is_fine(all), "domains": domains });
    serde_json::to_string_pretty(&value).expect("strings, lists and truth values")
}
