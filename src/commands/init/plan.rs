//! From answers to files: pure, so that what is shown is what is written.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::orders_csv::ListedOrder;
use crate::config::placeholder;
use crate::config::write::quoted;
use crate::effects::new_files::NewFile;
use certcollectd_core::config::name::{InvalidValue, shown};

/// Usual servers in the order in which they are offered: the unit whose reload is worth its name, and the file that shows
/// that it is there. Debian 12's `postfix` says yes to everything.
pub(super) const SERVERS: [(&str, &str); 6] = [
    ("nginx", "nginx.service"),
    ("apache2", "apache2.service"),
    ("haproxy", "haproxy.service"),
    ("postfix@-", "postfix@.service"),
    ("postfix", "postfix.service"),
    ("dovecot", "dovecot.service"),
];

/// More than any password, in bytes; the vendor's limit is for `check` to say.
pub(super) const MAX_PASSWORD: usize = 4096;

/// Where the bridges listen, see systemd/certcollectd-reload@.socket.
const BRIDGES: &str = "/run/certcollectd-reload";
const INSTALL_DIR: &str = "/etc/ssl/certcollectd";

/// What was asked.
pub(super) struct Answers {
    pub(super) login: String,
    pub(super) password: Zeroizing<String>,
    pub(super) orders: Vec<ListedOrder>,
    /// The private key of each order, as the configuration writes it: with braces doubled.
    pub(super) keys: Vec<Option<String>>,
    /// The unit to reload.
    pub(super) server: Option<String>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) install_dir: Option<PathBuf>,
}

/// Where it is written.
pub(super) struct Place {
    pub(super) config: PathBuf,
    /// A drop-in of the service, if the configuration is the one that the service reads.
    pub(super) drop_in: Option<PathBuf>,
    /// User and group of the daemon, if they are not those of this process.
    pub(super) owner: Option<(u32, u32)>,
    /// Groups that may read the keys.
    pub(super) groups: Vec<String>,
    /// The schema for editors, if it is installed.
    pub(super) schema: Option<&'static str>,
}

/// A directory that the service's user must have.
pub(super) struct NewDir {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
}

pub(super) struct Plan {
    /// Made for the daemon's user, if they are not there.
    pub(super) dirs: Vec<NewDir>,
    /// The configuration is the last one.
    pub(super) files: Vec<NewFile>,
    /// What is written where; the password is not in it.
    pub(super) shown: String,
    pub(super) has_drop_in: bool,
    pub(super) is_for_unit: bool,
    /// Commands that remain to be run, and what each is for.
    pub(super) next: Vec<(String, String)>,
}

impl Plan {
    pub(super) fn config(&self) -> &str {
        self.files.last().map_or("", |file| &file.content)
    }
}

pub(super) fn login(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the login name is empty".into());
    }
    if text.chars().any(char::is_control) {
        return Err("the login name has control characters".into());
    }
    Ok(text.to_owned())
}

