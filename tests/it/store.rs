//! The state file: damaged, of a newer version, restored, full of what it should be.

use std::time::Duration;

use certcollectd::effects::store::error::StoreError;
use certcollectd::effects::store::load::Reader;
use certcollectd::effects::store::lock::Lock;
use certcollectd::effects::store::save::Store;
use certcollectd::sources::clock;
use certcollectd_core::engine::account::record::{AccountRecord, Closed};
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::note::NoteKind;
use certcollectd_core::engine::note::{Level, Note};
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_sandbox::{OrderSpec, Product, Step};

use crate::setting::{Setting, said};

fn open(dir: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(dir, lock(dir)?)
}

fn lock(dir: &std::path::Path) -> Result<Lock, StoreError> {
    let start = clock::now().time;
    loop {
        match Lock::take(dir) {
            // A child that another test starts just now holds a copy of every descriptor until it runs its program.
            Err(StoreError::Locked { .. }) if clock::now().time.since(start) < Duration::from_secs(10) => {
                std::thread::yield_now();
            }
            lock => return lock,
        }
    }
}

/// A state with a closed account, some orders and a bundle.
fn fill(dir: &std::path::Path) {
    let now = clock::now();
    let mut store = open(dir).unwrap();
    let mut changes = Changes { offset: Some(now.offset()), ..Changes::default() };
    let closed = Closed {
        since: 1,
        text: "refused".into(),
        unclear: None,
        again: None,
        refused: None,
        tried: None,
        spent: Vec::new(),
    };
    changes
        .accounts
        .push(("main".into(), AccountRecord { closed: Some(closed), ..AccountRecord::default() }));
    for at in 0..20 {
        let mut record = OrderRecord::new("main".into(), format!("orderNumber {at}").into(), now);
        record.bundled = at == 0;
        changes.orders.push((format!("o{at}").into(), record));
    }
    let bundle = certcollectd_core::cert::unpack(include_bytes!("../data/cert/bundle.pem")).unwrap();
    changes.bundles.push(("o0".into(), Some(bundle)));
    store.save(&changes).unwrap();
}

#[test]
fn what_was_saved_is_loaded() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let store = open(temp.path()).unwrap();
    let loaded = store.load(clock::now()).unwrap();
    assert_eq!(loaded.orders.len(), 20);
    assert!(loaded.orders["o0"].bundle.is_some());
    assert!(loaded.accounts["main"].closed.is_some());
    // While it is open for writing, it can be read.
    let read = Reader::open(temp.path()).unwrap().unwrap().load(clock::now()).unwrap();
    assert_eq!(read.orders.len(), 20);
}

