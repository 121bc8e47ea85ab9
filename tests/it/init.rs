//! `init`: from options or answers to a configuration that works; and what is not written.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::{LOGIN, PASSWORD, Setting, said};
use crate::terminal;

/// A setting with two orders at the vendor, and a list of both.
fn setting() -> Setting {
    let mut setting = Setting::new();
    for (name, number) in [("www", "1"), ("mail", "2")] {
        let domain = format!("{name}.example.com");
        setting.order(name, OrderSpec::new(Product::Ssl, number, &[&domain]), "");
    }
    setting.write(
        "orders.csv",
        "name,order_number,domains\r\nwww,1,www.example.com\r\nmail,2,mail.example.com\r\n",
    );
    setting
}

/// `init` with the options of everything, and what is typed into it; its exit code and what it said.
fn init(setting: &Setting, more: &[&str], typed: &str) -> (i32, String) {
    let path = |name: &str| setting.path(name).display().to_string();
    let (config, state, out) = (path("etc/certcollectd.toml"), path("state"), path("out"));
    let mut given: Vec<(&str, String)> = vec![
        ("--config", config),
        ("--login", LOGIN.to_owned()),
        ("--password-from", path("password")),
        ("--orders", path("orders.csv")),
        ("--server", "none".to_owned()),
        ("--state-dir", state),
        ("--install-dir", out),
    ];
    given.retain(|(option, _)| !more.contains(option));
    let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd"));
    command.arg("init").env_remove("CERTCOLLECTD_CONFIG");
    command.args(given.iter().flat_map(|(option, value)| [*option, value.as_str()])).args(more);
    run(command, typed)
}

fn run(mut command: Command, typed: &str) -> (i32, String) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that asks nothing may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(typed.as_bytes());
    said(&child.wait_with_output().unwrap())
}

/// At a terminal of its own, with these options besides `--config` and the directories: each answer is typed once its
/// question is shown. What was shown, with the exit code and the terminal's modes.
fn at_terminal(setting: &Setting, options: &str, answers: &[(&str, &[u8])]) -> String {
    let path = |name: &str| setting.path(name).display().to_string();
    let line = format!(
        "trap : INT; {} init --config {} --state-dir {} --install-dir {} {options}; echo \"ended with $?\"; stty -a",
        env!("CARGO_BIN_EXE_certcollectd"),
        path("etc/certcollectd.toml"),
        path("state"),
        path("out"),
    );
    terminal::at_terminal(&line, answers)
}

#[test]
fn an_interrupt_at_the_password_leaves_terminal_and_disk_as_they_were() {
    let setting = setting();
    let options = format!("--login {LOGIN} --orders {} --server none", setting.path("orders.csv").display());
    let said = at_terminal(&setting, &options, &[("Password (not shown): ", b"half-typed\x03")]);
    assert!(said.contains("ended with 130"), "{said}");
    assert!(said.split_whitespace().any(|word| word == "echo"), "typing is shown again: {said}");
    assert!(!said.contains("half-typed"), "{said}");
    for name in ["etc", "state", "out"] {
        assert!(!setting.path(name).exists(), "{name} was written");
    }
}

