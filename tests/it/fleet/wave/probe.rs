//! A canary whose server goes on with the old certificate, although its reload has worked.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::report::State;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::Fleet;
use super::{CANARY, ORDER, assert_waves, count, name, reports, status, waves};
use crate::probe::{Served, tls};
use crate::proof::figure;
use crate::shared::backend::on_each_store;

const HOSTS: usize = 5;

/// The canary's server takes what is installed.
fn reload(fleet: &Fleet, served: &Served) {
    let file = fleet.path(&format!("{CANARY}/out/{ORDER}/fullchain.pem"));
    let chain = CertificateDer::pem_file_iter(file).unwrap().map(Result::unwrap).collect();
    served.serve(&[(chain, &fleet.key)]);
}

on_each_store!(etcd at once: a_canary_that_serves_the_old_one_holds_all_others);

fn a_canary_that_serves_the_old_one_holds_all_others(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    for name in ["a", "b"] {
        fleet.collector(name, &waves());
    }
    let served = Served::default();
    let probe = format!("[[order.probe]]\nconnect = \"{}\"\nwithin = \"1s\"\nevery = \"1s\"\n", tls(&served));
    fleet.follower_with(CANARY, "", &probe);
    for host in 2..=HOSTS {
        fleet.follower(&name(host));
    }
    let (leader, _) = fleet.next_leader(0);
    fleet.until("the canary has the first generation", |fleet| fleet.is_up_to_date(CANARY, 0));
    reload(&fleet, &served);
    fleet.until("the first generation is everywhere", |fleet| count(fleet, 1, State::Done) == HOSTS);

    fleet.issue(0);
    fleet.until("the canary has failed", |fleet| {
        fleet.report(CANARY, ORDER).is_some_and(|it| (it.generation, it.state) == (2, State::Failed))
    });
    assert!(fleet.is_up_to_date(CANARY, 0), "it is installed there");
    fleet.until("the leader sees it", |fleet| status(fleet, &leader)["state"] == "held");
    let (code, line) = fleet.say(&leader, &["fleet", "status", "--nagios"]);
    assert_eq!(code, 2, "{line}");
    for part in ["www is held at generation 2: f01 is failed (", "still serves"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(count(&fleet, 1, State::Done), HOSTS - 1, "{line}");
    reload(&fleet, &served);
    fleet.until("it goes on by itself", |fleet| count(fleet, 2, State::Done) == HOSTS);
    fleet.assert_calls_kept_apart();
    let reports = reports(&fleet);
    for generation in [1, 2] {
        assert_waves(&reports, generation, &[]);
    }
    figure(&format!(
        "a canary whose server went on with the old certificate: 0 of {} others began before its probe had passed",
        HOSTS - 1
    ));
}
