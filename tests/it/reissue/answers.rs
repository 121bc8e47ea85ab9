//! Every answer to the one call: lost in every way, refused by every code, not the vendor's at all.

use certcollectd_sandbox::{FaultSpec, Reissues};
use serde_json::{Value, json};

use super::{asked, closes, counted, guarded, pending_for_good, poll_until, stage};
use crate::setting::Setting;

/// A fault for the next call of AutoReplaceSSL.
fn spoil(setting: &Setting, fault: &Value) {
    let mut fault = fault.clone();
    fault["endpoint"] = json!("AutoReplaceSSL");
    fault["times"] = json!(1);
    let spec: FaultSpec = serde_json::from_value(fault).unwrap();
    setting.vendor().vendor().faults.add(spec).unwrap();
}

/// Ways in which the answer of a call that was taken gets lost.
fn lost() -> Vec<Value> {
    vec![
        json!({ "fault": "close" }),
        json!({ "fault": { "cut": { "after": 0 } } }),
        json!({ "fault": { "cut": { "after": 20 } } }),
        json!({ "fault": { "delay": { "ms": 4000 } } }),
        json!({ "fault": { "stall": { "after": 5, "ms": 4000 } } }),
        json!({ "fault": { "http-status": { "status": 500 } }, "reached": true }),
        json!({ "fault": { "http-status": { "status": 503 } }, "reached": true }),
        json!({ "fault": { "http-status": { "status": 429, "retry_after": 1 } }, "reached": true }),
        json!({ "fault": { "http-status": { "status": 403 } }, "reached": true }),
        json!({ "fault": "html", "reached": true }),
        json!({ "fault": { "redirect": { "status": 302, "location": "/" } }, "reached": true }),
        json!({ "fault": { "garbage": { "bytes": 300 } } }),
        json!({ "fault": "raw-garbage" }),
        json!({ "fault": "empty" }),
        json!({ "fault": { "code": { "code": -14 } }, "reached": true }),
        json!({ "fault": { "code": { "code": -160 } }, "reached": true }),
        json!({ "fault": { "code": { "code": -9999 } }, "reached": true }),
    ]
}

/// Nothing that the program does by itself, and no further `reissue`, sends a second one.
fn asks_no_more(setting: &Setting, what: &Value) {
    let (code, said) = setting.call(&["reissue", "www"]);
    assert_eq!(code, 1, "{what}: {said}");
    setting.call(&["once"]);
    setting.call(&["poll", "www"]);
    assert_eq!(asked(setting), 1, "{what}: {said}");
}

#[test]
fn a_call_that_was_taken_and_whose_answer_is_lost_is_never_repeated() {
    for fault in lost() {
        let setting = guarded();
        let before = setting.newest("1");
        pending_for_good(&setting);
        spoil(&setting, &fault);
        let (code, said) = setting.call(&["reissue", "www"]);
        assert_eq!(code, 1, "{fault}: {said}");
        assert!(said.contains("unclear") && said.contains("not repeated"), "{fault}: {said}");
        assert_eq!(stage(&setting, "www"), "unclear", "{fault}");
        assert_eq!(setting.call(&["status", "--nagios"]).0, 1, "{fault}: a warning");
        asks_no_more(&setting, &fault);
        // Only a look leads out of it.
        poll_until(&setting, "a poll shows that it was made", |setting| stage(setting, "www") == "open");
        setting.vendor().vendor().reissue("1", &Default::default()).unwrap();
        closes(&setting, &before);
        assert_eq!(counted(&setting, "1"), Reissues { accepted: 1, ..Reissues::default() }, "{fault}");
    }
}

#[test]
fn what_was_issued_before_anybody_looked_is_installed() {
    let setting = guarded();
    let before = setting.newest("1");
    super::dials(&setting, json!({ "reissue_script": [{ "state": "issued" }] }));
    spoil(&setting, &json!({ "fault": "close" }));
    assert_eq!(setting.call(&["reissue", "www"]).0, 1);
    closes(&setting, &before);
    assert_eq!(counted(&setting, "1").accepted, 1);
}

