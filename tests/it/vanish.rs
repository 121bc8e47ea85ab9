//! The state taken away from under a daemon at work: no call, no installation and no hook until it is back or somebody
//! starts anew, and no second process beside it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{Fault, FaultSpec, OrderSpec, Product, Step};

use crate::proof::{figure, number};
use crate::setting::Setting;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Database,
    Log,
    Index,
    Lock,
    /// All that is in the state directory.
    Everything,
    /// The state directory.
    Directory,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Removed,
    MovedAway,
    /// Another file, or directory, is put into its place by rename.
    Another,
    /// An older copy is put into its place by rename.
    Restored,
    /// An older copy is written over it.
    CopiedOver,
}

/// When.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Nothing is due for hours.
    Idle,
    /// Polls are due all the time.
    Due,
    /// The vendor is at work on a call.
    Call,
    /// A hook runs.
    Hook,
}

const WHATS: [What; 6] =
    [What::Database, What::Log, What::Index, What::Lock, What::Everything, What::Directory];
const WAYS: [Way; 5] = [Way::Removed, Way::MovedAway, Way::Another, Way::Restored, Way::CopiedOver];
const MOMENTS: [Moment; 4] = [Moment::Idle, Moment::Due, Moment::Call, Moment::Hook];

impl What {
    fn names(self) -> &'static [&'static str] {
        match self {
            What::Database => &["state.db"],
            What::Log => &["state.db-wal"],
            What::Index => &["state.db-shm"],
            What::Lock => &["lock"],
            What::Everything => &["state.db", "state.db-wal", "state.db-shm", "lock", "control.sock"],
            What::Directory => &["."],
        }
    }

    /// A lock or an index that is written over is the same file; there is no copy of a socket.
    fn can(self, way: Way) -> bool {
        way != Way::CopiedOver || matches!(self, What::Database | What::Log)
    }
}

type Checked = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

fn setting(moment: Moment) -> Setting {
    let mut setting = Setting::new();
    let waits = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    match moment {
        Moment::Hook => {
            setting.order("www", waits, "hooks = [\"slow\"]\n[order.verify]\ntrust = \"off\"");
            setting.table(
                "[[hook]]\nname = \"slow\"\nrun = [\"/bin/sh\", \"-c\", \
                 \"echo run >> $DIR/hooks; while [ ! -e $DIR/go ]; do sleep 0.02; done\"]",
            );
        }
        _ => _ = setting.order("www", waits.with_script(vec![Step::pending(1_000_000)]), ""),
    }
    let interval = if moment == Moment::Idle { "3h" } else { "300ms" };
    setting.polling(&format!(
        "interval = \"{interval}\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"\nconnect_timeout = \"5s\"\nrequest_timeout = \"5s\""
    ));
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    setting.write("hooks", "");
    setting
}

fn health(setting: &Setting) -> String {
    use std::io::{Read, Write};
    let log = setting.log();
    let words = "[http] listens on ";
    let (_, rest) = log.rsplit_once(words).expect("it listens");
    let address = rest.split_whitespace().next().unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

/// Brings the daemon to this moment. An older copy of its files lies in `older` by then.
fn until(setting: &mut Setting, moment: Moment) {
    setting.start();
    setting.until("it was asked", |setting| setting.order_status("www")["polls"] != 0);
    fs::create_dir(setting.path("older")).unwrap();
    fs::set_permissions(setting.path("older"), PermissionsExt::from_mode(0o700)).unwrap();
    for name in ["state.db", "state.db-wal", "state.db-shm", "lock"] {
        fs::copy(setting.path("state").join(name), setting.path("older").join(name)).unwrap();
    }
    match moment {
        Moment::Idle => {}
        // What was copied is to be older.
        Moment::Due => setting.until("it goes on", {
            let before = setting.calls("1");
            move |setting| setting.calls("1") > before + 2
        }),
        Moment::Call => {
            setting.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 700 })).unwrap();
            let before = setting.calls("1");
            setting.until("a call is in flight", |setting| {
                let all = setting.vendor().vendor().record().counters().all;
                all.calls > before + 1 && all.in_flight > 0
            });
        }
        Moment::Hook => setting.until("the hook runs", |setting| setting.holds("hooks", "run\n")),
    }
}

/// What is put into its place is no state of ours.
fn another(at: &Path) {
    fs::write(at, "").unwrap();
    fs::set_permissions(at, PermissionsExt::from_mode(0o600)).unwrap();
}

