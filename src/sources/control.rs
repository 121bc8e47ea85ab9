//! The control socket: HTTP over a unix socket in the state directory, for the operator's commands.
//!
//! Anyone who may open the socket (mode 0600, in a directory of mode 0700) may command.

use std::cell::OnceCell;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};

use super::listener::{self, Answer, Asked};
use super::{Inbox, Message, ask};
use certcollectd_core::engine::command::CommandReply;

/// File name of the socket in the state directory.
pub const SOCKET: &str = "control.sock";
/// The address of a unix socket has room for 107 bytes.
const MAX_ADDRESS: usize = 107;
/// Connections at once.
const PLACES: usize = 64;
/// Maximum number of connections waiting for the outcome of a command, so that a health check always
/// gets through.
const COMMANDS_AT_ONCE: usize = 48;
/// How often, and at what distance, to check whether the previous holder of the lock is gone.
const PREDECESSOR_LOOKS: u32 = 20;
const PREDECESSOR_AGAIN: Duration = Duration::from_millis(100);

/// An address of the socket that fits, however long the path of the state directory; the handle must live
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

/// Whether someone listens on the socket; a crash leaves the file behind, which means nothing.
pub fn is_served(state_dir: &Path) -> bool {
    address(state_dir)
        .is_ok_and(|(address, _handle)| std::os::unix::net::UnixStream::connect(address).is_ok())
}

/// The socket of this process.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Socket {
    /// Removes it, unless it has been replaced.
    pub fn remove(&self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Only we can look into it, so the socket has its mode before anyone can open it.
const MAKING: &str = ".control";

/// Binds the socket. The caller holds the lock, so a socket that is there already is a leftover; one on which someone
/// listens is not taken over.
pub async fn bind(state_dir: &Path) -> io::Result<(UnixListener, Socket)> {
    // The previous holder of the lock may still be ending.
    for _ in 0..PREDECESSOR_LOOKS {
        if !is_served(state_dir) {
            break;
        }
        tokio::time::sleep(PREDECESSOR_AGAIN).await;
    }
    if is_served(state_dir) {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on it; stop it first"));
    }
    let (making, path) = (state_dir.join(MAKING), state_dir.join(SOCKET));
    let unfinished = || {
        let _ = std::fs::remove_file(making.join(SOCKET));
        let _ = std::fs::remove_dir(&making);
    };
    unfinished();
    std::fs::DirBuilder::new().mode(0o700).create(&making)?;
    let bound = || {
        let (address, _handle) = address(&making)?;
        let listener = UnixListener::bind(&address)?;
        std::fs::set_permissions(&address, PermissionsExt::from_mode(0o600))?;
        std::fs::rename(making.join(SOCKET), &path)?;
        let identity = identity(&path)?;
        Ok((listener, Socket { path: path.clone(), identity }))
    };
    let bound = bound();
    unfinished();
    bound
}

/// Serves commands as soon as the socket can be created; the result holds the socket from then on.
pub async fn listen(state_dir: PathBuf, inbox: Inbox) -> Rc<OnceCell<Socket>> {
    let made = Rc::new(OnceCell::new());
    let (its, shown, to) = (made.clone(), state_dir.join(SOCKET).display().to_string(), inbox.clone());
    let bind = async move || bind(&state_dir).await;
    let go_on = async move |(listener, socket)| {
        let _ = its.set(socket);
        serve(listener, to).await;
    };
    listener::open("the control socket", shown, inbox, ToString::to_string, bind, go_on).await;
    made
}

/// Serves commands forever.
async fn serve(listener: UnixListener, inbox: Inbox) {
    let accept = async move || listener.accept().await.map(|(stream, _)| stream);
    let waiting = Semaphore::new(COMMANDS_AT_ONCE);
    listener::serve(PLACES, accept, async move |asked| answer(asked, &inbox, &waiting).await).await;
}

/// `POST /v1/command` with a command in JSON, such as `{"poll": "www"}`, or `GET /v1/health`; the answer is
/// `{"ok": …, "text": …, "data": …}`.
async fn answer(asked: Asked, inbox: &Inbox, waiting: &Semaphore) -> Answer {
    let refuse = |status, text: &str| respond(status, &CommandReply::new(false, text));
    if asked.parts.uri.path() == HEALTH {
        let Some(vitals) = ask(inbox, Message::Ping).await else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd is stopping");
        };
        let data = serde_json::json!(vitals);
        return respond(StatusCode::OK, &CommandReply { ok: true, text: "alive".into(), data });
    }
    if asked.parts.method != Method::POST {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "commands are sent with POST");
    }
    let known = asked.parts.uri.path() == COMMANDS;
    let Ok(body) = asked.body.read(MAX_COMMAND).await else {
        return refuse(StatusCode::BAD_REQUEST, "the command is incomplete");
    };
    let Some(command) = serde_json::from_slice(&body).ok().filter(|_| known) else {
        return refuse(StatusCode::NOT_FOUND, "this certcollectd does not know that command");
    };
    let Ok(_place) = waiting.try_acquire() else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!(
                "{COMMANDS_AT_ONCE} commands are running already; try again when one of them has finished"
            ),
        );
    };
    let (sender, receiver) = oneshot::channel();
    if inbox.send(Message::Command(command, sender)).await.is_err() {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd is stopping");
    }
    match receiver.await {
        Ok(reply) => respond(StatusCode::OK, &reply),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "certcollectd stopped before the command was done"),
    }
}