#[test]
fn a_call_that_was_not_taken_and_whose_answer_is_lost_waits_for_a_person() {
    for fault in [
        json!({ "fault": "close", "reached": false }),
        json!({ "fault": { "http-status": { "status": 503 } } }),
        json!({ "fault": "html" }),
        json!({ "fault": { "code": { "code": -14 } } }),
    ] {
        let setting = guarded();
        let before = setting.newest("1");
        spoil(&setting, &fault);
        let (code, said) = setting.call(&["reissue", "www"]);
        assert_eq!((code, stage(&setting, "www").as_str()), (1, "unclear"), "{fault}: {said}");
        asks_no_more(&setting, &fault);
        let polls = setting.calls("1");
        poll_until(&setting, "it is polled", |setting| setting.calls("1") > polls + 2);
        assert_eq!(
            (stage(&setting, "www").as_str(), counted(&setting, "1").accepted),
            ("unclear", 0),
            "{fault}"
        );
        let (code, said) = setting.call(&["reissue", "www", "--again"]);
        assert_eq!(code, 0, "{fault}: {said}");
        closes(&setting, &before);
        let counted = counted(&setting, "1");
        assert_eq!([counted.accepted, counted.edits, counted.reused_tokens], [1, 0, 0], "{fault}");
    }
}

/// Codes that say that it was not made.
const REFUSALS: [i32; 26] = [
    -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -15, -17, -18, -19, -20, -21, -22, -26, -35, -40,
    -42, -90, -91,
];

#[test]
fn each_refusal_is_told_and_kept() {
    for code in REFUSALS {
        let setting = guarded();
        let before = setting.read("out/www/cert.pem");
        let fault = json!({ "fault": { "code": { "code": code, "message": "said the vendor" } } });
        spoil(&setting, &fault);
        let (exit, said) = setting.call(&["reissue", "www"]);
        assert_eq!((exit, stage(&setting, "www").as_str()), (1, "refused"), "{code}: {said}");
        let status = setting.order_status("www");
        assert_eq!(status["reissue"]["code"], code);
        assert_eq!(status["phase"], "guarding", "{code}: what is installed stays");
        let (_, explained) = setting.call(&["explain", "www"]);
        assert!(
            explained.contains(&code.to_string()) && explained.contains("said the vendor"),
            "{explained}"
        );
        assert_eq!(setting.call(&["status", "--nagios"]).0, 1, "{code}: a warning");
        let (exit, said) = setting.call(&["reissue", "www"]);
        assert_eq!((exit, asked(&setting)), (1, 1), "{code}: {said}");
        assert_eq!(setting.read("out/www/cert.pem"), before);
        assert_eq!(counted(&setting, "1"), Reissues { refused: 1, ..Reissues::default() }, "{code}");
    }
}

#[test]
fn a_refused_login_on_the_call_closes_the_account() {
    let setting = guarded();
    let fault = json!({ "fault": { "code": { "code": -16 } } });
    spoil(&setting, &fault);
    assert_eq!(setting.call(&["reissue", "www"]).0, 1);
    assert_eq!(setting.call(&["once"]).0, 5);
    let calls = setting.all_calls();
    for arguments in [&["reissue", "www"][..], &["reissue", "www", "--again"], &["once"], &["poll", "www"]] {
        setting.call(arguments);
    }
    assert_eq!(setting.all_calls(), calls);
}

#[test]
fn two_in_vain_stop_the_account_until_a_persons_word() {
    let setting = guarded();
    for _ in 0..2 {
        spoil(&setting, &json!({ "fault": { "code": { "code": -40 } } }));
        assert_eq!(setting.call(&["reissue", "www", "--again"]).0, 1);
    }
    let (code, said) = setting.call(&["reissue", "www", "--again"]);
    assert_eq!((code, asked(&setting)), (1, 2), "{said}");
    assert!(said.contains("certcollectd resume --reissues --account main"), "{said}");
    let (code, said) = setting.call(&["resume", "--reissues", "--account", "main"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = setting.call(&["reissue", "www", "--again"]);
    assert_eq!((code, asked(&setting)), (0, 3), "{said}");
}
