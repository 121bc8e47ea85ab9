//! Looking: at keys, at trust anchors, and at what readers see. Owner and mode that drifted are repaired.

use std::collections::HashSet;
use std::path::Path;

use rustix::fs::{Gid, Mode, Uid};

use super::copies::copy_mode;
use super::dir::Dir;
use super::error::failed;
use super::keys::{candidate_of, key, read_request, request_of, sent_request};
use super::layout::{self, MAX_FILE, store_name};
use super::roots::Roots;
use super::stage;
use super::takeover::is_as_found;
use crate::effects::files::read_file;
use crate::effects::ownership::Ownership;
use certcollectd_core::cert::{self, Certificate, Fingerprint};
use certcollectd_core::config::{FileCopy, FileKind, Files, KeySource};
use certcollectd_core::engine::install::{Inspect, InspectPurpose, Inspection, InstalledFile, Link};
use certcollectd_core::engine::order::contents;

/// Maximum number of generations searched for an older one.
const MAX_GENERATIONS: usize = 1000;

/// Looks, at `unix`.
pub fn inspect(install_dir: &Path, inspect: &Inspect, roots: &Roots, unix: i64) -> Inspection {
    let mut found = sources(inspect, roots, unix);
    look(install_dir, inspect, &mut found);
    found
}

/// Looks at what is needed besides the installed files.
pub fn sources(inspect: &Inspect, roots: &Roots, unix: i64) -> Inspection {
    let mut found = Inspection::default();
    match inspect.purpose.key() {
        Some(KeySource::Keys(paths)) => {
            for path in paths {
                let key = key(path);
                found.unread.extend(key.as_ref().err().cloned());
                found.keys.push(candidate_of(path, key));
            }
        }
        Some(KeySource::Csr(path)) => {
            let csr = read_request(path);
            found.unread.extend(csr.as_ref().err().cloned());
            found.csr = Some(request_of(path, csr).map(|csr| csr.public_key().clone()));
        }
        Some(KeySource::Request(text)) => {
            found.csr = Some(sent_request(text).map(|csr| csr.public_key().clone()));
        }
        Some(KeySource::None) | None => {}
    }
    if let InspectPurpose::Verify { anchors: Some(source), .. } = &inspect.purpose {
        found.anchors = Some(roots.get(source, unix));
    }
    found
}

fn look(install_dir: &Path, inspect: &Inspect, found: &mut Inspection) {
    let base = match Dir::open(install_dir) {
        Ok(base) => base,
        Err(_) if is_gone(install_dir) => return miss_all(inspect, found),
        Err(error) => {
            found.link = Link::Unknown(error.to_string());
            return found.unreadable.push(error.to_string());
        }
    };
    let store_name = store_name(&inspect.name);
    found.link = link(&base, &store_name, &inspect.name);
    match &found.link {
        Link::Missing | Link::Generation(_) => {}
        Link::Unknown(why) => found.unreadable.push(why.clone()),
        Link::Foreign(_) => {
            // What stands there may still hold what readers look for.
            let place = install_dir.join(&*inspect.name);
            let names = inspect.expected.iter().map(|file| file.name.clone());
            found.missing = names.filter(|name| leads_nowhere(&place.join(name))).collect();
        }
    }
    open_to_owner(&base, &store_name, found);
    let store = match base.find(&store_name) {
        Ok(Some(store)) => store,
        Ok(None) => return miss_all(inspect, found),
        Err(error) => return found.unreadable.push(error.to_string()),
    };
    close_to_others(&store, found);
    if let Link::Generation(current) = found.link.clone() {
        open_to_owner(&store, &current, found);
        match store.find(&current) {
            Ok(Some(generation)) => {
                close_to_others(&generation, found);
                look_into(&generation, inspect, found);
            }
            Ok(None) => {
                miss_all(inspect, found);
                found.unlinked = is_whole(&store, inspect, found);
            }
            Err(error) => found.unreadable.push(error.to_string()),
        }
    }
    if found.link == Link::Missing {
        found.unlinked = is_whole(&store, inspect, found);
    }
    if found.certificates.is_empty() {
        found.certificates = kept(&store, inspect);
    }
    if let InspectPurpose::RollBack { unserved, .. } = inspect.purpose {
        found.previous = previous(&store, found.link.generation(), &inspect.files, unserved);
    }
}

