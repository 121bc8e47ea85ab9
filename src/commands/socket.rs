//! The way to a running daemon: one request over the control socket.
//!
//! Plain HTTP over a unix socket: nothing here needs roots for TLS, a proxy or a name.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::sources::control;
use certcollectd_core::engine::command::{Command, CommandReply};
use certcollectd_core::engine::vitals::Vitals;

/// The largest answer, in bytes: the details of all domains of an order.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// How long a command waits for the loop of a daemon that accepts connections. Longer than a slow
/// disk delays it.
const LOOP_TIMEOUT: Duration = Duration::from_secs(15);

/// A live loop answers at once; health checks usually time out after 30 s.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The daemon's answer to a command; `None` when no daemon listens. A command may take long, so the loop is
/// checked first.
pub(super) async fn ask(state_dir: &Path, command: &Command) -> Option<Result<CommandReply, String>> {
    let Ok(alive) =
        timeout(LOOP_TIMEOUT, exchange(state_dir, Method::GET, control::HEALTH, Vec::new())).await
    else {
        let advice = "no command was sent; its log may say why, and a restart helps";
        return Some(Err(format!("{}; {advice}", silent(LOOP_TIMEOUT))));
    };
    alive?.ok();
    let body = serde_json::to_vec(command).expect("strings, numbers and lists");
    exchange(state_dir, Method::POST, control::COMMANDS, body).await
}

/// The vitals of the daemon's loop, if it answers in time; `None` when no daemon listens.
pub(super) async fn ping(state_dir: &Path) -> Option<Result<Vitals, String>> {
    let asked = exchange(state_dir, Method::GET, control::HEALTH, Vec::new());
    let Ok(answer) = timeout(PING_TIMEOUT, asked).await else {
        return Some(Err(silent(PING_TIMEOUT)));
    };
    let answer = answer?;
    Some(answer.and_then(|reply| match serde_json::from_value(reply.data) {
        Ok(vitals) if reply.ok => Ok(vitals),
        Ok(_) => Err(reply.text),
        Err(_) => Err(ODD.to_owned()),
    }))
}

fn silent(within: Duration) -> String {
    format!("the daemon accepts connections, but did not answer within {} s", within.as_secs())
}

const ODD: &str = "the running daemon's answer cannot be read; is it another version?";

async fn exchange(
    state_dir: &Path,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Option<Result<CommandReply, String>> {
    let (address, _handle) = control::address(state_dir).ok()?;
    // Only a socket that someone listens on means that a daemon runs; a crash leaves the file behind.
    let stream = UnixStream::connect(&address).await.ok()?;
    Some(over(stream, method, path, body).await)
}

async fn over(stream: UnixStream, method: Method, path: &str, body: Vec<u8>) -> Result<CommandReply, String> {
    let failed = |error: hyper::Error| format!("the running daemon did not answer: {error}");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::task::spawn_local(connection);
    let request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    let request = request.body(Full::new(Bytes::from(body))).expect("all of it is ours");
    let answer = sender.send_request(request).await.map_err(failed)?;
    let answer = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
    let answer = answer.map_err(|error| format!("the running daemon's answer is incomplete: {error}"))?;
    let answer: Value = serde_json::from_slice(&answer.to_bytes()).map_err(|_| ODD)?;
    let ok = answer["ok"].as_bool().ok_or(ODD)?;
    let text = answer["text"].as_str().ok_or(ODD)?.to_owned();
    Ok(CommandReply { ok, text, data: answer["data"].clone() })
}
