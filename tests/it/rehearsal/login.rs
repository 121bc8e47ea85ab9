//! The login: one after a refusal, one call in flight whoever calls, and no trace of the password.

use certcollectd_sandbox::{Fault, FaultSpec, Step};
use rustix::process::Signal;

use super::{KEY, OWN_ROOT, ssl};
use crate::setting::{PASSWORD, Setting};

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
        setting.vendor().vendor().faults.add(FaultSpec::always(fault.clone())).unwrap();
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 5, "{fault:?}: {said}");
        assert_eq!(setting.calls("1"), 1, "{fault:?}");
    }
}

/// What is no answer says nothing of the login, and nor does what may be said before it is looked at.
#[test]
fn check_takes_a_login_for_accepted_only_if_the_answer_shows_it() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1").with_script(vec![Step::pending(1_000_000)]), "");
    setting.polling("interval = \"1h\"\ncall_gap = \"0s\"\nrequest_timeout = \"2s\"");
    setting.write_configuration();
    let faults = [
        (Fault::HttpStatus { status: 500, retry_after: None, retry_after_date: false }, "HTTP status 500"),
        (Fault::Html, "www is waiting"),
        (Fault::Delay { ms: 60_000 }, "sent nothing"),
    ];
    for (fault, what) in faults {
        setting.vendor().vendor().faults.add(FaultSpec::always(fault.clone())).unwrap();
        let (code, said) = setting.call(&["check", "--login"]);
        assert_eq!(code, 2, "{fault:?}: {said}");
        assert!(said.contains("account main: it is unknown whether the login is accepted"), "{said}");
        assert!(said.contains(what) && !said.contains("the login is accepted\n"), "{said}");
        setting.vendor().vendor().faults.clear();
        // After what is no answer of the vendor's the account pauses.
        setting.call(&["resume", "--account", "main"]);
    }
    let (code, said) = setting.call(&["check", "--login"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("account main: the login is accepted\n"), "{said}");
    let elsewhere = setting.configuration().replace(&setting.vendor().base_url(), "https://127.0.0.1:1");
    setting.write("certcollectd.toml", &elsewhere);
    let (code, said) = setting.call(&["check", "--login"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nothing was sent") && said.contains("no connection to the vendor"), "{said}");
    setting.write_configuration();
    setting.call(&["resume", "--account", "main"]);
    setting.write("password", "wrong");
    let (code, said) = setting.call(&["check", "--login"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("login refused"), "{said}");
}

/// Through the daemon and without one.
#[test]
fn the_password_that_was_refused_is_not_sent_again_by_mistake() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), KEY);
    setting.write("password", "wrong");
    setting.start();
    setting.until("the account is closed", |setting| setting.status()["accounts"][0]["state"] == "closed");
    let path = setting.path("password").display().to_string();
    let refuses = |setting: &Setting, calls: u64| {
        let (code, said) = setting.call(&["resume", "--account", "main"]);
        assert_eq!(code, 1, "{said}");
        for part in ["the one that the vendor refused at 20", &path, "tried at once", "--same-password"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert_eq!(setting.all_calls(), calls);
    };
    refuses(&setting, 1);
    // Another byte at the end of a line is no other password.
    setting.write("password", "wrong\r\n");
    refuses(&setting, 1);
    let (code, said) = setting.call(&["resume", "--account", "main", "--same-password"]);
    assert_eq!((code, setting.all_calls()), (1, 2), "{said}");
    assert_eq!(setting.stop(), Some(0));
    refuses(&setting, 2);
    for (arguments, says) in [
        (&["status"][..], "tried at once"),
        (&["status", "--nagios"], "tried at once"),
        (&["explain", "www"], "tried at once"),
        (&["poll", "www"], "tried at once"),
    ] {
        let said = setting.call(arguments).1;
        assert!(said.contains(says) && said.contains(&path), "{arguments:?}: {said}");
    }
    assert_eq!(setting.call(&["resume", "www", "--same-password"]).0, 2, "it is about an account");
    assert_eq!(setting.call(&["resume", "--account", "main", "--same-password"]).0, 0);
    assert_eq!(setting.all_calls(), 2, "without an order that is due nothing is sent");
    setting.write("password", PASSWORD);
    setting.start_again();
    setting.until_phase("www", "guarding");
    assert_eq!(setting.stop(), Some(0));
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
        setting.until_up(round + 2);
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
    setting.until("one trial call", |setting| setting.all_calls() == 2);
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
    setting.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 30 })).unwrap();
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
fn no_trace_of_the_password_anywhere() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\nhooks = [\"env\"]\n{OWN_ROOT}"));
    setting.order("bad", ssl("2"), KEY);
    setting.vendor().vendor().faults.add(FaultSpec::always(Fault::Close).for_order("2")).unwrap();
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
