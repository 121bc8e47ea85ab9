//! Real processes in the place of a web server's container.

#![allow(clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// A condition that does not come true within this has failed.
const PATIENCE: Duration = Duration::from_secs(90);

/// A server: it writes down what it is told, and ends on TERM with 7.
const SERVER: &str = "#!/bin/sh
trap 'echo reload >>log' HUP
trap 'echo term >>log; exit 7' TERM
echo start >>log
while :; do sleep 1 & wait $!; done
";

/// A directory of certificates, and a companion in it. The companion is ended with the test.
struct Place {
    dir: tempfile::TempDir,
    companions: Vec<Child>,
}

impl Place {
    fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap(), companions: Vec::new() };
        place.script("server", SERVER);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn script(&self, name: &str, text: &str) {
        // A process that is just being started elsewhere holds what is open for writing.
        fs::write(self.path("new"), text).unwrap();
        fs::set_permissions(self.path("new"), PermissionsExt::from_mode(0o755)).unwrap();
        let copied = Command::new("cp").arg(self.path("new")).arg(self.path(name)).status().unwrap();
        assert!(copied.success());
    }

    /// Lets the link lead to a generation, in one step.
    fn install(&self, generation: &str) {
        let store = self.path(".www");
        fs::create_dir_all(store.join(generation)).unwrap();
        fs::write(store.join(generation).join("cert.pem"), generation).unwrap();
        self.point_at(&format!(".www/{generation}"));
    }

    fn point_at(&self, target: &str) {
        symlink(target, self.path(".link")).unwrap();
        fs::rename(self.path(".link"), self.path("www")).unwrap();
    }

    /// Starts a companion for `www`, with options and the server behind them.
    fn follow(&mut self, arguments: &[&str]) -> &mut Place {
        let log = fs::File::options().create(true).append(true).open(self.path("said")).unwrap();
        let mut command = self.command(&["www"]);
        let companion = command.args(arguments).stderr(log).spawn().unwrap();
        self.companions.push(companion);
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd-follow"));
        command.args(arguments).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.companions.last().unwrap());
        kill_process(pid, signal).unwrap();
    }

    /// The exit code of the companion.
    fn ended(&mut self) -> Option<i32> {
        self.companions.pop().unwrap().wait().unwrap().code()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.text(name).lines().map(str::to_owned).collect()
    }

    fn report(&self) -> Value {
        serde_json::from_str(&self.text("follow-report@web")).unwrap_or_default()
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Place) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let late = start.elapsed() > PATIENCE;
            assert!(
                !late,
                "{what}\nlog: {}\nreport: {}\n{}",
                self.text("log"),
                self.report(),
                self.text("said")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_reported(&self, generation: &str, ok: bool) {
        self.until(&format!("{generation} is reported, {ok}"), |place| {
            let report = place.report();
            report["generations"]["www"] == generation && report["ok"] == ok
        });
    }

    fn until_said(&self, words: &str) {
        self.until(&format!("it says {words}"), |place| place.text("said").contains(words));
    }

    /// What the daemon asks.
    fn ask(&self, id: &str, again: bool) {
        let request = json!({ "version": 1, "id": id, "again": again });
        fs::write(self.path("request"), request.to_string()).unwrap();
        fs::rename(self.path("request"), self.path("follow-request@web")).unwrap();
    }

    fn until_answered(&self, id: &str) {
        self.until(&format!("{id} is answered"), |place| place.report()["answers"] == id);
    }

    fn server(&self) -> Pid {
        let said = self.text("said");
        let number = said.split("process ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        Pid::from_raw(number.parse().unwrap()).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for companion in &mut self.companions {
            // The server must not outlive it, whatever it ignores.
            let _ = kill_process(Pid::from_child(companion), Signal::TERM);
            if let Ok(said) = fs::read_to_string(self.dir.path().join("said")) {
                for number in said.split("process ").skip(1).filter_map(|rest| rest.split(' ').next()) {
                    if let Some(pid) = number.parse().ok().and_then(Pid::from_raw)
                        && is_child_of(pid, companion.id())
                    {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                }
            }
            let _ = companion.wait();
        }
    }
}

fn is_child_of(pid: Pid, parent: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap_or_default();
    status
        .lines()
        .any(|line| line.strip_prefix("PPid:").is_some_and(|ppid| ppid.trim() == parent.to_string()))
}

#[test]
fn the_first_certificate_starts_the_server_and_each_further_one_reloads_it() {
    let mut place = Place::new();
    place.follow(&["--wait", "--", "./server"]);
    place.until_said("waiting for the first certificate: ./www: it does not exist");
    place.point_at(".www/nothing");
    place.until_said("it is a link to .www/nothing, which does not exist");
    assert_eq!(place.text("log"), "", "nothing was started");
    place.install("one");
    place.until_reported("one", true);
    assert_eq!(place.lines("log"), ["start"]);
    place.install("two");
    place.until_reported("two", true);
    assert_eq!(place.lines("log"), ["start", "reload"]);
    place.signal(Signal::TERM);
    assert_eq!(place.ended(), Some(7), "the exit code of the server");
    assert_eq!(place.report()["ok"], true, "it was told to stop");
    assert_eq!(place.lines("log"), ["start", "reload", "term"]);
}

#[test]
fn a_failed_test_is_reported_and_made_again_when_the_daemon_asks() {
    let mut place = Place::new();
    place.script(
        "check",
        "#!/bin/sh\nset -e\necho checking\nif [ -e broken ]; then echo 'no \"such\" file' >&2; exit 3; fi\n",
    );
    place.install("one");
    place.follow(&["--test", "./check", "--", "./server"]).until_reported("one", true);
    fs::write(place.path("broken"), "").unwrap();
    place.install("two");
    place.until_reported("two", false);
    let report = place.report();
    assert_eq!(
        (&report["why"], &report["last_line"]),
        (&json!("`./check` failed: exit code 3"), &json!("no \"such\" file"))
    );
    assert_eq!(place.lines("log"), ["start"], "the server was left alone");
    place.ask("first", false);
    place.until_answered("first");
    assert_eq!(place.report()["ok"], false, "tried again, in vain");
    fs::remove_file(place.path("broken")).unwrap();
    place.ask("second", false);
    place.until_answered("second");
    assert_eq!(place.report()["ok"], true);
    assert_eq!(place.lines("log"), ["start", "reload"]);
    place.ask("third", false);
    place.until_answered("third");
    assert_eq!(place.lines("log"), ["start", "reload"], "what is done is not done again");
    place.ask("rehearsal", true);
    place.until_answered("rehearsal");
    assert_eq!(place.lines("log"), ["start", "reload", "reload"]);
}

#[test]
fn it_ends_as_the_server_ends() {
    let mut place = Place::new();
    place.install("one");
    place.follow(&["--", "./server"]).until_reported("one", true);
    kill_process(place.server(), Signal::KILL).unwrap();
    assert_eq!(place.ended(), Some(128 + 9));
    assert_eq!(place.report()["why"], "the server ended: killed by signal 9");
    place.follow(&["--", "sh", "-c", "exit 5"]);
    assert_eq!(place.ended(), Some(5));
    assert_eq!(place.report()["why"], "the server ended: exit code 5");
    place.follow(&["--", "./nowhere"]);
    assert_eq!(place.ended(), Some(127));
    assert_eq!(place.report()["why"], "./nowhere cannot be started: no such file or directory");
    place.until_said("./nowhere cannot be started: no such file or directory");
    fs::remove_file(place.path("www")).unwrap();
    place.follow(&["--wait", "--", "./server"]).until_said("waiting for the first certificate");
    place.signal(Signal::TERM);
    assert_eq!(place.ended(), Some(128 + 15), "there was no server to pass it to");
}

/// Container engines stop nginx with QUIT, HAProxy with USR1 and httpd with WINCH.
#[test]
fn a_server_that_is_told_to_stop_and_does_is_no_failure() {
    let mut place = Place::new();
    place.script("polite", "#!/bin/sh\ntrap 'exit 0' QUIT USR1 WINCH\nwhile :; do sleep 1 & wait $!; done\n");
    place.install("one");
    for signal in [Signal::QUIT, Signal::USR1, Signal::WINCH] {
        let _ = fs::remove_file(place.path("follow-report@web"));
        place.follow(&["--", "./polite"]).until_reported("one", true);
        place.signal(signal);
        assert_eq!(place.ended(), Some(0), "{signal:?}");
        assert_eq!(place.report()["ok"], true, "{signal:?}: {}", place.report());
    }
    fs::remove_file(place.path("www")).unwrap();
    for signal in [Signal::QUIT, Signal::USR1, Signal::WINCH] {
        fs::write(place.path("said"), "").unwrap();
        place.follow(&["--wait", "--", "./polite"]).until_said("waiting for the first certificate");
        place.signal(signal);
        assert_eq!(place.ended(), Some(128 + signal.as_raw()), "{signal:?}");
    }
}

#[test]
fn a_server_that_a_reload_ends_is_told_to_who_asked() {
    let mut place = Place::new();
    place.script("brittle", "#!/bin/sh\ntrap 'exit 11' HUP\nwhile :; do sleep 1 & wait $!; done\n");
    place.install("one");
    place.follow(&["--", "./brittle"]).until_reported("one", true);
    place.ask("rehearsal", true);
    assert_eq!(place.ended(), Some(11));
    let report = place.report();
    assert_eq!(
        (&report["answers"], &report["why"]),
        (&json!("rehearsal"), &json!("the server ended: exit code 11"))
    );
}

#[test]
fn a_command_that_no_thread_can_read_is_a_failed_reload() {
    // Limits do not hold root; a user of its own has no other threads.
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: needs root to be another user");
    }
    let mut place = Place::new();
    fs::set_permissions(place.dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    place.install("one");
    let binary = place.path("companion");
    fs::copy(env!("CARGO_BIN_EXE_certcollectd-follow"), &binary).unwrap();
    let log = fs::File::options().create(true).append(true).open(place.path("said")).unwrap();
    let mut command = Command::new("setpriv");
    // The companion, its thread for signals, the server, and one more.
    command.args(["--reuid=48213", "--regid=48213", "--clear-groups", "prlimit", "--nproc=4:4"]);
    command.arg(&binary).args(["www", "--run", "true", "--", "sleep", "3600"]);
    command.current_dir(place.dir.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    place.companions.push(command.spawn().unwrap());
    place.until_reported("one", true);
    place.install("two");
    place.until_reported("two", false);
    let why = place.report()["why"].to_string();
    assert!(why.contains("true cannot be started"), "{why}");
    place.signal(Signal::TERM);
    assert_eq!(place.ended(), Some(128 + 15), "it still stands between the server and its container");
}

#[test]
fn what_is_in_the_way_of_a_placeholder_stays() {
    let mut place = Place::new();
    fs::create_dir(place.path("www")).unwrap();
    place.follow(&["--placeholder", "www.example.com", "--", "./server"]);
    place.until_said("www is there, and is not replaced");
    fs::remove_dir(place.path("www")).unwrap();
    place.point_at(".www/gone");
    place.follow(&["--placeholder", "www.example.com", "--name", "other", "--", "./server"]);
    place.until("the other says so, too", |place| {
        place.text("said").matches("www is there, and is not replaced").count() == 2
    });
    assert!(!place.text("said").contains("a placeholder is served"), "{}", place.text("said"));
    assert!(!place.path(".www/placeholder").exists(), "and no key is left");
}

#[test]
fn each_signal_is_passed_on_and_who_ignores_it_is_left_to_the_sender() {
    let mut place = Place::new();
    place.script(
        "stubborn",
        "#!/bin/sh\ntrap 'echo term >>log' TERM\ntrap 'echo usr1 >>log; exit 0' USR1\n\
         trap 'echo reload >>log' HUP\necho start >>log\n\
         while :; do sleep 1 & wait $!; done\n",
    );
    place.install("one");
    place.follow(&["--", "./stubborn"]).until_reported("one", true);
    for times in 1..=2 {
        place.signal(Signal::TERM);
        place.until("it arrives", |place| place.lines("log").len() == 1 + times);
    }
    place.install("two");
    place.until_said("told to stop, and is not reloaded any more");
    place.signal(Signal::USR1);
    assert_eq!(place.ended(), Some(0));
    assert_eq!(place.lines("log"), ["start", "term", "term", "usr1"]);
}

#[test]
fn a_server_that_does_not_handle_the_signal_is_not_killed_by_it() {
    let mut place = Place::new();
    place.install("one");
    place.follow(&["--signal", "USR2", "--", "sleep", "3600"]).until_reported("one", true);
    place.install("two");
    place.until_reported("two", false);
    let why = place.report()["why"].to_string();
    assert!(why.contains("does not handle SIGUSR2"), "{why}");
    assert!(is_child_of(place.server(), place.companions[0].id()), "the server lives");
}

#[test]
fn a_link_that_is_gone_for_a_moment_changes_nothing() {
    let mut place = Place::new();
    place.install("one");
    place.follow(&["--", "./server"]).until_reported("one", true);
    fs::remove_file(place.path("www")).unwrap();
    place.until_said("./www: it does not exist; the server keeps what it has");
    place.point_at(".www/one");
    place.ask("seen", false);
    place.until_answered("seen");
    assert_eq!(place.lines("log"), ["start"]);
    place.point_at(".www/nothing");
    place.until_said("it is a link to .www/nothing");
    place.install("two");
    place.until_reported("two", true);
    assert_eq!(place.lines("log"), ["start", "reload"]);
}

/// A script that writes what the link leads to, and waits for a file on its first run.
fn hesitant(log: &str) -> String {
    format!("#!/bin/sh\nreadlink www >>{log}\nwhile [ ! -e go ]; do sleep 0.05; done\n")
}

#[test]
fn of_many_swaps_during_a_reload_only_the_newest_counts() {
    let mut place = Place::new();
    place.script("reload", &hesitant("reloads"));
    place.install("one");
    place.follow(&["--run", "./reload", "--", "./server"]).until_reported("one", true);
    place.install("two");
    place.until("the reload begins", |place| place.lines("reloads").len() == 1);
    for generation in ["three", "four", "five"] {
        place.install(generation);
    }
    fs::write(place.path("go"), "").unwrap();
    place.until_reported("five", true);
    assert_eq!(place.lines("reloads"), [".www/two", ".www/five"]);
}

#[test]
fn a_swap_during_the_test_makes_another_test() {
    let mut place = Place::new();
    place.script("check", &hesitant("checks"));
    place.install("one");
    place.follow(&["--test", "./check", "--", "./server"]).until_reported("one", true);
    place.install("two");
    place.until("the test begins", |place| place.lines("checks").len() == 1);
    place.install("three");
    fs::write(place.path("go"), "").unwrap();
    place.until_reported("three", true);
    assert_eq!(place.lines("checks"), [".www/two", ".www/three"]);
    assert_eq!(place.lines("log"), ["start", "reload"], "what was not tested was not loaded");
}

#[test]
fn without_a_place_for_its_report_it_still_reloads() {
    let mut place = Place::new();
    place.install("one");
    place.follow(&["--report", "nowhere/web", "--", "./server"]);
    place.until_said("cannot write the report nowhere/web");
    place.install("two");
    place.until("it reloads", |place| place.lines("log") == ["start", "reload"]);
    place.until_said("the server runs with www two");
    assert_eq!(place.text("said").matches("cannot write").count(), 1, "said once");
}

#[test]
fn two_companions_of_one_name_are_told_apart() {
    let mut place = Place::new();
    place.install("one");
    for _ in 0..2 {
        place.follow(&["--", "./server"]);
    }
    place.until("both have started", |place| {
        place.text("said").matches("the server runs with www one").count() == 2
    });
    place.install("two");
    place.until("one of them notices", |place| {
        let why = place.report()["why"].to_string();
        why.contains("another companion has the name web")
    });
    assert_eq!(place.report()["ok"], false);
}

/// Both have reloaded, and the one that has seen nobody wrote last.
#[test]
fn a_report_of_another_companion_does_not_stay_unnoticed() {
    let mut place = Place::new();
    place.install("one");
    place.follow(&["--", "./server"]).until_reported("one", true);
    let mut report = place.report();
    report["instance"] = "0123456789abcdef".into();
    fs::write(place.path("follow-report@web"), report.to_string()).unwrap();
    place.until("it is noticed", |place| {
        place.report()["why"].to_string().contains("another companion has the name web")
    });
    assert_eq!(place.report()["ok"], false);
}

#[test]
fn certificates_are_served_through_a_volume_of_kubernetes() {
    let mut place = Place::new();
    place.install("one");
    fs::remove_file(place.path("www")).unwrap();
    fs::create_dir(place.path("www")).unwrap();
    symlink("../.www/one", place.path("www/..data")).unwrap();
    symlink("..data/cert.pem", place.path("www/tls.crt")).unwrap();
    place.follow(&["--wait", "--", "./server"]).until_reported("one", true);
    fs::create_dir(place.path(".www/two")).unwrap();
    fs::write(place.path(".www/two/cert.pem"), "two").unwrap();
    symlink("../.www/two", place.path("www/..data_tmp")).unwrap();
    fs::rename(place.path("www/..data_tmp"), place.path("www/..data")).unwrap();
    place.until_reported("two", true);
    assert_eq!(place.lines("log"), ["start", "reload"]);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let place = Place::new();
    for arguments in [
        &["www"][..],
        &["www", "--", "x", "--test"][1..],
        &["www", "--test", "'", "--", "x"],
        &["www", "--signal", "KILL", "--", "x"],
        &["/", "--", "x"],
        &["--placeholder", "a", "/certs/www", "--", "x"],
    ] {
        let output = place.command(arguments).stderr(Stdio::null()).status().unwrap();
        assert_eq!(output.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn it_copies_itself_for_an_image_that_has_no_cp() {
    let place = Place::new();
    fs::create_dir(place.path("shared")).unwrap();
    for _ in 0..2 {
        assert!(place.command(&["--install", "shared"]).status().unwrap().success());
    }
    let copied = Command::new(place.path("shared/certcollectd-follow")).arg("--version").output().unwrap();
    assert!(String::from_utf8_lossy(&copied.stdout).starts_with("certcollectd-follow "));
    assert_eq!(fs::read_dir(place.path("shared")).unwrap().count(), 1);

    let refused = place.command(&["--install", "nowhere"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("nowhere/certcollectd-follow cannot be written")
    );
    let both =
        place.command(&["--install", "shared", "www", "--", "x"]).stderr(Stdio::null()).status().unwrap();
    assert_eq!(both.code(), Some(2));
}

#[test]
fn a_placeholder_is_served_until_the_first_certificate() {
    let mut place = Place::new();
    place.follow(&["--placeholder", "www.example.com", "--", "./server"]);
    place.until_reported("placeholder", true);
    let key = place.path("www/privkey.pem");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read(place.path("www/fullchain.pem")).unwrap();
    let der = certcollectd_core::cert::pem_blocks(&pem).unwrap().remove(0).1;
    let certificate = certcollectd_core::cert::Certificate::from_der(&der).unwrap();
    let keys = certcollectd_core::cert::key::from_private_key_pem(&fs::read(key).unwrap()).unwrap();
    assert!(keys.matches(&certificate));
    // A container that starts once more.
    place.signal(Signal::TERM);
    assert_eq!(place.ended(), Some(7));
    place.follow(&["--wait", "--", "./server"]).until_said("./www: only a placeholder is there");
    place.signal(Signal::TERM);
    assert_eq!(place.ended(), Some(143));
    place.follow(&["--placeholder", "www.example.com", "--", "./server"]);
    place.until("it starts again", |place| place.lines("log") == ["start", "term", "start"]);
    place.install("one");
    place.until_reported("one", true);
    assert!(!place.path(".www/placeholder").exists(), "it is cleared away");
    assert_eq!(place.lines("log"), ["start", "term", "start", "reload"]);
}

#[test]
fn as_process_1_it_collects_orphans() {
    let place = Place::new();
    place.install("one");
    // Ends when its orphan has ended and was collected.
    place.script(
        "parent",
        "#!/bin/sh\n(sleep 0.2 & echo $! >orphan)\nwhile [ -e /proc/$(cat orphan) ]; do sleep 0.05; done\nexit 9\n",
    );
    let unshared = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).args(arguments);
        command.current_dir(place.dir.path()).stdin(Stdio::null()).output()
    };
    match unshared(&["true"]) {
        Ok(output) if output.status.success() => {}
        refused => return eprintln!("skipped: no namespace of processes here: {refused:?}"),
    }
    let binary = Path::new(env!("CARGO_BIN_EXE_certcollectd-follow")).to_str().unwrap();
    let output = unshared(&[binary, "www", "--", "./parent"]).unwrap();
    assert_eq!(output.status.code(), Some(9), "{output:?}");
}
