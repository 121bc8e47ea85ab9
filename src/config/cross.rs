//! What can only be checked once everything was read: dangling names, duplicates, and conflicts between the files
//! of orders.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::address::{host_of, is_loopback};
use super::draft::Draft;
use super::parse::diagnostic::{Diagnostic, Diagnostics, Span};
use super::tables::fleet::{COLLECTORS_HELP, Part};
use super::tables::order::{CopyOrigin, Origin};
use super::tables::polling::{cadence, check as check_overrides};
use super::tables::{account, hook, listener, window};
use super::value::{did_you_mean, plain, shown};
use certcollectd_core::api::{OrderRef, Product, Response};
use certcollectd_core::config::fleet::{Collector, Role};
use certcollectd_core::config::{
    Account, Action, Cadence, CallPart, Config, FileKind, Hook, KeySource, Order, SecretSource,
};

/// Maximum number of names listed where none is similar.
const LISTED: usize = 10;

const ELSEWHERE: &str = "choose another path for the copy; an existing file there is replaced";

/// What to do about a copy onto one of several candidates.
pub(crate) const ONE_KEY: &str =
    "another key in it would be lost; keep that key in a file of its own and name that one in key_file";

/// All of it.
pub(super) fn check(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let part = draft.orders.fleet.part;
    if draft.account_tables == 0 && diagnostics.is_complete() && matches!(part, Part::Alone | Part::Collector)
    {
        Diagnostic::error("there is no [[account]]", Span::whole(0))
            .help("add one with name, login_name and password; config/minimal.toml shows how")
            .add_to(diagnostics);
    }
    if draft.orders.tables == 0 && diagnostics.is_complete() {
        Diagnostic::warning("there is no [[order]], so there is nothing to do", Span::whole(0))
            .help(match part {
                Part::Follower => "add one with name and group",
                Part::Alone | Part::Unknown | Part::Collector => "add one with name and order_number",
            })
            .add_to(diagnostics);
    }
    same_names(diagnostics, "accounts", draft.accounts.iter().map(|draft| (&draft.name, draft.name_at)));
    same_names(diagnostics, "hooks", draft.hooks.iter().map(|draft| (&draft.name, draft.name_at)));
    same_names(diagnostics, "windows", draft.windows.iter().map(|draft| (&draft.name, draft.name_at)));
    account::note_shared_logins(&draft.accounts, diagnostics);
    let accounts = match part {
        Part::Follower => vec![None; draft.orders.list.len()],
        Part::Alone | Part::Unknown | Part::Collector => order_accounts(diagnostics, draft),
    };
    hooks(diagnostics, draft);
    windows(diagnostics, draft);
    companions(diagnostics, draft);
    same_numbers(diagnostics, draft, &accounts);
    intervals(diagnostics, draft, &accounts);
    responses(diagnostics, draft, &accounts);
    match part {
        Part::Alone | Part::Unknown => {}
        Part::Collector => {
            lease(diagnostics, draft);
            idle_hooks(diagnostics, draft);
        }
        Part::Follower => of_collectors(diagnostics, draft),
    }
    if let Some(problem) = listener::conflict(&draft.http, &draft.push) {
        diagnostics.add(problem);
    }
    folders(diagnostics, draft);
    key_files(diagnostics, draft);
    copies(diagnostics, draft);
}

fn same_names<'a>(
    diagnostics: &Diagnostics<'_>,
    what: &str,
    names: impl Iterator<Item = (&'a Arc<str>, Span)>,
) {
    let mut known: HashMap<&str, Span> = HashMap::new();
    for (name, at) in names {
        if let Some(first) = known.insert(name, at) {
            Diagnostic::error(format!("two {what} with the name `{name}`"), at)
                .again_after(first)
                .add_to(diagnostics);
        }
    }
}

