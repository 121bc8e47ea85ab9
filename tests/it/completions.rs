//! What shells offer after a Tab: by the shells themselves, from a configuration and a state that stay as they are.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use certcollectd_sandbox::{OrderSpec, Product};
use rcgen::{CertificateParams, KeyPair};

use crate::setting::Setting;

/// Runs a shell with the program in its PATH and this script, and says what it printed, line by line; nothing
/// where there is no such shell.
fn run(shell: &str, dir: &Path, script: &str) -> Option<BTreeSet<String>> {
    let program = Path::new(env!("CARGO_BIN_EXE_certcollectd")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let arguments: &[&str] = match shell {
        "bash" => &["--norc", "--noprofile", "-c"],
        "zsh" => &["-f", "-c"],
        _ => &["--no-config", "-c"],
    };
    let output = Command::new(shell)
        .args(arguments)
        .arg(script)
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir)
        .env("TERM", "dumb")
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{shell} is not installed here, so it was not asked");
            return None;
        }
        Err(error) => panic!("{error}"),
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell} says nothing besides: {script}");
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect())
}

/// The words of a line as a shell's list.
fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

/// What bash would put onto the line; the last word is the one that is completed.
fn bash(dir: &Path, words: &[&str]) -> Option<BTreeSet<String>> {
    let (last, before) = words.split_last().unwrap();
    let script = format!(
        "source <(certcollectd completions bash)\n\
         function=$(complete -p certcollectd | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9\n\
         $function certcollectd '{last}' '{}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        list(words),
        before.len(),
        before.last().unwrap()
    );
    run("bash", dir, &script)
}

/// The same of fish, which takes the line as a whole.
fn fish(dir: &Path, words: &[&str]) -> Option<BTreeSet<String>> {
    let line = words.join(" ");
    let script = format!("certcollectd completions fish | source\ncomplete --do-complete '{line}'");
    let found = run("fish", dir, &script)?;
    Some(found.into_iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect())
}

/// The same of zsh, without its line editor: what the function for names hands to `compadd`.
fn zsh(dir: &Path, words: &[&str]) -> Option<BTreeSet<String>> {
    let script = format!(
        "compdef() {{ }}\n\
         compadd() {{ print -rl -- \"${{(@P)2}}\" }}\n\
         source <(certcollectd completions zsh)\n\
         typed=({})\n\
         _certcollectd_names || true",
        list(words)
    );
    run("zsh", dir, &script)
}

type Shell = fn(&Path, &[&str]) -> Option<BTreeSet<String>>;
const SHELLS: [(&str, Shell); 3] = [("bash", bash), ("fish", fish), ("zsh", zsh)];

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every file below, with its content.
fn tree(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut dirs = vec![dir.to_owned()];
    let mut files = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => dirs.push(path),
                false => files.push((path.display().to_string(), std::fs::read(path).unwrap_or_default())),
            }
        }
    }
    files.sort();
    files
}

const CONFIGURATION: &str = "state_dir = \"DIR/state\"\ninclude = [\"orders.d/*.toml\"]\n\
    [[account]]\nname = \"main\"\nlogin_name = \"a\"\npassword = { file = \"/nowhere\" }\n\
    [[account]]\nname = \"resale\"\nlogin_name = \"b\"\npassword = { file = \"/nowhere\" }\n\
    [[order]]\nname = \"www\"\naccount = \"main\"\norder_number = \"1\"\n\
    [[order]]\nname = \"mail\"\naccount = \"main\"\norder_number = \"2\"\n";

