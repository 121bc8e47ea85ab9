//! `packaging/monitoring`: an alert for each kind of finding, with its next command, and no series that does not exist.

use std::collections::BTreeSet;
use std::path::Path;

use certcollectd::status::{Exposition, Status};
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::vitals::{FleetVitals, HostVitals, StoreHealth, Vitals};
use serde_json::Value;

use crate::world::{self, World};

const PAGE: &str = "../../docs/monitoring.md";

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/monitoring").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every family that a running daemon has, by the name of its series.
fn families() -> BTreeSet<String> {
    let world = World::new(world::config(&["www"]));
    let fleet = FleetVitals {
        role: "collector".into(),
        name: "col-1".into(),
        store: StoreHealth::Ok,
        trouble: None,
        leader: Some("col-1".into()),
        term: Some(1),
        beat_age_seconds: Some(0),
        skew_seconds: None,
        lease_seconds_left: Some(180),
        store_errors: 0,
        hosts: Some(HostVitals::default()),
    };
    let vitals = Vitals { fleet: Some(fleet), ..Vitals::default() };
    let status = Status::new(&world.config, &world.load(), world.now).with(&vitals);
    let text = status.metrics(Exposition::Text);
    text.lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect()
}

/// What a text names of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("certcollectd_")).map(str::to_owned).collect()
}

/// The rules: what stands behind each key of one.
fn rules(text: &str) -> Vec<Vec<(String, String)>> {
    let rules = text.split("- alert: ").skip(1);
    let pairs = |rule: &str| {
        let first = ("alert".to_owned(), rule.lines().next().unwrap().to_owned());
        let rest = rule.lines().skip(1).filter_map(|line| line.trim().split_once(": "));
        std::iter::once(first)
            .chain(rest.map(|(key, value)| (key.to_owned(), value.trim_matches(['"', '\'']).to_owned())))
            .collect()
    };
    rules.map(pairs).collect()
}

fn value<'a>(rule: &'a [(String, String)], key: &str) -> &'a str {
    rule.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

#[test]
fn each_kind_of_finding_has_its_alert() {
    let text = file("alerts.yaml");
    let rules = rules(&text);
    for kind in FindingKind::ALL {
        let expression = format!("certcollectd_finding{{finding=\"{kind}\"}} > 0");
        let [rule] = rules.iter().filter(|rule| value(rule, "expr") == expression).collect::<Vec<_>>()[..]
        else {
            panic!("alerts.yaml has one rule with {expression}");
        };
        let next = ["", "{{ $labels.order }}", "{{ $labels.account }}"].map(|name| kind.next(name));
        let said = value(rule, "next");
        assert!(next.iter().any(|next| next.trim_end() == said), "{kind}: {said}, not {next:?}");
        for about in ["order", "account"] {
            let label = format!("$labels.{about} ");
            assert!(
                !said.contains(&label) || value(rule, "summary").contains(&label),
                "{kind} is about {about}"
            );
        }
        assert!(file(PAGE).contains(&format!("`{kind}`")), "{kind} is in {PAGE}");
        let test = format!("alertname: {}\n", value(rule, "alert"));
        assert!(file("alerts.test.yaml").contains(&test), "{kind} is tested");
    }
}

#[test]
fn no_series_is_named_that_does_not_exist() {
    let families = families();
    assert!(families.len() > 30, "{families:?}");
    for name in ["alerts.yaml", "alerts.test.yaml", "dashboard.json", PAGE] {
        let unknown: Vec<_> = named(&file(name)).difference(&families).cloned().collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}");
    }
    assert!(named(&file("dashboard.json")).len() > 10);
}

#[test]
fn the_dashboard_is_one() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut places = BTreeSet::new();
    for panel in panels {
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{panel}");
        let place = &panel["gridPos"];
        let at = |key: &str| place[key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{panel}");
        for y in at("y")..at("y") + at("h") {
            for x in at("x")..at("x") + at("w") {
                assert!(places.insert((x, y)), "two panels at one place: {}", panel["title"]);
            }
        }
    }
    for word in Urgency::WORDS {
        assert!(file("dashboard.json").contains(&format!("urgency=\\\"{word}\\\"")), "{word}");
    }
}
