//! The gates from outside: what they print, what they store, and their exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn gates(folder: &Path, stored: &str, more: &[&str]) -> Output {
    fs::write(folder.join("program"), [0; 1000]).unwrap();
    gates_of("program", folder, stored, more)
}

fn gates_of(program: &str, folder: &Path, stored: &str, more: &[&str]) -> Output {
    fs::write(folder.join("gates.toml"), stored).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd-bench"));
    command.args(["gates", "--binary", program, "--without-sandbox", "none", "--stored", "gates.toml"]);
    command.args(more).current_dir(folder).output().unwrap()
}

#[test]
fn a_count_is_held_against_its_stored_number() {
    let folder = tempfile::tempdir().unwrap();
    for (stored, ends_well, says) in [
        ("1000", true, "ok       size-with-sandbox: 1,000, stored 1,000"),
        ("910", true, "ok       size-with-sandbox: 1,000, stored 910"),
        ("909", false, "FAILED   size-with-sandbox: 1,000, stored 909, at most 999.90"),
        ("1200", true, "please renew it"),
    ] {
        let stored = format!("size-with-sandbox = {stored}\n");
        let output = gates(folder.path(), &stored, &["size-with-sandbox"]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.success(), ends_well, "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn what_counts_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let output = gates(folder.path(), "size = 1000\n", &["size"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("skipped  size: there is no none"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("nothing was counted"));
}

#[test]
fn renewed_numbers_are_stored_and_the_others_kept() {
    let folder = tempfile::tempdir().unwrap();
    let output = gates(folder.path(), "size = 7\nwake-ups = 6\n", &["--renew", "size", "size-with-sandbox"]);
    assert!(output.status.success(), "{output:?}");
    let stored = fs::read_to_string(folder.path().join("gates.toml")).unwrap();
    for line in ["size = 7", "wake-ups = 6", "size-with-sandbox = 1000"] {
        assert!(stored.lines().any(|found| found == line), "{stored}");
    }
}

#[test]
fn a_daemon_that_ends_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ends");
    fs::write(&program, "#!/bin/sh\necho out of order >&2\nexit 3\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = gates_of("ends", folder.path(), "memory-10 = 1\n", &["memory-10"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("the daemon ended with exit status: 3, before: 10 polls\nout of order"), "{said}");
}
