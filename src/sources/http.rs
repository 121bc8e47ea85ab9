//! The listener for machines and people: `/metrics`, `/healthz`, `/readyz`, `/api/v1/status` and a page.

use std::io;
use std::time::Duration;

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::listener::{self, Answer, Asked, line, respond};
use super::{Inbox, Message, Snapshot};
use crate::config::Http;

/// Connections at once.
const PLACES: usize = 32;
/// The loop answers within this, or something is very wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// Turns a snapshot into the documents that are served.
#[derive(Debug, Clone, Copy)]
pub struct Renderers {
    /// OpenMetrics text.
    pub metrics: fn(&Snapshot) -> String,
    /// `status --json`.
    pub status: fn(&Snapshot) -> String,
    /// The page for people.
    pub page: fn(&Snapshot) -> String,
}

/// Binds the listener and serves until the process ends.
pub async fn listen(http: Http, renderers: Renderers, inbox: Inbox) -> io::Result<()> {
    let listener = TcpListener::bind(http.listen).await?;
    tracing::info!("[http] listens on {}", listener.local_addr()?);
    let accept = async move || Ok(listener.accept().await?.0);
    let answer = async move |asked: Asked| answer(&asked.parts, renderers, &inbox).await;
    tokio::task::spawn_local(listener::serve(PLACES, accept, answer));
    Ok(())
}

async fn answer(request: &Parts, renderers: Renderers, inbox: &Inbox) -> Answer {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return line(StatusCode::METHOD_NOT_ALLOWED, "GET only");
    }
    let path = request.uri.path();
    if !["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"].contains(&path) {
        return line(StatusCode::NOT_FOUND, "there are: / /metrics /healthz /readyz /api/v1/status");
    }
    let Some(snapshot) = snapshot(inbox).await else {
        return line(StatusCode::SERVICE_UNAVAILABLE, "the loop does not answer");
    };
    match path {
        "/metrics" => respond(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            (renderers.metrics)(&snapshot),
        ),
        "/api/v1/status" => respond(StatusCode::OK, "application/json", (renderers.status)(&snapshot)),
        "/healthz" if snapshot.failed_saves > 0 => {
            line(StatusCode::SERVICE_UNAVAILABLE, "the state cannot be saved")
        }
        "/healthz" => line(StatusCode::OK, "ok"),
        "/readyz" => readiness(&snapshot),
        _ => respond(StatusCode::OK, "text/html; charset=utf-8", (renderers.page)(&snapshot)),
    }
}

/// Ready means that every order has a certificate in place.
fn readiness(snapshot: &Snapshot) -> Answer {
    let orders = &snapshot.config.orders;
    let installed =
        |name: &str| snapshot.loaded.orders.get(name).is_some_and(|known| known.record.installed.is_some());
    let missing = orders.iter().filter(|order| !installed(&order.name)).count();
    match missing {
        0 => line(StatusCode::OK, "ok"),
        _ => line(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("{missing} of {} orders have no certificate yet", orders.len()),
        ),
    }
}

async fn snapshot(inbox: &Inbox) -> Option<Snapshot> {
    let (sender, receiver) = oneshot::channel();
    let asked = async {
        inbox.send(Message::Snapshot(sender)).await.ok()?;
        receiver.await.ok()
    };
    tokio::time::timeout(PATIENCE, asked).await.ok()?
}
