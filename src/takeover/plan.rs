//! The plan: each certificate that is served becomes an order, with its key, its number and its copies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::{FoundFile, Mention, Place, Problem, Role, Server, Survey, shown};
use crate::config::orders_csv::ListedOrder;
use certcollectd_core::api::order::OrderRef;
use certcollectd_core::cert::san::covers;
use certcollectd_core::cert::{Certificate, Fingerprint, SanName, chain};
use certcollectd_core::config::{Config, FileKind, Files, is_name, normal_domain};

/// Certificates that a chain is looked for in.
const MAX_POOL: usize = 30;
/// Characters of a name, with room for what makes it unique.
const NAME_CHARS: usize = 90;
/// Extended key usage of servers.
const SERVER: &str = "1.3.6.1.5.5.7.3.1";

/// What becomes of all that was found.
#[derive(Debug)]
pub struct Plan {
    /// By name.
    pub orders: Vec<Planned>,
    /// What is left alone, by place.
    pub left_alone: Vec<Problem>,
    /// Names in the list of those that fit nothing.
    pub unused: Vec<String>,
}

/// One order.
#[derive(Debug)]
pub struct Planned {
    pub name: String,
    /// Whether the configuration has it already.
    pub is_configured: bool,
    pub number: Number,
    pub leaf: Certificate,
    /// What its chain is built from.
    pub pool: Vec<Certificate>,
    pub domains: Vec<String>,
    pub key: Option<PathBuf>,
    /// Hook names that the server's reload may have.
    pub servers: BTreeSet<Server>,
    pub copies: Vec<PlannedCopy>,
    /// What the operator should know, a sentence each.
    pub notes: Vec<String>,
}

/// The order's number at the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    Known(String),
    /// And why, if there is more to say.
    Missing(Option<String>),
}

/// A file that is served, and stays where it is.
#[derive(Debug)]
pub struct PlannedCopy {
    pub from: FileKind,
    pub to: PathBuf,
    pub owner: String,
    pub group: String,
    pub mode: u32,
    /// Its bytes, where there is no key in it.
    pub content: Option<Vec<u8>>,
    pub place: Place,
}

/// Makes the plan. `config` is what is configured already, `installed` what its orders have, `account` whose the
/// numbers are, where there are several.
pub fn plan(
    survey: &Survey,
    config: Option<&Config>,
    installed: &BTreeMap<Fingerprint, String>,
    listed: &[ListedOrder],
    account: Option<&str>,
    unix: i64,
) -> Plan {
    let mut left_alone = survey.problems.clone();
    let mut groups: BTreeMap<(String, PathBuf), Group<'_>> = BTreeMap::new();
    let mut by_leaf: HashMap<Fingerprint, (String, PathBuf)> = HashMap::new();
    for (path, file) in &survey.files {
        if file.certificates.is_empty() || config.is_some_and(|config| is_ours(config, path, file)) {
            continue;
        }
        let leaf = match leaf_of(path, file, survey) {
            Ok(Some(leaf)) => leaf,
            Ok(None) => continue,
            Err(text) => {
                left_alone.push(Problem { place: first_place(path, file), text });
                continue;
            }
        };
        let is_plain = file.mentions.iter().all(|mention| mention.role == Role::Plain);
        if is_plain && file.has_text {
            let text = "there is other text beside its certificate, which would be lost; left alone, unless a server names \
                        it as its certificate";
            left_alone.push(Problem { place: whole(path), text: text.into() });
            continue;
        }
        let key =
            by_leaf.entry(leaf.fingerprint()).or_insert_with(|| (base_name(&leaf), path.clone())).clone();
        let group = groups.entry(key).or_insert_with(|| Group { leaf, files: Vec::new() });
        group.files.push((path, file));
    }
    let mut taken: BTreeSet<String> =
        config.iter().flat_map(|config| config.orders.iter().map(|order| order.name.to_string())).collect();
    let mut orders = Vec::new();
    // Of several with the same names, the one that is served, or else the newest, gets the plain name.
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by(|((base, path), group), ((other_base, other_path), other)| {
        let rank = |group: &Group<'_>| (!group.is_named(), std::cmp::Reverse(group.leaf.not_before()));
        base.cmp(other_base).then(rank(group).cmp(&rank(other))).then(path.cmp(other_path))
    });
    for ((base, first), group) in &groups {
        let known = config
            .and_then(|config| configured(config, group))
            .or_else(|| installed.get(&group.leaf.fingerprint()).cloned());
        match planned(group, survey, unix) {
            Ok(mut order) => {
                order.is_configured = known.is_some();
                order.name = known.unwrap_or_else(|| unique(base, &mut taken));
                orders.push(order);
            }
            Err(text) => {
                let (path, file) =
                    group.files.first().map_or((first, None), |(path, file)| (*path, Some(*file)));
                let place = file.map_or_else(|| whole(path), |file| first_place(path, file));
                left_alone.push(Problem { place, text });
            }
        }
    }
    let unused = give_numbers(&mut orders, listed);
    if let Some(config) = config {
        find_by_number(&mut orders, config, account);
    }
    // Without a number nothing says that an order stands behind it.
    orders.retain(|order| {
        let stays =
            order.is_configured || !order.leaf.is_self_issued() || matches!(order.number, Number::Known(_));
        if !stays {
            let place = order.copies.first().map_or_else(|| whole(Path::new("")), |copy| copy.place.clone());
            let text =
                "the certificate is self-signed, so no order stands behind it; if one does, list its number";
            left_alone.push(Problem { place, text: text.into() });
        }
        stays
    });
    chains(survey, &mut orders, &mut left_alone, unix);
    orders.sort_by(|a, b| a.name.cmp(&b.name));
    left_alone.sort();
    left_alone.dedup();
    Plan { orders, left_alone, unused }
}

