//! Every key that a configuration file may hold, table by table.
//!
//! The reader refuses what is not listed here, and a test holds `config/certcollectd.toml` against it.
//! The schema, the manual page and `docs/configuration.md` are made from both, see `reference`.

use super::kind::Kind::{
    self, Clock, Count, Digits, Duration, DurationOrOff, FileName, Flag, Headers, Kept, List, Listen, Mode,
    Name, OneOrList, Parameters, Path, Portion, Principal, Share, Signal, Table, Tables, Text, Url, Variable,
    Word,
};
use super::tables::fleet::MOST_AT_ONCE;
use super::tables::reissue::WHEN;
use super::value::{MOST_TRIES, near};
use certcollectd_core::api::{Product, Response};
use certcollectd_core::config::fleet::{Role, StoreKind};
use certcollectd_core::config::{
    CsrSource, Day, Dcv, FileKind, HookEvent, LogFormat, OnProbeFailure, ReissueBudget, Severity, StartTls,
};

/// One kind of table and the keys it takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Keys {
    /// How the table is written, as messages name it.
    pub title: &'static str,
    /// Its keys, in the order in which the example file shows them.
    pub keys: &'static [Key],
}

/// A key; its description and its default are in `config/certcollectd.toml`.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether the table is incomplete without it.
    pub is_needed: bool,
    /// Whether the table needs exactly one of its keys that say so.
    pub is_one_of: bool,
}

const fn key(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, is_needed: false, is_one_of: false }
}

const fn need(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, is_needed: true, is_one_of: false }
}

const fn one(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, is_needed: false, is_one_of: true }
}

pub(super) static TOP: Keys = Keys {
    title: "the top of the file",
    keys: &[
        key("state_dir", Path),
        key("install_dir", Path),
        key("include", List(&Text)),
        key("freeze", List(&Text)),
        key("polling", Table(&POLLING)),
        key("account", Tables(&ACCOUNT)),
        key("defaults", Table(&DEFAULTS)),
        key("order", Tables(&ORDER)),
        key("hook", Tables(&HOOK)),
        key("window", Tables(&WINDOW)),
        key("rehearsal", Table(&REHEARSAL)),
        key("reissues", Table(&REISSUES)),
        key("http", Table(&HTTP)),
        key("push", Table(&PUSH)),
        key("metrics", Table(&METRICS)),
        key("dns", Table(&DNS)),
        key("log", Table(&LOG)),
        key("fleet", Table(&FLEET)),
    ],
};

/// What a file named by `include` may hold.
pub(super) static INCLUDED: Keys = Keys {
    title: "an included file",
    keys: &[key("account", Tables(&ACCOUNT)), key("order", Tables(&ORDER)), key("hook", Tables(&HOOK))],
};

pub(super) static POLLING: Keys = Keys {
    title: "[polling]",
    keys: &[
        key("interval", Duration),
        key("max_interval", Duration),
        key("guard_interval", DurationOrOff),
        key("spread", Share),
        key("call_gap", Duration),
        key("connect_timeout", Duration),
        key("request_timeout", Duration),
        key("settle", Duration),
        key("unknown_tries", Count(MOST_TRIES)),
        key("merge_window", Duration),
    ],
};

pub(super) static ACCOUNT: Keys = Keys {
    title: "[[account]]",
    keys: &[
        need("name", Name),
        need("login_name", Text),
        need("password", Table(&PASSWORD)),
        key("base_url", Url),
        key("ca_file", Path),
        key("proxy", Url),
        key("proxy_user", Text),
        key("proxy_password", Table(&PASSWORD)),
        key("response", Word(&Response::WORDS)),
        key("params", Parameters),
    ],
};

pub(super) static PASSWORD: Keys = Keys {
    title: "password = { … }",
    keys: &[one("file", Path), one("credential", Text), one("env", Variable)],
};

/// First the keys that are one order's own.
const ORDER_KEYS: &[Key] = &[
    need("name", Name),
    one("order_number", Text),
    one("certificate_id", Digits),
    one("base_order_number", Digits),
    key("account", Name),
    key("group", Name),
    key("product", Word(&Product::WORDS)),
    key("domains", List(&Text)),
    key("key_file", OneOrList(&Path)),
    key("csr_file", Path),
    key("hooks", List(&Name)),
    key("windows", List(&Name)),
    key("window_margin", Duration),
    key("response", Word(&Response::WORDS)),
    key("params", Parameters),
    key("interval", Duration),
    key("max_interval", Duration),
    key("guard_interval", DurationOrOff),
    key("spread", Share),
    key("files", Table(&FILES)),
    key("verify", Table(&VERIFY)),
    key("copy", Tables(&COPY)),
    key("probe", Tables(&PROBE)),
    key("reissue", Table(&REISSUE)),
];
const OWN_KEYS: usize = 4;

