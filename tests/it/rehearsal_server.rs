//! `certcollectd sandbox`, from outside: what it prints is a configuration, and it answers under the names it was given.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::setting::said;

/// A sandbox as a process; ended when it is dropped.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Server {
    fn start(arguments: &[&str]) -> Server {
        let mut child = program()
            .args(["sandbox", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Server { child, out }
    }

    /// The value of a key in what it prints, which is read up to there.
    fn value(&mut self, key: &str) -> String {
        for line in self.out.by_ref().lines() {
            let line = line.unwrap();
            if let Some(value) = line.strip_prefix(key).and_then(|rest| rest.trim_start().strip_prefix("= "))
            {
                return value.trim_matches('"').to_owned();
            }
        }
        panic!("{key} is not printed");
    }

    /// Ends it in order; what it still printed.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_certcollectd"));
    command.env_remove("CERTCOLLECTD_CONFIG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn call(config: &Path, arguments: &[&str]) -> (i32, String) {
    said(&program().arg("--config").arg(config).args(arguments).output().unwrap())
}

fn scenario(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn what_it_prints_is_a_sound_configuration_that_collects() {
    let file = scenario(
        "[[account]]\nlogin_name = \"a \\\"quoted\\\" login\"\npassword = \"first ü\"\n\
         [[account]]\nlogin_name = \"second\"\npassword = \"second\"\n\
         [[order]]\norder_number = \"1\"\ndomains = [\"*.example.com\"]\n\
         [[order]]\norder_number = \"2\"\naccount = \"second\"\ndomains = [\"*.example.com\"]\n\
         [[order]]\norder_number = \"3\"\nproduct = \"mark\"\ndomains = [\"example.com\"]\n\
         [[order]]\norder_number = \"4\"\nproduct = \"smime\"\ndomains = [\"user@example.com\"]\n",
    );
    let mut server = Server::start(&["--scenario", file.path().to_str().unwrap()]);
    let state = PathBuf::from(server.value("state_dir"));
    let dir = state.parent().unwrap();
    let config = dir.join("certcollectd.toml");
    assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::metadata(dir.join("password")).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, said) = call(&config, &["check"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 errors, 0 warnings"), "{said}");
    let (code, said) = call(&config, &["once"]);
    assert_eq!(code, 0, "{said}");
    for name in ["example.com", "example.com-2", "example.com-3", "user-example.com"] {
        assert!(dir.join("certificates").join(name).join("fullchain.pem").exists(), "{name}: {said}");
    }
    let copy = std::fs::read_to_string(&config).unwrap();
    assert!(copy.ends_with(&server.stop()), "the file holds what is printed");
    assert!(!dir.exists(), "a directory of its own goes with it");
}

#[test]
fn a_terminal_that_is_closed_does_not_end_it() {
    let mut server = Server::start(&[]);
    let state = PathBuf::from(server.value("state_dir"));
    let dir = state.parent().unwrap();
    kill_process(Pid::from_child(&server.child), Signal::HUP).unwrap();
    let (code, said) = call(&dir.join("certcollectd.toml"), &["check", "--login"]);
    assert_eq!(code, 0, "{said}");
    server.stop();
    assert!(!dir.exists());
}

#[test]
fn a_directory_that_was_named_stays_and_serves_again() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("new/rehearsal");
    for _ in 0..2 {
        let mut server = Server::start(&["--dir", dir.to_str().unwrap()]);
        server.value("ca_file");
        let (code, said) = call(&dir.join("certcollectd.toml"), &["check"]);
        assert_eq!(code, 0, "{said}");
        server.stop();
    }
    assert!(dir.join("password").exists());
}

#[tokio::test]
async fn it_answers_under_each_name_it_was_given_and_no_other() {
    let mut server =
        Server::start(&["--host", "vendor", "--host", "192.0.2.7", "--host", "api.vendor.example"]);
    let base = server.value("base_url");
    let ca = server.value("ca_file");
    let port: u16 = base.strip_prefix("https://vendor:").expect(&base).parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let root = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    let mut builder = reqwest::Client::builder().tls_certs_only([root]).no_proxy();
    for name in ["vendor", "api.vendor.example", "other"] {
        builder = builder.resolve(name, address);
    }
    let client = builder.build().unwrap();
    for (host, reached) in
        [("vendor", true), ("api.vendor.example", true), ("127.0.0.1", true), ("other", false)]
    {
        let url = format!("https://{host}:{port}/products/download/CollectSSL");
        assert_eq!(client.post(url).send().await.is_ok(), reached, "{host}");
    }
    let (code, text) = said(&program().args(["sandbox", "--host", "two words"]).output().unwrap());
    assert_eq!((code, text.trim()), (2, "'two words' is neither a host name nor an address"));
    let (code, said) = said(&program().args(["sandbox", "--scenario", "/dev/zero"]).output().unwrap());
    assert_eq!((code, said.trim()), (2, "--scenario /dev/zero: the file is too large for a scenario"));
}

#[test]
fn the_example_is_a_scenario() {
    let example = program().args(["sandbox", "--example"]).output().unwrap();
    assert!(example.status.success());
    let file = scenario(std::str::from_utf8(&example.stdout).unwrap());
    let mut server = Server::start(&["--scenario", file.path().to_str().unwrap()]);
    assert_eq!(server.value("order_number"), "123456789");
    server.stop();
}

#[test]
fn a_slip_in_a_scenario_is_named() {
    let account = "[[account]]\nlogin_name = \"a\"\npassword = \"p\"\n";
    let order = "[[order]]\norder_number = \"1\"\n";
    let cases = [
        (format!("{account}{account}"), "two accounts have the login_name \"a\""),
        (format!("{account}{order}{order}"), "two orders have the order_number \"1\""),
        (
            format!("{account}{order}account = \"b\"\n"),
            "order \"1\" names the account \"b\", which the scenario does not define",
        ),
    ];
    for (text, slip) in cases {
        let file = scenario(&text);
        let path = file.path().to_str().unwrap();
        let (code, said) = said(&program().args(["sandbox", "--scenario", path]).output().unwrap());
        assert_eq!((code, said.trim()), (2, format!("{path}: {slip}").as_str()));
    }
}
