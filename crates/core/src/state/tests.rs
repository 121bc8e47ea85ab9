mod golden;

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::api::Untrusted;
use crate::api::reply::{Dcv, Details, STATUSES};
use crate::cert::Fingerprint;
use crate::config::HookEvent;
use crate::engine::account::record::Cause;
use crate::engine::account::record::CredentialTag;
use crate::engine::account::record::Unheard;
use crate::engine::account::record::{Closed, Refused};
use crate::engine::account::sent::{Outcome, Replacement};
use crate::engine::alarm::{Alarm, Notice};
use crate::engine::finding::FindingKind;
use crate::engine::install::InstalledFile;
use crate::engine::order::phase::Phase;
use crate::engine::order::record::{
    Announced, Debt, Domains, Former, Generation, Heard, Held, Offered, ProbeRecord, ProbeRollback, Probed,
    Pushed, Rehearsed, Seldom, Served, Trouble,
};
use crate::engine::reissue::record::{Reissue, ReissueCalls, Stage, UsedToken};

const NOW: Now = Now { time: Time(5_000_000), wall: 1_795_165_920_000 };

fn here() -> Origin {
    Origin { same_boot: true, offset: Some(NOW.offset()), present: Some(NOW.offset()) }
}

fn announced() -> Announced {
    Announced { at: 23, text: "soon".into(), leaf: Some(Fingerprint::from_bytes([4; 32])), proven: true }
}

/// A record in which no field has its default.
fn probed() -> Probed {
    Probed {
        probes: vec![ProbeRecord {
            label: "127.0.0.1:443".into(),
            leaf: Fingerprint::from_bytes([11; 32]),
            next: Time(23),
            failures: 2,
            served: vec![Served {
                address: "127.0.0.1:443".into(),
                at: 24,
                leaf: Some(Fingerprint::from_bytes([12; 32])),
                wrong: Some("still serves another".into()),
            }],
        }],
        fresh: true,
        rollback: Some(ProbeRollback::Wanted),
        told: true,
    }
}

fn full() -> OrderRecord {
    let generation = |name: &str| Generation {
        name: name.into(),
        at: 17,
        fingerprint: Fingerprint::from_bytes([7; 32]),
        serial: "0a0b".into(),
        not_before: 1,
        not_after: 2,
        common_name: None,
        names: Box::new(["a.example".into(), "b.example".into()]),
        chain: Some(Box::new([Fingerprint::from_bytes([8; 32])])),
        root: Some(Fingerprint::from_bytes([6; 32])),
        key: Some("/etc/key.pem".into()),
        files: vec![InstalledFile {
            name: "cert.pem".into(),
            digest: Fingerprint::from_bytes([9; 32]),
            mode: 0o640,
        }],
        spec: u64::MAX,
    };
    OrderRecord {
        account: "main".into(),
        handle: "orderNumber 12".into(),
        phase: Phase::Quarantined,
        since: 3,
        waiting_since: Time(4),
        polled: Some(Time(5)),
        due: Some(Time(6)),
        polls: 7,
        failures: 8,
        unknowns: 9,
        heard: Some(Box::new(Heard {
            at: 10,
            since: Some(9),
            code: Some(-4),
            text: "words".into(),
            details: Details {
                certificate_status: Some(Untrusted::new("Issued")),
                validation_status: Some(Untrusted::new("Complete")),
                fqdn: Some(Untrusted::new("a.example")),
                term_start: Some(11),
                term_end: Some(12),
                domains: vec![(Untrusted::new("a.example"), Untrusted::new("VALIDATED"))],
                dcv: vec![Dcv {
                    domain: Untrusted::new("a.example"),
                    method: Some(Untrusted::new("EMAIL")),
                    status: Some(Untrusted::new("In progress")),
                }],
                statuses: vec![("dcvStatus", 2)],
                caa: Some(Untrusted::new("a\nb")),
                others: vec![(Untrusted::new("x"), Untrusted::new("y"))],
            }
            .into(),
        })),
        bundled: true,
        seldom: Seldom {
            reason: Some("key: does not fit".into()),
            former: vec![Former {
                account: "main".into(),
                handle: "orderNumber 11".into(),
                polled: Time(2),
                asked: Some(Time(1)),
            }],
            reissue_since: Some(Time(4)),
            reissue: Some(Box::new(reissue())),
            tokens: vec![UsedToken { csr: Fingerprint::from_bytes([7; 32]), unique: "a1".into() }],
            number: Some("13".into()),
            domains: Some(Box::new(Domains {
                asked: Time(20),
                heard: Some(Heard {
                    at: 21,
                    since: None,
                    code: Some(0),
                    text: "1 of 1".into(),
                    details: Details {
                        dcv: vec![Dcv { domain: Untrusted::new("a.example"), method: None, status: None }],
                        ..Details::default()
                    }
                    .into(),
                }),
            })),
            installed: Some(Box::new(generation("one"))),
            placing: Some("two".into()),
            staged: Some(Box::new(generation("two"))),
            rollback: true,
            accepted: Some(Fingerprint::from_bytes([1; 32])),
            rolled_back_from: Some(Fingerprint::from_bytes([2; 32])),
            debts: vec![Debt {
                hook: "nginx".into(),
                event: HookEvent::Expiring,
                since: 13,
                tries: 14,
                next: Some(Time(15)),
                started: true,
                outcome: Some("failed: exit code 1".into()),
                ended: Some(16),
            }],
            alarms: vec![alarm()],
            alarmed: true,
            warned: 2,
            term_warned: Some(20),
            pushed: Some(Box::new(Pushed {
                hinted: Some(Time(22)),
                idle: 3,
                certificate: Some("99".into()),
                revocation: Some(announced()),
            })),
            probed: Some(Box::new(probed())),
            rehearsed: Some(Box::new(rehearsed())),
            trouble: Some(Box::new(Trouble { text: "disk full".into(), tries: 18, next: Time(19) })),
            drift: Some("cert.pem was changed".into()),
            lost: Some("readers do not find chain.pem".into()),
            offered: Some(Box::new(offered())),
            held: Some(Box::new(held())),
            at_once: Some(Fingerprint::from_bytes([2; 32])),
            revoked: Some(Fingerprint::from_bytes([3; 32])),
            uncovered: Box::new(["mail.example.com".into()]),
            leafless: true,
        }
        .into(),
    }
}

