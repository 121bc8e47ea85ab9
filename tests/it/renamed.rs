//! An account under another name is the same login to the vendor: no order is asked about sooner, no refused login is
//! tried again, and nothing that was collected is forgotten.

use certcollectd_sandbox::{AccountSpec, Fault, FaultSpec, OrderSpec, Product, Step};

use crate::setting::{LOGIN, PASSWORD, Setting};

const OTHER_LOGIN: &str = "other-tester";

fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\nmax_interval = \"1h\"\nguard_interval = \"1h\"\ncall_gap = \"0s\"");
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    setting.order("www", spec, "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"");
    for number in ["2", "3"] {
        let spec = OrderSpec::new(Product::Ssl, number, &["www.example.com"]);
        setting.order(&format!("o{number}"), spec.with_script(vec![Step::pending(1_000_000)]), "");
    }
    setting
}

/// The configuration with its account called `name`.
fn called(setting: &Setting, name: &str) -> String {
    setting.configuration().replace("name = \"main\"", &format!("name = \"{name}\""))
}

/// Puts a configuration into force: under the running daemon, or between two.
fn put(setting: &mut Setting, text: &str, restarts: bool) {
    let ups = |setting: &Setting| {
        setting.log().matches(if restarts { " is up with " } else { "was reloaded" }).count()
    };
    let before = ups(setting);
    if restarts {
        assert_eq!(setting.stop(), Some(0));
    }
    setting.write("certcollectd.toml", text);
    if restarts {
        setting.start_again();
    }
    setting.until("the new configuration is in force", |setting| ups(setting) > before);
}

/// A command that the daemon answers after everything that is due was begun.
fn settle(setting: &Setting) {
    // Right after a start its files may be looked at just then.
    setting.until("a rehearsal is run", |setting| setting.call(&["rehearse", "www"]).0 == 0);
}

#[test]
fn no_order_is_asked_about_sooner_and_nothing_is_forgotten() {
    for restarts in [false, true] {
        let mut setting = setting();
        setting.start();
        setting.until("all were asked about", |setting| {
            setting.phase("www") == "guarding" && ["2", "3"].iter().all(|number| setting.calls(number) > 0)
        });
        // Once there and back again; then once more under a third name.
        for name in ["second", "main", "third"] {
            let text = called(&setting, name);
            put(&mut setting, &text, restarts);
            settle(&setting);
            assert_eq!(setting.phase("www"), "guarding", "{name}, restarts {restarts}");
            assert_eq!(setting.order_status("www")["polls"], 1, "{name}, restarts {restarts}");
        }
        assert_eq!(setting.stop(), Some(0));
        setting.start_again();
        settle(&setting);
        let record = setting.vendor().vendor().record().counters().orders.clone();
        for number in ["1", "2", "3"] {
            let gap = record[number].smallest_gap_ms;
            // The domains of an order are asked about beside it, once.
            assert!(
                record[number].calls <= 2,
                "order {number}, restarts {restarts}: {:?} {gap:?}",
                record[number]
            );
        }
        assert_eq!(record["1"].calls, 1, "restarts {restarts}");
    }
}

#[test]
fn a_refused_login_is_not_tried_again() {
    for restarts in [false, true] {
        let mut setting = setting();
        setting.write("password", "wrong");
        setting.start();
        let closed = |setting: &Setting| setting.status()["accounts"][0]["state"] == "closed";
        setting.until("the account is closed", closed);
        for name in ["second", "main", "third"] {
            let text = called(&setting, name);
            put(&mut setting, &text, restarts);
            let (code, said) = setting.call(&["poll", "www"]);
            assert!(code == 1 && said.contains(&format!("account {name} is closed")), "{said}");
            assert!(closed(&setting), "{name}, restarts {restarts}");
        }
        assert_eq!(setting.all_calls(), 1, "restarts {restarts}");
        // The right one opens it, under the name that it has now.
        setting.write("password", PASSWORD);
        setting.until("the account is open", |setting| setting.status()["accounts"][0]["state"] == "open");
        assert_eq!(
            setting.vendor().vendor().record().counters().all.logins_refused,
            1,
            "restarts {restarts}"
        );
    }
}

