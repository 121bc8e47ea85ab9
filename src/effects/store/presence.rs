//! A process that works on a state directory can be found, whatever happens to the directory: it listens on
//! an abstract unix socket whose name comes from the directory's path. A lock is only as good as the file
//! that it is on.
//!
//! A client reads one line that says whether the files are in their place, `+ PID` or `- PID HOW PATH`. By then a new
//! process holds the lock on the file at the path. So `+` comes from a process that sees another directory under the
//! same path, as in another container, and `-` from one whose directory was removed.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::custody::Custody;
use super::error::{Loss, StoreError};
use certcollectd_core::api::Untrusted;
use certcollectd_core::cert::{self, Fingerprint};

/// Maximum number of processes told apart that see different directories under one path.
const PLACES: usize = 8;
/// A process that is there answers within this, unless it is starting, stopped or very busy.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries where the queue of a socket is full.
const AGAIN: Duration = Duration::from_millis(50);
/// Between two answers, of which each takes about 0.15 ms: whoever asks without end gets three per cent of a core. A
/// command takes longer than this to start, so commands in a row do not wait.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest answer, in bytes.
const MAX_ANSWER: u64 = 1024;

/// What a process says that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Its files are in their place.
    InPlace,
    Lost {
        /// Its number, where it was told.
        pid: Option<u32>,
        /// In words.
        why: String,
    },
    /// Nothing: it is starting, stopped or very busy.
    Silent,
}

/// Whose answers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those of processes of this user, and of root.
    User(u32),
    /// Those of any process: for commands that only show them, and where a stranger can do no harm.
    Anybody,
}

impl Trust {
    /// For a process of this user that finds no state. Root may come upon one that a daemon with a user of its own has
    /// lost; that a stranger can keep root from making a new one is the lesser evil.
    pub(super) fn without_a_state(uid: u32) -> Trust {
        if uid == 0 { Trust::Anybody } else { Trust::User(uid) }
    }

    /// Whether a process of this user counts.
    fn covers(self, peer: u32) -> bool {
        match self {
            Trust::User(uid) => peer == uid || peer == 0,
            Trust::Anybody => true,
        }
    }
}

/// The names under which processes of one directory are found.
fn names(dir: &Path) -> Vec<Vec<u8>> {
    let hash = Fingerprint::of(real(dir).as_os_str().as_bytes());
    let hash = cert::hex(&hash.as_bytes()[..16]);
    (0..PLACES).map(|place| format!("certcollectd/{hash}/{place}").into_bytes()).collect()
}

/// The path without links, as far as it exists.
fn real(dir: &Path) -> PathBuf {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let known = dir.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    match known {
        Some((part, real)) => match dir.strip_prefix(part) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
        None => dir,
    }
}

/// What the processes say that work on a directory of this path, ourselves left out.
pub fn ask(dir: &Path, trust: Trust) -> Vec<Answer> {
    ask_all(&names(dir), None, trust)
}

/// For those who only show how things stand: what the process that works on this directory says if its files are not
/// in their place.
pub fn complaint(dir: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    // Once the directory is gone, its owner is unknown.
    let trust = std::fs::metadata(dir).map_or(Trust::Anybody, |found| Trust::User(found.uid()));
    ask(dir, trust).into_iter().find_map(|answer| match answer {
        Answer::Lost { pid, why } => {
            Some(StoreError::Orphaned { dir: dir.to_owned(), by: pid, why: Some(why) }.to_string())
        }
        Answer::InPlace | Answer::Silent => None,
    })
}

fn ask_all(names: &[Vec<u8>], own: Option<usize>, trust: Trust) -> Vec<Answer> {
    let others = names.iter().enumerate().filter(|(place, _)| Some(*place) != own);
    others.filter_map(|(_, name)| ask_one(name, trust)).collect()
}

fn ask_one(name: &[u8], trust: Trust) -> Option<Answer> {
    let socket = connect(name)?;
    let peer = rustix::net::sockopt::socket_peercred(&socket);
    // Of a process in another namespace of processes, the kernel does not say.
    if peer.is_ok_and(|peer| !trust.covers(peer.uid.as_raw())) {
        return None;
    }
    let stream = UnixStream::from(socket);
    let read = stream.set_nonblocking(false).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
    let mut text = Vec::new();
    // A line that is cut off is read as far as it goes.
    let _ = read.and_then(|()| BufReader::new(stream.take(MAX_ANSWER)).read_until(b'\n', &mut text));
    Some(understand(&String::from_utf8_lossy(&text)))
}

/// Two lines for the two kinds of answers, written and read here only.
fn tell(compared: Result<(), StoreError>) -> String {
    let pid = std::process::id();
    match compared {
        Ok(()) => format!("+ {pid}\n"),
        Err(StoreError::Lost { path, how }) => format!("- {pid} {} {}\n", how, path.display()),
        Err(other) => format!("- {pid} ? {other}\n"),
    }
}

fn understand(text: &str) -> Answer {
    let mut words = text.trim_end().splitn(4, ' ');
    let (sign, pid) = (words.next(), words.next());
    let (how, rest) = (words.next().unwrap_or_default(), Untrusted::new(words.next().unwrap_or_default()));
    match sign {
        Some("+") => Answer::InPlace,
        Some("-") => Answer::Lost {
            pid: pid.and_then(|pid| pid.parse().ok()),
            why: match Loss::named(how) {
                Some(how) => StoreError::Lost { path: rest.as_str().into(), how }.to_string(),
                None => rest.to_string(),
            },
        },
        _ => Answer::Silent,
    }
}

