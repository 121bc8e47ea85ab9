//! Orders of every kind, and as many of them as a page must stand.

use std::sync::Arc;

use certcollectd::status::Status;
use certcollectd_core::api::{OrderRef, Untrusted};
use certcollectd_core::cert::Fingerprint;
use certcollectd_core::config::{Clock, Config, Day, OnProbeFailure, Order, Probe, Target, Window, Zone};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::probe::{Presented, ProbeAnswer};
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

/// One of each kind; the last three are in order.
const KINDS: [&str; 12] = [
    "shop",
    "mail",
    "legacy-portal",
    "status-page",
    "intranet",
    "wiki",
    "www",
    "new-site",
    "cdn",
    "api",
    "blog",
    "docs",
];

/// A certificate of ninety days with so many left at the start, and what else the vendor says.
fn issued(name: &str, left: i64, more: &str) -> Say {
    let (begin, end) = (START - (90 - left) * 86_400, START + left * 86_400);
    let names = [format!("{name}.example.com"), format!("www.{name}.example.com")];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let leaf = certs::leaf(&KeyPair::generate().unwrap(), &names, begin, end);
    let mut body = certs::issued(&leaf);
    body.extend(more.as_bytes());
    Say::Body(200, body)
}

fn probe(host: &str) -> Probe {
    Probe {
        connect: Target::Host(host.into(), 443),
        server_name: None,
        starttls: None,
        within: Probe::WITHIN,
        every: HOUR,
        on_failure: OnProbeFailure::Warn,
    }
}

/// Two days in which everything happened that can be seen.
pub fn world() -> World {
    let mut config = world::config(&KINDS);
    config.accounts.push(world::account("second"));
    config.orders[2].account = "second".into();
    for hook in ["nginx", "dovecot", "haproxy"] {
        config.hooks.push(world::hook(hook));
    }
    for (at, hook) in [(0, "haproxy"), (1, "dovecot"), (9, "nginx"), (10, "nginx")] {
        world::change(&mut config.orders[at], |settings| settings.hooks.push(hook.into()));
    }
    for (at, host) in [(1, "10.0.0.7"), (9, "10.0.0.8")] {
        world::change(&mut config.orders[at], |settings| settings.probes = Box::new([probe(host)]));
    }
    let clock = |text| Clock::read(text).unwrap();
    let (days, zone) = (vec![Day::Tue], Zone::named("Europe/Berlin").unwrap());
    let night = Window { name: "night".into(), days, from: clock("02:00"), to: clock("05:00"), zone };
    config.windows.push(night.into());
    world::change(&mut config.orders[7], |settings| settings.windows = Box::new(["night".into()]));
    config.orders[6].domains = ["www.example.com", "example.com"].map(Into::into).into();
    let mut world = World::new(config);
    let failed = HookResult::Failed {
        why: "exit code 1".into(),
        last_words: vec![Untrusted::new(
            "[ALERT] config: parsing [/etc/haproxy/haproxy.cfg:41]: unable to load \"/etc/haproxy/shop.pem\"",
        )],
        remedy: None,
    };
    world.hook_results.insert("haproxy".into(), vec![failed]);
    let old = Presented {
        leaf: Fingerprint::from_bytes([0x5f; 32]),
        not_before: START - 87 * 86_400,
        not_after: START + 5 * 86_400,
        chain: Vec::new(),
    };
    let stale = ProbeAnswer { address: "10.0.0.7:443".into(), outcome: Ok(old) };
    world.presents.insert("10.0.0.7:443".into(), vec![stale]);
    let term = format!("&productTermEndDate={}", START + 22 * 86_400);
    for (name, left, more) in [
        ("shop", 3, ""),
        ("mail", 61, ""),
        ("status-page", 12, ""),
        ("wiki", 70, &*term),
        ("new-site", 80, ""),
        ("cdn", 48, ""),
        ("api", 33, ""),
        ("blog", 77, ""),
        ("docs", 88, ""),
    ] {
        world.say(name, [issued(name, left, more)]);
    }
    world.say("legacy-portal", [Say::text("errorCode=-20&errorMessage=The+order+was+rejected")]);
    world.say("intranet", [Say::text("errorCode=0&errorMessage=Awaiting+payment")]);
    world.say("www", [Say::text("errorCode=0&errorMessage=Being+processed+by+Sectigo")]);
    world.pass(DAY + 5 * HOUR);
    world
}

/// So many orders of these kinds: most are in order, as they are with people.
pub fn many(number: usize) -> (Config, Loaded, World) {
    let world = world();
    let known = world.load();
    let mut config = (*world.config).clone();
    let mut loaded = Loaded { orders: Default::default(), ..known.clone() };
    config.orders.clear();
    for at in 0..number {
        // One in fifty is of a kind that is not in order.
        let kind = match at {
            0..12 => at,
            _ if at % 50 == 0 => at / 50 % 9,
            _ => 9 + at % 3,
        };
        let template = &world.config.orders[kind];
        let name: Arc<str> =
            if at < 12 { template.name.clone() } else { format!("{}-{at}", template.name).into() };
        let handle = OrderRef::OrderNumber(format!("{}", 100_000_000 + at * 7).into());
        if let Some(remembered) = known.orders.get(&template.name) {
            let mut remembered = remembered.clone();
            remembered.record.handle = handle.identity().into();
            loaded.orders.insert(name.clone(), remembered);
        }
        config.orders.push(Order { name, handle, ..template.clone() });
    }
    (config, loaded, world)
}

pub fn status(number: usize) -> Status {
    let (config, loaded, world) = many(number);
    Status::new(&config, &loaded, world.now)
}
