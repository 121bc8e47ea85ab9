//! The real binary against the sandbox: real TLS, real files, real processes, port 0.

use std::os::unix::fs::PermissionsExt;

use certcollectd::sandbox::{CertificateSpec, Fault, FaultSpec, Flaw, OrderSpec, Product, Step};
use rustix::process::Signal;

use crate::setting::{PASSWORD, Setting, openssl_verifies};

fn ssl(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Ssl, number, &["www.example.com"])
}

fn mark(number: &str) -> OrderSpec {
    OrderSpec::new(Product::Mark, number, &["example.com"])
}

const KEY: &str = "key_file = \"$DIR/key.pem\"";

/// The keys of an order that is verified against the sandbox's own root, which no platform has.
const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";

#[test]
fn pending_twice_then_issued_both_products() {
    let mut setting = Setting::new();
    let pending = || vec![Step::pending(2), Step::issued()];
    setting.order(
        "www",
        ssl("1").with_script(pending()),
        &format!("{KEY}\ndomains = [\"www.example.com\"]\n{OWN_ROOT}"),
    );
    setting.order("logo", mark("2").with_script(pending()), "");
    setting.start();
    setting.until_phase("www", "guarding");
    setting.until_phase("logo", "guarding");
    let root = setting.vendor().vendor().authorities().root;
    openssl_verifies(&setting.installed("www"), &root).unwrap();
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"));
    assert_eq!(setting.read("out/logo/cert.pem"), setting.newest("2"));
    let full = setting.read("out/www/cert.pem") + &setting.read("out/www/chain.pem");
    assert_eq!(setting.read("out/www/fullchain.pem"), full);
    assert_eq!(setting.stop(), Some(0));
    let counters = setting.vendor().vendor().record().counters();
    assert_eq!(counters.all.max_in_flight, 1);
    assert!(counters.connections <= 2, "one connection is kept: {}", counters.connections);
    for tally in counters.orders.values() {
        assert!(tally.smallest_gap_ms.unwrap() >= 300, "{tally:?}");
    }
}

/// Every shape that api.md calls seen in production.
const SHAPES: [&str; 15] = [
    "documented",
    "pem64",
    "pem",
    "der64-lines",
    "raw-plus",
    "issuer-first",
    "shuffled+twin",
    "root-first+twin",
    "duplicates",
    "no-root",
    "upper-keys+shuffled-pairs+extra-keys",
    "crlf+bom",
    "junk-tail",
    "sparse-details+empty-fqdn",
    "ids+percent-space",
];

