//! Notices that the configuration or a credential changed.
//!
//! Directories are watched, not files: an editor or Kubernetes puts a new file into the place of the old one,
//! and a watch on the old one goes deaf. Any event means "look again"; what counts is whether a file is another
//! one. Because some mounts report no events at all, everything there is looked at without any as well. Our own
//! reading of a password is none of these events: each call would wake this thread.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{ErrorKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::io::Errno;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::time::sleep;

use super::alarm::Alarm;
use super::files::{self, InvalidConfig, LoadedConfig, Stamp, stamp_of};
use super::{Inbox, Message, mounts};
use crate::config::file;
use crate::effects::call::credential;
use crate::effects::errno::cause;
use crate::effects::files::is_own;

/// Debounce after the last event: an editor writes in several steps.
const SETTLE: Duration = Duration::from_millis(300);
/// A file that never settles is read after this many waits.
const SETTLE_AT_MOST: u32 = 10;
/// Interval of the checks without any event, where some may be missing.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The same where each change is told: but for another mount, or another directory further up. A file that is mounted by
/// itself is not among what its directory tells.
const LOOK_ANYWAY: Duration = Duration::from_secs(300);

/// This one, the one that receives events, one that reads, and one left for the effects.
const THREADS: usize = 4;

/// What is watched, and what it was when it was last looked at.
struct Watch {
    path: PathBuf,
    patterns: Vec<String>,
    files: Vec<(PathBuf, Stamp)>,
    /// What `include` names and cannot read. Removing it can be the fix.
    missed: Vec<String>,
    credentials: HashMap<(Arc<str>, PathBuf), Stamp>,
    /// Each with what was watched under that name; nothing where it could not be.
    dirs: BTreeMap<PathBuf, Option<Place>>,
    watcher: Option<RecommendedWatcher>,
    /// The warning that the system has no more watches was logged.
    is_exhausted: bool,
    events: mpsc::Receiver<()>,
    inbox: Inbox,
}

/// Begins to watch the configuration that was just read from `path`, on a thread of its own: looking at a
/// hung mount must not keep others waiting.
pub fn start(path: &Path, found: Arc<LoadedConfig>, inbox: Inbox) -> io::Result<()> {
    super::threads::spare(THREADS)?;
    let path = path.to_owned();
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    std::thread::Builder::new().name("watch".into()).spawn(move || {
        let watch = Watch::new(&path, &found, inbox.clone());
        // What changed before there was anything to compare with.
        for account in &found.config.accounts {
            let _ = inbox.blocking_send(Message::Credential(account.name.clone()));
        }
        drop(found);
        runtime.block_on(watch.run());
    })?;
    Ok(())
}

/// A directory, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    dev: u64,
    ino: u64,
    is_own: bool,
}

impl Place {
    fn of(dir: &Path) -> Option<Place> {
        let found = std::fs::metadata(dir).ok()?;
        let is_own = rustix::fs::statfs(dir).is_ok_and(|found| is_own(&found));
        Some(Place { dev: found.dev(), ino: found.ino(), is_own })
    }
}

impl Watch {
    fn new(path: &Path, found: &LoadedConfig, inbox: Inbox) -> Watch {
        let (sender, events) = mpsc::channel(1);
        // A full channel says already that there is something to look at.
        let on_event = move |_: notify::Result<notify::Event>| {
            let _ = sender.try_send(());
        };
        let watcher = RecommendedWatcher::new(on_event, changes());
        if let Err(error) = &watcher {
            tracing::warn!("{}", words(error));
        }
        let mut watch = Watch {
            path: path.to_owned(),
            patterns: Vec::new(),
            files: Vec::new(),
            missed: Vec::new(),
            credentials: HashMap::new(),
            dirs: BTreeMap::new(),
            watcher: watcher.ok(),
            is_exhausted: false,
            events,
            inbox,
        };
        watch.follow(found);
        watch
    }

    /// Watches until the loop is gone. The first look is for what changed before anything was watched: between the
    /// reading of the configuration and now, the lock may have been waited for.
    async fn run(mut self) {
        let alarm = Alarm::unset();
        while self.look().await.is_ok() {
            let pause = if self.is_told_all() { LOOK_ANYWAY } else { LOOK_AGAIN };
            tokio::select! {
                _ = self.events.recv() => self.settle().await,
                () = alarm.within(pause) => {}
            }
        }
    }

