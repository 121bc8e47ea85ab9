//! The journal's own protocol, against a socket that plays the journal.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use certcollectd_sandbox::Step;

use super::{KEY, ssl};
use crate::setting::Setting;

/// In a mount namespace of its own the journal's socket is the one that lies in `$1`; then the rest is started.
const BESIDE: &str = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal \
                      && shift && exec \"$@\"";

/// The fields of an entry, <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>: `NAME=value` on a line, or the name on a line,
/// the length of the value in eight bytes, the value and a line end.
fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').expect("a line end");
        let line = String::from_utf8(entry[..end].to_vec()).unwrap();
        entry = &entry[end + 1..];
        if let Some((name, value)) = line.split_once('=') {
            found.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let (length, rest) = entry.split_first_chunk::<8>().expect("a length");
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
        found.push((line, String::from_utf8(rest[..length].to_vec()).unwrap()));
        assert_eq!(rest[length], b'\n');
        entry = &rest[length + 1..];
    }
    found
}

#[test]
fn hostile_text_reaches_the_journal_as_text() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can put a socket into the journal's place");
    }
    let mut setting = Setting::new();
    let hostile = "no\nPRIORITY=0\nMESSAGE=forged\n\u{1b}[2J\u{202e}";
    let step = Step { message: Some(hostile.into()), ..Step::error(-20) };
    setting.order("www", ssl("1").with_script(vec![step]), KEY);
    setting.write_configuration();
    std::fs::create_dir(setting.path("journal")).unwrap();
    let journal = UnixDatagram::bind(setting.path("journal/socket")).unwrap();
    journal.set_nonblocking(true).unwrap();
    let log = std::fs::File::create(setting.path("log")).unwrap();
    let found = log.metadata().unwrap();
    let daemon = setting.command(&["run"]);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", BESIDE, "sh"])
        .arg(setting.path("journal"))
        .arg(daemon.get_program())
        .args(daemon.get_args())
        .env_remove("RUST_LOG")
        .env_remove("NOTIFY_SOCKET")
        .env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()))
        .stderr(log);
    setting.daemon = Some(command.spawn().unwrap());
    let mut entries: Vec<Vec<(String, String)>> = Vec::new();
    let mut rejected = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let is = |entry: &Vec<(String, String)>, name: &str, value: &str| {
        entry.iter().any(|(known, found)| known == name && found == value)
    };
    setting.until("the journal is told", |_| {
        while let Ok(length) = journal.recv(&mut buffer) {
            entries.push(fields(&buffer[..length]));
        }
        rejected = entries.iter().filter(|entry| is(entry, "KIND", "rejected")).cloned().collect();
        !rejected.is_empty()
    });
    let [entry] = &rejected[..] else { panic!("{rejected:#?}") };
    assert!(is(entry, "ORDER", "www") && is(entry, "PRIORITY", "3"), "{entry:?}");
    for entry in entries.iter().filter(|entry| !entry.is_empty()) {
        for name in ["PRIORITY", "MESSAGE"] {
            assert_eq!(entry.iter().filter(|(known, _)| known == name).count(), 1, "{entry:?}");
        }
    }
    let (_, message) = entry.iter().find(|(name, _)| name == "MESSAGE").unwrap();
    assert!(message.contains("PRIORITY=0") && message.contains("\\u{1b}[2J\\u{202e}"), "{message}");
    assert!(message.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{message}");
    assert_eq!(setting.log(), "", "nothing goes there twice");
    assert_eq!(setting.stop(), Some(0));
}
