//! What a command prints, where it cannot be printed.

use std::fs::File;
use std::process::Stdio;

use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::Setting;

fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.write_configuration();
    setting
}

/// Every command that prints without a daemon or a call.
const PRINTERS: [&[&str]; 13] = [
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
    &["forecast"],
    &["forecast", "--json"],
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
        assert_eq!(said.matches("cannot write to standard output").count(), 1, "{arguments:?}: {said}");
        assert!(said.contains("lost: no space left on device\n"), "{arguments:?}: {said}");
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

/// It finds nothing here, which is an exit code of its own.
#[test]
fn what_adopt_cannot_print_is_told_beside_what_it_found() {
    let setting = setting();
    let arguments = ["adopt", "/dev/null"];
    let full = File::options().write(true).open("/dev/full").unwrap();
    let (code, said) = run(&setting, &arguments, full.into());
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("cannot write to standard output").count(), 1, "{said}");
    assert!(said.contains("nothing was written"), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let (code, said) = run(&setting, &arguments, writer.into());
    assert!(code == Some(1) && !said.contains("standard output"), "{code:?} {said}");
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

/// The document on standard output, with the exit code.
fn document(setting: &Setting, arguments: &[&str]) -> (i32, serde_json::Value) {
    let output = setting.command(arguments).output().unwrap();
    let (code, out) = (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout));
    (code, serde_json::from_str(&out).unwrap_or_else(|why| panic!("{arguments:?}: {why}: {out:?}")))
}

#[test]
fn a_machine_is_told_in_one_document_what_failed() {
    let setting = setting();
    let wrong: &[(&[&str], &str)] = &[
        (&["status", "shop", "--json"], "no order named shop"),
        (&["explain", "shop", "--json"], "no order named shop"),
        (&["poll", "shop", "--json"], "no order named shop"),
        (&["resume", "shop", "--json"], "no order named shop"),
        (&["resume", "--account", "other", "--json"], "no account named other"),
        (&["accept", "shop", "--json"], "no order named shop"),
        (&["rollback", "shop", "--json"], "no order named shop"),
        (&["rehearse", "shop", "--json"], "no order named shop"),
        (&["domains", "shop", "--json"], "no order named shop"),
        (&["domains", "--order", "", "--json"], "--order is empty"),
        (&["doctor", "dcv", "shop", "--json"], "no order named shop"),
        (&["smime", "replace", "--order", "1", "--csr", "/absent", "--json"], "--csr /absent: no such file"),
        (&["smime", "resend", "--order", "", "--json"], "--order is empty"),
        (&["poll", "--json"], "required arguments were not provided"),
        #[cfg(feature = "sandbox")]
        (&["sandbox", "--scenario", "/absent", "--json"], "--scenario /absent: no such file"),
    ];
    for &(arguments, why) in wrong {
        let (code, told) = document(&setting, arguments);
        assert!(code == 2 && told["ok"] == false, "{arguments:?}: {code} {told}");
        assert!(told["text"].as_str().unwrap().contains(why), "{arguments:?}: {told}");
    }
    setting.write("certcollectd.toml", "nonsense = 1\n");
    for arguments in [&["poll", "www"][..], &["status"], &["explain", "www"], &["forget", "www"]] {
        let (code, told) = document(&setting, &[arguments, &["--json"]].concat());
        assert!(code == 2 && told["ok"] == false, "{arguments:?}: {code} {told}");
        assert!(told["text"].as_str().unwrap().contains("nonsense"), "{arguments:?}: {told}");
    }
}

#[test]
fn an_error_of_the_system_is_told_in_words() {
    let setting = setting();
    let file = setting.path("password").display().to_string();
    let wrong: [&[&str]; 2] = [&["smime", "replace", "--order", "1", "--csr", "/absent"], &["man", &file]];
    #[cfg(feature = "sandbox")]
    let rehearsals: [&[&str]; 4] = [
        &["sandbox", "--scenario", "/absent"],
        &["sandbox", "--dir", &format!("{file}/x"), "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"],
        &["sandbox", "--ca-out", &format!("{file}/x"), "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"],
        &["sandbox", "--listen", "192.0.2.1:1"],
    ];
    #[cfg(not(feature = "sandbox"))]
    let rehearsals: [&[&str]; 0] = [];
    for arguments in wrong.iter().chain(&rehearsals) {
        let (code, said) = setting.call(arguments);
        assert!(code == 1 || code == 2, "{arguments:?}: {code} {said}");
        assert!(!said.is_empty() && !said.contains("os error"), "{arguments:?}: {said}");
    }
}