#[test]
fn two_accounts_may_change_their_names_with_each_other() {
    for restarts in [false, true] {
        let mut setting = setting();
        setting.vendor().vendor().accounts.put(AccountSpec::new(OTHER_LOGIN, PASSWORD)).unwrap();
        setting.write("other-password", "wrong");
        let dir = setting.dir.path().display().to_string();
        let second = format!(
            "[[account]]\nname = \"second\"\nlogin_name = \"{OTHER_LOGIN}\"\npassword = {{ file = \"{dir}/other-password\" }}\n\
             base_url = \"{}\"\nca_file = \"{dir}/ca.pem\"\n\
             [[order]]\nname = \"theirs\"\naccount = \"second\"\norder_number = \"9\"\n",
            setting.vendor().base_url()
        );
        let one = setting.configuration().replace("product = ", "account = \"main\"\nproduct = ") + &second;
        setting.write("certcollectd.toml", &one);
        setting.start_again();
        let state = |setting: &Setting, at: usize| setting.status()["accounts"][at]["state"].clone();
        setting.until("one is open and the other is closed", |setting| {
            setting.phase("www") == "guarding" && state(setting, 1) == "closed" && setting.calls("3") > 0
        });
        let calls = setting.all_calls();
        let swapped =
            one.replace("\"main\"", "\"-\"").replace("\"second\"", "\"main\"").replace("\"-\"", "\"second\"");
        assert!(swapped.contains(&format!("name = \"second\"\nlogin_name = \"{LOGIN}\"")), "{swapped}");
        // What was asked about the domains beside the orders may still come in.
        let put_once = |setting: &mut Setting| put(setting, &swapped, restarts);
        put_once(&mut setting);
        settle(&setting);
        assert_eq!((state(&setting, 0), state(&setting, 1)), ("open".into(), "closed".into()));
        let (code, said) = setting.call(&["poll", "theirs"]);
        assert!(code == 1 && said.contains("account main is closed"), "{said}");
        let counters = setting.vendor().vendor().record().counters().clone();
        assert_eq!(counters.orders["1"].calls, 1, "restarts {restarts}");
        assert_eq!(counters.all.logins_refused, 1, "restarts {restarts}");
        assert!(setting.all_calls() <= calls + 2, "restarts {restarts}: {calls} and {}", setting.all_calls());
    }
}

#[test]
fn a_call_under_way_comes_home_to_the_new_name() {
    let mut setting = setting();
    setting.vendor().vendor().accounts.put(AccountSpec::new(OTHER_LOGIN, PASSWORD)).unwrap();
    let long = FaultSpec {
        order: Some("1".into()),
        times: Some(1),
        ..FaultSpec::always(Fault::Delay { ms: 4_000 })
    };
    setting.vendor().vendor().faults.add(long).unwrap();
    setting.start();
    setting.until("a call is under way", |setting| setting.calls("1") == 1);
    // The name that is free now is another account's at once, which has to wait with its own call.
    let dir = setting.dir.path().display().to_string();
    let newcomer = format!(
        "[[account]]\nname = \"main\"\nlogin_name = \"{OTHER_LOGIN}\"\npassword = {{ file = \"{dir}/password\" }}\n\
         base_url = \"{}\"\nca_file = \"{dir}/ca.pem\"\n\
         [[order]]\nname = \"theirs\"\naccount = \"main\"\norder_number = \"9\"\n",
        setting.vendor().base_url()
    );
    let spec =
        OrderSpec::new(Product::Ssl, "9", &["www.example.com"]).with_script(vec![Step::pending(1_000_000)]);
    setting.vendor().vendor().put_order(spec).unwrap();
    let text =
        called(&setting, "second").replace("product = ", "account = \"second\"\nproduct = ") + &newcomer;
    put(&mut setting, &text, false);
    setting.until_phase("www", "guarding");
    setting.until("the newcomer is asked about", |setting| setting.calls("9") > 0);
    setting.until("so are the others", |setting| ["2", "3"].iter().all(|number| setting.calls(number) > 0));
    assert_eq!(setting.order_status("www")["polls"], 1);
    let counters = setting.vendor().vendor().record().counters().clone();
    assert_eq!(counters.orders["1"].calls, 1);
    assert_eq!(counters.all.logins_refused, 0);
    for login in [LOGIN, OTHER_LOGIN] {
        assert_eq!(counters.accounts[login].max_in_flight, 1, "{login}");
    }
}
