//! The vendor as the documents describe it, and as production behaves: a server to rehearse against.
//!
//! It answers CollectSSL, CollectMC, CollectSMIME, GetMDCDomainDetails, AutoReplaceSSL, AutoReplaceSMIME
//! and ResendCollectionEmailSMIME over TLS, from an order book that is scripted, and issues real certificates
//! from authorities that it makes at its start. It is strict where the vendor is, it varies what the
//! documents leave open ([`shape`]), it breaks answers on purpose ([`faults`]), and it remembers what was
//! asked of it ([`record`]). A second port takes commands.
//!
//! It shares no code with certcollectd, on purpose: it was written a second time from the
//! documents, so that a misreading of them does not pass every test. It is no CA for anything but
//! rehearsals, and but for [`cli`] it keeps nothing on disk and prints nothing.
//!
//! ```no_run
//! use certcollectd_sandbox::{Options, OrderSpec, Product, Sandbox, Step};
//!
//! let sandbox = Sandbox::start(Options::demo())?.spawn_thread()?;
//! let handle = sandbox.handle();
//! println!("{} {}", handle.base_url(), handle.ca_pem());
//! let order = OrderSpec::new(Product::Ssl, "42", &["www.example.com"]);
//! handle.vendor().put_order(order.with_script(vec![Step::pending(2), Step::issued()]))?;
//! # Ok::<(), certcollectd_sandbox::Error>(())
//! ```
//!
//! # The control port
//!
//! Plain HTTP on a loopback address, JSON in and out; an unknown field is an error. Success is answered with
//! 200 and the result, or `{}`; a failure with `{"error": "…"}` and 400, 404 or 405. `GET /` lists the
//! commands, `docs/rehearsal.md` documents requests and answers; the bodies are the types here
//! ([`Scenario`], [`AccountSpec`], [`OrderSpec`], [`Step`], [`CertificateSpec`], [`DialSettings`],
//! [`FaultSpec`]), the answers show [`Counters`] and [`Call`]s.

pub mod accounts;
mod answer;
mod bundle;
pub mod ca;
pub mod cli;
pub mod clock;
mod collect;
mod control;
mod der;
pub mod dials;
mod domains;
pub mod faults;
pub mod issue;
mod keys;
mod mark;
pub mod orders;
mod pack;
mod params;
pub mod proof;
pub mod record;
mod refusal;
pub mod reissue;
pub mod scenario;
pub mod script;
mod server;
pub mod shape;
mod smime;
pub mod vendor;
pub mod wire;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

pub use accounts::{Account, AccountSpec, CallLimit};
pub use ca::AuthorityPem;
pub use clock::Time;
pub use dials::DialSettings;
pub use faults::{ActiveFault, Fault, FaultSpec};
pub use issue::{CertificateSpec, Flaw, Issued, KeyType};
pub use orders::{Book, Certificate, Order};
pub use proof::Proof;
pub use record::{Call, Counters, Reissues, Tally};
pub use refusal::LoginWords;
pub use reissue::{Asked, ReusedToken};
pub use scenario::Scenario;
pub use script::{Dcv, DcvState, OrderSpec, Product, State, Step};
pub use vendor::Vendor;
pub use wire::Length;

use self::der::pem;

/// Where a sandbox listens and what it starts with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address of the API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address of the control port; port 0 takes a free one. Only loopback is accepted: any
    /// client can fetch keys.
    pub control: SocketAddr,
    /// Names and addresses under which clients reach the API, besides localhost: they are in its TLS certificate, and the
    /// first of them is in the base URL.
    pub hosts: Vec<String>,
    /// Accounts, orders, dials and faults at the start.
    pub scenario: Scenario,
}

impl Default for Options {
    /// Free ports on 127.0.0.1, and nothing in the book.
    fn default() -> Options {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Options { listen: any, control: any, hosts: Vec::new(), scenario: Scenario::default() }
    }
}

impl Options {
    /// Free ports on 127.0.0.1, and the content of [`Scenario::demo`].
    pub fn demo() -> Options {
        Options { scenario: Scenario::demo(), ..Options::default() }
    }
}

/// What can go wrong with a sandbox, or with a command given to it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The port of the API or of the control cannot be bound.
    #[error("cannot listen on {address} for the {port}")]
    Bind { port: &'static str, address: SocketAddr, source: std::io::Error },
    /// A listener that was handed over cannot be used.
    #[error("cannot use the listener")]
    Listener(#[source] std::io::Error),
    /// The thread or its runtime cannot be started.
    #[error("cannot start the sandbox's thread")]
    Thread(#[source] std::io::Error),
    /// The authorities cannot be made.
    #[error("cannot make the authorities")]
    Authority(#[source] rcgen::Error),
    /// The TLS configuration is refused.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// A scenario cannot be read.
    #[error("the scenario cannot be read: {0}")]
    Scenario(String),
    /// A command or a part of a scenario makes no sense.
    #[error("{0}")]
    Refused(String),
    #[error("there is no order {0}")]
    UnknownOrder(String),
    #[error("there is no account {0}")]
    UnknownAccount(String),
    #[error("there is no fault {0}")]
    UnknownFault(u64),
}

/// Whether a TLS client can look for this in a certificate: an address, or labels of letters, digits, hyphens and
/// underscores (container engines allow those).
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label))
}