#[test]
fn names_are_offered_where_a_name_belongs() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    std::fs::create_dir(dir.path().join("orders.d")).unwrap();
    std::fs::write(dir.path().join("c.toml"), CONFIGURATION.replace("DIR", place)).unwrap();
    let more = "[[order]]\nname = \"web-2\"\naccount = \"resale\"\norder_number = \"3\"\n";
    std::fs::write(dir.path().join("orders.d/more.toml"), more).unwrap();
    let before = tree(dir.path());
    let config = format!("{place}/c.toml");
    for (name, complete) in SHELLS {
        let offered = |words: &[&str]| {
            let line = [&["certcollectd", "--config", &config], words].concat();
            complete(dir.path(), &line)
        };
        let Some(all) = offered(&["explain", ""]) else { continue };
        assert!(all.is_superset(&set(&["mail", "web-2", "www"])), "{name}: {all:?}");
        for command in ["status", "poll", "accept", "rollback", "rehearse", "domains", "resume"] {
            let some = offered(&[command, "w"]).unwrap();
            assert_eq!(some, set(&["web-2", "www"]), "{name} {command}");
        }
        assert_eq!(offered(&["doctor", "dcv", "ma"]).unwrap(), set(&["mail"]), "{name}");
        assert_eq!(offered(&["resume", "--account", ""]).unwrap(), set(&["main", "resale"]), "{name}");
        assert_eq!(offered(&["smime", "resend", "--account", "r"]).unwrap(), set(&["resale"]), "{name}");
        if name != "zsh" {
            assert_eq!(offered(&["rol"]).unwrap(), set(&["rollback"]), "{name} still offers commands");
            assert!(offered(&["explain", "--js"]).unwrap().contains("--json"), "{name} still offers options");
        }
        let behind = complete(dir.path(), &["certcollectd", "explain", "--config", "~/c.toml", "ww"]);
        assert_eq!(behind.unwrap(), set(&["www"]), "{name}: the option stands behind the command");
    }
    assert_eq!(tree(dir.path()), before, "nothing is written");
}

/// Where a name belongs, zsh's script asks for names; where it does not, for what it did.
#[test]
fn zsh_asks_for_names_at_each_argument_that_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let program = assert_cmd::Command::cargo_bin("certcollectd").unwrap();
    let output = { program }.args(["completions", "zsh"]).current_dir(dir.path()).output().unwrap();
    let script = String::from_utf8(output.stdout).unwrap();
    assert!(script.starts_with("#compdef certcollectd\n"));
    let asked = script.matches(":_certcollectd_names'").count();
    assert!(asked >= 12, "{asked} arguments are completed with names");
    for line in script.lines().filter(|line| line.contains(":name -- ") || line.contains("--account=")) {
        assert!(line.contains(":_certcollectd_names'"), "{line}");
    }
}

/// At a terminal of its own, where the shell's own functions come first: they take the line apart.
#[test]
fn zsh_completes_a_line_at_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let text = CONFIGURATION.replace("include = [\"orders.d/*.toml\"]\n", "").replace("DIR", place);
    std::fs::write(dir.path().join("c.toml"), text).unwrap();
    let start = "PS1='> '; fpath=($HOME/functions $fpath); autoload -U compinit; compinit -u -D\n";
    std::fs::write(dir.path().join(".zshrc"), start).unwrap();
    let script = "mkdir functions; certcollectd completions zsh >functions/_certcollectd\n\
        zmodload zsh/zpty; zpty shell ZDOTDIR=$HOME TERM=dumb zsh -i\n\
        zpty -w -n shell $'certcollectd --config c.toml explain ma\\t\\nexit\\n'\n\
        while zpty -r shell line; do print -r -- \"$line\"; done";
    let Some(said) = run("zsh", dir.path(), script) else { return };
    let said = said.into_iter().collect::<Vec<_>>().join("\n");
    assert!(said.contains("mail is ssl order 2 on account main."), "{said}");
}

/// The words as bash has them: with their quotes.
#[test]
fn bash_leaves_quotes_around_a_path() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("our orders")).unwrap();
    let text = CONFIGURATION.replace("include = [\"orders.d/*.toml\"]\n", "");
    let config = dir.path().join("our orders/c.toml");
    std::fs::write(config, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    for path in [r#""our orders/c.toml""#, r"our\ orders/c.toml", r#"our" "orders/c.toml"#] {
        let Some(found) = bash(dir.path(), &["certcollectd", "--config", path, "explain", "ma"]) else {
            return;
        };
        assert_eq!(found, set(&["mail"]), "{path}");
    }
}

/// The words as bash cuts them: at each equals sign.
#[test]
fn bash_cuts_at_equals_signs() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("c.toml");
    let text = CONFIGURATION.replace("include = [\"orders.d/*.toml\"]\n", "");
    std::fs::write(&config, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    let line = ["certcollectd", "--config", "=", config.to_str().unwrap(), "explain", "m"];
    if let Some(found) = bash(dir.path(), &line) {
        assert!(found.contains("mail"), "{found:?}");
    }
}

