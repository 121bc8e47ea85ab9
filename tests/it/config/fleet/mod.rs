//! `[fleet]`, and what it makes of accounts, orders and hooks: as it is read.

mod orders;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use certcollectd::config::file::{Source, remains};
use certcollectd_core::api::OrderRef;
use certcollectd_core::config::fleet::{
    ClientCert, Collector, Fleet, Reach, Role, StoreKind, StoreLogin, Wave,
};
use certcollectd_core::config::{Account, Files, SecretSource, Severity};
use insta::assert_snapshot;

use super::{ACCOUNT, config, said};

const STORE: &str = "store = \"etcd\"\nendpoints = [\"https://10.0.0.1:2379\"]\n";

fn fleet(role: &str, more: &str) -> String {
    format!("[fleet]\nrole = \"{role}\"\ngroups = [\"web\", \"mail\"]\n{STORE}{more}")
}

/// A collector with an account and an order, which says this besides.
fn collector(more: &str, order: &str) -> String {
    format!(
        "{}{ACCOUNT}[[order]]\nname = \"www\"\norder_number = \"1\"\ngroup = \"web\"\n{order}",
        fleet("collector", more)
    )
}

fn follower(more: &str, order: &str) -> String {
    format!("{}[[order]]\nname = \"www\"\ngroup = \"web\"\n{order}", fleet("follower", more))
}

fn fleet_of(text: &str) -> Fleet {
    config(text).fleet.expect("a fleet")
}

#[test]
fn a_follower_as_it_is_read() {
    let text = "[defaults]\nkey_file = \"/etc/ssl/private/{name}.key\"\n\
        [[order]]\nname = \"www\"\ngroup = \"web\"\ndomains = [\"www.example.com\"]\n\
        [order.files]\nkey = \"key.pem\"\n\
        [[order]]\nname = \"mail\"\ngroup = \"mail\"\n\
        [fleet]\nrole = \"follower\"\nname = \"web-017\"\ngroups = [\"web\", \"mail\"]\nstore = \"etcd\"\n\
        endpoints = [\"HTTPS://Etcd-1:2379\", \"https://[2001:db8::1]:2379/\"]\n\
        ca_file = \"/etc/certcollectd/ca.pem\"\ncert_file = \"/etc/certcollectd/etcd.pem\"\n\
        key_file = \"/etc/certcollectd/etcd.key\"\nuser = \"web-017\"\npassword = { credential = \"etcd\" }\n\
        prefix = \"/eu/certs\"\n";
    let config = config(text);
    let account = Account::fleet();
    assert_eq!(config.accounts.iter().map(|account| (**account).clone()).collect::<Vec<_>>(), [account]);
    assert_eq!(config.accounts[0].secrets().count(), 0);
    for (order, name) in config.orders.iter().zip(["www", "mail"]) {
        assert_eq!((&*order.name, &*order.account), (name, Fleet::ACCOUNT));
        assert_eq!(order.handle, OrderRef::OrderNumber(name.into()));
        assert_eq!(order.settings.verify.trust, Severity::Block, "{name}");
    }
    let groups = config.orders.iter().map(|order| order.settings.group.as_deref());
    assert_eq!(groups.collect::<Vec<_>>(), [Some("web"), Some("mail")]);
    let fleet = config.fleet.unwrap();
    assert_eq!(
        fleet,
        Fleet {
            name: Some("web-017".into()),
            role: Role::Follower,
            groups: ["web".into(), "mail".into()].into(),
            store: StoreKind::Etcd,
            endpoints: ["https://etcd-1:2379".into(), "https://[2001:db8::1]:2379".into()].into(),
            ca_file: Some("/etc/certcollectd/ca.pem".into()),
            client_cert: Some(ClientCert {
                cert_file: "/etc/certcollectd/etcd.pem".into(),
                key_file: "/etc/certcollectd/etcd.key".into(),
            }),
            login: Some(StoreLogin {
                user: "web-017".into(),
                password: SecretSource::Credential("etcd".into()),
            }),
            prefix: "/eu/certs/".into(),
        }
    );
    assert_eq!(fleet.files().map(|(key, _)| key).collect::<Vec<_>>(), ["ca_file", "cert_file", "key_file"]);
}

