//! Orders that vanish from the configuration, told by the real binary: an include that yields less than before, and
//! the operator's last word on what is gone for good.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use certcollectd_sandbox::{OrderSpec, Product};

use crate::rehearsal::listening::{address_of, get};
use crate::setting::Setting;

/// `www` is in the main file, `shop` in `orders.d`, and both are installed.
fn setting() -> Setting {
    let mut setting = Setting::new();
    let spec = |number: &str| OrderSpec::new(Product::Ssl, number, &["www.example.com"]);
    setting.order("shop", spec("2"), "[order.verify]\ntrust = \"off\"");
    let entry = setting.configuration().split("[[order]]").nth(1).unwrap().to_owned();
    setting.clear_tables();
    setting.order("www", spec("1"), "[order.verify]\ntrust = \"off\"");
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    fs::create_dir(setting.path("orders.d")).unwrap();
    setting.write("orders.d/shop.toml", &format!("[[order]]{entry}"));
    write(&setting);
    setting
}

fn write(setting: &Setting) {
    let text = format!("include = [\"orders.d/*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
}

fn running() -> Setting {
    let mut setting = setting();
    setting.start_again();
    for name in ["www", "shop"] {
        setting.until_phase(name, "guarding");
    }
    setting
}

#[test]
fn an_include_that_is_gone_leaves_the_configuration_before_in_force() {
    let mut setting = running();
    let refused = |setting: &Setting| setting.log().matches("the previous one stays in force").count();
    fs::rename(setting.path("orders.d"), setting.path("x")).unwrap();
    setting.until("it is refused", |setting| refused(setting) == 1);
    assert!(setting.log().contains("orders.d is not there"), "{}", setting.log());
    let (code, said) = setting.call(&["check"]);
    assert!(code == 2 && said.contains("orders.d is not there"), "{said}");
    let (code, said) = setting.call(&["status"]);
    assert!(code == 2 && said.contains("www ") && !said.contains("no longer configured"), "{said}");
    let calls = setting.calls("2");
    setting.until("shop is guarded as ever", |setting| setting.calls("2") > calls);
    fs::rename(setting.path("x"), setting.path("orders.d")).unwrap();
    setting.until("it is read again", |setting| setting.log().contains("was reloaded"));
    // A link that leads nowhere, as a mount leaves behind that is gone.
    let file = setting.path("orders.d/shop.toml");
    fs::rename(&file, setting.path("far.toml")).unwrap();
    symlink("../nowhere.toml", &file).unwrap();
    setting.until("it is refused again", |setting| refused(setting) >= 2);
    let (code, said) = setting.call(&["check"]);
    assert!(code == 2 && said.contains("is a link to ../nowhere.toml, which is not there"), "{said}");
    assert!(!setting.log().contains("no longer configured"));
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn orders_that_vanish_are_warned_of_until_they_are_forgotten() {
    let mut setting = running();
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
    let (code, said) = setting.call(&["forget", "shop"]);
    assert!(code == 2 && said.contains("shop is configured"), "{said}");
    fs::remove_file(setting.path("orders.d/shop.toml")).unwrap();
    setting
        .until("it is told", |setting| setting.log().contains("WARN shop: order 2 is no longer configured"));
    assert!(setting.log().contains("no file matches that"), "{}", setting.log());
    let (code, said) = setting.call(&["check"]);
    assert!(
        code == 0 && said.contains("no file matches that") && said.contains("certcollectd.toml:1:"),
        "{said}"
    );
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 1 && said.contains("shop (order 2, until "), "{code} {said}");
    assert!(setting.call(&["status"]).1.contains("`certcollectd forget shop`"));
    let (code, said) = setting.call(&["forget", "shopp"]);
    assert!(code == 2 && said.contains("there are: shop"), "{said}");
    let kept = setting.path("state/installed/shop.pem");
    assert!(kept.exists());
    // A restart does not forget it.
    assert_eq!(setting.stop(), Some(0));
    setting.start_again().until_up(2);
    setting.until("it listens again", |setting| setting.log().matches("[http] listens").count() == 2);
    let http = address_of(&setting, "[http]");
    setting.until("the page says so", |_| get(&http, "/").contains("<code>certcollectd forget shop</code>"));
    assert!(get(&http, "/metrics").contains("certcollectd_orders_absent 1\n"));
    assert!(
        setting.log().contains("WARN 1 order is installed but no longer configured"),
        "{}",
        setting.log()
    );
    let (code, said) = setting.call(&["forget", "shop", "--json"]);
    assert!(code == 0 && said.contains("\"ok\":true"), "{code} {said}");
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
    assert!(setting.installed("shop").join("cert.pem").exists(), "its files stay");
    assert!(!kept.exists(), "what was kept to put them back goes");
    assert!(get(&http, "/metrics").contains("certcollectd_orders_absent 0\n"));
    assert_eq!(setting.stop(), Some(0));
    // Without a daemon, directly.
    let (code, said) = setting.call(&["forget", "shop"]);
    assert!(code == 2 && said.contains("nothing is remembered"), "{code} {said}");
}

#[test]
fn a_state_of_somebody_elses_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root can give a file away");
    }
    let setting = setting();
    assert_eq!(setting.call(&["once", "--wait", "60s"]).0, 0);
    let database = setting.path("state/state.db");
    std::os::unix::fs::chown(&database, Some(12345), None).unwrap();
    for (arguments, code) in [(&["once"][..], 1), (&["run"], 1), (&["poll", "www"], 1), (&["check"], 2)] {
        let (found, said) = setting.call(arguments);
        assert!(found == code && said.contains("belongs to user 12345"), "{arguments:?}: {found} {said}");
    }
    std::os::unix::fs::chown(&database, Some(0), None).unwrap();
    fs::set_permissions(&database, PermissionsExt::from_mode(0o666)).unwrap();
    fs::set_permissions(setting.path("state"), PermissionsExt::from_mode(0o777)).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert!(code == 0 && said.contains("has mode 0777"), "{code} {said}");
    let (code, said) = setting.call(&["once"]);
    assert!(code == 0 && said.matches("the write permission of others was removed").count() == 2, "{said}");
    assert_eq!(fs::metadata(&database).unwrap().permissions().mode() & 0o777, 0o644);
}

