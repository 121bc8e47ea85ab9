//! Hosts that vanish in the middle of a roll-out.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::report::State;

use super::super::Fleet;
use super::{ORDER, SECOND, assert_waves, count, name, reports, settled, status};
use crate::proof::figure;
use crate::shared::backend::on_each_store;

const HOSTS: usize = 8;
/// Of the second wave, and of the last.
const LOST: [&str; 2] = ["f03", "f06"];

/// It is killed while it works on a generation; its hook goes nowhere.
fn vanish(fleet: &mut Fleet, host: &str, generation: u64) {
    fleet.until("it is at work", |fleet| {
        fleet.report(host, ORDER).is_some_and(|it| (it.generation, it.state) == (generation, State::Working))
    });
    fleet.kill(host);
}

on_each_store!(etcd at once: hosts_that_vanish_hold_those_after_them_until_somebody_says_so);

fn hosts_that_vanish_hold_those_after_them_until_somebody_says_so(store: StoreKind) {
    let Some((mut fleet, leader, term)) = settled(store, HOSTS) else { return };
    for host in LOST {
        fleet.write(&format!("{host}/busy"), "");
    }
    fleet.issue(0);
    vanish(&mut fleet, LOST[0], 2);
    fleet.until("the others of its wave have it", |fleet| count(fleet, 2, State::Done) == SECOND.len());
    // The next leader as well waits for it.
    fleet.kill(&leader);
    fleet.begin(&leader);
    let (leader, term) = fleet.next_leader(term);
    let calls = fleet.calls();
    fleet.until("the next leader is at work", |fleet| fleet.calls() > calls + 1);
    let shown = status(&fleet, &leader);
    assert_eq!((&shown["wave"], &shown["hosts"]["done"]), (&2.into(), &SECOND.len().into()), "{shown:#}");
    let (_, text) = fleet.say(&leader, &["fleet", "status"]);
    let line = text.lines().find(|line| line.contains(LOST[0]));
    assert!(line.is_some_and(|line| line.contains("working")), "{text}");
    let (code, text) = fleet.say(&leader, &["fleet", "forget", LOST[0]]);
    assert!(code == 1 && text.contains("--force"), "{text}");
    let (code, text) = fleet.say(&leader, &["fleet", "forget", LOST[0], "--force"]);
    assert_eq!(code, 0, "{text}");

    // One of the last wave holds none of those beside it.
    vanish(&mut fleet, LOST[1], 2);
    fleet.until("all others have it", |fleet| count(fleet, 2, State::Done) == HOSTS - LOST.len());
    assert_eq!(status(&fleet, &leader)["state"], "rolling");

    // They come back, as they were left.
    for host in LOST {
        std::fs::remove_file(fleet.path(&format!("{host}/busy"))).unwrap();
        fleet.begin(host);
    }
    fleet.until("all have it", |fleet| count(fleet, 2, State::Done) == HOSTS);
    fleet.until("the leader sees it", |fleet| status(fleet, &leader)["state"] == "done");
    fleet.issue(0);
    fleet.until("the next generation is everywhere", |fleet| count(fleet, 3, State::Done) == HOSTS);
    for host in (1..=HOSTS).map(name) {
        assert!(fleet.is_up_to_date(&host, 0), "{host}");
        let hooks = fleet.read(&format!("{host}/hooks"));
        let newest = hooks.lines().last().map(str::to_owned);
        assert_eq!(
            hooks.lines().filter(|line| Some(*line) == newest.as_deref()).count(),
            1,
            "{host}: {hooks}"
        );
    }
    fleet.assert_calls_kept_apart();
    let reports = reports(&fleet);
    for (generation, skipped) in [(1, &[][..]), (2, &LOST), (3, &[])] {
        assert_waves(&reports, generation, skipped);
    }
    figure(&format!(
        "2 of {HOSTS} hosts killed at work on a generation, the leader with them: the last wave waited for the one until it was \
         forgotten, and for the other not; both caught up, {term} terms"
    ));
}

/// Longer than the store keeps what has changed.
#[test]
fn a_host_that_was_away_for_long_takes_the_newest_only() {
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    for host in ["f", "g"] {
        fleet.follower(host);
    }
    fleet.next_leader(0);
    fleet.until("both have the first", |fleet| count(fleet, 1, State::Done) == 2);
    fleet.kill("g");
    for generation in 2..=6 {
        fleet.issue(0);
        fleet.until("the other one has it", |fleet| count(fleet, generation, State::Done) == 1);
    }
    fleet.cluster().compact();
    assert!(!fleet.is_up_to_date("g", 0));
    fleet.begin("g");
    fleet.until("it has the newest", |fleet| count(fleet, 6, State::Done) == 2);
    assert!(fleet.is_up_to_date("g", 0));
    let hooks = fleet.read("g/hooks");
    assert_eq!(hooks.lines().count(), 2, "{hooks}");
    fleet.assert_calls_kept_apart();
    figure(
        "a host away for 5 generations, the store compacted meanwhile: it took the last one, and ran its hook once",
    );
}
