use certcollectd::status::{Screen, Status};
use certcollectd_core::engine::vitals::Vitals;
use insta::assert_snapshot;
use rcgen::KeyPair;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::certs;
use crate::status::schema::keeps;
use crate::world::{self, HOUR, START, Say, World};

fn issued(days: i64) -> Say {
    let key = KeyPair::generate().unwrap();
    let end = START + days * 86_400;
    Say::Body(200, certs::issued(&certs::leaf(&key, &["www.example.com"], end - 90 * 86_400, end)))
}

/// Orders of every kind, as often as it takes.
fn status(orders: usize) -> Status {
    let names: Vec<String> = (0..orders).map(|at| format!("customer-{at:04}")).collect();
    let mut world = World::new(world::config(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let good = issued(61);
    let rejected =
        "errorCode=-20&errorMessage=The+order+was+rejected:+the+company+is+in+no+r%1begister+of+its+country";
    for (at, name) in names.iter().enumerate() {
        world.say(
            name,
            [match at % 12 {
                2 => Say::text(rejected),
                5 => issued(8),
                7 => Say::text("errorCode=0"),
                _ => good.clone(),
            }],
        );
    }
    world.pass(HOUR);
    Status::new(&world.config, &world.load(), world.now)
}

fn screen(columns: usize, rows: usize) -> Screen {
    Screen { columns: Some(columns), rows: Some(rows), colours: false }
}

#[test]
fn it_fits_and_the_worst_is_on_it() {
    for orders in [1, 12, 300] {
        let status = status(orders);
        for (columns, rows) in [(40, 24), (80, 24), (80, 50), (120, 30), (200, 60)] {
            let shown = status.table(&screen(columns, rows));
            let lines: Vec<&str> = shown.lines().collect();
            let wide = lines.iter().find(|line| line.width() > columns);
            assert_eq!(wide, None, "{columns}x{rows}, {orders} orders:\n{shown}");
            assert!(lines.len() < rows, "{columns}x{rows}, {orders} orders:\n{shown}");
            assert_eq!(*lines.last().unwrap(), status.summary().to_string());
            if orders > 1 {
                assert!(lines[1].starts_with("customer-0002") && lines[1].contains("rejected"), "{shown}");
            }
        }
        // Not on a screen: all of it.
        let whole = status.table(&Screen::default());
        for order in &status.orders {
            assert!(whole.contains(&format!("{} ", order.name)), "{}", order.name);
        }
        assert!(!whole.contains('…'), "{whole}");
    }
}

#[test]
fn a_common_terminal() {
    assert_snapshot!(status(12).table(&screen(80, 24)), @r##"
    ORDER          PHASE     NEXT POLL       CERTIFICATE
    customer-0002  rejected  -               -
      the order was rejected (code -20: "The order was rejected: the company is in…
    customer-0005  guarding  in 2 h 7 min    7 days
      has 7 days left
    customer-0007  waiting   in 2 h 10 min   -
      being processed by Sectigo (0)
    customer-0000  guarding  in 25 h 11 min  60 days
    customer-0001  guarding  in 24 h 29 min  60 days
    customer-0003  guarding  in 25 h 1 min   60 days
    customer-0004  guarding  in 25 h 21 min  60 days
    customer-0006  guarding  in 24 h 48 min  60 days
    customer-0008  guarding  in 25 h 17 min  60 days
    customer-0009  guarding  in 23 h 52 min  60 days
    customer-0010  guarding  in 25 h 2 min   60 days
    customer-0011  guarding  in 24 h 11 min  60 days

    next: certcollectd explain customer-0002
    2 need you · 1 waits · 9 in order
    "##);
}

#[test]
fn a_narrow_one() {
    assert_snapshot!(status(12).table(&screen(40, 14)), @r##"
    ORDER          PHASE     CERTIFICATE
    customer-0002  rejected  -
      the order was rejected (code -20: "Th…
    customer-0005  guarding  7 days
      has 7 days left
    customer-0007  waiting   -
      being processed by Sectigo (0)
    customer-0000  guarding  60 days
    customer-0001  guarding  60 days
    7 more: certcollectd status | less

    next: certcollectd explain customer-0002
    2 need you · 1 waits · 9 in order
    "##);
}

#[test]
fn a_wide_one() {
    assert_snapshot!(status(3).table(&screen(160, 24)), @r##"
    ORDER          PHASE     NEXT POLL       CERTIFICATE  NOTE
    customer-0002  rejected  -               -            the order was rejected (code -20: "The order was rejected: the company is in no r\u{1b}egister of its cou…
    customer-0000  guarding  in 25 h 11 min  60 days
    customer-0001  guarding  in 24 h 29 min  60 days

    next: certcollectd explain customer-0002
    1 needs you · 0 wait · 2 in order
    "##);
}

#[test]
fn colours_change_nothing_else() {
    let status = status(12);
    let painted = status.table(&Screen { colours: true, ..screen(80, 24) });
    let mut plain = String::new();
    let mut rest = painted.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    assert_eq!(plain, status.table(&screen(80, 24)));
    assert!(painted.contains("\u{1b}[31mcustomer-0002"), "{painted}");
}

#[test]
fn one_order_is_told_in_full_however_narrow() {
    let mut status = status(12);
    status.keep("customer-0002");
    let text = status.details(&screen(40, 24));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&text), words(&status.details(&Screen::default())));
    let wide = text.lines().find(|line| line.width() > 40);
    assert_eq!(wide, None, "{text}");
    assert!(words(&text).contains("next: certcollectd explain customer-0002"), "{text}");
}

#[test]
fn an_account_leaves_room_for_orders_and_is_told_in_full_where_there_is_more() {
    let mut world = World::new(world::config(&["www", "mail"]));
    world.say("www", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(HOUR);
    let status = Status::new(&world.config, &world.load(), world.now);
    let (low, high) = (status.table(&screen(40, 16)), status.table(&screen(40, 60)));
    assert!(low.lines().count() < 16, "{low}");
    for shown in [&low, &high] {
        let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what}: {shown}"));
        assert!(at("www ") < at("account main is closed"), "{shown}");
        assert!(at("account main is closed") < at("resume --account main"), "{shown}");
        assert!(shown.ends_with("1 needs you · 2 wait · 0 in order\n"), "{shown}");
    }
    let tells_all = |shown: &str| shown.split_whitespace().any(|word| word == "through");
    assert!(tells_all(&high) && !tells_all(&low), "{low}{high}");
}

#[test]
fn what_fails_here_is_named_where_it_counts() {
    let world = World::new(world::config(&[]));
    let status = Status::new(&world.config, &world.load(), world.now);
    let vitals = Vitals { misconfigured: true, ..Vitals::default() };
    let status = status.with(&vitals);
    let shown = status.table(&screen(80, 24));
    assert!(shown.contains("no order is configured"), "{shown}");
    assert!(shown.contains("the configuration was changed and is invalid"), "{shown}");
    assert!(shown.ends_with("2 need you · 0 wait · 0 in order\n"), "{shown}");
    let json: Value = serde_json::from_str(&status.json()).unwrap();
    keeps(&json);
    let found = json["machine"]["findings"].as_array().unwrap().iter();
    let found: Vec<_> = found.map(|found| (&found["finding"], &found["next"])).collect();
    let next = json!("certcollectd check");
    assert_eq!(found, [(&json!("config-invalid"), &next), (&json!("no-order"), &next)]);
}
