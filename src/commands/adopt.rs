//! `adopt`: takes over certificates that other programs serve. Shows the plan; with `--apply`, carries it out.
//!
//! In this order, so that whatever happens in between, no poll and no hook comes first: the generation and its
//! link, the record of it in the state, the entry in the configuration. Each step can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::load::load;
use super::order;
use super::print::{self, fail, print, print_error};
use super::unknown::unknown;
use crate::config::file::{self, Source};
use crate::config::orders_csv::{self, ListedOrder};
use crate::effects::errno::cause;
use crate::effects::files::read_file;
use crate::effects::install::takeover::lay_out;
use crate::effects::new_files::NewFile;
use crate::effects::ownership::user_name;
use crate::effects::survey::{USUAL, survey};
use crate::sources::files::LoadedConfig;
use crate::sources::{clock, control};
use crate::takeover::entry::{entry, hooks};
use crate::takeover::plan::{Number, Plan, Planned, plan};
use crate::takeover::{self, Server, Survey};
use certcollectd_core::config::{Config, count};
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::id::OrderId;
use certcollectd_core::engine::install::{InstallError, Stage};
use certcollectd_core::engine::order::contents;
use certcollectd_core::engine::takeover::{Takeover, generation_name, material};
use certcollectd_core::engine::time::{day, rfc3339};

/// Bytes of orders handed to the daemon at once.
const MAX_HANDED: usize = 128 * 1024;

/// What `adopt` is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub paths: &'a [PathBuf],
    pub numbers: Option<&'a Path>,
    pub account: Option<&'a str>,
    pub apply: bool,
}

pub fn adopt(path: &Path, wish: Wish<'_>) -> Result<(), Exit> {
    let listed = wish.numbers.map(listed).transpose()?.unwrap_or_default();
    let found = match path.try_exists() {
        Ok(false) if !wish.apply => None,
        _ => Some(load(path)?),
    };
    let config = found.as_ref().map(|found| &*found.config);
    let account = account(config, wish.account)?;
    let paths = match wish.paths {
        [] => usual()?,
        paths => paths.to_vec(),
    };
    let survey = survey(&paths);
    let plan = plan(&survey, config, &listed, clock::now().unix());
    print(&shown(&plan, &survey, config));
    if plan.orders.is_empty() {
        return Err(fail(
            Exit::Failed,
            "no certificate was found that could be taken over; nothing was written",
        ));
    }
    let result = match (&found, wish.apply) {
        (Some(found), true) => apply(path, found, &plan, account.as_deref()),
        _ => {
            for order in plan.orders.iter().filter(|order| !order.is_configured) {
                print(&format!("\n{}", entry(order, account.as_deref(), config)));
            }
            print(&format!("\n{}; nothing was written", summary(&plan)));
            if config.is_none() {
                print(&format!("{} is not there; --apply needs it", path.display()));
            } else if plan.orders.iter().any(|order| !order.is_configured) {
                print("run this again with --apply to carry it out");
            }
            Ok(())
        }
    };
    advise(&plan, config);
    result
}

fn listed(path: &Path) -> Result<Vec<ListedOrder>, Exit> {
    let shown = path.display();
    let bytes = read_file(path, orders_csv::MAX_BYTES)
        .map_err(|error| fail(Exit::Usage, &format!("{shown}: {}; nothing was written", cause(&error))))?;
    orders_csv::read(&bytes).map_err(|wrong| {
        let wrong: String = wrong.iter().map(|what| format!("{shown}, {what}\n")).collect();
        fail(Exit::Usage, &format!("{wrong}nothing was written; correct the list and run this again"))
    })
}

/// The account to write into the entries; `None` where there is only one.
fn account(config: Option<&Config>, wanted: Option<&str>) -> Result<Option<String>, Exit> {
    let Some(config) = config else { return Ok(wanted.map(str::to_owned)) };
    let known = || config.accounts.iter().map(|account| &*account.name);
    match wanted {
        Some(name) if config.account(name).is_none() => {
            Err(fail(Exit::Usage, &unknown("account", name, known())))
        }
        Some(name) => Ok(Some(name.to_owned())),
        None if config.accounts.len() > 1 => {
            let names = known().collect::<Vec<_>>().join(", ");
            let text =
                format!("there are several accounts ({names}); say which has these orders: --account NAME");
            Err(fail(Exit::Usage, &text))
        }
        None => Ok(None),
    }
}

