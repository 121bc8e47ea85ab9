//! A store that lies still, or goes back to a copy of before.

mod access;
mod clock;
mod full;
mod namesake;
mod pooler;
mod replaced;

use certcollectd::effects::shared::{Commit, Committed};
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::report::{Report, State};
use certcollectd_sandbox::{Fault, FaultSpec};
use serde_json::Value;

use super::Fleet;
use crate::proof::{figure, number};
use crate::setting::said;
use crate::shared::backend::on_each_store;

const HOST: &str = "f";
const ORDER: &str = "www";

/// The host has what is published, which is the vendor's newest, and has said so.
fn is_settled(fleet: &Fleet) -> bool {
    let Some(published) = fleet.publication(ORDER) else { return false };
    let has_said = |report: Report| (report.generation, report.state) == (published.generation, State::Done);
    fleet.is_published(0) && fleet.is_up_to_date(HOST, 0) && fleet.report(HOST, ORDER).is_some_and(has_said)
}

/// A collector's log says so.
fn says(fleet: &Fleet, host: &str, what: &str) -> bool {
    fleet.read(&format!("{host}/log")).contains(what)
}

/// Whoever answers these has taken all changes, and has had turns to say what is new.
fn give_turns(fleet: &Fleet) {
    for _ in 0..10 {
        fleet.say(HOST, &["fleet", "accept-restore"]);
    }
}

on_each_store!(
    a_report_that_was_lost_is_made_again,
    a_store_that_was_put_back_stops_the_leader_until_somebody_accepts_it,
    what_the_store_has_lost_of_a_term_is_written_anew
);

/// It was at work when the store went, and is done before the store is back.
fn a_report_that_was_lost_is_made_again(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    fleet.follower(HOST);
    fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    fleet.write(&format!("{HOST}/busy"), "");
    fleet.issue(0);
    fleet.until("its hook is at work", |fleet| {
        let report = fleet.report(HOST, ORDER).filter(|report| report.generation == 2);
        report.is_some_and(|report| {
            report.state == State::Working && report.reason.to_string().contains("hook")
        })
    });
    // It would write anew how far the generation may spread, which has the host look at it again.
    fleet.kill("a");
    give_turns(&fleet);
    fleet.backend.kill(0);
    std::fs::remove_file(fleet.path(&format!("{HOST}/busy"))).unwrap();
    fleet.until("its hook has run", |fleet| fleet.read(&format!("{HOST}/hooks")).lines().count() == 2);
    fleet.until("that is on record", |fleet| fleet.status(HOST)["orders"][0]["phase"] == "guarding");
    give_turns(&fleet);
    fleet.backend.start_again(0);
    fleet.until("it is said after all", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    figure(&format!("{store}: a host was done while the store was away: it said so afterwards"));
}

/// From a copy, or by a standby that takes over and was behind.
fn a_store_that_was_put_back_stops_the_leader_until_somebody_accepts_it(store: StoreKind) {
    let size = match store {
        StoreKind::Etcd => 1,
        StoreKind::Postgres => 2,
    };
    let Some(mut fleet) = Fleet::start(store, size, &[ORDER]) else { return };
    for name in ["a", "b"] {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    let (leader, _) = fleet.next_leader(0);
    let other = if leader == "a" { "b" } else { "a" };
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    let (code, text) = fleet.say(&leader, &["fleet", "accept-restore"]);
    assert!(code == 0 && text.contains("nothing"), "{text}");
    assert_eq!(fleet.leader().map(|(leading, _)| leading), Some(leader.clone()), "it leads on");
    fleet.backend.keep_copy();
    // More than one generation is lost: counting on from the copy would not be enough.
    for _ in 0..2 {
        fleet.issue(0);
        fleet.until("the next is installed", |fleet| is_settled(fleet));
    }
    let lost = fleet.publication(ORDER).unwrap().generation;
    // The next leader has never known the generations that are lost.
    fleet.kill(&leader);
    fleet.backend.put_back();
    let (_, term) = fleet.next_leader(0);
    fleet
        .until("it says that the store went back", |fleet| says(fleet, other, "the fleet's store went back"));
    fleet.until("the host says what it has", |fleet| {
        fleet.report(HOST, ORDER).is_some_and(|report| report.generation == lost)
    });
    assert_eq!(fleet.leader().map(|(_, term)| term), Some(term));
    let (code, text) = said(&fleet.command(other, &["fleet", "accept-restore"]).output().unwrap());
    assert_eq!(code, 0, "{text}");
    assert_eq!(fleet.next_leader(term).0, other);
    fleet.issue(0);
    fleet.until("the newest is installed", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    let generation = fleet.publication(ORDER).unwrap().generation;
    assert!(generation > lost, "{generation} after {lost}");
    figure(&format!(
        "{store}: put back from a copy, 2 generations lost: nobody led before accept-restore; generation {generation} after {lost}, \
         installed"
    ));
}

/// A standby that takes over and was behind by a moment: the leader finds its term and its beat, and not what it wrote last.
fn what_the_store_has_lost_of_a_term_is_written_anew(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    fleet.follower(HOST);
    let (_, term) = fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    let prefixes = ["rows/", "pub/", "go/"];
    let puts = prefixes.iter().flat_map(|prefix| fleet.block_on(fleet.store.list(prefix)).unwrap().rows);
    let before = Commit { puts: puts.collect(), ..Commit::default() };
    fleet.issue(0);
    fleet.until("the next is installed", |fleet| is_settled(fleet));
    let lost = fleet.publication(ORDER).unwrap().generation;
    assert_eq!(fleet.block_on(fleet.store.commit(&before)), Committed::Done);
    fleet.until("it is published again", |fleet| fleet.is_published(0));
    fleet.until("the host has it", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    let generation = fleet.publication(ORDER).unwrap().generation;
    assert!(generation >= lost, "{generation} after {lost}");
    assert_eq!(fleet.leader(), Some(("a".into(), term)), "its term goes on");
    figure(&format!(
        "{store}: the last rows of a term lost under its leader: published again, in the same term"
    ));
}

#[test]
fn a_member_that_stands_still_stops_nobody() {
    let freezes = number("FLEET_FREEZES", 1);
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 3, &[ORDER]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 150 })).unwrap();
    for name in ["a", "b"] {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    for _ in 0..freezes {
        let member = leading_member(&fleet);
        let frozen = fleet.backend.freeze(member);
        fleet.issue(0);
        fleet.until("what was issued is published", |fleet| fleet.is_published(0));
        drop(frozen);
        fleet.next_call();
        // A watch at the frozen member was silent, which is noticed within a minute.
        fleet.until("it is installed", |fleet| is_settled(fleet));
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{freezes} times the leader among the members of etcd stood still: {} calls in {} terms, 0 at once, 0 early, what was issued \
         meanwhile published before it went on",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}

/// Which member of etcd leads the others.
fn leading_member(fleet: &Fleet) -> usize {
    let leads = |at: &usize| {
        let arguments = ["--endpoints", &fleet.cluster().endpoint(*at), "endpoint", "status", "-w", "json"];
        let status: Value = serde_json::from_str(&fleet.cluster().ctl(&arguments)).unwrap();
        // The first member answers as well, before it.
        let status = &status.as_array().unwrap().last().unwrap()["Status"];
        status["header"]["member_id"] == status["leader"]
    };
    (0..fleet.backend.size()).find(leads).expect("one leads")
}
