//! What the listeners on TCP have in common: one request at a time on a connection, with limits on everything.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 32;
/// A client that says nothing is let go.
const SILENCE: Duration = Duration::from_secs(10);
/// A whole exchange takes no longer.
const EXCHANGE: Duration = Duration::from_secs(30);

/// What a request is answered with.
pub(super) type Answer = Response<Full<Bytes>>;

/// Binds an address for a table of the configuration.
pub(super) async fn bind(table: &str, address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await?;
    tracing::info!("{table} listens on {}", listener.local_addr()?);
    Ok(listener)
}

/// Answers requests for ever.
pub(super) async fn serve<A, F>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = Answer> + 'static,
{
    let answer = Rc::new(answer);
    let free = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely; there is no hurry.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let answer = answer.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| {
                let answer = answer.clone();
                async move { Ok::<_, Infallible>(answer(request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(SILENCE)
                .max_buf_size(32 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(EXCHANGE, connection).await;
            drop(permit);
        });
    }
}

/// The body of a request, if it is no larger than `limit` bytes.
pub(super) async fn body(request: Request<Incoming>, limit: usize) -> Option<Bytes> {
    Some(Limited::new(request.into_body(), limit).collect().await.ok()?.to_bytes())
}

/// An answer with a body. Nothing here is to be kept by caches, framed, or guessed at.
pub(super) fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert(
        "content-security-policy",
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}

/// An answer of one line.
pub(super) fn line(status: StatusCode, text: &str) -> Answer {
    respond(status, "text/plain; charset=utf-8", format!("{text}\n"))
}
