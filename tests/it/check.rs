//! What would fail on the day, said by `check` today.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::{Setting, said};

fn setting(tables: &str) -> Setting {
    let mut setting = Setting::new();
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        &format!("key_file = \"$DIR/key.pem\"\n{tables}\n[order.verify]\ntrust = \"off\""),
    );
    setting.write_configuration();
    setting
}

/// A setting whose order has a copy, or further tables.
fn with_tables(tables: &str) -> Setting {
    let mut setting = setting("");
    setting.table(tables);
    setting.write_configuration();
    setting
}

fn expect(setting: &Setting, code: i32, parts: &[&str]) -> String {
    let (found, said) = setting.call(&["check"]);
    assert_eq!(found, code, "{said}");
    for part in parts {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    said
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("only root can give files away, so this was not looked at");
    }
    is_root
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn one_of_a_thing_is_one() {
    let setting = setting("");
    expect(&setting, 0, &["1 order, 1 account, 0 hooks: 0 errors, 0 warnings"]);
}

#[test]
fn what_lies_in_the_place_of_an_order() {
    let setting = setting("");
    std::fs::create_dir(setting.path("out")).unwrap();
    let place = setting.installed("www");
    let moved = "move it away; the certificate is then installed automatically";
    std::fs::create_dir(&place).unwrap();
    expect(
        &setting,
        2,
        &["order www: cannot put a file into place at", "file or directory that certcollectd", moved],
    );
    std::fs::remove_dir(&place).unwrap();
    std::fs::write(&place, "x").unwrap();
    expect(&setting, 2, &["file or directory that certcollectd did not create", moved]);
    std::fs::remove_file(&place).unwrap();
    for target in ["/etc", "/nowhere/at/all", "../other"] {
        symlink(target, &place).unwrap();
        expect(
            &setting,
            2,
            &[&format!("it is a link to {target}, which certcollectd did not create"), moved],
        );
        std::fs::remove_file(&place).unwrap();
    }
    std::fs::write(setting.path("out/.www"), "x").unwrap();
    expect(&setting, 2, &["out/.www", moved]);
    std::fs::remove_file(setting.path("out/.www")).unwrap();
    symlink(".www/20260101T000000Z-00", &place).unwrap();
    expect(&setting, 0, &["0 errors, 0 warnings"]);
}

#[test]
fn what_lies_in_the_place_of_a_copy() {
    let copy = |to: &str| with_tables(&format!("[[order.copy]]\nfrom = \"fullchain\"\nto = \"{to}\""));
    let setting = copy("$DIR/copy.pem");
    let place = setting.path("copy.pem");
    std::fs::write(setting.path("site.pem"), "old").unwrap();
    let target = setting.path("site.pem");
    symlink(&target, &place).unwrap();
    let warned = format!(
        "copy.pem is a link to {0}; it will be replaced by a file, and {0} stays unchanged",
        target.display()
    );
    expect(&setting, 0, &[&warned, "0 errors, 1 warning"]);
    std::fs::remove_file(&place).unwrap();
    std::fs::create_dir(&place).unwrap();
    expect(&setting, 2, &["copy.pem: it is a directory; move it away"]);
    for (what, to) in [
        ("a copy over a file of the configuration", "$DIR/certcollectd.toml"),
        ("a copy over the password of an account", "$DIR/password"),
        ("a copy over the key_file of `www`", "$DIR/key.pem"),
        ("a copy over the ca_file of an account", "$DIR/ca.pem"),
        ("a copy conflicts with `state_dir`", "$DIR/state/state.db"),
    ] {
        expect(&copy(to), 2, &[what]);
    }
    // By another way to the same file.
    let setting = copy("$DIR/way/certcollectd.toml");
    symlink(setting.dir.path(), setting.path("way")).unwrap();
    expect(&setting, 2, &["the copy to ", "way/certcollectd.toml would replace a file of the configuration"]);
    let setting = copy("$DIR/hard");
    std::fs::hard_link(setting.path("key.pem"), setting.path("hard")).unwrap();
    expect(&setting, 2, &["/hard would replace the key_file of order www"]);
}

#[test]
fn what_a_re_issue_would_be_made_of() {
    let absent = setting("csr_file = \"$DIR/absent.csr\"");
    expect(&absent, 2, &["order www: csr_file ", "absent.csr: it does not exist", "1 error"]);
    let setting = with_tables("[order.reissue]\ncsr = \"command\"\ncsr_command = [\"/absent/csr\"]");
    expect(
        &setting,
        2,
        &["order www: csr_command: /absent/csr", "the first entry is the program", "1 error"],
    );
    let setting = with_tables("[order.reissue]\ncsr = \"command\"\ncsr_command = [\"true\"]");
    expect(&setting, 0, &["0 errors, 0 warnings"]);
}

#[test]
fn a_copy_takes_the_place_of_no_second_key() {
    let order = |keys: &str, to: &str| {
        let mut setting = Setting::new();
        setting.order(
            "www",
            OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
            &format!(
                "key_file = {keys}\n[order.verify]\ntrust = \"off\"\n\
                 [[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/{to}\""
            ),
        );
        std::fs::copy(setting.path("key.pem"), setting.path("old.key")).unwrap();
        std::fs::hard_link(setting.path("old.key"), setting.path("hard")).unwrap();
        setting.write_configuration();
        setting
    };
    let (one, two) = ("\"$DIR/old.key\"", "[\"$DIR/key.pem\", \"$DIR/old.key\"]");
    let help = "keep that key in a file of its own and name that one in key_file";
    expect(&order(two, "old.key"), 2, &["a copy over one of several key files of `www`", help]);
    // By another way to the same file.
    expect(
        &order(two, "hard"),
        2,
        &["/hard would replace one of several key files of order www", help, "1 error"],
    );
    for to in ["old.key", "hard"] {
        expect(&order(one, to), 0, &["0 errors, 0 warnings"]);
    }
    // Nothing is written over it.
    let setting = order(two, "old.key");
    let key = setting.read("old.key");
    assert_eq!(setting.once(&[]).0, 2);
    assert_eq!(setting.read("old.key"), key);
}

#[test]
fn a_link_in_the_place_of_a_copy_is_said_at_the_start_as_well() {
    let mut setting = with_tables("[[order.copy]]\nfrom = \"fullchain\"\nto = \"$DIR/copy.pem\"");
    symlink("/nowhere/site.pem", setting.path("copy.pem")).unwrap();
    setting.start_again();
    setting.until("it is said", |setting| {
        setting.log().contains("copy.pem is a link to /nowhere/site.pem; it will be replaced by a file")
    });
    assert_eq!(setting.stop(), Some(0));
}

fn with_hook(run: &str) -> Setting {
    let setting = setting("hooks = [\"reload\"]");
    let text = format!("{}\n[[hook]]\nname = \"reload\"\nrun = {run}\n", setting.configuration());
    setting.write("certcollectd.toml", &text.replace("$DIR", &setting.dir.path().display().to_string()));
    setting
}

fn script(setting: &Setting, content: &str) {
    setting.write("hook.sh", content);
    mode(&setting.path("hook.sh"), 0o700);
}

#[test]
fn hooks_that_cannot_start() {
    let setting = with_hook("[\"$DIR/hook.sh\"]");
    for (content, part) in [
        ("#!/bin/sh\r\nexit 0\r\n", "its first line ends in a carriage return"),
        ("exit 0\n", "it has no first line with an interpreter, such as #!/bin/sh"),
        ("#!/nowhere/bash\n", "/nowhere/bash, does not exist"),
    ] {
        script(&setting, content);
        expect(&setting, 2, &["hook reload: ", "hook.sh cannot be started: ", part]);
    }
    script(&setting, "#!/bin/sh\nexit 0\n");
    expect(&setting, 0, &["0 errors, 0 warnings"]);
    let whole = with_hook("[\"systemctl-not-here reload nginx\"]");
    expect(&whole, 2, &["give one argument each: [\"systemctl-not-here\", \"reload\", \"nginx\"]"]);
    let text = with_hook("\"systemctl reload nginx\"");
    expect(&text, 2, &["one argument each: run = [\"systemctl\", \"reload\", \"nginx\"]"]);
}

#[test]
fn the_daemon_says_why_a_script_cannot_start() {
    let setting = with_hook("[\"$DIR/hook.sh\"]");
    script(&setting, "exit 0\n");
    setting.vendor().vendor().issue("1", None).unwrap();
    let (code, said) = setting.call(&["once"]);
    let said = format!("{said}{}", setting.call(&["status", "www"]).1);
    assert!(said.contains("it has no first line with an interpreter"), "{code} {said}");
    assert!(!said.contains("os error"), "{said}");
}

#[test]
fn files_that_others_may_change_or_read() {
    let setting = with_hook("[\"$DIR/hook.sh\"]");
    script(&setting, "#!/bin/sh\n");
    for (name, what) in [
        ("certcollectd.toml", "the configuration"),
        ("hook.sh", "the program of hook reload"),
        ("key.pem", "the key_file of order www"),
        ("ca.pem", "the ca_file of account main"),
        ("password", "the password of account main"),
    ] {
        let path = setting.path(name);
        let before = std::fs::metadata(&path).unwrap().permissions();
        mode(&path, before.mode() | 0o002);
        let text = format!("{what}, {}, can be changed by every user on this machine", path.display());
        expect(&setting, 2, &[&text, &format!("chmod o-w {}", path.display())]);
        std::fs::set_permissions(&path, before).unwrap();
    }
    mode(&setting.path("key.pem"), 0o644);
    expect(&setting, 0, &["can be read by every user on this machine", "1 warning"]);
    mode(&setting.path("key.pem"), 0o600);
    // Whoever may write to the directory may replace what is in it.
    mode(setting.dir.path(), 0o777);
    expect(&setting, 2, &["the configuration lies in ", "which can be changed by every user"]);
    mode(setting.dir.path(), 0o1777);
    expect(&setting, 0, &["0 errors, 0 warnings"]);
    mode(setting.dir.path(), 0o700);
    if !is_root() {
        return;
    }
    // The group tty has no owner of ours.
    chown(setting.path("password"), None, Some(5)).unwrap();
    mode(&setting.path("password"), 0o640);
    expect(&setting, 0, &["can be read by group tty", "1 warning"]);
    mode(&setting.path("password"), 0o600);
    chown(setting.path("hook.sh"), Some(2), None).unwrap();
    expect(&setting, 0, &["can be changed by its owner bin", "1 warning"]);
}

#[test]
fn what_a_host_reaches_its_store_with() {
    let setting = Setting::new();
    let dir = setting.dir.path().display().to_string();
    let follower = format!(
        "state_dir = \"{dir}/state\"\ninstall_dir = \"{dir}/out\"\n[fleet]\nrole = \"follower\"\n\
         groups = [\"web\"]\nstore = \"etcd\"\nendpoints = [\"http://127.0.0.1:2379\"]\n\
         ca_file = \"{dir}/ca.pem\"\ncert_file = \"{dir}/store.pem\"\nkey_file = \"{dir}/store.key\"\n\
         user = \"web-1\"\npassword = {{ file = \"{dir}/store-password\" }}\n\
         [[order]]\nname = \"www\"\nverify = {{ trust_anchors = \"{dir}/ca.pem\" }}\n"
    );
    setting.write("certcollectd.toml", &follower);
    for (name, key) in [
        ("ca.pem", "ca_file"),
        ("store.pem", "cert_file"),
        ("store.key", "key_file"),
        ("store-password", "password"),
    ] {
        if key != "ca_file" {
            let (code, said) = setting.call(&["check"]);
            assert!(code == 2 && said.contains("[fleet]: ") && said.contains(name), "{name}: {said}");
            setting.write(name, "x");
        }
        let (_, sound) = setting.call(&["check"]);
        assert!(!sound.contains(&format!("{dir}/{name}: ")), "{name}: {sound}");
        mode(&setting.path(name), 0o602);
        let changed = format!("the {key} of [fleet], {dir}/{name}, can be changed by every user");
        expect(&setting, 2, &[&changed]);
        mode(&setting.path(name), 0o600);
    }
    mode(&setting.path("store.key"), 0o644);
    let read = format!("the key_file of [fleet], {dir}/store.key, can be read by every user");
    let (_, said) = setting.call(&["check"]);
    assert!(said.contains(&read), "{said}");
    // Nothing is said about the vendor, who is never called.
    assert!(said.contains("1 order, 0 accounts, "), "{said}");
    assert!(said.contains("whatever the store holds for it is installed"), "{said}");
}

#[test]
fn another_role_needs_a_restart() {
    let mut setting = setting("");
    setting.start_again();
    setting.until("it is up", |setting| setting.log().contains("is up with"));
    setting.table(
        "[fleet]\nrole = \"collector\"\ngroups = [\"web\"]\nstore = \"etcd\"\n\
         endpoints = [\"http://127.0.0.1:2379\"]",
    );
    setting.write_configuration();
    setting.until("it is said", |setting| {
        let log = setting.log();
        log.contains("[fleet] changed; restart to apply it") && log.contains("or role in [fleet]")
    });
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn numbers_and_addresses_that_cannot_be_right() {
    for (number, part) in [
        ("1234\u{a0}5", "U+00A0"),
        ("12\u{ff13}45", "U+FF13"),
        ("123, 456", "has ',' in it"),
        ("123 456", "has ' ' in it"),
    ] {
        let mut setting = Setting::new();
        setting.table(&format!(
            "[[order]]\nname = \"www\"\norder_number = \"{number}\"\ndomains = [\"www.example.com\"]\n[order.verify]\ntrust = \"off\""
        ));
        setting.write_configuration();
        expect(&setting, 0, &["`order_number` has", part, "1 warning"]);
    }
    for (path, front) in [
        ("/products/download/CollectSSL", ""),
        ("/products/download/", ""),
        ("/Products", ""),
        ("/gateway/products/!AutoReplaceSMIME", "/gateway"),
    ] {
        let setting = setting("");
        let url = setting.vendor().base_url().to_string();
        setting.write("certcollectd.toml", &setting.configuration().replace(&url, &format!("{url}{path}")));
        expect(&setting, 2, &["contains the path of an endpoint", &format!("{url}{front}\"")]);
    }
    let setting = setting("");
    let url = setting.vendor().base_url().to_string();
    setting
        .write("certcollectd.toml", &setting.configuration().replace(&url, &format!("{url}/our-products")));
    expect(&setting, 0, &["0 errors"]);
}

#[test]
fn ports_that_are_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for table in ["http", "push"] {
        let mut setting = with_tables(&format!("[{table}]\nlisten = \"{address}\""));
        let text = format!("[{table}] cannot listen on {address}: another program listens there");
        expect(&setting, 2, &[&text]);
        // Our own daemon holds its port, and that is right.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let text = setting.configuration().replace(&address.to_string(), &free.to_string());
        setting.write("certcollectd.toml", &text);
        setting.start_again();
        setting.until_up(1);
        let said = expect(&setting, 0, &[]);
        assert!(!said.contains("cannot listen"), "{said}");
        assert_eq!(setting.stop(), Some(0));
    }
    let elsewhere = with_tables("[http]\nlisten = \"192.0.2.1:9797\"");
    let said = expect(
        &elsewhere,
        2,
        &[
            "[http] cannot listen on 192.0.2.1:9797: this machine has no such address",
            "give the machine the address",
        ],
    );
    assert!(!said.contains("free the port"), "{said}");
    let link = with_tables("[http]\nlisten = \"[fe80::1]:9797\"");
    expect(&link, 2, &["does not say on which interface", "[fe80::1%2]:9797"]);
}

#[test]
fn a_hook_that_only_others_may_start_is_told_to_who_checks() {
    use std::os::unix::process::CommandExt;
    if !is_root() {
        return;
    }
    let setting = with_hook("[\"$DIR/hook.sh\"]");
    script(&setting, "#!/bin/sh\n");
    mode(setting.dir.path(), 0o755);
    mode(&setting.path("certcollectd.toml"), 0o644);
    let dir = setting.dir.path().display();
    let (code, said) = said(&setting.command(&["check"]).uid(4_000_123).gid(4_000_123).output().unwrap());
    let hook = format!(
        "hook reload: {dir}/hook.sh cannot be started: permission denied for the user that this runs as"
    );
    assert!(code == 2 && said.contains(&hook), "{code} {said}");
}

#[test]
fn root_looks_through_the_eyes_of_the_daemons_user() {
    if !is_root() {
        return;
    }
    let setting = with_hook("[\"$DIR/hook.sh\"]");
    script(&setting, "#!/bin/sh\n");
    let user = 4_000_123;
    std::fs::create_dir(setting.path("state")).unwrap();
    chown(setting.path("state"), Some(user), Some(user)).unwrap();
    mode(&setting.path("state"), 0o700);
    // Everything is root's own: the directory lets nobody pass.
    mode(setting.dir.path(), 0o700);
    let dir = setting.dir.path().display().to_string();
    expect(
        &setting,
        2,
        &[
            "checked as root; the permissions of user 4000123 in 4000123, who runs the daemon",
            &format!(
                "order www: key_file: user 4000123, who runs the daemon, may not read {dir}/key.pem: {dir} belongs to root:root with mode 0700"
            ),
            "hook reload: user 4000123, who runs the daemon, may not start",
        ],
    );
    mode(setting.dir.path(), 0o755);
    for name in ["certcollectd.toml", "password", "ca.pem", "hook.sh"] {
        chown(setting.path(name), Some(user), None).unwrap();
    }
    // What root would make now would be root's.
    assert!(!setting.path("out").exists());
    std::fs::create_dir(setting.path("out")).unwrap();
    chown(setting.path("out"), Some(user), None).unwrap();
    let said = expect(
        &setting,
        2,
        &["may not read", "key.pem, which", "setfacl -m u:4000123:r ", "1 error, 0 warnings"],
    );
    assert!(!said.contains("may not start"), "{said}");
    // As Debian has it: the right comes by a group, which the message names.
    chown(setting.path("key.pem"), None, Some(5)).unwrap();
    mode(&setting.path("key.pem"), 0o640);
    expect(&setting, 2, &["key.pem, which belongs to root:tty with mode 0640", "SupplementaryGroups=tty"]);
    chown(setting.path("key.pem"), None, Some(user)).unwrap();
    expect(&setting, 0, &["0 errors, 0 warnings"]);
}

#[test]
fn rights_that_only_root_has() {
    if !is_root() {
        return;
    }
    let setting = with_hook("[\"$DIR/systemctl\", \"reload\", \"nginx\"]");
    script(&setting, "#!/bin/sh\n");
    std::fs::rename(setting.path("hook.sh"), setting.path("systemctl")).unwrap();
    expect(&setting, 0, &["0 warnings"]);
    std::fs::create_dir(setting.path("state")).unwrap();
    chown(setting.path("state"), Some(4_000_123), None).unwrap();
    expect(
        &setting,
        2,
        &[
            "hook reload: systemctl needs rights that user 4000123 has only if a polkit or sudo rule",
            "socket = ",
        ],
    );
}

#[test]
fn a_configuration_that_is_a_mount_of_its_own() {
    if !is_root() {
        return;
    }
    let setting = setting("");
    let config = setting.path("certcollectd.toml");
    let script = "mount --bind \"$1\" \"$1\" || exit 77; shift; exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&config);
    let check = setting.command(&["check"]);
    command.arg(check.get_program()).args(check.get_args());
    let (code, text) = match command.output() {
        Ok(output) => said(&output),
        Err(error) => return eprintln!("unshare is not to be had, so this was not looked at: {error}"),
    };
    if code == 77 || text.contains("unshare failed") {
        return eprintln!("nothing can be mounted here, so this was not looked at: {text}");
    }
    assert!(code == 0 && text.contains("is mounted as a single file"), "{code} {text}");
    assert!(text.contains("mount its directory instead") && text.contains("1 warning"), "{text}");
}

#[test]
fn what_was_not_looked_at_is_said() {
    let setting = setting("");
    setting.write("certcollectd.toml", &format!("{}\nnonsense = = 3\n", setting.configuration()));
    expect(&setting, 2, &["more may follow"]);
}

#[test]
fn keys_in_other_forms_are_named() {
    let setting = setting("");
    let der = setting.key.serialize_der();
    std::fs::write(setting.path("key.pem"), &der).unwrap();
    expect(&setting, 2, &["key.pem: it is a private key in DER form", "openssl pkey -inform DER -in FILE"]);
    let wide: Vec<u8> = setting.key.serialize_pem().encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(setting.path("key.pem"), [&b"\xff\xfe"[..], &wide].concat()).unwrap();
    expect(&setting, 2, &["it is UTF-16 text", "iconv -f UTF-16"]);
}

#[test]
fn a_status_of_one_order_is_about_its_account_only() {
    let mut setting = setting("");
    setting.table(
        "[[account]]\nname = \"other\"\nlogin_name = \"nobody\"\npassword = { file = \"$DIR/password\" }\n\
         base_url = \"https://127.0.0.1:1\"\n[[order]]\nname = \"shop\"\naccount = \"other\"\norder_number = \"2\"\n\
         interval = \"1h\"\nmax_interval = \"1h\"\n[order.verify]\ntrust = \"off\"",
    );
    let text =
        setting.configuration().replace("order_number = \"1\"", "order_number = \"1\"\naccount = \"main\"");
    setting.write("certcollectd.toml", &text);
    setting.call(&["once"]);
    let (_, all) = setting.call(&["status"]);
    assert!(all.contains("account other is paused"), "{all}");
    let (_, one) = setting.call(&["status", "www"]);
    assert!(!one.contains("other"), "{one}");
    let (_, one) = setting.call(&["status", "www", "--json"]);
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    let names: Vec<&str> =
        one["accounts"].as_array().unwrap().iter().map(|account| account["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["main"]);
    let (code, said) = setting.call(&["status", "nope"]);
    assert!(code == 2 && said.contains("no order named nope is configured; there are: www, shop"), "{said}");
}

#[test]
fn where_nobody_can_become_another_user_the_volume_is_given_away() {
    if !is_root() {
        return;
    }
    let setting = setting("");
    std::fs::create_dir(setting.path("state")).unwrap();
    chown(setting.path("state"), Some(4_000_123), None).unwrap();
    // No sudo in these directories.
    let output = setting.command(&["once"]).env("PATH", setting.dir.path()).output().unwrap();
    let (code, text) = said(&output);
    assert_eq!(code, 1, "{text}");
    let remedy = format!(
        "give the volume to user 0, which this runs as: chown 0:0 {}",
        setting.path("state").display()
    );
    assert!(text.contains(&remedy) && text.contains("or run the container as user 4000123"), "{text}");
    assert!(text.contains("name a new directory in it as state_dir"), "{text}");
}

#[test]
fn a_probe_that_asks_for_a_name_of_no_certificate_here() {
    let mut setting = Setting::new();
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    let probe = |name: &str| {
        format!(
            "[[order.probe]]\nconnect = \"127.0.0.1:443\"\nserver_name = \"{name}\"\n[order.verify]\ntrust = \"off\""
        )
    };
    let domains = "domains = [\"www.example.com\", \"*.shop.example.com\"]";
    let mut said = |keys: &str, name: &str| {
        setting.clear_tables();
        setting.order("www", spec.clone(), &format!("key_file = \"$DIR/key.pem\"\n{keys}\n{}", probe(name)));
        setting.write_configuration();
        setting.call(&["check"])
    };
    for covered in ["www.example.com", "a.shop.example.com", "127.0.0.1"] {
        let (code, said) = said(domains, covered);
        assert!(code == 0 && said.contains("0 warnings"), "{covered}: {said}");
    }
    assert!(said("", "other.example.com").1.contains("0 warnings"), "nothing says what it is for");
    for other in ["example.com", "shop.example.com", "a.b.shop.example.com"] {
        let (code, said) = said(domains, other);
        let sentence =
            format!("order www: the probe of 127.0.0.1:443 asks for {other}, which domains does not cover");
        assert!(code == 0 && said.contains(&sentence) && said.contains("server_name = "), "{other}: {said}");
    }
}
