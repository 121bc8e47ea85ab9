//! `bridge`: one connection, one fixed command, its last line and its exit status.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

/// The bridge with a listening socket as its standard input, as `StandardInput=socket` gives it.
fn bridge(dir: &tempfile::TempDir, arguments: &[&str]) -> Child {
    let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_certcollectd"))
        .arg("bridge")
        .args(arguments)
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .env_remove("LISTEN_FDS")
        .env_remove("LISTEN_PID")
        .spawn()
        .unwrap()
}

/// What it answers, its exit code and what it logs.
fn answer(arguments: &[&str]) -> (String, Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let child = bridge(&dir, arguments);
    let mut connection = UnixStream::connect(dir.path().join("socket")).unwrap();
    let mut said = String::new();
    connection.read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    (said, output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_last_line_and_the_status_come_back() {
    let (said, code, log) = answer(&["--", "/bin/sh", "-c", "echo one; echo two >&2; echo; exit 3"]);
    assert_eq!((said.as_str(), code), ("two\n3\n", Some(0)));
    assert_eq!(log, "one\ntwo\n\n", "all of it is in the log");
    assert_eq!(answer(&["--", "/bin/true"]).0, "0\n");
    let left_running = ["--", "/bin/sh", "-c", "sleep 60 & echo $!; exit 4"];
    let (said, code, pid) = answer(&left_running);
    assert_eq!(
        (said.as_str(), code),
        (format!("{}\n4\n", pid.trim()).as_str(), Some(0)),
        "it is not waited for"
    );
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(answer(&["--", "/bin/sh", "-c", "kill -9 $$"]).0, "137\n");
    let (said, code, _) = answer(&["--", "/nowhere/to/be/found"]);
    assert_eq!(code, Some(0));
    assert!(
        said.starts_with("/nowhere/to/be/found cannot be started: ") && said.ends_with("\n127\n"),
        "{said}"
    );
}

#[test]
fn what_a_client_sends_changes_nothing_and_a_long_line_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let child = bridge(&dir, &["--", "/bin/sh", "-c", "printf 'ü%.0s' $(seq 5000); exit 1"]);
    let mut connection = UnixStream::connect(dir.path().join("socket")).unwrap();
    connection.write_all(b"reboot\n").unwrap();
    let mut said = Vec::new();
    // Ended without reading what was sent, the connection may be reset behind the answer.
    let _ = connection.read_to_end(&mut said);
    let said = String::from_utf8(said).unwrap();
    assert!(said.ends_with("\n1\n") && said.len() <= 2010, "{} bytes", said.len());
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn without_a_socket_it_says_who_starts_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_certcollectd"))
        .args(["bridge", "nginx"])
        .stdin(Stdio::null())
        .env_remove("LISTEN_FDS")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("certcollectd-reload@nginx.socket"), "{said}");
}