    /// Whether every change of the files would be told by their directories.
    fn is_told_all(&self) -> bool {
        let files = self.files.iter().map(|(path, _)| path);
        let credentials = self.credentials.keys().map(|(_, path)| path);
        self.dirs.values().all(|watched| watched.is_some_and(|place| place.is_own))
            && !files.chain(credentials).any(|path| mounts::may_be_mount(path))
    }

    async fn settle(&mut self) {
        for _ in 0..SETTLE_AT_MOST {
            sleep(SETTLE).await;
            if self.events.try_recv().is_err() {
                return;
            }
        }
    }

    /// Checks whether anything changed, and reports it.
    async fn look(&mut self) -> Result<(), SendError<Message>> {
        self.watch_dirs(self.dirs.keys().cloned().collect());
        let (files, missed) = stamps(&self.path, &self.patterns);
        if files != self.files || missed != self.missed {
            self.files = files;
            self.missed = missed;
            let read = read_apart(self.path.clone()).await;
            match &read {
                Ok(found) => self.follow(found),
                Err(invalid) => self.follow_invalid(invalid),
            }
            self.inbox.send(message(read)).await?;
        }
        for ((account, path), stamp) in &mut self.credentials {
            let now = stamp_of(path);
            if now != *stamp {
                *stamp = now;
                self.inbox.send(Message::Credential(account.clone())).await?;
            }
        }
        Ok(())
    }

    /// Watches every directory in which a change of the files would show.
    fn follow(&mut self, found: &LoadedConfig) {
        let patterns = found.sources.first().map(file::includes).unwrap_or_default();
        if patterns != self.patterns {
            self.missed = stamps(&self.path, &patterns).1;
            self.patterns = patterns;
        }
        self.files = found.stamps.clone();
        let mut dirs = self.dirs_of_files();
        let mut credentials = HashMap::new();
        for account in &found.config.accounts {
            for path in account.secrets().filter_map(|(_, source)| credential::path(source).ok().flatten()) {
                dirs.extend(dirs_of(&path));
                let key = (account.name.clone(), path);
                let stamp = self.credentials.get(&key).copied().unwrap_or_else(|| stamp_of(&key.1));
                credentials.insert(key, stamp);
            }
        }
        self.credentials = credentials;
        self.watch_dirs(dirs);
    }

    /// The problem can be in a file that was just included, and its fix must be noticed.
    fn follow_invalid(&mut self, invalid: &InvalidConfig) {
        let Some(patterns) = &invalid.patterns else { return };
        let (files, missed) = stamps(&self.path, patterns);
        if *patterns != self.patterns {
            self.missed = missed;
            self.patterns.clone_from(patterns);
        }
        self.files = files;
        for (path, stamp) in &mut self.files {
            // The stamp from when it was read; for what could not be read, the present one.
            if let Some((_, read)) = invalid.stamps.iter().find(|(known, _)| known == path) {
                *stamp = *read;
            }
        }
        let dirs = self.dirs.keys().cloned().chain(self.dirs_of_files()).collect();
        self.watch_dirs(dirs);
    }

    /// Where a change of the configuration's files would show, and a new one.
    fn dirs_of_files(&self) -> BTreeSet<PathBuf> {
        let included =
            self.patterns.iter().filter_map(|pattern| Some(Path::new(pattern).parent()?.to_owned()));
        self.files.iter().flat_map(|(path, _)| dirs_of(path)).chain(included).collect()
    }

    /// Watches these directories, and no others. One that was replaced is another one.
    fn watch_dirs(&mut self, dirs: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else {
            self.dirs = dirs.into_iter().map(|dir| (dir, None)).collect();
            return;
        };
        let mut before = std::mem::take(&mut self.dirs);
        for dir in dirs {
            let known = before.remove(&dir);
            // Before it is watched: what is put there afterwards is found to be another one.
            let found = Place::of(&dir);
            if known.is_some_and(|known| known == found && known.is_some()) {
                self.dirs.insert(dir, found);
                continue;
            }
            if known.is_some() {
                let _ = watcher.unwatch(&dir);
            }
            let watched = watcher.watch(&dir, RecursiveMode::NonRecursive);
            if let Err(error) = &watched {
                if matches!(error.kind, ErrorKind::MaxFilesWatch)
                    && !std::mem::replace(&mut self.is_exhausted, true)
                {
                    tracing::warn!("{}", words(error));
                }
                if known.is_none() {
                    tracing::debug!(
                        "{} cannot be watched and is checked once a minute: {error}",
                        dir.display()
                    );
                }
            }
            self.dirs.insert(dir, found.filter(|_| watched.is_ok()));
        }
        for gone in before.keys() {
            let _ = watcher.unwatch(gone);
        }
    }
}

