//! Hosts and collectors that do not have all of the fleet's orders, or say what is not so of one.

use certcollectd::effects::shared::{Commit, Committed, Row};
use certcollectd::sources::clock;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::form::Moment;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::published::Publication;
use certcollectd_core::fleet::report::{Report, Seen, State};

use super::super::{Fleet, GROUP};
use super::{ORDER, status};
use crate::proof::figure;
use crate::shared::backend::on_each_store;

const OTHER: &str = "api";

/// A host's configuration without the first order; gives the whole.
fn take_out_first(fleet: &Fleet, host: &str) -> String {
    let file = format!("{host}/certcollectd.toml");
    let whole = fleet.read(&file);
    let (first, last) = (whole.find("[[order]]").unwrap(), whole.rfind("[[order]]").unwrap());
    assert_ne!(first, last, "{whole}");
    fleet.write(&file, &(whole[..first].to_owned() + &whole[last..]));
    whole
}

fn is_done(fleet: &Fleet, host: &str, order: &str, generation: u64) -> bool {
    fleet
        .report(host, order)
        .is_some_and(|report| (report.generation, report.state) == (generation, State::Done))
}

on_each_store!(
    etcd at once:
    a_canary_without_the_order_proves_nothing_until_it_has_it,
    what_a_leader_does_not_know_stays_and_what_it_forgets_goes,
    what_a_host_has_under_a_higher_number_gets_one,
    a_host_that_asks_for_higher_numbers_without_end_gets_few
);

fn a_canary_without_the_order_proves_nothing_until_it_has_it(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER, OTHER]) else { return };
    fleet.collector("a", "wave = [{ hosts = [\"f\"] }, { share = 1.0 }]");
    fleet.follower("f");
    fleet.next_leader(0);
    fleet
        .until("the canary has both", |fleet| is_done(fleet, "f", ORDER, 1) && is_done(fleet, "f", OTHER, 1));
    let whole = take_out_first(&fleet, "f");
    fleet.until("it says that it has no such order", |fleet| {
        fleet.report("f", ORDER).is_some_and(|report| report.state == State::NotConfigured)
    });
    // What comes next it neither proves nor holds.
    fleet.follower("g");
    fleet.write("g/broken", "");
    fleet.issue(0);
    fleet.until("another one proves it, and fails", |fleet| {
        fleet.report("g", ORDER).is_some_and(|report| (report.generation, report.state) == (2, State::Failed))
    });
    let shown = status(&fleet, "a");
    assert_eq!((&shown["state"], &shown["hosts"]["done"]), (&"held".into(), &0.into()), "{shown:#}");
    let (code, text) = fleet.say("a", &["fleet", "skip", ORDER]);
    assert_eq!(code, 0, "{text}");
    fleet.until("it is done", |fleet| status(fleet, "a")["state"] == "done");
    fleet.write("f/certcollectd.toml", &whole);
    fleet.until("the canary has the order again", |fleet| is_done(fleet, "f", ORDER, 2));
    fleet.assert_calls_kept_apart();
    figure(
        "a canary that had lost the order: another host proved the next generation, and its failure held it",
    );
}

