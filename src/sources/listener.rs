//! What all listeners share: one request per connection, with limits on everything.
//!
//! A client keeps a place only while we compute the answer. While we wait for the client (for its
//! request, or until it has taken the answer) its total time is limited, and when all places are taken, the
//! client waited for the longest is dropped. So idle connections never keep others out.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::refusal::Refusing;
use super::{Inbox, Message};

/// Connections at once on an address.
const PLACES: usize = 32;
/// From the connection to the end of the request's headers.
const HEADERS: Duration = Duration::from_secs(3);
/// From the end of the headers to the end of the body.
const BODY: Duration = Duration::from_secs(10);
/// From the answer until the client has received it.
const TAKING: Duration = Duration::from_secs(10);
/// Maximum size of a request's headers, in bytes.
const MAX_HEADERS: usize = 32 * 1024;
/// Out of descriptors, most likely; there is no hurry.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// What a request is answered with.
pub(super) type Answer = Response<Full<Bytes>>;

/// Back-off between attempts to listen: doubled each time, up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Opens something to listen on and goes on with it in a task. If the first attempt fails, that is a finding until a
/// later one succeeds; everything else goes on. `what`, `whereat` and `why` are for messages: `[http]`, its address, and
/// an error in words.
pub(super) async fn open<T: 'static>(
    what: &'static str,
    whereat: String,
    inbox: Inbox,
    why: fn(&io::Error) -> String,
    bind: impl AsyncFn() -> io::Result<T> + 'static,
    go_on: impl AsyncFnOnce(T) + 'static,
) {
    let mut tried = bind().await;
    spawn_local(async move {
        let mut finding: Option<String> = None;
        let mut pause = FIRST_PAUSE;
        let opened = loop {
            let now = tried
                .as_ref()
                .err()
                .map(|error| format!("{what} cannot listen on {whereat}: {}", why(error)));
            if now != finding {
                if let Some(text) = finding.take() {
                    let _ = inbox.send(Message::Finding { text, holds: false }).await;
                }
                if let Some(text) = &now {
                    tracing::error!("{text}; retrying automatically, and everything else goes on");
                    let _ = inbox.send(Message::Finding { text: text.clone(), holds: true }).await;
                }
                finding = now;
            }
            match tried {
                Ok(opened) => break opened,
                Err(_) => sleep(pause).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            tried = bind().await;
        };
        go_on(opened).await;
    });
}

/// Why nothing can listen on an address, and what would help.
fn no_address(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another program listens there (`ss -ltnp` shows which)".into(),
        ErrorKind::AddrNotAvailable => "no interface of this machine has that address now".into(),
        ErrorKind::PermissionDenied => {
            "permission denied; a port below 1024 takes AmbientCapabilities=CAP_NET_BIND_SERVICE, or choose another one"
                .into()
        }
        _ => error.to_string(),
    }
}

