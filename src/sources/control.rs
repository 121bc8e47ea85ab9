//! The control socket: HTTP over a unix socket in the state directory, for the operator's commands.
//!
//! Whoever may open the socket (mode 0600, in a directory of mode 0700) may command.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::{Inbox, Message};
use crate::engine::event::{Command, CommandReply};

/// File name of the socket in the state directory.
pub const SOCKET: &str = "control.sock";
/// The address of a unix socket has room for 107 bytes.
const MAX_ADDRESS: usize = 107;
/// A client that says nothing is let go.
const SILENCE: Duration = Duration::from_secs(10);

/// An address of the socket that fits, however long the path of the state directory is; the handle must live
/// as long as the address is used.
pub fn address(state_dir: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    use std::os::fd::AsRawFd;
    let path = state_dir.join(SOCKET);
    if path.as_os_str().len() <= MAX_ADDRESS {
        return Ok((path, None));
    }
    let dir = std::fs::File::open(state_dir)?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd())), Some(dir)))
}

/// Binds the socket. The caller holds the lock, so a socket that is there already is a leftover.
pub fn bind(state_dir: &Path) -> io::Result<UnixListener> {
    let _ = std::fs::remove_file(state_dir.join(SOCKET));
    let (address, _handle) = address(state_dir)?;
    let listener = UnixListener::bind(&address)?;
    std::fs::set_permissions(&address, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Serves commands until the loop is gone.
pub async fn serve(listener: UnixListener, inbox: Inbox) {
    while !inbox.is_closed() {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely; there is no hurry.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let inbox = inbox.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(move |request| answer(request, inbox.clone()));
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(hyper_util::rt::TokioTimer::new())
                .header_read_timeout(SILENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// `POST /v1/<command>/<name>`; the answer is `{"ok": …, "text": …}`.
async fn answer(request: Request<Incoming>, inbox: Inbox) -> Result<Response<Full<Bytes>>, Infallible> {
    let refuse = |status, text: &str| respond(status, &CommandReply { ok: false, text: text.to_owned() });
    if request.method() != Method::POST {
        return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, "commands are sent with POST"));
    }
    let Some(command) = parse(request.uri().path()) else {
        return Ok(refuse(StatusCode::NOT_FOUND, "this certcollectd does not know that command"));
    };
    let (sender, receiver) = oneshot::channel();
    if inbox.send(Message::Command(command, sender)).await.is_err() {
        return Ok(refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd is stopping"));
    }
    match receiver.await {
        Ok(reply) => Ok(respond(StatusCode::OK, &reply)),
        Err(_) => {
            Ok(refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd stopped before the command was done"))
        }
    }
}

fn respond(status: StatusCode, reply: &CommandReply) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "ok": reply.ok, "text": reply.text }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// The path of a command.
pub fn path_of(command: &Command) -> String {
    let (word, name) = match command {
        Command::Poll(name) => ("poll", name),
        Command::Resume(name) => ("resume", name),
        Command::ResumeAccount(name) => ("resume-account", name),
        Command::Accept(name) => ("accept", name),
        Command::Rollback(name) => ("rollback", name),
        Command::Rehearse(name) => ("rehearse", name),
    };
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("/v1/{word}/{name}")
}

fn parse(path: &str) -> Option<Command> {
    let (word, name) = path.strip_prefix("/v1/")?.split_once('/')?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8().ok()?.into_owned();
    Some(match word {
        "poll" => Command::Poll(name),
        "resume" => Command::Resume(name),
        "resume-account" => Command::ResumeAccount(name),
        "accept" => Command::Accept(name),
        "rollback" => Command::Rollback(name),
        "rehearse" => Command::Rehearse(name),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_paths_go_both_ways() {
        for name in ["www", "a b/c", "\u{fc}"] {
            let commands = [
                Command::Poll(name.into()),
                Command::Resume(name.into()),
                Command::ResumeAccount(name.into()),
                Command::Accept(name.into()),
                Command::Rollback(name.into()),
                Command::Rehearse(name.into()),
            ];
            for command in commands {
                assert_eq!(parse(&path_of(&command)), Some(command));
            }
        }
        for path in ["/", "/v1/", "/v1/poll", "/v2/poll/www", "/v1/stop/www", "/v1/poll/%ff"] {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