/// Nothing without a listener, or where the queue stays full: ours is emptied.
fn connect(name: &[u8]) -> Option<OwnedFd> {
    let address = SocketAddrUnix::new_abstract_name(name).ok()?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let mut left = PATIENCE;
    loop {
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) => return Some(socket),
            Err(Errno::AGAIN) if !left.is_zero() => {
                std::thread::sleep(AGAIN);
                left = left.saturating_sub(AGAIN);
            }
            Err(_) => return None,
        }
    }
}

/// That this process works on a directory.
#[derive(Debug, Default)]
pub(super) struct Presence {
    listener: Option<UnixListener>,
}

impl Presence {
    /// Shows that this process works on a directory, or gives back what another one says that does: nothing may be done
    /// beside it. The caller has the lock.
    pub(super) fn show(dir: &Path) -> Result<Presence, Answer> {
        let names = names(dir);
        // Shown before the others are asked: of two that come at once, one sees the other.
        let shown = names.iter().enumerate().find_map(|(place, name)| Some((place, bind(name)?)));
        if shown.is_none() {
            tracing::warn!("state_dir {}: other processes cannot be warned if it is removed", dir.display());
        }
        let (own, listener) = shown.unzip();
        let trust = Trust::User(rustix::process::geteuid().as_raw());
        match ask_all(&names, own, trust).into_iter().find(|answer| *answer != Answer::InPlace) {
            Some(answer) => Err(answer),
            None => Ok(Presence { listener }),
        }
    }

    /// Answers anyone who asks, forever.
    pub(super) async fn answer(self, custody: Rc<Custody>) {
        let Some(listener) = self.listener else { return };
        let listener =
            listener.set_nonblocking(true).and_then(|()| tokio::net::UnixListener::from_std(listener));
        let Ok(listener) = listener else { return };
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                // A fresh socket has room for a line.
                let _ = stream.try_write(tell(custody.compare()).as_bytes());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn bind(name: &[u8]) -> Option<UnixListener> {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).ok()?;
    match UnixListener::bind_addr(&address) {
        Ok(listener) => Some(listener),
        Err(why) => {
            if why.kind() != ErrorKind::AddrInUse {
                tracing::debug!("no abstract socket: {why}");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn answers_are_understood() {
        assert_eq!(understand(&tell(Ok(()))), Answer::InPlace);
        let pid = Some(std::process::id());
        for how in Loss::ALL {
            let lost = || StoreError::Lost { path: "/s t/lock".into(), how };
            assert_eq!(understand(&tell(Err(lost()))), Answer::Lost { pid, why: lost().to_string() });
        }
        assert_eq!(understand("- 7 ? a\u{1b}b"), Answer::Lost { pid: Some(7), why: "a\\u{1b}b".into() });
        assert_eq!(understand("-"), Answer::Lost { pid: None, why: String::new() });
        assert_eq!(understand(""), Answer::Silent);
        assert_eq!(understand("hello"), Answer::Silent);
    }

    #[test]
    fn a_directory_that_is_gone_keeps_its_names() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, link) = (temp.path().join("real"), temp.path().join("link"));
        std::fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        let before = names(&dir);
        std::fs::remove_dir(&dir).unwrap();
        assert_eq!(names(&dir), before);
        assert_eq!(names(&link.join("real")), before);
        assert_ne!(names(&temp.path().join("other")), before);
    }

    #[test]
    fn root_hears_everybody_where_the_state_is_gone_and_is_heard_by_everybody() {
        let (root, service, stranger) = (0, 990, 1000);
        assert!(Trust::without_a_state(root).covers(service));
        for (uid, peer, counts) in
            [(service, service, true), (service, root, true), (service, stranger, false)]
        {
            assert_eq!(Trust::without_a_state(uid).covers(peer), counts, "{uid} and {peer}");
            assert_eq!(Trust::User(uid).covers(peer), counts, "{uid} and {peer}");
        }
        assert!(
            !Trust::User(root).covers(stranger),
            "where there is a state, nobody else's word keeps us out"
        );
    }

    #[test]
    fn who_does_not_answer_is_not_taken_for_nobody() {
        let temp = tempfile::tempdir().unwrap();
        let first = Presence::show(temp.path()).unwrap();
        assert_eq!(Presence::show(temp.path()).unwrap_err(), Answer::Silent);
        let stranger = Trust::User(rustix::process::geteuid().as_raw() + 1);
        if !rustix::process::geteuid().is_root() {
            assert_eq!(ask(temp.path(), stranger), []);
        }
        drop(first);
        Presence::show(temp.path()).unwrap();
    }

    #[test]
    fn whoever_asks_without_end_is_answered_once_a_pause() {
        let temp = tempfile::tempdir().unwrap();
        let lock = super::super::lock::Lock::take(temp.path()).unwrap();
        let mut store = super::super::save::Store::open(temp.path(), lock).unwrap();
        let name = &names(temp.path())[0];
        let asking: Vec<UnixStream> = (0..100).map(|_| UnixStream::from(connect(name).unwrap())).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answers = store.answer();
        runtime.block_on(async {
            // As many times as a pause would have been over, however slow this machine is.
            let pauses = async {
                let mut interval = tokio::time::interval(PAUSE);
                for _ in 0..10 {
                    interval.tick().await;
                }
            };
            tokio::select! {
                () = answers => unreachable!("it answers forever"),
                () = pauses => {}
            }
        });
        let answered = |stream: &&UnixStream| (&**stream).read(&mut [0; 64]).is_ok_and(|length| length > 0);
        let answered = asking.iter().filter(answered).count();
        assert!((1..=11).contains(&answered), "{answered} answers");
    }
}
