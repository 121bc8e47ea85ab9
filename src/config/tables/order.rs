//! `[[order]]`: reading one, and keeping 100,000 of them small.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::defaults::Defaults;
use super::fleet::{COLLECTORS_HELP, Membership, Part};
use super::polling::{CadenceOverrides, OverrideSpans, Polling, cadence, overrides};
use super::{account, output, params, probe, reissue};
use crate::config::keys;
use crate::config::parse::diagnostic::{Diagnostic, Span};
use crate::config::parse::reader::{Item, Table};
use crate::config::placeholder::order_path;
use crate::config::value::{self, DURATION_HELP, LONGEST, NAME_HELP, duration};
use certcollectd_core::api::{OrderRef, Product, Response};
use certcollectd_core::config::name::{domain, email};
use certcollectd_core::config::{
    Cadence, FileCopy, KeySource, Order, OrderSettings, Own, Policy, Probe, Severity, follower_policy,
    standard_policy,
};

/// Digits of a `certificateID` (CollectSSL, request parameters).
const CERTIFICATE_ID_DIGITS: usize = 16;

/// Digits of a `baseOrderNumber`, which the vendor calls an integer without saying how long.
const BASE_ORDER_DIGITS: usize = 128;

/// All orders that were read, and what is needed to check them against each other.
#[derive(Default)]
pub(crate) struct Orders {
    /// Their accounts and cadences are filled in by [`Orders::settle`].
    pub(crate) list: Vec<Order>,
    /// One for each of `list`.
    pub(crate) origins: Vec<Origin>,
    pub(crate) copies: Vec<CopyOrigin>,
    /// One for each set of settings that occurs.
    pub(crate) shared: Vec<Shared>,
    /// How many `[[order]]` tables there were, the unreadable ones included.
    pub(crate) tables: usize,
    /// Whether an order names hooks that could not be read.
    pub(crate) has_unread_hooks: bool,
    /// Whether an order names windows that could not be read.
    pub(crate) has_unread_windows: bool,
    /// The account that `[defaults]` names.
    pub(crate) default_account: Option<(Arc<str>, Span)>,
    /// Where `[defaults]` names a key.
    pub(crate) default_key: Option<Span>,
    /// What `[fleet]` makes of them.
    pub(crate) fleet: Membership,
    known: HashMap<(Arc<OrderSettings>, CadenceOverrides), u32>,
    by_name: HashMap<Arc<str>, Span>,
    words: HashSet<Arc<str>>,
}

/// Where an order was written.
pub(crate) struct Origin {
    pub(crate) name: Span,
    pub(crate) handle: Span,
    /// Nothing where the order names no account.
    pub(crate) account: Option<Span>,
    /// Index into [`Orders::shared`].
    pub(crate) settings: u32,
    /// Whether its key is that of `[defaults]`.
    pub(crate) inherits_key: bool,
}

/// What an order says besides its name and number.
struct Body<'a> {
    product: Product,
    account: Option<&'a str>,
    own: Own,
    inherits_key: bool,
    /// Where each of its copies was written.
    copies: Vec<Span>,
    /// Index into [`Orders::shared`].
    settings: u32,
}

/// Where an `[[order.copy]]` was written: indices of the order and of its copy.
pub(crate) struct CopyOrigin {
    pub(crate) order: u32,
    pub(crate) copy: u32,
    pub(crate) to: Span,
}

/// A set of settings, and where the first order wrote it that has them.
pub(crate) struct Shared {
    /// With the default cadence: `[polling]` may stand below the orders.
    pub(crate) settings: Arc<OrderSettings>,
    pub(crate) overrides: CadenceOverrides,
    pub(crate) override_spans: OverrideSpans,
    pub(crate) hooks: Vec<Span>,
    pub(crate) windows: Vec<Span>,
    pub(crate) dcv_hook: Option<Span>,
}

impl Orders {
    /// What `[defaults]` says: wrong or not, whatever the orders make of it.
    pub(crate) fn read_defaults(&mut self, defaults: &Defaults<'_>) {
        let Some(order) = &defaults.order else { return };
        let table = order.absent(&keys::ORDER).over(Some(order));
        self.body(&table, defaults, None);
        self.default_account =
            table.get("account").and_then(|item| Some((item.value.as_str()?.into(), item.at)));
        self.default_key = KEY_KEYS.into_iter().find_map(|name| table.get(name)).map(|item| item.at);
    }

