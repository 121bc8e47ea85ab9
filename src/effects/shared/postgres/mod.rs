//! PostgreSQL, version 15 or later: one table of rows, compared and written under locks on them.
//!
//! The endpoint that takes writes is asked, until it fails. Each request is one transaction, so that a pooler
//! may stand in between. A commit has two halves: the first holds the rows and reads them, the second writes
//! and ends it. What fails in the first was surely not written; what is lost in the second may have been.
//!
//! A server answers "done" with a warning to a commit whose wait for a synchronous standby was cut short: no
//! standby may have it. So a warning is no "done".

mod check;
mod grants;
mod session;
mod sql;
mod tls;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;
use tokio_postgres::SimpleQueryRow;

use self::session::{Access, Address, Answers, Complaint, Failure, Heard, Moment, Session};
use self::watch::Listener;
use super::endpoints::{Endpoints, Troubles};
use super::{Commit, Committed, Listing, Row, StoreSettings, Trouble};
use crate::effects::blocking;
use crate::effects::call::credential;
use certcollectd_core::api::Untrusted;

pub use self::grants::{Grantee, grants};
pub(super) use self::watch::Watch;

/// Connections that are kept for the next request.
const KEPT: usize = 2;
/// Attempts at a commit that the server gave up in favour of another one.
const TRIES: usize = 5;
/// The code of a row that another transaction holds for too long.
const HELD: &str = "55P03";
/// What keeps a server from ending a commit, most often.
const LOOK_AT_STANDBYS: &str = "look whether its synchronous standbys are there";
/// The first version in which keys that begin alike are found by the index.
const FIRST: u32 = 150_000;

/// A client of PostgreSQL's.
#[derive(Debug)]
pub(super) struct Postgres {
    settings: StoreSettings,
    addresses: Vec<Option<Address>>,
    /// To read files.
    permit: Arc<Semaphore>,
    /// Connections to the endpoint of this number that nobody uses.
    idle: Mutex<Vec<(usize, Session)>>,
    endpoints: Endpoints,
    /// The last one that was read of.
    incarnation: Mutex<Option<String>>,
    listener: Mutex<Weak<Listener>>,
}

/// What has the timeout.
#[derive(Clone, Copy)]
enum Limit {
    /// The next row of many.
    Row,
    All,
}

/// How the first half of a commit ended.
enum Held {
    /// All is as expected, and stays so until the second half.
    Expected,
    Otherwise,
}

