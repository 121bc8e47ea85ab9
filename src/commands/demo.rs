//! `demo`: the main job in ten seconds. A sandbox plays the vendor, a small web server plays the operator's,
//! and the real daemon, as a process of its own, does its work between them.
//!
//! Nothing is staged for show: the exit code is 0 only if the certificates were installed, a TLS handshake
//! after the hook shows the new one, and the vendor's manners were kept.

mod site;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::exit::Exit;
use super::print::{fail, print, print_error};
use crate::effects::errno::cause;
use crate::effects::store::load::Reader;
use crate::sources::clock;
use certcollectd_core::config::count;
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::order::record::OrderRecord;
use certcollectd_sandbox::{CertificateSpec, Handle, Options, OrderSpec, Product, Sandbox, Scenario, Step};
use site::Site;

/// How long the whole may take on a slow machine before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(50);

const CONFIG: &str = "certcollectd.toml";

pub fn demo(keep: bool) -> Result<(), Exit> {
    let dir =
        std::env::temp_dir().join(format!("certcollectd-demo-{}", crate::effects::files::random_name()));
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(&dir)
        .map_err(|error| fail(Exit::Failed, &format!("{}: {}", dir.display(), cause(&error))))?;
    let result = play(&dir);
    if keep {
        print(&format!("\nkept: {}", dir.display()));
    } else if let Err(error) = std::fs::remove_dir_all(&dir) {
        print_error(&format!("{}: {}", dir.display(), cause(&error)));
    }
    result.map_err(|why| fail(Exit::Failed, &format!("the demo failed: {why}")))
}

fn play(dir: &Path) -> Result<(), String> {
    print("1. A sandbox plays the vendor, a small TLS server plays your web site.");
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?.serialize_pem();
    let sandbox = Sandbox::start(Options { scenario: scenario(&key), ..Options::default() })
        .and_then(Sandbox::spawn_thread)
        .map_err(|error| certcollectd_sandbox::cli::with_cause(&error))?;
    let vendor = sandbox.handle();
    let site = Site::start(dir.join("certificates/www/fullchain.pem"), key.clone())
        .map_err(|error| format!("the web site cannot be started: {}", cause(&error)))?;
    let serves = |expected: &str| {
        let root = &vendor.vendor().authorities().root;
        let served = site.handshake(root);
        let served = served.map_err(|error| format!("the handshake with the web site failed: {error}"))?;
        if served == expected { Ok(()) } else { Err(format!("the web site serves {served}, not {expected}")) }
    };
    write(&dir.join("www.key"), &key)?;
    write(&dir.join("ca.pem"), vendor.ca_pem())?;
    write(&dir.join("password"), Scenario::DEMO_PASSWORD)?;
    write(&dir.join(CONFIG), &configuration(dir, vendor, &site))?;
    print(&format!("   order 1000001 (TLS) and 2000001 (mark) at {}, both pending\n", vendor.base_url()));

    print("2. The daemon, sped up: an interval of 1 s instead of 3 h. Its log:");
    let daemon = Daemon::start(dir)?;
    let first = daemon.until("www", "the certificate of www is in place and the hook has run", |www| {
        www.phase == Phase::Guarding && www.installed.is_some()
    })?;
    let first = fingerprint(&first);
    serves(&first)?;
    daemon.until("logo", "the mark certificate is in place", |logo| logo.phase == Phase::Guarding)?;

    print("\n3. The vendor issues a new certificate under the same order. The guard notices:");
    let spec = CertificateSpec { not_before: Some(clock::now().unix() - 60), ..CertificateSpec::default() };
    vendor.vendor().reissue("1000001", &spec).map_err(|error| error.to_string())?;
    let second = daemon.until("www", "the new certificate is in place and the hook has run", |www| {
        www.phase == Phase::Guarding && fingerprint(www) != first
    })?;
    let second = fingerprint(&second);
    serves(&second)?;
    daemon.stop()?;

    print("\n4. What it installed:");
    print(&tree(&dir.join("certificates"), 1));
    verify(dir, vendor, &second)?;
    print(
        "\nA first configuration of your own: config/minimal.toml. Then: certcollectd check, certcollectd run.",
    );
    Ok(())
}

fn scenario(key: &str) -> Scenario {
    let mut www = OrderSpec::new(Product::Ssl, "1000001", &["www.example.com", "example.com"])
        .with_script(vec![Step::pending(2), Step::issued()]);
    www.certificate.key = Some(key.to_owned());
    let logo = OrderSpec::new(Product::Mark, "2000001", &["example.com"])
        .with_script(vec![Step::pending(1), Step::issued()]);
    Scenario { order: vec![www, logo], ..Scenario::demo() }
}

fn configuration(dir: &Path, vendor: &Handle, site: &Site) -> String {
    let dir = dir.display();
    format!(
        r#"state_dir   = "{dir}/state"
install_dir = "{dir}/certificates"

[polling]                  # the demo's own vendor does not mind the haste
interval       = "1s"
guard_interval = "1s"
call_gap       = "200ms"

[[account]]
name       = "main"
login_name = "demo"
password   = {{ file = "{dir}/password" }}
base_url   = "{base}"
ca_file    = "{dir}/ca.pem"

[[order]]
name         = "www"
order_number = "1000001"
domains      = ["www.example.com", "example.com"]
key_file     = "{dir}/www.key"
hooks        = ["reload"]
[order.verify]
trust = "off"              # the sandbox's root is in no trust store

[[order]]
name         = "logo"
product      = "mark"
order_number = "2000001"
domains      = ["example.com"]

[[hook]]
name = "reload"
http = {{ url = "http://{reload}/reload" }}
"#,
        base = vendor.base_url(),
        reload = site.reload_address(),
    )
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(|error| format!("{}: {}", path.display(), cause(&error)))
}