#[test]
fn every_shape_of_a_good_answer_is_installed() {
    let mut setting = Setting::new();
    for (at, shape) in SHAPES.iter().enumerate() {
        let mut order = ssl(&format!("10{at}"));
        order.shape = Some((*shape).to_owned());
        setting.order(&format!("s{at}"), order, &format!("{KEY}\n{OWN_ROOT}"));
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let root = setting.vendor().vendor().authorities().root;
    for (at, shape) in SHAPES.iter().enumerate() {
        let name = format!("s{at}");
        assert_eq!(
            setting.read(&format!("out/{name}/cert.pem")),
            setting.newest(&format!("10{at}")),
            "{shape}"
        );
        openssl_verifies(&setting.installed(&name), &root).unwrap_or_else(|why| panic!("{shape}: {why}"));
        assert!(
            !setting.read(&format!("out/{name}/chain.pem")).contains(&root),
            "{shape}: the root is left out"
        );
    }
}

#[test]
fn every_shape_of_a_mark_answer_is_installed() {
    let shapes = [
        "documented",
        "pkcs7-ber",
        "pkcs7-certs-only",
        "pkcs7-unrelated",
        "status-line+armour-anyway",
        "no-status-line+armour-anyway",
    ];
    let mut setting = Setting::new();
    for (at, shape) in shapes.iter().enumerate() {
        let mut order = mark(&format!("20{at}"));
        order.shape = Some((*shape).to_owned());
        order.certificate.logo_bytes = Some(100_000);
        setting.order(&format!("m{at}"), order, "");
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    for (at, shape) in shapes.iter().enumerate() {
        assert_eq!(
            setting.read(&format!("out/m{at}/cert.pem")),
            setting.newest(&format!("20{at}")),
            "{shape}"
        );
    }
}

#[test]
fn hostile_answers_install_nothing_and_stop_nobody() {
    let faults = [
        Fault::Html,
        Fault::Empty,
        Fault::Garbage { bytes: 5000 },
        Fault::Close,
        Fault::Cut { after: 100, polite: false, length: true },
        Fault::Huge { mib: 3, length: certcollectd::sandbox::Length::Honest },
        Fault::Huge { mib: 3, length: certcollectd::sandbox::Length::None },
        Fault::EndlessHeaders,
        Fault::RawGarbage,
        Fault::Gzip,
        Fault::NoCertificate,
        Fault::HttpStatus { status: 500, retry_after: None, retry_after_date: false },
        Fault::HttpStatus { status: 503, retry_after: None, retry_after_date: false },
        Fault::HttpStatus { status: 403, retry_after: None, retry_after_date: false },
        Fault::Redirect { status: 307, location: "https://127.0.0.1:1/".into() },
        Fault::Redirect { status: 302, location: "/products/download/CollectSSL".into() },
    ];
    let mut setting = Setting::new();
    // So that one poll is one poll, however slow the machine is.
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"");
    for (at, fault) in faults.iter().enumerate() {
        let number = format!("30{at}");
        setting.order(&format!("h{at}"), ssl(&number), KEY);
        setting.vendor().vendor().add_fault(FaultSpec::always(fault.clone()).for_order(&number)).unwrap();
    }
    setting.order("good", ssl("399"), &format!("{KEY}\n{OWN_ROOT}"));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(setting.phase("good"), "guarding");
    for (at, fault) in faults.iter().enumerate() {
        let name = format!("h{at}");
        let status = setting.order_status(&name);
        assert_eq!(status["phase"], "waiting", "{fault:?}: {status}");
        assert!(
            status["vendor"]["text"].as_str().is_some_and(|text| !text.is_empty()),
            "{fault:?}: {status}"
        );
        assert!(!setting.installed(&name).exists(), "{fault:?}");
        assert_eq!(setting.calls(&format!("30{at}")), 1, "{fault:?}");
    }
}

#[test]
fn flawed_certificates_go_to_quarantine_and_the_old_one_stays() {
    let flaws = [
        (Flaw::Expired, "dates"),
        (Flaw::OtherKey, "key"),
        (Flaw::MissingName, "domains"),
        (Flaw::NoSan, "domains"),
        (Flaw::MissingIntermediate, "chain"),
        (Flaw::WrongSignature, "chain"),
        (Flaw::LeafIsCa, ""),
        (Flaw::Older, "downgrade"),
    ];
    let mut setting = Setting::new();
    for at in 0..flaws.len() {
        let keys = format!("{KEY}\ndomains = [\"www.example.com\"]\nhooks = [\"count\"]\n{OWN_ROOT}");
        setting.order(&format!("f{at}"), ssl(&format!("40{at}")), &keys);
    }
    setting.table("[[hook]]\nname = \"count\"\nmerge = false\nrun = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_ORDER >> $DIR/hooks\"]");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let before: Vec<String> =
        (0..flaws.len()).map(|at| setting.read(&format!("out/f{at}/fullchain.pem"))).collect();
    for (at, (flaw, _)) in flaws.iter().enumerate() {
        let spec = CertificateSpec { flaws: vec![*flaw], ..CertificateSpec::default() };
        setting.vendor().vendor().reissue(&format!("40{at}"), &spec).unwrap();
    }
    let all_refused = |setting: &Setting| {
        setting.call(&["once"]);
        (0..flaws.len()).all(|at| setting.phase(&format!("f{at}")) == "quarantined")
    };
    setting.until("every order is polled again", all_refused);
    assert_eq!(setting.call(&["once"]).0, 4);
    for (at, (flaw, check)) in flaws.iter().enumerate() {
        let status = setting.order_status(&format!("f{at}"));
        assert_eq!(status["phase"], "quarantined", "{flaw:?}: {status:#}");
        assert!(status["reason"].as_str().unwrap().contains(check), "{flaw:?}: {status:#}");
        assert_eq!(setting.read(&format!("out/f{at}/fullchain.pem")), before[at], "{flaw:?}");
        assert!(setting.read(&format!("state/quarantine/f{at}/reason.txt")).contains(check), "{flaw:?}");
    }
    assert_eq!(setting.read("hooks").lines().count(), flaws.len(), "no hook for what was refused");
}

#[test]
fn accept_and_rollback_while_the_daemon_is_down() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\ndomains = [\"other.example.com\"]\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 4);
    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    let first = setting.read("out/www/cert.pem");
    setting
        .vendor()
        .vendor()
        .reissue("1", &CertificateSpec { days: Some(300), ..CertificateSpec::default() })
        .unwrap();
    let (_, said) = setting.call(&["poll", "www"]);
    assert!(said.contains("quarantined"), "{said}");
    let (code, said) = setting.call(&["accept", "www"]);
    assert_eq!(code, 0, "{said}");
    let second = setting.read("out/www/cert.pem");
    assert_ne!(first, second);
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/cert.pem"), first);
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 1, "nothing before it: {said}");
}