fn usual() -> Result<Vec<PathBuf>, Exit> {
    let there: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).filter(|path| path.is_dir()).collect();
    if there.is_empty() {
        let text =
            format!("none of {} is there; name the files or directories to look into", USUAL.join(", "));
        return Err(fail(Exit::Usage, &text));
    }
    let names: Vec<String> = there.iter().map(|path| path.display().to_string()).collect();
    print(&format!("looking into {}\n", names.join(", ")));
    Ok(there)
}

/// The plan as people read it.
fn shown(plan: &Plan, survey: &Survey, config: Option<&Config>) -> String {
    let unix = clock::now().unix();
    let mut text = String::new();
    for order in &plan.orders {
        let already = if order.is_configured { " (configured already)" } else { "" };
        let leaf = &order.leaf;
        let end = rfc3339(leaf.not_after());
        let when = match (leaf.not_after() - unix).div_euclid(24 * 3600) {
            days @ 0.. => format!("in {}", count(days, "day")),
            days => format!("{} ago", count(-days, "day")),
        };
        text.push_str(&format!(
            "{}{already}\n  names    {}\n  expires  {} ({when}), issued by {}\n",
            order.name,
            order.domains.join(" "),
            day(&end),
            leaf.issuer_text()
        ));
        match &order.key {
            Some(key) => text.push_str(&format!("  key      {}\n", takeover::shown(key))),
            None => text.push_str("  key      none\n"),
        }
        for copy in &order.copies {
            let (from, to) = (copy.from.as_str(), takeover::shown(&copy.to));
            text.push_str(&format!(
                "  {from:<8} {to} ({}:{} {:04o}), named by {}\n",
                copy.owner, copy.group, copy.mode, copy.place
            ));
        }
        match (&order.number, order.is_configured) {
            (_, true) => {}
            (Number::Known(number), false) => text.push_str(&format!("  number   {number}\n")),
            (Number::Missing(None), false) => text.push_str("  number   missing\n"),
            (Number::Missing(Some(why)), false) => text.push_str(&format!("  number   missing: {why}\n")),
        }
        let hooks = hooks(order, config);
        if !hooks.is_empty() && !order.is_configured {
            text.push_str(&format!("  hooks    {}, from the next certificate on\n", hooks.join(", ")));
        }
        for note in order.notes.iter().filter(|_| !order.is_configured) {
            text.push_str(&format!("  note     {note}\n"));
        }
    }
    if !plan.left_alone.is_empty() {
        text.push_str("\nleft alone:\n");
        for problem in &plan.left_alone {
            text.push_str(&format!("  {}: {}\n", problem.place, problem.text));
        }
    }
    if !plan.unused.is_empty() {
        let names = plan.unused.join(", ");
        text.push_str(&format!("\nin the list, but no certificate with such names was found: {names}\n"));
    }
    text + &format!("\n{} read\n", count(survey.configurations, "configuration file"))
}

fn summary(plan: &Plan) -> String {
    let known = plan.orders.iter().filter(|order| order.is_configured).count();
    let missing = missing(plan).count();
    let ready = plan.orders.len() - known - missing;
    format!("{} to take over, {known} configured already, {missing} without a number", count(ready, "order"))
}

fn missing(plan: &Plan) -> impl Iterator<Item = &Planned> {
    plan.orders.iter().filter(|order| !order.is_configured && matches!(order.number, Number::Missing(_)))
}

