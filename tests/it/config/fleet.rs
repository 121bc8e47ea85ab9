//! `[fleet]`, and what it makes of accounts, orders and hooks.

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

#[test]
fn a_follower_holds_nothing_of_the_vendors() {
    let polling = "[polling]\ninterval = \"6h\"\n[push]\nlisten = \"127.0.0.1:0\"\n[reissues]\nper_day = 5\n";
    assert_snapshot!(said(&format!("{polling}{ACCOUNT}{}", follower("", ""))), @r#"
    error: [polling] on a follower
     --> config.toml:1:2
      |
    1 | [polling]
      |  ^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: [push] on a follower
     --> config.toml:3:2
      |
    3 | [push]
      |  ^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: [reissues] on a follower
     --> config.toml:5:2
      |
    5 | [reissues]
      |  ^^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: an [[account]] on a follower
     --> config.toml:9:8
      |
    9 | name = "main"
      |        ^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 4 errors
    "#);
    let order = "order_number = \"1\"\naccount = \"main\"\ninterval = \"6h\"\nresponse = \"zip\"\n\
        params = { behaviourVersion = \"1\" }\n[order.reissue]\nwhen = \"manual\"\n";
    assert_snapshot!(said(&follower("", order)), @r#"
    error: `order_number` on a follower
     --> config.toml:9:1
      |
    9 | order_number = "1"
      | ^^^^^^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `account` on a follower
      --> config.toml:10:1
       |
    10 | account = "main"
       | ^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `interval` on a follower
      --> config.toml:11:1
       |
    11 | interval = "6h"
       | ^^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `response` on a follower
      --> config.toml:12:1
       |
    12 | response = "zip"
       | ^^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `params` on a follower
      --> config.toml:13:1
       |
    13 | params = { behaviourVersion = "1" }
       | ^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `reissue` on a follower
      --> config.toml:14:8
       |
    14 | [order.reissue]
       |        ^^^^^^^
       |
       = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 6 errors
    "#);
    assert_snapshot!(said(&format!("[defaults]\naccount = \"main\"\nspread = 0.2\n{}", follower("", ""))), @r#"
    error: `account` on a follower
     --> config.toml:2:1
      |
    2 | account = "main"
      | ^^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    error: `spread` on a follower
     --> config.toml:3:1
      |
    3 | spread = 0.2
      | ^^^^^^
      |
      = help: a follower holds no credential of the vendor and never calls it; this belongs to the collectors

    config.toml: 2 errors
    "#);
    let lease = "lease = \"3m\"\nbeat = \"20s\"\nmargin = \"5s\"\nwave = [{ share = 1.0 }]\n";
    assert_snapshot!(said(&follower(lease, "")), @r#"
    error: `lease` on a follower
     --> config.toml:6:1
      |
    6 | lease = "3m"
      | ^^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `beat` on a follower
     --> config.toml:7:1
      |
    7 | beat = "20s"
      | ^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `margin` on a follower
     --> config.toml:8:1
      |
    8 | margin = "5s"
      | ^^^^^^
      |
      = help: it is the collectors' to say; remove it

    error: `wave` on a follower
     --> config.toml:9:1
      |
    9 | wave = [{ share = 1.0 }]
      | ^^^^
      |
      = help: it is the collectors' to say; remove it

    config.toml: 4 errors
    "#);
    assert_snapshot!(said(&fleet("follower", "")), @r"
    warning: there is no [[order]], so there is nothing to do
    --> config.toml
     = help: add one with name and group

    config.toml: 1 warning
    ");
}

#[test]
fn a_follower_trusts_what_public_roots_say() {
    assert_snapshot!(said(&follower("", "[order.verify]\ntrust = \"warn\"\n")), @r#"
    warning: a follower whose `trust` is not "block"
      --> config.toml:10:9
       |
    10 | trust = "warn"
       |         ^^^^^^
       |
       = help: whoever may write to the store can make it install a certificate of their own CA; for a private root, name that in trust_anchors

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&follower("", "product = \"mark\"\n")), @r"
    error: the order `www` needs `trust_anchors`
     --> config.toml:6:1
      |
    6 | [[order]]
      | ^^^^^^^^^
      |
      = help: the roots of mark certificates are in no system's store; name theirs in [order.verify]

    config.toml: 1 error
    ");
    let anchors = "product = \"mark\"\n[order.verify]\ntrust_anchors = \"/etc/ssl/mark.pem\"\n";
    assert_eq!(said(&follower("", anchors)), "");
    assert_eq!(config(&collector("", "")).orders[0].settings.verify.trust, Severity::Warn);
}

#[test]
fn a_collector_installs_nothing() {
    let order = "hooks = [\"nginx\", \"mail\"]\nwindows = [\"night\"]\nwindow_margin = \"3d\"\n\
        [order.files]\ncert = \"c.pem\"\n[[order.copy]]\nfrom = \"cert\"\nto = \"/etc/c.pem\"\n\
        [[order.probe]]\nconnect = \"127.0.0.1:443\"\n\
        [[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n\
        [[hook]]\nname = \"mail\"\non = [\"failed\", \"installed\"]\nrun = [\"true\"]\n";
    let text = collector("", order);
    assert_snapshot!(said(&text.replace("windows = [\"night\"]\n", "windows = []\n")), @r#"
    warning: `windows` on a collector has no effect
      --> config.toml:16:1
       |
    16 | windows = []
       | ^^^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `window_margin` on a collector has no effect
      --> config.toml:17:1
       |
    17 | window_margin = "3d"
       | ^^^^^^^^^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `files` on a collector has no effect
      --> config.toml:18:8
       |
    18 | [order.files]
       |        ^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `copy` on a collector has no effect
      --> config.toml:20:9
       |
    20 | [[order.copy]]
       |         ^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: `probe` on a collector has no effect
      --> config.toml:23:9
       |
    23 | [[order.probe]]
       |         ^^^^^
       |
       = help: a collector installs nothing; this belongs to the [[order]] of the followers

    warning: the hook `nginx` never runs on a collector
      --> config.toml:26:8
       |
    26 | name = "nginx"
       |        ^^^^^^^
       |
       = help: a collector installs nothing; it may be on failed, expiring, revoked or recovered

    config.toml: 6 warnings
    "#);
    let order = &config(&text.replace("windows = [\"night\"]\n", "windows = []\n")).orders[0];
    assert_eq!(order.settings.files, Files::default());
    assert_eq!((order.settings.probes.len(), order.copies.len(), order.settings.windows.len()), (0, 0, 0));
    let request = "csr_file = \"/etc/ssl/www.csr\"\n[order.reissue]\ncsr = \"file\"\ndcv = \"cname\"\n";
    assert_eq!(said(&collector("", request)), "");
}

#[test]
fn groups() {
    assert_snapshot!(said(&follower("", "").replace("group = \"web\"", "group = \"wbe\"")), @r#"
    error: there is no group with the name "wbe"
     --> config.toml:8:9
      |
    8 | group = "wbe"
      |         ^^^^^ did you mean "web"?
      |
      = help: `groups` of [fleet] are web, mail

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("group = \"web\"\n", "")), @r#"
    error: the order `www` does not say which group
     --> config.toml:6:1
      |
    6 | [[order]]
      | ^^^^^^^^^
      |
      = help: add the group of hosts that install it: group = "web"

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&collector("", "").replace("group = \"web\"\n", "")), @r#"
    error: the order `www` does not say which group
      --> config.toml:11:1
       |
    11 | [[order]]
       | ^^^^^^^^^
       |
       = help: add the group of hosts that install it: group = "web"

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("groups = [\"web\", \"mail\"]\n", "")), @r#"
    error: [fleet] needs `groups`
     --> config.toml:1:1
      |
    1 | [fleet]
      | ^^^^^^^ missing here
      |
      = help: names of groups of hosts, such as groups = ["web-eu"]

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&follower("", "").replace("[\"web\", \"mail\"]", "[\"Web\", \"a/b\"]")), @r#"
    error: an entry of `groups` has capital letters
     --> config.toml:3:11
      |
    3 | groups = ["Web", "a/b"]
      |           ^^^^^
      |
      = help: write "web"

    error: an entry of `groups` has the character '/'
     --> config.toml:3:18
      |
    3 | groups = ["Web", "a/b"]
      |                  ^^^^^
      |
      = help: names are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot

    config.toml: 2 errors
    "#);
    assert_snapshot!(said(&follower("", "").replace("[\"web\", \"mail\"]", "[]")), @r#"
    error: `groups` is an empty list
     --> config.toml:3:10
      |
    3 | groups = []
      |          ^^
      |
      = help: names of groups of hosts, such as groups = ["web-eu"]

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&format!("{ACCOUNT}[[order]]\nname = \"www\"\norder_number = \"1\"\ngroup = \"web\"\n")), @r#"
    error: `group` without `[fleet]`
     --> config.toml:9:1
      |
    9 | group = "web"
      | ^^^^^
      |
      = help: a group is of hosts that share certificates; add [fleet], or remove it

    config.toml: 1 error
    "#);
}

#[test]
fn the_store() {
    let of = |store: &str, endpoints: &str| {
        said(&follower("", "").replace(STORE, &format!("store = \"{store}\"\nendpoints = [{endpoints}]\n")))
    };
    let etcd = "\"10.0.0.1:2379\", \"https://10.0.0.1\", \"https://user:hunter2@10.0.0.1:2379\", \
        \"https://10.0.0.1:2379/v3\", \"postgres://10.0.0.1:5432/certs\"";
    assert_snapshot!(of("etcd", etcd), @r#"
    error: an entry of `endpoints` is not a URL
     --> config.toml:5:14
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |              ^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` has no port
     --> config.toml:5:31
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                               ^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` contains a user name or password
     --> config.toml:5:51
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                   ^^^^^^
      |
      = help: remove the part before the @; use user and password of [fleet] instead

    error: an entry of `endpoints` has more than a host and a port
     --> config.toml:5:59
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                           ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    error: an entry of `endpoints` has a scheme that is not the store's
     --> config.toml:5:87
      |
    5 | endpoints = ["10.0.0.1:2379", "https://10.0.0.1", ******, "https://10.0.0.1:2379/v3", "postgres://10.0.0.1:5432/certs"]
      |                                                                                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "https://10.0.0.1:2379"

    config.toml: 5 errors
    "#);
    let postgres = "\"postgres://db:5432\", \"postgres://user:hunter2@db:5432/certs\", \"postgres://db/certs\", \
        \"postgres://db:5432/certs?sslmode=off\", \"https://db:5432/certs\"";
    assert_snapshot!(of("postgres", postgres), @r#"
    error: an entry of `endpoints` names no database
     --> config.toml:5:14
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |              ^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` contains a user name or password
     --> config.toml:5:36
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                    ^^^^^^
      |
      = help: remove the part before the @; use user and password of [fleet] instead

    error: an entry of `endpoints` has no port
     --> config.toml:5:44
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                            ^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` has more than the name of a database
     --> config.toml:5:67
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    error: an entry of `endpoints` has a scheme that is not the store's
     --> config.toml:5:107
      |
    5 | endpoints = ["postgres://db:5432", ******, "postgres://db/certs", "postgres://db:5432/certs?sslmode=off", "https://db:5432/certs"]
      |                                                                                                           ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it like "postgres://10.0.0.1:5432/certcollectd"

    config.toml: 5 errors
    "#);
    assert_snapshot!(of("consul", "\"https://10.0.0.1:2379\""), @r#"
    error: `store` has an unknown value
     --> config.toml:4:9
      |
    4 | store = "consul"
      |         ^^^^^^^^
      |
      = help: one of "etcd", "postgres"

    config.toml: 1 error
    "#);
    assert_snapshot!(of("etcd", ""), @r#"
    error: `endpoints` is an empty list
     --> config.toml:5:13
      |
    5 | endpoints = []
      |             ^^
      |
      = help: such as endpoints = ["https://10.0.0.1:2379"], one for each member

    config.toml: 1 error
    "#);
    // In the clear only where nobody is on the way.
    assert_snapshot!(of("etcd", "\"http://10.0.0.1:2379\", \"http://localhost:2379\", \"http://[::1]:2379\""), @r#"
    warning: the store is reached without TLS
     --> config.toml:5:14
      |
    5 | endpoints = ["http://10.0.0.1:2379", "http://localhost:2379", "http://[::1]:2379"]
      |              ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: its password crosses the network in the clear, and anybody on the way can change what it says; use https://

    config.toml: 1 warning
    "#);
    assert_snapshot!(said(&follower("cert_file = \"/etc/x.pem\"\nuser = \"web-1\"\nname = \"Web-1\"\n", "")), @r#"
    error: `cert_file` without `key_file`
     --> config.toml:6:1
      |
    6 | cert_file = "/etc/x.pem"
      | ^^^^^^^^^
      |
      = help: a client certificate needs both; omit both if the store asks for none

    error: `user` without `password`
     --> config.toml:7:1
      |
    7 | user = "web-1"
      | ^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `name` has capital letters
     --> config.toml:8:8
      |
    8 | name = "Web-1"
      |        ^^^^^^^
      |
      = help: write "web-1"

    config.toml: 3 errors
    "#);
    assert_snapshot!(said(&follower("key_file = \"/etc/x.key\"\npassword = \"hunter2\"\nprefix = \"a b/\"\n", "")), @r#"
    error: `key_file` without `cert_file`
     --> config.toml:6:1
      |
    6 | key_file = "/etc/x.key"
      | ^^^^^^^^
      |
      = help: a client certificate needs both; omit both if the store asks for none

    error: `password` without `user`
     --> config.toml:7:1
      |
    7 | password = ******
      | ^^^^^^^^
      |
      = help: a login needs both; omit both to disable it

    error: `password` must say where the password is kept
     --> config.toml:7:12
      |
    7 | password = ******
      |            ^^^^^^ a password does not belong in this file
      |
      = help: write password = { file = "/run/secrets/sectigo" }, or { credential = "sectigo" } for a systemd credential, or { env = "NAME" } for an environment variable

    error: `prefix` has a character that keys must not have
     --> config.toml:8:10
      |
    8 | prefix = "a b/"
      |          ^^^^^^
      |
      = help: 1 to 100 letters, digits and . _ - /, such as "certcollectd/main/"

    config.toml: 4 errors
    "#);
    let copy = "key_file = \"/etc/www.key\"\n[[order.copy]]\nfrom = \"cert\"\nto = \"/etc/etcd-ca.pem\"\n\
        [[order.copy]]\nfrom = \"chain\"\nto = \"/etc/etcd-password\"\n";
    let files =
        "ca_file = \"/etc/etcd-ca.pem\"\nuser = \"web-1\"\npassword = { file = \"/etc/etcd-password\" }\n";
    assert_snapshot!(said(&follower(files, copy)), @r#"
    error: a copy over the ca_file of [fleet]
      --> config.toml:15:6
       |
    15 | to = "/etc/etcd-ca.pem"
       |      ^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    error: a copy over the password of [fleet]
      --> config.toml:18:6
       |
    18 | to = "/etc/etcd-password"
       |      ^^^^^^^^^^^^^^^^^^^^
       |
       = help: choose another path for the copy; an existing file there is replaced

    config.toml: 2 errors
    "#);
}

#[test]
fn a_lease_covers_its_calls() {
    let local =
        |text: String| text.replace("login_name", "base_url = \"https://127.0.0.1:8443\"\nlogin_name");
    assert_eq!(said(&collector("lease = \"170s\"\n", "")), "");
    assert_snapshot!(said(&collector("lease = \"169s\"\n", "")), @r#"
    error: `lease` is too short for the calls that it covers
     --> config.toml:6:9
      |
    6 | lease = "169s"
      |         ^^^^^^ 2m49s
      |
      = help: at least 2m50s, which is twice request_timeout (1m), settle (20s) and margin (5s): calls go on for half of it while the store does not answer

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&format!("[polling]\nrequest_timeout = \"2m\"\n{}", collector("", ""))), @r"
    error: `lease` is too short for the calls that it covers
     --> config.toml:3:1
      |
    3 | [fleet]
      | ^^^^^^^ 3m
      |
      = help: at least 4m50s, which is twice request_timeout (2m), settle (20s) and margin (5s): calls go on for half of it while the store does not answer

    config.toml: 1 error
    ");
    assert_eq!(said(&local(collector("lease = \"115s\"\n", ""))), "");
    assert_snapshot!(said(&local(collector("lease = \"105s\"\nbeat = \"21s\"\n", ""))), @r#"
    error: `lease` is too short for the calls that it covers
     --> config.toml:6:9
      |
    6 | lease = "105s"
      |         ^^^^^^ 1m45s
      |
      = help: at least 1m46s, which is beat (21s), request_timeout (1m), settle (20s) and margin (5s): or no call may ever begin

    config.toml: 1 error
    "#);
    assert_snapshot!(said(&collector("beat = \"46s\"\nmargin = \"5\"\n", "")), @r#"
    error: `beat` is longer than a quarter of `lease`
     --> config.toml:6:8
      |
    6 | beat = "46s"
      |        ^^^^^ 46s
      |
      = help: at most 45s: a beat that is lost must not end the lease

    error: `margin` has no unit
     --> config.toml:7:10
      |
    7 | margin = "5"
      |          ^^^
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 2 errors
    "#);
}

#[test]
fn waves() {
    let of = |waves: &str| said(&collector(&format!("wave = [\n{waves}\n]\n"), ""));
    assert_snapshot!(of("{ share = 0.5 },\n{ hosts = [\"a\"] },\n{ share = 0.1 },\n{ share = 1 }"), @r#"
    error: a wave is smaller than the one before it
     --> config.toml:9:11
      |
    7 | { share = 0.5 },
      |           --- this is more
    8 | { hosts = ["a"] },
    9 | { share = 0.1 },
      |           ^^^
      |
      = help: a share counts the hosts of the waves before, too

    config.toml: 1 error
    "#);
    assert_snapshot!(of("{ share = 0.5 },\n{ share = 0.5, hosts = [\"a\"] },\n{ soak = \"1m\" }"), @r#"
    error: both `share` and `hosts` in [[fleet.wave]]
     --> config.toml:8:16
      |
    8 | { share = 0.5, hosts = ["a"] },
      |   -----        ^^^^^ only one of them is allowed
      |   |
      |   the other one

    error: [[fleet.wave]] needs one of `hosts`, `share`
     --> config.toml:9:1
      |
    9 | { soak = "1m" }
      | ^^^^^^^^^^^^^^^
      |
      = help: hosts = ["web-001"] for some by name, or share = 0.1 for a tenth of all

    config.toml: 2 errors
    "#);
    assert_snapshot!(of("{ share = 0 },\n{ share = 1.1 },\n{ share = \"1\" },\n{ hosts = [] },\n{ hosts = [\"A\"] }"), @r#"
    error: `share` is out of range
     --> config.toml:7:11
      |
    7 | { share = 0 },
      |           ^
      |
      = help: a number from 0.001 to 1: 0.1 is a tenth of the hosts, 1.0 all of them

    error: `share` is out of range
     --> config.toml:8:11
      |
    8 | { share = 1.1 },
      |           ^^^
      |
      = help: a number from 0.001 to 1: 0.1 is a tenth of the hosts, 1.0 all of them

    error: `share` must be a number
     --> config.toml:9:11
      |
    9 | { share = "1" },
      |           ^^^ this is text
      |
      = help: write it without quotes, such as share = 0.1

    error: `hosts` is an empty list
      --> config.toml:10:11
       |
    10 | { hosts = [] },
       |           ^^
       |
       = help: hosts = ["web-001"] for some by name, or share = 0.1 for a tenth of all

    error: an entry of `hosts` has capital letters
      --> config.toml:11:12
       |
    11 | { hosts = ["A"] }
       |            ^^^
       |
       = help: write "a"

    config.toml: 5 errors
    "#);
    assert_snapshot!(of("{ share = 1.0, at_once = 0, soak = 5 }"), @r#"
    error: `at_once` is out of range
     --> config.toml:7:26
      |
    7 | { share = 1.0, at_once = 0, soak = 5 }
      |                          ^
      |
      = help: a whole number from 1 to 100000, without quotes

    error: `soak` must be text
     --> config.toml:7:36
      |
    7 | { share = 1.0, at_once = 0, soak = 5 }
      |                                    ^ this is an integer
      |
      = help: a duration is text with a unit, such as "3h", "1d12h" or "250ms"

    config.toml: 2 errors
    "#);
    assert_snapshot!(of("{ share = 0.5 }"), @r"
    error: the last wave does not reach all hosts
     --> config.toml:6:8
      |
    6 | wave = [
      |        ^
      |
      = help: some would never get a certificate; end with { share = 1.0 }

    config.toml: 1 error
    ");
    assert_snapshot!(of(""), @r"
    error: `wave` is an empty list
     --> config.toml:6:8
      |
    6 | wave = [
      |        ^
      |
      = help: omit it, and all hosts are one wave

    config.toml: 1 error
    ");
}

/// The lease is made for the calls that it was configured with.
#[test]
fn calls_of_a_collector_do_not_grow_under_its_lease() {
    let timed = |seconds: u32| {
        let polling = format!("[polling]\nrequest_timeout = \"{seconds}s\"\n");
        config(&format!("{polling}{}", collector("", "")))
    };
    assert!(timed(30).gives_way_to(&timed(20)));
    assert!(!timed(20).gives_way_to(&timed(30)));
    let alone = |seconds: u32| config(&format!("[polling]\nrequest_timeout = \"{seconds}s\"\n{ACCOUNT}"));
    assert!(alone(20).gives_way_to(&alone(30)));
}