fn respond(status: StatusCode, reply: &CommandReply) -> Answer {
    let body = serde_json::json!({ "ok": reply.ok, "text": reply.text, "data": reply.data }).to_string();
    listener::respond(status, "application/json", body)
}

/// Where commands are sent.
pub const COMMANDS: &str = "/v1/command";
/// Where the loop reports that it is alive, with its [`certcollectd_core::engine::vitals::Vitals`].
pub const HEALTH: &str = "/v1/health";
/// The largest command: a request of the largest size and some parameters.
const MAX_COMMAND: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use certcollectd_core::api::Replace;
    use certcollectd_core::engine::command::{Command, ReplaceCommand, Target};
    use certcollectd_core::engine::vitals::Vitals;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    /// Anyone who may look into the directory sees the socket with its mode, or not at all.
    #[test]
    fn nobody_else_can_ever_open_the_socket() {
        let temp = tempfile::tempdir().unwrap();
        let long = temp.path().join("x".repeat(120));
        for dir in [temp.path(), &long] {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                std::fs::write(dir.join(SOCKET), "a leftover").unwrap();
                let (listener, socket) = bind(dir).await.unwrap();
                let mode = std::fs::metadata(dir.join(SOCKET)).unwrap().mode();
                assert_eq!(mode & 0o7777, 0o600);
                assert!(!dir.join(MAKING).exists(), "nothing is left over");
                assert!(is_served(dir));
                assert_eq!(bind(dir).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
                drop(listener);
                // Another one took its place meanwhile.
                let (_second, its) = bind(dir).await.unwrap();
                socket.remove();
                assert!(is_served(dir), "it was not ours to remove");
                its.remove();
                assert!(!dir.join(SOCKET).exists());
            });
        }
    }

    /// A connection on which this was written.
    async fn write(address: &Path, text: &str) -> UnixStream {
        let mut stream = UnixStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn read(mut stream: UnixStream) -> String {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    /// Runs this against a socket behind which a loop answers every ping, and no command.
    fn beside_a_busy_loop(work: impl AsyncFn(&Path)) {
        let temp = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (listener, socket) = bind(temp.path()).await.unwrap();
            let (sender, mut inbox) = tokio::sync::mpsc::channel(8);
            tokio::task::spawn_local(serve(listener, sender));
            tokio::task::spawn_local(async move {
                let mut unanswered = Vec::new();
                while let Some(message) = inbox.recv().await {
                    match message {
                        Message::Ping(sender) => _ = sender.send(Vitals::default()),
                        other => unanswered.push(other),
                    }
                }
            });
            work(&socket.path).await;
        });
    }

    const PING: &str = "GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n";

    #[test]
    fn who_says_nothing_keeps_no_place() {
        beside_a_busy_loop(async |address| {
            let mut held = Vec::new();
            for _ in 0..PLACES {
                held.push(write(address, "POST /v1/command HTTP/1.1\r\n").await);
            }
            assert!(read(write(address, PING).await).await.contains("200 OK"));
            assert_eq!(read(held.remove(0)).await, "", "the oldest went");
            // Whoever came after it may go on.
            let mut last = held.pop().unwrap();
            last.write_all(b"host: x\r\ncontent-length: 1\r\n\r\n{").await.unwrap();
            assert!(read(last).await.contains("404 Not Found"));
        });
    }

    #[test]
    fn commands_that_take_long_leave_room_for_health() {
        let body = r#"{"poll":"www"}"#;
        let poll =
            format!("POST /v1/command HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        beside_a_busy_loop(async |address| {
            let mut held = Vec::new();
            for _ in 0..COMMANDS_AT_ONCE {
                held.push(write(address, &poll).await);
            }
            for _ in 0..2 * PLACES {
                let refused = read(write(address, &poll).await).await;
                assert!(refused.contains("503 Service Unavailable"), "{refused}");
                assert!(refused.contains("are running already"), "{refused}");
            }
            assert!(read(write(address, PING).await).await.contains("200 OK"));
        });
    }

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
