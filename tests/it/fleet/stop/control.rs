//! What leads by a lock of the store's own, and what the suites say of it: they can see what they hold.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};
use rustix::process::{Pid, Signal, kill_process};

use super::super::{Fleet, LOGIN, PASSWORD};
use crate::proof::figure;

/// A process that leads as long as a lock is its own: a key under a lease of etcd's, which it keeps alive.
struct Holder(Child);

impl Holder {
    /// Waits until the lock is its own. Its lease lasts a second without it.
    fn wait(fleet: &Fleet) -> Holder {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &fleet.cluster().endpoint(0)]);
        command.args(["lock", "--ttl", "1", "leader"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut key = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut key).unwrap();
        assert!(key.starts_with("leader/"), "{key}");
        Holder(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// One call as the daemon makes it.
fn call(fleet: &Fleet) -> thread::JoinHandle<()> {
    let root = reqwest::Certificate::from_pem(fleet.vendor().ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).no_proxy().build().unwrap();
    let url = format!("{}/products/download/CollectSSL", fleet.vendor().base_url());
    let form = [("loginName", LOGIN), ("loginPassword", PASSWORD), ("orderNumber", "0")];
    let body: String = form.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body);
        runtime.block_on(request.send()).unwrap();
    })
}

fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_lock_of_the_store_would_have_two_call_at_once() {
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 1, &["www"]) else { return };
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 600 })).unwrap();
    let first = Holder::wait(&fleet);
    call(&fleet).join().unwrap();
    assert_eq!(fleet.judge_calls(), Ok(()));
    // It has looked, the lock is its own, and it stands still before its call.
    first.signal(Signal::STOP);
    let _second = Holder::wait(&fleet);
    let calls = [call(&fleet)];
    fleet.until("the second one calls", |fleet| fleet.calls_in_flight() > 0);
    first.signal(Signal::CONT);
    let calls = calls.into_iter().chain([call(&fleet)]);
    calls.for_each(|call| call.join().unwrap());
    assert_eq!(fleet.judge_calls(), Err("2 calls at once".into()));
    figure(
        "control: leaders by a lock of etcd's, one of them stopped past its lease: 2 calls at once, and the suite saw them",
    );
}