/// The real time. The sandbox has a clock of its own, because it plays someone else's computer.
#[allow(clippy::disallowed_methods)]
pub(crate) fn now() -> Time {
    Time { unix_ms: jiff::Timestamp::now().as_millisecond() }
}

/// A sandbox that is bound to its ports and not yet running.
pub struct Sandbox {
    api: TcpListener,
    control: TcpListener,
    handle: Handle,
}

impl Sandbox {
    /// Binds both ports, makes all keys, and loads the scenario.
    pub fn start(options: Options) -> Result<Sandbox, Error> {
        let bind = |port, address| {
            TcpListener::bind(address).map_err(|source| Error::Bind { port, address, source })
        };
        let api = bind("API", options.listen)?;
        let control = bind("control port", options.control)?;
        for listener in [&api, &control] {
            listener.set_nonblocking(true).map_err(Error::Listener)?;
        }
        let api_address = api.local_addr().map_err(Error::Listener)?;
        let control_address = control.local_addr().map_err(Error::Listener)?;
        if !control_address.ip().is_loopback() {
            let reason = format!("the control port must be on loopback, not on {control_address}");
            return Err(Error::Refused(reason));
        }
        if let Some(host) = options.hosts.iter().find(|host| !is_host(host)) {
            return Err(Error::Refused(format!("'{host}' is neither a host name nor an address")));
        }
        let vendor = Vendor::at(&options.hosts, options.scenario)?;
        let ca_pem = vendor.authorities().api;
        let (stop, _) = watch::channel(false);
        let host = options.hosts.into_iter().next();
        let shared = Shared { vendor: Mutex::new(vendor), host, api_address, control_address, ca_pem, stop };
        Ok(Sandbox { api, control, handle: Handle(Arc::new(shared)) })
    }

    /// For everything that can be asked of it while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready or the sandbox is stopped. Calls in flight have half a second
    /// to end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        server::run(self.api, self.control, self.handle, shutdown).await
    }

    /// Serves in a thread of its own, for callers that block: tests that run the real program, or the
    /// demonstration.
    pub fn spawn_thread(self) -> Result<Running, Error> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
        let handle = self.handle();
        let thread = std::thread::Builder::new()
            .name("sandbox".into())
            .spawn(move || runtime.block_on(self.run(std::future::pending())))
            .map_err(Error::Thread)?;
        Ok(Running { handle, thread: Some(thread) })
    }
}

/// A sandbox in a thread of its own. It ends when this is dropped.
pub struct Running {
    handle: Handle,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    /// For everything that can be asked of it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Whether it still serves: `POST /stop` ends it from outside.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            // A panic has been reported already; here only its end matters.
            let _ = thread.join();
        }
    }
}

/// Reaches a sandbox from within the process. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

struct Shared {
    vendor: Mutex<Vendor>,
    host: Option<String>,
    api_address: SocketAddr,
    control_address: SocketAddr,
    ca_pem: String,
    stop: watch::Sender<bool>,
}

impl Handle {
    pub fn api_address(&self) -> SocketAddr {
        self.0.api_address
    }

    pub fn control_address(&self) -> SocketAddr {
        self.0.control_address
    }

    /// What a client takes for the vendor's address: `https://127.0.0.1:PORT`, or the first of [`Options::hosts`].
    pub fn base_url(&self) -> String {
        let address = self.0.api_address;
        match &self.0.host {
            Some(host) if host.contains(':') => format!("https://[{host}]:{}", address.port()),
            Some(host) => format!("https://{host}:{}", address.port()),
            None if address.ip().is_loopback() => format!("https://{address}"),
            // The certificate knows no other name.
            None => format!("https://localhost:{}", address.port()),
        }
    }

    /// Address of the control port: `http://127.0.0.1:PORT`.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.0.control_address)
    }

    /// The root that a client must trust to call the API.
    pub fn ca_pem(&self) -> &str {
        &self.0.ca_pem
    }

    /// Everything that the control port can do, and more, for callers in the process. The sandbox answers no
    /// one while the guard is held: do not keep it across an `await`.
    pub fn vendor(&self) -> MutexGuard<'_, Vendor> {
        // A panic while the lock was held has failed its test already; the state is plain data.
        self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The private key of an order's present certificate as PKCS#8 PEM, where the sandbox made it.
    pub fn key_pem(&self, order_number: &str) -> Option<String> {
        self.vendor().book().get(order_number)?.certificates.last()?.issued.key_pem.clone()
    }

    /// An order's present certificate as PEM.
    pub fn certificate_pem(&self, order_number: &str) -> Option<String> {
        let vendor = self.vendor();
        let newest = vendor.book().get(order_number)?.certificates.last()?;
        Some(pem("CERTIFICATE", &newest.issued.der, "\n"))
    }

    pub fn stop(&self) {
        self.0.stop.send_replace(true);
    }

    fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stop.subscribe()
    }
}