#[test]
fn an_answer_that_is_not_utf_8_is_asked_again() {
    let setting = setting();
    let options = format!("--orders {} --server none", setting.path("orders.csv").display());
    let answers: [(&str, &[u8]); 5] = [
        ("Login name at the vendor: ", b"m\xe9\n"),
        ("UTF-8.\r\nLogin name at the vendor: ", b"me\n"),
        ("Password (not shown): ", b"p\xe9\n"),
        ("UTF-8.\r\nPassword (not shown): ", b"secret\n"),
        ("Write this? [y/N] ", b"y\n"),
    ];
    let said = at_terminal(&setting, &options, &answers);
    assert!(said.contains("ended with 0"), "{said}");
    assert_eq!(std::fs::read_to_string(setting.path("etc/password")).unwrap().trim_end(), "secret");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_it_writes_collects() {
    let setting = setting();
    let key = setting.path("{name}.key").display().to_string();
    setting.write("www.key", &setting.key.serialize_pem());
    setting.write("mail.key", &setting.key.serialize_pem());
    let (code, text) = init(&setting, &["--key-file", &key, "--yes"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 orders, 1 account, 0 hooks: 0 errors"), "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    assert_eq!(mode(&setting.path("etc/certcollectd.toml")), 0o644);
    assert_eq!(mode(&setting.path("etc/password")), 0o600);
    assert_eq!(setting.read("etc/password"), format!("{PASSWORD}\n"));

    // Of the sandbox it knows nothing.
    let written = setting.read("etc/certcollectd.toml");
    let vendor = format!(
        "[[account]]\nbase_url = \"{}\"\nca_file = \"{}\"",
        setting.vendor().base_url(),
        setting.path("ca.pem").display()
    );
    let at_sandbox = written
        .replace("[[account]]", &vendor)
        .replace("\n[[account]]", "[polling]\ncall_gap = \"0s\"\n\n[[account]]");
    setting.write("certcollectd.toml", &at_sandbox);
    let (code, text) = setting.call(&["once"]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    assert_eq!(setting.read("out/mail/cert.pem"), setting.newest("2"));
}

#[test]
fn a_server_is_reloaded_through_its_bridge() {
    let setting = setting();
    let (code, text) = init(&setting, &["--server", "apache2.service", "--yes"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("systemctl enable --now certcollectd-reload@apache2.socket"), "{text}");
    let written = setting.read("etc/certcollectd.toml");
    assert!(written.contains("socket = \"/run/certcollectd-reload/apache2.sock\""), "{written}");
    assert_eq!(written.matches("hooks        = [\"apache2\"]").count(), 2, "{written}");
}

#[test]
fn it_is_shown_first_and_written_when_it_is_confirmed() {
    let setting = setting();
    for answer in ["", "\n", "n\n", "maybe\n"] {
        let (code, text) = init(&setting, &[], answer);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("order_number = \"1\"") && text.contains("Nothing was written"), "{text}");
        assert!(!setting.path("etc").exists(), "{answer:?}");
    }
    let (code, text) = init(&setting, &["--password-from", "-"], PASSWORD);
    assert_eq!((code, setting.path("etc").exists()), (2, false), "the input was the password: {text}");
    let (code, text) = init(&setting, &[], "y\n");
    assert_eq!(code, 0, "{text}");
    assert!(setting.path("etc/certcollectd.toml").exists());
}

#[test]
fn nothing_is_overwritten() {
    let setting = setting();
    std::fs::create_dir(setting.path("etc")).unwrap();
    setting.write("etc/certcollectd.toml", "mine\n");
    let (code, text) = init(&setting, &["--yes"], "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("is there already") && text.contains("Nothing was written"), "{text}");
    assert_eq!(setting.read("etc/certcollectd.toml"), "mine\n");
    assert!(!setting.path("etc/password").exists());

    std::fs::remove_file(setting.path("etc/certcollectd.toml")).unwrap();
    setting.write("etc/password", "another\n");
    let (code, text) = init(&setting, &["--yes"], "");
    assert_eq!(code, 2, "{text}");
    assert_eq!(setting.read("etc/password"), "another\n");
    assert!(!setting.path("etc/certcollectd.toml").exists());

    // As an earlier run left it that was broken off.
    setting.write("etc/password", &format!("{PASSWORD}\n"));
    let (code, text) = init(&setting, &["--yes"], "");
    assert_eq!(code, 0, "{text}");
}

#[test]
fn wrong_input_is_told_and_nothing_written() {
    let setting = setting();
    let cases: [(&[u8], &[&str]); 6] = [
        (b"name;order_number\nwww;1\n", &["orders.csv, line 2", "separate fields by commas"]),
        (b"www,1\nwww,2\n", &["orders.csv, line 2", "of line 1 already"]),
        (b"www,1\nmail,1\n", &["orders.csv, line 2", "the order number \"1\""]),
        (b"www,1,b\xfccher.example\n", &["orders.csv, line 1", "UTF-8"]),
        (b"www,1,\"www.example.com\nmail,2,x\n", &["line 1: a quote is not closed on this line"]),
        (b"\xef\xbb\xbfname,order_number,domains\n", &["there is no order in it"]),
    ];
    for (list, words) in cases {
        std::fs::write(setting.path("orders.csv"), list).unwrap();
        let (code, text) = init(&setting, &["--yes"], "");
        assert_eq!(code, 2, "{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
        assert!(!setting.path("etc").exists());
    }
    setting.write("orders.csv", "www,1\n");
    let missing = setting.path("missing").display().to_string();
    for more in [
        &["--yes", "--server", "-x"][..],
        &["--yes", "--server", "a b"],
        &["--yes", "--login", ""],
        &["--yes", "--password-from", &missing],
        &["--yes", "--orders", &missing],
        &["--yes", "--key-file", "{name}.key"],
        &["--yes", "--key-file", "/k/{nmae}.key"],
    ] {
        let (code, text) = init(&setting, more, "");
        assert_eq!(code, 2, "{more:?}: {text}");
        assert!(!setting.path("etc").exists(), "{more:?}");
    }
    setting.write("password", "\n");
    let (code, text) = init(&setting, &["--yes"], "");
    assert!(code == 2 && text.contains("is empty"), "{text}");
}

#[test]
fn what_is_missing_is_named_where_nobody_can_be_asked() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd"));
    let dir = tempfile::tempdir().unwrap();
    command.args(["init", "--login", "a", "--config"]).arg(dir.path().join("c.toml"));
    let (code, text) = run(command, "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("--password-from, --orders, --server missing"), "{text}");
}

#[test]
fn errors_that_check_finds_are_told_after_it_was_written() {
    let setting = setting();
    let key = setting.path("none/{name}.key").display().to_string();
    let (code, text) = init(&setting, &["--key-file", &key, "--yes"], "");
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("everything was written") && text.contains("none/www.key"), "{text}");
    assert!(setting.path("etc/certcollectd.toml").exists());
}

/// With `script`, a person at a terminal: what is typed, what it writes.
#[test]
fn a_person_is_asked_for_what_is_missing() {
    if !Path::new("/usr/bin/script").exists() {
        println!("skipped: there is no /usr/bin/script, which brings a terminal");
        return;
    }
    let setting = setting();
    let config = setting.path("etc/certcollectd.toml");
    let dirs = format!(
        "--state-dir {} --install-dir {}",
        setting.path("state").display(),
        setting.path("out").display()
    );
    let line = format!("{} init --config {} {dirs}", env!("CARGO_BIN_EXE_certcollectd"), config.display());
    let mut command = Command::new("/usr/bin/script");
    command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
    let typed = format!(
        "{LOGIN}\n{PASSWORD}\nwww\n1\nwww.example.com b.example.com\n\nWWW\n2\n\nwww\n3\n\n#old\n3\n\nmail\n2\n\n/nowhere/{{mail.key\n\npostfix@-\ny\n"
    );
    let (code, text) = run(command, &typed);
    let written = setting.read("etc/certcollectd.toml");
    for part in [
        "order_number = \"1\"\ndomains      = [\"www.example.com\", \"b.example.com\"]\nhooks        = [\"postfix\"]\n",
        "order_number = \"2\"\nkey_file     = \"/nowhere/{{mail.key\"\n",
        "name   = \"postfix\"\nsocket = \"/run/certcollectd-reload/postfix@-.sock\"\n",
    ] {
        assert!(written.contains(part), "{written}\n{text}");
    }
    assert_eq!(written.matches("[[order]]").count(), 2, "{written}");
    assert!(text.contains("has capital letters") && text.contains("is that of order 1 already"), "{text}");
    assert_eq!(code, 1, "the key is not there: {text}");
    assert_eq!(setting.read("etc/password"), format!("{PASSWORD}\n"));
}
