//! A host that waits for its window, and is started anew when it need not any more.

use certcollectd::sources::clock;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::report::State;

use super::super::Fleet;
use super::ORDER;
use crate::proof::figure;
use crate::shared::backend::on_each_store;

const HOST: &str = "f";
const DAY: i64 = 24 * 3600;

fn day(unix: i64) -> String {
    jiff::Timestamp::from_second(unix).unwrap().strftime("%Y-%m-%d").to_string()
}

on_each_store!(etcd at once: a_host_that_waited_before_its_start_gets_its_turn);

fn a_host_that_waited_before_its_start_gets_its_turn(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    fleet.follower(HOST);
    let is = |fleet: &Fleet, generation: u64, state: State| {
        fleet
            .report(HOST, ORDER)
            .is_some_and(|report| (report.generation, report.state) == (generation, state))
    };
    fleet.until("the first is installed", |fleet| is(fleet, 1, State::Done));
    let file = format!("{HOST}/certcollectd.toml");
    let (open, now) = (fleet.read(&file), clock::now().unix());
    fleet.kill(HOST);
    fleet.write(&file, &format!("freeze = [\"{}/{}\"]\n{open}", day(now - DAY), day(now + DAY)));
    fleet.begin(HOST);
    fleet.issue(0);
    fleet.until("the host waits for the end of its freeze", |fleet| is(fleet, 2, State::WaitsForWindow));
    fleet.kill(HOST);
    fleet.write(&file, &open);
    fleet.begin(HOST);
    fleet.until("the next is installed", |fleet| is(fleet, 2, State::Done));
    assert!(fleet.is_up_to_date(HOST, 0));
    figure(&format!(
        "{store}: a host waited for its window, and had none when it was started anew: it got its turn"
    ));
}