fn offered() -> Offered {
    Offered { generation: 8, leaf: Fingerprint::from_bytes([4; 32]), highest: Some(7) }
}

fn rehearsed() -> Rehearsed {
    Rehearsed { next: Some(Time(26)), at: Some(27), failed: Some("hook nginx: failed".into()) }
}

fn alarm() -> Alarm {
    Alarm { kind: FindingKind::Attention, since: 23, cause: u64::MAX, told: 2, next: Time(24) }
}

fn notice() -> Notice {
    Notice {
        alarm: alarm(),
        over: true,
        owed: vec![("mail".into(), HookEvent::Recovered)],
        failures: 3,
        retry: Some(Time(25)),
    }
}

fn reissue() -> Reissue {
    Reissue {
        stage: Stage::Unclear,
        since: 28,
        csr: "MII=".into(),
        unique: "a1".into(),
        dcv: crate::config::Dcv::Cname,
        replaces: Fingerprint::from_bytes([1; 32]),
        parameters: vec![("a".into(), "b".into())],
        records: vec![("_a.example".into(), "b.sectigo.com".into())],
        proven: true,
        look: Some(Time(29)),
        looks: 3,
        held: Some("held".into()),
        sent: Some(30),
        said: Some("said".into()),
        code: Some(-14),
        unchanged: 2,
        earlier: None,
    }
}

fn held() -> Held {
    Held { leaf: Fingerprint::from_bytes([5; 32]), serial: "0c".into(), not_after: 24, since: 23 }
}

/// As [`full`].
fn full_account() -> AccountRecord {
    AccountRecord {
        closed: Some(Closed {
            since: 1,
            text: "refused".into(),
            unclear: Some("no answer".into()),
            again: Some(2),
            refused: Some(CredentialTag(u16::MAX)),
            tried: Some(CredentialTag(3)),
            spent: vec![CredentialTag(1), CredentialTag(2)],
        }),
        login: Some(u64::MAX),
        trial: true,
        paused_until: Some(Time(2)),
        paused_why: Some("limit".into()),
        paused_for: Some(Cause::Unheard),
        paused_way: Some(u64::MAX),
        pauses: 3,
        called: Some(Time(4)),
        calling: true,
        ends: Some(Time(9)),
        unheard: Some(Unheard { calls: 2, until: Time(10), tag: Some(CredentialTag(11)) }),
        calls: 5,
        answered: Some(9),
        clock_ahead: Some(-601),
        details_refused: Some(Refused {
            since: 6,
            text: "Permission denied!".into(),
            tag: Some(CredentialTag(7)),
            login: u64::MAX,
        }),
        announced: Some(Box::new(announced())),
        notices: vec![notice()],
        reissues: ReissueCalls { sent: vec![26, 27], in_vain: 1 },
        replacements: [
            Outcome::Unknown(None),
            Outcome::Unknown(Some("timeout".into())),
            Outcome::Made(None),
            Outcome::Made(Some("12".into())),
        ]
        .map(|outcome| Replacement {
            number: "5".into(),
            csr: Fingerprint::from_bytes([3; 32]),
            key: Some(Fingerprint::from_bytes([4; 32])),
            at: 8,
            settled: outcome == Outcome::Made(None),
            outcome,
        })
        .into(),
    }
}

