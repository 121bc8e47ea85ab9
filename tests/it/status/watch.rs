use std::process::Stdio;

use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::Setting;
use crate::terminal::at_terminal;

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";
const PICTURE: &str = "\u{1b}[?2026h";

fn setting(orders: usize) -> Setting {
    let mut setting = Setting::new();
    for at in 0..orders {
        setting.order(
            &format!("shop{at}"),
            OrderSpec::new(Product::Ssl, &at.to_string(), &["www.example.com"]),
            "",
        );
    }
    setting.write_configuration();
    setting
}

fn line(setting: &Setting, before: &str) -> String {
    let (binary, file) = (env!("CARGO_BIN_EXE_certcollectd"), setting.path("certcollectd.toml"));
    format!(
        "trap : INT; {before}; {binary} status --watch --color never --config {}; echo \"ended with $?\"",
        file.display()
    )
}

#[test]
fn the_terminal_is_as_it_was_after_an_interrupt() {
    let setting = setting(30);
    let shown = at_terminal(
        &line(&setting, "stty cols 60 rows 12"),
        &[("Ctrl-C ends\u{1b}[J", b""), ("Ctrl-C ends\u{1b}[J", b"\x03")],
    );
    let (before, after) = shown.rsplit_once(LEAVE).unwrap();
    assert_eq!(before.matches(ENTER).count(), 1, "{shown:?}");
    assert!(before.contains(SHOW_CURSOR) && after.contains("ended with 130"), "{shown:?}");
    for picture in before.split(PICTURE).skip(1) {
        assert!(picture.matches('\n').count() < 12, "it scrolls: {picture:?}");
        assert!(picture.contains("0 need you · 30 wait · 0 in order"), "{picture:?}");
    }
}

#[test]
fn the_terminal_is_as_it_was_after_an_error() {
    let setting = setting(1);
    std::fs::create_dir_all(setting.path("state")).unwrap();
    setting.write("state/state.db", "no state");
    let shown = at_terminal(&line(&setting, ":"), &[]);
    let (before, after) = shown.rsplit_once(LEAVE).unwrap();
    assert!(before.starts_with(ENTER) && before.contains(SHOW_CURSOR), "{shown:?}");
    assert!(after.contains("state.db") && after.contains("ended with 1"), "{shown:?}");
}

#[test]
fn elsewhere_it_is_plain_text() {
    use std::io::{BufRead, BufReader};
    let setting = setting(1);
    let mut child = setting.command(&["status", "--watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut shown = Vec::new();
    for line in lines.map_while(Result::ok) {
        shown.push(line);
        if shown.iter().filter(|line| line.starts_with("ORDER")).count() == 2 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shown.iter().all(|line| !line.contains('\u{1b}')), "{shown:?}");
    assert!(shown.iter().any(|line| line.ends_with("(every 2 s)")), "{shown:?}");
}
