//! A store of either kind, for tests that say the same of both.

use std::net::SocketAddr;

use certcollectd::effects::shared::{Change, News, Revision, Row, Shared, StoreSettings};
use certcollectd_core::config::fleet::StoreKind;

use super::member::{Cluster, Frozen, PASSWORD, PREFIX, block_on};
use super::pooler::Pooler;
use super::server::{Server, endpoint};
use super::switch::Place;

/// Keeps each value that a row has had, in the order in which they were written.
const HISTORY: &str = "\
    CREATE TABLE history (number bigserial, prefix text, key text, value bytea);\
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS \
    'BEGIN INSERT INTO public.history (prefix, key, value) VALUES (NEW.prefix, NEW.key, NEW.value); RETURN NULL; END';\
    CREATE TRIGGER remember AFTER INSERT OR UPDATE ON certcollectd_rows FOR EACH ROW WHEN (NEW.value IS NOT NULL) \
    EXECUTE FUNCTION remember()";

/// A primary that becomes a standby is there again soon; and hundreds of hosts have room.
const SETTINGS: [&str; 2] = ["wal_retrieve_retry_interval=100ms", "max_connections=1000"];

/// Ended when it is dropped.
pub enum Backend {
    /// Members of etcd.
    Etcd(Cluster),
    /// Servers of PostgreSQL.
    Postgres(Servers),
}

/// One of them takes writes; the others are its standbys.
pub struct Servers {
    pub all: Vec<Server>,
    pub primary: usize,
    /// Through which all hosts reach the only one.
    pub pooler: Option<Box<Pooler>>,
}

impl Backend {
    /// So many members or servers: of several, any one may be lost with all that it had. `None`, and a word about it,
    /// where the store is not installed.
    pub fn start(kind: StoreKind, size: usize) -> Option<Backend> {
        Backend::start_on(kind, vec![Place::default(); size])
    }

    /// The same in these places.
    pub fn start_on(kind: StoreKind, places: Vec<Place>) -> Option<Backend> {
        match kind {
            StoreKind::Etcd => Cluster::on(places).map(Backend::Etcd),
            StoreKind::Postgres => Servers::start(places).map(Backend::Postgres),
        }
    }

    pub fn kind(&self) -> StoreKind {
        match self {
            Backend::Etcd(_) => StoreKind::Etcd,
            Backend::Postgres(_) => StoreKind::Postgres,
        }
    }

    /// Dead ones included.
    pub fn size(&self) -> usize {
        match self {
            Backend::Etcd(cluster) => cluster.size(),
            Backend::Postgres(servers) => servers.all.len(),
        }
    }

    pub fn address(&self, at: usize) -> SocketAddr {
        let address = match self {
            Backend::Etcd(cluster) => cluster.endpoint(at).trim_start_matches("http://").to_owned(),
            Backend::Postgres(servers) => match &servers.pooler {
                Some(pooler) => pooler.address(),
                None => servers.all[at].address(),
            },
        };
        address.parse().unwrap()
    }

    /// As it is written in a configuration, for one that is reached at this address.
    pub fn endpoint(&self, address: SocketAddr) -> String {
        match self {
            Backend::Etcd(_) => format!("http://{address}"),
            Backend::Postgres(_) => endpoint(&address.to_string()),
        }
    }

    /// Of all of them.
    pub fn endpoints(&self) -> Vec<String> {
        (0..self.size()).map(|at| self.endpoint(self.address(at))).collect()
    }

    /// The keys of `[fleet]` that say where it is.
    pub fn keys(&self) -> String {
        format!("store = \"{}\"\nendpoints = {:?}\n", self.kind(), self.endpoints())
    }

    pub fn settings(&self) -> StoreSettings {
        super::settings(self.kind(), self.endpoints())
    }

    pub fn connect(&self) -> Shared {
        Shared::connect(self.settings())
    }

    /// Makes a user with the rights that `fleet grant` names with these arguments; the keys of `[fleet]` that log in as it.
    pub fn user(&self, name: &str, arguments: &[&str]) -> String {
        let arguments = [&[name], arguments].concat();
        let file = match self {
            Backend::Etcd(cluster) => {
                cluster.grant(&arguments, PASSWORD);
                cluster.password_file(name, PASSWORD)
            }
            Backend::Postgres(servers) => servers.all[servers.primary].grant(&arguments),
        };
        format!("user = \"{name}\"\npassword = {{ file = \"{}\" }}", file.display())
    }

    /// kill -9.
    pub fn kill(&mut self, at: usize) {
        match self {
            Backend::Etcd(cluster) => cluster.kill(at),
            Backend::Postgres(servers) => servers.all[at].kill(),
        }
    }

    /// After it was killed; it takes requests then.
    pub fn start_again(&mut self, at: usize) {
        match self {
            Backend::Etcd(cluster) => block_on(cluster.start_again(at)),
            Backend::Postgres(servers) => servers.all[at].start_again(),
        }
    }

    /// It stands still for as long as the answer lives.
    pub fn freeze(&self, at: usize) -> Frozen {
        match self {
            Backend::Etcd(cluster) => cluster.freeze(at),
            Backend::Postgres(servers) => servers.all[at].freeze(),
        }
    }