/// Whether a path leads to nothing. Where that cannot be told, it is not said.
fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// As [`is_gone`], or the way to it ends at a file, or goes round in circles.
fn leads_nowhere(path: &Path) -> bool {
    use rustix::io::Errno;
    let why = std::fs::metadata(path).err().and_then(|error| error.raw_os_error());
    why.map(Errno::from_raw_os_error)
        .is_some_and(|why| matches!(why, Errno::NOENT | Errno::NOTDIR | Errno::LOOP))
}

/// Neither the order's own files nor what they were copied from is there; copies are written with them.
fn miss_all(inspect: &Inspect, found: &mut Inspection) {
    if !matches!(found.link, Link::Foreign(_)) {
        found.missing = inspect.expected.iter().map(|file| file.name.clone()).collect();
    }
}

/// Whether all files of the generation on record are there, as they were written.
fn is_whole(store: &Dir, inspect: &Inspect, found: &mut Inspection) -> bool {
    if let Some(current) = inspect.current.as_deref() {
        open_to_owner(store, current, found);
    }
    let generation = on_record(store, inspect);
    generation.is_some_and(|generation| stage::check(&generation, &inspect.expected).is_ok())
}

fn on_record(store: &Dir, inspect: &Inspect) -> Option<Dir> {
    store.find(inspect.current.as_deref()?).ok().flatten()
}

/// The certificates of the generation on record, where no link leads to it any more.
fn kept(store: &Dir, inspect: &Inspect) -> Vec<Certificate> {
    let Some(generation) = on_record(store, inspect) else { return Vec::new() };
    let names = inspect.expected.iter().filter_map(|file| generation.read(&file.name, MAX_FILE).ok());
    names.flat_map(|(content, _)| certificates(&content)).collect()
}

fn link(base: &Dir, store_name: &str, name: &str) -> Link {
    match base.link(name) {
        Ok(None) => Link::Missing,
        Ok(Some(target)) => match target.strip_prefix(store_name).ok().and_then(|rest| rest.to_str()) {
            Some(generation) if !generation.is_empty() && !generation.contains('/') => {
                Link::Generation(generation.into())
            }
            _ => Link::Foreign(format!("a link to {}", target.display())),
        },
        Err(error) => match rustix::fs::statat(base, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Link::Foreign("a file or directory that certcollectd did not create".into()),
            Err(_) => Link::Unknown(error.to_string()),
        },
    }
}

fn look_into(generation: &Dir, inspect: &Inspect, found: &mut Inspection) {
    let owner = wanted_owner(inspect.files.owner.as_deref(), inspect.files.group.as_deref(), found);
    let modes = contents::wanted(&inspect.files);
    let wanted: Vec<&str> = modes.iter().map(|(_, name, _)| *name).collect();
    let others = inspect.expected.iter().map(|file| &*file.name).filter(|name| !wanted.contains(name));
    for name in wanted.iter().copied().chain(others) {
        let expected = inspect.expected.iter().find(|file| file.name == name);
        let (content, stat) = match generation.try_read(name, MAX_FILE) {
            Ok(read) => read,
            Err(error) => {
                if expected.is_some() {
                    match is_shortage(&error) {
                        true => found
                            .unreadable
                            .push(failed("read", &generation.path().join(name), error).to_string()),
                        // Whatever else is the matter with it, a new one takes its place.
                        false => found.missing.push(name.to_owned()),
                    }
                }
                continue;
            }
        };
        let digest = Fingerprint::of(&content);
        let kind = modes.iter().find(|(_, wanted, _)| *wanted == name);
        if let Some(expected) = expected.filter(|expected| expected.digest != digest) {
            match kind.is_some_and(|(kind, ..)| contents::is_ruined(*kind, &content)) {
                true => found.missing.push(expected.name.clone()),
                false => found.altered.push(expected.name.clone()),
            }
        }
        found.files.push((name.to_owned(), digest));
        found.certificates.extend(certificates(&content));
        if let Some((_, _, mode)) = kind {
            put_right(generation, name, *mode, owner, &stat, found);
        }
    }
    for copy in &inspect.copies {
        look_at_copy(copy, inspect, found);
    }
    found.certificates.dedup_by(|a, b| a.der() == b.der());
}

