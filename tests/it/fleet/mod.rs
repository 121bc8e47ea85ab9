//! A fleet of real parts: members of etcd or servers of PostgreSQL, the sandbox in the vendor's place, collectors and followers as processes.
//!
//! The invariants that the suites hold, by their numbers: 1 no two calls of an account in flight at the vendor; 2 no order
//! polled before its interval is over, over all hosts; 4 what the vendor has issued is published; 5 after a refused log-in
//! nobody tries again, whoever leads; 6 nothing is installed that a host's own checks refuse; 7 somebody leads again after the
//! lease; 9 no more hosts on an unproven generation than its wave has.

mod cut;
mod failover;
mod kill;
mod lie;
mod stop;
mod store;
mod wave;
mod way;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use certcollectd::effects::shared::Shared;
use certcollectd::sources::clock;
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::lease::Beat;
use certcollectd_core::fleet::published::Publication;
use certcollectd_core::fleet::report::Report;
use certcollectd_sandbox::{
    AccountSpec, CertificateSpec, Handle, Options, OrderSpec, Product, Running, Sandbox, Scenario,
};
use rcgen::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::setting::said;
use crate::shared::backend::Backend;
use crate::shared::member::Cluster;
use crate::shared::switch::Place;

const LOGIN: &str = "fleet";
const PASSWORD: &str = "cAnArY&p+s=%w0rd";
pub const GROUP: &str = "web";
/// The least time between two polls of one order.
const INTERVAL: Duration = Duration::from_millis(500);
/// Two calls, as long as anything of them can arrive, fit into it.
const LEASE: Duration = Duration::from_secs(5);
const BEAT: Duration = Duration::from_secs(1);
/// A condition that does not come true within this has failed; none takes a tenth of it on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// By the timer of [`certcollectd::effects::call`].
const ENDED_BY_TIMER: Option<i32> = Some(14);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Everything that a fleet needs. What runs is ended when it is dropped.
pub struct Fleet {
    hosts: BTreeMap<String, Host>,
    /// Hosts that are not here.
    places: BTreeMap<String, Place>,
    /// What the timer of a call has ended is begun again, like by a service manager: on a busy machine it may be.
    restarts: bool,
    vendor: Running,
    pub backend: Backend,
    pub store: Shared,
    runtime: Runtime,
    dir: tempfile::TempDir,
    key: KeyPair,
    /// Names of the orders; the n-th has the number n.
    orders: Vec<String>,
    issued: u32,
}

struct Host {
    child: Option<Child>,
    /// How often it was begun again after the timer of a call had ended it.
    restarts: usize,
}

impl Fleet {
    /// A store of so many members or servers, and no host yet; `None`, and a word about it, where it is not installed.
    pub fn start(store: StoreKind, size: usize, orders: &[&str]) -> Option<Fleet> {
        let backend = Backend::start(store, size);
        if backend.is_none() {
            println!("PROOF-SKIP {store} is not installed");
        }
        backend.map(|backend| Fleet::on(backend, orders))
    }

    /// The same with this store.
    fn on(backend: Backend, orders: &[&str]) -> Fleet {
        Fleet::with(backend, Options::default(), orders)
    }

    /// The same with a vendor that listens there.
    fn with(backend: Backend, options: Options, orders: &[&str]) -> Fleet {
        let scenario = Scenario { account: vec![AccountSpec::new(LOGIN, PASSWORD)], ..Scenario::default() };
        let vendor = Sandbox::start(Options { scenario, ..options }).unwrap().spawn_thread().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fleet = Fleet {
            hosts: BTreeMap::new(),
            places: BTreeMap::new(),
            restarts: false,
            store: backend.connect(),
            vendor,
            backend,
            runtime,
            dir: tempfile::tempdir().unwrap(),
            key: KeyPair::generate().unwrap(),
            orders: orders.iter().map(ToString::to_string).collect(),
            issued: 0,
        };
        fleet.write("ca.pem", fleet.vendor().ca_pem());
        let authorities = fleet.vendor().vendor().authorities();
        fleet.write("roots.pem", &(authorities.root + &authorities.legacy_root));
        for (number, order) in orders.iter().enumerate() {
            let mut spec = OrderSpec::new(Product::Ssl, &number.to_string(), &[&domain(order)]);
            spec.certificate = CertificateSpec { key: Some(fleet.key.serialize_pem()), ..newer(0) };
            fleet.vendor().vendor().put_order(spec).unwrap();
        }
        fleet
    }

