//! `check`: reports now what would fail later. Makes no call unless asked to.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::block_on::block_on;
use super::exit::Exit;
use super::load::load;
use super::print::{self, fail, print, print_error};
use super::{asked, order};
use crate::config::file::{Level, Source};
use crate::config::fragment::Fragment;
use crate::config::invisible;
use crate::config::locate::{self, Finding, Key};
use crate::effects::access::Wish;
use crate::effects::call::{self, credential};
use crate::effects::errno::cause;
use crate::effects::hook::{executable, kept, web};
use crate::effects::install::dir::Dir;
use crate::effects::install::{keys, write_test};
use crate::effects::preflight::User;
use crate::effects::store::error::{obstacle, try_write};
use crate::effects::store::load::Reader;
use crate::effects::store::presence;
use crate::effects::store::presence::Trust;
use crate::effects::store::save::foreign_owner;
use crate::effects::{access, preflight};
use crate::fleet::member;
use crate::sources::{clock, control, files, watch};
use crate::terminal::progress::Progress;
use certcollectd_core::config::{
    Account, Action, CallPart, CallValue, Config, CsrSource, Fleet, Hook, KeySource, Order, ProxyLogin,
    SecretSource, Severity, count,
};
use certcollectd_core::engine::command::{Command, CommandReply};

/// The findings so far.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
}

impl Report {
    fn error(&mut self, about: Key, text: String, help: &str) {
        self.add(Level::Error, about, text, help);
    }

    fn warning(&mut self, about: Key, text: String, help: &str) {
        self.add(Level::Warning, about, text, help);
    }

    fn add(&mut self, level: Level, about: Key, message: String, help: &str) {
        let help = (!help.is_empty()).then(|| help.to_owned());
        self.findings.push(Finding { level, message, about: Some(about), help });
    }

    fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

pub fn check(path: &Path, login: bool) -> Result<(), Exit> {
    let found = load(path).inspect_err(|_| {
        if path.is_file() {
            print_error(
                "keys, files, hooks and permissions are checked once the configuration can be read; more may follow",
            );
        }
    })?;
    let config = found.config;
    let mut report = Report::default();
    if !found.warnings.is_empty() {
        print_error(found.warnings.trim_end());
    }
    for account in called(&config) {
        check_account(account, &config, &mut report);
    }
    if let Some(fleet) = &config.fleet {
        check_fleet(fleet, &mut report);
    }
    if let Some(source) = config.push.as_ref().and_then(|push| push.password.as_ref()) {
        check_secret(source, |_| None, ("[push]", "the password"), &Key::top("push"), &mut report);
    }
    let progress = Progress::new("checking", config.orders.len());
    for order in &config.orders {
        check_keys(order, &mut report);
        check_csr_command(order, &mut report);
        progress.step();
    }
    progress.stage("files and hooks");
    asked::look(&config, |about, text, help| report.warning(about, text, help));
    check_anchors(&config, &mut report);
    for hook in &config.hooks {
        check_hook(hook, &config.install_dir, &mut report);
    }
    check_state_dir(&config, &mut report);
    check_textfile(&config, &mut report);
    if let Some(fleet) = config.fleet.as_ref().filter(|_| report.count(Level::Error) == 0) {
        progress.stage("the fleet's store");
        check_store(fleet, &mut report)?;
    }
    progress.stage("permissions");
    let service = check_rights(&found.sources, &config, &mut report);
    progress.stage("directories");
    let hindrances =
        if service.is_some() { write_test::run_for_another(&config) } else { write_test::run(&config) };
    for problem in hindrances {
        report.error(problem.about, problem.error.to_string(), "");
    }
    if login && report.count(Level::Error) == 0 {
        progress.stage("logins");
        check_logins(path, &config, &mut report);
    }
    drop(progress);
    let located = locate::located(&found.sources, &report.findings);
    let text = located.paragraphs(&found.sources, print::has_colours());
    if !text.is_empty() {
        print_error(&format!("{}\n", text.trim_end()));
    }
    let errors = report.count(Level::Error);
    let warnings = report.count(Level::Warning) + found.warning_count;
    let counts = format!(
        "{}{}, {}, {}: {}, {}",
        service.map(|user| format!("{}\n", looked_as(&user))).unwrap_or_default(),
        count(config.orders.len(), "order"),
        count(called(&config).count(), "account"),
        count(config.hooks.len(), "hook"),
        count(errors, "error"),
        count(warnings, "warning")
    );
    if errors > 0 {
        return Err(fail(Exit::Usage, &counts));
    }
    print(&counts);
    Ok(())
}

/// Checks one included file; makes nothing, and says nothing about other files but how many errors they have.
pub fn fragment(path: &Path, file: &Path) -> Result<(), Exit> {
    let loaded = files::read_fragment(path, file).map_err(|text| fail(Exit::Usage, &text))?;
    let found = &loaded.fragment;
    let color = print::has_colours();
    let paragraphs = found.problems.paragraphs(&found.sources, color);
    if !paragraphs.is_empty() {
        print_error(paragraphs.trim_end());
    }
    let mut report = Report::default();
    if let Some(config) = &found.config {
        check_entries(found, config, &mut report);
        let located = locate::located(&found.sources, &report.findings).paragraphs(&found.sources, color);
        if !located.is_empty() {
            print_error(&format!("{}\n", located.trim_end()));
        }
    }
    let main = path.display();
    let mut said = Vec::new();
    if let Some(replaced) = &loaded.replaced {
        said.push(format!("counted in place of {}, which has the same names or numbers", replaced.display()));
    }
    if loaded.is_alone {
        said.push(format!(
            "there is no {main}, so it was checked alone, without keys, files and permissions"
        ));
    } else if found.other_errors > 0 {
        let errors = count(found.other_errors, "error");
        said.push(format!(
            "other files have {errors} of their own, so keys, files and permissions were not checked: \
            certcollectd check --config {main}"
        ));
    }
    if !found.unknown.is_empty() && found.config.is_none() && !found.problems.is_error() {
        said.push(format!("not known here: {}", found.unknown.join(", ")));
    }
    let errors = found.problems.errors() + report.count(Level::Error);
    let warnings = found.problems.warnings() + report.count(Level::Warning);
    let entries = ["order", "account", "hook"].map(|kind| count(found.count(kind), kind)).join(", ");
    said.push(format!(
        "{}: {entries}: {}, {}",
        file.display(),
        count(errors, "error"),
        count(warnings, "warning")
    ));
    if errors > 0 {
        return Err(fail(Exit::Usage, &said.join("\n")));
    }
    print(&said.join("\n"));
    Ok(())
}

/// What would fail later of a fragment's own entries. `config` has no other orders.
fn check_entries(fragment: &Fragment, config: &Config, report: &mut Report) {
    for account in config.accounts.iter().filter(|account| fragment.holds(&Key::account(&account.name, &[])))
    {
        check_account(account, config, report);
    }
    for order in &config.orders {
        check_keys(order, report);
        check_csr_command(order, report);
    }
    asked::look(config, |about, text, help| report.warning(about, text, help));
    check_anchors(config, report);
    for hook in config.hooks.iter().filter(|hook| fragment.holds(&Key::hook(&hook.name, &[]))) {
        check_hook(hook, &config.install_dir, report);
    }
    let service = preflight::service(config);
    report.findings.extend(preflight::look(config, &[], &service));
    if service != User::me() {
        report.findings.extend(preflight::look_as(config, &[], &service));
    }
    for problem in write_test::run_for_another(config) {
        report.error(problem.about, problem.error.to_string(), "");
    }
    report.findings.retain(|finding| finding.about.as_ref().is_some_and(|about| fragment.holds(about)));
}

/// Obstacles, files that others may change, and, for root, what the daemon's user may not do.
fn check_rights(sources: &[Source], config: &Config, report: &mut Report) -> Option<User> {
    let files: Vec<&Path> = sources.iter().map(|source| &*source.path).collect();
    let service = preflight::service(config);
    report.findings.extend(preflight::look(config, &files, &service));
    if let Some(dir) = files.first().and_then(|path| path.parent())
        && let Some(why) = watch::obstacle(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
    {
        report.findings.push(Finding { level: Level::Warning, message: why, about: None, help: None });
    }
    // A running daemon holds the ports itself, also one whose directory was removed.
    let is_at_work =
        control::is_served(&config.state_dir) || !presence::ask(&config.state_dir, Trust::Anybody).is_empty();
    if !is_at_work {
        report.findings.extend(preflight::taken_ports(config, &service));
    }
    if service == User::me() {
        return None;
    }
    report.findings.extend(preflight::look_as(config, &files, &service));
    Some(service)
}

fn looked_as(user: &User) -> String {
    let groups = user.group_names();
    let groups = if groups.is_empty() { String::new() } else { format!(" in {}", groups.join(", ")) };
    format!(
        "checked as root; the permissions of user {user}{groups}, who runs the daemon, were derived from owners, modes and \
         ACLs. What the unit's sandbox also forbids shows at the daemon's start"
    )
}

/// What to do about a file that is missing or unreadable, if there is something to say.
fn next_step(path: &Path, missing: &str) -> String {
    match access::obstacle(path).map(|error| error.kind()) {
        Some(ErrorKind::NotFound) => missing.to_owned(),
        Some(ErrorKind::PermissionDenied) => {
            "the user running certcollectd needs read access, and search access to each parent directory"
                .into()
        }
        Some(_) | None => String::new(),
    }
}

/// A follower's is never called.
fn called(config: &Config) -> impl Iterator<Item = &Arc<Account>> {
    config.accounts.iter().filter(|_| !config.follows())
}

/// What this host needs to reach the store, as far as it lies on this machine.
fn check_fleet(fleet: &Fleet, report: &mut Report) {
    if let Some(source) = fleet.password() {
        let about = Key::within("fleet", "password");
        check_secret(source, |_| None, ("[fleet]", "the password"), &about, report);
    }
    for (key, path) in fleet.files() {
        let wrong = match key {
            "ca_file" => call::roots(path).err().map(|failure| failure.to_string()),
            _ => access::obstacle(path).map(|error| {
                let why = access::reason(path, Wish::Read, &error);
                format!("{key} {}: {why}", path.display())
            }),
        };
        if let Some(why) = wrong {
            let help = next_step(path, "correct the path; without it the store cannot be reached");
            report.error(Key::within("fleet", key), format!("[fleet]: {why}"), &help);
        }
    }
}

/// Each of the store's endpoints by itself. One of them is enough for the daemon.
fn check_store(fleet: &Fleet, report: &mut Report) -> Result<(), Exit> {
    let name = match member::name(fleet) {
        Ok(name) => name,
        Err(why) => {
            report.error(Key::within("fleet", "name"), format!("[fleet]: {why}"), "");
            return Ok(());
        }
    };
    let shared = member::connect(fleet, &name, Duration::MAX);
    let endpoints = block_on(shared.check())?;
    let is_reached = endpoints.iter().any(|endpoint| endpoint.version.is_some());
    for endpoint in endpoints {
        let level = match endpoint.version {
            None if is_reached => Level::Warning,
            None | Some(_) => Level::Error,
        };
        for problem in endpoint.problems {
            report.add(level, Key::within("fleet", "endpoints"), format!("[fleet]: {problem}"), "");
        }
        if let Some(advice) = endpoint.advice {
            report.warning(Key::within("fleet", "endpoints"), format!("[fleet]: {advice}"), "");
        }
    }
    Ok(())
}

fn check_account(account: &Account, config: &Config, report: &mut Report) {
    let name = &account.name;
    let owner = format!("account {name}");
    for (key, source) in account.secrets() {
        let about = Key::account(name, &[key, source_key(source)]);
        if key == "password" {
            check_secret(source, too_long_for_vendor, (&owner, "the password"), &about, report);
        } else {
            check_secret(source, too_long_for_proxy, (&owner, "the password of the proxy"), &about, report);
        }
    }
    if let Some(path) = &account.ca_file
        && let Err(failure) = call::roots(path)
    {
        let about = Key::account(name, &["ca_file"]);
        let text = format!("account {name}: {failure}");
        let help = next_step(path, "correct the path, or remove ca_file if no proxy inspects the connection");
        report.error(about, text, &help);
    } else if let Some(failure) = call::obstacle(account, &config.calls) {
        let help = format!("{ROOTS}; or name the root that the vendor's certificate comes from in ca_file");
        report.error(
            Key::account(name, &["name"]),
            format!("account {name}: the vendor cannot be called: {failure}"),
            &help,
        );
    }
}

/// The key that says where a secret is.
fn source_key(source: &SecretSource) -> &'static str {
    match source {
        SecretSource::File(_) => "file",
        SecretSource::Credential(_) => "credential",
        SecretSource::Env(_) => "env",
    }
}

fn too_long_for_vendor(secret: &str) -> Option<&'static str> {
    (secret.chars().count() > 128).then_some("the vendor's 128 characters")
}

