//! A freeze and the real binary: what is collected waits, and the operator's word installs it.

use certcollectd_sandbox::{OrderSpec, Product};
use serde_json::Value;

use crate::setting::Setting;

/// One order, issued at once, under a freeze of everything.
fn frozen(polling: &str) -> Setting {
    let mut setting = Setting::new();
    if !polling.is_empty() {
        setting.polling(polling);
    }
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    setting.order("www", spec, "[order.verify]\ntrust = \"off\"");
    let text = format!("freeze = [\"2020-01-01/9999-12-31\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
    setting
}

fn window(setting: &Setting) -> Value {
    let (_, said) = setting.call(&["status", "--json"]);
    let status: Value = serde_json::from_str(&said).unwrap();
    status["orders"][0]["window"].clone()
}

#[test]
fn once_leaves_with_3_and_the_word_for_now_installs_directly() {
    // Nothing is due again meanwhile.
    let setting = frozen("interval = \"1h\"\n");
    let (code, said) = setting.call(&["once"]);
    assert_eq!(code, 3, "{said}");
    assert!(!setting.installed("www").exists());
    let held = window(&setting);
    assert_eq!((&held["name"], &held["opens"]), (&Value::Null, &Value::Null));
    assert_eq!(held["freeze"], "2020-01-01/9999-12-31");
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 0 && said.contains("OK"), "{code} {said}");
    let (_, said) = setting.call(&["status"]);
    assert!(said.contains("waits: no window opens within a year"), "{said}");
    let (code, said) = setting.call(&["accept", "www"]);
    assert!(code == 1 && said.contains("`certcollectd accept www --now`"), "{code} {said}");
    let calls = setting.calls("1");
    let (code, said) = setting.call(&["accept", "www", "--now"]);
    assert_eq!(code, 0, "{said}");
    assert!(setting.installed("www").join("fullchain.pem").exists());
    assert_eq!(setting.calls("1"), calls, "from what was kept");
    assert_eq!(window(&setting), Value::Null);
    let (code, said) = setting.call(&["once"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_daemon_shows_what_waits_and_a_reload_without_the_freeze_installs_it() {
    let mut setting = frozen("");
    setting.start_again();
    setting.until_phase("www", "collected");
    setting.until("it waits", |setting| window(setting)["freeze"] == "2020-01-01/9999-12-31");
    let (code, said) = setting.call(&["explain", "www"]);
    assert!(code == 0 && said.contains("`certcollectd accept www --now` installs it now"), "{said}");
    setting.write_configuration();
    setting.until_phase("www", "guarding");
    assert!(setting.installed("www").join("fullchain.pem").exists());
}
