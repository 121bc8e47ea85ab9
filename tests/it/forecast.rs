//! What is to come: exact days for orders whose past is known.

use std::time::Duration;

use certcollectd::status::{Screen, forecast_json, forecast_text};
use certcollectd_core::api::Product;
use certcollectd_core::config::{Clock, Config, Day, Freeze, Window, Zone};
use certcollectd_core::engine::loaded::{Loaded, Remembered};
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::forecast::{EventKind, Forecast, REACH, forecast};
use certcollectd_core::state::{self, Origin};
use serde_json::{Value, json};

use crate::setting::Setting;
use crate::world;

fn unix(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

fn now(text: &str) -> Now {
    Now { time: Time(1_000_000), wall: unix(text) * 1000 }
}

/// The row of an order that is guarded, with a certificate from one day until another.
fn guarded(number: &str, from: &str, until: &str) -> Value {
    json!({
        "account": "main", "handle": format!("orderNumber {number}"), "phase": "guarding",
        "since": unix(from), "waiting_since_ms": 1, "polled_ms": 1, "due_ms": 2,
        "installed": {
            "name": "20261120T091200Z-0123456789abcdef", "at": unix(from),
            "fingerprint": "01".repeat(32), "serial": "0a",
            "not_before": unix(from), "not_after": unix(until), "names": [], "files": [], "spec": 0,
        },
    })
}

fn loaded(rows: &[(&str, Value)], now: Now) -> Loaded {
    let mut loaded = Loaded::default();
    for (name, row) in rows {
        let origin = Origin { same_boot: true, offset: None, present: None };
        let record = state::read_order(name, &row.to_string(), origin, now).unwrap();
        loaded.orders.insert((*name).into(), Remembered { record, bundle: None });
    }
    loaded
}

/// What happens to the first order: day, kind, who.
fn course(forecast: &Forecast) -> Vec<(String, EventKind, &'static str)> {
    let day = |at: i64| jiff::Timestamp::from_second(at).unwrap().strftime("%Y-%m-%d").to_string();
    forecast.orders[0].events.iter().map(|event| (day(event.at), event.kind, event.who.as_str())).collect()
}

fn of(config: &Config, row: Value, at: &str) -> Forecast {
    let now = now(at);
    forecast(config, &loaded(&[("www", row)], now), now)
}

fn days<'a>(course: &'a [(String, EventKind, &str)], kind: EventKind) -> Vec<&'a str> {
    course.iter().filter(|(_, known, _)| *known == kind).map(|(day, ..)| day.as_str()).collect()
}

