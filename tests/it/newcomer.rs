//! The first hour with it, and a bad night: whatever is wrong, what is said tells what, where and what to do.

use certcollectd_sandbox::{OrderSpec, Product, Step};

use crate::setting::{PASSWORD, Setting, said};

fn ssl(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Ssl, number, &["www.example.com"])
}

fn pending(number: &str) -> OrderSpec {
    ssl(number).with_script(vec![Step::pending(1_000_000)])
}

const KEY: &str = "key_file = \"$DIR/key.pem\"";
/// The sandbox's root is in no platform's store.
const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";

/// Where in the configuration a text begins, as messages write it.
fn place(setting: &Setting, text: &str) -> String {
    let written = setting.read("certcollectd.toml");
    let at = written.find(text).unwrap_or_else(|| panic!("{text} is not in:\n{written}"));
    let line = written[..at].matches('\n').count() + 1;
    let column = at - written[..at].rfind('\n').map_or(0, |end| end + 1) + 1;
    format!("{}:{line}:{column}\n", setting.path("certcollectd.toml").display())
}

/// A message with its place below.
fn says_where(said: &str, message: &str, place: &str) {
    let found = said.find(message).unwrap_or_else(|| panic!("{message:?} is not said:\n{said}"));
    let below = said[found..].lines().nth(1).unwrap_or_default();
    assert!(below.trim_end().ends_with(place.trim_end()), "{message:?} is to point at {place}:\n{said}");
}

#[test]
fn what_include_names_and_is_not_there_is_said_with_its_line_and_with_everything_else() {
    let mut setting = Setting::new();
    setting.order("www", pending("1"), "hooks = [\"nginx\"]\ndomain = [\"www.example.com\"]");
    let text = format!("include = [\"hooks.toml\", \"orders.d/*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 2, "{said}");
    says_where(&said, "hooks.toml, which is not there", &place(&setting, "\"hooks.toml\""));
    assert!(said.contains("did you mean `domains`?"), "the other mistakes are said as well: {said}");
    assert!(!said.contains("no hook"), "the hook may be in the file that is missing: {said}");
    // One that may not be read.
    setting.write("certcollectd.toml", &text.replace("domain =", "domains ="));
    setting.write("hooks.toml", "\u{fffd}");
    std::fs::write(setting.path("hooks.toml"), b"name = \"\xff\"").unwrap();
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 2, "{said}");
    says_where(&said, "hooks.toml: line 1 is not UTF-8 text", &place(&setting, "\"hooks.toml\""));
    setting.write("hooks.toml", "[[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n");
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 2, "{said}");
    says_where(&said, "orders.d is not there", &place(&setting, "\"orders.d"));
    std::fs::create_dir(setting.path("orders.d")).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 0, "{said}");
    says_where(&said, "and no file matches that", &place(&setting, "\"orders.d"));
}

#[test]
fn without_a_configuration_it_is_said_what_to_do() {
    let setting = Setting::new();
    let (code, said) = setting.call(&["run"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("certcollectd.toml: no such file or directory"), "{said}");
    assert!(said.contains("config/minimal.toml") && said.contains("--config"), "{said}");
}

#[test]
fn what_is_missing_on_this_machine_is_said_with_its_line() {
    let mut setting = Setting::new();
    let dir = setting.dir.path().to_owned();
    setting.order(
        "www",
        pending("1"),
        &format!(
            "key_file = [\"$DIR/key.pem\", \"$DIR/nokey.pem\"]\nhooks = [\"nginx\"]\n[order.files]\nowner = \"nosuchuser\"\n\
             group = \"nosuchgroup\"\n[[order.copy]]\nfrom = \"fullchain\"\nto = \"{}/nodir/site.pem\"\nowner = \"root\"\ngroup = \"root\"",
            dir.display()
        ),
    );
    setting.order("mail", pending("2"), "[order.files]\nowner = \"strangeuser\"");
    setting.table("[[hook]]\nname = \"nginx\"\nrun = [\"no-such-program\", \"reload\"]");
    setting.write_configuration();
    std::fs::remove_file(setting.path("password")).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 2, "{said}");
    let here = |text: &str| place(&setting, text);
    says_where(
        &said,
        "account main: the password cannot be read",
        &here(&format!("\"{}/password\"", dir.display())),
    );
    assert!(said.contains("install -m 600 /dev/stdin"), "{said}");
    says_where(&said, "order www: key_file", &here(&format!("\"{}/nokey.pem\"", dir.display())));
    says_where(&said, "cannot find the user nosuchuser", &here("\"nosuchuser\""));
    says_where(&said, "cannot find the group nosuchgroup", &here("\"nosuchgroup\""));
    says_where(&said, "cannot find the user strangeuser", &here("\"strangeuser\""));
    says_where(&said, "hook nginx: no-such-program is in no directory", &here("\"no-such-program\""));
    says_where(
        &said,
        &format!("cannot open {}/nodir", dir.display()),
        &here(&format!("\"{}/nodir/site.pem\"", dir.display())),
    );
    assert!(said.contains("7 errors"), "{said}");

    // The daemon starts all the same, and its log names the same places.
    setting.start();
    setting.until_up(1);
    let log = setting.log();
    for (about, text) in [("the password cannot be read", "{ file = "), ("nosuchuser", "\"nosuchuser\"")] {
        let place = place(&setting, text);
        let line = log.lines().find(|line| line.contains(about)).unwrap_or_else(|| panic!("{about}: {log}"));
        assert!(line.ends_with(&format!("see {}", place.trim_end())), "{line} must end with {place}");
    }
}

