//! What monitoring systems read: a sample for each finding, totals that are always there, and no more series than wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use certcollectd::status::{Exposition, Status};
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::vitals::Vitals;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

/// The samples of a family, without its prefix.
fn samples<'a>(text: &'a str, family: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| line.split(['{', ' ']).next() == Some(family);
    text.lines().filter_map(|line| line.strip_prefix("certcollectd_")).filter(is_of).collect()
}

/// A certificate with so many days to go out of ninety.
fn issued(days: i64) -> Say {
    let (begin, end) = (START - (90 - days) * 86_400, START + days * 86_400);
    let leaf = certs::leaf(&rcgen::KeyPair::generate().unwrap(), &["www.example.com"], begin, end);
    Say::Body(200, certs::issued(&leaf))
}

fn rejected() -> Say {
    Say::text("errorCode=-20&errorMessage=Rejected")
}

#[test]
fn each_finding_is_a_sample_and_counts() {
    let mut world = World::new(world::config(&["fine", "soon", "odd"]));
    world.say("fine", [issued(60)]);
    world.say("soon", [issued(2)]);
    world.say("odd", [rejected()]);
    world.pass(HOUR);
    // Two of one kind about the machine are one series, whatever they say.
    let local = ["cannot listen on \"x\"\nfoo 1", "nothing can be installed"].map(str::to_owned);
    let vitals = Vitals { misconfigured: true, findings: local.into(), ..Vitals::default() };
    let status = status(&world).with(&vitals);
    let text = status.metrics(Exposition::Text);
    assert_eq!(
        samples(&text, "finding"),
        [
            "finding{finding=\"config-invalid\",urgency=\"warning\"} 1",
            "finding{finding=\"expiring\",urgency=\"critical\",order=\"soon\",account=\"main\"} 1",
            "finding{finding=\"local\",urgency=\"warning\"} 2",
            "finding{finding=\"rejected\",urgency=\"critical\",order=\"odd\",account=\"main\"} 1",
        ]
    );
    assert_eq!(samples(&text, "findings"), ["findings 5"]);
    assert_eq!(status.found().len(), 5);
    let by_kind = samples(&text, "findings_by_kind");
    assert_eq!(by_kind.len(), FindingKind::ALL.len() * Urgency::ALL.len());
    let above: Vec<_> = by_kind.iter().filter(|sample| !sample.ends_with(" 0")).collect();
    assert_eq!(
        above,
        [
            &"findings_by_kind{finding=\"config-invalid\",urgency=\"warning\"} 1",
            &"findings_by_kind{finding=\"local\",urgency=\"warning\"} 2",
            &"findings_by_kind{finding=\"rejected\",urgency=\"critical\"} 1",
            &"findings_by_kind{finding=\"expiring\",urgency=\"critical\"} 1",
        ]
    );
}

#[test]
fn no_series_comes_twice() {
    let mut world = World::new(world::config(&["a", "b"]));
    world.say("a", [issued(2)]);
    world.say("b", [issued(2)]);
    world.pass(HOUR);
    let text = status(&world).with(&Vitals::default()).metrics(Exposition::OpenMetrics);
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(series.iter().collect::<BTreeSet<_>>().len(), series.len(), "{text}");
}

#[test]
fn totals_do_without_the_series_of_orders() {
    let mut config = world::config(&["fine", "soon", "slow", "odd"]);
    config.metrics.per_order = false;
    let mut world = World::new(config);
    world.say("fine", [issued(60)]);
    world.say("soon", [issued(2)]);
    world.say("slow", [Say::text("errorCode=0")]);
    world.say("odd", [rejected()]);
    world.pass(DAY);
    let text = status(&world).metrics(Exposition::Text);
    assert!(!text.contains("order=\""), "{text}");
    assert_eq!(samples(&text, "findings"), ["findings 2"]);
    assert_eq!(samples(&text, "finding"), Vec::<&str>::new());
    let end = START + 2 * 86_400;
    assert_eq!(samples(&text, "certificates"), ["certificates 2"]);
    assert_eq!(
        samples(&text, "certificates_not_after_min_seconds"),
        [format!("certificates_not_after_min_seconds {end}")]
    );
    let since = samples(&text, "orders_waiting_since_min_seconds");
    assert_eq!(since.len(), 1, "{text}");
    Arc::make_mut(&mut world.config).metrics.per_order = true;
    let all = status(&world).metrics(Exposition::Text);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(all.lines().any(|other| other == line), "{line} is there with the orders' series, too");
    }
}