/// The files that hold one certificate.
struct Group<'a> {
    leaf: Certificate,
    files: Vec<(&'a PathBuf, &'a FoundFile)>,
}

impl Group<'_> {
    fn is_named(&self) -> bool {
        self.files.iter().any(|(_, file)| file.mentions.iter().any(|mention| mention.server.is_some()))
    }
}

fn whole(path: &Path) -> Place {
    Place { file: path.to_owned(), line: 0 }
}

fn first_place(path: &Path, file: &FoundFile) -> Place {
    file.mentions.first().map_or_else(|| whole(path), |mention| mention.place.clone())
}

/// Whether certcollectd itself writes it.
fn is_ours(config: &Config, path: &Path, file: &FoundFile) -> bool {
    let leads = file.link.as_deref().is_some_and(|link| link.starts_with(&config.install_dir));
    path.starts_with(&config.install_dir) || leads
}

/// The server's certificate in a file; `None` where it only holds certificates of authorities.
fn leaf_of(path: &Path, file: &FoundFile, survey: &Survey) -> Result<Option<Certificate>, String> {
    let mut leaves = file.certificates.iter().filter(|certificate| !certificate.is_ca());
    let leaf = match (leaves.next(), leaves.next()) {
        (Some(leaf), None) => leaf,
        (Some(_), Some(_)) => {
            return Err(format!("{} holds certificates of several servers", shown(path)));
        }
        // `openssl req -x509` makes servers' certificates that say CA.
        (None, _) => match file.certificates.first() {
            Some(first) if first.is_self_issued() && key_of(first, file, survey).is_some() => first,
            _ => return Ok(None),
        },
    };
    if leaf.names().is_empty() || leaf.names().iter().all(|name| matches!(name, SanName::Email(_))) {
        return Err(format!("{}: the certificate names no server", shown(path)));
    }
    let usages = leaf.extended_key_usages();
    if !usages.is_empty() && !usages.iter().any(|usage| usage == SERVER) {
        return Err(format!("{}: the certificate is not for servers", shown(path)));
    }
    Ok(Some(leaf.clone()))
}

/// The file with the private key: the certificate's own, or else the one that is named next to it.
fn key_of(leaf: &Certificate, near: &FoundFile, survey: &Survey) -> Option<PathBuf> {
    let fits = |file: &FoundFile| file.keys.as_ref().is_some_and(|keys| keys.matches(leaf));
    let distance = |file: &FoundFile| {
        let pairs = file.mentions.iter().flat_map(|a| near.mentions.iter().map(move |b| (a, b)));
        let beside = |a, b| folder(a).is_some() && folder(a) == folder(b);
        let same = pairs.filter(|(a, b)| a.place.file == b.place.file || beside(a, b));
        same.map(|(a, b)| a.place.line.abs_diff(b.place.line)).min().unwrap_or(usize::MAX)
    };
    let fitting = survey.files.iter().filter(|(_, file)| fits(file));
    let own = |file: &FoundFile| !std::ptr::eq(file, near);
    fitting.min_by_key(|(path, file)| (own(file), distance(file), *path)).map(|(path, _)| path.clone())
}

fn folder(mention: &Mention) -> Option<&Path> {
    mention.place.file.parent().filter(|_| mention.server.is_none())
}