pub(super) static ORDER: Keys = Keys { title: "[[order]]", keys: ORDER_KEYS };

pub(super) static FILES: Keys = Keys {
    title: "[order.files]",
    keys: &[
        key("cert", FileName),
        key("chain", FileName),
        key("fullchain", FileName),
        key("key", FileName),
        key("combined", FileName),
        key("root", FileName),
        key("pkcs7", FileName),
        key("der", FileName),
        key("owner", Principal),
        key("group", Principal),
        key("mode", Mode),
    ],
};

pub(super) static VERIFY: Keys = Keys {
    title: "[order.verify]",
    keys: &[
        key("key", Word(&Severity::WORDS)),
        key("domains", Word(&Severity::WORDS)),
        key("coverage", Word(&Severity::WORDS)),
        key("chain", Word(&Severity::WORDS)),
        key("dates", Word(&Severity::WORDS)),
        key("downgrade", Word(&Severity::WORDS)),
        key("trust", Word(&Severity::WORDS)),
        key("trust_anchors", Path),
    ],
};

pub(super) static COPY: Keys = Keys {
    title: "[[order.copy]]",
    keys: &[
        need("from", Word(&FileKind::WORDS)),
        need("to", Path),
        key("owner", Principal),
        key("group", Principal),
        key("mode", Mode),
    ],
};

pub(super) static PROBE: Keys = Keys {
    title: "[[order.probe]]",
    keys: &[
        need("connect", Text),
        key("server_name", Text),
        key("starttls", Word(&StartTls::WORDS)),
        key("within", Duration),
        key("every", Duration),
        key("on_failure", Word(&OnProbeFailure::WORDS)),
    ],
};

pub(super) static REISSUE: Keys = Keys {
    title: "[order.reissue]",
    keys: &[
        key("when", Word(&WHEN)),
        key("csr", Word(&CsrSource::WORDS)),
        key("csr_command", List(&Text)),
        key("csr_timeout", Duration),
        key("dcv", Word(&Dcv::WORDS)),
        key("dcv_hook", Name),
    ],
};

pub(super) static DEFAULTS: Keys = Keys { title: "[defaults]", keys: ORDER_KEYS.split_at(OWN_KEYS).1 };

pub(super) static DEFAULTS_FILES: Keys = Keys { title: "[defaults.files]", keys: FILES.keys };

pub(super) static DEFAULTS_VERIFY: Keys = Keys { title: "[defaults.verify]", keys: VERIFY.keys };

pub(super) static DEFAULTS_COPY: Keys = Keys { title: "[[defaults.copy]]", keys: COPY.keys };

pub(super) static DEFAULTS_PROBE: Keys = Keys { title: "[[defaults.probe]]", keys: PROBE.keys };

pub(super) static DEFAULTS_REISSUE: Keys = Keys { title: "[defaults.reissue]", keys: REISSUE.keys };

pub(super) static HOOK: Keys = Keys {
    title: "[[hook]]",
    keys: &[
        need("name", Name),
        key("on", List(&Word(&HookEvent::WORDS))),
        one("run", List(&Text)),
        one("signal", Table(&SIGNAL)),
        one("http", Table(&REQUEST)),
        one("socket", Path),
        one("follow", Text),
        key("timeout", Duration),
        key("merge", Flag),
    ],
};

pub(super) static SIGNAL: Keys =
    Keys { title: "signal = { … }", keys: &[need("pid_file", Path), need("name", Signal)] };

pub(super) static REQUEST: Keys = Keys {
    title: "http = { … }",
    keys: &[need("url", Kept(&Url)), key("method", Text), key("headers", Headers), key("body", Kept(&Text))],
};

pub(super) static WINDOW: Keys = Keys {
    title: "[[window]]",
    keys: &[
        need("name", Name),
        key("days", List(&Word(&Day::WORDS))),
        need("from", Clock),
        need("to", Clock),
        need("timezone", Text),
    ],
};

pub(super) static HTTP: Keys = Keys { title: "[http]", keys: &[need("listen", Listen)] };

pub(super) static PUSH: Keys = Keys {
    title: "[push]",
    keys: &[need("listen", Listen), key("path", Path), key("user", Text), key("password", Table(&PASSWORD))],
};