/// The first orders are due again before the last has been asked about; it leaves all the same.
#[test]
fn once_asks_about_each_order_once() {
    let mut setting = Setting::new();
    setting.polling("interval = \"1ms\"\ncall_gap = \"10ms\"");
    for at in 0..5 {
        setting.order(&format!("o{at}"), ssl(&format!("51{at}")).with_script(vec![Step::pending(100)]), "");
    }
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 3, "{said}");
    for at in 0..5 {
        assert_eq!(setting.calls(&format!("51{at}")), 1, "{said}");
    }
}

/// Half an answer decides nothing, but a refused login in it is one.
#[test]
fn a_refusal_closes_the_account_even_if_the_answer_breaks_off() {
    let faults = [
        Fault::Cut { after: 40, polite: false, length: true },
        Fault::Cut { after: 40, polite: false, length: false },
        Fault::Stall { after: 40, ms: 60_000 },
    ];
    for fault in faults {
        let mut setting = Setting::new();
        setting.order("www", ssl("1"), "");
        setting.polling("interval = \"1h\"\ncall_gap = \"0s\"\nrequest_timeout = \"2s\"");
        setting.write("password", "wrong");
        setting.vendor().vendor().add_fault(FaultSpec::always(fault.clone())).unwrap();
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 5, "{fault:?}: {said}");
        assert_eq!(setting.calls("1"), 1, "{fault:?}");
    }
}

#[test]
fn one_login_after_a_refusal_over_restarts_reloads_and_kills() {
    let mut setting = Setting::new();
    for at in 0..5 {
        setting.order(&format!("o{at}"), ssl(&format!("50{at}")), KEY);
    }
    setting.write("password", "wrong");
    setting.start();
    setting.until("the account is closed", |setting| setting.status()["accounts"][0]["state"] == "closed");
    for round in 0..12 {
        if round % 3 == 0 {
            setting.kill();
        } else {
            assert_eq!(setting.stop(), Some(0));
        }
        setting.start_again();
        setting.until("it is up", |setting| setting.log().matches(" is up with ").count() >= round + 2);
        setting.signal(Signal::HUP);
        let (code, said) = setting.call(&["poll", "o1"]);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("account main is closed"), "{said}");
    }
    assert_eq!(setting.all_calls(), 1);
    assert!(setting.order_status("o1")["next_poll"].is_null(), "no call is made, so none is announced");
    assert!(setting.call(&["status"]).1.contains("account closed"));
    setting.kill();
    assert_eq!(setting.call(&["once"]).0, 5);
    assert_eq!(setting.all_calls(), 1);
    // Touched without a change: no login. The same wrong one again: none either.
    setting.start_again();
    setting.write("password", "wrong");
    // A changed one, still wrong: one login. The right one: the account opens.
    setting.write("password", "wrong again");
    setting.until("one probe", |setting| setting.all_calls() == 2);
    setting.write("password", PASSWORD);
    setting.until("the account is open", |setting| setting.status()["accounts"][0]["state"] == "open");
    setting.until("everything is collected", |setting| {
        (0..5).all(|at| setting.phase(&format!("o{at}")) == "guarding")
    });
    let refused = setting.vendor().vendor().record().counters().all.logins_refused;
    assert_eq!(refused, 2);
}

