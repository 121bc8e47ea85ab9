//! `[fleet]`, and what it makes of orders.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::secret;
use crate::config::address::{has_user_info, is_loopback, store_endpoint};
use crate::config::keys;
use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::value::{
    DURATION_HELP, LONGEST, NAME_HELP, SHORTEST, did_you_mean, duration, file_path, plain, prefix, shown,
    wave_share,
};
use certcollectd_core::config::Fleet;
use certcollectd_core::config::fleet::{ClientCert, Collector, Reach, Role, StoreKind, StoreLogin, Wave};
use certcollectd_core::config::name::name;

/// Longer, and no other collector would take over for days.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);
/// A beat and its answer take some milliseconds.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);
/// Most of [`Wave::at_once`].
pub(crate) const MOST_AT_ONCE: u32 = 100_000;
/// So many beats fit into a lease at least: some may be lost.
const BEATS: u32 = 4;

const GROUPS_HELP: &str = "names of groups of hosts, such as groups = [\"web-eu\"]";
const WAVE_HELP: &str = "hosts = [\"web-001\"] for some by name, or share = 0.1 for a tenth of all";

/// What is written in a follower's [[order]] or file, and is the collectors'.
pub(crate) const COLLECTORS_HELP: &str =
    "a follower holds no credential of the vendor and never calls it; this belongs to the collectors";

/// What this host does with its orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Part {
    /// There is no `[fleet]`.
    #[default]
    Alone,
    /// There is one that does not say it, or could not be read: what depends on it is not checked.
    Unknown,
    Collector,
    Follower,
}

/// `[fleet]` as far as it could be read.
pub(crate) struct Draft {
    pub(crate) part: Part,
    /// Nothing where they could not be read; empty where none are given.
    groups: Option<Box<[Arc<str>]>>,
    /// The lease, or the table.
    pub(crate) lease_at: Span,
    /// Nothing where a part of it is wrong.
    pub(crate) fleet: Option<Fleet>,
}

/// What an order needs to know of `[fleet]`.
#[derive(Default)]
pub(crate) struct Membership {
    pub(crate) part: Part,
    groups: Option<Box<[Arc<str>]>>,
}

impl Membership {
    /// `has_gap` says that a part of the table may be missing.
    pub(crate) fn new(draft: Option<Draft>, has_gap: bool) -> Membership {
        match draft {
            Some(Draft { part, groups, .. }) => {
                Membership { part, groups: groups.filter(|groups| !has_gap || !groups.is_empty()) }
            }
            None if has_gap => Membership { part: Part::Unknown, groups: None },
            None => Membership::default(),
        }
    }

    /// `group` of an order, or of `[defaults]` where it has no name; `is_open` says that it may be said where nothing
    /// could be read.
    pub(crate) fn group(
        &self,
        order: &Table<'_>,
        order_name: Option<&str>,
        is_open: bool,
    ) -> Option<Arc<str>> {
        let item = order.get("group");
        let written = item.and_then(|item| item.parse(NAME_HELP, |text| name(text).map(|()| text)));
        let groups = self.groups.as_deref();
        match (self.part, item) {
            (Part::Alone, Some(item)) => {
                Diagnostic::error("`group` without `[fleet]`", item.key_at)
                    .help("a group is of hosts that share certificates; add [fleet], or remove it")
                    .add_to(order.diagnostics());
                None
            }
            (Part::Alone, None) => None,
            (Part::Unknown, _) => written.map(Arc::from),
            (Part::Collector | Part::Follower, Some(item)) => {
                let (written, groups) = (written?, groups?);
                let known = groups.iter().find(|group| ***group == *written);
                if known.is_none() && !groups.is_empty() {
                    let names = groups.iter().map(|group| &**group);
                    Diagnostic::error(format!("there is no group with the name {}", shown(written)), item.at)
                        .label(did_you_mean(written, names))
                        .help(format!("`groups` of [fleet] are {}", groups.join(", ")))
                        .add_to(order.diagnostics());
                }
                Some(known.cloned().unwrap_or_else(|| written.into()))
            }
            (Part::Collector | Part::Follower, None) => match groups? {
                [only] => Some(only.clone()),
                several => {
                    if let Some(name) = order_name.filter(|_| !is_open) {
                        let example = several.first().map_or("web", |group| group);
                        Diagnostic::error(format!("the order `{name}` does not say which group"), order.at)
                            .help(format!("add the group of hosts that install it: group = {example:?}"))
                            .add_to(order.diagnostics());
                    }
                    None
                }
            },
        }
    }
}

