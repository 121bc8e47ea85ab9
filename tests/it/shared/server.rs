//! Servers of a real PostgreSQL, from the distribution's package.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;

use certcollectd::effects::shared::{Shared, StoreSettings};
use certcollectd_core::config::SecretSource;
use certcollectd_core::config::fleet::{StoreKind, StoreLogin};
use nix::unistd::{Uid, User};
use rustix::process::{Pid, Signal, kill_process};

use super::member::{Frozen, LOOK, PASSWORD, PATIENCE, free_port};
use super::switch::Place;
use crate::proof::run;
use crate::setting::Setting;

/// Who may connect: the superuser and `certcollectd`, who owns the database, without a password.
const ACCESS: &str = "local all all trust\n\
    host replication postgres 127.0.0.0/8 trust\n\
    host all postgres,certcollectd 127.0.0.0/8 trust\n\
    host all all 127.0.0.0/8 scram-sha-256\n";

/// A server in a directory of its own. Ended when it is dropped.
pub struct Server {
    dir: tempfile::TempDir,
    programs: PathBuf,
    place: Place,
    port: u16,
    more: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// With these settings besides; `None`, and a word about it, where PostgreSQL is not installed.
    pub fn start(more: &[&str]) -> Option<Server> {
        Server::start_on(Place::default(), more)
    }

    /// The same in this place.
    pub fn start_on(place: Place, more: &[&str]) -> Option<Server> {
        let mut server = Server::prepare(place, more)?;
        server.begin();
        Some(server)
    }

    /// With nothing in it.
    fn begin(&mut self) {
        let data = self.data();
        self.run("initdb", &["--no-sync", "-U", "postgres", "-A", "trust", "-D", data.to_str().unwrap()]);
        fs::write(data.join("pg_hba.conf"), ACCESS).unwrap();
        self.start_again();
        self.psql("postgres", "CREATE ROLE certcollectd LOGIN");
        self.psql("postgres", "CREATE DATABASE fleet OWNER certcollectd");
    }

    /// Another one is in its place, with nothing in it.
    pub fn replace(&mut self) {
        self.kill();
        self.clear_memory();
        fs::remove_dir_all(self.data()).unwrap();
        self.begin();
    }

    fn prepare(place: Place, more: &[&str]) -> Option<Server> {
        let Some(programs) = programs() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        if let Some(user) = other_user() {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let more = more.iter().map(ToString::to_string).collect();
        Some(Server { dir, programs, place, port: free_port(), more, child: None })
    }

    /// A standby of this one.
    pub fn standby(&self) -> Server {
        self.standby_on(Place::default())
    }

    /// The same in this place.
    pub fn standby_on(&self, place: Place) -> Server {
        // Sooner than the five seconds that are usual, it is there again when this one is.
        let mut more = vec!["wal_retrieve_retry_interval=100ms"];
        more.extend(self.more.iter().map(String::as_str));
        let mut standby = Server::prepare(place, &more).unwrap();
        standby.follow(self);
        standby
    }

    /// Starts as a standby of that one, which calls itself `standby`; what it had is gone.
    pub fn follow(&mut self, primary: &Server) {
        let (host, port) = (primary.place.address(), primary.port);
        let from = format!("host={host} port={port} user=postgres application_name=standby");
        let data = self.data();
        if data.exists() {
            self.clear_memory();
            fs::remove_dir_all(&data).unwrap();
        }
        self.run("pg_basebackup", &["-D", data.to_str().unwrap(), "-R", "-c", "fast", "-d", &from]);
        self.start_again();
    }

    /// Has each commit wait until a standby has it, or not any more.
    pub fn wait_for_standbys(&mut self, waits: bool) {
        let names = if waits { "*" } else { "" };
        self.psql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.psql("postgres", "SELECT pg_reload_conf()");
        let wanted = if waits { "sync" } else { "async" };
        let unlike = format!("SELECT count(*) FROM pg_stat_replication WHERE sync_state <> '{wanted}'");
        let like = format!("SELECT count(*) FROM pg_stat_replication WHERE sync_state = '{wanted}'");
        self.wait_until("it waits as it is told", |server| {
            server.psql("postgres", &unlike) == "0" && (!waits || server.psql("postgres", &like) != "0")
        });
    }

    pub fn start_again(&mut self) {
        let log = File::options().append(true).create(true).open(self.dir.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .arg("-k")
            .arg(self.dir.path());
        command.args(["-c", &format!("listen_addresses={}", self.place.address())]);
        for setting in &self.more {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(self.place.spawn(&mut command).unwrap());
        self.wait_until("it takes connections", |server| {
            let child = server.child.as_mut().unwrap();
            assert!(child.try_wait().unwrap().is_none(), "PostgreSQL ended: {}", server.log());
            let mut command = server.command("pg_isready");
            command.arg("-q").arg("-h").arg(server.dir.path()).args(["-p", &server.port.to_string()]);
            command.status().unwrap().success()
        });
    }

    /// Looks until it is so.
    pub fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&mut Server) -> bool) {
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            if is_so(self) {
                return;
            }
            sleep(LOOK);
        }
        panic!("{what}: never; {}", self.log());
    }