#[test]
fn never_two_calls_in_flight_with_a_second_daemon_and_commands() {
    let mut setting = Setting::new();
    for at in 0..6 {
        setting.order(
            &format!("o{at}"),
            ssl(&format!("60{at}")).with_script(vec![Step::pending(1_000_000)]),
            KEY,
        );
    }
    setting.vendor().vendor().add_fault(FaultSpec::always(Fault::Delay { ms: 30 })).unwrap();
    setting.start();
    setting.until("it polls", |setting| setting.all_calls() > 3);
    let mut second = setting.command(&["run"]).stderr(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(2), "a second daemon is kept out");
    let (code, said) = setting.call(&["once"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("already running"), "{said}");
    let commands: Vec<_> =
        (0..6).map(|at| setting.command(&["poll", &format!("o{at}")]).spawn().unwrap()).collect();
    for mut command in commands {
        assert_eq!(command.wait().unwrap().code(), Some(0));
    }
    setting.kill();
    setting.start_again();
    setting.until("it polls again", |setting| setting.all_calls() > 30);
    assert_eq!(setting.stop(), Some(0));
    let counters = setting.vendor().vendor().record().counters();
    assert_eq!(counters.all.max_in_flight, 1);
}

#[test]
fn hooks_are_owed_over_kill_and_restart() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"deploy\", \"other\"]\n{OWN_ROOT}"));
    // The first run never ends by itself; the second fails; the third works.
    setting.write(
        "deploy.sh",
        "#!/bin/sh\necho \"$CERTCOLLECTD_EVENT $CERTCOLLECTD_ORDER $CERTCOLLECTD_ORDER_NUMBER $CERTCOLLECTD_PRODUCT\" >> \"$1/runs\"\n\
         case $(wc -l < \"$1/runs\") in 1) echo begun > \"$1/begun\"; sleep 600;; 2) echo no luck >&2; exit 1;; *) env > \"$1/env\";; esac\n",
    );
    std::fs::set_permissions(setting.path("deploy.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    setting.table("[[hook]]\nname = \"deploy\"\nrun = [\"$DIR/deploy.sh\", \"$DIR\"]");
    setting.table("[[hook]]\nname = \"other\"\nrun = [\"/bin/sh\", \"-c\", \"exit 42\"]");
    setting.start();
    setting.until("the hook runs", |setting| setting.path("begun").exists());
    setting.kill();
    assert_eq!(setting.phase("www"), "deploying");
    setting.start_again();
    setting.until("it failed", |setting| setting.order_status("www")["hooks"][0]["state"] == "failing");
    let hook = setting.order_status("www")["hooks"][0].clone();
    assert!(hook["last"].as_str().unwrap().contains("exit code 1"), "{hook}");
    assert!(hook["last"].as_str().unwrap().contains("no luck"), "{hook}");
    setting.until("the other hook said that it is not meant", |setting| {
        setting.order_status("www")["hooks"][1]["state"] == "done"
    });
    // The operator does not want to wait for the minute.
    let (code, said) = setting.call(&["resume", "www"]);
    assert_eq!(code, 0, "{said}");
    setting.until_phase("www", "guarding");
    assert_eq!(setting.read("runs"), "installed www 1 ssl\n".repeat(3));
    let environment = setting.read("env");
    let dir = setting.dir.path().display().to_string();
    for line in [
        "CERTCOLLECTD_EVENT=installed".to_owned(),
        format!("CERTCOLLECTD_DIR={dir}/out/www"),
        format!("CERTCOLLECTD_FULLCHAIN={dir}/out/www/fullchain.pem"),
        "CERTCOLLECTD_DOMAINS=www.example.com".to_owned(),
        format!("RENEWED_LINEAGE={dir}/out/www"),
        "RENEWED_DOMAINS=www.example.com".to_owned(),
    ] {
        assert!(environment.lines().any(|found| found == line), "{line}\n{environment}");
    }
    assert!(!environment.contains("SECRET") && !environment.contains("HOME="), "{environment}");
    setting.stop();
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_its_children() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"hang\"]\n{OWN_ROOT}"));
    let script = "trap '' TERM; setsid sleep 7654 & sleep 7655 & echo $$ > $DIR/pid; sleep 7656";
    setting.table(&format!(
        "[[hook]]\nname = \"hang\"\ntimeout = \"200ms\"\nrun = [\"/bin/sh\", \"-c\", \"{script}\"]"
    ));
    setting.start();
    setting.until("it was ended", |setting| setting.order_status("www")["hooks"][0]["state"] == "failing");
    let hook = setting.order_status("www")["hooks"][0].clone();
    assert!(hook["last"].as_str().unwrap().contains("time limit of 200ms"), "{hook}");
    let sleepers = || {
        let output = std::process::Command::new("ps").args(["-eo", "args"]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.starts_with("sleep 765")).count()
    };
    setting.until("nobody is left", |_| sleepers() == 0);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn signal_http_and_socket_hooks_work() {
    let mut setting = Setting::new();
    let keys = format!("{KEY}\nhooks = [\"signal\", \"http\", \"unix\", \"socket\"]\n{OWN_ROOT}");
    setting.order("www", ssl("1"), &keys);
    let mut target = std::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!(
                "trap 'echo hup > {}/hup; exit' HUP; while :; do sleep 0.05; done",
                setting.dir.path().display()
            ),
        ])
        .spawn()
        .unwrap();
    setting.write("target.pid", &format!("{}\n", target.id()));
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = web.local_addr().unwrap();
    let docker = std::os::unix::net::UnixListener::bind(setting.path("docker.sock")).unwrap();
    let bridge = std::os::unix::net::UnixListener::bind(setting.path("bridge.sock")).unwrap();
    let web = std::thread::spawn(move || answer(web.accept().unwrap().0));
    let docker = std::thread::spawn(move || answer(docker.accept().unwrap().0));
    let bridge = std::thread::spawn(move || {
        use std::io::Write;
        bridge.accept().unwrap().0.write_all(b"reloading\n0\n").unwrap();
    });
    setting.table("[[hook]]\nname = \"signal\"\nsignal = { pid_file = \"$DIR/target.pid\", name = \"HUP\" }");
    setting.table(&format!("[[hook]]\nname = \"http\"\nhttp = {{ url = \"http://{address}/reload?a=b\" }}"));
    setting.table("[[hook]]\nname = \"unix\"\nhttp = { url = \"http+unix://$DIR/docker.sock/containers/web/kill?signal=HUP\", method = \"POST\" }");
    setting.table("[[hook]]\nname = \"socket\"\nsocket = \"$DIR/bridge.sock\"");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(web.join().unwrap(), "POST /reload?a=b HTTP/1.1");
    assert_eq!(docker.join().unwrap(), "POST /containers/web/kill?signal=HUP HTTP/1.1");
    bridge.join().unwrap();
    setting.until("the signal arrived", |setting| setting.path("hup").exists());
    target.wait().unwrap();
}

