//! Suites that need root, a C compiler, loop devices or many minutes: `tests/proof` runs them, `cargo test`
//! does not. What they promise and what they found is in `docs/reliability.md`.
//!
//! A suite prints its figure behind `PROOF-FIGURE`; one that cannot be run here prints the reason behind
//! `PROOF-SKIP` and ends well.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::{Setting, said};

/// Power cuts, write by write: what a disk can hold after one, put together from what was written.
mod blocks;
/// kill -9 at every system call.
mod calls;
/// Errors at every system call on a file of ours, and disks that are really full.
mod disk;
/// Power cuts: file systems that are shut down in the middle of work.
mod power;
/// Re-issues: kills and power cuts.
mod reissue;

/// The least time between two polls in a [`setting`].
const INTERVAL: Duration = Duration::from_millis(300);

/// The figure of a suite, for `tests/proof`.
pub fn figure(text: &str) {
    println!("PROOF-FIGURE {text}");
}

/// A suite that cannot be run here.
fn skip(why: &str) {
    println!("PROOF-SKIP {why}");
}

/// A number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Builds `tests/proof.d/<name>.c` into a directory.
pub fn compile(name: &str, flags: &[&str], dir: &Path) -> Result<PathBuf, String> {
    let binary = dir.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/proof.d/{name}.c"));
    match Command::new("cc").arg("-O1").arg("-o").arg(&binary).arg(source).args(flags).output() {
        Ok(output) if output.status.success() => Ok(binary),
        Ok(output) => Err(format!("cc: {}", said(&output).1)),
        Err(error) => Err(format!("a C compiler is needed: {error}")),
    }
}

/// Runs a program that is to succeed.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|why| format!("{program}: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {}: {}", arguments.join(" "), said(&output).1.trim()))
}

/// Gives this thread, and what it starts, mounts of its own. They end with it; and no namespace that anybody
/// makes meanwhile holds a copy of them, which would keep a file system alive that was unmounted here.
pub fn own_mounts() -> Result<(), String> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|why| format!("own mounts: {why}"))?;
    run("mount", &["--make-rprivate", "/"])
}

/// `tests/proof.d/nth.c`, built for this run: it hits the n-th system call of a whole process.
struct Nth {
    binary: PathBuf,
    _dir: tempfile::TempDir,
}

impl Nth {
    fn build() -> Result<Nth, String> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            return Err("the tracer is written for Linux on x86-64".into());
        }
        let dir = tempfile::tempdir().unwrap();
        let nth = Nth { binary: compile("nth", &[], dir.path())?, _dir: dir };
        let tried =
            Command::new(&nth.binary).args(["--log", "/dev/null", "--", "/bin/true"]).output().unwrap();
        if !tried.status.success() {
            return Err(format!("processes cannot be traced here: {}", said(&tried).1));
        }
        Ok(nth)
    }

    /// `once --wait 60s` of a setting under the tracer; its exit code and what it said.
    fn once(&self, setting: &Setting, options: &[String]) -> (i32, String) {
        self.call(setting, &["once", "--wait", "60s"], options)
    }

    /// The binary with these arguments under the tracer.
    fn call(&self, setting: &Setting, arguments: &[&str], options: &[String]) -> (i32, String) {
        let plain = setting.command(arguments);
        let mut command = Command::new(&self.binary);
        command.args(options).arg("--log").arg(setting.path("calls")).arg("--").arg(plain.get_program());
        command.args(plain.get_args());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        said(&command.stdin(std::process::Stdio::null()).output().unwrap())
    }
}

/// One order with everything that an installation can do: the key beside the certificate, a copy elsewhere,
/// a hook that writes down for which serial it ran.
fn setting() -> Setting {
    let mut setting = Setting::new();
    std::fs::create_dir(setting.path("copies")).unwrap();
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        "key_file = \"$DIR/key.pem\"\ndomains = [\"www.example.com\"]\nhooks = [\"log\"]\n[order.files]\nkey = \"key.pem\"\n\
         [[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/copies/www.pem\"\n[order.verify]\ntrust = \"off\"",
    );
    setting.table(
        "[[hook]]\nname = \"log\"\nrun = [\"/bin/sh\", \"-c\", \"echo \\\"$CERTCOLLECTD_SERIAL\\\" >> $DIR/hooks\"]",
    );
    // A start after a crash in the middle of a call takes it that the call lasted until now, at most so long.
    setting.polling(
        "interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"\nmax_interval = \"1s\"\nconnect_timeout = \"2s\"\nrequest_timeout = \"2s\"",
    );
    setting.write("hooks", "");
    setting.write_configuration();
    setting
}

