//! Rows of every version: they are read, and written, as they always were.

use super::*;

/// Records of versions 3 and 4, as they have always been written.
const GOLDEN: &str = include_str!("../../../../../tests/it/golden/state/version-3.json");

fn fresh() -> OrderRecord {
    OrderRecord::new("main".into(), "orderNumber 1".into(), NOW)
}

/// What each golden order was written from.
fn orders() -> Vec<(&'static str, OrderRecord)> {
    let debt = |event| Debt {
        hook: "nginx".into(),
        event,
        since: 1,
        tries: 0,
        next: None,
        started: false,
        outcome: None,
        ended: None,
    };
    let debts = [HookEvent::Installed, HookEvent::Failed, HookEvent::Expiring].map(debt).into();
    let statuses = STATUSES.into_iter().zip(-7..).collect();
    let details = Details { statuses, caa: Some(Untrusted::new("a\\b\u{e9}'\"")), ..Details::default() };
    let heard = Heard { at: 5, since: None, code: None, text: "it's".into(), details: details.into() };
    let revocation = Announced { at: 1, text: "soon".into(), leaf: None, proven: false };
    let pushed = Pushed { revocation: Some(revocation), ..Pushed::default() };
    let domains = Domains { asked: Time(1), heard: None };
    let generation = Generation {
        name: "one".into(),
        at: 0,
        fingerprint: Fingerprint::from_bytes([0xab; 32]),
        serial: "0a".into(),
        not_before: 1,
        not_after: 2,
        common_name: None,
        names: Box::default(),
        chain: None,
        root: None,
        key: None,
        files: Vec::new(),
        spec: 0,
    };
    let reissued = OrderRecord {
        seldom: Seldom {
            reissue: Some(Box::new(reissue())),
            tokens: vec![UsedToken { csr: Fingerprint::from_bytes([7; 32]), unique: "a1".into() }],
            installed: Some(Box::new(Generation {
                common_name: Some("a.example".into()),
                ..generation.clone()
            })),
            ..Seldom::default()
        }
        .into(),
        ..fresh()
    };
    let again = OrderRecord {
        seldom: Seldom {
            reissue: Some(Box::new(Reissue {
                stage: Stage::Preparing,
                earlier: Some(Box::new(Reissue { look: None, ..reissue() })),
                ..reissue()
            })),
            ..Seldom::default()
        }
        .into(),
        ..fresh()
    };
    let sparse = OrderRecord {
        due: None,
        heard: Some(Box::new(heard)),
        seldom: Seldom {
            former: vec![Former {
                account: "main".into(),
                handle: "certificateID 2".into(),
                polled: Time(-1),
                asked: None,
            }],
            domains: Some(Box::new(domains)),
            staged: Some(Box::new(generation.clone())),
            installed: Some(Box::new(Generation { chain: Some(Box::default()), ..generation })),
            pushed: Some(Box::new(pushed)),
            debts,
            ..Seldom::default()
        }
        .into(),
        ..fresh()
    };
    let phases = [
        ("attention", Phase::Attention),
        ("collected", Phase::Collected),
        ("deploying", Phase::Deploying),
        ("guarding", Phase::Guarding),
        ("quarantined", Phase::Quarantined),
        ("rejected", Phase::Rejected),
        ("revoked", Phase::Revoked),
        ("waiting", Phase::Waiting),
    ];
    let phases = phases.map(|(name, phase)| (name, OrderRecord { phase, ..fresh() }));
    let unprobed = OrderRecord {
        seldom: Seldom {
            probed: None,
            alarms: Vec::new(),
            alarmed: false,
            rehearsed: None,
            offered: None,
            held: None,
            at_once: None,
            revoked: None,
            reissue: None,
            tokens: Vec::new(),
            placing: None,
            ..(*full().seldom).clone()
        }
        .into(),
        ..full()
    };
    let rehearsed = OrderRecord {
        seldom: Seldom { rehearsed: Some(Box::new(rehearsed())), ..Seldom::default() }.into(),
        ..fresh()
    };
    let alarmed = OrderRecord {
        seldom: Seldom { alarms: vec![alarm()], alarmed: true, ..Seldom::default() }.into(),
        ..fresh()
    };
    let held = OrderRecord {
        phase: Phase::Collected,
        seldom: Seldom {
            held: Some(Box::new(held())),
            at_once: Some(Fingerprint::from_bytes([2; 32])),
            revoked: Some(Fingerprint::from_bytes([3; 32])),
            ..Seldom::default()
        }
        .into(),
        ..fresh()
    };
    let offered = OrderRecord {
        seldom: Seldom { offered: Some(Box::new(offered())), ..Seldom::default() }.into(),
        ..fresh()
    };
    let probed = OrderRecord {
        seldom: Seldom { probed: Some(Box::new(probed())), ..Seldom::default() }.into(),
        ..fresh()
    };
    let placing = OrderRecord {
        phase: Phase::Collected,
        bundled: true,
        seldom: Seldom { placing: Some("20261120T091200Z-5f3a9c0112345678".into()), ..Seldom::default() }
            .into(),
        ..fresh()
    };
    let others = [
        ("alarmed", alarmed),
        ("full", unprobed),
        ("held", held),
        ("offered", offered),
        ("placing", placing),
        ("probed", probed),
        ("rehearsed", rehearsed),
        ("reissued", reissued),
        ("reissued again", again),
        ("sparse", sparse),
    ];
    phases.into_iter().chain(others).collect()
}