/// Answers one request; its first line.
fn answer(mut stream: impl std::io::Read + std::io::Write) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&buffer[..count]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn files_have_owner_group_and_mode_and_the_key_is_private() {
    let mut setting = Setting::new();
    let me = rustix::process::geteuid().as_raw();
    let keys = format!(
        "{KEY}\n[order.files]\nkey = \"key.pem\"\ncombined = \"all.pem\"\nroot = \"root.pem\"\npkcs7 = \"chain.p7b\"\nder = \"cert.der\"\n\
         owner = \"{me}\"\ngroup = \"{}\"\nmode = \"0644\"\n{OWN_ROOT}\n[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"",
        rustix::process::getegid().as_raw()
    );
    setting.order("www", ssl("1"), &keys);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let mode = |path: &str| std::fs::metadata(setting.path(path)).unwrap().permissions().mode() & 0o7777;
    for name in ["cert.pem", "chain.pem", "fullchain.pem", "root.pem", "chain.p7b", "cert.der"] {
        assert_eq!(mode(&format!("out/www/{name}")), 0o644, "{name}");
    }
    assert_eq!(mode("out/www/key.pem"), 0o600);
    assert_eq!(mode("out/www/all.pem"), 0o640);
    assert_eq!(mode("site.pem"), 0o640);
    assert_eq!(setting.read("site.pem"), setting.read("out/www/all.pem"));
    assert_eq!(setting.read("out/www/key.pem"), setting.read("key.pem"));
    assert!(!std::fs::symlink_metadata(setting.path("site.pem")).unwrap().is_symlink());
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/state.db"), 0o600);
    // Widened by hand: put right at the guard's next look.
    std::fs::set_permissions(setting.path("out/www/key.pem"), PermissionsExt::from_mode(0o644)).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(mode("out/www/key.pem"), 0o600, "{said}");
    // A directory in which everybody may replace the files.
    std::fs::set_permissions(setting.path("out/www/"), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(setting.path("out/.www"), PermissionsExt::from_mode(0o775)).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((mode("out/www/"), mode("out/.www")), (0o755, 0o755), "{said}");
}

#[test]
fn copies_are_guarded_like_the_files_they_were_made_of() {
    let mut setting = Setting::new();
    let copies = "[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"\n\
                  [[order.copy]]\nfrom = \"chain\"\nto = \"$DIR/issuers.pem\"";
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}\n{copies}"));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let site = setting.read("site.pem");
    let look = |setting: &Setting| {
        let (code, said) = setting.call(&["poll", "www"]);
        assert_eq!(code, 0, "{said}");
        setting.order_status("www")["drift"].clone()
    };
    assert!(look(&setting).is_null());
    std::fs::set_permissions(setting.path("site.pem"), PermissionsExt::from_mode(0o666)).unwrap();
    assert!(look(&setting).is_null());
    assert_eq!(std::fs::metadata(setting.path("site.pem")).unwrap().permissions().mode() & 0o7777, 0o640);
    std::fs::remove_file(setting.path("site.pem")).unwrap();
    assert!(look(&setting).is_null());
    assert_eq!(setting.read("site.pem"), site);
    for name in ["site.pem", "issuers.pem"] {
        std::fs::write(setting.path(name), "by hand\n").unwrap();
        let drift = look(&setting);
        assert!(drift.as_str().unwrap().contains(&format!("{name} was changed")), "{drift}");
        assert_eq!(setting.read(name), "by hand\n", "left as it is");
    }
}

