//! Reading what other programs serve, for `adopt`: their configurations, what those include, certificates and
//! keys. Nothing is written, and whatever is wrong with one file leaves the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use crate::effects::errno::cause;
use crate::effects::files::read_file;
use crate::effects::ownership::{group_name, user_name};
use crate::takeover::haproxy::Bases;
use crate::takeover::kind::{self, Kind};
use crate::takeover::{FoundFile, Item, Mention, Place, Problem, Role, Says, Server, Survey, shown};
use crate::takeover::{apache, haproxy, nginx};
use certcollectd_core::cert;

/// Maximum size of a file that is looked into.
const MAX_FILE: usize = 2 * 1024 * 1024;
/// Maximum number of configuration files read.
const MAX_CONFIGURATIONS: usize = 20_000;
/// Maximum number of entries of folders that are gone through.
const MAX_ENTRIES: usize = 50_000;
/// Folders within folders.
const MAX_DEPTH: usize = 4;

/// Main files of a server's folder; what they do not include is not in use.
const MAIN: [&str; 5] = ["nginx.conf", "apache2.conf", "httpd.conf", "conf/httpd.conf", "haproxy.cfg"];

/// Folders in which clients of ACME keep what they have replaced.
const OLDER: [&str; 2] = ["archive", "backup"];

/// Where servers and clients of ACME have their files.
pub const USUAL: [&str; 5] =
    ["/etc/nginx", "/etc/apache2", "/etc/httpd", "/etc/haproxy", "/etc/letsencrypt/live"];

/// Looks into configurations, folders, patterns and files with certificates.
pub fn survey(paths: &[PathBuf]) -> Survey {
    let mut surveyor = Surveyor::default();
    for path in paths {
        surveyor.named(path);
    }
    let mut survey = surveyor.found;
    survey.problems.sort();
    survey.problems.dedup();
    survey
}

/// A configuration that is to be read.
struct Task {
    path: PathBuf,
    server: Server,
    /// Where relative paths begin.
    root: PathBuf,
    is_list: bool,
}

#[derive(Default)]
struct Surveyor {
    found: Survey,
    seen: BTreeSet<(PathBuf, bool)>,
    bases: Bases,
    entries: usize,
    unreadable: BTreeMap<PathBuf, String>,
}

impl Surveyor {
    fn problem(&mut self, place: Place, text: impl Into<String>) {
        self.found.problems.push(Problem { place, text: text.into() });
    }

    /// A path as the operator gave it.
    fn named(&mut self, path: &Path) {
        let path = &absolute(path);
        let whole = Place { file: path.clone(), line: 0 };
        if path.is_dir() {
            return self.folder(path);
        }
        if path.exists() || path.is_symlink() {
            return self.file(path, true);
        }
        let text = path.to_string_lossy();
        let found =
            glob::glob_with(&text, patterns()).map(|paths| paths.filter_map(Result::ok).collect::<Vec<_>>());
        match found {
            Ok(found) if !found.is_empty() => {
                for path in found {
                    if path.is_dir() { self.folder(&path) } else { self.file(&path, false) }
                }
            }
            Ok(_) if text.contains(['*', '?', '[']) => self.problem(whole, "no file matches this"),
            Ok(_) | Err(_) => self.problem(whole, "no such file or directory"),
        }
    }

    fn folder(&mut self, path: &Path) {
        let main = MAIN.iter().map(|name| path.join(name)).find(|main| main.is_file());
        match main {
            Some(main) => self.file(&main, true),
            None => self.walk(path, 0),
        }
    }

