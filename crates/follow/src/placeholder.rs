//! A self-signed certificate until the first one is there.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use certcollectd_core::follow::PLACEHOLDER;
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::clock;
use crate::link::cause;

/// Servers serve it when it has ended, too.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What the daemon writes by default, and the key.
const CERTIFICATES: [&str; 3] = ["cert.pem", "chain.pem", "fullchain.pem"];
const KEY: &str = "privkey.pem";

/// Makes `.www/placeholder` beside the link `www` and lets the link lead there, unless something else has come there. The
/// daemon takes both over with the first certificate.
pub(crate) fn make(link: &Path, names: &[String]) -> Result<(), String> {
    let failed =
        |what: &str, error: &io::Error| format!("cannot make a placeholder: {what}: {}", cause(error));
    let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else {
        return Err(format!("cannot make a placeholder for {}", link.display()));
    };
    let store_name = format!(".{}", name.to_string_lossy());
    let store = parent.join(&store_name);
    let target = Path::new(&store_name).join(PLACEHOLDER);
    // One of an earlier start.
    let has_ours = || fs::read_link(link).is_ok_and(|found| found == target);
    let in_the_way =
        || format!("cannot make a placeholder: {} is there, and is not replaced; remove it", link.display());
    if link.symlink_metadata().is_ok() && !has_ours() {
        return Err(in_the_way());
    }
    let (certificate, key) = certificate(names)?;
    let made = make_store(parent, &store);
    made.map_err(|error| failed(&store.display().to_string(), &error))?;
    let dir = store.join(PLACEHOLDER);
    let files = || {
        // One of an earlier start may lack a file.
        remove(&dir)?;
        DirBuilder::new().mode(0o755).create(&dir)?;
        fs::set_permissions(&dir, Permissions::from_mode(0o755))?;
        for file in CERTIFICATES {
            write(&dir.join(file), certificate.as_bytes(), 0o644)?;
        }
        write(&dir.join(KEY), key.as_bytes(), 0o600)
    };
    files().map_err(|error: io::Error| failed(&dir.display().to_string(), &error))?;
    match symlink(&target, link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed(&link.display().to_string(), &error))
        }
        // The first certificate may have come just now.
        Err(_) if !has_ours() && !link.exists() => Err(in_the_way()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes it when the link leads elsewhere. The daemon may have no right to.
pub(crate) fn clear(link: &Path) {
    if let (Some(parent), Some(name)) = (link.parent(), link.file_name()) {
        let _ = remove(&parent.join(format!(".{}", name.to_string_lossy())).join(PLACEHOLDER));
    }
}

fn certificate(names: &[String]) -> Result<(String, String), String> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "certcollectd placeholder");
        // To the daemon it is installed: the first certificate must not seem older.
        params.not_after = rcgen::date_time_ymd(1970, 1, 1) + LIFETIME;
        params.not_after += Duration::from_secs(clock::unix().unsigned_abs());
        Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
    };
    make().map_err(|error: rcgen::Error| format!("cannot make a placeholder: {error}"))
}

/// The directory of generations, which the daemon must be able to write to: it gets the owner of the one above.
fn make_store(parent: &Path, store: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(store) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    let above = fs::metadata(parent)?;
    let own = fs::metadata(store)?;
    if (above.uid(), above.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    chown(store, Some(above.uid()), Some(above.gid())).inspect_err(|_| {
        let _ = fs::remove_dir(store);
    })
}

fn remove(dir: &PathBuf) -> io::Result<()> {
    for file in CERTIFICATES.iter().chain([&KEY]) {
        match fs::remove_file(dir.join(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)
}
