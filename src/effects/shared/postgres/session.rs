//! One connection: made in bounded time, asked one thing at a time, sorted by what may have been done.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::net::sockopt;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, SimpleQueryMessage, SimpleQueryRow};
use zeroize::Zeroizing;

use super::tls::Handshake;
use crate::effects::call::transport;
use crate::effects::shared::{Revision, Trouble};
use certcollectd_core::api::Untrusted;

/// An endpoint that is there accepts sooner.
const CONNECT: Duration = Duration::from_secs(2);
/// A connection that was not used for so long is closed: the server has few.
const IDLE: Duration = Duration::from_secs(60);
/// Bytes of an answer, at most.
const MOST: usize = 1 << 30;

/// Why a request has no answer.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Nothing was asked for yet.
    Unsent(String),
    /// No answer in time; it may have been carried out, or may still be.
    TimedOut(String),
    /// The connection broke; it may have been carried out, or may still be.
    Broken(String),
    /// A standby, or a server that is read-only: it takes no writes and knows less.
    Standby,
    /// The answer is none to what was asked.
    Foreign,
    /// The answer is larger than [`MOST`].
    TooLarge,
    /// The server says no, and has undone it.
    Said(Complaint),
    /// The log-in is refused: why, and what to do.
    Denied(String),
    /// What no endpoint can help: a file, most often.
    Here(Trouble),
}

/// What the server says of a request.
#[derive(Debug, Clone)]
pub(super) struct Complaint {
    /// Five characters, `42501` for instance.
    pub(super) code: String,
    pub(super) text: Untrusted,
}

/// Host, port and database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
}

impl Address {
    /// Of `postgres://host:port/database`.
    pub(super) fn parse(endpoint: &str) -> Option<Address> {
        let (authority, database) = endpoint.strip_prefix("postgres://")?.split_once('/')?;
        let (host, port) = authority.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']).to_owned();
        Some(Address { host, port: port.parse().ok()?, database: database.to_owned() })
    }

    pub(super) fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Who logs in, and how; made anew for each connection, as its files may have been renewed.
pub(super) struct Access {
    pub(super) user: String,
    pub(super) password: Option<Zeroizing<String>>,
    /// `None` goes without TLS.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// What a read is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) revision: Revision,
    /// As PostgreSQL writes it: which transactions are seen.
    pub(super) snapshot: String,
    /// The same for as long as the store was not restored; it may change without that, too.
    pub(super) incarnation: String,
}

impl Moment {
    /// Of the first answer to a read.
    pub(super) fn read(answers: &[Vec<SimpleQueryRow>]) -> Result<Moment, Failure> {
        let row = answers.first().and_then(|rows| rows.first()).ok_or(Failure::Foreign)?;
        if row.get(0) != Some("f") {
            return Err(Failure::Standby);
        }
        let revision = row.get(1).and_then(|text| text.parse().ok());
        let text = |at| row.get(at).map(str::to_owned).ok_or(Failure::Foreign);
        Ok(Moment {
            revision: Revision(revision.ok_or(Failure::Foreign)?),
            snapshot: text(2)?,
            incarnation: text(3)?,
        })
    }
}

/// What the server says unasked.
#[derive(Debug, Default)]
struct Unasked {
    warnings: Vec<Untrusted>,
}

/// Rows, by the statements that have some.
pub(super) type Answers = Vec<Vec<SimpleQueryRow>>;

/// A connection that is logged in.
pub(super) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    unasked: Arc<Mutex<Unasked>>,
    touched: Arc<AtomicBool>,
    timeout: Duration,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects and logs in within the timeout; nothing else is asked for yet. `heard` gets what arrives on
    /// the channels that are listened to; such a connection may be idle.
    pub(super) async fn open(
        address: &Address,
        access: &Access,
        limit: Duration,
        heard: Option<Heard>,
    ) -> Result<Session, Failure> {
        let opened = timeout(limit, Session::connect(address, access, limit, heard)).await;
        opened.unwrap_or_else(|_| Err(Failure::Unsent(format!("log-in: {}", silence(limit)))))
    }

