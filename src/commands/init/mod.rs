//! `init`: a first configuration from options and answers. Shows everything first, overwrites nothing, and ends with
//! `check`.

mod ask;
mod plan;

use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use nix::unistd::{Gid, Group, Uid, User};
use zeroize::Zeroizing;

use self::plan::{Answers, NewDir, Place, Plan};
use super::check;
use super::exit::Exit;
use super::print::{fail, has_colours, print, print_error};
use crate::config::file::{self, Source};
use crate::config::orders_csv;
use crate::effects::errno::cause;
use crate::effects::files::{read_file, read_whole};
use crate::effects::new_files::NewFile;
use crate::effects::preflight::SYSTEMD;

/// The unit's configuration, and where its drop-ins are.
const UNIT_CONFIG: &str = "/etc/certcollectd/certcollectd.toml";
const UNIT: &str = "certcollectd.service";
/// Where the package puts the schema for editors.
const SCHEMA: &str = "/usr/share/certcollectd/schema.json";
/// Where systemd looks for units; systemd.unit(5).
const UNIT_DIRS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// The user of the shipped unit.
const USER: &str = "certcollectd";

#[derive(Debug, Args)]
pub struct Options {
    /// Login name at the vendor
    #[arg(long, value_name = "NAME")]
    login: Option<String>,
    /// File with the password; - for standard input
    #[arg(long, value_name = "FILE|-")]
    password_from: Option<PathBuf>,
    /// List of orders: name,order_number,domains
    #[arg(long, value_name = "CSV")]
    orders: Option<PathBuf>,
    /// Systemd unit of the server to reload, such as nginx; or none
    #[arg(long, value_name = "NAME|none")]
    server: Option<String>,
    /// Private key of each order; {name} is the order's name
    #[arg(long, value_name = "PATH")]
    key_file: Option<String>,
    /// Where the state is kept, if not in /var/lib/certcollectd
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Where certificates are installed, if not in /etc/ssl/certcollectd
    #[arg(long, value_name = "DIR")]
    install_dir: Option<PathBuf>,
    /// Write without asking
    #[arg(long)]
    yes: bool,
}

pub fn init(config: &Path, options: Options) -> Result<(), Exit> {
    let config = std::path::absolute(config)
        .map_err(|error| fail(Exit::Usage, &format!("{}: {}", config.display(), cause(&error))))?;
    if config.symlink_metadata().is_ok() {
        let why = format!(
            "{} is there already, and init overwrites nothing. Edit it, or write another one with --config FILE",
            config.display()
        );
        return Err(nothing_written(&why));
    }
    let yes = options.yes;
    let answers = answers(options)?;
    let place = place(config, &answers);
    let plan = plan::plan(&place, &answers);
    verify(&place.config, &plan)?;
    let mut missing = Vec::new();
    for file in &plan.files {
        if file.is_there() {
            continue;
        }
        if file.path.symlink_metadata().is_ok() {
            let why = format!(
                "{} is there already, with another content. Move it away if it is not needed",
                file.path.display()
            );
            return Err(nothing_written(&why));
        }
        missing.push(file);
    }
    print(&plan.shown);
    if !yes && !is_confirmed() {
        return Err(nothing_written("not confirmed; answer y, or use --yes"));
    }
    write(&missing)?;
    make_dirs(&plan, &place);
    if plan.has_drop_in && Path::new(SYSTEMD).exists() {
        reload_units();
    }
    finish(&place.config, &plan)
}

fn nothing_written(why: &str) -> Exit {
    fail(Exit::Usage, &format!("{why}. Nothing was written"))
}

