//! Hosts that have one name: a configuration that was copied with it.

use certcollectd_core::config::fleet::StoreKind;

use super::super::Fleet;
use super::{HOST, ORDER, is_settled};
use crate::proof::figure;
use crate::shared::backend::on_each_store;

/// A host's daemon starts anew, and calls itself something else.
fn rename(fleet: &mut Fleet, host: &str, from: &str, to: &str) {
    let path = format!("{host}/certcollectd.toml");
    let of = |name: &str| format!("name = \"{name}\"\ngroups");
    let text = fleet.read(&path);
    assert!(text.contains(&of(from)), "{text}");
    fleet.kill(host);
    fleet.write(&path, &text.replace(&of(from), &of(to)));
    fleet.begin(host);
}

fn says(fleet: &Fleet, host: &str, what: &str) -> bool {
    fleet.say(host, &["status", "--nagios"]).1.contains(what)
}

on_each_store!(etcd at once: hosts_with_one_name_say_so_until_one_has_another);

fn hosts_with_one_name_say_so_until_one_has_another(store: StoreKind) {
    let Some(mut fleet) = Fleet::start(store, 1, &[ORDER]) else { return };
    fleet.collector("a", "");
    fleet.follower(HOST);
    let (_, term) = fleet.next_leader(0);
    fleet.until("the first is installed", |fleet| is_settled(fleet));

    fleet.collector("b", "");
    rename(&mut fleet, "b", "b", "a");
    let what = "another collector is called a as well";
    fleet.until("the one that stands by says so", |fleet| says(fleet, "b", what));
    assert!(!says(&fleet, "a", what));
    rename(&mut fleet, "b", "a", "b");
    fleet.until("it stands by", |fleet| fleet.status("b")["fleet"]["leader"] == "a");
    assert!(!says(&fleet, "b", what));
    assert_eq!(fleet.leader(), Some(("a".into(), term)));

    fleet.follower("g");
    rename(&mut fleet, "g", "g", HOST);
    let what = "another host of the fleet is called f as well";
    let listed = |fleet: &Fleet, host: &str| {
        // Has it list all rows anew, as it does each minute.
        assert_eq!(fleet.say(host, &["fleet", "accept-restore"]).0, 0);
        says(fleet, host, what)
    };
    fleet.until("both say so", |fleet| [HOST, "g"].iter().filter(|host| listed(fleet, host)).count() == 2);
    rename(&mut fleet, "g", HOST, "g");
    fleet.until("it is over", |fleet| !listed(fleet, HOST) && !listed(fleet, "g"));
    fleet.issue(0);
    fleet.until("both have the newest", |fleet| fleet.is_up_to_date(HOST, 0) && fleet.is_up_to_date("g", 0));
    fleet.assert_calls_kept_apart();
    figure("two collectors, and two hosts, of one name: each says so, until one of them has another");
}
