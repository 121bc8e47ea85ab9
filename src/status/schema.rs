//! The JSON schema of `status --json`, draft 7 like the configuration's.

use serde_json::{Map, Value, json};

use super::{AccountState, HookState};
use certcollectd_core::api::Product;
use certcollectd_core::config::fleet::Role;
use certcollectd_core::config::{Dcv, HookEvent};
use certcollectd_core::engine::account::record::Cause;
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::reissue::record::Stage;
use certcollectd_core::engine::vitals::StoreHealth;

/// `config/status.schema.json`.
pub fn schema() -> String {
    let mut schema = status();
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("certcollectd status --json");
    schema["description"] = json!(
        "How every order and account stands; also at /api/v1/status. A command that fails prints {\"ok\": false, \"text\"} instead"
    );
    serde_json::to_string_pretty(&schema).expect("strings, numbers and lists") + "\n"
}

fn status() -> Value {
    object(vec![
        ("at", time(), "When this was put together"),
        ("orders", list(order()), "One entry for each configured order, in the order of the configuration"),
        ("accounts", list(account()), "One entry for each configured account; none on a follower of a fleet"),
        (
            "fleet",
            or_null(fleet()),
            "How this host stands in its fleet, as its daemon knows; null without a fleet or a daemon",
        ),
        (
            "absent",
            list(absent()),
            "Orders that hold an installed certificate and are no longer configured, by name",
        ),
        (
            "state_lost",
            or_null(text()),
            "The daemon's files are missing or replaced: what it says. The rest is then not what it knows",
        ),
        (
            "machine",
            object(vec![(
                "findings",
                list(finding()),
                "What is not in order with it, the most urgent first",
            )]),
            "The daemon itself and the machine that it runs on",
        ),
        ("findings", list(text()), "Everything that is not in order, a sentence each, the most urgent first"),
    ])
}

fn order() -> Value {
    object(vec![
        ("name", text(), "Its name in the configuration"),
        ("account", or_null(text()), "The account that polls it; null on a follower of a fleet"),
        ("product", words(&Product::WORDS), "What was ordered"),
        ("order_number", or_null(text()), "Its number at the vendor; null on a follower of a fleet"),
        ("phase", words(&Phase::WORDS), "Where it stands; waiting for one that the daemon has not seen yet"),
        ("since", or_null(time()), "Since when it is in this phase"),
        ("reason", or_null(text()), "Why it is in this phase"),
        ("fqdn", or_null(text()), "The name that the vendor has for it"),
        (
            "other_name",
            or_null(text()),
            "The same, if it matches none of the order's domains: the number may be someone else's",
        ),
        ("reissue_since", or_null(time()), "Since when a re-issue has been pending"),
        ("reissue", or_null(reissue()), "The last re-issue that was asked for here, or is being prepared"),
        ("last_poll", or_null(time()), "Last call about it"),
        (
            "next_poll",
            or_null(time()),
            "Next call about it; null while its account is closed, and where another host polls it",
        ),
        ("polls", number(), "Calls about it so far"),
        ("vendor", or_null(vendor()), "What the vendor said last"),
        ("certificate", or_null(certificate()), "What is installed"),
        ("hooks", list(hook()), "Hooks of the installed generation, owed and done"),
        (
            "probes",
            list(probe()),
            "Whether what is installed is served: one entry for each address that was asked",
        ),
        (
            "rehearsal",
            or_null(rehearsal()),
            "The rehearsals of its hooks, if there were any or one is due by the calendar",
        ),
        ("window", or_null(window()), "What waits to be installed until a window opens"),
        (
            "replacement",
            or_null(text()),
            "Whether its replacement was made is unknown: what is known, and what the operator must do",
        ),
        ("trouble", or_null(text()), "Trouble on this machine"),
        ("drift", or_null(text()), "How the files differ from what was installed"),
        (
            "revocation_announced",
            or_null(announcement()),
            "The announced revocation of the certificate, until a newer one is in place",
        ),
        ("lost", or_null(text()), "Which installed files are missing for readers, or why that is unknown"),
        (
            "uncovered",
            list(text()),
            "Names that an earlier certificate covered and the installed one does not, until `accept`",
        ),
        (
            "rolled_back",
            flag(),
            "Whether an older generation is in place after a rollback: until `accept`, or a newer certificate",
        ),
        (
            "rolled_back_by_probe",
            flag(),
            "Whether that was done because the newer certificate was not served",
        ),
        ("subscription_ends", or_null(time()), "End of the product term: no re-issue reaches beyond it"),
        ("findings", list(finding()), "What is not in order with it, the most urgent first"),
    ])
}

fn fleet() -> Value {
    object(vec![
        ("role", words(&Role::WORDS), "What it does there"),
        ("name", text(), "What the others call it"),
        ("store", words(&StoreHealth::WORDS), "How the store stands"),
        ("leader", or_null(text()), "The collector that leads; null where there is none, or on a follower"),
        ("term", or_null(number()), "The term of the leader"),
    ])
}

fn vendor() -> Value {
    object(vec![
        ("at", time(), "When"),
        ("code", or_null(json!({ "type": "integer" })), "The code, if there was one"),
        ("text", text(), "What it means, in words"),
    ])
}

fn certificate() -> Value {
    object(vec![
        ("serial", hexadecimal(), "Lower-case hexadecimal"),
        ("fingerprint", hexadecimal(), "SHA-256 of the certificate, lower-case hexadecimal"),
        ("not_before", time(), "Begin of its validity"),
        ("not_after", time(), "End of its validity"),
        ("days_left", json!({ "type": "integer" }), "Whole days until then; negative when it is over"),
        ("names", list(text()), "Names in it"),
        ("generation", text(), "Directory of the generation"),
        ("installed_at", time(), "When it was installed"),
    ])
}

