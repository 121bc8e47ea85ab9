//! `check`: what would fail on the day, said today. Calls nobody, unless asked to.

use std::collections::BTreeSet;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::{complain, load, order, say};
use crate::cli::exit;
use crate::config::{Account, Action, Config, Hook, KeySource, Order, Severity};
use crate::effects::{call, credential, hook, inspect, probe, save};
use crate::engine::event::Command;

/// What was found, as it is found.
#[derive(Debug, Default)]
struct Report {
    errors: usize,
    warnings: usize,
}

impl Report {
    fn error(&mut self, text: &str) {
        self.errors += 1;
        complain(&format!("error: {text}"));
    }

    fn warning(&mut self, text: &str) {
        self.warnings += 1;
        complain(&format!("warning: {text}"));
    }
}

/// `check`.
pub fn check(path: &Path, login: bool) -> u8 {
    let found = match load(path) {
        Ok(found) => found,
        Err(code) => return code,
    };
    let config = found.config;
    let mut report = Report::default();
    if !found.warnings.is_empty() {
        complain(found.warnings.trim_end());
        report.warnings += 1;
    }
    for account in &config.accounts {
        check_account(account, &mut report);
    }
    for order in &config.orders {
        check_keys(order, &mut report);
    }
    check_anchors(&config, &mut report);
    for hook in &config.hooks {
        check_hook(hook, &config, &mut report);
    }
    check_state_dir(&config, &mut report);
    for problem in probe::probe(&config) {
        report.error(&problem.to_string());
    }
    if login && report.errors == 0 {
        check_logins(path, &config, &mut report);
    }
    let counts = format!(
        "{} orders, {} accounts, {} hooks: {} errors, {} warnings",
        config.orders.len(),
        config.accounts.len(),
        config.hooks.len(),
        report.errors,
        report.warnings
    );
    if report.errors > 0 {
        complain(&counts);
        return exit::USAGE;
    }
    say(&counts);
    exit::OK
}

fn check_account(account: &Account, report: &mut Report) {
    match credential::read(&account.password) {
        Err(why) => report.error(&format!("account {}: the password cannot be read: {why}", account.name)),
        Ok(password) if password.chars().count() > 128 => {
            report.error(&format!(
                "account {}: the password is longer than the vendor's 128 characters",
                account.name
            ));
        }
        Ok(_) => {
            if let Some(exposed) = credential::exposure(&account.password) {
                report.warning(&format!("account {}: {exposed}", account.name));
            }
        }
    }
    if let Some(path) = &account.ca_file
        && let Err(failure) = call::roots(path)
    {
        report.error(&format!("account {}: {failure}", account.name));
    }
}

fn check_keys(order: &Order, report: &mut Report) {
    let blocks = order.settings.verify.key == Severity::Block;
    let mut say = |text: String| {
        if blocks { report.error(&text) } else { report.warning(&text) }
    };
    match &order.key {
        KeySource::None => {}
        KeySource::Csr(path) => {
            if let Err(why) = inspect::csr(path) {
                say(format!("order {}: csr_file {why}", order.name));
            }
        }
        KeySource::Keys(paths) => {
            for candidate in paths.iter().map(|path| inspect::candidate(path)) {
                if let Err(why) = candidate.key {
                    say(format!("order {}: key_file {}: {why}", order.name, candidate.label));
                }
            }
        }
    }
}

fn check_anchors(config: &Config, report: &mut Report) {
    let wanted = config
        .orders
        .iter()
        .map(|order| &order.settings.verify)
        .filter(|verify| verify.trust != Severity::Off);
    let mut seen = BTreeSet::new();
    for verify in wanted {
        if seen.insert(verify.trust_anchors.clone())
            && let Err(why) = inspect::anchors(verify.trust_anchors.as_deref())
        {
            if verify.trust == Severity::Block { report.error(&why) } else { report.warning(&why) }
        }
    }
}

fn check_hook(hook: &Hook, config: &Config, report: &mut Report) {
    let name = &hook.name;
    match &hook.action {
        Action::Run(arguments) => {
            if let Err(why) = hook::find_program(arguments.first().map(String::as_str).unwrap_or_default()) {
                report.error(&format!("hook {name}: {why}"));
            }
        }
        Action::Signal { pid_file, .. } => {
            if !pid_file.exists() {
                report.warning(&format!("hook {name}: {} is not there now", pid_file.display()));
            }
        }
        Action::Socket(path) => match std::fs::metadata(path) {
            Ok(found) if found.file_type().is_socket() => {}
            Ok(_) => report.error(&format!("hook {name}: {} is not a socket", path.display())),
            Err(error) => {
                report.warning(&format!("hook {name}: {} is not there now: {error}", path.display()))
            }
        },
        Action::Http { .. } => {}
    }
    if !config.orders.iter().any(|order| order.settings.hooks.contains(name)) {
        report.warning(&format!("hook {name} is not used by any order"));
    }
}

fn check_state_dir(config: &Config, report: &mut Report) {
    let dir = &config.state_dir;
    let shown = dir.display();
    match std::fs::metadata(dir) {
        Ok(found) if !found.is_dir() => report.error(&format!("state_dir {shown} is not a directory")),
        Ok(_) => {
            if let Err(error) = save::try_write(dir) {
                report.error(&format!("state_dir {shown}: {error}"));
            }
        }
        Err(_) => {
            let parent = dir.ancestors().skip(1).find(|parent| parent.exists());
            if let Some(Err(error)) = parent.map(save::try_write) {
                report.error(&format!("state_dir {shown} is not there and cannot be made: {error}"));
            }
        }
    }
}

/// One call for each account, through its gate: about the first of its orders.
fn check_logins(path: &Path, config: &std::sync::Arc<Config>, report: &mut Report) {
    for account in &config.accounts {
        let Some(order) = config.orders.iter().find(|order| order.account == account.name) else {
            report.warning(&format!("account {}: no order to try the login with", account.name));
            continue;
        };
        match order::carry_out(path, config, Command::Poll(order.name.to_string())) {
            Ok(reply) if reply.ok => {
                say(&format!("account {}: the login is accepted\n{}", account.name, reply.text))
            }
            Ok(reply) => report.error(&format!("account {}: {}", account.name, reply.text)),
            Err(_) => report.error(&format!("account {}: the login could not be tried", account.name)),
        }
    }
}
