//! What a client of a sandbox needs, in files: passwords, roots, and a configuration of certcollectd that fits.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::cause;
use crate::issue::hex;
use crate::{Handle, Scenario};

/// What a client needs, in a directory of mode 0700.
pub(super) struct Desk {
    pub(super) path: PathBuf,
    pub(super) configuration: String,
    stays: bool,
}

impl Desk {
    pub(super) fn new(dir: Option<&Path>, scenario: &Scenario, handle: &Handle) -> Result<Desk, String> {
        let own = || {
            let name = format!("certcollectd-sandbox-{}", random_name());
            std::env::temp_dir().join(name)
        };
        let path = dir.map_or_else(own, Path::to_path_buf);
        let option = if dir.is_some() { "--dir " } else { "" };
        let failed = |path: &Path, error: &io::Error| format!("{option}{}: {}", path.display(), cause(error));
        std::fs::DirBuilder::new()
            .recursive(dir.is_some())
            .mode(0o700)
            .create(&path)
            .map_err(|error| failed(&path, &error))?;
        let path = path.canonicalize().map_err(|error| failed(&path, &error))?;
        let configuration = configuration(&path, scenario, handle);
        let desk = Desk { path, configuration, stays: dir.is_some() };
        let put = |name: &str, content: &str| {
            let path = desk.path.join(name);
            write(&path, content).map_err(|error| failed(&path, &error))
        };
        for (at, account) in scenario.account.iter().enumerate() {
            put(&password_file(at), &format!("{}\n", account.password))?;
        }
        put("ca.pem", handle.ca_pem())?;
        let authorities = handle.vendor().authorities();
        put("roots.pem", &[authorities.root, authorities.legacy_root, authorities.mark_root].concat())?;
        put("certcollectd.toml", &desk.configuration)?;
        Ok(desk)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !self.stays
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            let _ = writeln!(io::stderr(), "{}: {}", self.path.display(), cause(&error));
        }
    }
}

/// Replaces a file by one that is private from its first byte.
fn write(path: &Path, content: &str) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(content.as_bytes())
}

fn password_file(account: usize) -> String {
    if account == 0 { "password".into() } else { format!("password-{}", account + 1) }
}

/// A whole configuration for the sandbox: an entry for each account and each order of the scenario.
fn configuration(dir: &Path, scenario: &Scenario, handle: &Handle) -> String {
    let path = |name: &str| quoted(&dir.join(name).display().to_string());
    let mut names = Names::default();
    let accounts: Vec<String> =
        scenario.account.iter().map(|account| names.of(&account.login_name)).collect();
    let mut names = Names::default();
    let own = dir.join("certcollectd.toml");
    let mut text = format!(
        "# A rehearsal with the vendor played at {base}; docs/rehearsal.md has more. End it with Ctrl-C.\n\
         # The control port: {control}\n\
         # This is {own}, too:\n\
         #   certcollectd --config {own} check\n\
         #   certcollectd --config {own} run\n\
         state_dir   = {state}\n\
         install_dir = {install}\n\
         \n\
         [polling]                  # the sandbox does not mind the haste; the vendor wants three hours\n\
         interval       = \"10s\"\n\
         max_interval   = \"1m\"\n\
         guard_interval = \"10s\"\n\
         call_gap       = \"1s\"\n",
        base = handle.base_url(),
        control = handle.control_url(),
        own = own.display(),
        state = path("state"),
        install = path("certificates"),
    );
    for (at, (account, name)) in scenario.account.iter().zip(&accounts).enumerate() {
        let _ = write!(
            text,
            "\n[[account]]\nname       = {}\nlogin_name = {}\npassword   = {{ file = {} }}\nbase_url   = {}\nca_file    = {}\n",
            quoted(name),
            quoted(&account.login_name),
            path(&password_file(at)),
            quoted(&handle.base_url()),
            path("ca.pem"),
        );
    }
    for order in &scenario.order {
        let first = order.domains.first().map_or(order.order_number.as_str(), String::as_str);
        let owner = order.account.as_ref().and_then(|login| {
            let at = scenario.account.iter().position(|account| account.login_name == *login)?;
            accounts.get(at)
        });
        let _ = write!(text, "\n[[order]]\nname         = {}\n", quoted(&names.of(first)));
        if let Some(account) = owner.or_else(|| accounts.first()) {
            let _ = writeln!(text, "account      = {}", quoted(account));
        }
        let domains: Vec<String> = order.domains.iter().map(|name| quoted(name)).collect();
        let _ = write!(
            text,
            "product      = {}\norder_number = {}\ndomains      = [{}]\n[order.verify]\ntrust = \"block\"\ntrust_anchors = {}\n",
            serde_json::json!(order.product),
            quoted(&order.order_number),
            domains.join(", "),
            path("roots.pem"),
        );
    }
    text
}

/// Names for entries: of the characters that are allowed, each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn of(&mut self, text: &str) -> String {
        let allowed = |char: char| match char.to_ascii_lowercase() {
            char @ ('a'..='z' | '0'..='9' | '.' | '_' | '-') => char,
            _ => '-',
        };
        let name: String = text.chars().take(60).map(allowed).collect();
        let name = name.trim_matches(['.', '-']).to_owned();
        let base = if name.is_empty() { "unnamed".to_owned() } else { name };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|name| !self.0.contains(name));
        let free = free.unwrap_or(base);
        self.0.insert(free.clone());
        free
    }
}

/// A TOML basic string. Its escapes are those of JSON (TOML 1.0, String).
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Eight bytes in hexadecimal.
fn random_name() -> String {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system has randomness");
    hex(&bytes)
}
