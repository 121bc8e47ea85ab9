//! What would be sent, and what a dry run shows of it.

use crate::api::dcv::Token as ProofToken;
use crate::api::{ReplaceSsl, Request, Several};
use crate::cert::{Csr, Fingerprint};
use crate::config;
use crate::config::Dcv;
use crate::engine::command::CommandReply;
use crate::engine::order::lifetime::limits;
use crate::engine::order::record::OrderRecord;
use crate::engine::reissue::names;
use crate::engine::reissue::record::{Reissue, UsedToken};
use crate::engine::reissue::run::Survey;
use crate::engine::reissue::stop::Facts;
use crate::engine::time::{Now, day, rfc3339};

/// Characters of a value that a dry run shows.
const SHOWN: usize = 64;

/// A re-issue and all that follows from its request.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) reissue: Reissue,
    pub(crate) token: UsedToken,
    /// Why the request is not for the installed names.
    pub(crate) wrong_names: Option<String>,
    number: String,
    several: Option<Several>,
    asked: Vec<String>,
}

impl Plan {
    pub(crate) fn new(order: &config::Order, record: &OrderRecord, csr: &Csr, reissue: Reissue) -> Plan {
        let installed = record.installed.as_deref();
        let compared = match installed {
            Some(known) => names::compare(csr, known.common_name.as_deref(), &known.names),
            None => Ok(None),
        };
        let (several, wrong_names) = match compared {
            Ok(several) => (several, None),
            Err(why) => (None, Some(why)),
        };
        Plan {
            token: UsedToken { csr: Fingerprint::of(csr.der()), unique: reissue.unique.clone() },
            reissue,
            wrong_names,
            number: order.handle.text().to_owned(),
            several,
            asked: csr.names().iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn replace_ssl(&self) -> ReplaceSsl {
        ReplaceSsl {
            order_number: self.number.clone(),
            csr: self.reissue.csr.to_string(),
            dcv: self.reissue.dcv,
            unique: self.reissue.unique.to_string(),
            several: self.several.clone(),
            parameters: self.reissue.parameters.clone(),
        }
    }

    /// Everything that would be sent but the login, and whether it would be sent now.
    pub(crate) fn dry_run(&self, facts: &Facts<'_>, survey: Option<&Survey>, now: Now) -> CommandReply {
        let name = &facts.order.name;
        let record = facts.record;
        let rules = facts.all();
        let stops = rules.iter().any(|(_, why)| why.is_some());
        let proven = self.reissue.proven || survey.is_some_and(Survey::is_proven);
        let fields = Request::replace_ssl(&self.replace_ssl()).fields;
        let verdict = match (stops, proven) {
            (true, _) => "it would not be sent",
            (false, true) => "it would be sent now",
            (false, false) => "it would be prepared, and not be sent before its proof is seen",
        };
        let mut lines = vec![format!("{name}: {verdict}; nothing is sent by a dry run"), String::new()];
        lines.push("What would be sent, besides the login:".into());
        for (field, value) in &fields {
            lines.push(format!("  {field:<20} {}", shortened(value)));
        }
        lines.push(format!("  the request's SHA-256 is {}", self.token.csr));
        let installed = record.installed.as_deref();
        let held: Vec<&str> = installed.iter().flat_map(|known| &known.names).map(|name| &**name).collect();
        lines.push(String::new());
        lines.push(format!("Names: installed {}; in the request {}", held.join(" "), self.asked.join(" ")));
        let expected = facts.expected();
        if let (Some((end, gain)), Some(installed)) = (expected, installed) {
            lines.push(format!(
                "End: {} at the latest, {} days later than the installed one ({})",
                day(&rfc3339(end)),
                gain.div_euclid(24 * 3600),
                day(&rfc3339(installed.not_after))
            ));
            let (_, reuse) = limits(now.unix());
            let due = now.unix() - installed.not_before > reuse;
            lines.push(match due {
                true => "Proof: a fresh one is due: what was proven for the installed certificate is too old"
                    .to_owned(),
                false => format!(
                    "Proof: what was proven for the installed certificate may still count, until {}",
                    day(&rfc3339(installed.not_before + reuse))
                ),
            });
        }
        lines.push(String::new());
        lines.push(self.reissue.to_publish().trim_end().to_owned());
        if survey.is_some() {
            lines.push("What is seen of it now:".into());
        }
        for seen in survey.iter().flat_map(|survey| &survey.names) {
            let what = seen.lacks.as_deref().unwrap_or("the proof is seen");
            let caa = seen.caa.as_deref().map(|caa| format!("; {caa}")).unwrap_or_default();
            lines.push(format!("  {}: {what}{caa}", seen.name));
        }
        lines.push(String::new());
        lines.push("What would stop it:".into());
        for (rule, why) in &rules {
            lines.push(match why {
                Some(why) => format!("  yes  {}: {why}", rule.means()),
                None => format!("  no   {}", rule.means()),
            });
        }
        let mut reply = CommandReply::new(!stops && proven, lines.join("\n"));
        let fields: serde_json::Map<String, serde_json::Value> =
            fields.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
        let rules: Vec<_> = rules
            .iter()
            .map(|(rule, why)| serde_json::json!({ "rule": rule.as_str(), "stops": why.is_some(), "why": why }))
            .collect();
        let seen: Vec<_> = survey
            .iter()
            .flat_map(|survey| &survey.names)
            .map(|seen| serde_json::json!({ "name": seen.name, "seen": seen.lacks.is_none(), "lacks": seen.lacks, "caa": seen.caa }))
            .collect();
        reply.data = serde_json::json!({
            "dry_run": true,
            "stopped": stops,
            CommandReply::WAITS: (!stops && !proven).then_some("proof"),
            "proven": proven,
            "fields": fields,
            "installed_names": held,
            "request_names": self.asked,
            "ends": expected.map(|(end, _)| rfc3339(end)),
            "days_won": expected.map(|(_, gain)| gain.div_euclid(24 * 3600)),
            "records": self.reissue.records,
            "proof": seen,
            "rules": rules,
        });
        reply
    }
}

impl Reissue {
    /// What is sent, for the history: no two calls have the same.
    pub(crate) fn described(&self) -> String {
        let der = self.request();
        format!("with request {} and unique value {}", Fingerprint::of(&der), self.unique)
    }

    /// What a person, or a hook, has to publish; lines.
    pub fn to_publish(&self) -> String {
        let token = ProofToken::with_unique(&self.request(), &self.unique);
        match self.dcv {
            Dcv::Cname => {
                let records: Vec<String> = self
                    .records
                    .iter()
                    .map(|(name, target)| format!("  {name}. CNAME {target}.\n"))
                    .collect();
                format!("To publish in DNS:\n{}", records.concat())
            }
            Dcv::Http | Dcv::Https => {
                let content: Vec<String> =
                    token.file_content().lines().map(|line| format!("    {line}\n")).collect();
                format!(
                    "To publish on each name's server, by {}: {}\n{}",
                    self.dcv,
                    token.file_path(),
                    content.concat()
                )
            }
            Dcv::Reuse => "Nothing is to be published: an earlier proof is relied on.\n".to_owned(),
        }
    }
}

/// The beginning of a long value, and how long it is.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}… ({} characters)", &value[..at], value.chars().count()),
        None => value.to_owned(),
    }
}
