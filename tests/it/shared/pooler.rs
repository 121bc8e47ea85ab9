//! A real pgbouncer between hosts and PostgreSQL, from the distribution's package.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use certcollectd::effects::shared::{Committed, Shared, StoreSettings, Trouble};

use super::member::{LOOK, PASSWORD, PATIENCE, block_on, free_port};
use super::server::{Server, endpoint};
use super::{commit_at_last, is_away, lost, put, row};

/// In transaction mode: a connection to the server is a client's for as long as its transaction.
pub struct Pooler {
    server: StoreSettings,
    port: u16,
    child: Child,
}

impl Pooler {
    /// With these settings besides; `None`, and a word about it, where pgbouncer is not installed.
    pub fn start(server: &Server, more: &str) -> Option<Pooler> {
        let Some(program) =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|it| fs::exists(it).unwrap())
        else {
            eprintln!("skipped: pgbouncer is not installed");
            return None;
        };
        let (dir, port) = (server.dir().display(), free_port());
        let (file, users) = (server.dir().join("pooler.ini"), server.dir().join("users.txt"));
        fs::write(&users, format!("\"certcollectd\" \"\"\n\"web\" \"{PASSWORD}\"\n")).unwrap();
        let address = server.address();
        let (host, of_server) = address.split_once(':').unwrap();
        fs::write(
            &file,
            format!(
                "[databases]\nfleet = host={host} port={of_server} dbname=fleet\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {port}\nunix_socket_dir =\npool_mode = transaction\nauth_file = {}\nauth_type = trust\n\
                 default_pool_size = 5\nserver_login_retry = 1\nlogfile = {dir}/pooler.log\n{more}\n",
                users.display()
            ),
        )
        .unwrap();
        server.give(&file);
        server.give(&users);
        let mut command = server.command_of(program.into());
        let child = command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pooler = Pooler { server: server.settings(), port, child };
        for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
            if TcpStream::connect(pooler.address()).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(LOOK);
        }
        panic!(
            "pgbouncer takes no connections: {}",
            fs::read_to_string(server.dir().join("pooler.log")).unwrap_or_default()
        );
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As the owner of the database. No hint comes through, so that a watch has to look.
    pub fn settings(&self) -> StoreSettings {
        StoreSettings {
            endpoints: vec![endpoint(&self.address())],
            watch_idle: Duration::from_millis(400),
            ..self.server.clone()
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_behind_a_pooler_is_found_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let Some(pooler) = Pooler::start(&server, "") else { return };
    let settings = StoreSettings { timeout: Duration::from_secs(1), ..pooler.settings() };
    let shared = Shared::connect(settings);
    block_on(async {
        assert_eq!(shared.commit(&put("a", "1")).await, Committed::Done);
        let mut watch = shared.watch("", shared.list("").await.unwrap().revision);
        server.kill();
        let outcome = shared.commit(&put("a", "2")).await;
        assert!(matches!(&outcome, Committed::Refused(trouble) if is_away(trouble)), "{outcome:?}");
        server.start_again();
        lost(&mut watch).await;
        commit_at_last(&shared, &put("a", "2")).await;
        assert_eq!(shared.list("").await.unwrap().rows, [row("a", "2")]);
        // It works, and a pool in session mode or the server itself would be quicker.
        let report = shared.check().await.remove(0);
        assert!(report.problems.is_empty() && report.advice.unwrap().contains("no notifications"));
        assert_eq!(server.connect().check().await.remove(0).advice, None);
    });
}

#[test]
fn a_log_in_that_a_pooler_refuses_is_said() {
    let Some(server) = Server::start(&[]) else { return };
    let right = server.add_user("web");
    let Some(pooler) = Pooler::start(&server, "auth_type = scram-sha-256") else { return };
    let through = |settings| StoreSettings { endpoints: pooler.settings().endpoints, ..settings };
    for (user, password) in [("web", "wrong"), ("nobody", PASSWORD)] {
        let trouble =
            block_on(Shared::connect(through(server.as_user(user, password))).list("")).unwrap_err();
        assert!(matches!(&trouble, Trouble::Denied(text) if text.contains("write it into")), "{trouble:?}");
    }
    let trouble = block_on(Shared::connect(through(right)).list("")).unwrap_err();
    assert!(trouble.to_string().contains("a collector"), "it is logged in: {trouble}");
}