/// What each golden account was written from.
fn accounts() -> Vec<(&'static str, AccountRecord)> {
    let closed = Closed {
        since: 1,
        text: "refused".into(),
        unclear: None,
        again: None,
        refused: None,
        tried: None,
        spent: Vec::new(),
    };
    let sparse = AccountRecord {
        closed: Some(closed),
        unheard: Some(Unheard { calls: 1, until: Time(2), tag: None }),
        details_refused: Some(Refused { since: 6, text: "no".into(), tag: None, login: 1 }),
        replacements: vec![Replacement {
            number: "5".into(),
            csr: Fingerprint::from_bytes([3; 32]),
            key: None,
            at: 8,
            settled: true,
            outcome: Outcome::Unknown(None),
        }],
        ..AccountRecord::default()
    };
    let causes = [
        ("call-limit", Cause::Limit),
        ("connection", Cause::Connection),
        ("garbled", Cause::Garbled),
        ("password", Cause::Password),
        ("retry-after", Cause::Asked),
        ("unanswered", Cause::Unheard),
    ];
    let causes = causes
        .map(|(name, cause)| (name, AccountRecord { paused_for: Some(cause), ..AccountRecord::default() }));
    let quiet = AccountRecord {
        notices: Vec::new(),
        clock_ahead: None,
        reissues: ReissueCalls::default(),
        ..full_account()
    };
    let reissued = AccountRecord {
        reissues: ReissueCalls { sent: vec![26, 27], in_vain: 1 },
        ..AccountRecord::default()
    };
    let noticed =
        AccountRecord { notices: vec![notice()], clock_ahead: Some(601), ..AccountRecord::default() };
    let others = [
        ("fresh", AccountRecord::default()),
        ("full", quiet),
        ("noticed", noticed),
        ("reissued", reissued),
        ("sparse", sparse),
    ];
    causes.into_iter().chain(others).collect()
}

