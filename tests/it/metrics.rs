//! What monitoring systems read: a sample for each finding, totals that are always there, and no more series than wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use certcollectd::status::{Exposition, Status};
use certcollectd_core::engine::finding::{FindingKind, Urgency};
use certcollectd_core::engine::vitals::Vitals;
use certcollectd_sandbox::{OrderSpec, Product, Step};

use crate::certs;
use crate::setting::Setting;
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

/// What the file says of a series.
fn in_file(setting: &Setting, sample: &str) -> bool {
    std::fs::read_to_string(setting.path("node/certcollectd.prom"))
        .is_ok_and(|text| text.lines().any(|line| line == format!("certcollectd_{sample}")))
}

fn spec() -> OrderSpec {
    OrderSpec::new(Product::Ssl, "1", &["www.example.com"])
}

const TEXTFILE: &str = "[metrics]\ntextfile = \"$DIR/node/certcollectd.prom\"";

#[test]
fn a_file_for_node_exporter_is_whole_and_follows_what_happens() {
    use std::os::unix::fs::MetadataExt;
    let mut setting = Setting::new();
    let spec = spec().with_script(vec![Step::pending(1_000_000)]);
    setting.order("www", spec, "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"");
    setting.table(TEXTFILE);
    std::fs::create_dir(setting.path("node")).unwrap();
    setting.start();
    setting.until("it is written", |setting| in_file(setting, "orders{phase=\"guarding\"} 0"));
    setting.vendor().vendor().issue("1", None).unwrap();
    setting.until("it follows", |setting| in_file(setting, "orders{phase=\"guarding\"} 1"));
    let file = std::fs::metadata(setting.path("node/certcollectd.prom")).unwrap();
    assert_eq!(file.mode() & 0o7777, 0o644);
    // Nothing may be written any more: that is found, told once, and over when it works again.
    std::fs::rename(setting.path("node"), setting.path("aside")).unwrap();
    let is_found =
        |setting: &Setting| setting.status()["findings"].as_array().is_some_and(|all| !all.is_empty());
    setting.until("that it fails is found", is_found);
    let (_, line) = setting.call(&["status", "--nagios"]);
    assert!(line.contains("the metrics are not written: cannot open") && line.contains("/node"), "{line}");
    std::fs::rename(setting.path("aside"), setting.path("node")).unwrap();
    setting.until("it is over", |setting| !is_found(setting) && in_file(setting, "findings 0"));
    assert_eq!(setting.log().matches("the metrics are not written").count(), 2, "told, and that it is fixed");
    assert_eq!(setting.stop(), Some(0));
    let left = std::fs::read_dir(setting.path("node")).unwrap().count();
    assert_eq!(left, 1, "nothing lies beside it");
}

#[test]
fn a_file_for_node_exporter_comes_and_goes_with_the_configuration() {
    let mut setting = Setting::new();
    std::fs::create_dir(setting.path("node")).unwrap();
    let spec = spec().with_script(vec![Step::pending(1_000_000)]);
    setting.order("www", spec, "key_file = \"$DIR/key.pem\"");
    setting.start();
    setting.until_up(1);
    setting.table(TEXTFILE);
    setting.write_configuration();
    setting.until("it is written", |setting| in_file(setting, "orders{phase=\"waiting\"} 1"));
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn once_writes_the_file_at_its_end() {
    let mut setting = Setting::new();
    setting.order("www", spec(), "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"");
    setting.table(TEXTFILE);
    setting.write_configuration();
    let (code, said) = setting.call(&["check"]);
    assert!(
        code == 2 && said.contains("the metrics will not be written") && said.contains("textfile"),
        "{said}"
    );
    std::fs::create_dir(setting.path("node")).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(in_file(&setting, "orders{phase=\"guarding\"} 1"), "{}", setting.read("node/certcollectd.prom"));
}