#[test]
fn a_state_that_was_cut_off_in_a_transaction_can_be_read_before_the_next_start() {
    let (temp, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(temp.path());
    // The first start writes with a journal, and so does a state on NFS.
    let connection = rusqlite::Connection::open(temp.path().join("state.db")).unwrap();
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
    connection.execute_batch("BEGIN; DELETE FROM orders").unwrap();
    connection.cache_flush().unwrap();
    for name in ["state.db", "state.db-journal"] {
        std::fs::copy(temp.path().join(name), after.path().join(name)).unwrap();
    }
    let read = Reader::open(after.path()).unwrap().unwrap().load(clock::now()).unwrap();
    assert_eq!(read.orders.len(), 20);
}

#[test]
fn a_second_process_is_kept_out_and_told_by_whom() {
    let temp = tempfile::tempdir().unwrap();
    let lock = Lock::take(temp.path()).unwrap();
    let error = Lock::take(temp.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    drop(lock);
    open(temp.path()).unwrap();
}

#[test]
fn history_is_bounded_for_each_order() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = open(temp.path()).unwrap();
    for at in 0..250 {
        let note = |order: &str| Note {
            level: Level::Info,
            kind: NoteKind::Clock,
            order: Some(order.into()),
            account: None,
            at,
            text: format!("line {at}"),
        };
        store.save(&Changes { history: vec![note("a"), note("b")], ..Changes::default() }).unwrap();
    }
    let lines = Reader::open(temp.path()).unwrap().unwrap().history("a").unwrap();
    assert_eq!(lines.len(), 200);
    assert_eq!((lines[0].text.as_str(), lines[199].text.as_str()), ("line 50", "line 249"));
}

/// Anybody may be able to send a push notification.
#[test]
fn push_notifications_push_nothing_else_out_of_a_history() {
    let temp = tempfile::tempdir().unwrap();
    let mut store = open(temp.path()).unwrap();
    let note = |kind: NoteKind, at| Note {
        level: Level::Info,
        kind,
        order: Some("a".into()),
        account: None,
        at,
        text: format!("line {at}"),
    };
    let history =
        (0..50).map(|at| note(NoteKind::Clock, at)).chain((50..1000).map(|at| note(NoteKind::Push, at)));
    store.save(&Changes { history: history.collect(), ..Changes::default() }).unwrap();
    let lines = Reader::open(temp.path()).unwrap().unwrap().history("a").unwrap();
    assert_eq!(lines.len(), 110);
    assert_eq!((lines[0].text.as_str(), lines[109].text.as_str()), ("line 0", "line 999"));
}

#[test]
fn a_newer_state_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let path = temp.path().join("state.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let error = open(temp.path()).unwrap_err();
    assert!(matches!(error, StoreError::Newer(_, 99)), "{error}");
    assert!(error.to_string().contains("newer certcollectd"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Files may not grow beyond what opening the state takes: soon each save fails, and goes on failing.
#[test]
fn once_gives_up_when_the_state_cannot_be_saved() {
    let mut setting = Setting::new();
    for at in 0..40 {
        let spec = OrderSpec::new(Product::Ssl, &format!("70{at}"), &["www.example.com"]);
        setting.order(&format!("o{at}"), spec.with_script(vec![Step::pending(1_000_000)]), "");
    }
    setting.polling("interval = \"300ms\"\ncall_gap = \"0s\"");
    assert_eq!(setting.once(&[]).0, 3);
    let confined = |arguments: &[&str]| {
        let plain = setting.command(arguments);
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"]).arg(plain.get_program());
        said(&command.args(plain.get_args()).output().unwrap())
    };
    let (code, text) = loop {
        match confined(&["once"]) {
            // Too little was due for the files to grow that far.
            (3, _) => {}
            ended => break ended,
        }
    };
    assert_eq!(code, 1, "{text}");
    assert!(
        text.matches("the state cannot be saved: ").count() >= 3,
        "it tries again before it gives up: {text}"
    );
    assert!(text.contains("gave up"), "{text}");
}

#[test]
fn check_finds_what_a_start_would_stumble_over() {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.once(&[]);
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 0, "{said}");
    let path = setting.path("state/state.db");
    let sound = std::fs::read(&path).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    for (version, words) in [(99, "written by a newer certcollectd"), (-5, "there is no version -5 of it")] {
        connection.pragma_update(None, "user_version", version).unwrap();
        for arguments in [&["check"][..], &["once"]] {
            let (code, said) = setting.call(arguments);
            assert!(matches!(code, 1 | 2) && said.contains(words), "{said}");
        }
    }
    drop(connection);
    // Something that nobody can open, not even root.
    let lock = setting.path("state/lock");
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("lock", &lock).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert!(code == 2 && said.contains("state/lock: too many levels of symbolic links"), "{said}");
    std::fs::remove_file(&lock).unwrap();
    for damage in [&sound[..sound.len() / 2], &sound[..50], b"something else".as_slice()] {
        std::fs::write(&path, damage).unwrap();
        let (code, said) = setting.call(&["check"]);
        assert!(code == 2 && said.contains("state.db is damaged"), "{said}");
        assert!(said.contains("state_dir = "), "with its place: {said}");
        assert_eq!(std::fs::read(&path).unwrap(), damage, "left as it was");
    }
}

/// What is in a directory, without the lock.
fn names(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn reading_leaves_nothing_behind_and_needs_no_room() {
    let temp = tempfile::tempdir().unwrap();
    // Characters that mean something in a URI.
    let dir = temp.path().join("a+b %41?c=d#e");
    fill(&dir);
    let before = names(&dir);
    assert!(!before.iter().any(|name| name.ends_with("-wal")), "its writer ended in order: {before:?}");
    let reader = Reader::open(&dir).unwrap().unwrap();
    assert_eq!(reader.load(clock::now()).unwrap().orders.len(), 20);
    reader.check(clock::now()).unwrap();
    assert_eq!(names(&dir), before);
    // While somebody works with it, what is in its log is read as well.
    let mut store = open(&dir).unwrap();
    let record = OrderRecord::new("main".into(), "orderNumber 99".into(), clock::now());
    store.save(&Changes { orders: vec![("new".into(), record)], ..Changes::default() }).unwrap();
    let reader = Reader::open(&dir).unwrap().unwrap();
    assert_eq!(reader.load(clock::now()).unwrap().orders.len(), 21);
}

#[test]
fn there_may_be_links_on_the_way_to_the_state() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("disk/lib")).unwrap();
    std::os::unix::fs::symlink("disk", temp.path().join("var")).unwrap();
    let dir = temp.path().join("var/lib/state");
    fill(&dir);
    std::os::unix::fs::symlink("disk/lib/state", temp.path().join("link")).unwrap();
    for dir in [dir, temp.path().join("link")] {
        assert_eq!(open(&dir).unwrap().load(clock::now()).unwrap().orders.len(), 20);
        assert_eq!(Reader::open(&dir).unwrap().unwrap().load(clock::now()).unwrap().orders.len(), 20);
    }
}

/// Damage is noticed, or does no harm: in no case does a closed account come out as open, or an order vanish.
fn is_noticed_or_harmless(dir: &std::path::Path, what: &str) -> bool {
    match open(dir).and_then(|store| store.load(clock::now())) {
        Err(StoreError::Damaged { .. } | StoreError::Newer(..) | StoreError::Io { .. }) => true,
        Err(error) => panic!("{what}: {error:?}"),
        Ok(loaded) => {
            assert!(
                loaded.accounts.get("main").is_some_and(|main| main.closed.is_some()),
                "{what}: the account opened"
            );
            assert_eq!(loaded.orders.len(), 20, "{what}: an order vanished");
            false
        }
    }
}

#[test]
fn a_damaged_state_is_noticed_wherever_it_is_damaged() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let good = std::fs::read(temp.path().join("state.db")).unwrap();
    assert!(!temp.path().join("state.db-wal").exists(), "the state was closed in order");
    let step = if std::env::var_os("STATE_EVERY_OFFSET").is_some() { 1 } else { 97 };
    let mut noticed = 0;
    let mut tried = 0;
    for offset in (0..good.len()).step_by(step) {
        for (how, bytes) in [("flipped", flip(&good, offset)), ("truncated", good[..offset].to_vec())] {
            // An empty file is a lost one: a cold start.
            if bytes.is_empty() {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("state.db"), bytes).unwrap();
            tried += 1;
            noticed += u32::from(is_noticed_or_harmless(dir.path(), &format!("{how} at {offset}")));
        }
    }
    println!(
        "PROOF-FIGURE {noticed} of {tried} damages (flipped or truncated) were noticed, the others did no harm"
    );
    assert!(noticed > tried / 2);
}

fn flip(good: &[u8], offset: usize) -> Vec<u8> {
    let mut bytes = good.to_vec();
    bytes[offset] ^= 0x55;
    bytes
}

#[test]
fn a_damaged_state_is_never_overwritten() {
    let temp = tempfile::tempdir().unwrap();
    fill(temp.path());
    let path = temp.path().join("state.db");
    let good = std::fs::read(&path).unwrap();
    // Within the text of a record: only the check sum can tell.
    let at = good.windows(13).position(|word| word == b"orderNumber 7").unwrap();
    let bad = flip(&good, at + 12);
    std::fs::write(&path, &bad).unwrap();
    let error =
        open(temp.path()).and_then(|store| store.load(clock::now()).map(drop)).unwrap_err().to_string();
    assert!(error.contains("is damaged") && error.contains("move it"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bad);
    assert!(Reader::open(temp.path()).unwrap().unwrap().load(clock::now()).is_err(), "status says so, too");
}

#[test]
fn a_state_of_another_boot_keeps_its_schedule() {
    let temp = tempfile::tempdir().unwrap();
    let now = clock::now();
    let mut store = open(temp.path()).unwrap();
    let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), now);
    record.due = Some(now.time + Duration::from_secs(3600));
    let changes =
        Changes { orders: vec![("www".into(), record)], offset: Some(now.offset()), ..Changes::default() };
    store.save(&changes).unwrap();
    drop(store);
    // As if written an hour and a boot ago: by then the clock of that boot had begun elsewhere.
    let connection = rusqlite::Connection::open(temp.path().join("state.db")).unwrap();
    connection.execute("UPDATE boots SET boot = 'another', offset_ms = offset_ms - 600000", []).unwrap();
    let text: String = connection.query_row("SELECT record FROM orders", [], |row| row.get(0)).unwrap();
    let sum = certcollectd_core::state::sum(
        certcollectd_core::state::VERSION,
        "orders",
        &[b"www", b"another", text.as_bytes()],
    );
    connection.execute("UPDATE orders SET boot = 'another', sum = ?1", [sum]).unwrap();
    drop(connection);
    let loaded = open(temp.path()).unwrap().load(now).unwrap();
    let due = loaded.orders["www"].record.due.unwrap();
    assert_eq!(due, now.time + Duration::from_secs(3000));
}