/// From the options, and from a person at a terminal for what they leave open.
fn answers(options: Options) -> Result<Answers, Exit> {
    let Options { login, password_from, orders, server, key_file, state_dir, install_dir, yes: _ } = options;
    let has_person = io::stdin().is_terminal();
    let open: Vec<&str> = [
        ("--login", login.is_none()),
        ("--password-from", password_from.is_none()),
        ("--orders", orders.is_none()),
        ("--server", server.is_none()),
    ]
    .iter()
    .filter_map(|(option, is_open)| is_open.then_some(*option))
    .collect();
    if !has_person && !open.is_empty() {
        let why = format!("{} missing, and there is no terminal to ask at", open.join(", "));
        return Err(nothing_written(&why));
    }
    let usage = |why: String| nothing_written(&why);
    let absolute = |dir: Option<PathBuf>| {
        let whole = dir.map(std::path::absolute).transpose();
        whole.map_err(|error| usage(format!("--state-dir or --install-dir: {}", cause(&error))))
    };
    let (state_dir, install_dir) = (absolute(state_dir)?, absolute(install_dir)?);
    // Files first: what is wrong with them is no reason to ask anything.
    let password = password_from.map(|from| password(&from)).transpose().map_err(usage)?;
    let orders = orders.map(|path| listed(&path)).transpose().map_err(usage)?;
    let server = server.map(|server| plan::server(&server)).transpose().map_err(usage)?;
    let login = login.map(|login| plan::login(&login)).transpose().map_err(usage)?;
    let key_file = key_file.map(|path| plan::key_file(&path)).transpose().map_err(usage)?;
    let asked = || -> io::Result<Answers> {
        let login = login.map_or_else(ask::login, Ok)?;
        let password = password.map_or_else(ask::password, Ok)?;
        let (orders, keys) = match orders {
            Some(orders) => {
                let keys =
                    orders.iter().map(|order| plan::key_of(key_file.as_deref(), &order.name)).collect();
                (orders, keys)
            }
            None => ask::orders(key_file.as_deref())?,
        };
        let server = server.map_or_else(|| ask::server(installed_server()), Ok)?;
        Ok(Answers { login, password, orders, keys, server, state_dir, install_dir })
    };
    asked().map_err(|error| nothing_written(&format!("the answer was not read: {}", cause(&error))))
}

/// The content of a file, or of standard input, without the end of its line.
fn password(from: &Path) -> Result<Zeroizing<String>, String> {
    let is_stdin = from == Path::new("-");
    let shown = if is_stdin { "on standard input".to_owned() } else { format!("in {}", from.display()) };
    let content = if is_stdin {
        io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .and_then(|stdin| read_whole(stdin.into(), plan::MAX_PASSWORD))
    } else {
        read_file(from, plan::MAX_PASSWORD)
    };
    let content =
        content.map_err(|error| format!("the password {shown} cannot be read: {}", cause(&error)))?;
    let text = str::from_utf8(&content).map_err(|_| format!("the password {shown} is not UTF-8"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    plan::password(text).map_err(|why| format!("the password {shown} {why}"))
}

fn listed(path: &Path) -> Result<Vec<orders_csv::ListedOrder>, String> {
    let content = read_file(path, orders_csv::MAX_BYTES)
        .map_err(|error| format!("the list of orders {}: {}", path.display(), cause(&error)))?;
    orders_csv::read(&content).map_err(|problems| {
        let problems: Vec<String> =
            problems.iter().map(|problem| format!("{}, {problem}", path.display())).collect();
        problems.join("\n")
    })
}

/// What this host has, as far as the configuration depends on it.
fn place(config: PathBuf, answers: &Answers) -> Place {
    let is_unit = config == Path::new(UNIT_CONFIG) && has_unit(UNIT);
    let user = Uid::effective().is_root().then(|| User::from_name(USER).ok().flatten()).flatten();
    let user = user.filter(|_| config == Path::new(UNIT_CONFIG));
    Place {
        groups: if is_unit { groups_of(&answers.keys) } else { Vec::new() },
        owner: user.map(|user| (user.uid.as_raw(), user.gid.as_raw())),
        schema: Path::new(SCHEMA).is_file().then_some(SCHEMA),
        drop_in: is_unit.then(|| Path::new(UNIT_DIRS[0]).join(format!("{UNIT}.d")).join("init.conf")),
        config,
    }
}

fn has_unit(name: &str) -> bool {
    UNIT_DIRS.iter().any(|dir| Path::new(dir).join(name).is_file())
}

/// The first usual server that is installed.
fn installed_server() -> Option<&'static str> {
    plan::SERVERS.into_iter().find(|(_, unit)| has_unit(unit)).map(|(name, _)| name)
}

/// Those of the daemon that are missing; one that cannot be made is for `check` to tell.
fn make_dirs(plan: &Plan, place: &Place) {
    for NewDir { path, mode } in plan.dirs.iter().filter(|dir| !dir.path.exists()) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(*mode).create(path);
        let owner = place.owner.map_or((None, None), |(user, group)| (Some(user), Some(group)));
        let made = made.and_then(|()| std::os::unix::fs::chown(path, owner.0, owner.1));
        if let Err(error) = made {
            print_error(&format!("{}: {}", path.display(), cause(&error)));
        }
    }
}

