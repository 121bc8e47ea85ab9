//! The control socket: HTTP over a unix socket in the state directory, for the operator's commands.
//!
//! Whoever may open the socket (mode 0600, in a directory of mode 0700) may command.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use super::{Inbox, Message, listener};
use crate::engine::event::CommandReply;

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

/// Whether somebody listens on the socket; a crash leaves the file behind, which means nothing.
pub fn is_served(state_dir: &Path) -> bool {
    address(state_dir)
        .is_ok_and(|(address, _handle)| std::os::unix::net::UnixStream::connect(address).is_ok())
}

/// Binds the socket. The caller holds the lock, so a socket that is there already is a leftover.
pub fn bind(state_dir: &Path) -> io::Result<UnixListener> {
    let _ = std::fs::remove_file(state_dir.join(SOCKET));
    let (address, _handle) = address(state_dir)?;
    let listener = UnixListener::bind(&address)?;
    std::fs::set_permissions(&address, PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

/// Serves commands from now on, or from when the socket can be made.
pub fn listen(state_dir: PathBuf, inbox: Inbox) {
    let first = bind(&state_dir);
    tokio::task::spawn_local(async move {
        let shown = state_dir.join(SOCKET).display().to_string();
        let again = async || bind(&state_dir);
        let listener = listener::open("the control socket", &shown, first, again, &inbox).await;
        serve(listener, inbox).await;
    });
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

/// `POST /v1/command` with a command in JSON, such as `{"poll": "www"}`, or `GET /v1/health`; the answer is
/// `{"ok": …, "text": …, "data": …}`.
async fn answer(request: Request<Incoming>, inbox: Inbox) -> Result<Response<Full<Bytes>>, Infallible> {
    let refuse = |status, text: &str| respond(status, &CommandReply::new(false, text));
    if request.uri().path() == HEALTH {
        let (sender, receiver) = oneshot::channel();
        let sent = inbox.send(Message::Ping(sender)).await.is_ok();
        return Ok(match receiver.await {
            Ok(vitals) if sent => {
                let data = serde_json::json!(vitals);
                respond(StatusCode::OK, &CommandReply { ok: true, text: "alive".into(), data })
            }
            _ => refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd is stopping"),
        });
    }
    if request.method() != Method::POST {
        return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, "commands are sent with POST"));
    }
    let known = request.uri().path() == COMMANDS;
    let body = Limited::new(request.into_body(), MAX_COMMAND);
    let body = tokio::time::timeout(SILENCE, body.collect()).await;
    let Ok(Ok(body)) = body else {
        return Ok(refuse(StatusCode::BAD_REQUEST, "the command did not arrive whole"));
    };
    let command = serde_json::from_slice(&body.to_bytes()).ok().filter(|_| known);
    let Some(command) = command else {
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
    let body = serde_json::json!({ "ok": reply.ok, "text": reply.text, "data": reply.data }).to_string();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// Where commands are sent.
pub const COMMANDS: &str = "/v1/command";
/// Where the loop says that it is alive, and how it stands: [`crate::engine::vitals::Vitals`].
pub const HEALTH: &str = "/v1/health";
/// The largest command: a request of the largest size and some parameters.
const MAX_COMMAND: usize = 256 * 1024;

#[cfg(test)]
mod tests {

    use crate::api::Replace;
    use crate::engine::event::{Command, ReplaceCommand, Target};

    #[test]
    fn commands_go_both_ways() {
        let number = Target::Number { number: "5".into(), account: Some("main".into()) };
        let replace = ReplaceCommand {
            account: None,
            replace: Replace { order_number: "5".into(), csr: "MII=".into(), ..Replace::default() },
            adopt: Some("mail".into()),
            again: false,
        };
        let commands = [
            Command::Poll("www".into()),
            Command::ResumeAccount("a b/c".into()),
            Command::ResumeSamePassword("main".into()),
            Command::Domains(Target::Order("\u{fc}".into())),
            Command::Resend(number),
            Command::Replace(Box::new(replace)),
        ];
        for command in commands {
            let text = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command, "{text}");
        }
        assert_eq!(serde_json::to_string(&Command::Poll("www".into())).unwrap(), r#"{"poll":"www"}"#);
    }
}