#[test]
fn a_collector_as_it_is_read() {
    let defaults = fleet_of(&collector("", ""));
    assert_eq!(defaults.role, Role::Collector(Collector::default()));
    assert_eq!((defaults.name, &*defaults.prefix), (None, Fleet::PREFIX));
    let waves = "lease = \"4m\"\nbeat = \"30s\"\nmargin = \"10s\"\n\
        wave = [{ hosts = [\"web-001\", \"web-002\"], soak = \"2m\" }, { share = 0.1, at_once = 3 }, { share = 1 }]\n";
    let seconds = Duration::from_secs;
    let share = |permille, at_once| Wave { reach: Reach::Share { permille }, soak: Duration::ZERO, at_once };
    let canary = Reach::Hosts(["web-001".into(), "web-002".into()].into());
    assert_eq!(
        fleet_of(&collector(waves, "")).role,
        Role::Collector(Collector {
            lease: seconds(240),
            beat: seconds(30),
            margin: seconds(10),
            waves: [
                Wave { reach: canary, soak: seconds(120), at_once: None },
                share(100, Some(3)),
                share(1000, None)
            ]
            .into(),
        })
    );
    let postgres = collector("", "")
        .replace("etcd", "postgres")
        .replace("https://10.0.0.1:2379", "postgres://DB:5432/Certs");
    assert_eq!(fleet_of(&postgres).endpoints, ["postgres://db:5432/Certs".into()].into());
}

#[test]
fn the_name_of_a_host_is_its_own_unless_it_has_another() {
    let named = Fleet { name: Some("web-1".into()), ..fleet_of(&follower("", "")) };
    assert_eq!(named.host("anything at all").as_deref(), Ok("web-1"));
    let unnamed = Fleet { name: None, ..named };
    assert_eq!(unnamed.host("Web-1.Example.COM").as_deref(), Ok("web-1.example.com"));
    assert!(unnamed.host("web 1").is_err());
    assert!(unnamed.host("").is_err());
}

#[test]
fn an_order_may_leave_its_only_group_unsaid() {
    let only = |role: &str| format!("[fleet]\nrole = \"{role}\"\ngroups = [\"web\"]\n{STORE}");
    for text in [
        format!("{}[[order]]\nname = \"www\"\n", only("follower")),
        format!("{}{ACCOUNT}[[order]]\nname = \"www\"\norder_number = \"1\"\n", only("collector")),
        format!("[defaults]\ngroup = \"web\"\n{}", follower("", "").replace("group = \"web\"\n", "")),
    ] {
        assert_eq!(config(&text).orders[0].settings.group.as_deref(), Some("web"), "{text}");
    }
    // One that names no groups takes all.
    let any = collector("", "").replace("groups = [\"web\", \"mail\"]\n", "");
    assert_eq!(fleet_of(&any).groups, [].into());
}

/// The table may stand below the orders, in another piece of the file, or be damaged.
#[test]
fn the_role_is_known_wherever_it_is_written() {
    let orders: String =
        (0..4000).map(|at| format!("[[order]]\nname = \"order-{at}\"\ngroup = \"web\"\n")).collect();
    let below = config(&format!("{orders}{}", fleet("follower", "")));
    assert_eq!((below.orders.len(), &*below.orders[3999].account), (4000, Fleet::ACCOUNT));
    assert_snapshot!(said(&follower("", "").replace("\"follower\"", "\"follower")), @r#"
    error: text without a closing quote
     --> config.toml:2:17
      |
    2 | role = "follower
      |                 ^ expected `"`

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("\"follower\"", "\"leader\"")), @r#"
    error: `role` has an unknown value
     --> config.toml:2:8
      |
    2 | role = "leader"
      |        ^^^^^^^^
      |
      = help: one of "collector", "follower"

    config.toml: 1 error
    "#);
    assert_snapshot!(said("[[order]]\nname = \"www\"\n[fleet]\n"), @r#"
    error: [fleet] needs `role`
     --> config.toml:3:1
      |
    3 | [fleet]
      | ^^^^^^^ missing here
      |
      = help: what this host does: role = "collector" or role = "follower"

    error: [fleet] needs `store`
     --> config.toml:3:1
      |
    3 | [fleet]
      | ^^^^^^^ missing here
      |
      = help: which one holds what is shared: store = "etcd" or store = "postgres"

    error: [fleet] needs `endpoints`
     --> config.toml:3:1
      |
    3 | [fleet]
      | ^^^^^^^ missing here
      |
      = help: such as endpoints = ["https://10.0.0.1:2379"], one for each member

    config.toml: 3 errors
    "#);
    let rest = |text: String| remains(&[Source { path: PathBuf::from("config.toml"), text }]).unwrap().orders;
    assert_eq!(&*rest(follower("prefix = 1\n", ""))[0].account, Fleet::ACCOUNT);
    let damaged = collector("", "").replace("\"collector\"", "\"collector");
    assert_eq!(
        rest(format!("state_dir = \"/state\"\n{damaged}"))[0].handle,
        OrderRef::OrderNumber("1".into())
    );
}