    fn walk(&mut self, folder: &Path, depth: usize) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let place = Place { file: folder.to_owned(), line: 0 };
                return self.problem(place, cause(&error));
            }
        };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            self.entries += 1;
            if is_hidden || self.entries > MAX_ENTRIES {
                continue;
            }
            if path.is_dir() && !path.is_symlink() {
                let is_older = path.file_name().is_some_and(|name| OLDER.iter().any(|older| name == *older));
                if depth < MAX_DEPTH && !is_older {
                    self.walk(&path, depth + 1);
                }
            } else {
                self.file(&path, false);
            }
        }
    }

    /// A file of any kind. In folders, what is neither configuration nor certificate is passed over.
    fn file(&mut self, path: &Path, is_named: bool) {
        let whole = Place { file: path.to_owned(), line: 0 };
        let content = match read_file(path, MAX_FILE) {
            Ok(content) => content,
            Err(error) => return self.problem(whole, cause(&error)),
        };
        match kind::of(&content) {
            Kind::Pem => {
                self.mention(path, Mention { place: whole, server: None, block: 0, role: Role::Plain })
            }
            Kind::Configuration(server) => self.configurations(Task {
                path: path.to_owned(),
                server,
                root: root_of(path, server),
                is_list: false,
            }),
            Kind::Other if is_named => self.problem(whole, "it is neither a configuration nor a PEM file"),
            Kind::Other => {}
        }
    }

    /// Reads a configuration and all that it includes.
    fn configurations(&mut self, first: Task) {
        let mut tasks = vec![first];
        while let Some(task) = tasks.pop() {
            let canonical = task.path.canonicalize().unwrap_or_else(|_| task.path.clone());
            if !self.seen.insert((canonical, task.is_list)) {
                continue;
            }
            let whole = Place { file: task.path.clone(), line: 0 };
            if self.seen.len() > MAX_CONFIGURATIONS {
                return self
                    .problem(whole, format!("more than {MAX_CONFIGURATIONS} files; the rest was not read"));
            }
            let content = match read_file(&task.path, MAX_FILE) {
                Ok(content) if content.contains(&0) => {
                    self.problem(whole, "it is not text");
                    continue;
                }
                Ok(content) => content,
                Err(error) => {
                    self.problem(whole, cause(&error));
                    continue;
                }
            };
            self.found.configurations += 1;
            let text = String::from_utf8_lossy(&content);
            let items = match (task.server, task.is_list) {
                (Server::Haproxy, true) => haproxy::list(&text, &self.bases),
                (Server::Nginx, _) => nginx::items(&text),
                (Server::Apache, _) => apache::items(&text),
                (Server::Haproxy, false) => haproxy::items(&text, &mut self.bases),
            };
            let mut more = self.items(&task, items);
            // In the order in which they stand.
            more.reverse();
            tasks.extend(more);
        }
    }

    fn items(&mut self, task: &Task, items: Vec<Item>) -> Vec<Task> {
        let mut root = task.root.clone();
        let mut tasks = Vec::new();
        for Item { line, block, says } in items {
            let place = Place { file: task.path.clone(), line };
            let server = Some(task.server);
            let mention = |role| Mention { place: place.clone(), server, block, role };
            match says {
                Says::LeftAlone(text) => self.problem(place, text),
                Says::Root(path) => root = root.join(path),
                Says::Key(path) => self.mention(&plain(&root.join(path)), mention(Role::Key)),
                Says::Chain(path) => self.mention(&plain(&root.join(path)), mention(Role::Chain)),
                Says::Certificate(path) => {
                    let path = plain(&root.join(path));
                    match task.server {
                        Server::Haproxy => self.haproxy(&path, &mention(Role::Certificate)),
                        Server::Nginx | Server::Apache => self.mention(&path, mention(Role::Certificate)),
                    }
                }
                Says::List(path) => tasks.push(Task {
                    path: plain(&root.join(path)),
                    server: task.server,
                    root: root.clone(),
                    is_list: true,
                }),
                Says::Include { pattern, required } => {
                    let included = self.include(&root.join(pattern), required, place);
                    tasks.extend(included.into_iter().map(|path| Task {
                        path,
                        server: task.server,
                        root: root.clone(),
                        is_list: false,
                    }));
                }
            }
        }
        tasks
    }

    fn include(&mut self, pattern: &Path, required: bool, place: Place) -> Vec<PathBuf> {
        let text = pattern.to_string_lossy();
        let is_pattern = text.contains(['*', '?', '[']);
        let found = match glob::glob_with(&text, patterns()) {
            Ok(found) => found,
            Err(error) => {
                self.problem(place, format!("include {}: {error}", shown(pattern)));
                return Vec::new();
            }
        };
        let mut paths = Vec::new();
        for path in found {
            match path {
                Ok(path) if path.is_dir() => paths.extend(self.files_below(&path)),
                Ok(path) => paths.push(path),
                Err(error) => {
                    let why = cause(error.error());
                    self.problem(place.clone(), format!("include {}: {why}", shown(error.path())));
                }
            }
        }
        if paths.is_empty() && !is_pattern && required && !pattern.is_dir() {
            self.problem(place, format!("include {}: there is no such file", shown(pattern)));
        }
        paths
    }

    /// Apache includes folders with everything in them.
    fn files_below(&mut self, folder: &Path) -> Vec<PathBuf> {
        let pattern = format!("{}/**/*", glob::Pattern::escape(&folder.to_string_lossy()));
        let found = glob::glob(&pattern).into_iter().flatten().filter_map(Result::ok);
        found.filter(|path| path.is_file()).take(MAX_CONFIGURATIONS).collect()
    }

    /// `crt`: a file, what lies beside it, or a folder of files.
    fn haproxy(&mut self, path: &Path, mention: &Mention) {
        if path.is_dir() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(path)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.is_file() && !is_hidden(path))
                .collect();
            files.sort();
            let beside = ["key", "issuer", "ocsp", "sctl", "dh"];
            for file in files {
                let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
                if !beside.contains(&extension) {
                    self.haproxy(&file, mention);
                }
            }
            return;
        }
        let with = |suffix: &str| PathBuf::from(format!("{}.{suffix}", path.display()));
        let bundle: Vec<PathBuf> =
            ["rsa", "ecdsa", "dsa"].map(with).into_iter().filter(|path| path.is_file()).collect();
        if !path.exists() && !bundle.is_empty() {
            bundle.iter().for_each(|path| self.haproxy(path, mention));
            return;
        }
        self.mention(path, mention.clone());
        for key in [with("key"), path.with_extension("key")] {
            if key != path && key.is_file() {
                self.mention(&key, Mention { role: Role::Key, ..mention.clone() });
            }
        }
    }

    /// A file with a certificate or a key that something names.
    fn mention(&mut self, path: &Path, mention: Mention) {
        if let Some(known) = self.found.files.get_mut(path) {
            if !known.mentions.contains(&mention) {
                known.mentions.push(mention);
            }
            return;
        }
        let said = match self.unreadable.get(path) {
            Some(why) => Err(why.clone()),
            None => look(path),
        };
        match said {
            Ok(Some(file)) => {
                self.found.files.insert(path.to_owned(), FoundFile { mentions: vec![mention], ..file });
            }
            // A file of a folder that holds something else.
            Ok(None) if mention.role == Role::Plain => {}
            Ok(None) => {
                let text = format!("{}: it holds neither a certificate nor a private key", shown(path));
                self.problem(mention.place, text);
            }
            Err(why) => {
                let prefix =
                    if mention.place.file == *path { String::new() } else { format!("{}: ", shown(path)) };
                self.problem(mention.place, format!("{prefix}{why}"));
                self.unreadable.insert(path.to_owned(), why);
            }
        }
    }
}

