//! `adopt`: takes over certificates that other programs serve. Shows the plan; with `--apply`, carries it out.
//!
//! In this order, so that whatever happens in between, no poll and no hook comes first: the generation and its
//! link, the record of it in the state, the entry in the configuration. Each step can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::exit::Exit;
use super::load::load;
use super::order;
use super::print::{self, fail, print, print_error};
use super::unknown::unknown;
use crate::config::file::{self, Level, Source};
use crate::config::orders_csv::{self, ListedOrder};
use crate::effects::errno::cause;
use crate::effects::files::read_file;
use crate::effects::install::keys::candidate;
use crate::effects::install::takeover::lay_out;
use crate::effects::new_files::NewFile;
use crate::effects::ownership::user_name;
use crate::effects::store::load::Reader;
use crate::effects::survey::{USUAL, survey};
use crate::sources::files::LoadedConfig;
use crate::sources::{clock, control};
use crate::takeover::entry::{copy_lines, entry, hooks, lacking_lines};
use crate::takeover::plan::{Number, Plan, Planned, PlannedCopy, plan};
use crate::takeover::{self, Server, Survey};
use crate::terminal::progress::Progress;
use certcollectd_core::cert::san::covers;
use certcollectd_core::cert::{Fingerprint, PublicKeys};
use certcollectd_core::config::{Config, KeySource, count};
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
    let progress = Progress::new("reading", 0);
    progress.stage("what is served");
    let survey = survey(&paths);
    drop(progress);
    let installed = config.map(installed).unwrap_or_default();
    let plan = plan(&survey, config, &installed, &listed, account.as_deref(), clock::now().unix());
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
            let sound =
                found.as_ref().map_or(Ok(()), |found| rehearse(path, found, &plan, account.as_deref()));
            print(&format!("\n{}; nothing was written", summary(&plan)));
            if config.is_none() {
                print(&format!("{} is not there; --apply needs it", path.display()));
            } else if plan.orders.iter().any(|order| !order.is_configured) {
                print("run this again with --apply to carry it out");
            }
            sound
        }
    };
    advise(&plan, config);
    let is_complete = config.is_none_or(|config| name_what_lacks(&plan, config));
    result.and(if is_complete { Ok(()) } else { Err(Exit::Failed) })
}

/// Which configured order has which certificate installed, as far as the state can be read.
fn installed(config: &Config) -> BTreeMap<Fingerprint, String> {
    let loaded =
        Reader::open(&config.state_dir).ok().flatten().and_then(|reader| reader.load(clock::now()).ok());
    let known = loaded.into_iter().flat_map(|loaded| loaded.orders);
    known
        .filter(|(name, _)| config.orders.iter().any(|order| order.name == *name))
        .filter_map(|(name, known)| Some((known.record.installed.as_ref()?.fingerprint, name.to_string())))
        .collect()
}