#[test]
fn others_may_not_write_to_the_state_directory() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    std::fs::create_dir(setting.path("state")).unwrap();
    std::fs::set_permissions(setting.path("state"), PermissionsExt::from_mode(0o777)).unwrap();
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let mode = std::fs::metadata(setting.path("state")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755, "{said}");
    assert!(said.contains("had mode 0777"), "{said}");
}

#[test]
fn a_file_that_was_given_away_comes_back_to_the_daemon() {
    use std::os::unix::fs::{MetadataExt, chown};
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n[order.files]\nkey = \"key.pem\"\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 0);
    let me = rustix::process::geteuid();
    let given = chown(setting.path("out/www/key.pem"), Some(65_534), None);
    assert_eq!(given.is_ok(), me.is_root(), "only root can give a file away");
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::metadata(setting.path("out/www/key.pem")).unwrap().uid(), me.as_raw(), "{said}");
}

#[test]
fn the_matching_key_of_several_is_installed_with_the_certificate() {
    let mut setting = Setting::new();
    let other = rcgen::KeyPair::generate().unwrap();
    setting.write("other.pem", &other.serialize_pem());
    let keys = format!(
        "key_file = [\"$DIR/other.pem\", \"$DIR/key.pem\"]\n[order.files]\nkey = \"key.pem\"\n{OWN_ROOT}"
    );
    setting.order("www", ssl("1"), &keys);
    assert_eq!(setting.once(&[]).0, 0);
    assert_eq!(setting.read("out/www/key.pem"), setting.read("key.pem"));
    // A re-issue with the new key: pair and chain switch together.
    let spec =
        CertificateSpec { key: Some(other.serialize_pem()), days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/key.pem"), setting.read("other.pem"));
}

#[test]
fn a_changed_configuration_is_taken_up_and_a_bad_one_is_not() {
    let mut setting = Setting::new();
    setting.table("[[hook]]\nname = \"unused\"\nrun = [\"true\"]");
    setting.start();
    setting.until("it is up", |setting| setting.log().contains(" is up with 0 orders"));
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write_configuration();
    setting.until_phase("www", "guarding");
    // A bad one keeps the old one in force and says where it is bad.
    let good = setting.configuration();
    setting.write("certcollectd.toml", &good.replace("interval = \"300ms\"", "intreval = \"300ms\""));
    setting.until("it complains", |setting| setting.log().contains("the one before stays in force"));
    assert!(setting.log().contains("intreval"), "{}", setting.log());
    let calls = setting.calls("1");
    setting.until("polling goes on", |setting| setting.calls("1") > calls + 2);
    // Put into place by rename, as editors do, and as Kubernetes does: through a link.
    setting.order("two", ssl("2"), &format!("{KEY}\n{OWN_ROOT}"));
    std::fs::create_dir(setting.path("data2")).unwrap();
    setting.write("data2/certcollectd.toml", &setting.configuration());
    std::os::unix::fs::symlink("data2/certcollectd.toml", setting.path("new")).unwrap();
    std::fs::rename(setting.path("new"), setting.path("certcollectd.toml")).unwrap();
    setting.until("the second order is known", |setting| setting.installed("two").exists());
    setting.order("three", ssl("3"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write("data2/certcollectd.toml", &setting.configuration());
    setting.until("the third order is known", |setting| setting.installed("three").exists());
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn no_trace_of_the_password_anywhere() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"env\"]\n{OWN_ROOT}"));
    setting.order("bad", ssl("2"), KEY);
    setting.vendor().vendor().add_fault(FaultSpec::always(Fault::Close).for_order("2")).unwrap();
    let script = "env > $DIR/hook-env; cat /proc/self/cmdline /proc/$PPID/cmdline > $DIR/hook-args; ls -l /proc/self/fd > $DIR/hook-fds";
    setting.table(&format!("[[hook]]\nname = \"env\"\nrun = [\"/bin/sh\", \"-c\", \"{script}\"]"));
    setting.start();
    setting.until_phase("www", "guarding");
    let pid = setting.pid();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    setting.signal(Signal::HUP);
    setting.write("password", &format!("not {PASSWORD}"));
    setting.until("the account is closed", |setting| setting.status()["accounts"][0]["state"] == "closed");
    let status =
        setting.call(&["status"]).1 + &setting.call(&["status", "www"]).1 + &setting.status().to_string();
    assert_eq!(setting.stop(), Some(0));
    let encoded: String = form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    let clean = |name: &str, content: &[u8]| {
        for secret in [PASSWORD, &encoded] {
            let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "the password is in {name}");
        }
    };
    clean("the daemon's environment", &environment);
    clean("the daemon's arguments", &arguments);
    clean("the status", status.as_bytes());
    let log = setting.log();
    assert!(log.contains("DEBUG") && log.contains("TRACE"), "the log is at its most talkative");
    let mut dirs = vec![setting.dir.path().to_owned()];
    let mut files = 0;
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if path.is_file() && path.file_name() != Some("password".as_ref()) {
                files += 1;
                clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }
    assert!(files > 10, "{files}");
}