#[test]
fn boots_of_which_nothing_is_left_are_forgotten() {
    let temp = tempfile::tempdir().unwrap();
    let boots = || -> u32 {
        let connection = rusqlite::Connection::open(temp.path().join("state.db")).unwrap();
        connection.query_row("SELECT count(*) FROM boots", [], |row| row.get(0)).unwrap()
    };
    let now = clock::now();
    for at in 0..200 {
        let mut store =
            Store::open_in_boot(temp.path(), lock(temp.path()).unwrap(), format!("boot {at}")).unwrap();
        let record = OrderRecord::new("main".into(), "orderNumber 1".into(), now);
        // One order was last written in the first boot, another one in each.
        let name = if at == 0 { "old" } else { "www" };
        let orders = vec![(name.into(), record)];
        store.save(&Changes { orders, offset: Some(now.offset() + at), ..Changes::default() }).unwrap();
        assert!(boots() <= 65, "{} boots after {at} starts", boots());
    }
    let connection = rusqlite::Connection::open(temp.path().join("state.db")).unwrap();
    let left: i64 = connection
        .query_row("SELECT offset_ms FROM boots WHERE boot = 'boot 0'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, now.offset(), "a record is left of it");
}

#[test]
fn a_start_that_cannot_learn_its_boot_keeps_the_schedule_of_every_start_before() {
    let temp = tempfile::tempdir().unwrap();
    let now = clock::now();
    let due = Duration::from_secs(3600);
    // Three boots without an id, each a hundred days longer up than the one before, and a start within the last.
    for (at, days) in [(0, 0), (1, 100), (2, 200), (3, 200)] {
        let time = Time(now.time.0 + days * 86_400_000);
        let then = Now { time, wall: now.wall };
        let unknown = if at == 1 { String::new() } else { format!("unknown-{at}") };
        let mut store = Store::open_in_boot(temp.path(), lock(temp.path()).unwrap(), unknown).unwrap();
        let loaded = store.load(then).unwrap();
        assert_eq!(loaded.orders.len(), at);
        for (name, order) in &loaded.orders {
            assert_eq!(order.record.due, Some(then.time + due), "{name} at start {at}");
        }
        let mut record = OrderRecord::new("main".into(), "orderNumber 1".into(), then);
        record.due = Some(then.time + due);
        let orders = vec![(format!("o{at}").into(), record)];
        store.save(&Changes { orders, offset: Some(then.offset()), ..Changes::default() }).unwrap();
    }
}
