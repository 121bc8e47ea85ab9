//! What a command prints, where it cannot be printed.

use std::fs::File;
use std::process::Stdio;

use certcollectd::sandbox::{OrderSpec, Product};

use crate::setting::Setting;

fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.write_configuration();
    setting
}

/// Every command that prints without a daemon or a call.
const PRINTERS: [&[&str]; 11] = [
    &["--help"],
    &["--version"],
    &["status", "--help"],
    &["check"],
    &["status"],
    &["status", "--json"],
    &["status", "www"],
    &["status", "--watch"],
    &["explain", "www"],
    &["explain", "www", "--json"],
    &["completions", "bash"],
];

fn run(setting: &Setting, arguments: &[&str], out: Stdio) -> (Option<i32>, String) {
    let child = setting.command(arguments).stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let setting = setting();
    for arguments in PRINTERS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, said) = run(&setting, arguments, full.into());
        assert_eq!(code, Some(1), "{arguments:?}: {said}");
        assert_eq!(said.matches("standard output cannot be written to").count(), 1, "{arguments:?}: {said}");
        assert!(said.contains("No space left on device"), "{arguments:?}: {said}");
    }
    // A descriptor that is open for reading only.
    let (code, said) = run(&setting, &["status"], File::open("/dev/null").unwrap().into());
    assert!(code == Some(1) && said.contains("standard output"), "{code:?} {said}");
}

#[test]
fn what_is_worse_than_not_being_heard_keeps_its_exit_code() {
    let setting = setting();
    let full = File::options().write(true).open("/dev/full").unwrap();
    // The daemon never ran here: UNKNOWN.
    let (code, said) = run(&setting, &["status", "--nagios"], full.into());
    assert!(code == Some(3) && said.contains("standard output"), "{code:?} {said}");
}

#[test]
fn who_closes_a_pipe_has_read_enough() {
    let setting = setting();
    for arguments in PRINTERS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let (code, said) = run(&setting, arguments, writer.into());
        assert!(code == Some(0) && !said.contains("standard output"), "{arguments:?}: {code:?} {said}");
    }
}
