//! A way that is cut under a call: what was written has arrived, and its answer cannot be used.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{Fault, FaultSpec};

use super::super::Fleet;
use super::{Way, Ways, collectors};
use crate::proof::{figure, number};
use crate::shared::backend::on_each_store;

/// What is cut while the vendor answers.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The answer comes, and nothing of it can be recorded.
    Store,
    /// It does not come, and that is recorded.
    Vendor,
    Both,
}

impl Cut {
    const ALL: [Cut; 3] = [Cut::Store, Cut::Vendor, Cut::Both];

    fn each(self, ways: &Ways, mut cut: impl FnMut(&Way)) {
        match self {
            Cut::Store => cut(&ways.store),
            Cut::Vendor => cut(&ways.vendor),
            Cut::Both => {
                cut(&ways.store);
                cut(&ways.vendor);
            }
        }
    }

    fn ends_the_term(self) -> bool {
        match self {
            Cut::Store | Cut::Both => true,
            Cut::Vendor => false,
        }
    }
}

on_each_store!(etcd at once: a_call_that_is_cut_off_is_made_once_and_its_certificate_published);

fn a_call_that_is_cut_off_is_made_once_and_its_certificate_published(store: StoreKind) {
    let rounds = number("FLEET_CUTS", 1);
    println!("FLEET_CUTS={rounds}");
    let Some(mut fleet) = Fleet::start(store, 1, &["www"]) else { return };
    // Less than the daemons wait.
    fleet.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 600 })).unwrap();
    let ways = collectors(&mut fleet);
    fleet.follower("f");
    for cut in (0..rounds).flat_map(|_| Cut::ALL) {
        let (leader, term) = fleet.next_leader(0);
        fleet.until("the newest is installed", |fleet| fleet.is_up_to_date("f", 0));
        fleet.until("no call is in flight", |fleet| fleet.calls_in_flight() == 0);
        fleet.issue(0);
        fleet.until("a call is in flight", |fleet| fleet.calls_in_flight() > 0);
        let before = fleet.times_deposed(&leader);
        cut.each(&ways[&*leader], Way::cut);
        if cut.ends_the_term() {
            assert_ne!(fleet.next_leader(term).0, leader, "{cut:?}");
            fleet.until("what the answer brought is published", |fleet| fleet.is_published(0));
            fleet.until("it leads no more", |fleet| fleet.times_deposed(&leader) > before);
            cut.each(&ways[&*leader], Way::mend);
        } else {
            let name = leader.clone();
            fleet.until("the answer is missed", |fleet| {
                let order = &fleet.status(&name)["orders"][0];
                order.to_string().contains("no complete answer")
            });
            cut.each(&ways[&*leader], Way::mend);
            fleet.until("what the answer brought is published", |fleet| fleet.is_published(0));
            assert_eq!(fleet.leader(), Some((leader, term)), "who leads has nothing to do with the vendor");
        }
        fleet.until("it is installed", |fleet| fleet.is_up_to_date("f", 0));
    }
    fleet.assert_calls_kept_apart();
    figure(&format!(
        "{rounds} times each the store, the vendor, and both cut off under a call: {} calls in {} terms, 0 at once, 0 early, what \
         the lost answers brought published and installed",
        fleet.calls(),
        fleet.next_leader(0).1,
    ));
}