    pub(crate) fn read<'a>(&mut self, table: &Table<'a>, defaults: &'a Defaults<'a>) {
        self.tables += 1;
        let table = &table.over(defaults.order.as_ref());
        let help = "a name of your own, such as name = \"www\"; it names the folder";
        let (name, name_at) = table.name(help);
        if let Some(name) = &name {
            self.note_name(table, name, name_at);
        }
        let body = self.body(table, defaults, name.as_deref());
        // A follower's has none: the vendor's word for it stays with the collectors.
        let has_number = match self.fleet.part {
            Part::Alone | Part::Collector => true,
            Part::Unknown => keys::ORDER.one_of().into_iter().any(|name| table.own(name).is_some()),
            Part::Follower => false,
        };
        let handle = match has_number {
            true => handle(table, body.product, table.get("product")),
            false => name.as_deref().map(|name| (OrderRef::OrderNumber(name.into()), name_at)),
        };
        // Whatever is missing here was said above, and there will be no configuration.
        let (Some(name), Some((handle, handle_at))) = (name, handle) else { return };
        let account_at =
            table.get("account").filter(|_| self.fleet.part != Part::Follower).map(|item| item.at);
        if account_at.is_some() && body.account.is_none() {
            return;
        }
        let order = self.list.len() as u32;
        let copies = body.copies.iter().zip(0..);
        self.copies.extend(copies.map(|(to, copy)| CopyOrigin { order, copy, to: *to }));
        self.origins.push(Origin {
            name: name_at,
            handle: handle_at,
            account: account_at,
            settings: body.settings,
            inherits_key: body.inherits_key,
        });
        let account = self.word(body.account.unwrap_or_default());
        let settings = self.shared[body.settings as usize].settings.clone();
        self.list.push(Order { name, account, handle, own: body.own.into(), settings });
    }

    /// All that an order says besides its name and number. Without a name it is that of `[defaults]`.
    fn body<'a>(&mut self, table: &Table<'a>, defaults: &'a Defaults<'a>, name: Option<&str>) -> Body<'a> {
        let product_item = table.get("product");
        let product = product_item
            .and_then(|item| item.word(&Product::ALL.map(|product| (product.as_str(), product))))
            .unwrap_or(Product::Ssl);
        // The orders of `[defaults]` may be of any.
        let is_any = name.is_none() && product_item.is_none();
        let part = self.fleet.part;
        note_other_hosts(table, part);
        let account = table.get("account").and_then(|item| item.text(NAME_HELP));
        let read_name = |element: &Item<'_>| {
            if is_any { element.text("a name in quotes").map(Box::from) } else { covered(element, product) }
        };
        let domains: Box<[Box<str>]> =
            table.get("domains").map(|item| item.list(DOMAINS_HELP, read_name)).unwrap_or_default().into();
        // What may be said elsewhere is not missed here.
        let is_open = name.is_none() || defaults.has_gap;
        // What is written and cannot be read was said above; that it is missing would be no news.
        let has_domains =
            !domains.is_empty() || table.get("domains").is_some_and(|item| !item.is_empty_list());
        let [key_file, csr_file] = key_items(table);
        let has_key = is_open || key_file.is_some();
        let has_any_key = has_key || csr_file.is_some();
        let inherits_key = key_file.or(csr_file).is_some_and(|item| item.is_inherited);

        let (overrides, override_spans) = overrides(table);
        // A collector installs nothing.
        let installs = part != Part::Collector;
        let files = table.table_over("files", &keys::FILES, defaults.files.as_ref()).filter(|_| installs);
        let verify = table.table_over("verify", &keys::VERIFY, defaults.verify.as_ref());
        let (hooks, hook_spans) = self.hooks(table);
        let (windows, window_spans) = if installs { self.windows(table) } else { Default::default() };
        let margin =
            table.parse("window_margin", DURATION_HELP, |text| duration(text, Duration::ZERO, LONGEST));
        let standard = match part {
            Part::Follower => follower_policy(),
            Part::Alone | Part::Unknown | Part::Collector => standard_policy(product),
        };
        let (verify, trust_anchors) = verify
            .map(|table| output::verify(&table, standard, product, has_any_key, has_domains || is_open, name))
            .unwrap_or((standard, None));
        if part == Part::Follower
            && let Some(name) = name
        {
            note_trust(table, &verify, trust_anchors.is_some(), product, name);
        }
        let has = reissue::Has {
            csr_file: is_open || csr_file.is_some(),
            key_file: has_key,
            wildcard: domains.iter().any(|domain| domain.starts_with("*.")),
        };
        let is_own = table.own("reissue").is_some();
        let reissue = table
            .table_over("reissue", &keys::REISSUE, defaults.reissue.as_ref())
            .and_then(|table| reissue::reissue(&table, product, has, is_own, name));
        let (reissue, dcv_hook) = reissue.unzip();
        let group = self.fleet.group(table, name, is_open);
        let settings = OrderSettings {
            product,
            cadence: Cadence::default(),
            response: response(table, (!is_any).then_some(product)),
            params: params::params(table),
            files: files.map(|table| output::files(&table, has_key, name)).unwrap_or_default(),
            verify,
            trust_anchors,
            hooks,
            probes: if installs { probes(table, product, name) } else { Box::default() },
            windows: windows.into(),
            window_margin: margin.unwrap_or(OrderSettings::WINDOW_MARGIN),
            reissue,
            group: group.map(|group| self.word(&group)),
        };
        let copy_keys = if table.own("copy").is_some() { &keys::COPY } else { &keys::DEFAULTS_COPY };
        let mut copies: Vec<(FileCopy, Span)> = Vec::new();
        if installs {
            table.tables("copy", copy_keys, |copy| copies.extend(output::copy(copy, table, has_key, name)));
        }
        let (key, csr_file) = key(key_file, csr_file, name);
        let spans = (hook_spans, window_spans, dcv_hook.flatten());
        let settings = self.share(settings, overrides, override_spans, spans);
        let (copies, spans): (Vec<_>, _) = copies.into_iter().unzip();
        let own = Own { domains, key, csr_file, copies: copies.into() };
        Body { product, account, own, inherits_key, copies: spans, settings }
    }

    fn note_name(&mut self, table: &Table<'_>, name: &Arc<str>, at: Span) {
        let first = *self.by_name.entry(name.clone()).or_insert(at);
        if first != at {
            Diagnostic::error(format!("two orders with the name `{name}`"), at)
                .again_after(first)
                .help("the name is also the order's folder, so it must be unique")
                .add_to(table.diagnostics());
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    fn hooks(&mut self, table: &Table<'_>) -> (Vec<Arc<str>>, Vec<Span>) {
        let (hooks, spans, is_read) =
            self.names(table, "hooks", "names of hooks, such as hooks = [\"nginx\"]");
        self.has_unread_hooks |= !is_read;
        (hooks, spans)
    }

    fn windows(&mut self, table: &Table<'_>) -> (Vec<Arc<str>>, Vec<Span>) {
        let help = "names of [[window]] tables, such as windows = [\"night\"]";
        let (windows, spans, is_read) = self.names(table, "windows", help);
        self.has_unread_windows |= !is_read;
        (windows, spans)
    }

    /// Names of other tables, and whether all of them could be read.
    fn names(
        &mut self,
        table: &Table<'_>,
        key: &'static str,
        help: &str,
    ) -> (Vec<Arc<str>>, Vec<Span>, bool) {
        let Some(item) = table.get(key) else { return (Vec::new(), Vec::new(), true) };
        let mut spans = Vec::new();
        let names = item.list(help, |element| {
            let name = element.text("a name in quotes")?;
            spans.push(element.at);
            Some(self.word(name))
        });
        let is_read = item.elements().is_some_and(|elements| elements.len() == spans.len());
        (names, spans, is_read)
    }

    /// One `Arc` for each name, however many orders use it.
    fn word(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.words.get(text) {
            return known.clone();
        }
        let word: Arc<str> = text.into();
        self.words.insert(word.clone());
        word
    }

    fn share(
        &mut self,
        settings: OrderSettings,
        overrides: CadenceOverrides,
        override_spans: OverrideSpans,
        (hooks, windows, dcv_hook): (Vec<Span>, Vec<Span>, Option<Span>),
    ) -> u32 {
        // Neighbours are mostly alike.
        if let Some(last) = self.origins.last().map(|origin| origin.settings)
            && let known = &self.shared[last as usize]
            && *known.settings == settings
            && known.overrides == overrides
        {
            return last;
        }
        let settings = Arc::new(settings);
        let next = self.shared.len() as u32;
        let index = *self.known.entry((settings.clone(), overrides)).or_insert(next);
        if index == next {
            self.shared.push(Shared { settings, overrides, override_spans, hooks, windows, dcv_hook });
        }
        index
    }

    /// The finished orders. `accounts` holds one name for each.
    pub(crate) fn settle(self, polling: &Polling, accounts: impl Iterator<Item = Arc<str>>) -> Vec<Order> {
        let mut list = self.list;
        // Finished in place: with {name} in [defaults] each order has settings of its own.
        drop(self.known);
        if let Some(first) = self.shared.first() {
            list.iter_mut().for_each(|order| order.settings = first.settings.clone());
        }
        let mut same: HashSet<Arc<OrderSettings>> = HashSet::new();
        let settle = |mut shared: Shared| {
            Arc::make_mut(&mut shared.settings).cadence = cadence(&polling.overrides, &shared.overrides);
            let known = same.get(&shared.settings).cloned();
            known.unwrap_or_else(|| {
                same.insert(shared.settings.clone());
                shared.settings
            })
        };
        let settings: Vec<Arc<OrderSettings>> = self.shared.into_iter().map(settle).collect();
        list.shrink_to_fit();
        for ((order, origin), account) in list.iter_mut().zip(self.origins).zip(accounts) {
            order.account = account;
            order.settings = settings[origin.settings as usize].clone();
        }
        list
    }
}

fn probes(table: &Table<'_>, product: Product, name: Option<&str>) -> Box<[Probe]> {
    let is_inherited = table.own("probe").is_none();
    let keys = if is_inherited { &keys::DEFAULTS_PROBE } else { &keys::PROBE };
    let mut probes: Vec<Probe> = Vec::new();
    table.tables("probe", keys, |table| {
        let Some(probe) = probe::probe(table, product, is_inherited, name) else { return };
        if probes.iter().any(|known| known.label() == probe.label()) {
            Diagnostic::error(format!("two probes of {}", probe.label()), table.at)
                .help("remove one of them, or give each its server_name")
                .add_to(table.diagnostics());
        }
        probes.push(probe);
    });
    probes.into()
}

/// What is said of an order here and is for other hosts of the fleet.
fn note_other_hosts(table: &Table<'_>, part: Part) {
    let items = |names: &[&'static str]| -> Vec<Item<'_>> {
        names.iter().filter_map(|name| table.get(name)).collect()
    };
    match part {
        Part::Alone | Part::Unknown => {}
        Part::Follower => items(&VENDOR_KEYS).into_iter().for_each(|item| {
            Diagnostic::error(format!("`{}` on a follower", item.name), item.key_at)
                .help(COLLECTORS_HELP)
                .add_to(table.diagnostics());
        }),
        Part::Collector => items(&INSTALL_KEYS).into_iter().for_each(|item| {
            Diagnostic::warning(format!("`{}` on a collector has no effect", item.name), item.key_at)
                .help("a collector installs nothing; this belongs to the [[order]] of the followers")
                .add_to(table.diagnostics());
        }),
    }
}

/// The keys of an order that are about asking the vendor.
const VENDOR_KEYS: [&str; 11] = [
    "order_number",
    "certificate_id",
    "base_order_number",
    "account",
    "response",
    "params",
    "interval",
    "max_interval",
    "guard_interval",
    "spread",
    "reissue",
];

/// The keys of an order that are about putting it into place.
const INSTALL_KEYS: [&str; 5] = ["files", "copy", "probe", "windows", "window_margin"];

/// A follower that trusts any root installs whatever its store holds over its own key.
fn note_trust(table: &Table<'_>, verify: &Policy, has_anchors: bool, product: Product, name: &str) {
    let trust = table.table("verify", &keys::VERIFY).and_then(|table| table.get("trust"));
    if verify.trust != Severity::Block {
        let at = trust.map_or(table.at, |item| item.at);
        Diagnostic::warning("a follower whose `trust` is not \"block\"", at)
            .help(
                "whoever may write to the store can make it install a certificate of their own CA; for a \
                 private root, name that in trust_anchors",
            )
            .add_to(table.diagnostics());
    } else if product == Product::Mark && !has_anchors {
        Diagnostic::error(format!("the order `{name}` needs `trust_anchors`"), table.at)
            .help("the roots of mark certificates are in no system's store; name theirs in [order.verify]")
            .add_to(table.diagnostics());
    }
}

const DOMAINS_HELP: &str = "a list of names, such as domains = [\"www.example.com\"]";

/// How the vendor knows the order.
fn handle(table: &Table<'_>, product: Product, product_item: Option<Item<'_>>) -> Option<(OrderRef, Span)> {
    let help = "the number that the vendor gave the order, such as order_number = \"123456789\"";
    let item = table.one_of(&keys::ORDER.one_of(), help)?;
    if item.name != "order_number" && product != Product::Ssl {
        let problem = Diagnostic::error(
            format!("`{}` with product = \"{}\"", item.name, product.as_str()),
            item.key_at,
        )
        .label("only for product = \"ssl\"");
        let problem = match product_item {
            Some(product) => problem.also(product.at, ""),
            None => problem,
        };
        item.diagnostics().add(problem.help("give its order_number"));
        return None;
    }
    // A number would lose its leading zeros, and some are no numbers at all.
    if item.is_unquoted(item.name) {
        return None;
    }
    let read = |text: &str| match item.name {
        "order_number" => value::order_number(text, product).map(|()| OrderRef::OrderNumber(text.into())),
        "certificate_id" => {
            value::digits(text, CERTIFICATE_ID_DIGITS).map(|()| OrderRef::CertificateId(text.into()))
        }
        _ => value::digits(text, BASE_ORDER_DIGITS).map(|()| OrderRef::BaseOrderNumber(text.into())),
    };
    let handle = item.parse(help, read)?;
    if let Some((what, help)) = item.value.as_str().and_then(value::odd_order_number) {
        Diagnostic::warning(format!("`{}` {what}", item.name), item.at).help(help).add_to(item.diagnostics());
    }
    Some((handle, item.at))
}

/// A form that the product does not have can only be a mistake here; an account's or a default is shared by several
/// products.
fn response(table: &Table<'_>, product: Option<Product>) -> Option<Response> {
    let item = table.get("response")?;
    let response = item.parse(account::RESPONSE_HELP, account::response)?;
    let Some(product) = product.filter(|product| !response.fits(*product)) else { return Some(response) };
    let what = format!("is not a format of product = \"{}\"", product.as_str());
    let formats = format!("use one of {}", Response::fitting(product).join(", "));
    if !item.is_inherited {
        item.refuse(&what, formats);
        return Some(response);
    }
    Diagnostic::warning(format!("`response` {what}"), item.at)
        .label("not used for such orders")
        .help(formats)
        .add_to(item.diagnostics());
    None
}

fn covered(element: &Item<'_>, product: Product) -> Option<Box<str>> {
    let read = match product {
        Product::Ssl | Product::Mark => domain,
        Product::Smime => email,
    };
    element.parse("a name in quotes", read)
}

const KEY_KEYS: [&str; 2] = ["key_file", "csr_file"];

/// Its key and its request. A request alone takes the place of an inherited key; an empty list takes back what
/// `[defaults]` names.
fn key_items<'a>(table: &Table<'a>) -> [Option<Item<'a>>; 2] {
    let has_default = KEY_KEYS.into_iter().any(|name| table.inherited(name).is_some());
    let [key, csr] = KEY_KEYS.map(|name| table.get(name));
    let is_inherited = |item: &Option<Item<'_>>| item.is_some_and(|item| item.is_inherited);
    match key {
        Some(key) if has_default && key.is_empty_list() && !key.is_inherited => {
            [None, csr.filter(|csr| !csr.is_inherited)]
        }
        _ if is_inherited(&key) && !is_inherited(&csr) && csr.is_some() => [None, csr],
        _ => [key, csr],
    }
}

/// The order's key, and its request, which stands for the key where there is no other.
fn key(key: Option<Item<'_>>, csr: Option<Item<'_>>, name: Option<&str>) -> (KeySource, Option<PathBuf>) {
    let read = |item: Item<'_>| item.parse("the path of a PEM file in quotes", |text| order_path(text, name));
    let csr = csr.and_then(read);
    let Some(item) = key else {
        return (csr.clone().map_or(KeySource::None, KeySource::Csr), csr);
    };
    let help = "the path of a PEM file in quotes, or a list of them";
    let read = |item: &Item<'_>| item.parse(help, |text| order_path(text, name));
    let is_list = item.value.is_array();
    let files = if is_list { item.list(help, read) } else { read(&item).into_iter().collect() };
    if item.is_empty_list() {
        item.refuse("is an empty list", "omit it if the key is not on this machine");
    }
    (KeySource::Keys(files.into()), csr)
}