fn take(setting: &Setting, what: What, way: Way) {
    let (state, away, older) = (setting.path("state"), setting.path("away"), setting.path("older"));
    if what == What::Directory {
        match way {
            // What SQLite makes at the same moment is in the way.
            Way::Removed => while fs::remove_dir_all(&state).is_err() {},
            Way::MovedAway => fs::rename(&state, &away).unwrap(),
            Way::Another | Way::Restored | Way::CopiedOver => {
                fs::rename(&state, &away).unwrap();
                if way == Way::Restored {
                    fs::rename(&older, &state).unwrap();
                } else {
                    fs::create_dir(&state).unwrap();
                    fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
                }
            }
        }
        return;
    }
    fs::create_dir(&away).unwrap();
    for name in what.names() {
        let (here, old) = (state.join(name), older.join(name));
        match way {
            Way::Removed => fs::remove_file(here).unwrap(),
            Way::MovedAway => fs::rename(&here, away.join(name)).unwrap(),
            Way::Another => {
                another(&away.join(name));
                fs::rename(away.join(name), here).unwrap();
            }
            Way::Restored if old.exists() => fs::rename(old, here).unwrap(),
            Way::Restored => {}
            Way::CopiedOver => _ = fs::copy(old, here).unwrap(),
        }
    }
}

fn put_back(setting: &Setting, what: What) {
    if what == What::Directory {
        return fs::rename(setting.path("away"), setting.path("state")).unwrap();
    }
    for name in what.names() {
        fs::rename(setting.path("away").join(name), setting.path("state").join(name)).unwrap();
    }
}

/// Some intervals later, by the clock that the daemon reads as well.
fn later(setting: &Setting) {
    let due = clock::now().time + Duration::from_millis(1000);
    setting.until("some intervals are over", |_| clock::now().time >= due);
}

/// One state taken away, from the first start to the end.
fn one(what: What, way: Way, moment: Moment) -> Checked {
    let mut setting = setting(moment);
    until(&mut setting, moment);
    let polls = setting.order_status("www")["polls"].as_u64();
    take(&setting, what, way);
    // A call whose way was free just before may still come in.
    let most = setting.calls("1") + 1;
    setting.until("it is told", |setting| {
        let (code, said) = setting.call(&["status", "--nagios"]);
        code == 2 && said.contains("it has stopped calling and installing")
    });
    ensure(health(&setting).starts_with("HTTP/1.1 503"), || format!("health: {}", health(&setting)))?;
    ensure(setting.log().contains("the state cannot be saved: "), || "no word in the log".into())?;
    let (code, said) = setting.call(&["status"]);
    ensure(code == 1 && said.contains("it has stopped calling"), || format!("status: {code} {said}"))?;
    let (code, said) = setting.call(&["explain", "www"]);
    ensure(code == 1 && said.contains("it has stopped calling"), || format!("explain: {code} {said}"))?;
    // Its socket may have gone as well, which does not make it nobody.
    let (code, said) = setting.call(&["health"]);
    let is_told =
        code == 0 && said.contains("cannot be saved") || code == 1 && said.contains("it has stopped calling");
    ensure(is_told, || format!("health: {code} {said}"))?;
    let (code, said) = setting.call(&["check"]);
    let is_told = code == 2 && said.contains("it has stopped calling") && !said.contains("listens there");
    ensure(is_told, || format!("check: {code} {said}"))?;
    let listing = || {
        let entries = fs::read_dir(setting.path("state")).ok()?;
        Some(entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>())
    };
    let before = listing();
    for arguments in [&["poll", "www"][..], &["once"], &["run"], &["resume", "--account", "main"]] {
        let (code, said) = setting.call(arguments);
        ensure(code == 1 || code == 2, || format!("{arguments:?} beside it: {code} {said}"))?;
    }
    if !matches!(what, What::Database | What::Log | What::Index) {
        ensure(listing() == before, || format!("something was made: {before:?}, then {:?}", listing()))?;
    }
    later(&setting);
    ensure(setting.calls("1") <= most, || format!("{} calls, at most {most}", setting.calls("1")))?;
    setting.write("go", "");
    if moment == Moment::Hook {
        later(&setting);
        ensure(setting.read("hooks") == "run\n", || "another hook was run".into())?;
    }
    let going_on = |setting: &Setting| {
        let before = setting.all_calls();
        match moment {
            Moment::Idle => {
                let (code, said) = setting.call(&["poll", "www"]);
                ensure(code == 0, || format!("poll: {code} {said}"))
            }
            _ => {
                setting.until("it goes on", |setting| setting.all_calls() > before);
                Ok(())
            }
        }
    };
    if way == Way::MovedAway {
        put_back(&setting, what);
        setting.until("it says so", |setting| !setting.call(&["status", "--nagios"]).1.contains("stopped"));
        setting.until("it is well", |setting| health(setting).starts_with("HTTP/1.1 200"));
        going_on(&setting)?;
        ensure(setting.stop() == Some(0), || "no end in order".into())?;
    } else {
        setting.stop();
        let beside = matches!(what, What::Log | What::Index | What::Lock) && way != Way::CopiedOver;
        // What it says to do.
        if !beside {
            for name in ["state.db-wal", "state.db-shm"] {
                let _ = fs::remove_file(setting.path("state").join(name));
            }
        }
        setting.start_again();
        setting.until_up(2);
        if beside {
            let known = setting.order_status("www")["polls"].as_u64();
            ensure(known >= polls, || format!("{polls:?} polls were known, now {known:?}"))?;
            let told = setting.log().contains("then nothing is lost");
            ensure(told, || "it is not said that nothing is lost".into())?;
        } else if moment == Moment::Idle {
            // A state that is gone is a cold start; from an older one it goes on.
            setting.until("it is known", |setting| setting.order_status("www")["polls"] != 0);
        }
        going_on(&setting)?;
        ensure(setting.stop() == Some(0), || "no end in order after the next start".into())?;
    }
    let record = setting.vendor().vendor().record().counters().all;
    ensure(record.max_in_flight <= 1, || format!("{} calls in flight", record.max_in_flight))?;
    ensure(!setting.log().contains("panicked"), || "it panicked".into())
}