/// The account of each order, as an index into those of the draft.
fn order_accounts(diagnostics: &Diagnostics<'_>, draft: &Draft) -> Vec<Option<usize>> {
    let by_name: HashMap<&str, usize> =
        draft.accounts.iter().enumerate().map(|(index, account)| (&*account.name, index)).collect();
    // Where some accounts could not be read, a name that is not among the others may be right.
    let are_known = diagnostics.is_complete() && draft.account_tables == draft.accounts.len();
    let complains = are_known && !draft.accounts.is_empty();
    if let Some((name, at)) = draft.orders.default_account.as_ref().filter(|_| complains)
        && !by_name.contains_key(&**name)
    {
        diagnostics.add(unknown("account", name, *at, by_name.keys().copied()));
    }
    let find = |(order, origin): (&Order, &Origin)| {
        let Some(at) = origin.account else {
            let only = (are_known && by_name.len() == 1).then_some(0);
            if complains && only.is_none() {
                let what = format!("the order `{}` does not say which account", order.name);
                Diagnostic::error(what, origin.name)
                    .help(format!("there is more than one; add account = \"{}\"", draft.accounts[0].name))
                    .add_to(diagnostics);
            }
            return only;
        };
        let found = by_name.get(&*order.account).copied();
        if complains && found.is_none() {
            diagnostics.add(unknown("account", &order.account, at, by_name.keys().copied()));
        }
        found
    };
    draft.orders.list.iter().zip(&draft.orders.origins).map(find).collect()
}

fn unknown<'a>(kind: &str, name: &str, at: Span, known: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let problem = Diagnostic::error(format!("there is no {kind} with the name {}", shown(name)), at)
        .label(did_you_mean(name, known.clone()));
    let mut names: Vec<&str> = known.collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    problem.help(match (names.is_empty(), more) {
        (true, _) => format!("there is no [[{kind}]] at all"),
        (false, 0) => format!("known: {}", names.join(", ")),
        (false, more) => format!("known: {} and {more} more", names.join(", ")),
    })
}

fn hooks(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let known: HashMap<&str, &hook::Draft> = draft.hooks.iter().map(|hook| (&*hook.name, hook)).collect();
    let are_known = diagnostics.is_complete() && draft.hook_tables == draft.hooks.len();
    let mut used: HashSet<&str> = HashSet::new();
    // One for proofs runs only where dcv_hook names it.
    let mut proving: HashSet<&str> = HashSet::new();
    let mut are_found = true;
    let mut find = |name: &str, at: Span| {
        let found = known.get(name).copied();
        if are_known && found.is_none() {
            are_found = false;
            diagnostics.add(unknown("hook", name, at, known.keys().copied()));
        }
        found
    };
    for shared in &draft.orders.shared {
        for (name, at) in shared.settings.hooks.iter().zip(&shared.hooks) {
            used.insert(name);
            find(name, *at);
        }
        let dcv_hook = shared.settings.reissue.as_ref().and_then(|reissue| reissue.dcv_hook.as_ref());
        if let Some((name, at)) = dcv_hook.zip(shared.dcv_hook) {
            proving.insert(name);
            if let Some(problem) = find(name, at).and_then(|hook| hook::not_for_proofs(hook, at)) {
                diagnostics.add(problem);
            }
        }
    }
    // A hook that is not used may be the one that was meant by an unknown name.
    let are_read = diagnostics.is_complete() && !draft.orders.has_unread_hooks;
    if are_read && are_found && draft.orders.tables > 0 {
        let is_used = |draft: &hook::Draft| match draft.hook.as_ref().is_some_and(Hook::is_for_proofs) {
            true => proving.contains(&*draft.name),
            false => used.contains(&*draft.name) || proving.contains(&*draft.name),
        };
        draft.hooks.iter().filter(|hook| !is_used(hook)).for_each(|hook| diagnostics.add(hook::unused(hook)));
    }
}