fn too_long_for_proxy(secret: &str) -> Option<&'static str> {
    (secret.len() > ProxyLogin::LONGEST).then_some("255 bytes")
}

/// A secret: its owner and kind, as in `account main` and `the password`; `longer` names the limit that it
/// exceeds, if it does.
fn check_secret(
    source: &SecretSource,
    longer: fn(&str) -> Option<&'static str>,
    (owner, what): (&str, &str),
    about: &Key,
    report: &mut Report,
) {
    let who = format!("{owner}: {what}");
    match credential::read(source) {
        Err(why) => unread(source, &why, (owner, what), about, report),
        Ok(secret) => {
            if let Some(limit) = longer(&secret) {
                let text = format!("{who} is longer than {limit}");
                return report.error(about.clone(), text, "it must be the password and nothing else");
            }
            let odd = invisible::oddities(&secret);
            if !odd.is_empty() {
                let help = format!(
                    "it is invisible, and a login with it may be refused; write the password without it: {}",
                    source.remedy()
                );
                report.warning(about.clone(), format!("{who} has {}", odd.join(", ")), &help);
            }
            if let Some(exposed) = credential::exposure(source) {
                report.warning(about.clone(), format!("{owner}: {exposed}"), "");
            }
        }
    }
}

/// A secret that cannot be read, or not here.
fn unread(source: &SecretSource, why: &str, (owner, what): (&str, &str), about: &Key, report: &mut Report) {
    // Only the service manager can pass it; a check by hand has no access, and needs none.
    if credential::is_out_of_reach(source) {
        return report.warning(
            about.clone(),
            format!("{owner}: {what} was not checked: systemd passes it to the unit only"),
            &format!("the daemon reports at start if it cannot read it; {}", how_to_try(source)),
        );
    }
    let help = match source {
        SecretSource::File(path) => {
            next_step(path, &format!("write {what} into it: install -m 600 /dev/stdin {}", path.display()))
        }
        SecretSource::Credential(_) | SecretSource::Env(_) => source.remedy(),
    };
    report.error(about.clone(), format!("{owner}: {what} cannot be read: {why}"), &help);
}

