//! The files in `config/` are valid, complete, and agree with the code.

use certcollectd::config::file::{TABLES, read};
use certcollectd_core::api::{OrderRef, Product};
use certcollectd_core::config::{
    Account, Action, Cadence, Calls, Config, Files, Hook, KeySource, Log, OrderSettings, Policy, Probe, Push,
    SecretSource,
};

use super::{EXAMPLE, MINIMAL, config, source};

#[test]
fn the_minimal_file_is_enough() {
    let sources = [source(MINIMAL)];
    let (config, problems) = read(&sources).expect("it is valid");
    assert!(problems.is_empty(), "{}", problems.render(&sources, false));
    assert_eq!(config.state_dir.to_str(), Some(Config::STATE_DIR));
    assert_eq!(config.install_dir.to_str(), Some(Config::INSTALL_DIR));
    assert_eq!(config.calls, Calls::default());
    assert_eq!((config.http, config.push), (None, None));
    assert_eq!(config.log, Log::default());
    let [account] = &config.accounts[..] else { panic!("one account") };
    assert_eq!(account.base_url, Account::BASE_URL);
    assert_eq!(account.password, Some(SecretSource::File("/run/secrets/sectigo".into())));
    let [order] = &config.orders[..] else { panic!("one order") };
    assert_eq!((&*order.name, &*order.account), ("www", "main"));
    assert_eq!(order.handle, OrderRef::OrderNumber("123456789".into()));
    assert_eq!(order.key, KeySource::None);
    assert_eq!(order.settings.product, Product::Ssl);
    assert_eq!(order.settings.cadence, Cadence::default());
    assert_eq!(order.settings.files, Files::default());
    assert_eq!(order.settings.verify, Policy::default());
    assert_eq!(order.settings.trust_anchors, None);
    let settings: usize = MINIMAL.lines().filter(|line| line.contains(" = ")).count();
    assert!(settings <= 5, "five lines are enough, {settings} are there");
}

/// The example with each default written out instead of commented out: `#key = value`.
pub fn with_defaults() -> String {
    EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
            _ => line,
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn the_example_names_the_defaults_of_the_code() {
    let sources = [source(EXAMPLE)];
    let (as_shipped, problems) = read(&sources).expect("it is valid");
    assert!(problems.is_empty(), "{}", problems.render(&sources, false));
    let written = with_defaults();
    let defaults = written.lines().zip(EXAMPLE.lines()).filter(|(one, other)| one != other).count();
    assert!(defaults >= 25, "only {defaults} defaults are named");
    assert_eq!(config(&written), as_shipped);

    assert_eq!(as_shipped.calls, Calls::default());
    assert_eq!(as_shipped.log, Log::default());
    assert_eq!(as_shipped.accounts[0].base_url, Account::BASE_URL);
    let settings = &as_shipped.orders[0].settings;
    assert_eq!(settings.cadence, Cadence::default());
    assert_eq!(settings.files, Files::default());
    assert_eq!(settings.verify, Policy::default());
    assert_eq!(settings.trust_anchors, None);
    let probe = &settings.probes[0];
    assert_eq!(
        (probe.within, probe.every, probe.on_failure),
        (Probe::WITHIN, Probe::EVERY, Probe::ON_FAILURE)
    );
    assert_eq!((settings.windows.len(), settings.window_margin), (0, OrderSettings::WINDOW_MARGIN));
    let hook = &as_shipped.hooks[0];
    assert_eq!((&hook.on[..], hook.timeout, hook.merge), (&Hook::ON[..], Hook::TIMEOUT, Hook::MERGE));
    assert_eq!(as_shipped.push.unwrap().path, Push::PATH);
    assert!(EXAMPLE.contains(&format!("method = {:?} }}", Action::METHOD)));
}

#[test]
fn the_example_shows_every_key() {
    let mut table = "the top of the file";
    let mut shown: Vec<(&str, &str)> = Vec::new();
    for line in EXAMPLE.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if line.starts_with('[') {
            table = line;
        }
        let Some((key, value)) = line.split_once(" = ") else { continue };
        shown.push((table, key));
        // `password = { file = "…" }` shows a key of its own kind of table.
        for inner in value.trim_matches(['{', '}', ' ']).split(", ").filter(|_| value.starts_with('{')) {
            shown.push((key, inner.split(" = ").next().unwrap()));
        }
    }
    for keys in TABLES {
        let title = keys.title.split(" = ").next().unwrap();
        for name in keys.names() {
            let is_table = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches(['#', ' ']);
                line == format!("[{name}]")
                    || line == format!("[[{name}]]")
                    || line == format!("[order.{name}]")
                    || line == format!("[[order.{name}]]")
                    || line == format!("[[fleet.{name}]]")
            });
            assert!(shown.contains(&(title, name)) || is_table, "`{name}` of {title} is not in the example");
        }
    }
}

#[test]
fn each_setting_that_the_example_suggests_is_valid() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let setting = |line: &'static str| {
        let inner = line.strip_prefix("# ")?;
        let is_setting = inner.split_once(" = ").is_some_and(|(key, _)| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9'))
        });
        (is_setting || inner.starts_with('[')).then_some(inner)
    };
    let mut tried = 0;
    for (index, line) in EXAMPLE.lines().enumerate() {
        let Some(first) = setting(line) else { continue };
        // Within a table that is commented out, all of it goes together.
        let is_table = first.starts_with('[');
        let is_inside = lines[..index]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("# "))
            .any(|line| line.starts_with("# ["));
        if is_inside {
            continue;
        }
        let block = lines[index..].iter().take_while(|line| setting(line).is_some()).count();
        let count = if is_table { block } else { 1 };
        let text: String = lines
            .iter()
            .enumerate()
            .map(|(at, line)| {
                let is_on = (index..index + count).contains(&at);
                format!("{}\n", if is_on { line.trim_start_matches("# ") } else { line })
            })
            .collect();
        tried += 1;
        if let Err(problems) = read(&[source(&text)]) {
            // Alternatives of what is there already, and halves of what goes together.
            for problem in problems.iter() {
                let message = &problem.message;
                let is_alternative = message.starts_with("both `")
                    || message.ends_with("is given twice")
                    || message.contains("` without `")
                    || message.starts_with("there is no window with the name")
                    || message == "there is no hook with the name \"dns\""
                    || message.starts_with("`key` needs") && line.contains("csr_file");
                assert!(is_alternative, "{line}: {message}");
            }
        }
    }
    assert!(tried >= 25, "only {tried} suggestions were found");
}

#[test]
fn each_key_that_is_listed_is_looked_at() {
    for keys in TABLES {
        for name in keys.names() {
            let date = format!("{name} = 1979-05-27\n");
            let text = match keys.title {
                "the top of the file" => date,
                "password = { … }" => format!("[[account]]\npassword = {{ {name} = 1979-05-27 }}\n"),
                "signal = { … }" => format!("[[hook]]\nsignal = {{ {name} = 1979-05-27 }}\n"),
                "http = { … }" => format!("[[hook]]\nhttp = {{ {name} = 1979-05-27 }}\n"),
                title if title.contains("order.") => format!("[[order]]\n{title}\n{date}"),
                title => format!("{title}\n{date}"),
            };
            let problems = read(&[source(&text)]).expect_err("a date is never right");
            let is_said = problems.iter().any(|problem| {
                let is_password = problem.message.starts_with(&format!("`{name}` must say"));
                problem.message.starts_with(&format!("`{name}` must be")) || is_password
            });
            assert!(is_said, "`{name}` of {} is not looked at", keys.title);
        }
    }
}