    pub fn vendor(&self) -> &Handle {
        self.vendor.handle()
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

    /// A file of a host, empty as long as it is not there.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a collector's configuration and starts it; `more` are further keys of `[fleet]`.
    pub fn collector(&mut self, name: &str, more: &str) {
        let (endpoints, vendor) = (self.backend.endpoints(), self.vendor().base_url());
        self.collector_at(name, more, &endpoints, &vendor);
        self.begin(name);
    }

    /// Writes the configuration of a collector that reaches the store and the vendor in these ways.
    fn collector_at(&mut self, name: &str, more: &str, endpoints: &[String], vendor: &str) {
        let dir = self.dir.path().display();
        let orders: String = self.orders.iter().enumerate().map(|(number, order)| {
            format!(
                "[[order]]\nname = \"{order}\"\norder_number = \"{number}\"\ndomains = [\"{}\"]\ngroup = \"{GROUP}\"\n\
                 [order.verify]\ntrust = \"block\"\ntrust_anchors = \"{dir}/roots.pem\"\n",
                domain(order)
            )
        }).collect();
        let text = format!(
            "state_dir = \"{dir}/{name}/state\"\n[polling]\ninterval = \"{interval}ms\"\nmax_interval = \"1s\"\n\
             guard_interval = \"{interval}ms\"\ncall_gap = \"50ms\"\nrequest_timeout = \"1s\"\nsettle = \"1s\"\n\
             [fleet]\nrole = \"collector\"\nname = \"{name}\"\ngroups = [\"{GROUP}\"]\nstore = \"{store}\"\n\
             endpoints = {endpoints:?}\nlease = \"{}s\"\nbeat = \"{}s\"\nmargin = \"200ms\"\n{more}\n\
             [[account]]\nname = \"main\"\nlogin_name = \"{LOGIN}\"\npassword = {{ file = \"{dir}/{name}/password\" }}\n\
             base_url = \"{vendor}\"\nca_file = \"{dir}/ca.pem\"\n{orders}",
            LEASE.as_secs(),
            BEAT.as_secs(),
            interval = INTERVAL.as_millis(),
            store = self.backend.kind(),
        );
        self.host(name, &text);
        self.write(&format!("{name}/password"), PASSWORD);
    }

    /// Writes a follower's configuration and key, and starts it. Its hook lasts as long as there is a file `busy`, fails if
    /// there is one `broken`, and else writes down that it ran.
    pub fn follower(&mut self, name: &str) {
        self.follower_with(name, "", "");
    }

    /// The same, with further keys of `[fleet]`, and tables of each order.
    fn follower_with(&mut self, name: &str, more: &str, of_order: &str) {
        let dir = self.dir.path().display();
        let orders: String = self.orders.iter().map(|order| {
            format!(
                "[[order]]\nname = \"{order}\"\ndomains = [\"{}\"]\nkey_file = \"{dir}/{name}/key.pem\"\nhooks = [\"log\"]\n\
                 [order.verify]\ntrust_anchors = \"{dir}/roots.pem\"\n{of_order}",
                domain(order)
            )
        }).collect();
        let text = format!(
            "state_dir = \"{dir}/{name}/state\"\ninstall_dir = \"{dir}/{name}/out\"\n\
             [fleet]\nrole = \"follower\"\nname = \"{name}\"\ngroups = [\"{GROUP}\"]\n{}{more}\n\
             [[hook]]\nname = \"log\"\nrun = [\"/bin/sh\", \"-c\", \"while test -e {dir}/{name}/busy; do sleep 0.1; done; \
             test ! -e {dir}/{name}/broken && \
             echo $CERTCOLLECTD_ORDER $CERTCOLLECTD_SERIAL >> {dir}/{name}/hooks\"]\n{orders}",
            self.backend.keys(),
        );
        self.host(name, &text);
        self.write(&format!("{name}/key.pem"), &self.key.serialize_pem());
        self.begin(name);
    }

    fn host(&mut self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        self.write(&format!("{name}/certcollectd.toml"), text);
        self.hosts.insert(name.to_owned(), Host { child: None, restarts: 0 });
    }

    /// The binary on a host.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd"));
        command.args(arguments).arg("--config").arg(self.path(&format!("{name}/certcollectd.toml")));
        for variable in ["CERTCOLLECTD_CONFIG", "NOTIFY_SOCKET", "RUST_BACKTRACE"] {
            command.env_remove(variable);
        }
        command.env("RUST_LOG", "debug").stdin(Stdio::null());
        command
    }

