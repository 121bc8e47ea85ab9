//! A companion and the daemon: the hook is done when the companion says so.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};

use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};
use rustix::process::{Pid, Signal, kill_process};

use crate::setting::Setting;

const SERVER: &str = "#!/bin/sh
trap 'echo reload >>log' HUP
trap 'exit 0' TERM
echo start >>log
while :; do sleep 1 & wait $!; done
";

/// Ended with the test.
struct Companion(Child);

impl Companion {
    fn start(setting: &Setting, options: &[&str]) -> Companion {
        setting.write("server", SERVER);
        let log = fs::File::options().create(true).append(true).open(setting.path("said")).unwrap();
        let mut command = setting.command(&["follow", "out/www"]);
        command.args(options).args(["--", "/bin/sh", "server"]);
        let companion = command.current_dir(setting.dir.path()).stdout(Stdio::null()).stderr(log).spawn();
        Companion(companion.unwrap())
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}

fn setting(hook: &str) -> Setting {
    let mut setting = Setting::new();
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        "key_file = \"$DIR/key.pem\"\nhooks = [\"web\"]\nfiles = { key = \"privkey.pem\" }\nverify = { trust = \"off\" }",
    );
    setting.table(&format!("[[hook]]\nname = \"web\"\n{hook}"));
    setting
}

fn has_failed(setting: &Setting) -> bool {
    setting.call(&["status", "www"]).1.contains("failed: ")
}

fn reissue(setting: &Setting) {
    let key = Some(setting.key.serialize_pem());
    setting
        .vendor()
        .vendor()
        .reissue("1", &CertificateSpec { key, days: Some(300), ..CertificateSpec::default() })
        .unwrap();
}

#[test]
fn the_hook_is_done_when_the_companion_has_reloaded() {
    let mut setting = setting("follow = \"web\"");
    setting.write("test", "if [ -e broken ]; then echo 'no such certificate'; exit 1; fi");
    // The first certificate finds the companion waiting, with its placeholder.
    fs::create_dir(setting.path("out")).unwrap();
    let options = ["--placeholder", "www.example.com", "--test", "/bin/sh test"];
    let _companion = Companion::start(&setting, &options);
    setting.until("a placeholder is served", |setting| {
        let report = fs::read_to_string(setting.path("out/follow-report@web"));
        report.is_ok_and(|report| report.contains("placeholder"))
    });
    setting.start();
    setting.until_phase("www", "guarding");
    let report = setting.read("out/follow-report@web");
    let generation = fs::read_link(setting.installed("www")).unwrap();
    let generation = generation.file_name().unwrap().to_str().unwrap();
    assert!(report.contains(generation) && report.contains("\"ok\":true"), "{report}");
    assert!(!setting.path("out/follow-request@web").exists(), "the request was withdrawn");
    setting.write("broken", "");
    reissue(&setting);
    setting.until("the test fails", has_failed);
    let (_, text) = setting.call(&["status", "www"]);
    assert!(text.contains("no such certificate") && text.contains("exit code 1"), "{text}");
    let (code, text) = setting.call(&["rehearse", "www"]);
    assert!(code == 1 && text.contains("no such certificate"), "{code} {text}");
    fs::remove_file(setting.path("broken")).unwrap();
    assert_eq!(setting.call(&["resume", "www"]).0, 0);
    setting.until_phase("www", "guarding");
    let (code, text) = setting.call(&["rehearse", "www"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn without_a_companion_the_hook_says_what_is_missing() {
    let mut setting = setting("follow = \"web\"\ntimeout = \"1s\"");
    setting.start();
    setting.until("it has failed", has_failed);
    let (_, text) = setting.call(&["status", "www"]);
    assert!(text.contains("companion web did not confirm the reload within 1s"), "{text}");
    assert!(text.contains("certcollectd follow --name web"), "{text}");
    let (code, text) = setting.call(&["check"]);
    assert!(code == 0 && text.contains("companion web has not reported yet"), "{code} {text}");
}

#[test]
fn what_a_hostile_container_writes_neither_hangs_nor_misleads() {
    let mut setting = setting("follow = \"$DIR/mail/edge\"\ntimeout = \"1s\"");
    let report = setting.path("mail/edge");
    fs::create_dir(setting.path("mail")).unwrap();
    setting.write("secret", "{\"version\":1,\"secret\":\"cAnArY\"}");
    symlink("../secret", &report).unwrap();
    setting.start();
    setting.until("it has failed", has_failed);
    let said = |make: &dyn Fn()| {
        let _ = fs::remove_file(&report);
        make();
        let (code, text) = setting.call(&["rehearse", "www"]);
        assert_eq!(code, 1, "{text}");
        assert!(!text.contains("cAnArY") && !text.contains('\u{1b}'), "{text}");
        text
    };
    said(&|| symlink("../secret", &report).unwrap());
    let fifo = || {
        let made = std::process::Command::new("mkfifo").arg(&report).status().unwrap();
        assert!(made.success());
    };
    assert!(said(&fifo).contains("not a regular file"));
    assert!(said(&|| fs::write(&report, vec![b' '; 1 << 20]).unwrap()).contains("larger than"));
    let lie = "{\"version\":1,\"name\":\"\\u001b[31m\",\"instance\":\"1\",\"time\":\"x\",\"ok\":true,\
               \"generations\":{\"www\":\"20200101T000000Z-0\"}}";
    assert!(said(&|| fs::write(&report, lie).unwrap()).contains("give it --name edge"));
    let stale = lie.replace("\\u001b[31m", "edge");
    assert!(said(&|| fs::write(&report, &stale).unwrap()).contains("last reported www 20200101T000000Z-0"));
}
