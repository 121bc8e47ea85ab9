//! Members of a real etcd, from the distribution's package.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use certcollectd::effects::shared::{Shared, StoreSettings};
use certcollectd_core::config::SecretSource;
use certcollectd_core::config::fleet::{StoreKind, StoreLogin};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::switch::Place;
use crate::setting::{Setting, said};

/// A condition that does not come true within this has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
pub const LOOK: Duration = Duration::from_millis(10);

pub const PREFIX: &str = "certcollectd/main/";
/// Searched for in messages.
pub const PASSWORD: &str = "cAnArY&p+s=%w0rd";

/// A cluster in a directory of its own. Ended when it is dropped.
pub struct Cluster {
    dir: tempfile::TempDir,
    members: Vec<Member>,
}

struct Member {
    place: Place,
    arguments: Vec<String>,
    client: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Member {
    fn argument(&self, name: &str) -> &str {
        let at = self.arguments.iter().position(|argument| argument == name).unwrap();
        &self.arguments[at + 1]
    }
}

impl Cluster {
    /// So many members with these arguments besides; `None`, and a word about it, where etcd is not
    /// installed.
    pub fn start(size: usize, more: &[&str]) -> Option<Cluster> {
        let places = vec![Place::default(); size];
        Cluster::with_scheme("http", places, |_| more.iter().map(ToString::to_string).collect())
    }

    /// A member in each of these places.
    pub fn on(places: Vec<Place>) -> Option<Cluster> {
        Cluster::with_scheme("http", places, |_| Vec::new())
    }

    /// A member that takes TLS of clients; the arguments may name files of the directory.
    pub fn secure(more: impl Fn(&Path) -> Vec<String>) -> Option<Cluster> {
        Cluster::with_scheme("https", vec![Place::default()], more)
    }

    fn with_scheme(scheme: &str, places: Vec<Place>, more: impl Fn(&Path) -> Vec<String>) -> Option<Cluster> {
        for program in ["etcd", "etcdctl"] {
            if Command::new(program)
                .arg("--help")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_err()
            {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let more = more(dir.path());
        let size = places.len();
        let peer = |place: &Place| format!("http://{}:{}", place.address(), free_port());
        let peers: Vec<String> = places.iter().map(peer).collect();
        let all: Vec<String> = peers.iter().enumerate().map(|(at, url)| format!("m{at}={url}")).collect();
        let members = places.into_iter().zip(&peers).enumerate().map(|(at, (place, peer))| {
            let client = format!("{scheme}://{}:{}", place.address(), free_port());
            let data = dir.path().join(format!("m{at}"));
            let mut arguments: Vec<String> = [
                ("--name", &*format!("m{at}")),
                ("--data-dir", data.to_str().unwrap()),
                ("--listen-client-urls", &client),
                ("--advertise-client-urls", &client),
                ("--listen-peer-urls", peer),
                ("--initial-advertise-peer-urls", peer),
                ("--initial-cluster", &all.join(",")),
                ("--heartbeat-interval", "50"),
                ("--election-timeout", "500"),
                ("--bcrypt-cost", "4"),
            ]
            .iter()
            .flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()])
            .collect();
            arguments.extend(more.clone());
            Member { place, arguments, client, log: data.with_extension("log"), child: None }
        });
        let mut cluster = Cluster { members: members.collect(), dir };
        for at in 0..size {
            cluster.spawn(at);
        }
        block_on(async {
            for at in 0..size {
                cluster.ready(at).await;
            }
        });
        Some(cluster)
    }