/// What of a call is secret.
fn check_part(part: CallPart<'_>, source: &SecretSource, owner: &str, about: &Key, report: &mut Report) {
    let what = part.to_string();
    let read = match part {
        CallPart::Header(_) => {
            return check_secret(source, |_| None, (owner, &what), about, report);
        }
        CallPart::Url => kept::url(source).map(drop),
        CallPart::Body => kept::body(source).map(drop),
    };
    if let Err(why) = read {
        unread(source, &why, (owner, &what), about, report);
    } else if let Some(exposed) = credential::exposure(source) {
        report.warning(about.clone(), format!("{owner}: {exposed}"), "");
    }
}

/// How to try a login with a systemd credential, with a daemon and without.
fn how_to_try(source: &SecretSource) -> String {
    let SecretSource::Credential(name) = source else { return String::new() };
    format!(
        "to try the login, have the daemon do it: `certcollectd poll NAME` or, while it runs, `certcollectd check --login`; \
         without it: `systemd-run --pipe --wait -p LoadCredential={name}:FILE certcollectd check --login`"
    )
}

/// Present on all but the smallest machines.
const ROOTS: &str =
    "install the roots of the system (Debian: ca-certificates), or set SSL_CERT_FILE to a PEM file with them";

/// The level of a finding that keeps a check from being made.
fn level(checked: Severity) -> Level {
    if checked == Severity::Block { Level::Error } else { Level::Warning }
}

