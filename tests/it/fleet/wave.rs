//! Roll-outs over real followers: a canary whose hook fails, a host that has no key yet, leaders that are killed meanwhile.
//!
//! What each host was doing when is read from the store's history, in which the reports of all hosts stand in one order.

mod many;
mod orders;
mod probe;
mod valve;
mod vanish;
mod window;

use std::collections::BTreeMap;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::report::{Report, State};
use rcgen::KeyPair;
use serde_json::Value;

use super::Fleet;
use crate::proof::{figure, number};
use crate::setting::said;
use crate::shared::backend::on_each_store;

const ORDER: &str = "www";
const CANARY: &str = "f01";
const SECOND: [&str; 3] = ["f02", "f03", "f04"];
/// Has no key for the last generation at first.
const KEYLESS: &str = "f03";
/// Of the last wave.
const AT_ONCE: usize = 6;

/// The wave that a host is let in with.
fn wave(host: &str) -> usize {
    if host == CANARY { 0 } else { 1 + usize::from(!SECOND.contains(&host)) }
}

fn waves() -> String {
    let second = SECOND.map(|host| format!("\"{host}\"")).join(", ");
    format!(
        "wave = [{{ hosts = [\"{CANARY}\"] }}, {{ hosts = [{second}] }}, {{ share = 1.0, at_once = {AT_ONCE} }}]"
    )
}

/// All reports on the order so far, in the order in which the store took them.
fn reports(fleet: &Fleet) -> Vec<(String, Report)> {
    let history = fleet.backend.history("hosts/").into_iter();
    let ours = history.filter_map(|row| match Key::parse(&row.key) {
        Some(Key::Report { host, order: ORDER }) => {
            Some((host.to_owned(), Report::read(&row.value).unwrap()))
        }
        _ => None,
    });
    ours.collect()
}

/// Invariant 9: whoever begins a generation finds all hosts of the waves before done, and in the last wave few at work.
/// Gives how many were at work at once at most.
fn assert_waves(reports: &[(String, Report)], generation: u64, skipped: &[&str]) -> usize {
    let mut states = BTreeMap::<&str, State>::new();
    let mut most = 0;
    for (host, report) in reports.iter().filter(|(_, report)| report.generation == generation) {
        let has_begun = |state: &State| match state {
            State::Done | State::Working | State::Failed => true,
            State::Quarantined | State::WaitsForKey | State::WaitsForWindow | State::NotConfigured => false,
        };
        let begins = has_begun(&report.state) && !states.get(&**host).is_some_and(has_begun);
        states.insert(host, report.state);
        if begins {
            for before in [CANARY].iter().chain(&SECOND).filter(|before| wave(before) < wave(host)) {
                let is_done = states.get(before) == Some(&State::Done) || skipped.contains(before);
                assert!(is_done, "{host} begins generation {generation} before {before} is done: {states:?}");
            }
            let at_work = states.iter().filter(|(host, state)| wave(host) == 2 && **state == State::Working);
            most = most.max(at_work.count());
        }
    }
    assert!(most <= AT_ONCE, "{most} at work at once in generation {generation}");
    most
}

fn count(fleet: &Fleet, generation: u64, state: State) -> usize {
    let rows = fleet.block_on(fleet.store.list("hosts/")).map(|listing| listing.rows).unwrap_or_default();
    let reports = rows.iter().filter(|row| row.key.ends_with(&format!("/orders/{ORDER}")));
    let reports = reports.map(|row| Report::read(&row.value).unwrap());
    reports.filter(|report| (report.generation, report.state) == (generation, state)).count()
}

/// Two collectors and so many hosts, which have the first generation; who leads, and its term.
fn settled(store: StoreKind, hosts: usize) -> Option<(Fleet, String, u64)> {
    let mut fleet = Fleet::start(store, 1, &[ORDER])?;
    for name in ["a", "b"] {
        fleet.collector(name, &waves());
    }
    for host in 1..=hosts {
        fleet.follower(&name(host));
    }
    let (leader, term) = fleet.next_leader(0);
    fleet.until("the first generation is everywhere", |fleet| count(fleet, 1, State::Done) == hosts);
    Some((fleet, leader, term))
}