/// Serves an address as soon as it can be bound. `what` is for messages: `[http]`.
pub(super) async fn listen<A>(what: &'static str, address: SocketAddr, inbox: Inbox, answer: A)
where
    A: AsyncFn(Asked) -> Answer + 'static,
{
    let bind = async move || TcpListener::bind(address).await;
    let go_on = async move |listener: TcpListener| {
        tracing::info!("{what} listens on {}", listener.local_addr().unwrap_or(address));
        serve(PLACES, async move || Ok(listener.accept().await?.0), answer).await;
    };
    open(what, address.to_string(), inbox, no_address, bind, go_on).await;
}

/// Answers requests forever, on at most `places` connections at once. `accept` gives the next connection;
/// `answer` alone decides how long it takes.
pub(super) async fn serve<S, L, A>(places: usize, accept: L, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    L: AsyncFn() -> io::Result<S>,
    A: AsyncFn(Asked) -> Answer + 'static,
{
    let answer = Rc::new(answer);
    let places = Places::new(places);
    loop {
        let Ok(stream) = accept().await else {
            sleep(AFTER_ERROR).await;
            continue;
        };
        let place = places.take().await;
        let task = spawn_local(one(stream, place.clone(), answer.clone()));
        place.is_of(task.abort_handle());
        // What has already arrived is read before its client can be dropped.
        tokio::task::yield_now().await;
    }
}

/// One connection, to its end.
async fn one<S, A>(stream: S, place: Rc<Place>, answer: Rc<A>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    A: AsyncFn(Asked) -> Answer + 'static,
{
    let its = place.clone();
    let asked = Rc::new(Cell::new(false));
    let stream = Refusing::new(stream, asked.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        asked.set(true);
        let (answer, place) = (answer.clone(), its.clone());
        async move {
            let (parts, body) = request.into_parts();
            let asked = Asked { parts, body: Body { body, place: place.clone() } };
            place.wait_for_client(false);
            let answer = answer(asked).await;
            place.wait_for_client(true);
            place.answered.notify_one();
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let taken = async {
        place.answered.notified().await;
        sleep(TAKING).await;
    };
    tokio::select! {
        _ = connection => {}
        () = taken => {}
    }
}

/// A request whose headers have arrived.
pub(super) struct Asked {
    pub(super) parts: Parts,
    /// The body, unread.
    pub(super) body: Body,
}

pub(super) struct Body {
    body: Incoming,
    place: Rc<Place>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// It is incomplete.
    NotWhole,
}

impl Body {
    /// Reads it, if it is no larger than `limit` bytes and arrives in time.
    pub(super) async fn read(self, limit: usize) -> Result<Bytes, Unread> {
        self.place.wait_for_client(true);
        let read = timeout(BODY, Limited::new(self.body, limit).collect()).await;
        self.place.wait_for_client(false);
        match read {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
            Ok(Err(_)) | Err(_) => Err(Unread::NotWhole),
        }
    }
}

/// The places of one listener.
struct Places {
    free: Arc<Semaphore>,
    queue: Rc<Queue>,
    arrived: Cell<u64>,
}

/// The connections that wait for their client, the oldest first.
#[derive(Default)]
struct Queue {
    waited_for: RefCell<BTreeMap<u64, AbortHandle>>,
    changed: Notify,
}

/// The place of one connection, given back with its end.
struct Place {
    queue: Rc<Queue>,
    /// Counts up with each connection.
    number: u64,
    task: OnceCell<AbortHandle>,
    answered: Notify,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(places: usize) -> Places {
        Places { free: Arc::new(Semaphore::new(places)), queue: Rc::default(), arrived: Cell::new(0) }
    }

    /// A place for one more connection; if all are taken, the oldest one that waits for its client is dropped.
    async fn take(&self) -> Rc<Place> {
        let permit = loop {
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let oldest = self.queue.waited_for.borrow_mut().pop_first();
            match oldest {
                Some((_, task)) => {
                    task.abort();
                    break self.free.clone().acquire_owned().await.expect("it is never closed");
                }
                None => self.queue.changed.notified().await,
            }
        };
        let number = self.arrived.get();
        self.arrived.set(number + 1);
        let queue = self.queue.clone();
        Rc::new(Place { queue, number, task: OnceCell::new(), answered: Notify::new(), _permit: permit })
    }
}

impl Place {
    /// Assigns it to this task, which waits for the client's request.
    fn is_of(&self, task: AbortHandle) {
        let _ = self.task.set(task);
        self.wait_for_client(true);
    }

    /// Whether the connection waits for its client, and not for us.
    fn wait_for_client(&self, waits: bool) {
        let mut waited_for = self.queue.waited_for.borrow_mut();
        match self.task.get().filter(|_| waits) {
            Some(task) => _ = waited_for.insert(self.number, task.clone()),
            None => _ = waited_for.remove(&self.number),
        }
        self.queue.changed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.wait_for_client(false);
    }
}

/// What every answer says: it is not to be kept, framed, guessed at or read by another site, and no link out of it tells
/// where it was.
pub(super) const STRICT: [(&str, &str); 6] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// An answer with a body.
pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in STRICT {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer of one line.
pub(super) fn line(status: StatusCode, text: &str) -> Answer {
    respond(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// The method is none of these.
pub(super) fn no_method(allowed: &'static str) -> Answer {
    let mut answer = line(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allowed}"));
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Not now, and why.
pub(super) fn unavailable(why: &str) -> Answer {
    line(StatusCode::SERVICE_UNAVAILABLE, why)
}