    /// Another store is in its place, with nothing in it.
    pub fn replace(&mut self) {
        match self {
            Backend::Etcd(cluster) => block_on(cluster.replace()),
            Backend::Postgres(servers) => servers.all[servers.primary].replace(),
        }
    }

    /// What [`Backend::put_back`] goes back to.
    pub fn keep_copy(&mut self) {
        match self {
            Backend::Etcd(cluster) => {
                let copy = cluster.dir().join("copy");
                cluster.ctl(&["snapshot", "save", copy.to_str().unwrap()]);
            }
            // A standby that nobody waits for, and that falls behind.
            Backend::Postgres(servers) => {
                servers.primary().wait_for_standbys(false);
                servers.standby().kill();
            }
        }
    }

    /// All that was written since then is lost.
    pub fn put_back(&mut self) {
        match self {
            Backend::Etcd(cluster) => {
                let copy = cluster.dir().join("copy");
                block_on(cluster.restore(&copy));
            }
            Backend::Postgres(servers) => {
                servers.primary().kill();
                servers.standby().start_again();
                servers.fail_over();
            }
        }
    }

    /// All values that the rows below this have had, oldest first.
    pub fn history(&self, prefix: &str) -> Vec<Row> {
        match self {
            Backend::Etcd(cluster) => block_on(changes(&cluster.connect(), prefix)),
            Backend::Postgres(servers) => servers.all[servers.primary].history(prefix),
        }
    }
}

/// From the first one on.
async fn changes(shared: &Shared, prefix: &str) -> Vec<Row> {
    let mut missing = shared.list(prefix).await.unwrap().rows;
    let (mut all, mut watch) = (Vec::new(), shared.watch(prefix, Revision(0)));
    while !missing.is_empty() {
        let changes = match watch.next().await {
            News::Changes(changes) => changes,
            News::Lost(why) => panic!("{why}"),
        };
        for change in changes {
            let Change::Put(row) = change else { continue };
            missing.retain(|last| *last != row);
            all.push(row);
        }
    }
    all
}

impl Servers {
    fn start(places: Vec<Place>) -> Option<Servers> {
        let mut places = places.into_iter();
        let first = places.next().expect("there is one at least");
        let primary = Server::start_on(first, &SETTINGS)?;
        // Makes the table.
        block_on(primary.connect().list("")).unwrap();
        primary.psql("fleet", HISTORY);
        let mut all = vec![primary];
        for place in places {
            all.push(all[0].standby_on(place));
        }
        let mut servers = Servers { all, primary: 0, pooler: None };
        if servers.all.len() > 1 {
            servers.primary().wait_for_standbys(true);
        }
        Some(servers)
    }

    /// As the superuser.
    pub fn psql(&self, sql: &str) {
        self.all[self.primary].psql("fleet", sql);
    }

    pub fn primary(&mut self) -> &mut Server {
        &mut self.all[self.primary]
    }

    /// Of two servers, the other one.
    pub fn standby(&mut self) -> &mut Server {
        &mut self.all[1 - self.primary]
    }

    /// The standby takes over; nothing happens to the other one.
    pub fn fail_over(&mut self) {
        self.standby().promote();
        self.primary = 1 - self.primary;
    }

    /// The other one becomes the standby, without which nothing is confirmed any more.
    pub fn make_safe(&mut self) {
        self.standby().kill();
        let (first, second) = self.all.split_at_mut(1);
        let (first, second) = (&mut first[0], &mut second[0]);
        let (primary, standby) = if self.primary == 0 { (first, second) } else { (second, first) };
        standby.follow(primary);
        primary.wait_for_standbys(true);
    }
}

impl Server {
    fn history(&self, prefix: &str) -> Vec<Row> {
        let sql = format!(
            "SELECT key || ' ' || encode(value, 'hex') FROM history \
             WHERE prefix = '{PREFIX}' AND starts_with(key, '{prefix}') ORDER BY number"
        );
        let hex = |text: &str| -> Vec<u8> {
            let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
            (0..text.len()).step_by(2).map(digit).collect()
        };
        let row = |line: &str| {
            let (key, value) = line.split_once(' ').unwrap();
            Row { key: key.to_owned(), value: hex(value) }
        };
        self.psql("fleet", &sql).lines().map(row).collect()
    }
}

/// Each of these, which takes the kind of the store, is a test for each kind.
macro_rules! on_each_store {
    // With PostgreSQL by tests/proof only.
    (etcd at once: $($test:ident),*) => {
        $crate::shared::backend::on_each_store!(@ [#[ignore = "the same on the other store; tests/proof runs it"]] $($test),*);
    };
    ($($test:ident),*) => { $crate::shared::backend::on_each_store!(@ [] $($test),*); };
    (@ $ignored:tt $($test:ident),*) => {
        mod etcd {
            $(#[test]
            fn $test() {
                super::$test(certcollectd_core::config::fleet::StoreKind::Etcd);
            })*
        }
        mod postgres {
            $($crate::shared::backend::on_each_store!(@ one $ignored $test);)*
        }
    };
    (@ one [$($ignored:tt)*] $test:ident) => {
        $($ignored)*
        #[test]
        fn $test() {
            super::$test(certcollectd_core::config::fleet::StoreKind::Postgres);
        }
    };
}

pub(crate) use on_each_store;