fn name(host: usize) -> String {
    format!("f{host:02}")
}

/// The order in `fleet status --json` of a host.
fn status(fleet: &Fleet, host: &str) -> Value {
    let output = fleet.command(host, &["fleet", "status", "--json"]).output().unwrap();
    let status: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output).1));
    let orders = status["orders"].as_array().unwrap();
    orders.iter().find(|order| order["name"] == ORDER).cloned().unwrap_or_default()
}

on_each_store!(a_generation_spreads_in_waves_whoever_fails_and_whoever_leads);

fn a_generation_spreads_in_waves_whoever_fails_and_whoever_leads(store: StoreKind) {
    let hosts = usize::try_from(number("FLEET_FOLLOWERS", 20)).unwrap();
    println!("FLEET_FOLLOWERS={hosts}");
    let Some((mut fleet, leader, term)) = settled(store, hosts) else { return };

    // The canary's hook fails, and no leader lets anybody else in.
    fleet.write(&format!("{CANARY}/broken"), "");
    fleet.issue(0);
    fleet.until("the canary has failed", |fleet| {
        fleet.report(CANARY, ORDER).is_some_and(|it| (it.generation, it.state) == (2, State::Failed))
    });
    fleet.kill(&leader);
    fleet.begin(&leader);
    let (leader, term) = fleet.next_leader(term);
    fleet.until("the next leader sees it", |fleet| status(fleet, &leader)["state"] == "held");
    let calls = fleet.calls();
    fleet.until("the next leader is at work", |fleet| fleet.calls() > calls + 1);
    assert_eq!(count(&fleet, 1, State::Done), hosts - 1, "{:#}", status(&fleet, &leader));
    let (code, text) = said(&fleet.command(&leader, &["fleet", "skip", ORDER]).output().unwrap());
    assert_eq!(code, 0, "{text}");
    fleet.until("the others have it", |fleet| count(fleet, 2, State::Done) == hosts - 1);

    // A new key, which one host has not got yet.
    std::fs::remove_file(fleet.path(&format!("{CANARY}/broken"))).unwrap();
    let (old, new) = (fleet.key.serialize_pem(), KeyPair::generate().unwrap());
    for host in (1..=hosts).map(name).filter(|host| host != KEYLESS) {
        fleet.write(&format!("{host}/key.pem"), &(new.serialize_pem() + &old));
    }
    fleet.key = new;
    fleet.issue(0);
    fleet.until("a host waits for its key", |fleet| {
        fleet.report(KEYLESS, ORDER).is_some_and(|it| (it.generation, it.state) == (3, State::WaitsForKey))
    });
    fleet.until("the leader sees it", |fleet| {
        let status = status(fleet, &leader);
        status["state"] == "held" && status["hosts"]["done"] == SECOND.len()
    });
    fleet.write(&format!("{KEYLESS}/key.pem"), &(fleet.key.serialize_pem() + &old));
    fleet.until("the last wave has begun", |fleet| {
        count(fleet, 3, State::Done) + count(fleet, 3, State::Working) > 1 + SECOND.len()
    });
    fleet.kill(&leader);
    fleet.begin(&leader);
    let (_, term) = fleet.next_leader(term);
    fleet.until("the last generation is everywhere", |fleet| count(fleet, 3, State::Done) == hosts);

    fleet.assert_calls_kept_apart();
    let reports = reports(&fleet);
    let most = [(1, &[][..]), (2, &[CANARY]), (3, &[])]
        .map(|(generation, skipped)| assert_waves(&reports, generation, skipped));
    for host in (1..=hosts).map(name) {
        assert!(fleet.is_up_to_date(&host, 0), "{host}");
    }
    figure(&format!(
        "{store}: 3 generations over {hosts} hosts in {term} terms: one held by the canary's hook until somebody skipped it, one by a key that \
         was missing, two leaders killed meanwhile; nobody began before the waves before were done, at most {} of {AT_ONCE} at work \
         at once, all on the last one",
        most.into_iter().max().unwrap_or_default(),
    ));
}