/// Certificates and keys of a file; `None` where it has neither.
fn look(path: &Path) -> Result<Option<FoundFile>, String> {
    let in_words = |error: io::Error| cause(&error);
    if path.to_str().is_none_or(|name| name.contains(char::is_control)) {
        return Err("its name is not UTF-8 text, or has control characters".into());
    }
    let content = read_file(path, MAX_FILE).map_err(in_words)?;
    let found = std::fs::metadata(path).map_err(in_words)?;
    let blocks = cert::pem_blocks(&content).ok_or("its PEM blocks are damaged")?;
    let is = |what: &str| blocks.iter().any(|(label, _)| label.ends_with(what));
    let has_key = is("PRIVATE KEY");
    let keys = match has_key {
        true => Some(cert::key::from_private_key_pem(&content).map_err(|why| why.to_string())?),
        false => None,
    };
    let certificates = match is("CERTIFICATE") {
        true => cert::unpack(&content).map_err(|why| why.to_string())?,
        false => Vec::new(),
    };
    if keys.is_none() && certificates.is_empty() {
        return Ok(None);
    }
    let link = std::fs::canonicalize(path).ok().filter(|_| path.is_symlink());
    Ok(Some(FoundFile {
        mentions: Vec::new(),
        certificates,
        keys,
        content: (!has_key).then(|| Zeroizing::clone(&content).to_vec()),
        has_text: kind::has_text(&content),
        has_parameters: is("DH PARAMETERS"),
        owner: user_name(found.uid()),
        group: group_name(found.gid()),
        mode: found.mode() & 0o7777,
        link,
    }))
}

/// As nginx and Apache read patterns: a wildcard does not stand for a leading dot.
fn patterns() -> glob::MatchOptions {
    glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn absolute(path: &Path) -> PathBuf {
    plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

/// Without `.` and, where no link is left, `..`: one name for one file.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if !plain.is_symlink() => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    plain
}

/// Where relative paths of a configuration begin: the folder of the server's main file, as far as that is found.
fn root_of(path: &Path, server: Server) -> PathBuf {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let names: &[&str] = match server {
        Server::Nginx => &["nginx.conf"],
        Server::Apache => &["apache2.conf", "conf/httpd.conf", "httpd.conf"],
        Server::Haproxy => &["haproxy.cfg"],
    };
    let holds_main = |folder: &&Path| names.iter().any(|name| folder.join(name).is_file());
    folder.ancestors().find(holds_main).unwrap_or(folder).to_owned()
}
