use certcollectd_sandbox::{Fault, FaultSpec, OrderSpec, Product, State, Step};

use crate::setting::Setting;
use crate::terminal::at_terminal;

/// A line is cleared after the cursor was moved up: something is drawn over.
const UP: &str = "A\r\u{1b}[2K";

/// An order that is issued, and so many that wait.
fn setting(waiting: usize) -> Setting {
    let mut setting = Setting::new();
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        "[order.verify]\ntrust = \"off\"",
    );
    for at in 0..waiting {
        let mut spec = OrderSpec::new(Product::Ssl, &format!("10{at}"), &["shop.example.com"]);
        spec.script = vec![Step { state: State::Pending, ..Step::default() }];
        setting.order(&format!("shop{at}"), spec, "");
    }
    setting.write_configuration();
    setting
}

fn line(setting: &Setting, command: &str) -> String {
    let binary = env!("CARGO_BIN_EXE_certcollectd");
    format!("{binary} {command} --color never --config {}", setting.path("certcollectd.toml").display())
}

#[test]
fn once_shows_what_it_waits_for_below_the_log() {
    let setting = setting(30);
    let line = format!("stty cols 90 rows 24; {}", line(&setting, "once --wait 3s"));
    let shown = at_terminal(&line, &[]);
    assert!(shown.contains(UP), "{shown:?}");
    assert!(shown.contains(" left"), "{shown:?}");
    assert!(shown.contains("shop0: waiting, next poll "), "{shown:?}");
    assert!(shown.contains("and 22 more"), "{shown:?}");
    assert!(shown.trim_end().ends_with("0 need you · 30 wait · 1 in order"), "{shown:?}");
    // Each line of the log begins where a line begins.
    const STAMP: usize = "2026-11-29T04:59:06.840647Z ".len();
    for (at, _) in shown.match_indices(" INFO ") {
        let before = shown[..at - STAMP].rsplit('\n').next().unwrap();
        let last_code = before.rsplit('\u{1b}').next().unwrap();
        let is_blank = before.is_empty()
            || last_code.trim_start_matches(['[', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']).len()
                == 1;
        assert!(is_blank, "{before:?} in {shown:?}");
    }
}

#[test]
fn where_there_is_no_terminal_nothing_is_drawn() {
    let setting = setting(2);
    let log = setting.path("log");
    // Standard output is a terminal, what is drawn would go into the file.
    let line = format!("{} 2>{}", line(&setting, "once --wait 2s"), log.display());
    at_terminal(&line, &[]);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("www: installed generation"), "{log}");
    assert!(!log.contains('\u{1b}') && !log.contains('\r') && !log.contains(" left"), "{log:?}");
}

#[test]
fn check_shows_what_takes_long() {
    let setting = setting(1);
    setting.vendor().vendor().faults.add(FaultSpec::always(Fault::Delay { ms: 2_500 })).unwrap();
    let shown = at_terminal(&line(&setting, "check --login"), &[]);
    assert!(shown.contains("checking") && shown.contains("logins"), "{shown:?}");
    let (_, end) = shown.rsplit_once("logins").unwrap();
    assert!(end.contains("2 orders, 1 account, 0 hooks: 0 errors"), "{shown:?}");
    // It is cleared before another line begins.
    let is_torn = |(at, _): (usize, _)| !shown[..at].ends_with("\u{1b}[2K") && !shown[..at].ends_with("\r\n");
    assert!(!shown.match_indices("account main: the login").any(is_torn), "{shown:?}");
    let (code, said) = setting.call(&["check", "--login"]);
    assert!(code == 0 && !said.contains("checking"), "{said}");
}