fn windows(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let known: HashSet<&str> = draft.windows.iter().map(|window| &*window.name).collect();
    let are_known = diagnostics.is_complete() && draft.window_tables == draft.windows.len();
    let mut used: HashSet<&str> = HashSet::new();
    let mut are_found = true;
    for shared in &draft.orders.shared {
        for (name, at) in shared.settings.windows.iter().zip(&shared.windows) {
            used.insert(name);
            if are_known && !known.contains(&**name) {
                are_found = false;
                diagnostics.add(unknown("window", name, *at, known.iter().copied()));
            }
        }
    }
    let are_read = diagnostics.is_complete() && !draft.orders.has_unread_windows;
    if are_read && are_found && draft.orders.tables > 0 {
        draft.windows.iter().filter(|window| !used.contains(&*window.name)).for_each(|draft| {
            diagnostics.add(window::unused(draft));
        });
    }
}

/// Each would take away what the other asks its companion.
fn companions(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let mut known: HashMap<&str, Span> = HashMap::new();
    for hook::Draft { name_at, hook, .. } in &draft.hooks {
        let Some(Action::Follow(companion)) = hook.as_ref().map(|hook| &hook.action) else { continue };
        if let Some(first) = known.insert(&companion.name, *name_at) {
            Diagnostic::error(format!("two hooks follow the companion `{}`", companion.name), *name_at)
                .again_after(first)
                .help(
                    "name one hook in all orders that it serves, or give each companion a --name of its own",
                )
                .add_to(diagnostics);
        }
    }
}

/// Two entries for one number would poll it twice as often as the vendor allows: the floor belongs to the number.
fn same_numbers(diagnostics: &Diagnostics<'_>, draft: &Draft, accounts: &[Option<usize>]) {
    let orders = &draft.orders;
    let mut known: HashMap<(&str, &OrderRef), usize> = HashMap::with_capacity(orders.list.len());
    for (index, (order, account)) in orders.list.iter().zip(accounts).enumerate() {
        let account = match account {
            Some(account) => &*draft.accounts[*account].name,
            // Some file with accounts could not be read; one name is one account all the same.
            None if !diagnostics.is_complete() => &*order.account,
            None => continue,
        };
        let first = known.insert((account, &order.handle), index);
        // With the same name as well, more was said already.
        if let Some(first) = first.filter(|first| orders.list[*first].name != order.name) {
            let what = format!("`{}` and `{}` are the same order", orders.list[first].name, order.name);
            Diagnostic::error(what, orders.origins[index].handle)
                .again_after(orders.origins[first].handle)
                .help(
                    "the vendor allows one poll per interval of an order; use [[order.copy]] to install it in \
                     more places",
                )
                .add_to(diagnostics);
        }
    }
}

/// What orders with the same settings say about intervals is said once.
fn intervals(diagnostics: &Diagnostics<'_>, draft: &Draft, accounts: &[Option<usize>]) {
    let polling = &draft.polling;
    let mut is_vendors = vec![false; draft.orders.shared.len()];
    for (origin, account) in draft.orders.origins.iter().zip(accounts) {
        let account = account.and_then(|index| draft.accounts[index].account.as_ref());
        let is_vendor =
            account.is_some_and(|account| Account::VENDOR_HOSTS.contains(&host_of(&account.base_url)));
        is_vendors[origin.settings as usize] |= is_vendor;
    }
    let mut said: HashSet<Span> = HashSet::new();
    for (shared, is_vendor) in draft.orders.shared.iter().zip(is_vendors) {
        let overrides = &shared.overrides;
        if *overrides != Default::default() {
            check_overrides(diagnostics, polling, overrides, &shared.override_spans);
        }
        let interval = cadence(&polling.overrides, overrides).interval;
        let at = shared.override_spans.interval(polling);
        if let Some(at) = at.filter(|at| is_vendor && interval < Cadence::INTERVAL && said.insert(*at)) {
            Diagnostic::warning("`interval` is shorter than the vendor allows", at)
                .label(plain(interval))
                .help(
                    "Sectigo asks for polling \"no more often than once every 3 hours\" and may block \
                     the whole account otherwise",
                )
                .add_to(diagnostics);
        }
    }
}

