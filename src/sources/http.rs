//! The listener for machines and people: `/metrics`, `/healthz`, `/readyz`, `/api/v1/status`, and pages.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listener::{self, Answer, Asked, line, no_method, respond, unavailable};
use super::{Inbox, Message, Snapshot, ask, clock};
use crate::effects::blocking;
use crate::effects::install::in_place;
use crate::effects::store::load::{HistoryLine, Reader};
use crate::status::page::{self, View};
use crate::status::{Explanation, Exposition, HistoryEntry, Status};
use certcollectd_core::config::{Config, Http};
use certcollectd_core::engine::time::rfc3339;
use certcollectd_core::forecast;

/// Timeout for an answer of the loop, and for a look at the disk.
const PATIENCE: Duration = Duration::from_secs(5);

const NO_ANSWER: &str = "the loop does not answer";

/// What is served; the page for people comes first.
const PATHS: [&str; 7] =
    ["/", "/orders/NAME", "/forecast", "/metrics", "/healthz", "/readyz", "/api/v1/status"];

/// What an answer takes besides the loop's.
struct Server {
    inbox: Inbox,
    /// One thread on a hung mount is enough.
    looks: Arc<Semaphore>,
    /// One long list at a time is put into words, on a thread of its own.
    writing: Arc<Semaphore>,
}

/// Serves as soon as the address can be bound.
pub async fn listen(http: &Http, inbox: Inbox) {
    let server = Server { inbox: inbox.clone(), looks: blocking::permit(), writing: blocking::permit() };
    let answer = async move |asked: Asked| server.answer(&asked.parts).await;
    listener::listen("[http]", http.listen, inbox, answer).await;
}

impl Server {
    async fn answer(&self, request: &Parts) -> Answer {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return no_method("GET, HEAD");
        }
        let path = request.uri.path();
        let order = path.strip_prefix("/orders/").map(str::to_owned);
        if order.is_none() && !PATHS.contains(&path) {
            return line(StatusCode::NOT_FOUND, &format!("there are: {}", PATHS.join(" ")));
        }
        if path == "/healthz" {
            return self.health().await;
        }
        let Ok(Some(snapshot)) = timeout(PATIENCE, ask(&self.inbox, Message::Snapshot)).await else {
            return unavailable(NO_ANSWER);
        };
        match path {
            "/readyz" => self.readiness(snapshot).await,
            "/metrics" => {
                let accept = request.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
                let exposition = Exposition::accepted(&accept.collect::<Vec<_>>().join(","));
                let write = move || status(&snapshot).metrics(exposition);
                self.write(write, |text| respond(StatusCode::OK, exposition.content_type(), text)).await
            }
            "/api/v1/status" => {
                let write = move || status(&snapshot).json();
                self.write(write, |text| respond(StatusCode::OK, "application/json", text)).await
            }
            _ => {
                let view = View::of(request.uri.query().unwrap_or_default());
                match order {
                    None if path == "/forecast" => {
                        let write = move || {
                            let forecast =
                                forecast::forecast(&snapshot.config, &snapshot.loaded, clock::now());
                            page::forecast(&forecast, view)
                        };
                        self.write(write, html).await
                    }
                    Some(name) => self.order(snapshot, name, view).await,
                    None => self.write(move || status(&snapshot).page(view), html).await,
                }
            }
        }
    }

    /// Costs the same however many orders there are: whoever watches over the process asks every few seconds.
    async fn health(&self) -> Answer {
        match timeout(PATIENCE, ask(&self.inbox, Message::Ping)).await {
            Ok(Some(vitals)) if vitals.failed_saves > 0 => unavailable("the state cannot be saved"),
            Ok(Some(_)) => line(StatusCode::OK, "ok"),
            Ok(None) | Err(_) => unavailable(NO_ANSWER),
        }
    }

    /// Writes something long without keeping the loop waiting.
    async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce() -> T + Send + 'static,
        answer: impl FnOnce(T) -> Answer,
    ) -> Answer {
        match blocking::attempt(&self.writing, write).await {
            Ok(written) => answer(written),
            Err(_) => {
                unavailable("that cannot be shown, because of a mistake in certcollectd; the log has it")
            }
        }
    }

    /// The page of an order, if there is one of that name.
    async fn order(&self, snapshot: Snapshot, name: String, view: View) -> Answer {
        if !snapshot.config.orders.iter().any(|order| *order.name == *name) {
            return html_with(StatusCode::NOT_FOUND, page::no_order());
        }
        let history = self.history(&snapshot, &name).await;
        let write = move || {
            let (now, is_read) = (clock::now(), history.is_some());
            let history = history.unwrap_or_default();
            let explanation = Explanation::new(&snapshot.config, &snapshot.loaded, &name, history, now)?;
            let alone = alone(&snapshot.config, &name);
            Some(explanation.page(&forecast::forecast(&alone, &snapshot.loaded, now), is_read, view))
        };
        self.write(write, |page| match page {
            Some(page) => html(page),
            None => html_with(StatusCode::NOT_FOUND, page::no_order()),
        })
        .await
    }

    /// What the state file has of an order's history, if it can be read in time.
    async fn history(&self, snapshot: &Snapshot, name: &str) -> Option<Vec<HistoryEntry>> {
        let (dir, name) = (snapshot.config.state_dir.clone(), name.to_owned());
        let looking =
            blocking::attempt(&self.looks, move || Reader::beside(&dir).and_then(|file| file.history(&name)));
        let Ok(Ok(Ok(lines))) = timeout(PATIENCE, looking).await else { return None };
        let entry =
            |HistoryLine { at, level, kind, text }| HistoryEntry { at: rfc3339(at), level, kind, text };
        Some(lines.into_iter().map(entry).collect())
    }

    /// Ready means that every order that ever was installed still is. One that waits for its first certificate
    /// takes no one out of service.
    async fn readiness(&self, snapshot: Snapshot) -> Answer {
        let looking =
            blocking::attempt(&self.looks, move || in_place::absent(&snapshot.config, &snapshot.loaded));
        let Ok(Ok(missing)) = timeout(PATIENCE, looking).await else {
            return unavailable("installed files could not be checked in time; is their mount hanging?");
        };
        let Some(first) = missing.first() else { return line(StatusCode::OK, "ok") };
        let more =
            if missing.len() > 1 { format!(", and {} more", missing.len() - 1) } else { String::new() };
        unavailable(&format!(
            "{first} was installed and is no longer in place{more}; `certcollectd status` says what is done about it"
        ))
    }
}

/// The configuration with no other order.
fn alone(config: &Config, name: &str) -> Config {
    let mut config = config.clone();
    config.orders.retain(|order| *order.name == *name);
    config
}

fn html(page: String) -> Answer {
    html_with(StatusCode::OK, page)
}

fn html_with(status: StatusCode, page: String) -> Answer {
    let mut answer = respond(status, "text/html; charset=utf-8", page);
    let policy = HeaderValue::from_static(page::policy());
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    answer
}

fn status(snapshot: &Snapshot) -> Status {
    Status::new(&snapshot.config, &snapshot.loaded, clock::now()).with(&snapshot.vitals)
}
