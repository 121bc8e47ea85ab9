//! One intent, one call: over second processes, restored states, closed accounts and wrong configurations.

use std::path::Path;

use certcollectd_sandbox::{FaultSpec, Reissues, Step};
use rcgen::KeyPair;
use serde_json::json;

use super::{
    KEYS, POLLING, asked, closes, counted, dials, guarded, order, pending_for_good, poll_until, request,
    stage,
};
use crate::setting::Setting;

/// Many at once: `reissue` by several operators.
fn by_many(setting: &Setting) -> Vec<i32> {
    let running: Vec<_> = (0..8)
        .map(|_| setting.command(&["reissue", "www"]).stdout(std::process::Stdio::null()).spawn().unwrap())
        .collect();
    running.into_iter().map(|mut child| child.wait().unwrap().code().unwrap_or(-1)).collect()
}

#[test]
fn operators_who_ask_at_the_same_time_ask_once() {
    let setting = guarded();
    pending_for_good(&setting);
    let codes = by_many(&setting);
    assert_eq!(counted(&setting, "1"), Reissues { accepted: 1, ..Reissues::default() }, "{codes:?}");
    assert_eq!(asked(&setting), 1);

    let mut setting = guarded();
    pending_for_good(&setting);
    setting.start();
    setting.until_up(1);
    let codes = by_many(&setting);
    assert_eq!(counted(&setting, "1"), Reissues { accepted: 1, ..Reissues::default() }, "{codes:?}");
    assert_eq!(asked(&setting), 1);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_second_daemon_stays_out_and_the_command_goes_to_the_first() {
    let mut setting = guarded();
    setting.start();
    setting.until_up(1);
    let (code, said) = setting.call(&["run"]);
    assert_eq!(code, 2, "{said}");
    let (code, said) = setting.call(&["reissue", "www"]);
    assert_eq!((code, asked(&setting)), (0, 1), "{said}");
    setting.until("it is closed", |setting| stage(setting, "www") == "closed");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn an_order_in_flight_is_not_edited() {
    let setting = guarded();
    for script in [
        vec![Step::default()],
        vec![Step::error(-22)],
        vec![Step::error(-26)],
        vec![Step::available(u32::MAX)],
        vec![Step::error(-14)],
    ] {
        setting.vendor().vendor().set_script("1", script.clone()).unwrap();
        let (code, said) = setting.call(&["reissue", "www"]);
        assert_eq!((code, asked(&setting)), (1, 0), "{script:?}: {said}");
        setting.call(&["reissue", "www", "--again"]);
        setting.call(&["once"]);
        assert_eq!(asked(&setting), 0, "{script:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(to, PermissionsExt::from_mode(0o700)).unwrap();
}

/// From the backup of a stage, everything that is done by itself or by an operator who does not say `--again`.
fn goes_on(setting: &Setting) {
    for arguments in [&["once"][..], &["reissue", "www"], &["poll", "www"], &["once"], &["reissue", "www"]] {
        setting.call(arguments);
    }
}

#[test]
fn a_state_restored_from_a_backup_of_any_stage_asks_no_second_time() {
    let mut setting = guarded();
    let before = setting.newest("1");
    let state = setting.path("state");
    let mut backups = Vec::new();
    let backup = |setting: &Setting, backups: &mut Vec<(String, std::path::PathBuf)>, name: &str| {
        let to = setting.path(&format!("backup-{name}"));
        copy(&setting.path("state"), &to);
        backups.push((name.to_owned(), to));
    };
    backup(&setting, &mut backups, "guarding");
    // Ready, and the poll that is to look first goes unheard.
    let spec: FaultSpec = serde_json::from_value(json!({ "fault": "close", "times": 1 })).unwrap();
    setting.vendor().vendor().faults.add(spec).unwrap();
    assert_eq!(setting.call(&["reissue", "www"]).0, 1);
    assert_eq!((stage(&setting, "www").as_str(), asked(&setting)), ("preparing", 0));
    backup(&setting, &mut backups, "preparing");
    // The vendor takes it, and the process ends before it hears of it.
    pending_for_good(&setting);
    let slow = json!({ "fault": { "delay": { "ms": 60_000 } }, "endpoint": "AutoReplaceSSL", "times": 1 });
    setting.vendor().vendor().faults.add(serde_json::from_value(slow).unwrap()).unwrap();
    setting.start();
    setting.until("the call is on its way", |setting| asked(setting) == 1);
    setting.kill();
    backup(&setting, &mut backups, "intended");
    assert_eq!(setting.call(&["reissue", "www"]).0, 1);
    assert_eq!(stage(&setting, "www"), "unclear", "after a restart nobody hears the answer");
    backup(&setting, &mut backups, "unclear");
    poll_until(&setting, "a poll shows that it was made", |setting| stage(setting, "www") == "open");
    backup(&setting, &mut backups, "open");
    let once = Reissues { accepted: 1, ..Reissues::default() };
    for issued in [false, true] {
        if issued {
            setting.vendor().vendor().reissue("1", &Default::default()).unwrap();
        }
        for (name, from) in &backups {
            copy(from, &state);
            goes_on(&setting);
            assert_eq!(
                (counted(&setting, "1"), asked(&setting)),
                (once.clone(), 1),
                "{name}, issued: {issued}"
            );
        }
    }
    closes(&setting, &before);
    // And from any of them once that certificate is in place.
    for (name, from) in &backups {
        copy(from, &state);
        goes_on(&setting);
        assert_eq!(asked(&setting), 1, "{name}, installed");
    }
}

#[test]
fn a_closed_account_is_not_called() {
    let setting = guarded();
    setting.write("password", "wrong");
    assert_eq!(setting.call(&["poll", "www"]).0, 1);
    assert_eq!(setting.call(&["once"]).0, 5);
    let calls = setting.all_calls();
    for arguments in
        [&["reissue", "www"][..], &["reissue", "www", "--again"], &["reissue", "www", "--dry-run"]]
    {
        let (code, said) = setting.call(arguments);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("account main is closed"), "{said}");
    }
    assert_eq!(setting.all_calls(), calls);
}

#[test]
fn the_budget_of_the_day_holds_over_restarts() {
    let mut setting = Setting::new();
    setting.polling(POLLING).table("[reissues]\nper_day = 2");
    setting.write("www.csr", &request(&setting.key, &["www.example.com"]));
    for at in 1..=3 {
        setting.order(&format!("o{at}"), order(&at.to_string()), KEYS);
    }
    assert_eq!(setting.once(&[]).0, 0);
    let codes = ["o1", "o2", "o3"].map(|name| setting.call(&["reissue", name]).0);
    assert_eq!((codes, asked(&setting)), ([0, 0, 1], 2));
    let (_, said) = setting.call(&["reissue", "o3"]);
    assert!(said.contains("per_day"), "{said}");
}

#[test]
fn a_request_for_a_key_that_nobody_has_is_not_sent() {
    let setting = guarded();
    setting.write("www.csr", &request(&KeyPair::generate().unwrap(), &["www.example.com"]));
    let (code, said) = setting.call(&["reissue", "www"]);
    assert_eq!((code, asked(&setting)), (1, 0), "{said}");
    assert!(said.contains("key_file"), "{said}");
}

#[test]
fn what_comes_back_wrong_is_quarantined_and_the_old_one_stays() {
    for flaw in ["missing-name", "other-key"] {
        let setting = guarded();
        let before = setting.read("out/www/cert.pem");
        let certificate = json!({ "flaws": [flaw] });
        dials(&setting, json!({ "reissue_script": [{ "state": "issued", "certificate": certificate }] }));
        assert_eq!(setting.call(&["reissue", "www"]).0, 0);
        poll_until(&setting, "it is refused", |setting| setting.phase("www") == "quarantined");
        assert_eq!(setting.read("out/www/cert.pem"), before, "{flaw}");
        setting.call(&["reissue", "www"]);
        assert_eq!(asked(&setting), 1, "{flaw}");
    }
}
