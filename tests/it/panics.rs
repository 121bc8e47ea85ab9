//! A mistake of ours while one order is handled: the loop, the engine and the effects as they run in the daemon,
//! and a log that panics as soon as it hears of one account.

use std::fmt::{Debug, Write};
use std::sync::Arc;

use certcollectd::config::file::{Source, read};
use certcollectd::daemon::{Daemon, Goal};
use certcollectd::effects::store::lock::Lock;
use certcollectd::effects::store::save::Store;
use certcollectd::sources::clock;
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_sandbox::{AccountSpec, OrderSpec, Product};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::setting::{PASSWORD, Setting};

/// What the call's task says before it sends anything.
const TRIGGER: &str = "account bad: calling";

/// A subscriber that comes to grief in the task of one account.
struct Saboteur;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

impl Subscriber for Saboteur {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        assert!(!text.0.starts_with(TRIGGER), "made for the test");
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn a_panic_in_one_orders_call_leaves_the_others_alone() {
    let mut setting = Setting::new();
    // Whoever is slow to install must not be polled again meanwhile.
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"");
    for (name, number) in [("bad", "1"), ("good", "2")] {
        setting.vendor().vendor().accounts.put(AccountSpec::new(name, PASSWORD)).unwrap();
        let (url, dir) = (setting.vendor().base_url(), setting.dir.path().display().to_string());
        setting.table(&format!(
            "[[account]]\nname = \"{name}\"\nlogin_name = \"{name}\"\npassword = {{ file = \"{dir}/password\" }}\n\
             base_url = \"{url}\"\nca_file = \"{dir}/ca.pem\""
        ));
        let order = OrderSpec::new(Product::Ssl, number, &["www.example.com"]);
        setting.order(name, order, &format!("account = \"{name}\"\n[order.verify]\ntrust = \"off\""));
    }
    setting.write_configuration();
    let source = Source { path: setting.path("certcollectd.toml"), text: setting.configuration() };
    let config = Arc::new(read(&[source]).unwrap_or_else(|_| panic!("it is sound")).0);
    let lock = Lock::take(&config.state_dir).unwrap();
    let store = Store::open(&config.state_dir, lock).unwrap();
    let engine = Engine::new(config, Loaded::default(), clock::now());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let (_sender, inbox) = tokio::sync::mpsc::channel(1);
    let outcome = tracing::subscriber::with_default(Saboteur, || {
        local.block_on(&runtime, Daemon::new(engine, store, inbox).run(Goal::Settled(None)))
    });
    assert_eq!((outcome.summary.attention, outcome.summary.in_order), (1, 1), "{:?}", outcome.summary);
    assert_eq!(setting.phase("good"), "guarding");
    let bad = setting.order_status("bad");
    assert_eq!(bad["phase"], "attention", "{bad:#}");
    assert!(bad["reason"].as_str().unwrap().contains("internal error while calling the vendor"), "{bad:#}");
    assert_eq!((setting.calls("1"), setting.calls("2")), (0, 1));
    println!(
        "PROOF-FIGURE a panic in the call of one of 2 orders: {} waits for a person, {} installed",
        outcome.summary.attention, outcome.summary.in_order
    );
}