#[test]
fn a_credential_of_systemd_is_no_fault_of_who_checks_by_hand() {
    let mut setting = Setting::new();
    setting.order("www", pending("1"), "");
    let file = format!("{{ file = \"{}/password\" }}", setting.dir.path().display());
    let text = setting.configuration().replace(&file, "{ credential = \"sectigo\" }");
    setting.write("certcollectd.toml", &text);
    let mut by_hand = setting.command(&["check"]);
    let (code, by_hand) = said(&by_hand.env_remove("CREDENTIALS_DIRECTORY").output().unwrap());
    assert_eq!(code, 0, "{by_hand}");
    says_where(&by_hand, "systemd passes it to the unit only", &place(&setting, "\"sectigo\""));
    for part in ["certcollectd poll NAME", "systemd-run", "LoadCredential=sectigo:FILE"] {
        assert!(by_hand.contains(part), "{part}: {by_hand}");
    }
    // In the unit it is looked at.
    let mut in_unit = setting.command(&["check"]);
    let (code, in_unit) = said(&in_unit.env("CREDENTIALS_DIRECTORY", setting.dir.path()).output().unwrap());
    assert_eq!(code, 2, "{in_unit}");
    says_where(&in_unit, "credential sectigo: no such file", &place(&setting, "\"sectigo\""));
}

/// A byte that nobody sees spends the one login that is allowed.
#[test]
fn what_nobody_sees_in_a_password_is_told_and_not_shown() {
    let mut setting = Setting::new();
    setting.order("www", pending("1"), "");
    setting.write_configuration();
    for (content, tells) in [
        (format!("\u{feff}{PASSWORD}\r\n"), None),
        (format!("{PASSWORD} \n"), Some("a space at its end")),
        (format!("\t{PASSWORD}"), Some("a tab at its start")),
        (format!("{PASSWORD}\u{a0}\n"), Some("a no-break space at its end")),
        (format!("\u{200b}{PASSWORD}\n"), Some("a zero-width character at its start")),
        (format!("\u{feff}\u{feff}{PASSWORD}"), Some("a byte order mark at its start")),
        (format!("{PASSWORD}\u{1b}[A\n"), Some("a control character inside it")),
    ] {
        setting.write("password", &content);
        let (code, said) = setting.call(&["check"]);
        assert_eq!(code, 0, "{content:?}: {said}");
        match tells {
            Some(tells) => says_where(
                &said,
                &format!("account main: the password has {tells}"),
                &place(&setting, &format!("\"{}/password\"", setting.dir.path().display())),
            ),
            None => assert!(!said.contains("the password has"), "{said}"),
        }
        assert!(!said.contains(PASSWORD.trim()), "{said}");
    }
    let wide: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(setting.path("password"), [&[0xff, 0xfe], &wide[..]].concat()).unwrap();
    let (code, said) = setting.call(&["check"]);
    assert!(code == 2 && said.contains("it is UTF-16 text"), "{said}");
}

#[test]
fn a_daemon_that_cannot_be_reached_is_named_with_the_socket_and_what_to_do() {
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\nmax_interval = \"1h\"\nguard_interval = \"1h\"\ncall_gap = \"0s\"");
    setting.order("www", pending("1"), "");
    setting.start();
    setting.until("it was asked about", |setting| setting.calls("1") == 1);
    std::fs::remove_file(setting.path("state/control.sock")).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 2, "{said}");
    let pid = format!("(process {}: certcollectd run --config ", setting.pid());
    for part in
        [&*pid, "state/control.sock does not answer: it is missing", "nothing was sent", "systemctl restart"]
    {
        assert!(said.contains(part), "{part:?} is to be said: {said}");
    }
    assert_eq!(setting.calls("1"), 1);
}

