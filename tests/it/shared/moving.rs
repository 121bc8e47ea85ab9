//! A host's own state becomes a fleet's, and back: what was learned by calls is not forgotten on the way.

use certcollectd_core::config::fleet::StoreKind;
use certcollectd_sandbox::{AccountSpec, OrderSpec, Product};
use serde_json::Value;

use super::backend::{Backend, on_each_store};
use super::member::block_on;
use crate::setting::{LOGIN, Setting};

const QUICK: &str = "interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"\nsettle = \"1s\"\nrequest_timeout = \"1s\"";
const KEYS: &str = "domains = [\"www.example.com\"]\nkey_file = \"$DIR/key.pem\"";
const ORDER: &str = "[[order]]\nname = \"www\"\norder_number = \"100\"\ndomains = [\"www.example.com\"]";

fn alone() -> Setting {
    let mut setting = Setting::new();
    setting.polling(QUICK).order("www", OrderSpec::new(Product::Ssl, "100", &["www.example.com"]), KEYS);
    setting
}

/// The same host with `[fleet]`, or without it again.
fn configure(setting: &mut Setting, fleet: Option<(&Backend, &str)>) {
    setting.clear_tables();
    match fleet {
        Some((backend, name)) => setting.table(&format!(
            "[fleet]\nrole = \"collector\"\nname = \"{name}\"\ngroups = [\"web\"]\n{}\
             lease = \"7s\"\nbeat = \"500ms\"\nmargin = \"500ms\"\n{ORDER}\ngroup = \"web\"",
            backend.keys()
        )),
        None => setting.table(&format!("{ORDER}\nkey_file = \"$DIR/key.pem\"")),
    };
    setting.write_configuration();
}

fn leader(setting: &Setting) -> Value {
    let output = setting.command(&["fleet", "status", "--json"]).output().unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["leader"].clone()
}

on_each_store!(a_host_becomes_a_fleet_and_is_on_its_own_again, a_closed_account_stays_closed_on_the_way);

fn a_host_becomes_a_fleet_and_is_on_its_own_again(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let mut host = alone();
    host.start().until_phase("www", "guarding");
    host.until("it was asked about", |host| host.calls("100") > 1);
    configure(&mut host, Some((&backend, "col-1")));
    let (code, text) = host.call(&["fleet", "import"]);
    assert!(code == 2 && text.contains("already running"), "a daemon is running: {text}");
    assert_eq!(host.stop(), Some(0));
    let polls = host.order_status("www")["polls"].as_u64().unwrap();

    let (code, text) = host.call(&["fleet", "import"]);
    assert!(code == 0 && text.contains("1 order and 1 account are in the store"), "{text}");
    let (code, text) = host.call(&["fleet", "import"]);
    assert!(code == 1 && text.contains("belongs to a fleet already"), "{text}");
    let mut second = alone();
    configure(&mut second, Some((&backend, "col-2")));
    let (code, text) = second.call(&["fleet", "import"]);
    assert!(code == 1 && text.contains("holds a fleet already"), "{text}");

    configure(&mut host, None);
    let calls = host.all_calls();
    for command in [&["run"][..], &["once"], &["poll", "www"]] {
        let (code, text) = host.call(command);
        assert!(code == 2 && text.contains("belongs to a fleet"), "{command:?}: {text}");
    }
    assert_eq!(host.all_calls(), calls);

    configure(&mut host, Some((&backend, "col-1")));
    host.start_again().until("it leads", |host| leader(host) == "col-1");
    host.until("it goes on polling", |host| host.order_status("www")["polls"].as_u64() > Some(polls));
    let (code, text) = second.call(&["fleet", "export"]);
    assert!(code == 1 && text.contains("col-1 leads the fleet"), "{text}");
    let shared = backend.connect();
    host.until("it is published", |_| !block_on(shared.list("pub/")).unwrap().rows.is_empty());
    host.until_phase("www", "guarding");
    assert_eq!(host.stop(), Some(0));
    let polls = host.order_status("www")["polls"].as_u64().unwrap();

    let (code, text) = host.call(&["fleet", "export"]);
    assert!(code == 0 && text.contains("1 order and 1 account are this host's now"), "{text}");
    configure(&mut host, None);
    std::fs::remove_dir_all(host.path("out")).unwrap();
    assert!(host.order_status("www")["polls"].as_u64() >= Some(polls));
    host.start_again().until("it is installed here", |host| host.installed("www").join("cert.pem").exists());
    assert_eq!(host.stop(), Some(0));
}

fn a_closed_account_stays_closed_on_the_way(store: StoreKind) {
    let Some(backend) = Backend::start(store, 1) else { return };
    let mut host = alone();
    host.vendor().vendor().accounts.put(AccountSpec::new(LOGIN, "another")).unwrap();
    host.start();
    let is_closed = |host: &Setting| host.status()["accounts"][0]["state"] == "closed";
    host.until("it is closed", is_closed);
    assert_eq!(host.stop(), Some(0));
    let calls = host.all_calls();
    configure(&mut host, Some((&backend, "col-1")));
    assert_eq!(host.call(&["fleet", "import"]).0, 0);
    host.start_again().until("it leads", |host| leader(host) == "col-1");
    host.until("it knows", is_closed);
    assert_eq!(host.stop(), Some(0));

    // To a host that has never been in it; the vendor is the first one's.
    std::fs::rename(host.path("state"), host.path("state-before")).unwrap();
    let (code, text) = host.call(&["fleet", "export"]);
    assert_eq!(code, 0, "{text}");
    assert!(is_closed(&host));
    configure(&mut host, None);
    host.start_again();
    host.until_up(2);
    host.until("it has looked at its orders", |host| host.call(&["health"]).0 == 0);
    assert!(is_closed(&host));
    assert_eq!((host.stop(), host.all_calls()), (Some(0), calls));
}
