//! What is made from the configuration's own tables: the schema for editors, the reference for people.

use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use certcollectd::config::file::{Source, TABLES, read};
use certcollectd::config::reference;
use serde_json::Value;

use crate::config::{ACCOUNT, ORDER, with_defaults};

const WRITE: &str = "REGENERATE=1 cargo test --test it reference::";

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

/// Compares a file with what it is made from, or writes it.
fn holds(path: &str, made: &str) {
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), made).unwrap();
    }
    assert!(file(path) == made, "{path} is not what the code makes of it; write it anew with\n  {WRITE}");
}

#[test]
fn the_schema_is_made_from_the_tables() {
    holds("config/schema.json", &reference::schema());
}

#[test]
fn the_reference_is_made_from_the_tables() {
    holds("docs/configuration.md", &reference::configuration());
}

struct Schema(Schemas, SchemaIndex);

impl Schema {
    fn read() -> Schema {
        let mut schemas = Schemas::new();
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource("schema.json", serde_json::from_str(&reference::schema()).unwrap()).unwrap();
        let index = compiler.compile("schema.json", &mut schemas).unwrap();
        Schema(schemas, index)
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let value: Value = toml::from_str(text).map_err(|error| error.to_string())?;
        self.0.validate(&value, self.1).map_err(|error| format!("{error:#}"))
    }
}

/// Asserts that the schema takes what the reader took.
pub fn takes(text: &str) {
    assert_eq!(Schema::read().check(text), Ok(()), "the schema refuses what the reader takes:\n{text}");
}

#[test]
fn the_schema_takes_the_files_that_we_ship() {
    let schema = Schema::read();
    for path in ["config/certcollectd.toml", "config/minimal.toml"] {
        assert_eq!(schema.check(&file(path)), Ok(()), "{path}");
        let directive = file(path).lines().next().map(str::to_owned);
        assert_eq!(directive.as_deref(), Some("#:schema ./schema.json"), "{path}");
    }
    assert_eq!(schema.check(&with_defaults()), Ok(()));
}

/// Each case for a key: the table it stands in, and its text.
fn case(title: &str, setting: &str) -> String {
    let account = "[[account]]\nname = \"a\"\nlogin_name = \"x\"\n";
    match title {
        "the top of the file" | "[polling]" | "[defaults]" | "[log]" | "[dns]" => {
            let header = if title.starts_with('[') { title } else { "" };
            format!("{header}\n{setting}\n")
        }
        "[[account]]" => format!("{account}password = {{ env = \"P\" }}\n{setting}\n"),
        "[[order]]" => format!("{ORDER}{setting}\n"),
        "[order.files]" | "[order.verify]" => format!("{ORDER}{title}\n{setting}\n"),
        "[[hook]]" => format!("[[hook]]\nname = \"h\"\n{setting}\n"),
        other => panic!("{other}"),
    }
}