pub(super) static METRICS: Keys =
    Keys { title: "[metrics]", keys: &[key("per_order", Flag), key("textfile", Path)] };

pub(super) static REHEARSAL: Keys = Keys { title: "[rehearsal]", keys: &[need("every", Duration)] };

pub(super) static REISSUES: Keys =
    Keys { title: "[reissues]", keys: &[key("per_day", Count(ReissueBudget::MOST))] };

pub(super) static DNS: Keys = Keys { title: "[dns]", keys: &[key("resolver", List(&Text))] };

pub(super) static LOG: Keys =
    Keys { title: "[log]", keys: &[key("format", Word(&LogFormat::WORDS)), key("level", Text)] };

pub(super) static FLEET: Keys = Keys {
    title: "[fleet]",
    keys: &[
        need("role", Word(&Role::WORDS)),
        key("name", Name),
        key("groups", List(&Name)),
        need("store", Word(&StoreKind::WORDS)),
        need("endpoints", List(&Url)),
        key("ca_file", Path),
        key("cert_file", Path),
        key("key_file", Path),
        key("user", Text),
        key("password", Table(&PASSWORD)),
        key("prefix", Text),
        key("lease", Duration),
        key("beat", Duration),
        key("margin", Duration),
        key("wave", Tables(&WAVE)),
    ],
};

pub(super) static WAVE: Keys = Keys {
    title: "[[fleet.wave]]",
    keys: &[
        one("hosts", List(&Name)),
        one("share", Portion),
        key("soak", Duration),
        key("at_once", Count(MOST_AT_ONCE)),
    ],
};

/// All tables, the top of the file first. Those of [`DEFAULTS_TABLES`] come besides.
pub static TABLES: [&Keys; 22] = [
    &TOP, &POLLING, &ACCOUNT, &PASSWORD, &ORDER, &FILES, &VERIFY, &COPY, &PROBE, &REISSUE, &HOOK, &SIGNAL,
    &REQUEST, &WINDOW, &REISSUES, &HTTP, &PUSH, &METRICS, &DNS, &LOG, &FLEET, &WAVE,
];

/// `[defaults]` and its tables, which repeat keys of `[[order]]` and its tables.
pub static DEFAULTS_TABLES: [&Keys; 6] =
    [&DEFAULTS, &DEFAULTS_FILES, &DEFAULTS_VERIFY, &DEFAULTS_COPY, &DEFAULTS_PROBE, &DEFAULTS_REISSUE];

/// What other programs call a key: their word, ours.
static OTHER_WORDS: [(&str, &str); 18] = [
    ("path", "file"),
    ("filename", "file"),
    ("from_file", "file"),
    ("secret", "credential"),
    ("cred", "credential"),
    ("variable", "env"),
    ("environment", "env"),
    ("login", "login_name"),
    ("username", "login_name"),
    ("url", "base_url"),
    ("number", "order_number"),
    ("order", "order_number"),
    ("private_key", "key_file"),
    ("csr", "csr_file"),
    ("command", "run"),
    ("cmd", "run"),
    ("exec", "run"),
    ("pid", "pid_file"),
];

/// Most keys that a table takes.
pub(super) const MOST_KEYS: usize = 24;

impl Keys {
    pub fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.keys.iter().map(|key| key.name)
    }

    /// Those of which the table needs exactly one.
    pub(super) fn one_of(&self) -> Vec<&'static str> {
        self.keys.iter().filter(|key| key.is_one_of).map(|key| key.name).collect()
    }

    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.names().position(|known| known == name)
    }

    /// The key that was meant by one that is not here: the nearest, or what others call it.
    pub(super) fn meant(&self, name: &str) -> Option<&'static str> {
        let other = || {
            let lower = name.to_ascii_lowercase();
            OTHER_WORDS.iter().find(|(word, key)| *word == lower && self.has(key))
        };
        near(name, self.names()).or_else(|| other().map(|(_, key)| *key))
    }

    /// How to write it.
    pub(super) fn example(&self) -> &'static str {
        match self.title {
            title if title == SIGNAL.title => "signal = { pid_file = \"/run/nginx.pid\", name = \"HUP\" }",
            title if title == REQUEST.title => "http = { url = \"http://127.0.0.1:8080/reload\" }",
            title => title,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }
}

/// The tables that take `name`, for "it belongs there".
pub(super) fn homes(name: &str) -> impl Iterator<Item = &'static Keys> {
    TABLES.into_iter().filter(move |keys| keys.has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_room() {
        assert_eq!(TABLES.iter().map(|keys| keys.keys.len()).max(), Some(MOST_KEYS));
    }
}
