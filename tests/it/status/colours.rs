use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::{Setting, said};
use crate::terminal;

const ESCAPE: &str = "\u{1b}[";

/// A setting whose configuration has a mistake.
fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "nonsense = 1");
    setting.write_configuration();
    setting
}

/// What a line of the shell shows at a terminal of its own; `certcollectd` is ours, with the configuration.
fn at_terminal(setting: &Setting, line: &str) -> String {
    let own = format!(
        "{} --config {}",
        env!("CARGO_BIN_EXE_certcollectd"),
        setting.path("certcollectd.toml").display()
    );
    let line = line.replace("certcollectd", &own);
    terminal::at_terminal(&line, &[])
}

#[test]
fn a_terminal_has_them_unless_it_must_not() {
    let setting = setting();
    for (line, has) in [
        ("certcollectd check", true),
        ("NO_COLOR=1 certcollectd check", false),
        ("NO_COLOR= certcollectd check", true),
        ("TERM=dumb certcollectd check", false),
        ("certcollectd check --color never", false),
        ("NO_COLOR=1 certcollectd check --color=always", true),
        ("certcollectd status --help", true),
        ("certcollectd status --help --color never", false),
        ("NO_COLOR=1 certcollectd status --nonsense --color always", true),
    ] {
        let shown = at_terminal(&setting, line);
        assert!(shown.len() > 40, "{line}: {shown}");
        assert_eq!(shown.contains(ESCAPE), has, "{line}: {shown}");
    }
}

#[test]
fn elsewhere_there_are_none_unless_asked_for() {
    let setting = setting();
    for (arguments, has) in [
        (&["check"][..], false),
        (&["check", "--color", "auto"], false),
        (&["check", "--color", "always"], true),
        (&["--color", "always", "status"], true),
        // One document, for a machine.
        (&["status", "--json", "--color", "always"], false),
    ] {
        let output = setting.command(arguments).env("NO_COLOR", "1").output().unwrap();
        let shown = said(&output).1;
        assert!(shown.contains("nonsense"), "{arguments:?}: {shown}");
        assert_eq!(shown.contains(ESCAPE), has, "{arguments:?}: {shown}");
    }
    let (code, shown) = setting.call(&["check", "--color", "sometimes"]);
    assert!(code == 2 && shown.contains("auto, always, never"), "{code} {shown}");
}
