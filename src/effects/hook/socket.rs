//! Hooks that are sockets: the listener does one fixed thing and answers with its exit status.

use std::io::ErrorKind;
use std::path::Path;

use tokio::io::AsyncReadExt;

use super::NOT_FOR_ME;
use crate::effects::access::{self, Reason, Wish};
use crate::effects::blocking::apart;
use crate::effects::errno;
use certcollectd_core::api::Untrusted;
use certcollectd_core::engine::hooks::run::HookResult;

/// Bytes of the end of what a bridge said that are kept while it says more.
const TAIL: usize = 4096;

/// The least-privilege bridge: the listener does one fixed thing, and writes what that said and its exit status.
pub(super) async fn ask(path: &Path) -> HookResult {
    let shown = path.display();
    let mut stream = match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => stream,
        Err(error) => return cannot_connect(path, error).await,
    };
    let mut first = None;
    let mut said = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(error) => return HookResult::failed(format!("{shown} broke off: {}", errno::cause(&error))),
        }
        if said.len() > 2 * TAIL {
            first = first.or_else(|| Some(status_in(said.split(|byte| *byte == b'\n').next()?)));
            said.drain(..said.len() - TAIL);
        }
    }
    let (status, words) = answer(first, &said);
    let why = match status {
        Ok(0) => return HookResult::Done,
        Ok(NOT_FOR_ME) => return HookResult::NotForMe,
        Ok(code) => format!("exit status {code} from {shown}"),
        Err(text) if text.as_str().is_empty() => format!("{shown} closed without an exit status"),
        Err(text) => format!("{shown} sent \"{text}\" instead of an exit status"),
    };
    let remedy = match unit_behind(path) {
        Some(unit) => format!("see `journalctl -u {unit}`"),
        None => "see the log of the service behind it".into(),
    };
    HookResult::Failed { why, last_words: words.into_iter().collect(), remedy: Some(remedy) }
}

/// What a bridge said: the exit status, or what stands in its place, and the last line of output. The status is on the
/// last line; if there is none, on the first one, of which `first` tells if `said` is only the end.
fn answer(first: Option<Option<i32>>, said: &[u8]) -> (Result<i32, Untrusted>, Option<Untrusted>) {
    let lines: Vec<&[u8]> =
        said.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()).collect();
    let words = |line: Option<&&[u8]>| line.map(|line| Untrusted::from_bytes(line));
    let [before @ .., last] = &lines[..] else { return (Err(Untrusted::new("")), None) };
    if let Some(status) = status_in(last) {
        return (Ok(status), words(before.last()));
    }
    match first.unwrap_or_else(|| lines.first().and_then(|line| status_in(line))) {
        Some(status) => (Ok(status), words(Some(last))),
        None => (Err(Untrusted::from_bytes(last)), words(before.last())),
    }
}

/// An exit status, 0 to 255.
fn status_in(line: &[u8]) -> Option<i32> {
    std::str::from_utf8(line.trim_ascii()).ok()?.parse::<u8>().ok().map(i32::from)
}

/// The systemd unit behind a bridge that is named as the shipped one: `/run/certcollectd-reload/nginx.sock`.
fn unit_behind(socket: &Path) -> Option<String> {
    let of_ours = socket.parent()?.file_name()? == "certcollectd-reload";
    let in_unit = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '-' | '@');
    let name = socket.file_stem()?.to_str().filter(|name| name.chars().all(in_unit))?;
    of_ours.then(|| format!("certcollectd-reload@{name}"))
}

/// Why nothing answers at a socket. Apart, since the way to it is looked at.
pub(super) async fn cannot_connect(socket: &Path, error: std::io::Error) -> HookResult {
    let path = socket.to_owned();
    let kind = error.kind();
    let Reason { cause, remedy } = apart(move || access::reason(&path, Wish::Connect, &error)).await;
    let start = || match unit_behind(socket) {
        Some(unit) => format!("`systemctl enable --now {unit}.socket` creates it"),
        None => "start the service behind it".into(),
    };
    let cause = if kind == ErrorKind::ConnectionRefused { "nothing listens there".into() } else { cause };
    let remedy =
        remedy.or_else(|| matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused).then(start));
    HookResult::Failed {
        why: format!("cannot connect to {}: {cause}", socket.display()),
        last_words: Vec::new(),
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_says_its_status_last_or_first() {
        let read = |said: &str| {
            let (status, words) = answer(None, said.as_bytes());
            (
                status.map_err(|text| text.to_string()),
                words.map(|words| words.to_string()).unwrap_or_default(),
            )
        };
        assert_eq!(read("0\n"), (Ok(0), String::new()));
        assert_eq!(read(" 42"), (Ok(42), String::new()));
        assert_eq!(read("1\nnginx is not active.\n"), (Ok(1), "nginx is not active.".into()));
        assert_eq!(read("1\r\nfirst\nlast\n\n"), (Ok(1), "last".into()));
        assert_eq!(read("reloading\ndone\n0\n"), (Ok(0), "done".into()));
        assert_eq!(read("0\n3\n"), (Ok(3), "0".into()), "a number may be the last line of the output");
        assert_eq!(read("256\n"), (Err("256".into()), String::new()));
        assert_eq!(read("no\nidea\n"), (Err("idea".into()), "no".into()));
        assert_eq!(read(""), (Err(String::new()), String::new()));
        let long = read(&format!("1\n{}\x07\n", "x".repeat(5000))).1;
        assert!(long.len() <= Untrusted::LIMIT && long.is_ascii());
        let end = |first, said: &str| answer(first, said.as_bytes()).0.ok();
        assert_eq!(end(Some(Some(1)), "7\nthe end\n"), Some(1), "the first line is not that of the end");
        assert_eq!(end(Some(None), "7\nthe end\n"), None);
        assert_eq!(end(Some(None), "the end\n0\n"), Some(0));
    }

    #[test]
    fn the_unit_behind_a_bridge_is_named_after_it() {
        let unit = |path: &str| unit_behind(Path::new(path));
        assert_eq!(unit("/run/certcollectd-reload/nginx.sock").as_deref(), Some("certcollectd-reload@nginx"));
        assert_eq!(
            unit("/run/certcollectd-reload/postfix@-.sock").as_deref(),
            Some("certcollectd-reload@postfix@-")
        );
        assert_eq!(unit("/run/haproxy/admin.sock"), None);
        assert_eq!(unit("/run/certcollectd-reload/a b.sock"), None);
    }
}