/// Whatever the reader takes, the schema takes; of what the reader refuses, the schema refuses what can be told
/// from the value alone.
#[test]
fn the_schema_and_the_reader_agree_about_values() {
    let schema = Schema::read();
    let right = [
        ("[polling]", "interval = \"1d12h\""),
        ("[polling]", "interval = \" 1h 30m \""),
        ("[polling]", "interval = \"0.5h\""),
        ("[polling]", "interval = \"3hours 20mins\""),
        ("[polling]", "call_gap = \"250ms\""),
        ("[polling]", "guard_interval = \"off\""),
        ("[polling]", "guard_interval = \"2w\""),
        ("[polling]", "spread = 0"),
        ("[polling]", "spread = 0.5"),
        ("[polling]", "unknown_tries = 1000"),
        ("[[account]]", "base_url = \"HTTPS://Host.Example:8443/x\""),
        ("[[account]]", "proxy = \"socks5://10.0.0.1:1080\""),
        ("[[account]]", "response = \"pkcs7-binary\""),
        ("[[account]]", "params = { behaviourVersion = \"1\" }"),
        ("[[order]]", "key_file = [\"/a\", \"/b\"]"),
        ("[[order]]", "key_file = \"/a\""),
        ("[[order]]", "domains = [\"b\u{fc}cher.example\", \"*.example.com\"]"),
        ("[[order]]", "spread = 0.2"),
        ("[order.files]", "cert = false\nkey = \"k.pem\"\nmode = \"640\"\nowner = \"DOM\\\\user\""),
        ("[order.files]", "mode = \"000644\""),
        ("[order.verify]", "trust = \"block\""),
        (
            "[defaults]",
            "key_file = \"/k/{name}.key\"\nhooks = [\"nginx\"]\n[defaults.files]\ngroup = \"ssl-cert\"",
        ),
        ("[[hook]]", "on = [\"installed\", \"failed\"]\nrun = [\"true\"]"),
        ("[[hook]]", "signal = { pid_file = \"/run/x.pid\", name = \"sighup\" }"),
        ("[[hook]]", "signal = { pid_file = \"/run/x.pid\", name = \"USR1\" }"),
        ("[[hook]]", "http = { url = \"http+unix:///run/d.sock/x\", method = \"put\" }"),
        ("[[hook]]", "socket = \"/run/x.sock\"\nmerge = false\ntimeout = \"5s\""),
        ("[dns]", "resolver = [\"192.0.2.53\", \"[2001:db8::53]:5353\"]"),
        ("[log]", "format = \"json\"\nlevel = \"info,certcollectd_core::engine=debug\""),
    ];
    for (title, setting) in right {
        let text = case(title, setting);
        assert_eq!(schema.check(&text), Ok(()), "{text}");
    }
    let wrong = [
        ("the top of the file", "state_dir = \"var\""),
        ("the top of the file", "statedir = \"/var\""),
        ("[polling]", "interval = 3600"),
        ("[polling]", "interval = \"3600\""),
        ("[polling]", "interval = \"3 fortnights\""),
        ("[polling]", "interval = \"1year\""),
        ("[polling]", "interval = \"3M\""),
        ("[polling]", "interval = \"off\""),
        ("[polling]", "spread = 0.6"),
        ("[polling]", "spread = \"0.1\""),
        ("[polling]", "unknown_tries = 0"),
        ("[polling]", "unknown_tries = 1.5"),
        ("[[account]]", "response = \"pem\""),
        ("[[account]]", "params = { behaviourVersion = 1 }"),
        ("[[account]]", "login = \"x\""),
        ("[defaults]", "order_number = \"1\""),
        ("[defaults]", "[[defaults.copy]]\nfrom = \"cert\""),
        ("[[account]]", "base_url = \"secure.trust-provider.com\""),
        ("[[order]]", "account = \"Main\""),
        ("[[order]]", "product = \"tls\""),
        ("[[order]]", "key_file = []"),
        ("[[order]]", "key_file = \"www.key\""),
        ("[[order]]", "certificate_id = 12"),
        ("[[order]]", "certificate_id = \"12a\""),
        ("[[order]]", "hooks = \"nginx\""),
        ("[order.files]", "cert = true"),
        ("[order.files]", "cert = \"a/b\""),
        ("[order.files]", "mode = 644"),
        ("[order.files]", "mode = \"0666\""),
        ("[order.files]", "mode = \"4755\""),
        ("[order.files]", "owner = \"a b\""),
        ("[order.verify]", "trust = \"error\""),
        ("[[order]]", "certificate_id = \"12\""),
        ("[[hook]]", "timeout = \"5s\""),
        ("[[hook]]", "run = [\"true\"]\nfollow = \"web\""),
        ("[[hook]]", "http = { url = \"http://h/\", headers = { X-Key = { file = \"/a\", env = \"B\" } } }"),
        ("[[hook]]", "run = [\"true\"]\non = [\"issued\"]"),
        ("[[hook]]", "run = \"systemctl reload nginx\""),
        ("[[hook]]", "signal = { pid_file = \"/run/x.pid\", name = \"KILL\" }"),
        ("[[hook]]", "signal = { pid_file = \"/run/x.pid\" }"),
        ("[[hook]]", "run = [\"true\"]\nmerge = \"no\""),
        ("[log]", "format = \"xml\""),
    ];
    for (title, setting) in wrong {
        let text = case(title, setting);
        assert!(schema.check(&text).is_err(), "the schema takes\n{text}");
        let source = Source { path: "config.toml".into(), text: format!("{text}{ACCOUNT}{ORDER}") };
        assert!(read(&[source]).is_err(), "the reader takes\n{text}");
    }
}

/// A key that is said to be needed is missed by the reader, and no other is.
#[test]
fn the_schema_needs_what_the_reader_needs() {
    for keys in TABLES {
        let text = match keys.title {
            "password = { … }" => "[[account]]\npassword = {}\n".to_owned(),
            "signal = { … }" => "[[hook]]\nsignal = {}\n".to_owned(),
            "http = { … }" => "[[hook]]\nhttp = {}\n".to_owned(),
            title if title.contains("order.") => format!("[[order]]\n{title}\n"),
            title if title.starts_with('[') => format!("{title}\n"),
            _ => continue,
        };
        let source = Source { path: "config.toml".into(), text };
        let problems = match read(&[source]) {
            Ok((_, problems)) | Err(problems) => problems,
        };
        for key in keys.keys {
            let needs = format!("{} needs `{}`", keys.title, key.name);
            let is_missed = problems.iter().any(|problem| problem.message == needs);
            assert_eq!(is_missed, key.is_needed, "{needs}");
        }
    }
}