/// The first DNS name as the name of an order.
fn base_name(leaf: &Certificate) -> String {
    let name = leaf.names().iter().find(|name| matches!(name, SanName::Dns(_)));
    let name = name.or_else(|| leaf.names().first()).map(ToString::to_string).unwrap_or_default();
    let name = match name.strip_prefix("*.") {
        Some(rest) => format!("wildcard.{rest}"),
        None => name,
    };
    let safe = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => c,
        _ => '-',
    };
    let name: String = name.chars().map(safe).take(NAME_CHARS).collect();
    let name = name.trim_start_matches('.').to_owned();
    if is_name(&name) { name } else { "unnamed".into() }
}

fn unique(base: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = base.to_owned();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{base}-{number}");
    }
    name
}

/// The order of the configuration that writes one of the files already.
fn configured(config: &Config, group: &Group<'_>) -> Option<String> {
    let writes =
        |path: &Path| config.orders.iter().find(|order| order.copies.iter().any(|copy| copy.to == path));
    group.files.iter().find_map(|(path, _)| writes(path)).map(|order| order.name.to_string())
}

fn planned(group: &Group<'_>, survey: &Survey, unix: i64) -> Result<Planned, String> {
    let leaf = &group.leaf;
    let (first, near) = *group.files.first().ok_or("it is in no file")?;
    let key = key_of(leaf, near, survey);
    let mut notes = Vec::new();
    if leaf.not_after() < unix {
        notes.push("the certificate has expired; it is replaced with the next one".to_owned());
    }
    if leaf.not_before() > unix {
        notes.push("the certificate is not valid yet".to_owned());
    }
    if key.is_none() {
        if group.files.iter().any(|(_, file)| file.keys.is_some()) {
            return Err(format!("{}: the private key in it does not fit its certificate", shown(first)));
        }
        notes.push(
            "no private key for it was found, so new certificates are not compared with one; add key_file"
                .to_owned(),
        );
    }
    let domains: Vec<String> = {
        let names = leaf.names().iter().filter_map(|name| match name {
            SanName::Dns(_) | SanName::Ip(_) => normal_domain(&name.to_string()),
            SanName::Email(_) | SanName::Uri(_) => None,
        });
        let mut seen = BTreeSet::new();
        names.map(String::from).filter(|name| seen.insert(name.clone())).collect()
    };
    let mut servers = BTreeSet::new();
    let mut copies = Vec::new();
    let is_named = |file: &FoundFile| file.mentions.iter().any(|mention| mention.server.is_some());
    // Where servers name files, others with the same certificate are leftovers, or another program's.
    let any_is_named = group.files.iter().any(|(_, file)| is_named(file));
    for (path, file) in group.files.iter().filter(|(_, file)| is_named(file) || !any_is_named) {
        servers.extend(file.mentions.iter().filter_map(|mention| mention.server));
        let from = kind_of(path, file, survey);
        let mut mode = file.mode & Files::WIDEST_MODE;
        if mode != file.mode {
            notes.push(format!(
                "{} has mode {:04o}; it gets mode {mode:04o} when the files are next looked at",
                shown(path),
                file.mode
            ));
        }
        if from.holds_key() && mode & !Files::COMBINED_MODE != 0 {
            mode &= Files::COMBINED_MODE;
            notes.push(format!(
                "{} holds the private key and has mode {:04o}; it gets mode {mode:04o} when the files are next looked at",
                shown(path),
                file.mode
            ));
        }
        if file.has_parameters {
            notes.push(format!(
                "{} holds DH parameters; the next certificate is written without them, so name them elsewhere",
                shown(path)
            ));
        }
        if let Some(link) = &file.link {
            notes.push(format!(
                "{} is a link to {}; the next certificate takes its place as a file",
                shown(path),
                shown(link)
            ));
            notes.extend(certbot(path));
        }
        copies.push(PlannedCopy {
            from,
            to: (*path).clone(),
            owner: file.owner.clone(),
            group: file.group.clone(),
            mode,
            content: file.content.clone(),
            place: first_place(path, file),
        });
    }
    if let Some(path) = &key {
        notes.extend(acme(path.parent().unwrap_or_else(|| Path::new("/")), leaf));
    }
    notes.sort();
    notes.dedup();
    Ok(Planned {
        name: String::new(),
        is_configured: false,
        number: Number::Missing(None),
        leaf: leaf.clone(),
        pool: pool(leaf, near, survey),
        domains,
        key,
        servers,
        copies,
        notes,
    })
}