pub(crate) fn fleet(table: &Table<'_>) -> Draft {
    let [collector, follower] = Role::WORDS;
    let part = table
        .need("role", "what this host does: role = \"collector\" or role = \"follower\"")
        .and_then(|item| item.word(&[(collector, Part::Collector), (follower, Part::Follower)]))
        .unwrap_or(Part::Unknown);
    let groups = groups(table, part);
    let collector = collector_keys(table);
    let role = match part {
        Part::Collector => collector.map(Role::Collector),
        Part::Follower => {
            note_collector_keys(table);
            Some(Role::Follower)
        }
        Part::Alone | Part::Unknown => None,
    };
    let lease_at = table.get("lease").map_or(table.at, |item| item.at);
    let fleet = rest(table, role, groups.clone());
    Draft { part, groups, lease_at, fleet }
}

/// All of it but the role's own; nothing where something is wrong.
fn rest(table: &Table<'_>, role: Option<Role>, groups: Option<Box<[Arc<str>]>>) -> Option<Fleet> {
    let host = table.parse("name", NAME_HELP, |text| name(text).map(|()| text.into()));
    let kinds = StoreKind::ALL.map(|kind| (kind.as_str(), kind));
    let store =
        table.need("store", "which one holds what is shared: store = \"etcd\" or store = \"postgres\"");
    let store = store.and_then(|item| item.word(&kinds));
    let endpoints = endpoints(table, store);
    let file = |name| table.parse(name, "the path of a PEM file", file_path);
    let ca_file = file("ca_file");
    let client_cert = client_cert(table, file("cert_file"), file("key_file"));
    let (user, password) = secret::login(table, ["user", "password"]);
    let prefix = table.parse("prefix", "such as \"certcollectd/main/\"", prefix);
    Some(Fleet {
        name: host,
        role: role?,
        groups: groups?,
        store: store?,
        endpoints: endpoints?,
        ca_file,
        client_cert,
        login: user.zip(password).map(|(user, password)| StoreLogin { user, password }),
        prefix: prefix.unwrap_or_else(|| Fleet::PREFIX.into()),
    })
}

fn groups(table: &Table<'_>, part: Part) -> Option<Box<[Arc<str>]>> {
    let item = match part {
        Part::Follower => table.need("groups", GROUPS_HELP)?,
        Part::Alone | Part::Unknown | Part::Collector => match table.get("groups") {
            Some(item) => item,
            None => return Some(Box::default()),
        },
    };
    if item.is_empty_list() {
        item.refuse("is an empty list", GROUPS_HELP);
        return None;
    }
    let groups = names(&item, GROUPS_HELP)?;
    Some(groups.into_iter().map(Arc::from).collect())
}

/// A list of names; nothing where one of them is wrong.
fn names<'a>(item: &Item<'a>, help: &str) -> Option<Vec<&'a str>> {
    let mut is_read = item.elements().is_some();
    let names = item.list(help, |element| {
        let name = element.parse(NAME_HELP, |text| name(text).map(|()| text));
        is_read &= name.is_some();
        name
    });
    is_read.then_some(names)
}

fn endpoints(table: &Table<'_>, store: Option<StoreKind>) -> Option<Box<[Box<str>]>> {
    let help = match store {
        Some(StoreKind::Postgres) => "such as endpoints = [\"postgres://10.0.0.1:5432/certcollectd\"]",
        Some(StoreKind::Etcd) | None => {
            "such as endpoints = [\"https://10.0.0.1:2379\"], one for each member"
        }
    };
    let item = table.need("endpoints", help)?;
    if item.is_empty_list() {
        item.refuse("is an empty list", help);
        return None;
    }
    let mut is_read = item.elements().is_some();
    let endpoints = item.list(help, |element| {
        if element.value.as_str().is_some_and(has_user_info) {
            element.hide();
        }
        // Which form is right is not known.
        let Some(store) = store else { return element.text(help).map(Box::from) };
        let endpoint = element.parse(help, |text| store_endpoint(text, store));
        is_read &= endpoint.is_some();
        let endpoint = endpoint?;
        if endpoint.starts_with("http://") && !is_loopback(&endpoint) {
            Diagnostic::warning("the store is reached without TLS", element.at)
                .help("its password crosses the network in the clear, and anybody on the way can change what it \
                       says; use https://")
                .add_to(element.diagnostics());
        }
        Some(endpoint)
    });
    is_read.then(|| endpoints.into())
}

fn client_cert(table: &Table<'_>, cert: Option<PathBuf>, key: Option<PathBuf>) -> Option<ClientCert> {
    let [cert_item, key_item] = ["cert_file", "key_file"].map(|name| table.get(name));
    let (one, other) = match (cert_item, key_item) {
        (Some(one), None) => (one, "key_file"),
        (None, Some(one)) => (one, "cert_file"),
        (Some(_), Some(_)) | (None, None) => {
            return cert.zip(key).map(|(cert_file, key_file)| ClientCert { cert_file, key_file });
        }
    };
    Diagnostic::error(format!("`{}` without `{other}`", one.name), one.key_at)
        .help("a client certificate needs both; omit both if the store asks for none")
        .add_to(table.diagnostics());
    None
}