/// What changes something; not that somebody opens or closes a file.
fn changes() -> notify::Config {
    notify::Config::default().with_event_kinds(EventKindMask::CORE)
}

/// Why changes in a directory would be noticed late if this process watched it.
pub fn obstacle(dir: &Path) -> Option<String> {
    let watching = notify::recommended_watcher(|_: notify::Result<notify::Event>| {})
        .and_then(|mut watcher| watcher.watch(dir, RecursiveMode::NonRecursive));
    // A directory that cannot be read or is not there is another matter.
    watching.err().filter(|error| used_up(error).is_some()).map(|error| words(&error))
}

/// What is used up, and what to do.
fn used_up(error: &notify::Error) -> Option<&'static str> {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            Some("its file watches are used up; raise fs.inotify.max_user_watches (sysctl)")
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            Some("its watchers are used up; raise fs.inotify.max_user_instances (sysctl)")
        }
        _ => None,
    }
}

fn words(error: &notify::Error) -> String {
    let what = match (used_up(error), &error.kind) {
        (Some(what), _) => what.to_owned(),
        (None, ErrorKind::Io(error)) => cause(error),
        (None, _) => error.to_string(),
    };
    format!("file change notifications are unavailable, so changes are noticed within a minute: {what}")
}

/// Reads the configuration outside the loop: a large one takes a while.
async fn read_apart(path: PathBuf) -> Result<LoadedConfig, InvalidConfig> {
    let reading = tokio::task::spawn_blocking(move || files::read_some(&path, false));
    let internal = "internal error while reading the configuration, please report it";
    reading.await.unwrap_or_else(|_| Err(InvalidConfig::only(internal.into())))
}

/// Answers a requested reload: reread whatever the files look like.
pub async fn reread(path: PathBuf) -> Result<LoadedConfig, InvalidConfig> {
    read_apart(path).await
}

pub fn message(read: Result<LoadedConfig, InvalidConfig>) -> Message {
    match read {
        Ok(found) => Message::Configured { config: found.config, warnings: found.warnings },
        Err(invalid) => Message::Misconfigured(invalid.text),
    }
}

/// The directory of a path, and of every link on the way to the file: `..data` of a Kubernetes volume is one.
fn dirs_of(path: &Path) -> BTreeSet<PathBuf> {
    const MAX_LINKS: usize = 16;
    let mut dirs = BTreeSet::new();
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(dir) = at.parent().map(Path::to_owned) else { break };
        let dir = if dir.as_os_str().is_empty() { PathBuf::from(".") } else { dir };
        dirs.insert(dir.clone());
        // A directory on the way may be a link as well.
        if let Some(above) = dir.parent().filter(|_| dir.is_symlink()) {
            dirs.insert(above.to_owned());
        }
        match std::fs::read_link(&at) {
            Ok(target) => at = dir.join(target),
            Err(_) => break,
        }
    }
    dirs
}