#[test]
fn accept_and_rollback_work_while_the_account_is_closed() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\ndomains = [\"other.example.com\"]\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 4, "quarantined");
    setting.write("password", "wrong");
    setting.until("the order is due and its login is refused", |setting| setting.once(&[]).0 == 5);
    let calls = setting.all_calls();
    let status = setting.order_status("www");
    assert_eq!((&status["phase"], &status["vendor"]["code"]), (&"quarantined".into(), &(-16).into()));

    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    assert_eq!(setting.phase("www"), "guarding");
    // With a daemon it is the same; a poll, which needs a call, still fails.
    setting.start();
    let (code, said) = setting.call(&["rollback", "www"]);
    assert!(code == 1 && said.contains("no complete earlier generation"), "{said}");
    let (code, said) = setting.call(&["poll", "www"]);
    assert!(code == 1 && said.contains("account main is closed"), "{said}");
    assert_eq!(setting.all_calls(), calls, "neither needs a call");
}

#[test]
fn a_broken_configuration_does_not_hide_how_things_stand() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.order("mail", pending("2"), "");
    setting.start();
    setting.until_phase("www", "guarding");
    let sound = setting.configuration();
    let place = |text: &str| place(&setting, text);

    // A slip in an entry: the other one is shown, and this one as well, as far as it can be read.
    setting.write(
        "certcollectd.toml",
        &sound.replace("product = \"ssl\"\norder_number = \"2\"", "product = \"tls\"\norder_number = \"2\""),
    );
    let (code, said) = setting.call(&["status"]);
    assert_eq!(code, 2, "{said}");
    says_where(&said, "`product` has an unknown value", &place("\"tls\""));
    assert!(said.contains("a daemon is running, with the last valid configuration"), "{said}");
    assert!(said.contains("www    guarding") && said.contains("mail   waiting"), "{said}");
    let output = setting.command(&["status", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["orders"].as_array().unwrap().len(), 2);
    let (code, said) = setting.call(&["explain", "www"]);
    assert!(code == 2 && said.contains("valid until"), "{said}");
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 3 && said.contains("UNKNOWN - the configuration is invalid: "), "{said}");
    assert!(said.contains(place("\"tls\"").trim_end()), "{said}");

    // An entry without its name cannot be shown, and that is said.
    let nameless = sound.replace("[[order]]\nname = \"mail\"\n", "[[order]]\n");
    setting.write("certcollectd.toml", &nameless);
    let (code, said) = setting.call(&["status", "mail"]);
    assert!(code == 2 && said.contains("no readable entry for an order named mail"), "{said}");

    // Where the state directory may have been named, nothing is guessed.
    setting.write("certcollectd.toml", &sound.replacen("state_dir = \"", "state_dir = ", 1));
    let (code, said) = setting.call(&["status"]);
    assert!(code == 2 && !said.contains("ORDER"), "{said}");
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert!(code == 3 && said.contains("CERTCOLLECTD UNKNOWN - "), "{said}");

    // Down, it is the same.
    setting.stop();
    setting.write("certcollectd.toml", &nameless);
    let (code, said) = setting.call(&["status"]);
    assert!(code == 2 && said.contains("no daemon is running") && said.contains("www    guarding"), "{said}");
}

#[test]
fn what_a_new_include_brings_is_watched_though_it_is_broken() {
    let mut setting = Setting::new();
    setting.order("www", pending("1"), "");
    setting.start();
    setting.until_up(1);
    std::fs::create_dir(setting.path("new.d")).unwrap();
    setting.write("new.d/a.toml", "[[hook]]\nname = \"a\"\nrum = [\"true\"]\n");
    let text = format!("include = [\"new.d/*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
    setting.until("it is said", |setting| setting.log().contains("the previous one stays in force"));
    setting.write("new.d/a.toml", "[[hook]]\nname = \"a\"\nrun = [\"true\"]\n");
    setting.until("the mended file is read", |setting| setting.log().contains("was reloaded"));
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_file_that_holds_no_key_is_told_at_the_start_like_one_that_is_not_there() {
    let mut setting = Setting::new();
    let key = |name: &str| format!("key_file = \"$DIR/{name}\"");
    setting.order("absent", pending("1"), &key("absent.pem"));
    setting.order("empty", pending("2"), &key("empty.pem"));
    setting.order("request", pending("3"), "csr_file = \"$DIR/empty.csr\"");
    setting.write("empty.pem", "");
    setting.write("empty.csr", "");
    setting.start();
    let told = |name: &str, what: &str| {
        let line = format!("order {name}: cannot {what}");
        setting.until(&line, |setting| setting.log().contains(&line));
    };
    told("absent", "read the key");
    told("empty", "use the key");
    told("request", "use the request");
}

#[test]
fn roots_that_cannot_be_read_say_what_is_missing() {
    let mut setting = Setting::new();
    setting.order("www", pending("1"), "");
    let text = setting.configuration().replace("/ca.pem", "/mount/ca.pem");
    setting.write("certcollectd.toml", &text);
    let (code, said) = setting.call(&["check"]);
    let missing = format!("ca.pem: there is no {}", setting.path("mount").display());
    assert!(code == 2 && said.contains(&missing) && !said.contains("os error"), "{code} {said}");
}