/// A form of answers that an account asks for and a product of its orders does not have, said once for each product.
fn responses(diagnostics: &Diagnostics<'_>, draft: &Draft, accounts: &[Option<usize>]) {
    let mut said: HashSet<(usize, Product)> = HashSet::new();
    for (index, (order, account)) in draft.orders.list.iter().zip(accounts).enumerate() {
        let Some(number) = *account else { continue };
        let written = &draft.accounts[number];
        let Some(response) = written.account.as_ref().and_then(|account| account.response) else { continue };
        let origin = &draft.orders.origins[index];
        let settings = &order.settings;
        let product = settings.product;
        if settings.response.is_some() || response.fits(product) || !said.insert((number, product)) {
            continue;
        }
        Diagnostic::warning(
            format!("`response` is not a format of product = \"{}\"", product.as_str()),
            written.response_at.unwrap_or(written.name_at),
        )
        .also(origin.name, format!("`{}` is requested in its product's default format", order.name))
        .help(format!("use one of {}", Response::fitting(product).join(", ")))
        .add_to(diagnostics);
    }
}

/// A call begins only if it is over for certain before the lease is.
fn lease(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let Some(fleet) = &draft.fleet else { return };
    let Some(Role::Collector(collector)) = fleet.fleet.as_ref().map(|fleet| &fleet.role) else { return };
    let calls = &draft.polling.calls;
    let Collector { lease, beat, margin, .. } = collector;
    let call = calls.request_timeout + calls.settle + *margin;
    let parts = format!(
        "request_timeout ({}), settle ({}) and margin ({})",
        plain(calls.request_timeout),
        plain(calls.settle),
        plain(*margin)
    );
    let accounts: Vec<&Account> = draft.accounts.iter().filter_map(|draft| draft.account.as_ref()).collect();
    let is_local = accounts.iter().all(|account| is_loopback(&account.base_url));
    let (least, help) = match is_local {
        true => (call + *beat, format!("beat ({}), {parts}: or no call may ever begin", plain(*beat))),
        false => {
            (call * 2, format!("twice {parts}: calls go on for half of it while the store does not answer"))
        }
    };
    if *lease < least {
        Diagnostic::error("`lease` is too short for the calls that it covers", fleet.lease_at)
            .label(plain(*lease))
            .help(format!("at least {}, which is {help}", plain(least)))
            .add_to(diagnostics);
    }
}

/// Hooks that wait for an installation, which a collector never does.
fn idle_hooks(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let is_idle = |hook: &Hook| hook.on.iter().all(|event| event.needs_installation());
    for hook::Draft { name, name_at, hook } in &draft.hooks {
        if hook.as_ref().is_some_and(is_idle) {
            Diagnostic::warning(format!("the hook `{name}` never runs on a collector"), *name_at)
                .help("a collector installs nothing; it may be on failed, expiring, revoked or recovered")
                .add_to(diagnostics);
        }
    }
}

/// What a follower's file must not say: it goes to all hosts, and holds no secret.
fn of_collectors(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let tables = ["polling", "reissues", "push"];
    let tables = tables.iter().filter_map(|name| Some((format!("[{name}]"), *draft.once.get(name)?)));
    let accounts = draft.accounts.iter().map(|account| ("an [[account]]".to_owned(), account.name_at));
    for (what, at) in tables.chain(accounts) {
        Diagnostic::error(format!("{what} on a follower"), at).help(COLLECTORS_HELP).add_to(diagnostics);
    }
}

fn folders(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let (state, install) = (draft.state_dir(), draft.install_dir());
    let what = if state == install {
        "`state_dir` and `install_dir` are the same folder"
    } else if state.starts_with(install) {
        "`state_dir` lies in `install_dir`"
    } else if install.starts_with(state) {
        "`install_dir` lies in `state_dir`"
    } else {
        return;
    };
    let help = format!("keep them apart; the defaults are {} and {}", Config::STATE_DIR, Config::INSTALL_DIR);
    let written = [&draft.state_dir, &draft.install_dir].map(|dir| dir.as_ref().map(|(_, at)| *at));
    let problem = match written {
        [Some(state), Some(install)] => Diagnostic::error(what, install).also(state, ""),
        [Some(at), None] | [None, Some(at)] => Diagnostic::error(what, at),
        [None, None] => Diagnostic::error(what, Span::whole(0)),
    };
    diagnostics.add(problem.help(help));
}

