//! The daemon lives: it starts with what it can, goes on without the rest until that is mended, and says so.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use certcollectd_sandbox::Step;
use rustix::process::Signal;

use super::listening::{address_of, get};
use super::{KEY, OWN_ROOT, ssl};
use crate::setting::{Setting, said};

fn nagios(setting: &Setting) -> (i32, String) {
    setting.call(&["status", "--nagios"])
}

#[test]
fn a_port_that_is_taken_is_a_finding_until_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.table(&format!("[http]\nlisten = \"{address}\"\n[push]\nlisten = \"127.0.0.1:0\""));
    setting.start();
    setting.until_phase("www", "guarding");
    address_of(&setting, "[push]");
    let words = format!("[http] cannot listen on {address}: another program listens there");
    let line = setting.log().lines().find(|line| line.contains(&words)).unwrap().to_owned();
    assert!(line.contains("ERROR") && line.contains("retrying"), "{line}");
    setting.until("monitoring is told", |setting| nagios(setting).0 == 1);
    let (_, line) = nagios(&setting);
    assert!(line.starts_with("CERTCOLLECTD WARNING") && line.contains(&words), "{line}");
    assert!(setting.status()["findings"][0].as_str().unwrap().contains(&words));
    for arguments in [&["status"][..], &["health"]] {
        let (code, said) = setting.call(arguments);
        assert!(code == 0 && said.contains(&words), "{said}");
    }
    drop(taken);
    assert!(address_of(&setting, "[http]") == address);
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    setting.until("nothing is found any more", |setting| nagios(setting).0 == 0);
    assert_eq!(setting.call(&["health"]), (0, "certcollectd is alive\n".to_owned()));
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_control_socket_that_cannot_be_made_stops_nothing() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    std::fs::create_dir_all(setting.path("state/control.sock/in-the-way")).unwrap();
    setting.start();
    setting.until_phase("www", "guarding");
    assert!(setting.log().contains("the control socket cannot listen on"), "{}", setting.log());
    assert_eq!(setting.call(&["health"]).0, 1);
    std::fs::remove_dir_all(setting.path("state/control.sock")).unwrap();
    setting.until("it listens", |setting| setting.call(&["health"]).0 == 0);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_directory_that_cannot_be_used_is_a_finding_until_it_can() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.write("out", "in the way");
    setting.start();
    setting.until("it is a finding", |setting| {
        let (code, line) = nagios(setting);
        code == 1 && line.contains("nothing can be installed")
    });
    std::fs::remove_file(setting.path("out")).unwrap();
    setting.until("it is none any more", |setting| nagios(setting).0 == 0);
    assert!(setting.log().contains("fixed: nothing can be installed"), "{}", setting.log());
    // What a changed configuration names is looked at as well.
    setting.write("other", "in the way");
    let text = setting.configuration().replace("/out\"", "/other\"");
    setting.write("certcollectd.toml", &text);
    setting.until("it is found", |setting| nagios(setting).0 == 1);
    setting.write("certcollectd.toml", &setting.configuration());
    setting.until("it is forgotten", |setting| nagios(setting).0 == 0);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn health_is_whether_the_loop_goes_round() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1").with_script(vec![Step::error(-20)]), KEY);
    setting.write_configuration();
    let (code, down) = setting.call(&["health"]);
    assert!(code == 1 && down.contains("no daemon listens on") && down.lines().count() == 1, "{down}");
    setting.start();
    setting.until_phase("www", "rejected");
    // A rejected order needs a person, and no restart.
    assert_eq!(setting.call(&["health"]), (0, "certcollectd is alive\n".to_owned()));
    let (code, json) = setting.call(&["health", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(code == 0 && json["ok"] == true && json["data"]["failed_saves"] == 0, "{json}");
    // With a broken configuration it goes on with the one before.
    let broken = setting.configuration() + "\nnonsense = 1\n";
    setting.write("certcollectd.toml", &broken);
    setting.until("it has noticed", |setting| setting.call(&["health"]).1.contains("is invalid"));
    assert_eq!(setting.call(&["health"]).0, 0);
    setting.signal(Signal::STOP);
    let (code, hung) = setting.call(&["health"]);
    assert!(code == 1 && hung.contains("did not answer within"), "{hung}");
    setting.signal(Signal::CONT);
    setting.write_configuration();
    setting.until("it is as before", |setting| setting.call(&["health"]).1 == "certcollectd is alive\n");
    // Nor does a command wait for ever.
    setting.signal(Signal::STOP);
    let (code, hung) = setting.call(&["resume", "www"]);
    assert!(code == 1 && hung.contains("no command was sent"), "{hung}");
    setting.signal(Signal::CONT);
    assert_eq!(setting.stop(), Some(0));
    assert_eq!(setting.call(&["health"]).0, 1);
}

/// Answers every connection as a server that was told to reload.
fn told<S: Read + Write + Send + 'static>(
    connections: impl Iterator<Item = std::io::Result<S>> + Send + 'static,
) {
    std::thread::spawn(move || {
        for mut stream in connections.map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
}

#[test]
fn without_roots_only_tls_stands_still() {
    let without = |setting: &Setting, arguments: &[&str]| {
        let mut command = setting.command(arguments);
        command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/nonexistent");
        command
    };
    let mut setting = Setting::new();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = http.local_addr().unwrap();
    let unix = UnixListener::bind(setting.path("server.sock")).unwrap();
    let accept = move || http.accept().map(|(stream, _)| stream);
    told(std::iter::repeat_with(accept));
    told(std::iter::repeat_with(move || unix.accept().map(|(stream, _)| stream)));
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"http\", \"unix\"]\n{OWN_ROOT}"));
    setting.table(&format!("[[hook]]\nname = \"http\"\nhttp = {{ url = \"http://{address}/reload\" }}"));
    setting.table("[[hook]]\nname = \"unix\"\nhttp = { url = \"http+unix://$DIR/server.sock/reload\" }");
    setting.write_configuration();
    let (code, checked) = said(&without(&setting, &["check"]).output().unwrap());
    assert_eq!(code, 0, "{checked}");
    let log = std::fs::File::create(setting.path("log")).unwrap();
    setting.daemon = Some(without(&setting, &["run"]).env("RUST_LOG", "debug").stderr(log).spawn().unwrap());
    setting.until_phase("www", "guarding");
    for command in ["poll", "resume", "rehearse"] {
        let (code, said) = said(&without(&setting, &[command, "www"]).output().unwrap());
        assert_eq!(code, 0, "{command}: {said}");
    }
    assert_eq!(said(&without(&setting, &["health"]).output().unwrap()).0, 0);
    assert_eq!(setting.stop(), Some(0));

    // What speaks TLS needs roots, and says so before the day.
    setting.table("[[hook]]\nname = \"tls\"\nhttp = { url = \"https://127.0.0.1:1/reload\" }");
    let text = setting.configuration();
    let ca_file = text.lines().find(|line| line.starts_with("ca_file")).unwrap();
    setting.write("certcollectd.toml", &text.replace(ca_file, ""));
    let (code, checked) = said(&without(&setting, &["check"]).output().unwrap());
    assert_eq!(code, 2, "{checked}");
    for words in
        ["hook tls: https://127.0.0.1:1 cannot be called", "account main: the vendor cannot be called"]
    {
        assert!(checked.contains(words), "{checked}");
    }
    assert!(checked.contains("ca-certificates"), "{checked}");
    let own_words = checked.matches("this system has no trusted roots").count();
    assert!(own_words == 2 && !checked.contains("unexpected error"), "{checked}");
}