/// What is left to do for the operator.
fn advise(plan: &Plan, config: Option<&Config>) {
    let lines: Vec<String> =
        missing(plan).map(|order| format!("{},,{}", order.name, order.domains.join(" "))).collect();
    if !lines.is_empty() {
        print(&format!(
            "\n{} without a number. Write the vendor's order numbers into these lines, save them as a file, and run this \
             again with --numbers FILE:\nname,order_number,domains\n{}",
            count(lines.len(), "order"),
            lines.join("\n")
        ));
    }
    let unloaded = |server: &&Server| {
        !server.hooks().iter().any(|name| config.is_some_and(|config| config.hook(name).is_some()))
    };
    let new = plan.orders.iter().filter(|order| !order.is_configured);
    let servers: BTreeSet<Server> = new.flat_map(|order| order.servers.iter().copied()).collect();
    for server in servers.iter().filter(unloaded) {
        let name = server.hooks()[0];
        print(&format!(
            "\nno [[hook]] is named {name}, so nothing reloads it when a new certificate comes: add one, and hooks = \
             [\"{name}\"] to its orders"
        ));
    }
}

/// An order's file, and what is to be in it.
struct Writing<'a> {
    order: &'a Planned,
    path: PathBuf,
    text: String,
}

fn apply(path: &Path, found: &LoadedConfig, plan: &Plan, account: Option<&str>) -> Result<(), Exit> {
    let config = &*found.config;
    let folder = folder(path, found)?;
    may_write_state(config)?;
    let mut failed = false;
    let mut writings = Vec::new();
    for order in &plan.orders {
        let path = folder.join(format!("{}.toml", order.name));
        if order.is_configured || matches!(order.number, Number::Missing(_)) {
            continue;
        }
        if path.exists() || path.is_symlink() {
            print_error(&format!(
                "{}: {} is there already and was left as it is; move it away and run this again",
                order.name,
                path.display()
            ));
            failed = true;
            continue;
        }
        writings.push(Writing { order, path, text: entry(order, account, Some(config)) });
    }
    let joined = joined(found, &writings)?;
    let (takeovers, refused) = lay_out_all(&joined, plan, &writings);
    let names: BTreeSet<String> = takeovers.iter().map(|takeover| takeover.name.to_string()).collect();
    let mut refused = refused;
    refused.extend(hand_over(path, config, takeovers)?);
    for writing in &writings {
        let name = &writing.order.name;
        if refused.contains(name) {
            continue;
        }
        let file = NewFile {
            path: writing.path.clone(),
            mode: 0o644,
            owner: None,
            content: writing.text.clone().into(),
        };
        if let Err(error) = file.write() {
            print_error(&format!("{name}: cannot write {}: {}", writing.path.display(), cause(&error)));
            refused.insert(name.clone());
            continue;
        }
        print(&format!("{name}: taken over; wrote {}", writing.path.display()));
    }
    for name in names.iter().filter(|name| !writings.iter().any(|writing| writing.order.name == **name)) {
        if !refused.contains(name) {
            print(&format!("{name}: taken over; it was configured already"));
        }
    }
    let done = names.difference(&refused).count();
    print(&format!(
        "\n{} taken over; nothing that is served was changed, and no hook runs. `certcollectd check` says what the \
         daemon's user may not write yet",
        count(done, "order")
    ));
    if failed || !refused.is_empty() { Err(Exit::Failed) } else { Ok(()) }
}

/// The folder of orders that the configuration includes.
fn folder(path: &Path, found: &LoadedConfig) -> Result<PathBuf, Exit> {
    let patterns = found.sources.first().map(file::includes).unwrap_or_default();
    let takes_all = |pattern: &&String| {
        let name = pattern.rsplit('/').next().unwrap_or(pattern);
        glob::Pattern::new(name).is_ok_and(|name| name.matches("www.example.com.toml"))
    };
    let pattern = patterns.iter().find(takes_all).ok_or_else(|| {
        let text = format!(
            "{} includes no folder for orders; add this line above its first table, create the folder, and run this again:\n\
             include = [\"orders.d/*.toml\"]\nnothing was written",
            path.display()
        );
        fail(Exit::Usage, &text)
    })?;
    Ok(Path::new(pattern).parent().unwrap_or_else(|| Path::new(".")).to_owned())
}

