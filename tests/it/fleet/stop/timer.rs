//! A process that stands still right before it writes a call, which it cannot see; and the same without its timer.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::super::Fleet;
use super::ENDED_BY_TIMER;
use crate::proof::{compile, figure};

/// Two collectors, of which the first stands still in its first call until the second one has led for a call; the file that
/// holds it.
fn stalled(more: &[(&str, &str)], shim: &Path) -> Option<Fleet> {
    let mut fleet = Fleet::start(StoreKind::Etcd, 1, &["www"])?;
    // Less than the daemons wait.
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 900 })).unwrap();
    let (endpoints, vendor) = (fleet.backend.endpoints(), fleet.vendor().base_url());
    for name in ["a", "b"] {
        fleet.collector_at(name, "", &endpoints, &vendor);
    }
    fleet.write("stall", "");
    let mut command = fleet.command("a", &["run"]);
    command.env("LD_PRELOAD", shim).env("STALL", fleet.path("stall")).envs(more.iter().copied());
    fleet.spawn("a", command);
    let (_, term) = fleet.next_leader(0);
    fleet.until("its call has begun", |fleet| begun(fleet, "a") == 1);
    fleet.begin("b");
    let (leader, _) = fleet.next_leader(term);
    assert_eq!(leader, "b");
    Some(fleet)
}

/// Calls that a host has begun, by its log.
fn begun(fleet: &Fleet, host: &str) -> usize {
    fleet.read(&format!("{host}/log")).matches(": calling CollectSSL").count()
}

#[test]
fn what_stalls_before_its_write_is_ended_and_without_a_timer_calls_beside_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let shim = match compile("stall", &["-shared", "-fPIC", "-ldl"], dir.path()) {
        Ok(shim) => shim,
        Err(why) => return println!("PROOF-SKIP {why}"),
    };
    let Some(mut fleet) = stalled(&[], &shim) else { return };
    fleet.until("the stalled process ends", |fleet| fleet.ended("a").is_some());
    assert_eq!(fleet.ended("a").and_then(|status| status.signal()), ENDED_BY_TIMER);
    fleet.until("the other one goes on", |fleet| fleet.is_published(0));
    let arrived = usize::try_from(fleet.calls()).unwrap();
    assert!(arrived <= begun(&fleet, "b"), "what stalled has not reached the vendor");
    fleet.assert_calls_kept_apart();

    let mut fleet = stalled(&[("NO_TIMER", "1")], &shim).expect("it started before");
    fleet.until("the next leader calls", |fleet| fleet.calls_in_flight() > 0);
    assert!(fleet.ended("a").is_none());
    std::fs::remove_file(fleet.path("stall")).unwrap();
    fleet.until("both have called", |fleet| fleet.calls() > 1);
    assert_eq!(fleet.judge_calls(), Err("2 calls at once".into()));
    figure(
        "a process that stands still before the write of its call: ended by signal 14. Control: without the timer, 2 calls at \
         once, and the suite saw them",
    );
}