    /// kill -9 of all its processes, if it runs.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It has ended by itself.
        if child.try_wait().unwrap().is_some() {
            return;
        }
        let all = stopped(&child);
        for pid in &all {
            let _ = kill_process(*pid, Signal::KILL);
        }
        child.wait().unwrap();
        // Until then it cannot be started again: they are attached to its memory.
        let is_there = |pid: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
            stat.is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
        };
        self.wait_until("its processes are gone", |_| !all.iter().any(is_there));
    }

    /// All its processes stand still for as long as the answer lives.
    pub fn freeze(&self) -> Frozen {
        Frozen(stopped(self.child.as_ref().expect("it runs")))
    }

    /// What a server that crashed has left with the kernel, by the last line but one of its file.
    fn clear_memory(&self) {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let id = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        if let Some(id) = id {
            let _ = self.command_of("ipcrm".into()).args(["-m", id]).stderr(Stdio::null()).status();
        }
    }

    /// Becomes a primary.
    pub fn promote(&self) {
        self.psql("postgres", "SELECT pg_promote()");
    }

    /// Has the table on a disk of three megabytes; the mounts must be this thread's own.
    pub fn move_to_small_disk(&self) -> Result<(), String> {
        let disk = self.small_disk();
        fs::create_dir(&disk).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", disk.to_str().unwrap()])?;
        if let Some(user) = other_user() {
            chown(&disk, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        self.psql("fleet", &format!("CREATE TABLESPACE small LOCATION '{}'", disk.display()));
        self.psql("fleet", "ALTER TABLE certcollectd_rows SET TABLESPACE small");
        // It would make room by itself.
        self.psql("fleet", "ALTER TABLE certcollectd_rows SET (autovacuum_enabled = off)");
        Ok(())
    }

    fn small_disk(&self) -> PathBuf {
        self.dir.path().join("small")
    }

    pub fn enlarge_small_disk(&self) {
        let disk = self.small_disk();
        run("mount", &["-o", "remount,size=30m", disk.to_str().unwrap()]).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn address(&self) -> String {
        format!("{}:{}", self.place.address(), self.port)
    }

    pub fn endpoint(&self) -> String {
        endpoint(&self.address())
    }

    /// As the owner of the database.
    pub fn settings(&self) -> StoreSettings {
        super::settings(StoreKind::Postgres, vec![self.endpoint()])
    }

    pub fn connect(&self) -> Shared {
        Shared::connect(self.settings())
    }

    /// A user with [`PASSWORD`], and the settings to log in as it.
    pub fn add_user(&self, user: &str) -> StoreSettings {
        let name = user.replace('"', "\"\"");
        self.psql("fleet", &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{PASSWORD}'"));
        self.as_user(user, PASSWORD)
    }

    /// Runs what `fleet grant` prints, as an administrator would; the file with the user's password.
    pub fn grant(&self, arguments: &[&str]) -> PathBuf {
        let mut setting = Setting::new();
        setting.table(&format!(
            "[fleet]\nrole = \"collector\"\nname = \"admin\"\ngroups = [\"web\"]\nstore = \"postgres\"\nendpoints = [{:?}]\n",
            self.endpoint()
        ));
        setting.write_configuration();
        let (code, lines) = setting.call(&[&["fleet", "grant"], arguments].concat());
        assert_eq!(code, 0, "{lines}");
        let (statements, last) = lines.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(last, format!("\\password \"{}\"", arguments[0]));
        self.psql("fleet", statements);
        self.psql("fleet", &format!("ALTER ROLE \"{}\" PASSWORD '{PASSWORD}'", arguments[0]));
        self.password_file(PASSWORD)
    }

    fn password_file(&self, password: &str) -> PathBuf {
        let path = self.dir.path().join(format!("password-{}", password.len()));
        fs::write(&path, password).unwrap();
        path
    }

    pub fn as_user(&self, user: &str, password: &str) -> StoreSettings {
        let path = self.password_file(password);
        let login = StoreLogin { user: user.into(), password: SecretSource::File(path) };
        StoreSettings { login: Some(login), makes_tables: false, ..self.settings() }
    }

    /// As the superuser.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let mut command = self.command("psql");
        command.arg("-h").arg(self.dir.path()).args(["-p", &self.port.to_string(), "-U", "postgres"]);
        command.args(["-v", "ON_ERROR_STOP=1", "-qAt", "-d", database, "-c", sql]).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Who else may connect than by its own socket, in the form of `pg_hba.conf`.
    pub fn only(&self, lines: &str) {
        fs::write(self.data().join("pg_hba.conf"), format!("local all all trust\n{lines}")).unwrap();
    }

    /// Files that the server reads: its certificate and key.
    pub fn give(&self, file: &Path) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = other_user() {
            chown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Command {
        self.command_of(self.programs.join(program))
    }

    /// As the user that the servers run as.
    pub fn command_of(&self, program: PathBuf) -> Command {
        let mut command = match other_user() {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                let [uid, gid] = [user.uid.as_raw(), user.gid.as_raw()].map(|id| id.to_string());
                command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]).arg(program);
                command
            }
        };
        command.current_dir(self.dir.path()).env("LC_ALL", "C");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        self.clear_memory();
        let disk = self.small_disk();
        if disk.exists() {
            let _ = run("umount", &["-l", disk.to_str().unwrap()]);
        }
    }
}

/// A server's processes, which stand still from now on. The first one makes the others, so it is stopped first.
fn stopped(child: &Child) -> Vec<Pid> {
    let first = Pid::from_child(child);
    kill_process(first, Signal::STOP).unwrap();
    let number = first.as_raw_pid();
    let runs = |stat: String| ![") T ", ") Z "].iter().any(|state| stat.contains(state));
    while runs(fs::read_to_string(format!("/proc/{number}/stat")).unwrap()) {
        sleep(LOOK);
    }
    let others = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap();
    let others = others.split_whitespace().map(|other| Pid::from_raw(other.parse().unwrap()).unwrap());
    let all: Vec<Pid> = [first].into_iter().chain(others).collect();
    for pid in &all[1..] {
        let _ = kill_process(*pid, Signal::STOP);
    }
    all
}

/// Of the database.
pub fn endpoint(address: &str) -> String {
    format!("postgres://{address}/fleet")
}

/// PostgreSQL does not run as root.
fn other_user() -> Option<User> {
    Uid::effective().is_root().then(|| User::from_name("postgres").unwrap().expect("the package makes it"))
}

/// Where the newest version's programs are.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let number =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()).unwrap_or(0);
    let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(number)?;
    Some(newest.join("bin")).filter(|bin| bin.join("postgres").exists())
}