fn check_keys(order: &Order, report: &mut Report) {
    let name = &order.name;
    let missing = "correct the path, or remove it if the key is not on this machine";
    let mut unread = |about: Key, what: String, path: &Path| {
        let text = format!("order {name}: {what}");
        report.add(level(order.settings.verify.key), about, text, &next_step(path, missing));
    };
    if let (KeySource::Keys(_), Some(path)) = (&order.key, &order.csr_file)
        && let Err(why) = keys::request(path)
    {
        unread(Key::order(name, &["csr_file"]), format!("csr_file {why}"), path);
    }
    match &order.key {
        KeySource::None | KeySource::Request(_) => {}
        KeySource::Csr(path) => {
            if let Err(why) = keys::request(path) {
                unread(Key::order(name, &["csr_file"]), format!("csr_file {why}"), path);
            }
        }
        KeySource::Keys(paths) => {
            for path in paths {
                let candidate = keys::candidate(path);
                if let Err(why) = candidate.key {
                    let about = Key::order(name, &["key_file"]).with(candidate.label.as_str());
                    unread(about, format!("key_file {}: {why}", candidate.label), path);
                }
            }
        }
    }
}

fn check_anchors(config: &Config, report: &mut Report) {
    let wanted = config.orders.iter().filter(|order| order.settings.verify.trust != Severity::Off);
    let mut seen = BTreeSet::new();
    for order in wanted {
        let settings = &order.settings;
        if seen.insert(settings.trust_anchors.clone())
            && let Err(why) = keys::anchors(settings.trust_anchors.as_deref())
        {
            let about = Key::order(&order.name, &["verify", "trust_anchors"]);
            let missing = "correct the path, or remove trust_anchors to use the system's";
            let help =
                settings.trust_anchors.as_ref().map(|path| next_step(path, missing)).unwrap_or_default();
            report.add(level(settings.verify.trust), about, why, &help);
        }
    }
}

/// Whether a request could be made for a re-issue.
fn check_csr_command(order: &Order, report: &mut Report) {
    let Some(CsrSource::Command { argv, .. }) = order.settings.reissue.as_ref().map(|reissue| &reissue.csr)
    else {
        return;
    };
    let program = argv.first().map_or("", |program| &**program);
    if let Err(why) = executable::find_program(program) {
        let about = Key::order(&order.name, &["reissue", "csr_command"]).with(program);
        let help = "the first entry is the program, with its path unless it is in a usual directory";
        report.error(about, format!("order {}: csr_command: {why}", order.name), help);
    }
}

fn check_hook(hook: &Hook, install_dir: &Path, report: &mut Report) {
    let about = |path| Key::hook(&hook.name, path);
    let (level, about, why, help) = match &hook.action {
        Action::Run(arguments) => {
            let program = arguments.first().map(String::as_str).unwrap_or_default();
            let Err(why) = executable::find_program(program) else { return };
            let help =
                "the first entry of run is the program, with its path unless it is in a usual directory";
            (Level::Error, about(&["run"]).with(program), why.to_string(), help)
        }
        Action::Signal { pid_file, .. } if pid_file.exists() => return,
        Action::Signal { pid_file, .. } => {
            let why = format!("{} is not there now", pid_file.display());
            let help = "the hook fails and is retried until the server has written it";
            (Level::Warning, about(&["signal", "pid_file"]), why, help)
        }
        Action::Socket(path) => match std::fs::metadata(path) {
            Ok(found) if found.file_type().is_socket() => return,
            Ok(_) => {
                let why = format!("{} is not a socket", path.display());
                let help = "it is the path of the socket that the bridge listens on, see docs/hooks.md";
                (Level::Error, about(&["socket"]), why, help)
            }
            Err(error) => {
                let why = format!("{} is not there now: {}", path.display(), cause(&error));
                let help = "start what listens there: systemctl enable --now NAME.socket, see docs/hooks.md";
                (Level::Warning, about(&["socket"]), why, help)
            }
        },
        Action::Follow(companion) => {
            let path = companion.report(install_dir);
            if path.exists() {
                return;
            }
            let why =
                format!("companion {} has not reported yet: {} is not there", companion.name, path.display());
            let help = "the hook fails and is retried until `certcollectd follow` runs in the server's container and \
                        may write it, see docs/hooks.md";
            (Level::Warning, about(&["follow"]), why, help)
        }
        Action::Http(call) => {
            for (part, source) in call.secrets() {
                let key = Key::hook(&hook.name, &["http", part.key()]);
                check_part(part, source, &format!("hook {}", hook.name), &key, report);
            }
            let why = match &call.url {
                CallValue::Plain(url) => web::obstacle(url),
                CallValue::Secret(source) => kept::url(source).ok().and_then(|url| web::obstacle(&url)),
            };
            let Some(why) = why else { return };
            let why = format!("{} cannot be called: {why}", web::shown(&call.url));
            (Level::Error, about(&["http", "url"]), why, ROOTS)
        }
    };
    report.add(level, about, format!("hook {}: {why}", hook.name), help);
}