const COLLECTOR_KEYS: [&str; 4] = ["lease", "beat", "margin", "wave"];

fn note_collector_keys(table: &Table<'_>) {
    for item in COLLECTOR_KEYS.into_iter().filter_map(|name| table.get(name)) {
        Diagnostic::error(format!("`{}` on a follower", item.name), item.key_at)
            .help("it is the collectors' to say; remove it")
            .add_to(table.diagnostics());
    }
}

/// `lease`, `beat`, `margin` and `wave`; nothing where something is wrong.
fn collector_keys(table: &Table<'_>) -> Option<Collector> {
    let wait = |name, least, most, default| match table.get(name) {
        Some(item) => item.parse(DURATION_HELP, |text| duration(text, least, most)),
        None => Some(default),
    };
    let lease = wait("lease", SHORTEST_LEASE, LONGEST_LEASE, Collector::LEASE);
    let longest = lease.unwrap_or(LONGEST_LEASE) / BEATS;
    // A short lease, given alone, shortens the beat as well.
    let beat = wait("beat", SHORTEST, LONGEST, Collector::BEAT.min(longest));
    let margin = wait("margin", SHORTEST, LONGEST_LEASE, Collector::MARGIN);
    if let (Some(beat), Some(item)) = (beat.filter(|beat| *beat > longest), table.get("beat")) {
        Diagnostic::error("`beat` is longer than a quarter of `lease`", item.at)
            .label(plain(beat))
            .help(format!("at most {}: a beat that is lost must not end the lease", plain(longest)))
            .add_to(table.diagnostics());
    }
    let waves = waves(table);
    Some(Collector { lease: lease?, beat: beat?, margin: margin?, waves: waves? })
}

/// Nothing where one of them is wrong.
fn waves(table: &Table<'_>) -> Option<Box<[Wave]>> {
    let Some(item) = table.get("wave") else { return Some(Collector::default().waves) };
    if item.is_empty_list() {
        item.refuse("is an empty list", "omit it, and all hosts are one wave");
        return None;
    }
    let mut waves: Vec<Option<Wave>> = Vec::new();
    let mut last: Option<(u16, Span)> = None;
    table.tables("wave", &keys::WAVE, |table| {
        let wave = wave(table);
        if let (Some(Wave { reach: Reach::Share { permille }, .. }), Some(share)) =
            (&wave, table.get("share"))
        {
            if let Some((_, at)) = last.filter(|(before, _)| before > permille) {
                Diagnostic::error("a wave is smaller than the one before it", share.at)
                    .also(at, "this is more")
                    .help("a share counts the hosts of the waves before, too")
                    .add_to(table.diagnostics());
            }
            last = Some((*permille, share.at));
        }
        waves.push(wave);
    });
    let waves: Vec<Wave> = waves.into_iter().collect::<Option<_>>()?;
    if !waves.last().is_some_and(|wave| wave.reach == Reach::Share { permille: Reach::WHOLE }) {
        Diagnostic::error("the last wave does not reach all hosts", item.at)
            .help("some would never get a certificate; end with { share = 1.0 }")
            .add_to(table.diagnostics());
        return None;
    }
    Some(waves.into())
}

fn wave(table: &Table<'_>) -> Option<Wave> {
    let soak = table.parse("soak", DURATION_HELP, |text| duration(text, Duration::ZERO, LONGEST));
    let at_once = table.get("at_once").map(|item| item.count(MOST_AT_ONCE));
    // Both are looked at, though one of them is too many.
    let [hosts, share] = ["hosts", "share"].map(|name| table.get(name));
    let hosts = hosts.and_then(|item| {
        if item.is_empty_list() {
            item.refuse("is an empty list", WAVE_HELP);
            return None;
        }
        Some(Reach::Hosts(
            names(&item, "names of hosts, such as hosts = [\"web-001\"]")?
                .into_iter()
                .map(Box::from)
                .collect(),
        ))
    });
    let share = share.and_then(|item| {
        let Some(share) = item.as_number() else {
            item.wrong_type("a number", "write it without quotes, such as share = 0.1");
            return None;
        };
        let permille = wave_share(share).map_err(|wrong| item.refuse(&wrong.what, wrong.help)).ok()?;
        Some(Reach::Share { permille })
    });
    table.one_of(&keys::WAVE.one_of(), WAVE_HELP)?;
    let at_once = match at_once {
        Some(read) => Some(read?),
        None => None,
    };
    Some(Wave { reach: hosts.or(share)?, soak: soak.unwrap_or_default(), at_once })
}