fn fingerprint(record: &OrderRecord) -> String {
    record.installed.as_ref().map(|installed| installed.fingerprint.to_string()).unwrap_or_default()
}

/// The daemon as a process of its own.
struct Daemon {
    child: Child,
    dir: PathBuf,
    log: Option<std::thread::JoinHandle<()>>,
}

impl Daemon {
    fn start(dir: &Path) -> Result<Daemon, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .arg("run")
            .arg("--config")
            .arg(dir.join(CONFIG))
            .env_remove("CERTCOLLECTD_CONFIG")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("the daemon cannot be started: {}", cause(&error)))?;
        let lines = child.stderr.take().map(BufReader::new);
        let log = lines.map(|lines| {
            std::thread::spawn(move || {
                for line in lines.lines().map_while(Result::ok) {
                    print(&format!("   | {line}"));
                }
            })
        });
        Ok(Daemon { child, dir: dir.to_owned(), log })
    }

    /// Waits until an order's record says what it should.
    fn until(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&OrderRecord) -> bool,
    ) -> Result<OrderRecord, String> {
        let start = clock::now();
        loop {
            if let Some(record) = self.record(name).filter(|record| holds(record)) {
                print(&format!("   {what}"));
                return Ok(record);
            }
            if clock::now().time.since(start.time) > PATIENCE {
                let (seconds, dir) = (PATIENCE.as_secs(), self.dir.display());
                return Err(format!("after {seconds} s still not so: {what} (see {dir})"));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn record(&self, name: &str) -> Option<OrderRecord> {
        let mut loaded = Reader::open(&self.dir.join("state")).ok()??.load(clock::now()).ok()?;
        loaded.orders.remove(name).map(|known| known.record)
    }

    fn stop(mut self) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|error| error.to_string())?;
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if let Some(log) = self.log.take() {
            let _ = log.join();
        }
        if status.success() { Ok(()) } else { Err(format!("the daemon ended with {status}")) }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // After a failure the demo leaves nothing running. Killing what has ended already is harmless.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory as a tree, links with their target, files with their mode.
fn tree(dir: &Path, depth: usize) -> String {
    use std::os::unix::fs::PermissionsExt;
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let mut text = String::new();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let indent = "   ".repeat(depth);
        match (std::fs::read_link(&path), path.is_dir()) {
            (Ok(target), _) => text.push_str(&format!("{indent}{name} -> {}\n", target.display())),
            (Err(_), true) => text.push_str(&format!("{indent}{name}/\n{}", tree(&path, depth + 1))),
            (Err(_), false) => {
                let mode = std::fs::metadata(&path)
                    .map(|found| found.permissions().mode() & 0o7777)
                    .unwrap_or_default();
                text.push_str(&format!("{indent}{mode:04o} {name}\n"));
            }
        }
    }
    text
}

/// What was checked, each line a check that could have failed.
fn verify(dir: &Path, vendor: &Handle, second: &str) -> Result<(), String> {
    print("5. What was verified:");
    print(&format!(
        "   a TLS handshake with the web site after each hook showed the certificate just installed (sha256 {}...)",
        &second[..16]
    ));
    print(
        "   the certificate fits the private key, covers www.example.com and example.com, and is signed by its chain",
    );
    let counters = vendor.vendor().record().counters();
    let all = &counters.all;
    if all.max_in_flight != 1 {
        return Err(format!("{} calls were in flight at once", all.max_in_flight));
    }
    print(&format!(
        "   the vendor saw {}, never two at once, on {}",
        count(all.calls, "call"),
        count(counters.connections, "connection")
    ));
    for (order, tally) in &counters.orders {
        let gap = tally.smallest_gap_ms.unwrap_or(u64::MAX);
        if gap < 1000 {
            return Err(format!("order {order} was polled after {gap} ms, sooner than its interval"));
        }
        print(&format!(
            "   order {order}: {} polls, never sooner than its interval (smallest gap {gap} ms)",
            tally.calls
        ));
    }
    verify_with_openssl(dir, vendor)
}

/// An independent witness, where there is one.
fn verify_with_openssl(dir: &Path, vendor: &Handle) -> Result<(), String> {
    let root = dir.join("root.pem");
    write(&root, &vendor.vendor().authorities().root)?;
    let www = dir.join("certificates/www");
    let output = Command::new("openssl")
        .args(["verify", "-purpose", "sslserver", "-verify_hostname", "www.example.com", "-CAfile"])
        .arg(&root)
        .arg("-untrusted")
        .arg(www.join("chain.pem"))
        .arg(www.join("cert.pem"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            print("   openssl verify agrees");
            Ok(())
        }
        Ok(output) => {
            Err(format!("openssl verify disagrees: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
        Err(_) => {
            print("   (openssl is not installed here, so it was not asked)");
            Ok(())
        }
    }
}