#[test]
fn a_certificate_of_200_days_is_followed_by_one_of_100() {
    let config = world::config(&["www"]);
    let row = guarded("www", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    let forecast = of(&config, row, "2026-11-29T12:00:00Z");
    let course = course(&forecast);
    // 14 days before its end, and then as the maximum of that day allows: 100 days.
    assert_eq!(days(&course, EventKind::Reissue), ["2027-04-05", "2027-06-30", "2027-09-24", "2027-12-19"]);
    assert_eq!(days(&course, EventKind::Installed), ["2027-04-05", "2027-06-30", "2027-09-24", "2027-12-19"]);
    // Validated on 1 October at the latest, which is more than 100 days before 5 April, and then each second time.
    assert_eq!(days(&course, EventKind::Validate), ["2027-04-05", "2027-09-24"]);
    assert!(course.iter().all(|(_, kind, who)| match kind {
        EventKind::Reissue | EventKind::Validate => *who == "you",
        EventKind::Collected | EventKind::Installed => *who == "certcollectd",
        _ => false,
    }));
    let until = unix("2026-11-29T12:00:00Z") + REACH * 86_400;
    assert!(forecast.until == until && forecast.orders[0].events.iter().all(|event| event.at <= until));
}

#[test]
fn from_march_2029_on_it_is_47_days_and_each_time_a_validation() {
    let config = world::config(&["www"]);
    let row = guarded("www", "2029-03-01T00:00:00Z", "2029-06-09T00:00:00Z");
    let forecast = of(&config, row, "2029-03-02T00:00:00Z");
    let course = course(&forecast);
    let due = days(&course, EventKind::Reissue);
    assert_eq!(&due[..3], ["2029-05-26", "2029-06-30", "2029-08-04"], "47 days less a quarter of them");
    assert_eq!(due, days(&course, EventKind::Validate));
}

#[test]
fn a_leap_day_is_a_day() {
    let config = world::config(&["www"]);
    // 100 days over 29 February 2028.
    let row = guarded("www", "2028-01-01T00:00:00Z", "2028-04-10T00:00:00Z");
    let forecast = of(&config, row, "2028-02-28T00:00:00Z");
    assert_eq!(days(&course(&forecast), EventKind::Reissue)[..2], ["2028-03-27", "2028-06-21"]);
    let row = guarded("www", "2028-01-01T00:00:00Z", "2028-03-14T00:00:00Z");
    let forecast = of(&config, row, "2028-02-28T00:00:00Z");
    assert_eq!(days(&course(&forecast), EventKind::Reissue)[0], "2028-02-29");
}

#[test]
fn a_term_that_ends_sooner_ends_it() {
    let config = world::config(&["www"]);
    let mut row = guarded("www", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    row["heard"] = json!({ "at": 1, "code": 2, "text": "issued", "term_end": unix("2027-05-02T00:00:00Z") });
    let forecast = of(&config, row, "2026-11-29T12:00:00Z");
    let course = course(&forecast);
    assert_eq!(days(&course, EventKind::Renew), ["2027-04-02"], "30 days before");
    assert_eq!(days(&course, EventKind::TermEnds), ["2027-05-02"]);
    assert_eq!(days(&course, EventKind::Reissue), ["2027-04-05"], "until the term ends, and no more");
    assert_eq!(days(&course, EventKind::Expires), ["2027-05-02"]);
    let last = forecast.orders[0].events.iter().find(|event| event.kind == EventKind::Installed).unwrap();
    assert_eq!(last.what, "is installed, until 2027-05-02");
}

#[test]
fn other_products_live_as_long_as_before() {
    for product in [Product::Mark, Product::Smime] {
        let mut config = world::config(&["www"]);
        world::change(&mut config.orders[0], |settings| settings.product = product);
        let row = guarded("www", "2026-06-01T00:00:00Z", "2027-06-01T00:00:00Z");
        let forecast = of(&config, row, "2027-05-01T00:00:00Z");
        let course = course(&forecast);
        assert_eq!(days(&course, EventKind::Reissue), ["2027-05-18", "2028-05-03"]);
        assert!(days(&course, EventKind::Validate).is_empty());
    }
}

#[test]
fn windows_and_freezes_hold_what_is_to_come() {
    let mut config = world::config(&["www"]);
    config.windows.push(
        Window {
            name: "night".into(),
            days: vec![Day::Tue],
            from: Clock::read("02:00").unwrap(),
            to: Clock::read("05:00").unwrap(),
            zone: Zone::named("Europe/Berlin").unwrap(),
        }
        .into(),
    );
    world::change(&mut config.orders[0], |settings| settings.windows = Box::new(["night".into()]));
    // Monday, 5 April 2027, is 14 days before the end.
    let row = guarded("www", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    let forecast = of(&config, row.clone(), "2026-11-29T12:00:00Z");
    let installed =
        forecast.orders[0].events.iter().find(|event| event.kind == EventKind::Installed).unwrap();
    assert_eq!(installed.at, unix("2027-04-06T00:00:00Z"));
    assert_eq!(installed.what, "is installed in window night, until 2027-07-14");
    assert!(forecast.warnings.is_empty(), "{:?}", forecast.warnings);
    config.freezes.push(Freeze::read("2027-04-01/2027-04-30").unwrap());
    let forecast = of(&config, row, "2026-11-29T12:00:00Z");
    let installed =
        forecast.orders[0].events.iter().find(|event| event.kind == EventKind::Installed).unwrap();
    assert_eq!(installed.at, unix("2027-04-12T00:00:00Z"), "seven days before the end");
    assert!(
        forecast.warnings[0].contains("is installed outside them on 2027-04-12"),
        "{:?}",
        forecast.warnings
    );
}

#[test]
fn an_order_that_stopped_or_waits_says_so() {
    let config = world::config(&["www"]);
    let at = "2026-11-29T12:00:00Z";
    let mut row = guarded("www", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    row["phase"] = json!("attention");
    let forecast = of(&config, row.clone(), at);
    assert_eq!(
        course(&forecast),
        [("2026-11-29".into(), EventKind::Stopped, "you"), ("2027-04-19".into(), EventKind::Expires, "you"),]
    );
    assert_eq!(forecast.accounts[0].calls_per_day, 0);
    row["phase"] = json!("guarding");
    row["reissue_ms"] = json!(5);
    let forecast = of(&config, row.clone(), at);
    assert_eq!(course(&forecast)[0].2, "vendor", "it is pending already");
    row["installed"] = Value::Null;
    row["phase"] = json!("waiting");
    let forecast = of(&config, row, at);
    assert_eq!(course(&forecast), [("2026-11-29".into(), EventKind::Pending, "vendor")]);
    assert_eq!(forecast.accounts[0].calls_per_day, 8);
}

#[test]
fn ten_thousand_orders_are_more_than_an_account_can_ask_about() {
    let names: Vec<String> = (0..10_000).map(|number| format!("site-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut config = world::config(&names);
    let at = now("2026-11-29T12:00:00Z");
    let row = guarded("", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    let mut rows: Vec<(&str, Value)> = names.iter().map(|name| (*name, row.clone())).collect();
    rows.iter_mut().for_each(|(name, row)| row["handle"] = json!(format!("orderNumber {name}")));
    let loaded = loaded(&rows, at);
    let full = forecast(&config, &loaded, at);
    let account = &full.accounts[0];
    assert_eq!((account.calls_per_day, account.possible_per_day), (10_000, Some(8_640)));
    assert!(full.warnings[0].contains("from 2026-11-29 to "), "{:?}", full.warnings);
    assert!(full.warnings[0].contains("call_gap leaves room for 8640"), "{:?}", full.warnings);
    // With room for them, only the days remain on which all are re-issued.
    config.calls.call_gap = Duration::from_secs(2);
    let full = forecast(&config, &loaded, at);
    assert_eq!(full.accounts[0].busiest, (unix("2027-04-05T00:00:00Z"), 90_000));
    assert_eq!(full.warnings.len(), 4, "{:?}", full.warnings);
    assert!(full.warnings[0].contains("on 2027-04-05 up to 90000 calls are due"), "{:?}", full.warnings);
    config.calls.call_gap = Duration::ZERO;
    let full = forecast(&config, &loaded, at);
    assert_eq!((full.accounts[0].possible_per_day, full.warnings.len()), (None, 0));
}

#[test]
fn it_fits_80_columns_and_machines_read_the_same() {
    let config = world::config(&["www"]);
    let mut row = guarded("www", "2026-10-01T00:00:00Z", "2027-04-19T00:00:00Z");
    row["heard"] = json!({ "at": 1, "code": 2, "text": "issued", "term_end": unix("2027-05-02T00:00:00Z") });
    let forecast = of(&config, row, "2026-11-29T12:00:00Z");
    let text = forecast_text(&forecast, &Screen { columns: Some(80), ..Screen::default() });
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text, @r#"
    BY          ORDER  WHO           WHAT
    2027-04-02  www    you           renew the subscription, or place a new order:
                                     the subscription ends 2027-05-02
    2027-04-05  www    you           have it re-issued at the vendor: it ends
                                     2027-04-19
    2027-04-05  www    you           validate its domains anew: a validation counts
                                     for 100 days
    2027-04-05  www    certcollectd  is collected
    2027-04-05  www    certcollectd  is installed, until 2027-05-02
    2027-05-02  www    vendor        the subscription ends; no re-issue outlasts it
    2027-05-02  www    you           its certificate expires; no newer one is in
                                     sight

    account main: 1 call a day of 8640 that are possible, at most 9 on 2027-04-05
    "#);
    let json: Value = serde_json::from_str(&forecast_json(&forecast)).unwrap();
    assert_eq!(json["orders"][0]["name"], "www");
    assert_eq!(json["orders"][0]["events"][0]["at"], "2027-04-02T00:00:00Z");
    assert_eq!(json["orders"][0]["events"][0]["who"], "you");
    assert_eq!(json["accounts"][0]["calls_per_day"], 1);
    assert_eq!(json["warnings"], json!([]));
}

#[test]
fn it_works_while_no_daemon_runs_and_where_none_ever_ran() {
    let mut setting = Setting::new();
    let spec =
        certcollectd_sandbox::OrderSpec::new(certcollectd_sandbox::Product::Ssl, "1", &["www.example.com"]);
    setting.order("www", spec, "[order.verify]\ntrust = \"off\"");
    let json = |setting: &Setting| -> Value {
        let (code, said) = setting.call(&["forecast", "--json"]);
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&said).unwrap()
    };
    setting.write_configuration();
    assert_eq!(json(&setting)["orders"][0]["events"][0]["kind"], "pending");
    setting.start();
    setting.until_phase("www", "guarding");
    assert_eq!(setting.stop(), Some(0));
    let kinds = json(&setting)["orders"][0]["events"].clone();
    assert!(kinds.as_array().unwrap().iter().any(|event| event["kind"] == "installed"), "{kinds}");
    let (code, said) = setting.call(&["forecast"]);
    assert!(code == 0 && said.contains("have it re-issued at the vendor"), "{said}");
}