    async fn connect(
        address: &Address,
        access: &Access,
        limit: Duration,
        heard: Option<Heard>,
    ) -> Result<Session, Failure> {
        let most = CONNECT.min(limit / 2);
        let connected = timeout(most, TcpStream::connect((&*address.host, address.port))).await;
        let unsent = |error: io::Error| Failure::Unsent(transport::chain(&error));
        let stream = connected
            .map_err(|_| {
                Failure::Unsent(format!("no connection within {}", humantime::format_duration(most)))
            })?
            .map_err(unsent)?;
        stream.set_nodelay(true).map_err(unsent)?;
        // What was written does not arrive long after it was given up.
        let patience = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        sockopt::set_tcp_user_timeout(&stream, patience)
            .and_then(|()| sockopt::set_socket_keepalive(&stream, true))
            .and_then(|()| sockopt::set_tcp_keepidle(&stream, IDLE))
            .map_err(|error| unsent(error.into()))?;
        let mut config = Config::new();
        config.user(&*access.user).dbname(&*address.database).application_name("certcollectd");
        if let Some(password) = &access.password {
            config.password(password.as_bytes());
        }
        let unasked = Arc::<Mutex<Unasked>>::default();
        let touched = Arc::new(AtomicBool::new(true));
        let (client, driver) = match &access.tls {
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let handshake = Handshake { config: tls.clone(), host: address.host.clone() };
                let (client, connection) = config
                    .connect_raw(stream, handshake)
                    .await
                    .map_err(|error| refused(&error, access, address))?;
                (client, tokio::spawn(drive(connection, unasked.clone(), touched.clone(), heard)))
            }
            None => {
                config.ssl_mode(SslMode::Disable);
                let (client, connection) = config
                    .connect_raw(stream, NoTls)
                    .await
                    .map_err(|error| refused(&error, access, address))?;
                (client, tokio::spawn(drive(connection, unasked.clone(), touched.clone(), heard)))
            }
        };
        Ok(Session { client, driver, unasked, touched, timeout: limit })
    }

    /// Takes it, unless it is known to have ended.
    pub(super) fn take(&self) -> bool {
        self.touched.store(true, Relaxed);
        !self.client.is_closed()
    }

    /// The answers of those statements that have some, each within the timeout.
    pub(super) async fn ask(&self, sql: &str) -> Result<Answers, Failure> {
        let outcome = self.answers(sql).await;
        self.touched.store(true, Relaxed);
        if let Err(Failure::TimedOut(_) | Failure::TooLarge) = outcome {
            self.cut();
        }
        outcome
    }

    /// As [`Session::ask`], all of it within the timeout.
    pub(super) async fn ask_briefly(&self, sql: &str) -> Result<Answers, Failure> {
        timeout(self.timeout, self.ask(sql)).await.unwrap_or_else(|_| {
            self.cut();
            Err(Failure::TimedOut(silence(self.timeout)))
        })
    }

    async fn answers(&self, sql: &str) -> Result<Answers, Failure> {
        let silent = |_| Failure::TimedOut(silence(self.timeout));
        let stream = timeout(self.timeout, self.client.simple_query_raw(sql)).await.map_err(silent)?;
        let mut stream = Box::pin(stream.map_err(|error| failure(&error))?);
        let (mut answers, mut size) = (Vec::new(), 0);
        while let Some(message) = timeout(self.timeout, stream.next()).await.map_err(silent)? {
            match message.map_err(|error| failure(&error))? {
                SimpleQueryMessage::RowDescription(_) => answers.push(Vec::new()),
                SimpleQueryMessage::Row(row) => {
                    self.touched.store(true, Relaxed);
                    size += (0..row.len()).filter_map(|at| row.get(at)).map(str::len).sum::<usize>();
                    if size > MOST {
                        return Err(Failure::TooLarge);
                    }
                    answers.last_mut().ok_or(Failure::Foreign)?.push(row);
                }
                SimpleQueryMessage::CommandComplete(_) => {}
                // Added by a later version of the crate.
                _ => return Err(Failure::Foreign),
            }
        }
        Ok(answers)
    }

    /// What the server has warned of since it was last asked.
    pub(super) fn warnings(&self) -> Vec<Untrusted> {
        std::mem::take(&mut lock(&self.unasked).warnings)
    }

    /// Waits until it has ended.
    pub(super) async fn ended(mut self) {
        // However it ended.
        let _ = (&mut self.driver).await;
    }

    /// Ends it without another word.
    fn cut(&self) {
        self.driver.abort();
    }
}

/// Gets what is said on a channel.
pub(super) type Heard = tokio::sync::broadcast::Sender<String>;