/// Whatever the umask and the directory, nobody else ever sees a socket that it could open.
#[test]
fn the_control_socket_has_its_mode() {
    let setting = setting();
    fs::create_dir(setting.path("state")).unwrap();
    fs::set_permissions(setting.path("state"), PermissionsExt::from_mode(0o755)).unwrap();
    let plain = setting.command(&["run"]);
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "umask 0; exec \"$@\"", "sh"]).arg(plain.get_program()).args(plain.get_args());
    let mut daemon = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let socket = setting.path("state/control.sock");
    setting.until("it listens", |_| socket.exists());
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o7777, 0o600);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// As another user with room for so many threads: a sentence and an end, or at work; never an abort.
#[test]
fn where_no_thread_is_to_be_had_it_says_so() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("only root becomes another user");
    }
    let mut refused = 0;
    for limit in 1..=10 {
        let setting = setting();
        for name in
            ["", "orders.d", "certcollectd.toml", "orders.d/shop.toml", "password", "ca.pem", "key.pem"]
        {
            std::os::unix::fs::chown(setting.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let plain = setting.command(&["once"]);
        let mut command = std::process::Command::new("setpriv");
        command
            .arg(format!("--reuid={NOBODY}"))
            .arg(format!("--regid={NOBODY}"))
            .args(["--clear-groups", "prlimit"])
            .arg(format!("--nproc={limit}:{limit}"))
            .arg(plain.get_program())
            .args(plain.get_args());
        let Ok(output) = command.output() else { return eprintln!("there is no setpriv here") };
        let (code, said) = crate::setting::said(&output);
        assert!(!said.contains("panicked") && code >= 0, "{limit}: {code} {said}");
        refused += u32::from(said.contains("more threads: "));
    }
    assert!(refused > 0, "no limit was tight enough");
}

/// A user who runs nothing else.
const NOBODY: u32 = 61_978;