/// The reason follows "the password".
pub(super) fn password(text: &str) -> Result<Zeroizing<String>, String> {
    if text.is_empty() {
        return Err("is empty".into());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err("has more than one line".into());
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// A unit's name without `.service`; nothing for `none`.
pub(super) fn server(text: &str) -> Result<Option<String>, String> {
    if text == "none" {
        return Ok(None);
    }
    let unit = text.strip_suffix(".service").unwrap_or(text);
    // systemd.unit(5), without the backslash of escaped names.
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '-' | '@');
    if unit.starts_with(|c: char| c.is_ascii_alphanumeric())
        && unit.chars().all(is_allowed)
        && unit.len() <= 100
    {
        Ok(Some(unit.to_owned()))
    } else {
        Err(format!("{} is not the name of a systemd unit, such as nginx or postgresql@15-main", shown(text)))
    }
}

/// The hook's name: what a hook may be called of the unit's.
fn hook(unit: &str) -> String {
    let plain = |c: char| if matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-') { c } else { '-' };
    let name: String = unit.to_ascii_lowercase().chars().map(plain).collect();
    name.trim_end_matches('-').to_owned()
}

/// The key of every order, with `{name}` in it.
pub(super) fn key_file(path: &str) -> Result<String, String> {
    let wrong = |why: InvalidValue| format!("the key file {} {}; {}", shown(path), why.what, why.help);
    placeholder::order_path(path, Some("x")).map_err(wrong)?;
    Ok(path.to_owned())
}

/// A path as a person types it for one order: its braces are braces.
pub(super) fn typed_key(path: &str) -> Result<String, String> {
    key_file(&path.replace('{', "{{").replace('}', "}}"))
}

/// The key of one order, from what holds for all.
pub(super) fn key_of(key_file: Option<&str>, order: &str) -> Option<String> {
    // Braces of the path itself stay doubled.
    key_file.map(|path| path.replace("{name}", order))
}

pub(super) fn plan(place: &Place, answers: &Answers) -> Plan {
    let password = password_file(&place.config);
    let mut files = vec![NewFile {
        path: password.clone(),
        mode: 0o600,
        // systemd reads it as root and hands it on.
        owner: place.owner.filter(|_| place.drop_in.is_none()),
        content: Zeroizing::new(format!("{}\n", *answers.password)),
    }];
    let drop_in = place.drop_in.as_ref().and_then(|path| Some((path, drop_in(place, answers)?)));
    let has_drop_in = drop_in.is_some();
    let public = |path: &Path, content: String| NewFile {
        path: path.to_owned(),
        mode: 0o644,
        owner: None,
        content: Zeroizing::new(content),
    };
    files.extend(drop_in.map(|(path, content)| public(path, content)));
    files.push(public(&place.config, config(place, answers, &password)));

    // The unit's own are made by systemd; elsewhere the daemon makes them.
    let dirs: Vec<NewDir> = [(&answers.state_dir, 0o700), (&answers.install_dir, 0o755)]
        .into_iter()
        .filter_map(|(dir, mode)| Some(NewDir { path: dir.clone()?, mode }))
        .filter(|_| place.owner.is_some())
        .collect();

    let mut shown = String::new();
    for dir in &dirs {
        let _ = writeln!(
            shown,
            "# {}/ (mode {:04o}, the daemon's; made if it is not there)\n",
            dir.path.display(),
            dir.mode
        );
    }
    for file in &files {
        let _ = writeln!(shown, "# {} (mode {:04o})", file.path.display(), file.mode);
        let content = if file.path == password { "(the password)\n" } else { &file.content };
        let _ = writeln!(shown, "{content}");
    }
    Plan { dirs, files, shown, has_drop_in, is_for_unit: place.drop_in.is_some(), next: next(answers) }
}

/// Beside the configuration; for the service it is the file that the unit's LoadCredential= names.
fn password_file(config: &Path) -> PathBuf {
    config.with_file_name("password")
}

fn config(place: &Place, answers: &Answers, password: &Path) -> String {
    let mut text = place.schema.map(|schema| format!("#:schema {schema}\n\n")).unwrap_or_default();
    text.push_str("# All settings: config/certcollectd.toml, `man certcollectd.toml`\n");
    for (key, dir) in [("state_dir", &answers.state_dir), ("install_dir", &answers.install_dir)] {
        if let Some(dir) = dir {
            let _ = writeln!(text, "{key} = {}", path(dir));
        }
    }
    let source = if place.drop_in.is_some() {
        "{ credential = \"sectigo\" }".to_owned()
    } else {
        format!("{{ file = {} }}", path(password))
    };
    let login = quoted(&answers.login);
    let _ =
        write!(text, "\n[[account]]\nname       = \"main\"\nlogin_name = {login}\npassword   = {source}\n");
    for (order, key) in answers.orders.iter().zip(&answers.keys) {
        let (name, number) = (quoted(&order.name), quoted(&order.order_number));
        let _ = write!(text, "\n[[order]]\nname         = {name}\norder_number = {number}\n");
        if !order.domains.is_empty() {
            let domains: Vec<String> = order.domains.iter().map(|domain| quoted(domain)).collect();
            let _ = writeln!(text, "domains      = [{}]", domains.join(", "));
        }
        if let Some(key) = key {
            let _ = writeln!(text, "key_file     = {}", quoted(key));
        }
        if let Some(server) = &answers.server {
            let _ = writeln!(text, "hooks        = [{}]", quoted(&hook(server)));
            // It wants key and chain in one file.
            if server == "haproxy" && key.is_some() {
                text += "files        = { combined = \"combined.pem\" }\n";
            }
        }
    }
    if let Some(server) = &answers.server {
        let socket = format!("{BRIDGES}/{server}.sock");
        let _ =
            write!(text, "\n[[hook]]\nname   = {}\nsocket = {}\n", quoted(&hook(server)), quoted(&socket));
    }
    text
}

/// What the service may not do without it, if there is anything.
fn drop_in(place: &Place, answers: &Answers) -> Option<String> {
    let mut lines = String::new();
    let dirs: Vec<String> =
        [&answers.state_dir, &answers.install_dir].into_iter().flatten().map(|dir| word(dir)).collect();
    if !dirs.is_empty() {
        let _ = writeln!(lines, "ReadWritePaths={}", dirs.join(" "));
    }
    if !place.groups.is_empty() {
        let _ = writeln!(lines, "# They may read the keys.\nSupplementaryGroups={}", place.groups.join(" "));
    }
    (!lines.is_empty()).then(|| format!("[Service]\n{lines}"))
}

/// A path as a word of a unit file; systemd.syntax(7).
fn word(dir: &Path) -> String {
    let escaped = dir.display().to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    format!("\"{escaped}\"")
}

fn next(answers: &Answers) -> Vec<(String, String)> {
    let Some(server) = &answers.server else { return Vec::new() };
    let bridge = format!("systemctl enable --now certcollectd-reload@{server}.socket");
    let dir = answers.install_dir.as_deref().unwrap_or_else(|| Path::new(INSTALL_DIR));
    let order = answers.orders.first().map_or("www", |order| &order.name);
    let has_combined = server == "haproxy" && answers.keys.first().is_some_and(Option::is_some);
    let file = if has_combined { "combined.pem" } else { "fullchain.pem" };
    vec![
        (bridge, "lets the hook reload it".to_owned()),
        (format!("$EDITOR # configure {server}"), format!("it is to read {}/{order}/{file}", dir.display())),
    ]
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers() -> Answers {
        Answers {
            login: "a \"b\"".into(),
            password: Zeroizing::new("secret".into()),
            orders: vec![ListedOrder {
                name: "www".into(),
                order_number: "1".into(),
                domains: vec!["a.example".into()],
            }],
            keys: vec![Some("/etc/ssl/private/www.key".into())],
            server: Some("haproxy".into()),
            state_dir: None,
            install_dir: Some("/srv/50% \"tls\"".into()),
        }
    }

    fn place() -> Place {
        Place {
            config: "/etc/certcollectd/certcollectd.toml".into(),
            drop_in: Some("/etc/systemd/system/certcollectd.service.d/init.conf".into()),
            owner: Some((990, 990)),
            groups: vec!["ssl-cert".into()],
            schema: Some("/usr/share/certcollectd/schema.json"),
        }
    }

    #[test]
    fn the_service_gets_the_password_from_systemd_and_what_it_lacks_from_a_drop_in() {
        let plan = plan(&place(), &answers());
        assert_eq!(plan.dirs.len(), 1, "{}", plan.shown);
        let [password, drop_in, config] = plan.files.as_slice() else { panic!("{}", plan.shown) };
        assert_eq!((password.mode, password.owner), (0o600, None), "systemd reads it");
        assert_eq!(password.path, Path::new("/etc/certcollectd/password"), "as in LoadCredential=");
        let unit = include_str!("../../../systemd/certcollectd.service");
        assert!(unit.contains(&format!("LoadCredential=sectigo:{}", password.path.display())));
        assert_eq!(
            drop_in.content.as_str(),
            "[Service]\nReadWritePaths=\"/srv/50%% \\\"tls\\\"\"\n# They may read the keys.\nSupplementaryGroups=ssl-cert\n"
        );
        assert!(config.content.contains("password   = { credential = \"sectigo\" }"), "{}", *config.content);
        assert!(config.content.contains("combined = \"combined.pem\""), "{}", *config.content);
        let schema = "#:schema /usr/share/certcollectd/schema.json\n";
        assert!(config.content.starts_with(schema), "an editor reads the first line: {}", *config.content);
        let manifest = include_str!("../../../Cargo.toml");
        assert!(manifest.contains("\"usr/share/certcollectd/schema.json\""), "where the package puts it");
        assert!(plan.is_for_unit && plan.has_drop_in && !plan.shown.contains("secret"));
    }

    #[test]
    fn without_the_service_the_daemons_user_owns_the_password() {
        let place = Place { drop_in: None, schema: None, ..place() };
        let plan = plan(&place, &answers());
        let [password, config] = plan.files.as_slice() else { panic!("{}", plan.shown) };
        assert!(!config.content.contains("#:schema"), "{}", *config.content);
        assert_eq!((password.mode, password.owner), (0o600, Some((990, 990))));
        assert!(
            config.content.contains("password   = { file = \"/etc/certcollectd/password\" }"),
            "{}",
            *config.content
        );
        assert!(!plan.is_for_unit && !plan.has_drop_in);
    }

    #[test]
    fn what_the_service_has_anyway_needs_no_drop_in() {
        let place = Place { groups: Vec::new(), ..place() };
        let plan = plan(&place, &Answers { install_dir: None, ..answers() });
        assert!(!plan.has_drop_in && plan.is_for_unit);
    }
}