/// The system has run out of something for a moment; that tells nothing about a file.
fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    const PASSING: [Errno; 8] = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::INTR,
        Errno::TIMEDOUT,
        Errno::STALE,
        Errno::NOBUFS,
    ];
    error.raw_os_error().is_some_and(|code| PASSING.contains(&Errno::from_raw_os_error(code)))
}

/// A copy elsewhere is what a server reads, so it is guarded like the generation's own files.
fn look_at_copy(copy: &FileCopy, inspect: &Inspect, found: &mut Inspection) {
    let files = &inspect.files;
    let shown = copy.to.display().to_string();
    let (Some(parent), Some(name)) = (copy.to.parent(), copy.to.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    let read = Dir::open(parent).and_then(|dir| Ok((dir.read(name, MAX_FILE)?, dir)));
    let ((content, stat), dir) = match read {
        Ok(read) => read,
        Err(_) if is_gone(&copy.to) => return found.missing.push(shown),
        Err(_) if is_taken_over_link(copy, inspect) => return,
        Err(error) => return found.unseen.push(error.to_string()),
    };
    let file = contents::wanted(files).into_iter().find(|(kind, ..)| *kind == copy.from);
    let expected = file.and_then(|(_, name, _)| inspect.expected.iter().find(|file| file.name == name));
    let same = is_as_served(&content, inspect)
        || match (expected, inspect.leaf) {
            (Some(expected), _) => expected.digest == Fingerprint::of(&content),
            // The generation has no such file to compare with; the certificate in it is known.
            (None, Some(leaf)) => {
                !contents::is_ruined(copy.from, &content) && contents::may_show(copy.from, &content, leaf)
            }
            (None, None) => true,
        };
    // A chain without intermediates is an empty file.
    let bare = expected.is_none() && copy.from == FileKind::Chain && content.is_empty();
    if !same && !bare && contents::is_ruined(copy.from, &content) {
        return found.missing.push(shown);
    }
    if !same && !bare {
        found.altered.push(shown);
    }
    let owner = copy.owner.as_deref().or(files.owner.as_deref());
    let owner = wanted_owner(owner, copy.group.as_deref().or(files.group.as_deref()), found);
    put_right(&dir, name, copy_mode(copy, files), owner, &stat, found);
}

/// Whether it is one of the files that were served when the order was taken over.
fn is_as_served(content: &[u8], inspect: &Inspect) -> bool {
    let mut served = inspect.expected.iter().filter(|file| is_as_found(&file.name)).peekable();
    served.peek().is_some() && {
        let digest = Fingerprint::of(content);
        served.any(|file| file.digest == digest)
    }
}

/// A link that was taken over stays until a newer certificate comes; whatever lies behind it is not ours to correct.
fn is_taken_over_link(copy: &FileCopy, inspect: &Inspect) -> bool {
    let shows_leaf = |content: &[u8]| {
        let leaf = inspect.leaf.filter(|_| copy.from == FileKind::Combined);
        leaf.is_some_and(|leaf| contents::may_show(copy.from, content, leaf))
    };
    copy.to.is_symlink()
        && read_file(&copy.to, MAX_FILE)
            .is_ok_and(|content| is_as_served(&content, inspect) || shows_leaf(&content))
}

/// Whose the files are to be. A name that cannot be looked up just now says nothing about the files: they stay whose they
/// are.
fn wanted_owner(owner: Option<&str>, group: Option<&str>, found: &mut Inspection) -> Option<Ownership> {
    Ownership::lookup(owner, group).map_err(|error| found.uncorrected.push(error.to_string())).ok()
}

fn put_right(
    dir: &Dir,
    name: &str,
    mode: u32,
    owner: Option<Ownership>,
    stat: &rustix::fs::Stat,
    found: &mut Inspection,
) {
    use rustix::fs::{OFlags, fchmod, fchown, openat};
    let is_mode = stat.st_mode & 0o7777;
    let wrong_mode = is_mode != mode;
    // Where no owner is configured it is the daemon itself. The group may come from the directory.
    let uid = match owner {
        Some(owner) => owner.uid.unwrap_or_else(|| rustix::process::geteuid().as_raw()),
        None => stat.st_uid,
    };
    let gid = owner.and_then(|owner| owner.gid);
    let wrong_owner = uid != stat.st_uid || gid.is_some_and(|gid| gid != stat.st_gid);
    if !wrong_mode && !wrong_owner {
        return;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(file) = openat(dir, name, flags, Mode::empty()) else { return };
    // What we write has one name. A second one may be someone else's file, hard-linked here so that we open
    // it to everybody; and what was looked at is not what lies here now if it was swapped.
    let ours = rustix::fs::fstat(&file)
        .is_ok_and(|now| now.st_nlink == 1 && (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
    if !ours {
        return;
    }
    if wrong_owner {
        let was = format!("{name} belonged to {}:{}", stat.st_uid, stat.st_gid);
        repaired(found, was, fchown(&file, Some(Uid::from_raw(uid)), gid.map(Gid::from_raw)));
    }
    // After the owner: giving a file away can clear bits of its mode.
    let done = fchmod(&file, Mode::from_raw_mode(mode));
    if wrong_mode {
        repaired(found, format!("{name} had mode {is_mode:04o}"), done);
    }
}

/// A directory of ours that its own owner may not enter is never intended; root would not notice.
fn open_to_owner(parent: &Dir, name: &str, found: &mut Inspection) {
    use rustix::fs::{AtFlags, FileType, chmodat, statat};
    const OWNER: u32 = 0o500;
    let Ok(stat) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
    let ours = FileType::from_raw_mode(stat.st_mode) == FileType::Directory
        && stat.st_uid == rustix::process::geteuid().as_raw();
    let mode = stat.st_mode & 0o7777;
    if ours && mode & OWNER != OWNER {
        let opened = Mode::from_raw_mode(layout::DIR_MODE);
        let what = format!("{} had mode {mode:04o}", parent.path().join(name).display());
        // The directory above belongs to us or to root, and no one else may write to it.
        repaired(found, what, chmodat(parent, name, opened, AtFlags::empty()));
    }
}

/// Who may write to a directory can replace the files in it, whatever their mode.
fn close_to_others(dir: &Dir, found: &mut Inspection) {
    use rustix::fs::{fchmod, fchown, fstat};
    let Ok(stat) = fstat(dir) else { return };
    let (me, shown) = (rustix::process::geteuid(), dir.path().display());
    if stat.st_uid != me.as_raw() && stat.st_uid != 0 {
        repaired(found, format!("{shown} belonged to {}", stat.st_uid), fchown(dir, Some(me), None));
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o022 != 0 {
        let closed = Mode::from_raw_mode(mode & !0o022);
        repaired(found, format!("{shown} had mode {mode:04o}"), fchmod(dir, closed));
    }
}

/// Notes how an attempt to put something right has ended.
fn repaired(found: &mut Inspection, what: String, result: rustix::io::Result<()>) {
    match result {
        Ok(()) => found.repaired.push(what),
        Err(why) => found.uncorrected.push(format!("{what}, which cannot be repaired: {why}")),
    }
}

/// The certificates in one of our own files; a key beside them is passed over.
fn certificates(content: &[u8]) -> Vec<Certificate> {
    cert::unpack(content).unwrap_or_default()
}

/// The newest complete generation before the current one.
fn previous(
    store: &Dir,
    current: Option<&str>,
    files: &Files,
    unserved: Option<Fingerprint>,
) -> Option<(String, Vec<Certificate>, Vec<InstalledFile>)> {
    let current = current?;
    let mut names = store.list(MAX_GENERATIONS).ok()?;
    names.retain(|name| !name.starts_with('.') && name.as_str() < current);
    names.into_iter().rev().find_map(|name| {
        let dir = store.enter(&name).ok()?;
        let mut found = Vec::new();
        let mut pool = Vec::new();
        for (kind, file, mode) in contents::wanted(files) {
            match dir.read(file, MAX_FILE) {
                Ok((content, _)) => {
                    pool.extend(certificates(&content));
                    found.push(InstalledFile {
                        name: file.to_owned(),
                        digest: Fingerprint::of(&content),
                        mode,
                    });
                }
                // The vendor may not have sent a root.
                Err(_) if kind == FileKind::Root => {}
                Err(_) => return None,
            }
        }
        let mut seen = HashSet::new();
        pool.retain(|certificate: &Certificate| seen.insert(certificate.fingerprint()));
        let serves = pool.iter().any(|certificate| !certificate.is_ca());
        let is_unserved = pool.iter().any(|certificate| Some(certificate.fingerprint()) == unserved);
        (serves && !is_unserved).then_some((name, pool, found))
    })
}