/// Without a daemon, the state is written by this process: as its owner only.
fn may_write_state(config: &Config) -> Result<(), Exit> {
    let Ok(found) = std::fs::metadata(&config.state_dir) else { return Ok(()) };
    let ours = rustix::process::geteuid().as_raw();
    if found.uid() == ours || control::is_served(&config.state_dir) {
        return Ok(());
    }
    let text = format!(
        "{} belongs to {}, and no daemon is running; start it, for instance with `systemctl start certcollectd`, and run \
         this again. Nothing was written",
        config.state_dir.display(),
        user_name(found.uid())
    );
    Err(fail(Exit::Usage, &text))
}

/// The configuration as it will be. What would break it is refused before anything is written.
fn joined(found: &LoadedConfig, writings: &[Writing<'_>]) -> Result<Config, Exit> {
    let new =
        writings.iter().map(|writing| Source { path: writing.path.clone(), text: writing.text.clone() });
    let sources: Vec<Source> = found.sources.iter().cloned().chain(new).collect();
    match file::read_with(&sources, &[]) {
        Ok((config, _)) => Ok(config),
        Err(problems) => {
            let text = problems.render(&sources, print::has_colours());
            Err(fail(
                Exit::Usage,
                &format!(
                    "{}\nwith these entries the configuration would be invalid; nothing was written",
                    text.trim_end()
                ),
            ))
        }
    }
}

/// Lays out each order that the configuration will have and nothing is installed for; the names of those that failed.
fn lay_out_all(config: &Config, plan: &Plan, writings: &[Writing<'_>]) -> (Vec<Takeover>, BTreeSet<String>) {
    let planned: BTreeMap<&str, &Planned> = plan.orders.iter().map(|order| (&*order.name, order)).collect();
    let new: BTreeSet<&str> = writings.iter().map(|writing| &*writing.order.name).collect();
    let mut takeovers = Vec::new();
    let mut refused = BTreeSet::new();
    for known in &config.orders {
        let Some(order) = planned.get(&*known.name) else { continue };
        if !new.contains(&*known.name) && config.install_dir.join(&*known.name).is_symlink() {
            continue;
        }
        match take(config, known, order) {
            Ok(takeover) => takeovers.push(takeover),
            Err(error) => {
                print_error(&format!("{}: not taken over: {error}", known.name));
                refused.insert(known.name.to_string());
            }
        }
    }
    (takeovers, refused)
}

fn take(
    config: &Config,
    known: &certcollectd_core::config::Order,
    order: &Planned,
) -> Result<Takeover, InstallError> {
    let now = clock::now();
    let material = material(&order.leaf, &order.pool, order.key.as_deref(), now);
    let served: Vec<&[u8]> = order
        .copies
        .iter()
        .filter_map(|copy| {
            let content = copy.content.as_deref()?;
            let is_link = copy.to.is_symlink();
            let same = contents::without_key(copy.from, &material).is_some_and(|made| made == content);
            (is_link || !same).then_some(content)
        })
        .collect();
    let stage = Stage {
        order: OrderId(0),
        name: known.name.clone(),
        generation: generation_name(&order.leaf, now),
        material: material.clone(),
        files: known.settings.files.clone(),
    };
    let staged = lay_out(&config.install_dir, &stage, &served)?;
    Ok(Takeover::new(known, &staged.generation, &material, staged.files))
}

/// Has them recorded, by the daemon if one runs; the names of those that were refused.
fn hand_over(path: &Path, config: &Config, takeovers: Vec<Takeover>) -> Result<BTreeSet<String>, Exit> {
    let mut refused = BTreeSet::new();
    let mut batch: Vec<Takeover> = Vec::new();
    let mut size = 0;
    let mut batches = Vec::new();
    for takeover in takeovers {
        let bytes = serde_json::to_vec(&takeover).map_or(0, |json| json.len());
        if size + bytes > MAX_HANDED && !batch.is_empty() {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        size += bytes;
        batch.push(takeover);
    }
    batches.push(batch);
    for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
        let reply = order::carry_out(path, config, Command::TakeOver(batch))?;
        if !reply.text.is_empty() {
            print_error(&reply.text);
        }
        let names = reply.data.as_array().into_iter().flatten();
        refused.extend(names.filter_map(|name| Some(name.as_str()?.to_owned())));
        if !reply.ok && reply.data.is_null() {
            return Err(Exit::Failed);
        }
    }
    Ok(refused)
}