fn what_a_leader_does_not_know_stays_and_what_it_forgets_goes(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER, OTHER]) else { return };
    let keys = |order: &'static str| {
        [Key::Publication { group: GROUP, order }, Key::Go { group: GROUP, order }].map(|key| key.to_string())
    };
    let there = |fleet: &Fleet, keys: &[String]| {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        fleet.block_on(fleet.store.get(&keys)).unwrap().iter().filter(|row| row.is_some()).count()
    };
    // Of a collector that has one order more, and of before an order came into another group.
    let (unknown, left) = (keys("new"), vec!["pub/mail/www".to_owned(), "go/mail/www".to_owned()]);
    let puts: Vec<Row> =
        unknown.iter().chain(&left).map(|key| Row { key: key.clone(), value: b"{}".into() }).collect();
    let commit = Commit { puts, ..Commit::default() };
    assert_eq!(fleet.block_on(fleet.store.commit(&commit)), Committed::Done);
    fleet.collector("a", "");
    fleet.follower("f");
    fleet.next_leader(0);
    fleet.until("the host has both", |fleet| is_done(fleet, "f", ORDER, 1) && is_done(fleet, "f", OTHER, 1));
    fleet.until("they spread", |fleet| there(fleet, &keys(ORDER)) == 2);
    assert_eq!((there(&fleet, &unknown), there(&fleet, &left)), (2, 0));

    take_out_first(&fleet, "a");
    fleet.until("the order is taken out", |fleet| fleet.read("a/log").contains("is no longer configured"));
    // All rows have been looked at by then.
    for _ in 0..3 {
        fleet.next_call();
    }
    assert_eq!(there(&fleet, &keys(ORDER)), 2, "what is published of it stays");
    let (_, text) = fleet.say("a", &["fleet", "status"]);
    assert!(text.contains("not in this collector's configuration: www;"), "{text}");
    let (code, text) = fleet.say("a", &["fleet", "skip", ORDER]);
    assert!(code == 1 && text.contains("has no order www"), "{text}");
    let (code, text) = fleet.say("a", &["forget", ORDER]);
    assert_eq!(code, 0, "{text}");
    fleet.until("it is published no more", |fleet| there(fleet, &keys(ORDER)) == 0);
    assert_eq!([OTHER, "new"].map(|order| there(&fleet, &keys(order))), [2, 2]);
    assert!(fleet.is_up_to_date("f", 0), "the host keeps what it has");
    // Of an order that no collector has ever known.
    for (order, code, part) in [
        (OTHER, 2, "is configured: remove its entry"),
        ("new", 0, "is published no more"),
        ("new", 2, "nothing of it is published"),
        ("other", 2, "nothing is remembered"),
    ] {
        let (ended, text) = fleet.say("a", &["forget", order]);
        assert!(ended == code && text.contains(part), "{order}: {ended} {text}");
    }
    assert_eq!([OTHER, "new"].map(|order| there(&fleet, &keys(order))), [2, 0]);
    // What the host has done it goes on saying, until it has no such order either.
    assert!(fleet.report("f", ORDER).is_some());
    take_out_first(&fleet, "f");
    fleet.kill("f");
    fleet.begin("f");
    fleet.until("it says nothing of it any more", |fleet| fleet.report("f", ORDER).is_none());
    assert!(fleet.is_up_to_date("f", 0), "the host keeps what it has");
    figure("rows of an order that the leader does not have stayed; those of one that it forgot went");
}

fn write(fleet: &Fleet, key: Key<'_>, value: Vec<u8>) {
    let commit = Commit { puts: vec![Row { key: key.to_string(), value }], ..Commit::default() };
    assert_eq!(fleet.block_on(fleet.store.commit(&commit)), Committed::Done);
}

/// The store has lost a number, and not the certificate.
fn what_a_host_has_under_a_higher_number_gets_one(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    fleet.follower("f");
    fleet.next_leader(0);
    for generation in 1..=3 {
        fleet.until("it is done", |fleet| is_done(fleet, "f", ORDER, generation));
        if generation < 3 {
            fleet.issue(0);
        }
    }
    let published = fleet.publication(ORDER).unwrap();
    write(
        &fleet,
        Key::Publication { group: GROUP, order: ORDER },
        Publication { generation: 1, ..published }.to_row(),
    );
    let mut generation = 0;
    fleet.until("it is published under a higher number, and done", |fleet| {
        generation = fleet.publication(ORDER).unwrap().generation;
        generation > 3 && is_done(fleet, "f", ORDER, generation)
    });
    fleet.until("the roll-out is done", |fleet| status(fleet, "a")["state"] == "done");
    assert!(fleet.is_up_to_date("f", 0));
    let serials: Vec<String> = fleet.read("f/hooks").lines().map(str::to_owned).collect();
    assert_eq!(serials.len(), 3, "nothing new was installed: {serials:?}");
    figure(&format!(
        "a host had generation 3 of what was published as 1: published as {generation}, done, 0 installations"
    ));
}

fn a_host_that_asks_for_higher_numbers_without_end_gets_few(store: StoreKind) {
    const HOST: &str = "liar";
    const ASKED: u64 = 12;
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    let now = || Moment(clock::now().unix());
    let groups = vec![GROUP.into()];
    let seen = Seen { at: now(), groups, version: Untrusted::new("0.1.0"), process: "p".into() };
    write(&fleet, Key::Seen { host: HOST }, seen.to_row());
    fleet.collector("a", "");
    fleet.next_leader(0);
    fleet.until("it is published", |fleet| fleet.is_published(0));
    let begin = clock::now().time;
    for _ in 0..ASKED {
        let generation = fleet.publication(ORDER).unwrap().generation + 1;
        let report =
            Report { generation, state: State::Quarantined, reason: Untrusted::new("lost"), at: now() };
        write(&fleet, Key::Report { host: HOST, order: ORDER }, report.to_row());
        // The leader has seen it by then.
        fleet.next_call();
        fleet.next_call();
    }
    // At once, after ten seconds, and each time after twice as long.
    let most = 1 + (1 + clock::now().time.since(begin).as_secs() / 10).ilog2();
    let given = fleet.backend.history(&format!("pub/{GROUP}/")).len() - 1;
    assert!(given >= 1 && given <= usize::try_from(most).unwrap(), "{given} given of at most {most}");
    figure(&format!("a host asked {ASKED} times for a number of its own: {given} given"));
}