/// Each file with its stamp, and the messages about what `include` cannot read.
fn stamps(main: &Path, patterns: &[String]) -> (Vec<(PathBuf, Stamp)>, Vec<String>) {
    let (included, unread) = files::included(patterns);
    let paths = included.into_iter().map(|(_, path)| path);
    let files = std::iter::once(main.to_owned()).chain(paths);
    let files = files.map(|path| (path.clone(), stamp_of(&path))).collect();
    (files, unread.into_iter().map(|unread| unread.message).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "include = [\"more.d/*.toml\"]\n[[account]]\nname = \"main\"\nlogin_name = \"x\"\npassword = { env = \"X\" }\n";

    /// What the watch tells first when `change` comes after the configuration was read and before it is watched.
    fn told(change: impl FnOnce(&Path)) -> Option<Message> {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("c.toml");
        std::fs::create_dir(scratch.path().join("more.d")).unwrap();
        std::fs::write(scratch.path().join("more.d/a.toml"), "\n").unwrap();
        std::fs::write(&path, SOUND).unwrap();
        let found = files::read(&path, false).unwrap();
        change(scratch.path());
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, mut inbox) = mpsc::channel(8);
            let mut watch = Watch::new(&path, &found, sender);
            watch.look().await.unwrap();
            inbox.try_recv().ok()
        })
    }

    #[test]
    fn a_change_between_reading_and_watching_is_noticed() {
        assert!(told(|_| {}).is_none(), "nothing changed");
        let main = |dir: &Path| std::fs::write(dir.join("c.toml"), format!("{SOUND}# more\n")).unwrap();
        assert!(matches!(told(main), Some(Message::Configured { .. })));
        let included = |dir: &Path| std::fs::write(dir.join("more.d/a.toml"), "# more\n").unwrap();
        assert!(matches!(told(included), Some(Message::Configured { .. })));
        let new = |dir: &Path| std::fs::write(dir.join("more.d/b.toml"), "not = sound").unwrap();
        assert!(matches!(told(new), Some(Message::Misconfigured(_))));
    }

    #[test]
    fn our_own_reading_is_no_event() {
        let scratch = tempfile::tempdir().unwrap();
        let (secret, marker) = (scratch.path().join("secret"), scratch.path().join("marker"));
        std::fs::write(&secret, "x").unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        let on_event = move |event: notify::Result<notify::Event>| sender.send(event).unwrap();
        let mut watcher = RecommendedWatcher::new(on_event, changes()).unwrap();
        watcher.watch(scratch.path(), RecursiveMode::NonRecursive).unwrap();
        std::fs::read(&secret).unwrap();
        std::fs::write(&marker, "x").unwrap();
        assert_eq!(events.recv().unwrap().unwrap().paths, [marker]);
    }

    #[test]
    fn a_directory_that_was_replaced_is_watched_again() {
        let scratch = tempfile::tempdir().unwrap();
        let (path, more) = (scratch.path().join("c.toml"), scratch.path().join("more.d"));
        std::fs::create_dir(&more).unwrap();
        std::fs::write(&path, SOUND).unwrap();
        let found = files::read(&path, false).unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, _inbox) = mpsc::channel(8);
            let mut watch = Watch::new(&path, &found, sender);
            let first = Place::of(&more);
            assert_eq!(watch.dirs[&more], first);
            // Another one beside it, or the number of the first could be used again.
            std::fs::rename(&more, scratch.path().join("old.d")).unwrap();
            watch.look().await.unwrap();
            assert_eq!(watch.dirs[&more], None);
            assert!(!watch.is_told_all());
            std::fs::create_dir(&more).unwrap();
            watch.look().await.unwrap();
            assert_eq!(watch.dirs[&more], Place::of(&more));
            assert_ne!(watch.dirs[&more], first);
        });
    }

    #[test]
    fn what_include_no_longer_misses_is_noticed() {
        let scratch = tempfile::tempdir().unwrap();
        let (path, more) = (scratch.path().join("c.toml"), scratch.path().join("more.d"));
        std::fs::create_dir(&more).unwrap();
        std::fs::write(&path, SOUND).unwrap();
        let found = files::read(&path, false).unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (sender, mut inbox) = mpsc::channel(8);
            let mut watch = Watch::new(&path, &found, sender);
            let lost = more.join("lost.toml");
            for _ in 0..2 {
                watch.look().await.unwrap();
                assert!(inbox.try_recv().is_err(), "nothing changed");
                std::os::unix::fs::symlink("nowhere", &lost).unwrap();
                watch.look().await.unwrap();
                assert!(matches!(inbox.try_recv(), Ok(Message::Misconfigured(_))));
                watch.look().await.unwrap();
                assert!(inbox.try_recv().is_err(), "said once");
                std::fs::remove_file(&lost).unwrap();
                watch.look().await.unwrap();
                assert!(matches!(inbox.try_recv(), Ok(Message::Configured { .. })));
                std::fs::remove_dir(&more).unwrap();
                watch.look().await.unwrap();
                assert!(matches!(inbox.try_recv(), Ok(Message::Misconfigured(_))));
                std::fs::create_dir(&more).unwrap();
                watch.look().await.unwrap();
                assert!(matches!(inbox.try_recv(), Ok(Message::Configured { .. })));
            }
        });
    }
}