#[test]
fn trouble_is_silent() {
    let dir = tempfile::tempdir().unwrap();
    let text = CONFIGURATION.replace("order_number = \"2\"", "order_numbre = 2").replace("include = ", "");
    for (file, text) in [("broken.toml", text.as_str()), ("rubbish.toml", "\u{0}[[["), ("empty.toml", "")] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    let before = tree(dir.path());
    for (_, complete) in SHELLS {
        for file in ["broken.toml", "rubbish.toml", "empty.toml", "missing.toml", "."] {
            let config = dir.path().join(file);
            // That the shell printed nothing on standard error is looked at in there.
            complete(dir.path(), &["certcollectd", "--config", config.to_str().unwrap(), "explain", "zz"]);
        }
    }
    assert_eq!(tree(dir.path()), before, "nothing is written");
}

/// Orders of the state: one that is no longer configured can be forgotten, one that was adopted can be explained.
#[test]
fn the_state_is_asked_and_left_as_it_is() {
    let mut setting = Setting::new();
    setting.order("old", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), "");
    setting.once(&[]);
    setting.clear_tables();
    setting.order("www", OrderSpec::new(Product::Ssl, "2", &["www.example.com"]), "");
    setting.vendor().vendor().put_order(OrderSpec::new(Product::Smime, "5", &["a@example.com"])).unwrap();
    let params = CertificateParams::new(vec!["a@example.com".to_owned()]).unwrap();
    let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    setting.write("new.csr", &request.pem().unwrap());
    setting.write_configuration();
    let csr = setting.path("new.csr");
    let (code, said) = setting.call(&[
        "smime",
        "replace",
        "--order",
        "5",
        "--csr",
        csr.to_str().unwrap(),
        "--adopt",
        "mail",
    ]);
    assert_eq!(code, 0, "{said}");
    let config = setting.path("certcollectd.toml");
    let calls = setting.all_calls();
    for is_running in [false, true] {
        if is_running {
            setting.start_again();
            setting.until_up(1);
        }
        let before: Vec<String> = tree(&setting.path("state")).into_iter().map(|(path, _)| path).collect();
        for (name, complete) in SHELLS {
            let offered = |words: &[&str]| {
                let begin = ["certcollectd", "--config", config.to_str().unwrap()];
                complete(setting.dir.path(), &[&begin, words].concat())
            };
            let Some(found) = offered(&["forget", "o"]) else { continue };
            assert_eq!(found, set(&["old"]), "{name}");
            assert_eq!(offered(&["explain", "w"]).unwrap(), set(&["www"]), "{name}");
            assert_eq!(offered(&["explain", "ma"]).unwrap(), set(&["mail"]), "{name}");
        }
        if !is_running {
            let after: Vec<String> = tree(&setting.path("state")).into_iter().map(|(path, _)| path).collect();
            assert_eq!(after, before, "nothing is made");
            assert_eq!(setting.all_calls(), calls, "nothing is asked");
        }
    }
    setting.kill();
    if setting.path("state/state.db-wal").exists() {
        let begin = ["certcollectd", "--config", config.to_str().unwrap(), "explain", ""];
        let before = tree(&setting.path("state"));
        for (name, complete) in SHELLS {
            let Some(found) = complete(setting.dir.path(), &begin) else { continue };
            assert!(found.contains("www") && !found.contains("mail"), "{name}: {found:?}");
        }
        assert_eq!(tree(&setting.path("state")), before, "the log of a daemon that was cut off stays");
    }
}

#[test]
fn ten_thousand_orders_are_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let mut text = CONFIGURATION.replace("include = [\"orders.d/*.toml\"]\n", "").replace("DIR", place);
    for number in 0..10_000 {
        text.push_str(&format!(
            "[[order]]\nname = \"shop-{number}\"\naccount = \"main\"\norder_number = \"9{number}\"\n"
        ));
    }
    std::fs::write(dir.path().join("c.toml"), text).unwrap();
    let config = format!("{place}/c.toml");
    for (name, complete) in SHELLS {
        let line = ["certcollectd", "--config", &config, "explain", "shop-"];
        let Some(found) = complete(dir.path(), &line) else { continue };
        assert_eq!(found.len(), 10_000, "{name}");
    }
}