    /// Exit code and output of a command on a host.
    pub fn say(&self, name: &str, arguments: &[&str]) -> (i32, String) {
        said(&self.command(name, arguments).output().unwrap())
    }

    /// `status --json` of a host; nothing while its daemon does not answer.
    pub fn status(&self, name: &str) -> Value {
        let output = self.command(name, &["status", "--json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// How a host says that its store is.
    pub fn store_of(&self, name: &str) -> Value {
        self.status(name)["fleet"]["store"].clone()
    }

    /// Starts a host's daemon on what is written; its log goes on.
    pub fn begin(&mut self, name: &str) {
        let command = self.command(name, &["run"]);
        self.spawn(name, command);
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let log = self.path(&format!("{name}/log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let here = Place::default();
        let child = self.places.get(name).unwrap_or(&here).spawn(command.stderr(log)).unwrap();
        let host = self.hosts.get_mut(name).expect("it was made");
        host.child = Some(child);
    }

    pub fn signal(&self, name: &str, signal: Signal) {
        let child = self.hosts[name].child.as_ref().expect("it was begun");
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    /// How often a host has led until its term was over, or the timer of a call has ended it.
    pub fn times_deposed(&self, name: &str) -> usize {
        self.read(&format!("{name}/log")).matches(" leads no more").count() + self.hosts[name].restarts
    }

    /// Waits for one more call at the vendor.
    pub fn next_call(&mut self) {
        let calls = self.calls();
        self.until("another call", |fleet| fleet.calls() > calls);
    }

    /// How a host's daemon has ended, if it has.
    pub fn ended(&mut self, name: &str) -> Option<ExitStatus> {
        let host = self.hosts.get_mut(name).expect("it was made");
        host.child.as_mut().expect("it was begun").try_wait().unwrap()
    }

    /// kill -9, if it runs; it is not begun again.
    pub fn kill(&mut self, name: &str) {
        let mut child = self.hosts.get_mut(name).expect("it was made").child.take().expect("it was begun");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// kill -9 of a member of the store, and its start; it takes requests then.
    pub fn restart_member(&mut self, at: usize) {
        self.backend.kill(at);
        self.backend.start_again(at);
    }

    /// A new member of the store is in the place of one.
    pub fn replace_member(&mut self, at: usize) {
        match &mut self.backend {
            Backend::Etcd(cluster) => self.runtime.block_on(cluster.replace_member(at)),
            Backend::Postgres(_) => panic!("its store is PostgreSQL"),
        }
    }

    /// Its members of etcd.
    pub fn cluster(&self) -> &Cluster {
        match &self.backend {
            Backend::Etcd(cluster) => cluster,
            Backend::Postgres(_) => panic!("its store is PostgreSQL"),
        }
    }

    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// A row of the store; `None` also while the store cannot be read.
    pub fn row(&self, key: Key<'_>) -> Option<Vec<u8>> {
        let key = key.to_string();
        self.block_on(self.store.get(&[&key])).ok()?.pop()?
    }

    /// Who leads by the store, and its term.
    pub fn leader(&self) -> Option<(String, u64)> {
        let beat: Beat = serde_json::from_slice(&self.row(Key::Lease)?).unwrap();
        (!beat.released).then(|| (beat.host.into(), beat.term))
    }

    /// Waits for a term above this one; who leads in it, and its number.
    pub fn next_leader(&mut self, after: u64) -> (String, u64) {
        let mut found = None;
        self.until("somebody leads", |fleet| {
            found = fleet.leader().filter(|(_, term)| *term > after);
            found.is_some()
        });
        found.expect("it was waited for")
    }

    pub fn publication(&self, order: &str) -> Option<Publication> {
        let row = self.row(Key::Publication { group: GROUP, order })?;
        Some(Publication::read(order, &row).unwrap())
    }

    pub fn report(&self, host: &str, order: &str) -> Option<Report> {
        Some(Report::read(&self.row(Key::Report { host, order })?).unwrap())
    }

    /// The vendor issues an order, or issues it anew for the same key and for longer than before.
    pub fn issue(&mut self, order: usize) {
        self.issued += 1;
        self.issue_as(order, newer(self.issued));
    }

    /// The same with what is said of the certificate.
    fn issue_as(&mut self, order: usize, certificate: CertificateSpec) {
        let number = order.to_string();
        let spec = CertificateSpec { key: Some(self.key.serialize_pem()), ..certificate };
        let mut vendor = self.vendor().vendor();
        let again = vendor.book().get(&number).is_some_and(|order| !order.certificates.is_empty());
        if again { vendor.reissue(&number, &spec) } else { vendor.issue(&number, Some(spec)) }.unwrap();
    }

    /// The vendor's newest certificate of an order, once one was issued.
    pub fn newest(&self, order: usize) -> Option<String> {
        self.vendor().certificate_pem(&order.to_string())
    }

    /// What is published of an order is the vendor's newest certificate.
    pub fn is_published(&self, order: usize) -> bool {
        let published = self.publication(&self.orders[order]);
        published.is_some_and(|it| Some(it.leaf.to_pem()) == self.newest(order))
    }

    /// What a host has installed of an order is the vendor's newest certificate.
    pub fn is_up_to_date(&self, host: &str, order: usize) -> bool {
        let shown = self.read(&format!("{host}/out/{}/cert.pem", self.orders[order]));
        Some(shown) == self.newest(order)
    }

    /// Waits until something holds.
    pub fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Fleet) -> bool) {
        let start = clock::now();
        while !holds(self) {
            assert!(clock::now().time.since(start.time) < PATIENCE, "not so within {PATIENCE:?}: {what}");
            if self.restarts {
                self.restart_ended();
            }
            std::thread::sleep(LOOK);
        }
    }

    pub fn restarts(&self) -> usize {
        self.hosts.values().map(|host| host.restarts).sum()
    }

    fn restart_ended(&mut self) {
        let names: Vec<String> = self.hosts.keys().cloned().collect();
        for name in names {
            if let Some(status) = self.ended(&name) {
                assert_eq!(status.signal(), ENDED_BY_TIMER, "{name}: {status}");
                self.begin(&name);
                self.hosts.get_mut(&name).expect("it was made").restarts += 1;
            }
        }
    }

    /// Invariants 1 and 2, by the vendor's record; else what was seen.
    pub fn judge_calls(&self) -> Result<(), String> {
        let counters = self.vendor().vendor().record().counters();
        let most = counters.all.max_in_flight;
        if most > 1 {
            return Err(format!("{most} calls at once"));
        }
        for (order, tally) in &counters.orders {
            let early = tally.smallest_gap_ms.filter(|gap| u128::from(*gap) < INTERVAL.as_millis());
            if let Some(gap) = early {
                return Err(format!("order {order} was polled again after {gap} ms: {tally:?}"));
            }
        }
        Ok(())
    }

    pub fn assert_calls_kept_apart(&self) {
        assert_eq!(self.judge_calls(), Ok(()));
    }

    pub fn calls_in_flight(&self) -> u32 {
        self.vendor().vendor().record().counters().all.in_flight
    }

    /// Calls that the vendor has seen.
    pub fn calls(&self) -> u64 {
        self.vendor().vendor().record().counters().all.calls
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in self.hosts.values_mut().filter_map(|host| host.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for name in self.hosts.keys() {
                let log = self.read(&format!("{name}/log"));
                let lines: Vec<&str> = log.lines().filter(|line| !line.contains(" TRACE ")).collect();
                eprintln!("{name}:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
            }
        }
    }
}

pub fn domain(order: &str) -> String {
    format!("{order}.example.com")
}

/// A certificate that begins and ends later than the one before.
pub fn newer(count: u32) -> CertificateSpec {
    let (hour, day) = (3600, 24 * 3600);
    let begin = clock::now().unix() / hour * hour - 60 * day + i64::from(count) * hour;
    CertificateSpec {
        not_before: Some(begin),
        not_after: Some(begin + 150 * day),
        ..CertificateSpec::default()
    }
}