/// The order whose installed files a path is among, if it is.
fn installed<'a>(draft: &Draft, install: &Path, path: &'a Path) -> Option<&'a str> {
    let bytes = |path: &'a Path| path.as_os_str().as_encoded_bytes();
    if !bytes(path).starts_with(install.as_os_str().as_encoded_bytes()) {
        return None;
    }
    let inside = path.strip_prefix(install).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    // `.www` holds the generations of `www`.
    let name = first.strip_prefix('.').unwrap_or(first);
    draft.orders.has(name).then_some(name)
}

/// A key among the installed files would be gone with the next generation.
fn key_files(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    let install = draft.install_dir();
    let mut is_default_said = false;
    for (order, origin) in draft.orders.list.iter().zip(&draft.orders.origins) {
        if origin.inherits_key && is_default_said {
            continue;
        }
        for (what, path) in order.inputs() {
            if let Some(name) = installed(draft, install, path) {
                is_default_said |= origin.inherits_key;
                let default = draft.orders.default_key.filter(|_| origin.inherits_key);
                Diagnostic::error(
                    format!("the {what} of `{}` is among the installed files of `{name}`", order.name),
                    default.unwrap_or(origin.name),
                )
                .help("they are replaced with each new certificate; keep it elsewhere")
                .add_to(diagnostics);
            }
        }
    }
}

fn copies(diagnostics: &Diagnostics<'_>, draft: &Draft) {
    if draft.orders.copies.is_empty() {
        return;
    }
    let orders = &draft.orders;
    let path_of = |origin: &CopyOrigin| -> &Path {
        &orders.list[origin.order as usize].copies[origin.copy as usize].to
    };
    let kind_of = |origin: &CopyOrigin| orders.list[origin.order as usize].copies[origin.copy as usize].from;
    let name_of = |origin: &CopyOrigin| &orders.list[origin.order as usize].name;
    let mut sorted: Vec<&CopyOrigin> = orders.copies.iter().collect();
    // Stable, so of two equal paths the later one is reported. What lies below a path follows it directly.
    sorted.sort_by_key(|origin| path_of(origin));
    for pair in sorted.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if path_of(first) == path_of(second) {
            let what = format!("`{}` and `{}` write the same file", name_of(first), name_of(second));
            diagnostics.add(if first.to == second.to {
                Diagnostic::error("every order would write the same file", second.to)
                    .help("put {name} into the path, which stands for the order's name")
            } else {
                Diagnostic::error(what, second.to).again_after(first.to)
            });
        } else if path_of(second).starts_with(path_of(first)) {
            Diagnostic::error("one copy needs a folder where another writes a file", second.to)
                .also(first.to, "this is the file")
                .add_to(diagnostics);
        }
    }
    let mut said: HashSet<Span> = HashSet::new();
    let (state, install) = (draft.state_dir(), draft.install_dir());
    let inputs = inputs(diagnostics, draft);
    for origin in &orders.copies {
        let path = path_of(origin);
        let mut refuse = |what: String, help: &str| {
            // Many orders may have theirs from [defaults].
            if said.insert(origin.to) {
                Diagnostic::error(what, origin.to).help(help).add_to(diagnostics);
            }
        };
        if path.starts_with(state) || state.starts_with(path) {
            refuse("a copy conflicts with `state_dir`".to_owned(), ELSEWHERE);
        } else if install.starts_with(path) {
            refuse("a copy conflicts with `install_dir`".to_owned(), ELSEWHERE);
        } else if let Some(name) = installed(draft, install, path) {
            refuse(format!("a copy among the installed files of `{name}`"), ELSEWHERE);
        } else if let Some(input) = inputs.get(path) {
            match input {
                Input::Order(what, order, other) => {
                    let owner = origin.order as usize;
                    // With no other order's key, and with its own in it: HAProxy's one file.
                    let foreign = [Some(*order), *other].into_iter().flatten().find(|order| *order != owner);
                    let name = &orders.list[foreign.unwrap_or(owner)].name;
                    let key = &orders.list[owner].key;
                    let holds_it = kind_of(origin) == FileKind::Combined
                        && matches!(key, KeySource::Keys(paths) if paths.iter().any(|key| key == path));
                    if foreign.is_some() || !holds_it {
                        refuse(format!("a copy over the {what} of `{name}`"), ELSEWHERE);
                    } else if !key.is_one_file() {
                        refuse(format!("a copy over one of several key files of `{name}`"), ONE_KEY);
                    }
                }
                Input::Fleet(key) => refuse(format!("a copy over the {key} of [fleet]"), ELSEWHERE),
                Input::Other(what) => refuse(format!("a copy over {what}"), ELSEWHERE),
            }
        }
    }
}