impl Postgres {
    pub(super) fn new(settings: StoreSettings) -> Postgres {
        assert!(!settings.endpoints.is_empty(), "a store without an endpoint");
        let addresses = settings.endpoints.iter().map(|endpoint| Address::parse(endpoint)).collect();
        let count = settings.endpoints.len();
        Postgres {
            settings,
            addresses,
            permit: blocking::permit(),
            idle: Mutex::default(),
            endpoints: Endpoints::new(count),
            incarnation: Mutex::default(),
            listener: Mutex::default(),
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, Trouble> {
        let sql = sql::list(&self.settings.prefix, prefix, self.settings.timeout);
        let (moment, rows) = self.read(&sql).await?;
        let mut listed = Vec::with_capacity(rows.len());
        for (key, value) in rows {
            let value = value.ok_or_else(|| foreign(&self.name(self.endpoints.first())))?;
            listed.push(Row { key, value });
        }
        *lock(&self.incarnation) = Some(moment.incarnation);
        Ok(Listing { rows: listed, revision: moment.revision })
    }

    pub(super) async fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Trouble> {
        let sql = sql::get(&self.settings.prefix, keys, self.settings.timeout);
        let (_, rows) = self.read(&sql).await?;
        let found: HashMap<String, Option<Vec<u8>>> = rows.into_iter().collect();
        Ok(keys.iter().map(|key| found.get(*key).cloned().flatten()).collect())
    }

    /// Asks one endpoint after the other, until one has an answer that counts: the moment, then keys and
    /// values.
    async fn read(&self, sql: &str) -> Result<(Moment, Vec<(String, Option<Vec<u8>>)>), Trouble> {
        let judge = |at, failure: &Failure| (self.trouble(at, failure), self.pass_on(at, failure));
        self.endpoints.ask(|at| self.read_at(at, sql), judge).await
    }

    async fn read_at(
        &self,
        at: usize,
        sql: &str,
    ) -> Result<(Moment, Vec<(String, Option<Vec<u8>>)>), Failure> {
        let begun = match self.begin(at, sql, Limit::Row).await {
            Err(Failure::Said(said)) if said.is_missing() && self.settings.makes_tables => {
                self.make_tables(at).await?;
                self.begin(at, sql, Limit::Row).await
            }
            begun => begun,
        };
        let (session, answers) = begun?;
        self.give_back(at, session);
        let moment = Moment::read(&answers)?;
        let rows = answers.get(1).ok_or(Failure::Foreign)?;
        Ok((moment, rows.iter().map(row).collect::<Result<_, _>>()?))
    }

    /// Two may do it at once, and one of them is told that it is there.
    async fn make_tables(&self, at: usize) -> Result<(), Failure> {
        match self.begin(at, sql::TABLES, Limit::All).await {
            Ok((session, _)) => {
                self.give_back(at, session);
                Ok(())
            }
            Err(Failure::Said(said)) if said.is_there_already() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn commit(&self, commit: &Commit) -> Committed {
        let mut troubles = Troubles::default();
        for at in self.endpoints.order() {
            let mut tries = 0;
            let failure = loop {
                tries += 1;
                match self.commit_at(at, commit).await {
                    Ok(committed) => return committed,
                    Err(Failure::Said(said)) if said.is_in_the_way() && tries < TRIES => {}
                    Err(Failure::Said(said))
                        if said.is_missing() && self.settings.makes_tables && tries < TRIES =>
                    {
                        if let Err(failure) = self.make_tables(at).await {
                            break failure;
                        }
                    }
                    Err(failure) => break failure,
                }
            };
            let trouble = self.trouble(at, &failure);
            if !self.pass_on(at, &failure) {
                return Committed::Refused(trouble);
            }
            troubles.add(&trouble);
        }
        Committed::Refused(troubles.all())
    }

    /// An error means that nothing was written.
    async fn commit_at(&self, at: usize, commit: &Commit) -> Result<Committed, Failure> {
        let sql = sql::hold(&self.settings.prefix, &commit.expected, self.settings.timeout);
        let (session, answers) = self.begin(at, &sql, Limit::All).await?;
        session.warnings();
        match self.held(at, &answers, commit)? {
            Held::Expected => {}
            Held::Otherwise => {
                self.endpoints.answered(at);
                if session.ask_briefly("ROLLBACK").await.is_ok() {
                    self.give_back(at, session);
                }
                return Ok(Committed::Fenced);
            }
        }
        let sql = sql::write(&self.settings.prefix, commit, self.settings.makes_tables);
        let outcome = session.ask_briefly(&sql).await;
        let warnings = session.warnings();
        let failure = match outcome {
            Ok(_) if warnings.is_empty() => {
                self.endpoints.answered(at);
                self.give_back(at, session);
                return Ok(Committed::Done);
            }
            Ok(_) => {
                let said: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                return Ok(Committed::Unknown(Trouble::Other(format!(
                    "{} warned while it committed: {}; {LOOK_AT_STANDBYS}",
                    self.name(at),
                    said.join("; ")
                ))));
            }
            Err(failure) => failure,
        };
        match failure {
            Failure::Said(_) => Err(failure),
            Failure::TimedOut(why) => {
                self.endpoints.leave(at);
                let text = format!("{}: {why} to a commit; {LOOK_AT_STANDBYS}", self.name(at));
                Ok(Committed::Unknown(Trouble::Away(text)))
            }
            Failure::Unsent(_)
            | Failure::Broken(_)
            | Failure::Standby
            | Failure::Foreign
            | Failure::TooLarge
            | Failure::Denied(_)
            | Failure::Here(_) => {
                self.pass_on(at, &failure);
                Ok(Committed::Unknown(self.trouble(at, &failure)))
            }
        }
    }

    fn held(&self, at: usize, answers: &Answers, commit: &Commit) -> Result<Held, Failure> {
        let server = answers.first().and_then(|rows| rows.first()).ok_or(Failure::Foreign)?;
        if server.get(0) != Some("f") {
            return Err(Failure::Standby);
        }
        let durability = server.get(1).unwrap_or_default();
        if !matches!(durability, "on" | "remote_apply") {
            return Err(Failure::Here(Trouble::Other(format!(
                "{} keeps synchronous_commit at {}: what it confirms may get lost; set it to on there",
                self.name(at),
                Untrusted::new(durability)
            ))));
        }
        if commit.expected.is_empty() {
            return Ok(Held::Expected);
        }
        let rows = answers.get(1).ok_or(Failure::Foreign)?;
        let found = rows.iter().map(row).collect::<Result<HashMap<_, _>, _>>()?;
        let is_expected = commit
            .expected
            .iter()
            .all(|expected| found.get(&expected.key).is_some_and(|value| *value == expected.value));
        Ok(if is_expected { Held::Expected } else { Held::Otherwise })
    }

    /// Asks what changes nothing yet, on a connection that nobody uses, or on a new one; also where the server has ended the
    /// former meanwhile.
    async fn begin(&self, at: usize, sql: &str, limit: Limit) -> Result<(Session, Answers), Failure> {
        loop {
            let kept = {
                let mut idle = lock(&self.idle);
                let known = idle.iter().rposition(|(of, _)| *of == at);
                known.map(|known| idle.swap_remove(known).1)
            };
            let is_kept = kept.is_some();
            let session = match kept {
                Some(session) if session.take() => session,
                Some(_) => continue,
                None => self.open(at, None).await?,
            };
            let answers = match limit {
                Limit::Row => session.ask(sql).await,
                Limit::All => session.ask_briefly(sql).await,
            };
            match answers {
                Err(Failure::Broken(_)) if is_kept => {}
                answers => return Ok((session, answers?)),
            }
        }
    }

    async fn open(&self, at: usize, heard: Option<Heard>) -> Result<Session, Failure> {
        let endpoint = || &self.settings.endpoints[at];
        let address = self.addresses[at].as_ref().ok_or_else(|| {
            Failure::Here(Trouble::Other(format!(
                "the endpoint {} is none of PostgreSQL's; write it like postgres://host:5432/database",
                endpoint()
            )))
        })?;
        let access = self.access(address).await.map_err(Failure::Here)?;
        Session::open(address, &access, self.settings.timeout, heard).await
    }

    /// Reads the files: they may have been renewed. On this host, without `ca_file` and a certificate, it
    /// goes without TLS.
    async fn access(&self, address: &Address) -> Result<Access, Trouble> {
        let settings = self.settings.clone();
        let is_plain = address.is_loopback() && settings.ca_file.is_none() && settings.client_cert.is_none();
        let read = blocking::with_timeout(&self.permit, move || {
            let tls = if is_plain { None } else { Some(tls::client(&settings)?) };
            let Some(login) = settings.login else {
                // The name that is in the certificate, most often; PostgreSQL needs one before it sees that.
                return Ok(Access { user: "certcollectd".into(), password: None, tls });
            };
            let password = credential::read(&login.password).map_err(|why| {
                Trouble::Denied(format!(
                    "the password for the store cannot be read: {why}; {}",
                    login.password.when_unread()
                ))
            })?;
            Ok(Access { user: login.user, password: Some(password), tls })
        });
        read.await.unwrap_or_else(|why| Err(Trouble::Other(format!("the files for the store: {why}"))))
    }

    fn give_back(&self, at: usize, session: Session) {
        let mut idle = lock(&self.idle);
        if idle.len() < KEPT {
            idle.push((at, session));
        }
    }

    /// Whether another endpoint may do better; then it is asked first from now on.
    fn pass_on(&self, at: usize, failure: &Failure) -> bool {
        let elsewhere = match failure {
            Failure::Unsent(_)
            | Failure::TimedOut(_)
            | Failure::Broken(_)
            | Failure::Standby
            | Failure::Foreign
            | Failure::Denied(_) => true,
            Failure::TooLarge | Failure::Here(_) => false,
            Failure::Said(said) => said.is_of_the_server(),
        };
        if elsewhere {
            self.endpoints.leave(at);
        }
        elsewhere
    }

    fn trouble(&self, at: usize, failure: &Failure) -> Trouble {
        let who = self.name(at);
        match failure {
            Failure::Unsent(why) | Failure::TimedOut(why) | Failure::Broken(why) => {
                Trouble::Away(format!("{who}: {why}"))
            }
            Failure::Standby => Trouble::Away(format!("{who} is a standby, or read-only")),
            Failure::Foreign => foreign(&who),
            Failure::TooLarge => {
                Trouble::Other(format!("{who} holds more than 1 GiB where less is expected"))
            }
            Failure::Denied(why) => Trouble::Denied(match &self.settings.login {
                Some(login) => format!("{who} {why}; if the password is wrong, {}", login.password.remedy()),
                None => format!("{who} {why}"),
            }),
            Failure::Here(trouble) => trouble.clone(),
            Failure::Said(said) => self.said(&who, said),
        }
    }

    fn said(&self, who: &str, said: &Complaint) -> Trouble {
        let Complaint { code, text } = said;
        if said.is_missing() {
            return Trouble::Other(format!("{who}: {text}; a collector that can reach it makes the table"));
        }
        if code == HELD {
            return Trouble::Away(format!("{who} has not ended another commit; {LOOK_AT_STANDBYS}"));
        }
        if said.is_of_the_server() {
            return Trouble::Away(format!("{who}: {text}"));
        }
        match code.as_str() {
            "53100" => Trouble::Full(format!("{who} has no space left ({text}); make some there")),
            "42501" => Trouble::Denied(match &self.settings.login {
                Some(login) => format!("{who}: {text}; give user {} this right", login.user),
                None => format!("{who}: {text}; set `user` and `password` in [fleet]"),
            }),
            _ => Trouble::Other(format!("{who} does not take the request: {text} ({code})")),
        }
    }

    fn name(&self, at: usize) -> String {
        format!("PostgreSQL {}", self.settings.endpoints[at])
    }
}

impl Complaint {
    /// The table is not there.
    fn is_missing(&self) -> bool {
        self.code == "42P01"
    }

    /// Somebody else made it in the same moment.
    fn is_there_already(&self) -> bool {
        matches!(self.code.as_str(), "42P07" | "23505" | "42710")
    }

    /// Another transaction was preferred.
    fn is_in_the_way(&self) -> bool {
        matches!(self.code.as_str(), "40001" | "40P01")
    }

    /// It is about this server at this moment: it goes down, is read-only, has no connection left, was too
    /// slow.
    fn is_of_the_server(&self) -> bool {
        let code = self.code.as_str();
        code != "53100"
            && (code == "25006"
                || code == HELD
                || ["08", "53", "57", "58", "40"].iter().any(|class| code.starts_with(class)))
    }
}

/// A key and its value; without one it was deleted.
fn row(row: &SimpleQueryRow) -> Result<(String, Option<Vec<u8>>), Failure> {
    let key = row.get(0).ok_or(Failure::Foreign)?.to_owned();
    let value = row.get(1).map(|hex| sql::unhex(hex).ok_or(Failure::Foreign)).transpose()?;
    Ok((key, value))
}

fn foreign(who: &str) -> Trouble {
    Trouble::Other(format!("{who} answers, but not as PostgreSQL does; is the endpoint right?"))
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
