//! The leader stands still for longer than its lease: at any moment, and when the timer of a call is set.

mod control;
mod timer;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};
use rustix::process::Signal;

use super::{ENDED_BY_TIMER, Fleet};
use crate::proof::{figure, number};
use crate::shared::backend::on_each_store;
use crate::simulation::Dice;

on_each_store!(a_leader_that_stood_still_calls_nobody);

fn a_leader_that_stood_still_calls_nobody(store: StoreKind) {
    let (stops, seed) = (number("FLEET_STOPS", 2), number("FLEET_SEED", 1));
    println!("FLEET_SEED={seed} FLEET_STOPS={stops}");
    let mut dice = Dice(seed);
    let Some(mut fleet) = Fleet::start(store, 1, &["www", "mail"]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 150 })).unwrap();
    for name in ["a", "b"] {
        fleet.collector(name, "");
    }
    let (mut leader, mut term) = fleet.next_leader(0);
    let (mut deposed, mut ended) = (0, 0);
    for round in 0..stops {
        fleet.next_call();
        if round % 2 == 0 {
            fleet.until("a call is in flight", |fleet| fleet.calls_in_flight() > 0);
        } else {
            std::thread::sleep(Duration::from_millis(dice.below(1000)));
        }
        fleet.signal(&leader, Signal::STOP);
        let before = fleet.times_deposed(&leader);
        let (next, number) = fleet.next_leader(term);
        assert_ne!(next, leader, "a process that stands still takes nothing over");
        // It goes on while the other one calls.
        fleet.next_call();
        fleet.until("a call is in flight", |fleet| fleet.calls_in_flight() > 0);
        fleet.signal(&leader, Signal::CONT);
        fleet.until("it leads no more", |fleet| {
            fleet.times_deposed(&leader) > before || fleet.ended(&leader).is_some()
        });
        match fleet.ended(&leader) {
            None => deposed += 1,
            Some(status) => {
                assert_eq!(status.signal(), ENDED_BY_TIMER, "{status}");
                ended += 1;
                fleet.begin(&leader);
            }
        }
        (leader, term) = (next, number);
    }
    for order in 0..2 {
        fleet.issue(order);
    }
    fleet.until("the newest are published", |fleet| (0..2).all(|order| fleet.is_published(order)));
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{store}: {stops} stops of the leader past its lease: {deposed} stood by afterwards, {ended} were ended by their timer; {} calls, 0 at \
         once, 0 early, from seed {seed}",
        fleet.calls()
    ));
}

#[test]
fn a_call_that_stalls_behind_its_timer_ends_the_process() {
    // Not its parent: so it is the daemon that is waited for.
    let stall = "inject=timer_settime:delay_exit=4000000:when=1";
    let tracer = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=timer_settime", "-e", stall];
    let tried = Command::new("strace").args(tracer).arg("true").stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return println!("PROOF-SKIP strace is not installed, or may not trace here");
    }
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 1, &["www"]) else { return };
    let (endpoints, vendor) = (fleet.backend.endpoints(), fleet.vendor().base_url());
    for name in ["a", "b"] {
        fleet.collector_at(name, "", &endpoints, &vendor);
    }
    let plain = fleet.command("a", &["run"]);
    let mut traced = Command::new("strace");
    traced.args(tracer).arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
    traced.env("RUST_LOG", "debug").env_remove("NOTIFY_SOCKET");
    fleet.spawn("a", traced);
    let (_, term) = fleet.next_leader(0);
    fleet.begin("b");
    let mut ended = None;
    fleet.until("the stalled process ends", |fleet| {
        ended = fleet.ended("a");
        ended.is_some()
    });
    assert_eq!(ended.and_then(|status| status.signal()), ENDED_BY_TIMER, "{ended:?}");
    assert_eq!(fleet.calls(), 0, "what stalled has not reached the vendor");
    assert_eq!(fleet.next_leader(term).0, "b");
    fleet.until("the other one goes on", |fleet| fleet.is_published(0));
    fleet.assert_calls_kept_apart();
    figure(
        "a process that stalls behind the timer of its call: ended by signal 14, nothing of the call arrived, the next leader went on",
    );
}
