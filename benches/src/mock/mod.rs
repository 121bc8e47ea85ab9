//! A vendor for measurements: CollectSSL and CollectMC as far as they cost something, and nothing of what
//! they mean. A client's manners are what the sandbox is for.

mod answer;
mod authority;
mod control;
mod count;
mod serve;

use std::fs::Permissions;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub use answer::issued;
pub use authority::{Authority, domain, pem};
pub use count::{Counts, Totals};

/// How the mock behaves; the control port changes it while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    /// An order is issued once it was polled more often; none: never.
    pub ready_after: Option<u64>,
    /// Orders with a smaller number are issued.
    pub ready_below: u64,
    pub delay: Duration,
    /// Each answer ends its connection.
    pub close: bool,
}

/// Files by which a client finds the mock and trusts it, in a folder of its own.
#[derive(Debug, Clone)]
pub struct Files {
    pub folder: PathBuf,
}

impl Files {
    pub fn new(folder: &Path) -> Files {
        Files { folder: folder.to_owned() }
    }

    /// `https://127.0.0.1:PORT`, in one line.
    pub fn base_url(&self) -> PathBuf {
        self.folder.join("base_url")
    }

    /// `http://127.0.0.1:PORT` of the control port, in one line.
    pub fn control(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// The root of the API's own TLS.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The root of what is issued.
    pub fn roots(&self) -> PathBuf {
        self.folder.join("roots.pem")
    }

    /// The private key that all orders share.
    pub fn key(&self) -> PathBuf {
        self.folder.join("order.key")
    }
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    authority: Authority,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    counts: Counts,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// A running mock, on a thread that ends with the process.
#[derive(Debug, Clone)]
pub struct Mock {
    shared: Arc<Shared>,
    pub api: SocketAddr,
    pub control: SocketAddr,
    pub files: Files,
}

impl Mock {
    /// Listens on two free ports of 127.0.0.1, or on `ports`: first the API's, then the control port.
    pub fn start(folder: &Path, manner: Manner, ports: [u16; 2]) -> io::Result<Mock> {
        let authority = Authority::new().map_err(io::Error::other)?;
        let listen = |port| TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, port));
        let [api, control] = [listen(ports[0])?, listen(ports[1])?];
        let shared =
            Arc::new(Shared { authority, state: Mutex::new(State { manner, counts: Counts::default() }) });
        let files = Files::new(folder);
        let mock =
            Mock { shared: shared.clone(), api: api.local_addr()?, control: control.local_addr()?, files };
        mock.write_files()?;
        thread::Builder::new().name("mock".into()).spawn(move || serve::run(api, control, shared))?;
        Ok(mock)
    }

    fn write_files(&self) -> io::Result<()> {
        let (files, authority) = (&self.files, &self.shared.authority);
        std::fs::create_dir_all(&files.folder)?;
        std::fs::write(files.base_url(), format!("{}\n", self.base_url()))?;
        std::fs::write(files.control(), format!("http://{}\n", self.control))?;
        std::fs::write(files.ca(), authority.api_root_pem())?;
        std::fs::write(files.roots(), authority.root_pem())?;
        std::fs::write(files.key(), authority.order_key_pem())?;
        std::fs::set_permissions(files.key(), Permissions::from_mode(0o600))
    }

    pub fn base_url(&self) -> String {
        format!("https://{}", self.api)
    }

    pub fn set(&self, manner: Manner) {
        self.shared.state().manner = manner;
    }

    /// Forgets all counts, and which orders were polled how often.
    pub fn reset(&self) {
        self.shared.state().counts.reset();
    }

    /// Looks at what was counted.
    pub fn counts<T>(&self, look: impl FnOnce(&Counts) -> T) -> T {
        look(&self.shared.state().counts)
    }

    pub fn totals(&self) -> Totals {
        self.counts(Counts::totals)
    }

    pub fn authority(&self) -> &Authority {
        &self.shared.authority
    }
}
