//! Another store in the place of the one that was known: an empty one, one with another fleet, one new member.

use certcollectd::effects::shared::{Commit, Row};
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::{Beat, Fence};

use super::super::Fleet;
use super::{HOST, ORDER, is_settled, says};
use crate::proof::figure;
use crate::shared::backend::on_each_store;
use crate::shared::commit_at_last;

const COLLECTORS: [&str; 2] = ["a", "b"];
const HOSTS: [&str; 3] = ["a", "b", HOST];

/// Two collectors and a host that has what was issued.
fn settled(store: StoreKind, members: usize) -> Option<Fleet> {
    let mut fleet = Fleet::start(store, members, &[ORDER])?;
    for name in COLLECTORS {
        fleet.collector(name, "");
    }
    fleet.follower(HOST);
    let (leader, _) = fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));
    until_known(&mut fleet, &leader);
    Some(fleet)
}

/// What people are told on each host of a store that is not to be gone on with.
fn assert_said(fleet: &mut Fleet, what: &str) {
    fleet.until("each host says so", |fleet| HOSTS.iter().all(|name| fleet.store_of(name) == "behind"));
    for name in HOSTS {
        let (_, text) = fleet.say(name, &["fleet", "status"]);
        assert!(text.contains(what) && text.contains("accept-restore"), "{name}: {text}");
        let (code, line) = fleet.say(name, &["status", "--nagios"]);
        assert!((code == 1 || code == 2) && line.contains(what), "{name}: {line}");
        assert!(says(fleet, name, what), "{name}: {}", fleet.read(&format!("{name}/log")));
    }
}

fn accept(fleet: &Fleet, name: &str) {
    let (code, text) = fleet.say(name, &["fleet", "accept-restore"]);
    assert_eq!(code, 0, "{name}: {text}");
}

/// All know who leads.
fn until_known(fleet: &mut Fleet, leader: &str) {
    fleet.until("all know who leads", |fleet| {
        COLLECTORS.iter().all(|name| fleet.status(name)["fleet"]["leader"] == leader)
    });
}

on_each_store!(
    etcd at once: an_empty_store_in_its_place_is_gone_on_with_once_somebody_accepts_it,
    another_fleet_in_its_place_is_left_alone
);

fn an_empty_store_in_its_place_is_gone_on_with_once_somebody_accepts_it(store: StoreKind) {
    let Some(mut fleet) = settled(store, 1) else { return };
    let (first, _) = fleet.next_leader(0);
    let second = COLLECTORS.into_iter().find(|name| *name != first).unwrap();
    // The one that has led knows what was lost; the other one does not: at first it gives the lost number to another
    // certificate, and then one below it.
    for (accepts, other, published) in [(second, &*first, 1), (&first, second, 2), (second, &first, 2)] {
        for _ in 1..published {
            fleet.issue(0);
            fleet.until("the next is installed", |fleet| is_settled(fleet));
        }
        let lost = fleet.publication(ORDER).unwrap().generation;
        fleet.backend.replace();
        // Also one that starts on it.
        fleet.kill(other);
        fleet.begin(other);
        assert_said(&mut fleet, "is another one");
        assert_eq!(fleet.leader(), None);
        fleet.issue(0);
        // One word on one collector: the fleet is what it was, and its hosts go on by themselves.
        accept(&fleet, accepts);
        assert_eq!(fleet.next_leader(0).0, accepts);
        fleet.until("what was issued meanwhile is installed", |fleet| is_settled(fleet));
        let generation = fleet.publication(ORDER).unwrap().generation;
        assert!(generation > lost, "{generation} after {lost}");
        accept(&fleet, other);
        until_known(&mut fleet, accepts);
    }
    let (_, term) = fleet.next_leader(0);
    fleet.kill(second);
    assert_eq!(fleet.next_leader(term).0, first);
    fleet.issue(0);
    fleet.until("the next leader's is installed", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: 3 empty ones in the place of the one that was lost: nobody led before accept-restore, on the collector that led and \
         on the other one; what was issued meanwhile installed under a higher number, without a word on the host"
    ));
}

fn another_fleet_in_its_place_is_left_alone(store: StoreKind) {
    let Some(mut fleet) = settled(store, 1) else { return };
    let (leader, _) = fleet.next_leader(0);
    let before = fleet.times_deposed(&leader);
    fleet.backend.replace();
    fleet.until("its leader ends", |fleet| fleet.times_deposed(&leader) > before);
    // A fleet that has had more leaders than this one.
    let rows = [
        (Key::Lease, Beat { released: true, ..beat(50) }.to_row()),
        (Key::Term, Fence { term: 50, process: "p".into() }.to_row()),
    ];
    let puts = rows.map(|(key, value)| Row { key: key.to_string(), value }).to_vec();
    fleet.block_on(commit_at_last(&fleet.store, &Commit { puts, ..Commit::default() }));
    for name in COLLECTORS {
        fleet.kill(name);
    }
    fleet.collector("x", "");
    let (foreign, term) = fleet.next_leader(50);
    assert_eq!(foreign, "x");
    for name in COLLECTORS {
        fleet.begin(name);
    }
    assert_said(&mut fleet, "another fleet");
    let shown = fleet.read(&format!("{HOST}/out/{ORDER}/cert.pem"));
    fleet.issue(0);
    fleet.until("the other fleet has published it", |fleet| fleet.is_published(0));
    // Whoever takes over next has waited for longer than those who know better.
    fleet.kill("x");
    fleet.collector("y", "");
    let (foreign, next) = fleet.next_leader(term);
    assert_eq!((&*foreign, next), ("y", term + 1));
    fleet.issue(0);
    fleet.until("the other fleet has published it", |fleet| fleet.is_published(0));
    assert_eq!(fleet.read(&format!("{HOST}/out/{ORDER}/cert.pem")), shown);
    for name in HOSTS {
        accept(&fleet, name);
    }
    fleet.until("the host takes what the other fleet has published", |fleet| is_settled(fleet));
    fleet.kill("y");
    let (leader, _) = fleet.next_leader(next);
    assert!(COLLECTORS.contains(&&*leader), "{leader}");
    fleet.issue(0);
    fleet.until("it is installed", |fleet| is_settled(fleet));
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: another fleet in the store's place: 0 terms, 0 installed, said on each host, until accept-restore"
    ));
}

fn beat(term: u64) -> Beat {
    let (host, process) = ("x".into(), "p".into());
    Beat { host, process, term, beat: 1, at_ms: 0, lease_ms: 0, released: false }
}

#[test]
fn a_new_member_in_the_place_of_an_old_one_stops_nobody() {
    let Some(mut fleet) = settled(StoreKind::Etcd, 3) else { return };
    for at in 0..3 {
        fleet.replace_member(at);
        fleet.issue(0);
        fleet.until("what was issued meanwhile is installed", |fleet| is_settled(fleet));
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "each of three members of etcd replaced by a new one: {} calls in {} terms, 0 at once, 0 early, the newest installed",
        fleet.calls(),
        fleet.next_leader(0).1
    ));
}