#[test]
fn a_record_comes_back_as_it_was() {
    let record = full();
    assert_eq!(read_order("www", &write(&record), here(), NOW).unwrap(), record);
    let record = OrderRecord::new("main".into(), "orderNumber 1".into(), NOW);
    let text = write(&record);
    assert_eq!(read_order("www", &text, here(), NOW).unwrap(), record);
    assert!(text.len() < 200, "a fresh record is short: {text}");
}

#[test]
fn an_account_comes_back_as_it_was() {
    let record = full_account();
    assert_eq!(read_account("main", &write(&record), here(), NOW).unwrap(), record);
    let fresh = AccountRecord::default();
    assert_eq!(read_account("main", &write(&fresh), here(), NOW).unwrap(), fresh);
}

#[test]
fn what_version_2_wrote_of_accounts_is_read() {
    let read = |text: &str| read_account("main", text, here(), NOW).unwrap();
    for (why, cause) in [
        ("the password cannot be read: /run/secrets/sectigo: no such file or directory", Cause::Password),
        ("no connection to the vendor: connection refused", Cause::Connection),
        ("TLS with the vendor's host failed, so the login was not sent: expired", Cause::Connection),
        ("the call cannot be prepared: ca_file /etc/ca.pem: no such file or directory", Cause::Connection),
        ("the vendor asked us to wait (Retry-After)", Cause::Asked),
        ("call limit reached (code -42)", Cause::Limit),
    ] {
        let record = read(&format!(r#"{{"paused_until_ms":9,"paused_why":"{why}","pauses":1}}"#));
        assert_eq!(record.paused_for, Some(cause), "{why}");
        assert_eq!(record.lacks_password(), cause == Cause::Password);
    }
    let record = read(r#"{"called_ms":7,"calling":true,"calls":3}"#);
    assert_eq!((record.called, record.calling, record.ends), (Some(Time(7)), true, None));
    let odd = read_account("main", r#"{"paused_why":"x","paused_for":"y"}"#, here(), NOW);
    assert!(odd.unwrap_err().to_string().contains("no cause of a pause \"y\""));
}

#[test]
fn an_adopted_order_comes_back_as_it_was() {
    let adopted = Adopted {
        name: "mail".into(),
        account: "main".into(),
        number: "12".into(),
        replaced: "5".into(),
        request: Some("MII=".into()),
        since: 9,
    };
    assert_eq!(read_adopted("mail", &write(&adopted)).unwrap(), adopted);
    let earlier = write(&adopted).replace("\"request\":\"MII=\"", "\"csr_file\":\"/etc/mail.csr\"");
    assert!(earlier.contains("csr_file"), "{earlier}");
    assert_eq!(read_adopted("mail", &earlier).unwrap(), Adopted { request: None, ..adopted });
}

#[test]
fn text_that_is_not_ours_is_an_error_and_names_the_row() {
    for text in ["", "{}", "[]", "null", "{\"phase\": \"done\"}"] {
        assert!(
            read_order("www", text, here(), NOW).unwrap_err().to_string().contains("order www"),
            "{text}"
        );
    }
    let odd = write(&full()).replace("\"quarantined\"", "\"done\"");
    assert!(read_order("www", &odd, here(), NOW).unwrap_err().to_string().contains("no phase \"done\""));
    // A field of a later version must not be dropped in silence.
    let newer = write(&full()).replacen('{', "{\"new_field\":1,", 1);
    assert!(read_order("www", &newer, here(), NOW).is_err());
}

#[test]
fn times_of_another_boot_are_translated_by_the_wall_clock() {
    // That boot began a day before this one.
    let day = 24 * 3600 * 1000;
    let origin = Origin { same_boot: false, offset: Some(NOW.offset() - day), present: None };
    let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), NOW);
    record.polled = Some(Time(NOW.time.0 + day - 3_600_000));
    record.due = Some(Time(NOW.time.0 + day + 7_200_000));
    let read = read_order("www", &write(&record), origin, NOW).unwrap();
    assert_eq!(read.polled, Some(NOW.time - Duration::from_secs(3600)));
    assert_eq!(read.due, Some(NOW.time + Duration::from_secs(7200)));
}

#[test]
fn a_clock_that_was_set_in_this_boot_does_not_age_what_an_earlier_one_wrote() {
    // Both boots began under a clock that was ten years behind; then it was set right.
    let years = 315_360_000_000;
    let origin =
        Origin { same_boot: false, offset: Some(NOW.offset() - years), present: Some(NOW.offset() - years) };
    let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), NOW);
    record.polled = Some(Time(NOW.time.0 - 3_600_000));
    record.due = Some(Time(NOW.time.0 + 7_200_000));
    let read = read_order("www", &write(&record), origin, NOW).unwrap();
    assert_eq!((read.polled, read.due), (record.polled, record.due));
}