/// An entry that is there is not written to: prints what it lacks. `false` if files would keep the old certificate.
fn name_what_lacks(plan: &Plan, config: &Config) -> bool {
    let mut is_complete = true;
    for order in plan.orders.iter().filter(|order| order.is_configured) {
        let Some(known) = config.orders.iter().find(|known| *known.name == *order.name) else { continue };
        let lacks = |copy: &&PlannedCopy| known.copies.iter().all(|known| known.to != copy.to);
        let copies: String = order.copies.iter().filter(lacks).map(copy_lines).collect();
        let lines = lacking_lines(order, known, config);
        if !lines.is_empty() {
            print_error(&format!("{}: its entry lacks this. Add to its [[order]]:\n\n{lines}", order.name));
        }
        if !copies.is_empty() {
            is_complete = false;
            print_error(&format!(
                "{}: its entry does not write all files with its certificate; these would keep the old one. Add below \
                 its [[order]]:\n{copies}",
                order.name
            ));
        }
    }
    is_complete
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

/// Those that get an entry.
fn new(plan: &Plan) -> impl Iterator<Item = &Planned> {
    let is_new = |order: &&Planned| !order.is_configured && matches!(order.number, Number::Known(_));
    plan.orders.iter().filter(is_new)
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
    let unheard: Vec<&str> =
        new(plan).filter(|order| order.servers.is_empty()).map(|order| &*order.name).collect();
    if !unheard.is_empty() {
        print(&format!(
            "\nno server was found that reads these, so they have no hooks: {}. Add hooks = [\"NAME\"] to their entries, \
             or whatever reads their files keeps the old certificate",
            unheard.join(", ")
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

/// Says what `--apply` would refuse because of the configuration.
fn rehearse(path: &Path, found: &LoadedConfig, plan: &Plan, account: Option<&str>) -> Result<(), Exit> {
    // A folder can still be made.
    let folder = folder(path, found, plan).unwrap_or_else(|_| PathBuf::from("orders.d"));
    let (mut writings, is_free) = writings(&folder, plan, account, &found.config);
    let (_, is_sound) = joined(found, &mut writings)?;
    if is_free && is_sound { Ok(()) } else { Err(Exit::Failed) }
}

/// The orders that get an entry; `false` if the file of one is there already.
fn writings<'a>(
    folder: &Path,
    plan: &'a Plan,
    account: Option<&str>,
    config: &Config,
) -> (Vec<Writing<'a>>, bool) {
    let mut failed = false;
    let mut writings = Vec::new();
    for order in new(plan) {
        let path = folder.join(format!("{}.toml", order.name));
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
    (writings, !failed)
}

fn apply(path: &Path, found: &LoadedConfig, plan: &Plan, account: Option<&str>) -> Result<(), Exit> {
    let config = &*found.config;
    let folder = folder(path, found, plan)?;
    may_write_state(config)?;
    let _alone = alone(&folder)?;
    let (mut writings, is_free) = writings(&folder, plan, account, config);
    let (joined, is_sound) = joined(found, &mut writings)?;
    let (wanted, mut refused) = wanted(path, &joined, plan)?;
    let (takeovers, failed) = lay_out_all(&joined, &wanted);
    refused.extend(failed);
    let names: BTreeSet<String> = takeovers.iter().map(|takeover| takeover.name.to_string()).collect();
    refused.extend(hand_over(path, config, takeovers));
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
        "\n{} taken over; no file that is served was written, and no hook runs. `certcollectd check` says what the \
         daemon's user may not write yet",
        count(done, "order")
    ));
    if !is_free || !is_sound || !refused.is_empty() { Err(Exit::Failed) } else { Ok(()) }
}

/// The folder of orders that the configuration includes.
fn folder(path: &Path, found: &LoadedConfig, plan: &Plan) -> Result<PathBuf, Exit> {
    let patterns = found.sources.first().map(file::includes).unwrap_or_default();
    let names: Vec<String> = new(plan).map(|order| format!("{}.toml", order.name)).collect();
    let takes_all = |pattern: &&String| {
        let name = pattern.rsplit('/').next().unwrap_or(pattern);
        let is_pattern = name.contains(['*', '?']);
        is_pattern && glob::Pattern::new(name).is_ok_and(|name| names.iter().all(|file| name.matches(file)))
    };
    let pattern = patterns.iter().find(takes_all).ok_or_else(|| {
        let text = format!(
            "{} includes no folder that takes orders of every name; add this line above its first table, create the folder, and run this again:\n\
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

/// Keeps another `adopt` away while this one writes.
fn alone(folder: &Path) -> Result<File, Exit> {
    let file = File::open(folder).map_err(|error| {
        let shown = folder.display();
        fail(Exit::Usage, &format!("{shown}: {}; nothing was written", cause(&error)))
    })?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        let text = match error {
            Errno::WOULDBLOCK => {
                "another `certcollectd adopt` is at work; nothing was written, so run this again".into()
            }
            error => format!("cannot lock {}: {error}; nothing was written", folder.display()),
        };
        fail(Exit::Usage, &text)
    })?;
    Ok(file)
}

/// The configuration as it will be. Entries that would break it are left out, and said with the reason; `false` if
/// there are any.
fn joined(found: &LoadedConfig, writings: &mut Vec<Writing<'_>>) -> Result<(Config, bool), Exit> {
    let mut is_sound = true;
    loop {
        let new =
            writings.iter().map(|writing| Source { path: writing.path.clone(), text: writing.text.clone() });
        let sources: Vec<Source> = found.sources.iter().cloned().chain(new).collect();
        let problems = match file::read_with(&sources, &[]) {
            Ok((config, _)) => return Ok((config, is_sound)),
            Err(problems) => problems,
        };
        is_sound = false;
        print_error(problems.render(&sources, print::has_colours()).trim_end());
        let errors = problems.iter().filter(|problem| problem.level == Level::Error);
        let at_fault: BTreeSet<usize> =
            errors.filter_map(|error| error.at.source.checked_sub(found.sources.len())).collect();
        if at_fault.is_empty() {
            let text = "with these entries the configuration would be invalid; nothing was written";
            return Err(fail(Exit::Usage, text));
        }
        let mut at = 0;
        writings.retain(|writing| {
            let stays = !at_fault.contains(&at);
            at += 1;
            if !stays {
                let name = &writing.order.name;
                print_error(&format!(
                    "{name}: not taken over: its entry would make the configuration invalid"
                ));
            }
            stays
        });
    }
}

/// An order as it will be configured, and what was found for it.
type Wanted<'a> = (&'a certcollectd_core::config::Order, &'a Planned);

/// The orders for which nothing is installed, and the names of those that are refused. Whoever has the state is asked
/// before anything is written.
fn wanted<'a>(
    path: &Path,
    config: &'a Config,
    plan: &'a Plan,
) -> Result<(Vec<Wanted<'a>>, BTreeSet<String>), Exit> {
    let planned: BTreeMap<&str, &Planned> = plan.orders.iter().map(|order| (&*order.name, order)).collect();
    let mut wanted: Vec<Wanted<'_>> =
        config.orders.iter().filter_map(|known| Some((known, *planned.get(&*known.name)?))).collect();
    let takeovers = wanted.iter().map(|(known, order)| {
        let now = clock::now();
        let material = material(&order.leaf, &order.pool, order.key.as_deref(), now);
        Takeover::new(known, &generation_name(&order.leaf, now), &material, Vec::new())
    });
    let (mut refused, mut installed) = (BTreeSet::new(), BTreeSet::new());
    for batch in batches(takeovers.collect()) {
        let reply = order::carry_out(path, config, Command::CheckTakeOver(batch))?;
        if !reply.text.is_empty() {
            print_error(&reply.text);
        }
        if !reply.ok && reply.data.is_null() {
            return Err(Exit::Failed);
        }
        refused.extend(names(&reply.data["refused"]));
        installed.extend(names(&reply.data["installed"]));
    }
    wanted.retain(|(known, order)| {
        let name = known.name.to_string();
        if refused.contains(&name) || installed.contains(&name) {
            return false;
        }
        if let Some(why) = is_another(known, order) {
            print_error(&format!("{name}: not taken over: what is served at its paths {why}"));
            refused.insert(name);
            return false;
        }
        let link = config.install_dir.join(&*name);
        let is_free = !link.is_symlink() || leads_to(&link, order);
        if !is_free {
            print_error(&format!(
                "{name}: not taken over: {} leads to another certificate, which a server may read; if none does, remove \
                 the link and run this again",
                link.display()
            ));
            refused.insert(name);
        }
        is_free
    });
    Ok((wanted, refused))
}

/// Why what was found is not this order's, as far as its entry tells: its names, its key.
fn is_another(known: &certcollectd_core::config::Order, order: &Planned) -> Option<String> {
    let missing = known.domains.iter().find(|domain| !covers(order.leaf.names(), domain));
    if let Some(domain) = missing {
        return Some(format!("does not cover {domain}"));
    }
    let KeySource::Keys(paths) = &known.key else { return None };
    let keys: Vec<PublicKeys> = paths.iter().filter_map(|path| candidate(path).key.ok()).collect();
    let fits = keys.is_empty() || keys.iter().any(|key| key.matches(&order.leaf));
    (!fits).then(|| "does not fit its key_file".to_owned())
}

/// Whether a link of ours leads to a generation of the order's certificate.
fn leads_to(link: &Path, order: &Planned) -> bool {
    let generation = generation_name(&order.leaf, clock::now());
    // Behind the time; a further one of the same second has its number behind that.
    let leaf = |name: &str| name.split('-').nth(1).map(str::to_owned);
    let target = std::fs::read_link(link).unwrap_or_default();
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    leaf(&name) == leaf(&generation)
}

fn names(list: &serde_json::Value) -> impl Iterator<Item = String> {
    list.as_array().into_iter().flatten().filter_map(|name| Some(name.as_str()?.to_owned()))
}

/// Lays out each; the names of those that failed.
fn lay_out_all(config: &Config, wanted: &[Wanted<'_>]) -> (Vec<Takeover>, BTreeSet<String>) {
    let mut takeovers = Vec::new();
    let mut refused = BTreeSet::new();
    let progress = Progress::new("taking over", wanted.len());
    for (known, order) in wanted {
        progress.step();
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
        copies: Box::default(),
    };
    let staged = lay_out(&config.install_dir, &stage, &served)?;
    Ok(Takeover::new(known, &staged.generation, &material, staged.files))
}

/// Has them recorded, by the daemon if one runs; the names of those that were refused.
fn hand_over(path: &Path, config: &Config, takeovers: Vec<Takeover>) -> BTreeSet<String> {
    let mut refused = BTreeSet::new();
    // What was recorded before gets its entry, whatever becomes of the others.
    let mut is_broken = false;
    for batch in batches(takeovers) {
        let all: Vec<String> = batch.iter().map(|takeover| takeover.name.to_string()).collect();
        let reply = (!is_broken).then(|| order::carry_out(path, config, Command::TakeOver(batch)));
        let Some(Ok(reply)) = reply else {
            is_broken = true;
            refused.extend(all);
            continue;
        };
        if !reply.text.is_empty() {
            print_error(&reply.text);
        }
        if !reply.ok && reply.data.is_null() {
            is_broken = true;
            refused.extend(all);
        }
        refused.extend(names(&reply.data));
    }
    refused
}

fn batches(takeovers: Vec<Takeover>) -> Vec<Vec<Takeover>> {
    let mut batches: Vec<Vec<Takeover>> = Vec::new();
    let mut size = MAX_HANDED;
    for takeover in takeovers {
        let bytes = serde_json::to_vec(&takeover).map_or(0, |json| json.len());
        size += bytes;
        match batches.last_mut().filter(|_| size <= MAX_HANDED) {
            Some(batch) => batch.push(takeover),
            None => {
                batches.push(vec![takeover]);
                size = bytes;
            }
        }
    }
    batches
}
