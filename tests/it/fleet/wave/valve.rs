//! A certificate that is about to end, while nobody lets the next one in.

use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::CertificateSpec;

use super::super::{Fleet, newer};
use super::ORDER;
use crate::proof::figure;

const HOST: &str = "f";
/// So long before the end of its own certificate a host waits for nobody.
const URGENT: i64 = 48 * 3600;

#[test]
#[ignore = "tests/proof runs it: it waits for a host's next listing"]
fn what_becomes_urgent_is_let_in_although_nothing_changes() {
    let Some(mut fleet) = Fleet::start(StoreKind::Etcd, 1, &[ORDER]) else { return };
    let urgent = clock::now().unix() + 40;
    fleet.issue_as(0, CertificateSpec { not_after: Some(urgent + URGENT), ..newer(0) });
    fleet.collector("a", "");
    fleet.follower(HOST);
    fleet.next_leader(0);
    fleet.until("it is installed", |fleet| fleet.is_up_to_date(HOST, 0));
    let (code, text) = fleet.say("a", &["fleet", "hold", ORDER]);
    assert_eq!(code, 0, "{text}");
    fleet.issue(0);
    fleet.until("the next one is published", |fleet| fleet.is_published(0));
    assert!(clock::now().unix() < urgent - 2, "this machine is too slow for the test");
    loop {
        let is_let_in = fleet.is_up_to_date(HOST, 0);
        if clock::now().unix() >= urgent {
            break;
        }
        assert!(!is_let_in, "nobody has let it in");
        std::thread::sleep(Duration::from_millis(100));
    }
    let half = urgent + 30;
    fleet.until("a listing is near", |fleet| clock::now().unix() > half || fleet.is_up_to_date(HOST, 0));
    fleet.until("it is let in", |fleet| fleet.is_up_to_date(HOST, 0));
    fleet.assert_calls_kept_apart();
    figure(
        "held by a person, and 48 hours before the end of what was installed: let in by the host itself, though no row changed",
    );
}