/// What each golden adopted order was written from.
fn adopted() -> [Adopted; 2] {
    let full = Adopted {
        name: "full".into(),
        account: "main".into(),
        number: "12".into(),
        replaced: "5".into(),
        request: Some("MII=".into()),
        since: 9,
    };
    [Adopted { name: "sparse".into(), request: None, ..full.clone() }, full]
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn versions_3_and_4_are_read_and_written_as_they_always_were() {
    let golden = json(GOLDEN);
    for (name, record) in orders() {
        let row = &golden["orders"][name];
        assert_eq!(&json(&write(&record)), row, "{name}");
        assert_eq!(read_order(name, &row.to_string(), here(), NOW).unwrap(), record, "{name}");
    }
    for (name, record) in accounts() {
        let row = &golden["accounts"][name];
        assert_eq!(&json(&write(&record)), row, "{name}");
        assert_eq!(read_account(name, &row.to_string(), here(), NOW).unwrap(), record, "{name}");
    }
    for record in adopted() {
        let row = &golden["adopted"][&*record.name];
        assert_eq!(&json(&write(&record)), row, "{}", record.name);
        assert_eq!(read_adopted(&record.name, &row.to_string()).unwrap(), record);
    }
    let counts = ["orders", "accounts", "adopted"].map(|table| golden[table].as_object().unwrap().len());
    assert_eq!(counts, [orders().len(), accounts().len(), adopted().len()], "no row is left out");
}

/// Adds to each time of the boot: what its key ends in says which they are.
fn shifted(row: Value, by: i64) -> Value {
    let time = |key: &str, value: Value| match value.as_i64() {
        Some(time) if key.ends_with("_ms") => Value::from(time + by),
        _ => shifted(value, by),
    };
    match row {
        Value::Object(row) => row.into_iter().map(|(key, value)| (key.clone(), time(&key, value))).collect(),
        Value::Array(rows) => rows.into_iter().map(|row| shifted(row, by)).collect(),
        plain => plain,
    }
}

#[test]
fn every_time_of_another_boot_is_translated_and_nothing_else() {
    const LATER: i64 = 1000;
    let there = Origin { same_boot: false, offset: Some(NOW.offset() + LATER), present: Some(NOW.offset()) };
    let golden = json(GOLDEN);
    for (name, row) in golden["orders"].as_object().unwrap() {
        let read = read_order(name, &row.to_string(), there, NOW).unwrap();
        assert_eq!(json(&write(&read)), shifted(row.clone(), LATER), "{name}");
    }
    for (name, row) in golden["accounts"].as_object().unwrap() {
        let read = read_account(name, &row.to_string(), there, NOW).unwrap();
        assert_eq!(json(&write(&read)), shifted(row.clone(), LATER), "{name}");
    }
}

/// Adds a key to the object that the path leads to.
fn with_new_key(mut row: Value, path: &str) -> String {
    row.pointer_mut(path).unwrap().as_object_mut().unwrap().insert("new".into(), Value::from(1));
    row.to_string()
}

/// A newer program's key that went unheeded would be lost with the next save.
#[test]
fn a_key_that_is_not_known_is_refused_wherever_it_is() {
    let golden = json(GOLDEN);
    let order = golden["orders"]["full"].clone();
    for path in [
        "",
        "/former/0",
        "/heard",
        "/domains",
        "/domains/heard",
        "/installed",
        "/installed/files/0",
        "/hooks/0",
        "/pushed",
        "/pushed/revocation",
        "/trouble",
    ] {
        let odd = read_order("www", &with_new_key(order.clone(), path), here(), NOW);
        assert!(odd.unwrap_err().to_string().contains("unknown field `new`"), "{path}");
    }
    let account = golden["accounts"]["full"].clone();
    for path in ["", "/closed", "/unheard", "/details_refused", "/announced", "/replacements/0"] {
        let odd = read_account("main", &with_new_key(account.clone(), path), here(), NOW);
        assert!(odd.unwrap_err().to_string().contains("unknown field `new`"), "{path}");
    }
    let adopted = golden["adopted"]["full"].clone();
    let odd = read_adopted("mail", &with_new_key(adopted, ""));
    assert!(odd.unwrap_err().to_string().contains("unknown field `new`"));
}
