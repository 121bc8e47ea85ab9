//! Sockets: accepts connections, reads calls, sends answers. It decides nothing.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming as Received;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::answer::Answer;
use super::control;
use super::record::Ticket;
use super::vendor::Incoming;
use super::wire::Plan;
use super::{Error, Handle, now};

/// The largest body that is read: a CSR of 32,767 characters, each of them percent-encoded, and some.
const BODY_MAX: usize = 256 * 1024;

/// Timeout for a client that says nothing after connecting.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Time limit for calls in flight when the sandbox stops.
const FAREWELL: Duration = Duration::from_millis(500);

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// First byte of a TLS record with a handshake (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Serves both ports until it is stopped.
pub(super) async fn run(
    api: StdListener,
    control: StdListener,
    handle: Handle,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let api = TcpListener::from_std(api).map_err(Error::Listener)?;
    let control = TcpListener::from_std(control).map_err(Error::Listener)?;
    let acceptor = acceptor(&handle)?;
    let mut stopping = handle.stopping();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    while !*stopping.borrow_and_update() {
        tokio::select! {
            () = &mut shutdown => handle.stop(),
            _ = stopping.changed() => {}
            accepted = api.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(api_connection(stream, acceptor.clone(), handle.clone()));
                    }
                    // The client's error, or a lack of descriptors, which must not become a busy loop.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            }
            accepted = control.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(control_connection(stream, handle.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop((api, control));
    let all = async { while connections.join_next().await.is_some() {} };
    // What is left is aborted when the set is dropped.
    let _ = timeout(FAREWELL, all).await;
    Ok(())
}

fn acceptor(handle: &Handle) -> Result<TlsAcceptor, Error> {
    let (certificate, key) = handle.vendor().tls_identity();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
        .map_err(Error::Tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn api_connection(stream: TcpStream, acceptor: TlsAcceptor, handle: Handle) {
    let number = handle.vendor().record.connected();
    // Small answers would otherwise wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let mut first = [0];
    match timeout(HANDSHAKE, stream.peek(&mut first)).await {
        Ok(Ok(1)) if first[0] == TLS_HANDSHAKE => match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, handle, number, true).await,
            Ok(Err(_)) | Err(_) => handle.vendor().record.tls_failed(),
        },
        // Plain HTTP on this port is answered with -1, as the vendor does.
        Ok(Ok(1)) => serve(stream, handle, number, false).await,
        Ok(_) | Err(_) => {}
    }
}

/// Serves HTTP until the connection ends, or until an answer is to go past the server.
async fn serve<S>(stream: S, handle: Handle, number: u64, tls: bool)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopping = handle.stopping();
    let (taken, mut plans) = mpsc::channel(1);
    let service = service_fn(move |request| answer(handle.clone(), request, number, tls, taken.clone()));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut ending = false;
    let (plan, _flight) = loop {
        tokio::select! {
            // An error here is a client that left.
            _ = &mut connection => return,
            Some(taken) = plans.recv() => break taken,
            _ = stopping.wait_for(|stop| *stop), if !ending => {
                ending = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    plan.run(connection.into_parts().io.into_inner()).await;
}

async fn control_connection(stream: TcpStream, handle: Handle) {
    let mut stopping = handle.stopping();
    let service = service_fn(move |request| command(handle.clone(), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = &mut connection => return,
        _ = stopping.wait_for(|stop| *stop) => Pin::new(&mut connection).graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn command(handle: Handle, request: Request<Received>) -> Result<Response<Content>, Infallible> {
    let (head, body) = request.into_parts();
    let Some(body) = read(body).await else { return Ok(too_large()) };
    let reply = control::command(&handle, head.method.as_str(), head.uri.path(), head.uri.query(), &body);
    let mut text = serde_json::to_vec_pretty(&reply.value).expect("a JSON value can always be written");
    text.push(b'\n');
    let mut response = Response::new(content(text, None));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(super::answer::JSON));
    Ok(response)
}

async fn answer(
    handle: Handle,
    request: Request<Received>,
    connection: u64,
    tls: bool,
    taken: mpsc::Sender<(Plan, Flight)>,
) -> Result<Response<Content>, Infallible> {
    let (head, body) = request.into_parts();
    let Some(body) = read(body).await else { return Ok(too_large()) };
    let incoming = Incoming {
        method: head.method.as_str(),
        path: head.uri.path(),
        query: head.uri.query(),
        content_type: head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        body: &body,
        tls,
        connection,
    };
    let search = handle.vendor().search(&incoming);
    if let Some(search) = search {
        let proven = search.found().await;
        handle.vendor().found(&search, &proven);
    }
    let outgoing = handle.vendor().call(incoming, now());
    let flight = Flight { handle, ticket: outgoing.ticket };
    if !outgoing.delay.is_zero() {
        tokio::time::sleep(outgoing.delay).await;
    }
    if let Some(plan) = outgoing.plan {
        // The connection is taken from under this call, which therefore never ends on its own.
        let _ = taken.send((plan, flight)).await;
        return std::future::pending().await;
    }
    Ok(response(outgoing.answer, Some(flight)))
}

async fn read(body: Received) -> Option<Bytes> {
    let collected = Limited::new(body, BODY_MAX).collect().await.ok()?;
    Some(collected.to_bytes())
}

fn too_large() -> Response<Content> {
    response(Answer::html(413, "Content too large"), None)
}

fn response(answer: Answer, flight: Option<Flight>) -> Response<Content> {
    let mut response = Response::new(content(answer.body, flight));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [("content-type", answer.content_type)].into_iter().chain(answer.headers);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// A call that is being answered. It ends when the answer has been handed over, or when the client left
/// and the server drops what it was doing.
struct Flight {
    handle: Handle,
    ticket: Ticket,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.handle.vendor().record.ended(&self.ticket, now());
    }
}

type Content = BoxBody<Bytes, Infallible>;

/// A whole body. It owns its call, which therefore stays in flight until the body has been taken.
fn content(bytes: Vec<u8>, flight: Option<Flight>) -> Content {
    let with_flight = move |never: Infallible| {
        let _flight = &flight;
        never
    };
    Full::from(bytes).map_err(with_flight).boxed()
}
