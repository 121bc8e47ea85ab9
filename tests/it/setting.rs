//! A sandbox, a configuration and the real binary, in a directory of their own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{AccountSpec, Handle, Options, OrderSpec, Product, Running, Sandbox, Scenario};
use rcgen::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::status::schema;

pub const LOGIN: &str = "tester";
/// Searched for in everything that the daemon leaves behind, so it must not occur by chance.
pub const PASSWORD: &str = "cAnArY&p+s=%w0rd";
/// A condition that does not come true within this has failed; none takes a tenth of it on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// Everything a rehearsal needs. What runs is ended when it is dropped.
pub struct Setting {
    pub dir: tempfile::TempDir,
    sandbox: Running,
    pub daemon: Option<Child>,
    polling: String,
    tables: String,
    pub key: KeyPair,
}

impl Setting {
    /// An account `main` at a sandbox without orders; an interval of 300 ms and no gap between calls.
    pub fn new() -> Setting {
        let account = AccountSpec::new(LOGIN, PASSWORD);
        let scenario = Scenario { account: vec![account], ..Scenario::default() };
        let sandbox =
            Sandbox::start(Options { scenario, ..Options::default() }).unwrap().spawn_thread().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let setting = Setting {
            dir,
            sandbox,
            daemon: None,
            polling: "interval = \"300ms\"\ncall_gap = \"0s\"\nguard_interval = \"300ms\"".into(),
            tables: String::new(),
            key,
        };
        setting.write("key.pem", &setting.key.serialize_pem());
        setting.write("ca.pem", setting.vendor().ca_pem());
        setting.write("password", PASSWORD);
        setting
    }

    pub fn vendor(&self) -> &Handle {
        self.sandbox.handle()
    }

    /// The body of `[polling]`; `settle` is 1 s and `request_timeout` 10 s unless it says otherwise.
    pub fn polling(&mut self, text: &str) -> &mut Setting {
        self.polling = text.to_owned();
        self
    }

    /// More tables of the configuration.
    pub fn table(&mut self, text: &str) -> &mut Setting {
        self.tables.push_str(text);
        self.tables.push('\n');
        self
    }

    /// Takes all tables of the configuration away again.
    pub fn clear_tables(&mut self) {
        self.tables.clear();
    }

    /// Another account at the vendor and in the configuration, with the same password.
    pub fn account(&mut self, name: &str) -> &mut Setting {
        let login = format!("{LOGIN}-{name}");
        self.vendor().vendor().accounts.put(AccountSpec::new(&login, PASSWORD)).unwrap();
        let base_url = self.vendor().base_url();
        self.table(&format!(
            "[[account]]\nname = \"{name}\"\nlogin_name = \"{login}\"\npassword = {{ file = \"$DIR/password\" }}\n\
             base_url = \"{base_url}\"\nca_file = \"$DIR/ca.pem\""
        ))
    }