#[test]
fn the_certificate_of_a_reissue_reaches_the_server_by_itself() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"count\"]\n{OWN_ROOT}"));
    setting.table("[[hook]]\nname = \"count\"\nrun = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_SERIAL >> $DIR/serials\"]");
    setting.start();
    setting.until_phase("www", "guarding");
    for days in [200, 201, 202] {
        setting
            .vendor()
            .vendor()
            .reissue("1", &CertificateSpec { days: Some(days), ..CertificateSpec::default() })
            .unwrap();
        setting.until("it is installed", |setting| setting.read("out/www/cert.pem") == setting.newest("1"));
    }
    setting.until_phase("www", "guarding");
    let serials = setting.read("serials");
    assert_eq!(serials.lines().count(), 4, "{serials}");
    let calls = setting.calls("1");
    setting.until("the guard looks again", |setting| setting.calls("1") > calls + 3);
    assert_eq!(setting.read("serials"), serials, "no hook for a certificate that is installed");
    assert_eq!(setting.stop(), Some(0));
}

/// The address on which the daemon says that a table of its configuration listens.
fn address_of(setting: &Setting, table: &str) -> String {
    let words = format!("{table} listens on ");
    setting.until("it listens", |setting| setting.log().contains(&words));
    let log = setting.log();
    let at = log.find(&words).unwrap() + words.len();
    log[at..].lines().next().unwrap().trim().to_owned()
}

/// One request in plain text; status line, headers and body.
fn ask(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
}

