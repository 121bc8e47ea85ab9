//! The sockets.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{HandshakeKind, ServerConfig, crypto::aws_lc_rs};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Shared, answer, control};
use crate::clock;

/// The largest request that is read, in bytes.
const BODY_MAX: usize = 64 * 1024;

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// Serves both ports on this thread, until the process ends.
pub(super) fn run(api: StdListener, control: StdListener, shared: Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let acceptor = acceptor(&shared);
    let listener = |listener: StdListener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    runtime.block_on(async {
        let (api, control) = (listener(api).expect("a listener"), listener(control).expect("a listener"));
        let (for_control, shared) = (shared.clone(), shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = control.accept().await {
                tokio::spawn(serve_control(stream, for_control.clone()));
            }
        });
        while let Ok((stream, _)) = api.accept().await {
            tokio::spawn(serve_api(stream, acceptor.clone(), shared.clone()));
        }
    });
}

fn acceptor(shared: &Shared) -> TlsAcceptor {
    let (certificate, key) = shared.authority.api_identity();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], PrivatePkcs8KeyDer::from(key).into())
        .expect("a certificate of ours");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn serve_api(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Small answers would otherwise wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
    shared.state().counts.connected(resumed);
    let service = service_fn(move |request| call(shared.clone(), request));
    // An error here is a client that left.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn call(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let endpoint = answer::Endpoint::of(request.uri().path());
    let flight = Flight::new(&shared);
    let body = Limited::new(request.into_body(), BODY_MAX).collect().await;
    let order = body.ok().and_then(|body| answer::order_number(&body.to_bytes()));
    let (text, manner) = decide(&shared, endpoint, order);
    if !manner.delay.is_zero() {
        tokio::time::sleep(manner.delay).await;
    }
    drop(flight);
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let form = "application/x-www-form-urlencoded";
    let content_type = if endpoint == answer::Endpoint::Mark { "text/plain" } else { form };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if manner.close {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

/// A call counts as in flight until it is answered, or until its client leaves.
struct Flight<'a>(&'a Shared);

impl<'a> Flight<'a> {
    fn new(shared: &'a Shared) -> Flight<'a> {
        shared.state().counts.begun(clock::now());
        Flight(shared)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.state().counts.ended(clock::now());
    }
}

fn decide(shared: &Shared, endpoint: answer::Endpoint, order: Option<u64>) -> (String, super::Manner) {
    let mut state = shared.state();
    let manner = state.manner;
    let Some(order) = order else { return (answer::refused(), manner) };
    let text = match endpoint {
        answer::Endpoint::Ssl => {
            let polls = state.counts.polled(order, clock::now());
            let ready = order < manner.ready_below || manner.ready_after.is_some_and(|after| polls > after);
            if ready {
                let text = answer::issued(&shared.authority, order);
                state.counts.issued(order, clock::now());
                text
            } else {
                answer::pending(endpoint, order)
            }
        }
        // A mark certificate costs what another one costs, and needs a logo: these orders wait for ever.
        answer::Endpoint::Mark => {
            state.counts.polled(order, clock::now());
            answer::pending(endpoint, order)
        }
        answer::Endpoint::Domains | answer::Endpoint::Unknown => {
            state.counts.side_call();
            answer::pending(endpoint, order)
        }
    };
    (text, manner)
}

async fn serve_control(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer_control(shared.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_control(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let uri = request.uri();
    Ok(match control::command(&shared, uri.path(), uri.query().unwrap_or_default()) {
        Ok(value) => Response::new(Full::new(Bytes::from(format!("{value}\n")))),
        Err(problem) => {
            let mut response = Response::new(Full::new(Bytes::from(format!("{problem}\n"))));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        }
    })
}
