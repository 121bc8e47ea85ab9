//! The listener for machines and people: `/metrics`, `/healthz`, `/readyz`, `/api/v1/status` and a page.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::listener::{self, Answer, Asked, line, no_address, respond};
use super::{Inbox, Message, Snapshot};
use crate::config::{Config, Http};
use crate::engine::Loaded;

/// Connections at once.
const PLACES: usize = 32;
/// The loop answers within this, or something is very wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is served; the page for people comes first.
const PATHS: [&str; 5] = ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"];

/// Turns a snapshot into the documents that are served.
#[derive(Debug, Clone, Copy)]
pub struct Renderers {
    /// Metrics in the form that an `Accept` header wants, and what that form is called.
    pub metrics: fn(&Snapshot, &str) -> (&'static str, String),
    /// `status --json`.
    pub status: fn(&Snapshot) -> String,
    /// The page for people.
    pub page: fn(&Snapshot) -> String,
    /// The orders that were installed once and are not in place now. Looks at the disk, so it may hang.
    pub absent: fn(&Config, &Loaded) -> Vec<Arc<str>>,
}

/// Serves from now on, or from when the address can be had.
pub async fn listen(http: Http, renderers: Renderers, inbox: Inbox) {
    let bind = async move || TcpListener::bind(http.listen).await;
    let first = bind().await;
    tokio::task::spawn_local(async move {
        let listener =
            listener::open("[http]", &http.listen.to_string(), first, bind, no_address, &inbox).await;
        let address = listener.local_addr().unwrap_or(http.listen);
        tracing::info!("[http] listens on {address}");
        // One look at a hung mount is enough.
        let looks = Arc::new(Semaphore::new(1));
        let accept = async move || Ok(listener.accept().await?.0);
        let answer = async move |asked: Asked| answer(&asked.parts, renderers, &inbox, &looks).await;
        listener::serve(PLACES, accept, answer).await;
    });
}

async fn answer(request: &Parts, renderers: Renderers, inbox: &Inbox, looks: &Arc<Semaphore>) -> Answer {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return line(StatusCode::METHOD_NOT_ALLOWED, "GET only");
    }
    let path = request.uri.path();
    if !PATHS.contains(&path) {
        return line(StatusCode::NOT_FOUND, &format!("there are: {}", PATHS.join(" ")));
    }
    let Some(snapshot) = snapshot(inbox).await else {
        return line(StatusCode::SERVICE_UNAVAILABLE, "the loop does not answer");
    };
    match path {
        "/metrics" => {
            let accept = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
            let accept = accept.collect::<Vec<_>>().join(",");
            let (content_type, text) = (renderers.metrics)(&snapshot, &accept);
            respond(StatusCode::OK, content_type, text)
        }
        "/api/v1/status" => respond(StatusCode::OK, "application/json", (renderers.status)(&snapshot)),
        "/healthz" if snapshot.vitals.failed_saves > 0 => {
            line(StatusCode::SERVICE_UNAVAILABLE, "the state cannot be saved")
        }
        "/healthz" => line(StatusCode::OK, "ok"),
        "/readyz" => readiness(snapshot, renderers.absent, looks).await,
        _ => respond(StatusCode::OK, "text/html; charset=utf-8", (renderers.page)(&snapshot)),
    }
}

/// Ready means that every order that ever was installed still is. One that waits for its first certificate
/// takes no one out of service.
async fn readiness(
    snapshot: Snapshot,
    absent: fn(&Config, &Loaded) -> Vec<Arc<str>>,
    looks: &Arc<Semaphore>,
) -> Answer {
    let looking = async {
        let turn = looks.clone().acquire_owned().await.ok()?;
        let look = spawn_blocking(move || {
            let missing = absent(&snapshot.config, &snapshot.loaded);
            drop(turn);
            missing
        });
        look.await.ok()
    };
    let Ok(Some(missing)) = timeout(PATIENCE, looking).await else {
        return line(
            StatusCode::SERVICE_UNAVAILABLE,
            "what is installed cannot be looked at in time; does the mount that it lies on hang?",
        );
    };
    let Some(first) = missing.first() else { return line(StatusCode::OK, "ok") };
    let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
    line(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!(
            "{first} was installed and is not in place any more{more}; `certcollectd status` says what is done about it"
        ),
    )
}

async fn snapshot(inbox: &Inbox) -> Option<Snapshot> {
    let (sender, receiver) = oneshot::channel();
    let asked = async {
        inbox.send(Message::Snapshot(sender)).await.ok()?;
        receiver.await.ok()
    };
    timeout(PATIENCE, asked).await.ok()?
}