#[test]
fn metrics_health_and_status_are_served() {
    let mut setting = Setting::new();
    setting.order(
        "www",
        ssl("1").with_script(vec![Step::pending(3), Step::issued()]),
        &format!("{KEY}\n{OWN_ROOT}"),
    );
    setting.order("slow", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let address = address_of(&setting, "[http]");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"), "{}", get(&address, "/healthz"));
    setting.until_phase("www", "guarding");
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("1 of 2 orders"), "{ready}");
    let metrics = get(&address, "/metrics");
    for line in [
        "certcollectd_orders{phase=\"guarding\"} 1",
        "certcollectd_orders{phase=\"attention\"} 0",
        "certcollectd_account_closed{account=\"main\"} 0",
        "certcollectd_order_hooks_owed{order=\"www\"} 0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("certcollectd_certificate_not_after_seconds{order=\"www\"} 1"), "{metrics}");
    let status = get(&address, "/api/v1/status");
    let body: serde_json::Value = serde_json::from_str(&status[status.find("\r\n\r\n").unwrap()..]).unwrap();
    assert_eq!(body["orders"][0]["phase"], "guarding");
    let page = get(&address, "/");
    assert!(page.contains("<td>www</td>") && page.contains("content-security-policy"), "{page}");
    assert!(get(&address, "/etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(
        ask(&address, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 405")
    );
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_push_wakes_an_order_and_proves_nothing() {
    let mut setting = Setting::new();
    setting.polling("interval = \"2s\"\nmax_interval = \"24h\"\ncall_gap = \"0s\"\nguard_interval = \"24h\"");
    setting.order("www", ssl("1").with_script(vec![Step::issued()]), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write("push-password", "sesame");
    setting.table(
        "[push]\nlisten = \"127.0.0.1:0\"\nuser = \"sectigo\"\npassword = { file = \"$DIR/push-password\" }",
    );
    setting.start();
    let address = address_of(&setting, "[push]");
    setting.until_phase("www", "guarding");
    let push = |query: &str, login: &str| {
        let header =
            if login.is_empty() { String::new() } else { format!("authorization: Basic {login}\r\n") };
        ask(&address, &format!("GET /push?{query} HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\n\r\n"))
    };
    use base64::Engine;
    let right = base64::engine::general_purpose::STANDARD.encode("sectigo:sesame");
    let wrong = base64::engine::general_purpose::STANDARD.encode("sectigo:simsalabim");
    assert!(push("orderNumber=1&statusCode=9", "").starts_with("HTTP/1.1 401"));
    assert!(push("orderNumber=1&statusCode=9", &wrong).starts_with("HTTP/1.1 401"));
    assert!(push("eventType=Certificate", &right).starts_with("HTTP/1.1 400"));
    let calls = setting.calls("1");
    setting
        .vendor()
        .vendor()
        .reissue("1", &CertificateSpec { days: Some(300), ..CertificateSpec::default() })
        .unwrap();
    setting.until("it is installed long before the guard would look", |setting| {
        assert!(push("orderNumber=1&statusCode=9", &right).starts_with("HTTP/1.1 200"));
        assert!(push("orderNumber=999&statusCode=9", &right).starts_with("HTTP/1.1 200"));
        setting.read("out/www/cert.pem") == setting.newest("1")
    });
    assert!(setting.calls("1") <= calls + 2, "a flood of pushes is no flood of calls");
    let gap = setting.vendor().vendor().record().counters().orders["1"].smallest_gap_ms;
    assert!(gap.unwrap() >= 2000, "{gap:?}");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn once_waits_as_long_as_it_is_told() {
    let mut setting = Setting::new();
    setting.order(
        "www",
        ssl("1").with_script(vec![Step::pending(3), Step::issued()]),
        &format!("{KEY}\n{OWN_ROOT}"),
    );
    let (code, said) = setting.once(&[]);
    assert_eq!((code, setting.calls("1")), (3, 1), "{said}");
    let (code, said) = setting.once(&["--wait", "60s"]);
    assert_eq!((code, setting.calls("1")), (0, 4), "{said}");
    setting.order("two", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    let (code, said) = setting.once(&["--wait", "1s"]);
    assert_eq!(code, 3, "{said}");
    setting.order("three", ssl("3").with_script(vec![Step::error(-20)]), KEY);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 4, "{said}");
}

#[test]
fn ten_thousand_orders_start_at_once() {
    let mut setting = Setting::new();
    setting.polling("interval = \"3h\"\ncall_gap = \"10s\"");
    for at in 0..10_000 {
        setting.table(&format!("[[order]]\nname = \"o{at}\"\norder_number = \"{at}\""));
    }
    setting.start();
    setting.until("the first call is made", |setting| setting.all_calls() == 1);
    let start = setting.order_status("o9999");
    assert_eq!(start["phase"], "waiting");
    assert_eq!(setting.stop(), Some(0));
    setting.start_again();
    setting.until("it is up", |setting| setting.log().matches(" is up with 10000 orders").count() == 2);
    assert_eq!(setting.stop(), Some(0));
}
