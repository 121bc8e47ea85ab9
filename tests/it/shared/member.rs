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
    arguments: Vec<String>,
    client: String,
    log: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    /// So many members with these arguments besides; `None`, and a word about it, where etcd is not
    /// installed.
    pub fn start(size: usize, more: &[&str]) -> Option<Cluster> {
        Cluster::with_scheme("http", size, |_| more.iter().map(ToString::to_string).collect())
    }

    /// A member that takes TLS of clients; the arguments may name files of the directory.
    pub fn secure(more: impl Fn(&Path) -> Vec<String>) -> Option<Cluster> {
        Cluster::with_scheme("https", 1, more)
    }

    fn with_scheme(scheme: &str, size: usize, more: impl Fn(&Path) -> Vec<String>) -> Option<Cluster> {
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
        let peers: Vec<String> = (0..size).map(|_| format!("http://127.0.0.1:{}", free_port())).collect();
        let all: Vec<String> = peers.iter().enumerate().map(|(at, url)| format!("m{at}={url}")).collect();
        let members = peers.iter().enumerate().map(|(at, peer)| {
            let client = format!("{scheme}://127.0.0.1:{}", free_port());
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
            Member { arguments, client, log: data.with_extension("log"), child: None }
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
        member.child = Some(command.spawn().unwrap());
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
        self.kill(0);
        let member = &self.members[0];
        let value = |name: &str| {
            let at = member.arguments.iter().position(|argument| argument == name).unwrap();
            &*member.arguments[at + 1]
        };
        std::fs::remove_dir_all(value("--data-dir")).unwrap();
        let (snapshot, names) = (snapshot.to_str().unwrap(), ["--name", "--data-dir", "--initial-cluster"]);
        let mut arguments = vec!["snapshot", "restore", snapshot];
        for name in names.into_iter().chain(["--initial-advertise-peer-urls"]) {
            arguments.extend([name, value(name)]);
        }
        self.ctl(&arguments);
        self.start_again(0).await;
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
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.endpoint(0)]).args(arguments);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "etcdctl {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
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

    /// The settings of that user.
    pub fn as_user(&self, password: &str) -> StoreSettings {
        let path = self.dir().join(format!("password-{}", password.len()));
        std::fs::write(&path, password).unwrap();
        let login = StoreLogin { user: "web".into(), password: SecretSource::File(path) };
        StoreSettings { login: Some(login), ..self.settings() }
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
