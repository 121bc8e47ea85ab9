//! `domains`: GetMDCDomainDetails as a table.

use std::path::Path;

use serde_json::Value;

use super::exit::Exit;
use super::order::{ask, show};
use super::print::print;
use crate::status::columns;
use certcollectd_core::engine::command::{Command, CommandReply, Target};

pub fn domains(path: &Path, target: Target, json: bool) -> Result<(), Exit> {
    let reply = ask(path, Command::Domains(target))?;
    match table(&reply) {
        Some(table) if !json => {
            print(&table);
            Ok(())
        }
        _ => show(&reply, json),
    }
}

const HEADINGS: [&str; 3] = ["DOMAIN", "METHOD", "STATE"];

/// The answer for people: a line for each domain, then the words.
fn table(reply: &CommandReply) -> Option<String> {
    let domains = reply.data["domains"].as_array().filter(|domains| reply.ok && !domains.is_empty())?;
    let cell = |domain: &Value, key: &str| domain[key].as_str().unwrap_or("-").to_owned();
    let rows = domains.iter().map(|domain| ["domain", "method", "state"].map(|key| cell(domain, key)));
    let rows: Vec<[String; 3]> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    Some(format!("{}\n{}\n", columns(&rows), reply.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_domain_has_a_line() {
        let data = serde_json::json!({ "domains": [
            { "domain": "a.example.com", "method": "CNAME_CSR_HASH", "state": "Validated" },
            { "domain": "*.b.example.com", "method": null, "state": "In progress" },
        ]});
        let reply = CommandReply { ok: true, text: "order 5: 1 of 2 domains is not validated".into(), data };
        assert_eq!(
            table(&reply).unwrap(),
            "DOMAIN           METHOD          STATE\n\
             a.example.com    CNAME_CSR_HASH  Validated\n\
             *.b.example.com  -               In progress\n\n\
             order 5: 1 of 2 domains is not validated\n"
        );
    }
}