/// What readers of `www` see is a complete set, the copy included; says whether there is one. With
/// `was_there`, nothing is an error.
fn look(setting: &Setting, was_there: bool) -> Result<bool, String> {
    let complete = crate::crash::read_set(&setting.installed("www"), was_there)?;
    let copy = setting.path("copies/www.pem");
    match std::fs::read_to_string(&copy) {
        Ok(text) => {
            let key = setting.key.serialize_pem();
            let ends = text.starts_with(&key) && text.trim_end().ends_with("-----END CERTIFICATE-----");
            if !ends || text.matches("BEGIN CERTIFICATE").count() < 2 {
                return Err(format!("{} is torn", copy.display()));
            }
        }
        Err(error) if was_there => return Err(format!("{}: {error}", copy.display())),
        Err(_) => {}
    }
    Ok(complete)
}

/// Everything has come to its right end: the newest certificate, its copy, its hook, nothing left over.
/// `faults` is how often the daemon was killed or hit.
fn at_its_end(setting: &Setting, faults: u64) -> Result<(), String> {
    let ensure = |holds: bool, what: &dyn Fn() -> String| if holds { Ok(()) } else { Err(what()) };
    look(setting, true)?;
    let status = setting.order_status("www");
    ensure(status["phase"] == "guarding", &|| format!("it ends {status:#}"))?;
    let newest = setting.newest("1");
    ensure(setting.read("out/www/cert.pem") == newest, &|| "not the newest certificate".into())?;
    ensure(setting.read("out/www/key.pem") == setting.key.serialize_pem(), &|| "not the key".into())?;
    let copy = setting.read("copies/www.pem");
    ensure(copy.contains(newest.trim()), &|| "the copy is an older one".into())?;
    let serial = status["certificate"]["serial"].as_str().unwrap().to_owned();
    let runs = setting.read("hooks").lines().filter(|line| *line == serial).count() as u64;
    ensure((1..=faults + 1).contains(&runs), &|| format!("the hook ran {runs} times"))?;
    let left = leftovers(setting);
    ensure(left.is_empty(), &|| format!("left over: {left:?}"))?;
    let counters = setting.vendor().vendor().record().counters();
    ensure(counters.all.max_in_flight <= 1, &|| "two calls in flight".into())
}

/// Until every order is due again, whenever it was asked about last, by the clock that the daemon reads as well: the
/// interval with its spread is over.
fn until_due(setting: &Setting) {
    let due = clock::now().time + INTERVAL.mul_f64(1.2);
    setting.until("the interval is over", |_| clock::now().time >= due);
}

/// Starts `once` again and again, as cron would, until the vendor's newest certificate is in place and nothing
/// is owed. `each` is asked after each.
fn go_on(setting: &Setting, each: impl Fn(&Setting) -> Result<(), String>) -> Result<(), String> {
    const ROUNDS: u32 = 40;
    for _ in 0..ROUNDS {
        let (code, said) = setting.call(&["once", "--wait", "60s"]);
        if code != 0 {
            return Err(format!("exit code {code} of the next start: {said}"));
        }
        each(setting)?;
        let shown = std::fs::read_to_string(setting.path("out/www/cert.pem")).ok();
        if shown.is_some()
            && shown == setting.vendor().certificate_pem("1")
            && setting.phase("www") == "guarding"
        {
            return Ok(());
        }
        until_due(setting);
    }
    Err(format!("not in place after {ROUNDS} starts: {:#}", setting.order_status("www")))
}

/// Names beside the installed files that no installation left on purpose.
fn leftovers(setting: &Setting) -> Vec<String> {
    let list = |dir: PathBuf| {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap())
    };
    let mut found: Vec<String> =
        list(setting.path("out")).filter(|name| name != "www" && name != ".www").collect();
    found.extend(list(setting.path("out/.www")).filter(|name| name.starts_with('.')));
    found.extend(list(setting.path("copies")).filter(|name| name != "www.pem"));
    found
}

/// Does `work` for 0, 1, 2, ... on several threads until it says that there is no more; the first complaint
/// ends it.
pub fn for_each(threads: usize, work: impl Fn(u64) -> Result<bool, String> + Sync) -> Result<u64, String> {
    let (next, over, done) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
    let results = std::thread::scope(|scope| {
        let one = || {
            while !over.load(Ordering::Relaxed) {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let more = work(at);
                if !matches!(more, Ok(true)) {
                    over.store(true, Ordering::Relaxed);
                    return more.map(drop);
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|thread| thread.join().expect("it says what it found")).collect::<Vec<_>>()
    });
    results.into_iter().collect::<Result<(), String>>()?;
    Ok(done.into_inner())
}