/// What a served file is made of.
fn kind_of(path: &Path, file: &FoundFile, survey: &Survey) -> FileKind {
    if file.keys.is_some() {
        return FileKind::Combined;
    }
    if file.certificates.len() > 1 {
        return FileKind::Fullchain;
    }
    let named = file.mentions.iter().filter(|mention| mention.role == Role::Certificate);
    let has_chain = |mention: &Mention| {
        survey.files.values().flat_map(|other| &other.mentions).any(|other| {
            other.role == Role::Chain
                && other.place.file == mention.place.file
                && other.block == mention.block
        })
    };
    let alone = |mention: &Mention| mention.server == Some(Server::Apache) && has_chain(mention);
    let is_alone = named.clone().next().is_some() && named.clone().all(alone);
    let is_plain = named.clone().next().is_none();
    let says_full = path.file_name().is_some_and(|name| name.to_string_lossy().contains("fullchain"));
    // A server that is told no intermediates needs them in this file, sooner or later.
    if is_alone || (is_plain && !says_full) { FileKind::Cert } else { FileKind::Fullchain }
}

/// The certificates of its file, then those that may be above it.
fn pool(leaf: &Certificate, near: &FoundFile, survey: &Survey) -> Vec<Certificate> {
    let mut pool: Vec<Certificate> = near.certificates.clone();
    let all = || survey.files.values().flat_map(|file| &file.certificates).filter(|known| known.is_ca());
    let mut wanted = vec![leaf.clone()];
    wanted.extend(pool.iter().cloned());
    while let Some(below) = wanted.pop() {
        for above in all().filter(|above| above.subject() == below.issuer()) {
            if pool.len() < MAX_POOL && !pool.contains(above) {
                pool.push(above.clone());
                wanted.push(above.clone());
            }
        }
    }
    pool
}

/// What ends certbot's work on a name: it would put its links back, or stop at what is none any more.
fn certbot(path: &Path) -> Option<String> {
    let lineage = path.parent()?;
    let live = lineage.parent()?;
    if live.file_name()? != "live" {
        return None;
    }
    let renewal = live.parent()?.join("renewal").join(format!("{}.conf", lineage.file_name()?.to_str()?));
    let shown = shown(&renewal);
    Some(format!("end certbot's renewal of it, which would fight over the link: mv {shown} {shown}.off"))
}

/// The same for acme.sh, whose directories are named for the domain.
fn acme(folder: &Path, leaf: &Certificate) -> Option<String> {
    let name = folder.file_name()?.to_str()?;
    let domain = name.strip_suffix("_ecc").unwrap_or(name);
    let home = folder.parent()?.file_name()?.to_str()?;
    if home != ".acme.sh" && home != "acme.sh" {
        return None;
    }
    let is_its = leaf.names().iter().any(|known| known.to_string() == domain);
    let ecc = if name == domain { "" } else { " --ecc" };
    is_its.then(|| {
        format!(
            "end acme.sh's renewal of it, which would write over the files: acme.sh --remove -d {domain}{ecc}"
        )
    })
}

/// Files with intermediates alone: a copy, where they belong to one order.
fn chains(survey: &Survey, orders: &mut [Planned], left_alone: &mut Vec<Problem>, unix: i64) {
    let built: HashMap<Fingerprint, Vec<Certificate>> = orders
        .iter()
        .map(|order| (order.leaf.fingerprint(), chain::build(&order.leaf, &order.pool, unix).intermediates))
        .collect();
    for (path, file) in &survey.files {
        if file.certificates.is_empty() || !file.certificates.iter().all(Certificate::is_ca) {
            continue;
        }
        let belongs = |order: &Planned| {
            order.copies.iter().any(|copy| {
                let Some(certificate) = survey.files.get(&copy.to) else { return false };
                let mut pairs =
                    file.mentions.iter().flat_map(|a| certificate.mentions.iter().map(move |b| (a, b)));
                pairs.any(|(chain, other)| match chain.role {
                    Role::Chain => {
                        other.role == Role::Certificate
                            && chain.place.file == other.place.file
                            && chain.block == other.block
                    }
                    // Anything else beside a certificate is somebody's: a trust anchor, or a bundle of them.
                    Role::Plain => {
                        order.servers.is_empty()
                            && !file.has_text
                            && path.parent() == copy.to.parent()
                            && built.get(&order.leaf.fingerprint()) == Some(&file.certificates)
                    }
                    Role::Certificate | Role::Key => false,
                })
            })
        };
        let mut owners: Vec<&mut Planned> = orders.iter_mut().filter(|order| belongs(order)).collect();
        let is_named = file.mentions.iter().any(|mention| mention.role == Role::Chain);
        match &mut owners[..] {
            [order] => {
                if let Some(link) = &file.link {
                    order.notes.push(format!(
                        "{} is a link to {}; the next certificate takes its place as a file",
                        shown(path),
                        shown(link)
                    ));
                }
                let pool = file.certificates.iter().filter(|part| !order.pool.contains(part)).cloned();
                let pool: Vec<Certificate> = pool.collect();
                order.pool.extend(pool);
                order.copies.push(PlannedCopy {
                    from: FileKind::Chain,
                    to: path.clone(),
                    owner: file.owner.clone(),
                    group: file.group.clone(),
                    mode: file.mode & Files::WIDEST_MODE,
                    content: file.content.clone(),
                    place: first_place(path, file),
                });
            }
            owners if is_named => {
                let text = match owners.len() {
                    0 => format!("{}: intermediates of no certificate that is taken over", shown(path)),
                    several => format!(
                        "{}: intermediates of {several} orders; left alone, so let each server read its own fullchain",
                        shown(path)
                    ),
                };
                left_alone.push(Problem { place: first_place(path, file), text });
            }
            _ => {}
        }
    }
}