fn named(what: What, way: Way, moment: Moment) -> Checked {
    one(what, way, moment).map_err(|why| format!("{what:?} {way:?} {moment:?}: {why}"))
}

#[test]
fn nothing_is_done_beside_a_state_that_was_taken_away() {
    for (what, way, moment) in [
        (What::Database, Way::Removed, Moment::Due),
        (What::Database, Way::CopiedOver, Moment::Idle),
        (What::Log, Way::MovedAway, Moment::Call),
        (What::Lock, Way::Removed, Moment::Due),
        (What::Directory, Way::Removed, Moment::Idle),
        (What::Directory, Way::MovedAway, Moment::Hook),
    ] {
        named(what, way, moment).unwrap();
    }
}

#[test]
#[ignore = "tests/proof runs it: it takes a quarter of an hour"]
fn whatever_is_taken_away_whenever() {
    let threads = usize::try_from(number("PROOF_THREADS", 4)).unwrap();
    let mut cases = Vec::new();
    for what in WHATS {
        for way in WAYS.into_iter().filter(|way| what.can(*way)) {
            cases.extend(MOMENTS.map(|moment| (what, way, moment)));
        }
    }
    let stride = usize::try_from(number("PROOF_VANISH_STRIDE", 1)).unwrap().max(1);
    let cases: Vec<_> = cases.into_iter().step_by(stride).collect();
    let done = crate::proof::for_each(threads, |at| match cases.get(at as usize) {
        Some((what, way, moment)) => named(*what, *way, *moment).map(|()| true),
        None => Ok(false),
    });
    figure(&format!(
        "{} times files of the state taken away from a daemon at work: 0 calls, installations or hooks until it was mended, told \
         each time, never a second process beside it; moved back, it went on by itself",
        done.unwrap_or_else(|why| panic!("{why}"))
    ));
}

/// A login that was refused while the state was away closes the account for good, once the state is back.
#[test]
fn an_account_that_was_closed_while_the_state_was_away_stays_closed() {
    let mut setting = setting(Moment::Call);
    until(&mut setting, Moment::Call);
    setting.write("password", "wrong");
    let refused = |setting: &Setting| setting.vendor().vendor().record().counters().all.logins_refused;
    // The password is read before each call, so the next one is refused.
    setting.until("a call with the wrong password is in flight", |setting| {
        setting.vendor().vendor().record().counters().all.in_flight > 0 && setting.log().contains("changed")
            || refused(setting) > 0
    });
    take(&setting, What::Everything, Way::MovedAway);
    setting.until("it is told", |setting| setting.call(&["status", "--nagios"]).0 == 2);
    put_back(&setting, What::Everything);
    setting.until("it is closed", |setting| setting.status()["accounts"][0]["state"] == "closed");
    assert_eq!(refused(&setting), 1);
    setting.kill();
    setting.start_again();
    setting.until_up(2);
    later(&setting);
    assert_eq!(refused(&setting), 1, "one login was refused, and none since");
    assert_eq!(setting.stop(), Some(0));
}