/// A file that is read, and whose.
enum Input {
    /// The order, and another one that reads it as well.
    Order(&'static str, usize, Option<usize>),
    /// By the key of `[fleet]`.
    Fleet(&'static str),
    Other(&'static str),
}

fn inputs<'a>(diagnostics: &Diagnostics<'a>, draft: &'a Draft) -> HashMap<&'a Path, Input> {
    let mut inputs: HashMap<&Path, Input> = HashMap::new();
    inputs.extend(
        diagnostics.sources.iter().map(|source| (&*source.path, Input::Other("a file of the configuration"))),
    );
    for (index, order) in draft.orders.list.iter().enumerate() {
        for (what, path) in order.inputs() {
            match inputs.entry(path) {
                Entry::Vacant(free) => _ = free.insert(Input::Order(what, index, None)),
                Entry::Occupied(mut known) => match known.get_mut() {
                    Input::Order(_, first, other) if *first != index => *other = Some(index),
                    Input::Order(..) | Input::Fleet(_) | Input::Other(_) => {}
                },
            }
        }
    }
    for shared in &draft.orders.shared {
        if let Some(path) = &shared.settings.trust_anchors {
            inputs.insert(path, Input::Other("a file of trust_anchors"));
        }
    }
    for account in draft.accounts.iter().filter_map(|draft| draft.account.as_ref()) {
        if let Some(path) = &account.ca_file {
            inputs.insert(path, Input::Other("the ca_file of an account"));
        }
        if let Some(SecretSource::File(path)) = &account.password {
            inputs.insert(path, Input::Other("the password of an account"));
        }
    }
    if let Some(SecretSource::File(path)) = draft.push.as_ref().and_then(|(push, _)| push.password.as_ref()) {
        inputs.insert(path, Input::Other("the password of [push]"));
    }
    if let Some(fleet) = draft.fleet.as_ref().and_then(|draft| draft.fleet.as_ref()) {
        inputs.extend(fleet.files().map(|(key, path)| (path, Input::Fleet(key))));
        if let Some(SecretSource::File(path)) = fleet.password() {
            inputs.insert(path, Input::Fleet("password"));
        }
    }
    for hook in draft.hooks.iter().filter_map(|draft| draft.hook.as_ref()) {
        match &hook.action {
            Action::Run(arguments) => {
                // The first is the program; the others are its own affair.
                if let Some(program) = arguments.first() {
                    inputs.insert(Path::new(program), Input::Other("the program of a hook"));
                }
            }
            Action::Signal { pid_file, .. } => {
                inputs.insert(pid_file, Input::Other("the pid_file of a hook"));
            }
            Action::Http(call) => {
                for (part, source) in call.secrets() {
                    if let SecretSource::File(path) = source {
                        let what = match part {
                            CallPart::Url => "the url of a hook",
                            CallPart::Header(_) => "a header of a hook",
                            CallPart::Body => "the body of a hook",
                        };
                        inputs.insert(path, Input::Other(what));
                    }
                }
            }
            Action::Follow(companion) => {
                if let Some(report) = &companion.report {
                    inputs.insert(report, Input::Other("the report of a hook's companion"));
                }
            }
            Action::Socket(path) => {
                inputs.insert(path, Input::Other("the socket of a hook"));
            }
        }
    }
    inputs
}