fn hook() -> Value {
    object(vec![
        ("hook", text(), "Its name in the configuration"),
        ("event", words(&HookEvent::WORDS), "What it is told"),
        ("state", words(&HookState::WORDS), "How far it has come"),
        ("tries", number(), "How often it was started"),
        ("next_try", or_null(time()), "When it is tried next"),
        ("last", or_null(text()), "How the last try ended"),
    ])
}

fn probe() -> Value {
    object(vec![
        ("connect", text(), "As configured"),
        ("address", text(), "What was asked: an IP address and a port, or a socket"),
        ("ok", flag(), "Whether it serves the installed certificate and its chain"),
        ("serves", or_null(hexadecimal()), "SHA-256 of the certificate that it presented"),
        ("at", time(), "When it was asked"),
        ("last", text(), "What it said, in words that go on after its name"),
    ])
}

fn rehearsal() -> Value {
    object(vec![
        ("at", or_null(time()), "When the last one ended"),
        ("ok", or_null(flag()), "Whether every hook worked in it"),
        ("failed", or_null(text()), "Which hook failed in it, and how"),
        ("next", or_null(time()), "The next one by the calendar"),
    ])
}

fn reissue() -> Value {
    object(vec![
        ("stage", words(&Stage::WORDS), "How far it has come"),
        ("since", time(), "Since when"),
        ("sent_at", or_null(time()), "When the vendor was asked; null while nothing was sent"),
        ("proven", flag(), "Whether the proof of control was seen, or none is needed"),
        ("dcv", words(&Dcv::WORDS), "How control is proven"),
        ("unique", text(), "The unique value of the proof"),
        (
            "records",
            list(json!({ "type": "array", "items": text(), "minItems": 2, "maxItems": 2 })),
            "Name and target of each record that proves control",
        ),
        ("held", or_null(text()), "Why nothing was sent yet"),
        ("code", or_null(json!({ "type": "integer" })), "The vendor's code"),
        ("said", or_null(text()), "What the vendor answered, or why that is not known"),
    ])
}

fn window() -> Value {
    object(vec![
        (
            "name",
            or_null(text()),
            "The window in which it will be installed; null where only a freeze is in the way, or none opens within a year",
        ),
        ("opens", or_null(time()), "When that opens, or the freeze is over; null if not within a year"),
        ("freeze", or_null(text()), "The freeze that holds now, as the configuration has it"),
        (
            "latest",
            or_null(time()),
            "When it is installed at the latest: the installed certificate ends within `window_margin` then",
        ),
        ("serial", hexadecimal(), "Of the certificate that waits, lower-case hexadecimal"),
        ("not_after", time(), "End of its validity"),
    ])
}

fn announcement() -> Value {
    object(vec![
        ("at", time(), "When it was received"),
        ("text", text(), "What was said"),
        ("proven", flag(), "Whether the sender knew the password of the listener"),
    ])
}

fn finding() -> Value {
    object(vec![
        ("finding", words(&FindingKind::WORDS), "What it is"),
        ("urgency", words(&Urgency::WORDS), "How soon a person should look"),
        ("text", text(), "A sentence, with the name of what it is about"),
        ("next", text(), "The command that comes next"),
    ])
}

fn account() -> Value {
    object(vec![
        ("name", text(), "Its name in the configuration"),
        ("state", words(&AccountState::WORDS), "Whether it makes calls"),
        ("when", or_null(time()), "Since when it is closed, or until when it is paused"),
        ("reason", or_null(text()), "Why it is not open"),
        (
            "advice",
            or_null(text()),
            "What the operator does about a refused login, a password that cannot be read, or a pause",
        ),
        ("findings", list(finding()), "What is not in order with it, the most urgent first"),
        ("cause", or_null(words(&Cause::WORDS)), "What a pause is for"),
        ("unanswered", number(), "Calls in a row without an answer"),
        ("calls", number(), "Calls so far"),
        (
            "replacements",
            list(text()),
            "Replacements of orders that are not configured here and whose outcome is unknown: what is known, and what the operator must do",
        ),
        (
            "revocation_announced",
            or_null(announcement()),
            "The announced revocation of a certificate that belongs to no order here",
        ),
    ])
}

fn absent() -> Value {
    object(vec![
        ("name", text(), "The name that it had in the configuration"),
        ("account", text(), "The account that polled it"),
        ("order_number", text(), "Its number at the vendor"),
        ("not_after", time(), "End of the installed certificate"),
        ("days_left", json!({ "type": "integer" }), "Whole days until then; negative when it is over"),
    ])
}

/// An object that has each of these keys and no other.
fn object(keys: Vec<(&str, Value, &str)>) -> Value {
    let names: Vec<&str> = keys.iter().map(|(name, _, _)| *name).collect();
    let properties = keys.iter().map(|(name, schema, about)| {
        let mut schema = schema.clone();
        schema["description"] = json!(about);
        ((*name).to_owned(), schema)
    });
    let properties: Map<String, Value> = properties.collect();
    json!({ "type": "object", "required": names, "properties": properties, "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn hexadecimal() -> Value {
    json!({ "type": "string", "pattern": "^[0-9a-f]+$" })
}

fn flag() -> Value {
    json!({ "type": "boolean" })
}

fn number() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}
