//! The listener for machines and people: `/metrics`, `/healthz`, `/readyz`, `/api/v1/status` and a page.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listener::{self, Answer, Asked, line, no_method, respond, unavailable};
use super::{Inbox, Message, Snapshot, ask, clock};
use crate::effects::blocking;
use crate::effects::install::in_place;
use crate::status::{Exposition, Status};
use certcollectd_core::config::Http;

/// Timeout for an answer of the loop.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is served; the page for people comes first.
const PATHS: [&str; 5] = ["/", "/metrics", "/healthz", "/readyz", "/api/v1/status"];

/// Serves as soon as the address can be bound.
pub async fn listen(http: &Http, inbox: Inbox) {
    // One thread on a hung mount is enough.
    let (looks, its) = (blocking::permit(), inbox.clone());
    let answer = async move |asked: Asked| answer(&asked.parts, &its, &looks).await;
    listener::listen("[http]", http.listen, inbox, answer).await;
}

async fn answer(request: &Parts, inbox: &Inbox, looks: &Arc<Semaphore>) -> Answer {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return no_method("GET, HEAD");
    }
    let path = request.uri.path();
    if !PATHS.contains(&path) {
        return line(StatusCode::NOT_FOUND, &format!("there are: {}", PATHS.join(" ")));
    }
    let Ok(Some(snapshot)) = timeout(PATIENCE, ask(inbox, Message::Snapshot)).await else {
        return unavailable("the loop does not answer");
    };
    match path {
        "/metrics" => {
            let accept = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
            let accept = accept.collect::<Vec<_>>().join(",");
            let exposition = Exposition::accepted(&accept);
            let text = status(&snapshot).metrics(exposition);
            respond(StatusCode::OK, exposition.content_type(), text)
        }
        "/api/v1/status" => respond(StatusCode::OK, "application/json", status(&snapshot).json()),
        "/healthz" if snapshot.vitals.failed_saves > 0 => unavailable("the state cannot be saved"),
        "/healthz" => line(StatusCode::OK, "ok"),
        "/readyz" => readiness(snapshot, looks).await,
        _ => respond(StatusCode::OK, "text/html; charset=utf-8", status(&snapshot).page()),
    }
}

/// Ready means that every order that ever was installed still is. One that waits for its first certificate
/// takes no one out of service.
async fn readiness(snapshot: Snapshot, looks: &Arc<Semaphore>) -> Answer {
    let looking = blocking::attempt(looks, move || in_place::absent(&snapshot.config, &snapshot.loaded));
    let Ok(Ok(missing)) = timeout(PATIENCE, looking).await else {
        return unavailable("installed files could not be checked in time; is their mount hanging?");
    };
    let Some(first) = missing.first() else { return line(StatusCode::OK, "ok") };
    let more = if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
    unavailable(&format!(
        "{first} was installed and is no longer in place{more}; `certcollectd status` says what is done about it"
    ))
}

fn status(snapshot: &Snapshot) -> Status {
    Status::new(&snapshot.config, &snapshot.loaded, clock::now()).with(&snapshot.vitals)
}