    fn spawn(&mut self, at: usize) {
        let member = &mut self.members[at];
        let log = File::create(&member.log).unwrap();
        let mut command = Command::new("etcd");
        command.args(&member.arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        member.child = Some(member.place.spawn(&mut command).unwrap());
    }

    /// Waits until it takes requests.
    async fn ready(&mut self, at: usize) {
        let member = &mut self.members[at];
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            let log = std::fs::read_to_string(&member.log).unwrap();
            let ended = member.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "etcd ended: {log}");
            if log.contains("ready to serve client requests") {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("etcd takes no requests");
    }

    /// Ends it in good order, so that it does not do again what it did last: among that may be a log-in.
    pub async fn restart(&mut self, at: usize) {
        let mut child = self.members[at].child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        child.wait().unwrap();
        self.start_again(at).await;
    }

    /// After it was killed.
    pub async fn start_again(&mut self, at: usize) {
        self.spawn(at);
        self.ready(at).await;
    }

    /// Has the only member go on from a snapshot.
    pub async fn restore(&mut self, snapshot: &Path) {
        self.lose(0);
        let value = |name| self.members[0].argument(name);
        let (snapshot, names) = (snapshot.to_str().unwrap(), ["--name", "--data-dir", "--initial-cluster"]);
        let mut arguments = vec!["snapshot", "restore", snapshot];
        for name in names.into_iter().chain(["--initial-advertise-peer-urls"]) {
            arguments.extend([name, value(name)]);
        }
        self.ctl(&arguments);
        self.start_again(0).await;
    }

    /// Another cluster is in its place, with nothing in it.
    pub async fn replace(&mut self) {
        for at in 0..self.size() {
            self.lose(at);
            self.spawn(at);
        }
        for at in 0..self.size() {
            self.ready(at).await;
        }
    }

    /// A new member is in the place of this one, with nothing but what the others tell it.
    pub async fn replace_member(&mut self, at: usize) {
        let peer = self.members[at].argument("--initial-advertise-peer-urls").to_owned();
        self.lose(at);
        let others = (0..self.size()).filter(|other| *other != at).map(|other| self.endpoint(other));
        let endpoints = others.collect::<Vec<_>>().join(",");
        let members = self.until_done(&endpoints, &["member", "list"]).await;
        let id = members.lines().find(|line| line.contains(&peer)).and_then(|line| line.split(',').next());
        self.until_done(&endpoints, &["member", "remove", id.expect("it is one of them")]).await;
        let peers = format!("--peer-urls={peer}");
        self.until_done(&endpoints, &["member", "add", &format!("m{at}"), &peers]).await;
        self.members[at].arguments.extend(["--initial-cluster-state", "existing"].map(str::to_owned));
        self.start_again(at).await;
    }

    /// Ends one, with all that it holds.
    fn lose(&mut self, at: usize) {
        self.kill(at);
        std::fs::remove_dir_all(self.members[at].argument("--data-dir")).unwrap();
    }

    pub fn kill(&mut self, at: usize) {
        let mut child = self.members[at].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it for as long as the answer lives.
    pub fn freeze(&self, at: usize) -> Frozen {
        let pid = Pid::from_child(self.members[at].child.as_ref().unwrap());
        kill_process(pid, Signal::STOP).unwrap();
        Frozen(vec![pid])
    }

    /// Members, dead ones included.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn endpoint(&self, at: usize) -> String {
        self.members[at].client.clone()
    }

    /// All its endpoints, a short timeout, no log-in.
    pub fn settings(&self) -> StoreSettings {
        super::settings(StoreKind::Etcd, self.members.iter().map(|member| member.client.clone()).collect())
    }

    pub fn connect(&self) -> Shared {
        Shared::connect(self.settings())
    }

    /// `etcdctl` at the first member.
    pub fn ctl(&self, arguments: &[impl AsRef<OsStr> + Debug]) -> String {
        ctl(&self.endpoint(0), arguments).unwrap_or_else(|said| panic!("etcdctl {arguments:?}: {said}"))
    }

    /// `etcdctl` until the members are of one mind again: they want to have been so for some seconds.
    async fn until_done(&self, endpoints: &str, arguments: &[&str]) -> String {
        let mut said = String::new();
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            match ctl(endpoints, arguments) {
                Ok(output) => return output,
                // Done by a try whose answer was lost.
                Err(why) if why.contains("not found") || why.contains("already exists") => return why,
                Err(why) => said = why,
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("etcdctl {arguments:?}: {said}");
    }

    /// Forgets all that was before now.
    pub fn compact(&self) {
        let status: Value = serde_json::from_str(&self.ctl(&["endpoint", "status", "-w", "json"])).unwrap();
        self.ctl(&["compact", &status[0]["Status"]["header"]["revision"].to_string()]);
    }

    /// Turns authentication on, with a user `web` that may read and write below `own/` of the prefix.
    pub fn enable_authentication(&self, more: &[&str]) {
        let own = format!("{PREFIX}own/");
        for arguments in [
            &["user", "add", "root:root"][..],
            &["user", "grant-role", "root", "root"],
            &["role", "add", "web"],
            &["role", "grant-permission", "web", "readwrite", &own, "--prefix"],
            &["user", "add", &format!("web:{PASSWORD}")],
            &["user", "grant-role", "web", "web"],
            &["auth", "enable"],
        ] {
            self.ctl(&[more, arguments].concat());
        }
    }

    /// Runs what `fleet grant` prints, as an administrator would.
    pub fn grant(&self, arguments: &[&str], password: &str) {
        let setting = Setting::new();
        let (code, lines) = setting.call(&[&["fleet", "grant"], arguments].concat());
        assert_eq!(code, 0, "{lines}");
        let mut shell = Command::new("sh");
        shell
            .args(["-e", "-c", &lines])
            .env("ETCDCTL_API", "3")
            .env("ETCDCTL_ENDPOINTS", self.endpoint(0))
            .env("ETCDCTL_USER", "root:root")
            .stdin(File::open(self.password_file(arguments[0], &format!("{password}\n"))).unwrap())
            .stdout(Stdio::null());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{lines}\n{}", said(&output).1);
    }

    pub fn password_file(&self, user: &str, password: &str) -> PathBuf {
        let path = self.dir().join(format!("password-{user}-{}", password.len()));
        std::fs::write(&path, password).unwrap();
        path
    }

    /// The settings of a user.
    pub fn as_user(&self, user: &str, password: &str) -> StoreSettings {
        let password = SecretSource::File(self.password_file(user, password));
        let login = StoreLogin { user: user.into(), password };
        StoreSettings { login: Some(login), ..self.settings() }
    }
}

fn ctl(endpoints: &str, arguments: &[impl AsRef<OsStr>]) -> Result<String, String> {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(["--endpoints", endpoints]).args(arguments);
    let output = command.stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().filter_map(|member| member.child.as_mut()) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// These processes stand still.
pub struct Frozen(pub Vec<Pid>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

/// A port on which nobody listens. None of those that the kernel gives to connections: it must be free again
/// when a member is restarted.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 10_000 + (37 * std::process::id() + NEXT.fetch_add(1, Relaxed)) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