fn check_state_dir(config: &Config, report: &mut Report) {
    let dir = &config.state_dir;
    let shown = dir.display();
    let about = Key::top("state_dir");
    if let Some(why) = presence::complaint(dir) {
        report.error(about.clone(), why, "");
    }
    match std::fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            report.error(about, format!("state_dir {shown} is not a directory"), "");
        }
        Ok(found) => {
            let owner = found.uid();
            if found.mode() & 0o022 != 0 {
                let mode = found.mode() & 0o7777;
                let text = format!(
                    "state_dir {shown} has mode {mode:04o}: anyone who can write there can change what the daemon remembers"
                );
                report.warning(
                    about.clone(),
                    text,
                    &format!("chmod 0700 {shown}; the daemon removes that permission at start"),
                );
            }
            if let Some(why) = obstacle(dir) {
                report.error(about.clone(), format!("state_dir {shown}: {why}"), "");
            }
            let database = dir.join("state.db");
            if let Some(found) = std::fs::metadata(&database).ok().filter(|file| file.uid() != owner) {
                let why = foreign_owner(found.uid(), owner);
                report.error(about.clone(), format!("{}: {why}", database.display()), "");
            }
            let reader =
                Reader::open(dir).and_then(|found| found.map_or(Ok(()), |found| found.check(clock::now())));
            if let Err(error) = reader {
                report.error(about, error.to_string(), "");
            }
        }
        Err(_) => {
            let parent = dir.ancestors().skip(1).find(|parent| parent.exists());
            if let Some(Err(error)) = parent.map(try_write) {
                let text = format!("state_dir {shown} does not exist and cannot be created: {error}");
                // The shipped unit creates the default one at its first start.
                let is_made = dir == Path::new(Config::STATE_DIR) && Path::new(preflight::SYSTEMD).exists();
                let level = if is_made { Level::Warning } else { Level::Error };
                report.add(
                    level,
                    about,
                    text,
                    "the unit creates it with StateDirectory=; elsewhere create it for the daemon's user, with mode 0700",
                );
            }
        }
    }
}

/// The directory of the metrics' file; what the daemon's user may do there is looked at besides.
fn check_textfile(config: &Config, report: &mut Report) {
    let Some(dir) = config.metrics.textfile.as_deref().and_then(Path::parent) else { return };
    let error = Dir::open(dir).map(drop).map_err(|error| error.to_string());
    let Err(why) = error
        .and_then(|()| try_write(dir).map_err(|why| format!("cannot write to {}: {why}", dir.display())))
    else {
        return;
    };
    report.error(
        Key::within("metrics", "textfile"),
        format!("the metrics will not be written: {why}"),
        "it is the directory that node_exporter was given as --collector.textfile.directory; create it, and let the \
         daemon's user write there",
    );
}

/// One call for each account, through its gate: about the first of its orders.
fn check_logins(path: &Path, config: &Arc<Config>, report: &mut Report) {
    for account in called(config) {
        let name = &account.name;
        let about = Key::account(name, &[]);
        let Some(order) = config.orders.iter().find(|order| order.account == *name) else {
            report.warning(about, format!("account {name}: no order to try the login with"), "");
            continue;
        };
        let poll = Command::Poll(order.name.to_string());
        let wrong = match order::carry_out(path, config, poll) {
            Ok(reply) => match reply.data[CommandReply::LOGIN].as_str() {
                Some(CommandReply::ACCEPTED) if reply.ok => {
                    print(&format!("account {name}: the login is accepted\n{}", reply.text));
                    continue;
                }
                Some(CommandReply::ACCEPTED | CommandReply::REFUSED) => reply.text,
                _ => format!("it is unknown whether the login is accepted: {}", reply.text),
            },
            Err(_) => "the login could not be tried".to_owned(),
        };
        report.error(about, format!("account {name}: {wrong}"), "");
    }
}