/// Numbers by the names of orders, else by the names in the certificates. What is unclear is said, and none is taken.
fn give_numbers(orders: &mut [Planned], listed: &[ListedOrder]) -> Vec<String> {
    let names: Vec<BTreeSet<&str>> =
        listed.iter().map(|row| row.domains.iter().map(String::as_str).collect()).collect();
    let covered: Vec<BTreeSet<String>> =
        orders.iter().map(|order| order.domains.iter().cloned().collect()).collect();
    // Whether an order, by its place, is the one that a row, by its place, means.
    let fits = |order: usize, name: &str, row: usize| {
        let (wanted, ours) = (&listed[row].name, &covered[order]);
        match names[row].is_empty() {
            true => wanted == name || ours.len() == 1 && ours.contains(wanted),
            false => ours.len() == names[row].len() && ours.iter().all(|name| names[row].contains(&**name)),
        }
    };
    let by_name: HashMap<String, usize> =
        orders.iter().enumerate().map(|(at, order)| (order.name.clone(), at)).collect();
    let mut fitting: Vec<Vec<usize>> = vec![Vec::new(); orders.len()];
    let mut meant: Vec<Vec<usize>> = vec![Vec::new(); listed.len()];
    for (row, entry) in listed.iter().enumerate() {
        let own = by_name.get(&entry.name).filter(|at| fits(**at, &entry.name, row));
        let all = || (0..orders.len()).filter(|at| fits(*at, &orders[*at].name, row)).collect();
        meant[row] = own.map_or_else(all, |at| vec![*at]);
        meant[row].iter().for_each(|at| fitting[*at].push(row));
    }
    for (at, rows) in fitting.iter().enumerate() {
        let name = &orders[at].name;
        let own: Vec<usize> = rows.iter().copied().filter(|row| listed[*row].name == *name).collect();
        let rows = if own.is_empty() { rows } else { &own };
        orders[at].number = match rows[..] {
            [] => Number::Missing(None),
            [row] if meant[row].len() > 1 => {
                let others = meant[row].iter().filter(|other| **other != at);
                let others: Vec<&str> = others.map(|other| &*orders[*other].name).collect();
                Number::Missing(Some(format!(
                    "{} in the list has the names of this order and of {}; write the order's name in its first column",
                    listed[row].name,
                    others.join(", ")
                )))
            }
            [row] => Number::Known(listed[row].order_number.clone()),
            _ => {
                let several: Vec<&str> = rows.iter().map(|row| &*listed[*row].name).collect();
                Number::Missing(Some(format!(
                    "{} in the list have its names; write {name} in the first column of the right one",
                    several.join(" and ")
                )))
            }
        };
    }
    let unused = listed.iter().zip(&meant).filter(|(_, meant)| meant.is_empty());
    unused.map(|(row, _)| row.name.clone()).collect()
}

/// An order that is configured under the number already, as `init` writes it, gets no second entry.
fn find_by_number(orders: &mut [Planned], config: &Config, account: Option<&str>) {
    let mut known: BTreeSet<String> =
        orders.iter().filter(|order| order.is_configured).map(|order| order.name.clone()).collect();
    for order in orders.iter_mut().filter(|order| !order.is_configured) {
        let Number::Known(number) = &order.number else { continue };
        let same = config.orders.iter().find(|configured| {
            matches!(&configured.handle, OrderRef::OrderNumber(text) if **text == **number)
                && account.is_none_or(|account| *configured.account == *account)
                && configured.domains.iter().all(|domain| covers(order.leaf.names(), domain))
        });
        if let Some(configured) = same.filter(|configured| known.insert(configured.name.to_string())) {
            order.is_configured = true;
            order.name = configured.name.to_string();
        }
    }
}