/// The groups that may read keys which not everybody may read.
fn groups_of(keys: &[Option<String>]) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for path in keys.iter().flatten().flat_map(|key| Path::new(key).ancestors().take(2)) {
        let Ok(found) = std::fs::metadata(path) else { continue };
        let bits = if found.is_dir() { (0o001, 0o010) } else { (0o004, 0o040) };
        let is_by_group = found.mode() & bits.0 == 0 && found.mode() & bits.1 != 0 && found.gid() != 0;
        if is_by_group && let Ok(Some(group)) = Group::from_gid(Gid::from_raw(found.gid())) {
            groups.push(group.name);
        }
    }
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| group != USER);
    groups
}

/// The configuration must be sound by itself, before any of it is written.
fn verify(path: &Path, plan: &Plan) -> Result<(), Exit> {
    let source = Source { path: path.to_owned(), text: plan.config().to_owned() };
    match file::read(std::slice::from_ref(&source)) {
        Ok(_) => Ok(()),
        Err(problems) => {
            print_error(problems.render(&[source], has_colours()).trim_end());
            Err(nothing_written("the answers make no sound configuration"))
        }
    }
}

fn is_confirmed() -> bool {
    print!("Write this? [y/N] ");
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The configuration comes last: where it is, all of it is.
fn write(files: &[&NewFile]) -> Result<(), Exit> {
    let mut written: Vec<&Path> = Vec::new();
    for file in files {
        let Err(error) = file.write() else {
            written.push(&file.path);
            continue;
        };
        for path in &written {
            let _ = std::fs::remove_file(path);
        }
        let why = match error.kind() {
            ErrorKind::PermissionDenied => "; run this as root, or name another place with --config",
            _ => "",
        };
        let why = format!("{} cannot be written: {}{why}", file.path.display(), cause(&error));
        return Err(nothing_written(&why));
    }
    Ok(())
}

fn reload_units() {
    let done = Command::new("systemctl").arg("daemon-reload").status();
    if !done.is_ok_and(|status| status.success()) {
        print_error("systemctl daemon-reload failed; run it before certcollectd is started");
    }
}

fn finish(config: &Path, plan: &Plan) -> Result<(), Exit> {
    print("Written. What `certcollectd check` says:");
    let checked = check::check(config, false);
    let option = if config == Path::new(UNIT_CONFIG) {
        String::new()
    } else {
        format!(" --config {}", config.display())
    };
    if checked.is_err() {
        let why = format!(
            "everything was written; correct what is said above, then run certcollectd{option} check"
        );
        return Err(fail(Exit::Failed, &why));
    }
    let mut next = vec!["Next:".to_owned()];
    let mut step = |command: &str, why: &str| next.push(format!("  {command:<60} # {why}"));
    if !plan.is_for_unit {
        step(&format!("certcollectd{option} check --login"), "proves the login with one call");
    }
    for (command, why) in &plan.next {
        step(command, why);
    }
    if plan.is_for_unit {
        step("systemctl enable --now certcollectd", "starts the daemon");
    } else {
        step(&format!("certcollectd{option} run"), "the daemon");
    }
    step(&format!("certcollectd{option} status"), "how the orders stand");
    print(&next.join("\n"));
    Ok(())
}