/// Moves bytes until the connection ends, or is idle for too long.
async fn drive<S, T>(
    mut connection: Connection<S, T>,
    unasked: Arc<Mutex<Unasked>>,
    touched: Arc<AtomicBool>,
    heard: Option<Heard>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut idle = interval(IDLE);
    idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = poll_fn(|context| connection.poll_message(context)) => message,
            _ = idle.tick(), if heard.is_none() => match touched.swap(false, Relaxed) {
                true => continue,
                false => return,
            },
        };
        match message {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                lock(&unasked).warnings.push(Untrusted::new(notice.message()));
            }
            Some(Ok(AsyncMessage::Notification(said))) => {
                if let Some(heard) = &heard {
                    // Nobody may be waiting now.
                    let _ = heard.send(said.payload().to_owned());
                }
            }
            // Added by a later version of the crate.
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return,
        }
    }
}

fn lock(unasked: &Mutex<Unasked>) -> MutexGuard<'_, Unasked> {
    unasked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sorts the client's errors by what the server can have done.
fn failure(error: &tokio_postgres::Error) -> Failure {
    match error.as_db_error() {
        None => Failure::Broken(transport::chain(error)),
        Some(said) => match said.parsed_severity() {
            // It goes down, or the pooler has lost it: a commit may have got through.
            Some(Severity::Fatal | Severity::Panic) | None => {
                Failure::Broken(Untrusted::new(said.message()).to_string())
            }
            Some(
                Severity::Error
                | Severity::Warning
                | Severity::Notice
                | Severity::Debug
                | Severity::Info
                | Severity::Log,
            ) => Failure::Said(complaint(said)),
        },
    }
}

fn complaint(said: &DbError) -> Complaint {
    Complaint { code: said.code().code().to_owned(), text: Untrusted::new(said.message()) }
}

/// Why there is no connection that is logged in.
fn refused(error: &tokio_postgres::Error, access: &Access, address: &Address) -> Failure {
    let user = Untrusted::new(&access.user);
    if let Some(said) = error.as_db_error() {
        let is_echo =
            access.password.as_ref().is_some_and(|password| said.message().contains(password.as_str()));
        let text = if is_echo {
            Untrusted::new("in words that are not PostgreSQL's")
        } else {
            Untrusted::new(said.message())
        };
        return match said.code().code() {
            "28P01" | "28000" => Failure::Denied(format!("refuses user {user}: {text}")),
            // A pooler gives all refusals this code, and one of these a text of its own.
            "08P01" if said.message().contains("authentication failed") => {
                Failure::Denied(format!("refuses user {user}: {text}"))
            }
            "3D000" | "42501" => Failure::Denied(format!(
                "does not let user {user} into database {}: {text}",
                Untrusted::new(&address.database)
            )),
            "53300" => Failure::Unsent(format!(
                "log-in: {text}; raise max_connections there, or put a pooler in between"
            )),
            _ => Failure::Unsent(format!("log-in: {text}")),
        };
    }
    let is_unknown = transport::causes(error).any(|cause| {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        cause.downcast_ref() == Some(&unknown)
    });
    if is_unknown {
        return Failure::Unsent(
            "no trusted root has issued its certificate; is `ca_file` in [fleet] the file of its CA?".into(),
        );
    }
    let why = transport::chain(error);
    if why.contains("password missing") {
        return Failure::Denied("asks for a password; set `user` and `password` in [fleet]".into());
    }
    if why.contains("server does not support TLS") {
        return Failure::Unsent("it does not speak TLS; turn `ssl` on there".into());
    }
    Failure::Unsent(why)
}

fn silence(limit: Duration) -> String {
    format!("no answer within {}", humantime::format_duration(limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_three_parts() {
        let address = |host: &str, port, database: &str| {
            Some(Address { host: host.into(), port, database: database.into() })
        };
        assert_eq!(Address::parse("postgres://10.0.0.1:5432/fleet"), address("10.0.0.1", 5432, "fleet"));
        assert_eq!(Address::parse("postgres://[::1]:5433/a"), address("::1", 5433, "a"));
        for wrong in ["http://a:1/b", "postgres://a/b", "postgres://a:1", "postgres://a:x/b"] {
            assert_eq!(Address::parse(wrong), None, "{wrong}");
        }
        for (host, local) in [("::1", true), ("127.0.0.9", true), ("localhost", true), ("10.0.0.1", false)] {
            assert_eq!(address(host, 1, "b").unwrap().is_loopback(), local, "{host}");
        }
    }
}