#[test]
fn a_boot_without_a_name_is_not_taken_for_another_one_without() {
    // The machine was up for twenty days, and its boot id could be read neither then nor now.
    let days = 20 * 24 * 3600 * 1000;
    let offsets = HashMap::from([(String::new(), NOW.offset() - days)]);
    let mut record = full();
    record.debts[0].next = Some(Time(NOW.time.0 + days + 60_000));
    let read = read_order("www", &write(&record), Origin::of("", "", &offsets), NOW).unwrap();
    assert_eq!(read.debts[0].next, Some(NOW.time + Duration::from_secs(60)));
    // Within one boot the wall clock leads to the same moment.
    let offsets = HashMap::from([(String::new(), NOW.offset())]);
    let read = read_order("www", &write(&full()), Origin::of("", "", &offsets), NOW).unwrap();
    assert_eq!(read, full());
    let offsets = HashMap::from([("named".to_owned(), NOW.offset())]);
    let origin = Origin::of("named", "named", &offsets);
    assert!(origin.same_boot && origin.present.is_some());
}

#[test]
fn times_of_an_unknown_boot_ask_no_sooner_than_an_interval_from_now() {
    let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), NOW);
    record.polled = Some(Time(1));
    let read =
        read_order("www", &write(&record), Origin { same_boot: false, offset: None, present: None }, NOW)
            .unwrap();
    assert_eq!(read.polled, Some(NOW.time));
}

#[test]
fn a_poll_of_the_future_is_a_clock_that_went_back() {
    let origin = Origin { same_boot: false, offset: Some(NOW.offset() + 315_360_000_000), present: None };
    let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), NOW);
    record.polled = Some(Time(NOW.time.0));
    let read = read_order("www", &write(&record), origin, NOW).unwrap();
    assert_eq!(read.polled, Some(NOW.time + LONGEST_CALL));
}

#[test]
fn bundles_come_back_and_cut_ones_do_not() {
    let pem = include_bytes!("../../../../tests/data/cert/bundle.pem");
    let bundle = crate::cert::unpack(pem).unwrap();
    let bytes = write_bundle(&bundle);
    assert_eq!(read_bundle("www", &bytes).unwrap(), bundle);
    for end in 1..bytes.len() {
        // Where one certificate ends a shorter bundle is whole; the check sum of the row tells it apart.
        if let Ok(shorter) = read_bundle("www", &bytes[..end]) {
            assert!(shorter.len() < bundle.len() && bundle.starts_with(&shorter), "{end}");
        }
    }
    assert!(read_bundle("www", b"").unwrap().is_empty());
}

#[test]
fn rows_cannot_change_places() {
    let parts: [&[u8]; 3] = [b"www", b"boot", b"text"];
    for version in [3, VERSION] {
        let right = sum(version, "orders", &parts);
        assert_ne!(right, sum(version, "accounts", &parts));
        assert_ne!(right, sum(version, "orders", &[b"mail", b"boot", b"text"]));
        assert_ne!(right, sum(version, "orders", &[b"wwwb", b"oot", b"text"]));
    }
}

/// Both were computed by another program, from the definitions.
#[test]
fn sums_are_what_they_always_were() {
    let parts: [&[u8]; 3] = [b"www", b"boot", b"text"];
    assert_eq!(sum(3, "orders", &parts), 930_022_152_107_876_576);
    assert_eq!(sum(4, "orders", &parts), -4_490_408_694_409_201_867);
}