    /// An order at the vendor and in the configuration: `name` with its number, keys of the entry, sub-tables.
    /// A TLS order is for this setting's key.
    pub fn order(&mut self, name: &str, mut spec: OrderSpec, keys: &str) -> &mut Setting {
        let product = match spec.product {
            Product::Ssl => "ssl",
            Product::Mark => "mark",
            Product::Smime => "smime",
        };
        if spec.product == Product::Ssl && spec.certificate.key.is_none() {
            spec.certificate.key = Some(self.key.serialize_pem());
        }
        let number = spec.order_number.clone();
        self.vendor().vendor().put_order(spec).unwrap();
        self.table(&format!(
            "[[order]]\nname = \"{name}\"\nproduct = \"{product}\"\norder_number = \"{number}\"\n{keys}"
        ))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// The configuration as it stands; `trust` is off, because the sandbox's root is in no store.
    pub fn configuration(&self) -> String {
        let dir = self.dir.path().display();
        // After a kill in the middle of a call both are waited out.
        let short = [("settle", "1s"), ("request_timeout", "10s")]
            .iter()
            .filter(|(key, _)| !self.polling.contains(key))
            .map(|(key, value)| format!("{key} = \"{value}\"\n"))
            .collect::<String>();
        format!(
            "state_dir = \"{dir}/state\"\ninstall_dir = \"{dir}/out\"\n[polling]\n{}\n{short}[[account]]\nname = \"main\"\n\
             login_name = \"{LOGIN}\"\npassword = {{ file = \"{dir}/password\" }}\nbase_url = \"{}\"\nca_file = \"{dir}/ca.pem\"\n{}",
            self.polling,
            self.vendor().base_url(),
            self.tables.replace("$DIR", &dir.to_string())
        )
    }

    pub fn write_configuration(&self) {
        self.write("certcollectd.toml", &self.configuration());
    }

    /// The binary with these arguments and this setting's configuration, as it was written last.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("certcollectd.toml"))
            .env_remove("CERTCOLLECTD_CONFIG")
            .env_remove("RUST_LOG")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; its exit code, and what it said on both outputs.
    pub fn call(&self, arguments: &[&str]) -> (i32, String) {
        said(&self.command(arguments).output().unwrap())
    }

    /// `once`, on the configuration as it stands.
    pub fn once(&self, arguments: &[&str]) -> (i32, String) {
        self.write_configuration();
        let all: Vec<&str> = ["once"].iter().chain(arguments).copied().collect();
        self.call(&all)
    }

    /// Starts the daemon on the configuration as it stands; its log goes to `log`.
    pub fn start(&mut self) -> &mut Setting {
        self.write_configuration();
        self.start_again()
    }

    /// Starts the daemon on what is written; the log goes on.
    pub fn start_again(&mut self) -> &mut Setting {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        self.daemon = Some(self.command(&["run"]).env("RUST_LOG", "trace").stderr(log).spawn().unwrap());
        self
    }

    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it was started").id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it was started");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Stops it in order; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.daemon.take().expect("it was started").wait().unwrap().code()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// `status --json`, which keeps what its schema promises.
    pub fn status(&self) -> Value {
        let output = self.command(&["status", "--json"]).output().unwrap();
        let status = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output).1));
        schema::keeps(&status);
        status
    }

    /// One order of `status --json`.
    pub fn order_status(&self, name: &str) -> Value {
        let status = self.status();
        let orders = status["orders"].as_array().unwrap();
        orders.iter().find(|order| order["name"] == name).unwrap_or_else(|| panic!("{status:#}")).clone()
    }

    pub fn phase(&self, name: &str) -> String {
        self.order_status(name)["phase"].as_str().unwrap().to_owned()
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut(&Setting) -> bool) {
        let start = clock::now();
        while !holds(self) {
            if clock::now().time.since(start.time) > PATIENCE {
                panic!("not so within {} s: {what}\nlog:\n{}", PATIENCE.as_secs(), tail(&self.log()));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the daemon is up for the `starts`-th time. A phase does not tell that: `status` knows an order's
    /// without a daemon.
    pub fn until_up(&self, starts: usize) {
        self.until(&format!("it is up for the {starts}. time"), |setting| {
            setting.log().matches(" is up with ").count() >= starts
        });
    }

    pub fn until_phase(&self, name: &str, phase: &str) {
        self.until(&format!("{name} is {phase}"), |setting| setting.phase(name) == phase);
    }

    pub fn installed(&self, name: &str) -> PathBuf {
        self.path("out").join(name)
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether a file is there already and holds just this.
    pub fn holds(&self, path: &str, content: &str) -> bool {
        std::fs::read_to_string(self.path(path)).is_ok_and(|found| found == content)
    }

    /// The sandbox's newest certificate of an order, as PEM.
    pub fn newest(&self, number: &str) -> String {
        self.vendor().certificate_pem(number).expect("it was issued")
    }

    /// Calls that the vendor has seen about an order.
    pub fn calls(&self, number: &str) -> u64 {
        self.vendor().vendor().record().counters().orders.get(number).map_or(0, |tally| tally.calls)
    }

    pub fn all_calls(&self) -> u64 {
        self.vendor().vendor().record().counters().all.calls
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            eprintln!("log:\n{}", tail(&self.log()));
        }
    }
}

pub fn said(output: &Output) -> (i32, String) {
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" TRACE ")).collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// What openssl says of an installed order, where openssl is installed; the chain must lead to `root`.
pub fn openssl_verifies(dir: &Path, root: &str) -> Result<(), String> {
    let root_file = dir.join("../root-for-openssl.pem");
    std::fs::write(&root_file, root).unwrap();
    let output = Command::new("openssl")
        .args(["verify", "-CAfile"])
        .arg(&root_file)
        .arg("-untrusted")
        .arg(dir.join("chain.pem"))
        .arg(dir.join("cert.pem"))
        .output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(said(&output).1),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("openssl is not installed here, so it was not asked");
            Ok(())
        }
        Err(error) => Err(error.to_string()),
    }
}
