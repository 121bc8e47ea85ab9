//! Tidying: old generations go, refused bundles are laid out for the operator.

use std::path::Path;

use super::dir::Dir;
use super::layout::{clear_leftovers, store_name};
use crate::effects::ownership::Ownership;
use certcollectd_core::engine::install::{InstallError, Quarantine};

/// Number of newest generations kept.
const KEPT: usize = 3;
/// Younger generations than this stay as well, in seconds.
const KEPT_FOR: i64 = 30 * 24 * 3600;

/// Removes the generations of an order that are none of: current, among the newest three, younger than 30 days;
/// and what a crash left of a staging or a swap.
pub fn sweep(install_dir: &Path, order: &str, current: &str, unix: i64) -> Result<(), InstallError> {
    let store = Dir::open(install_dir)?.enter(store_name(order))?;
    clear_leftovers(&store)?;
    let names = store.list(100_000)?;
    let mut generations: Vec<(&String, i64)> =
        names.iter().filter_map(|name| Some((name, made_at(name)?))).collect();
    generations.sort_by_key(|(name, at)| (*at, *name));
    generations.reverse();
    let mut removed = false;
    for (name, at) in generations.into_iter().skip(KEPT) {
        if name != current && at < unix - KEPT_FOR {
            store.remove_dir(name)?;
            removed = true;
        }
    }
    if removed { store.sync() } else { Ok(()) }
}

/// When a generation was made, from its name; what is not named like one is not ours to remove.
fn made_at(name: &str) -> Option<i64> {
    let (time, fingerprint) = name.split_once('-')?;
    let hex =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok().filter(|_| hex(fingerprint))?;
    Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Lays a refused bundle out as `<state_dir>/quarantine/<order>/`: one file for each certificate and the reason.
pub fn quarantine(state_dir: &Path, refused: &Quarantine) -> Result<(), InstallError> {
    let dir = Dir::open(state_dir)?.make("quarantine", 0o700)?.make(&*refused.name, 0o700)?;
    for old in dir.list(1000)? {
        dir.remove(&old)?;
    }
    let own = Ownership::default();
    for (at, certificate) in refused.certificates.iter().enumerate() {
        dir.create(&format!("{at}.pem"), certificate.to_pem().as_bytes(), 0o600, own)?;
    }
    let mut text = String::from("refused because:\n");
    for reason in refused.reason.split("; ") {
        text.push_str(&format!("  {reason}\n"));
    }
    for (at, certificate) in refused.certificates.iter().enumerate() {
        text.push_str(&format!(
            "\n{at}.pem\n  subject    {}\n  issuer     {}\n  serial     {}\n  valid      {} to {}\n  sha256     {}\n",
            certificate.subject_text(),
            certificate.issuer_text(),
            certificate.serial_text(),
            certcollectd_core::engine::time::rfc3339(certificate.not_before()),
            certcollectd_core::engine::time::rfc3339(certificate.not_after()),
            certificate.fingerprint()
        ));
    }
    dir.create("reason.txt", text.as_bytes(), 0o600, own)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_like_ours_have_an_age() {
        assert_eq!(made_at("20261120T091200Z-5f3a9c0112345678"), Some(1_795_165_920));
        assert_eq!(made_at("20261120T091200Z-5f3a9c0112345678-1"), Some(1_795_165_920));
        for foreign in
            ["backup", "20261120T091200Z", "20261120T091200Z-", "20261120T091200Z-old", ".staging-12"]
        {
            assert_eq!(made_at(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn the_current_one_the_newest_three_and_the_young_stay() {
        let temp = tempfile::tempdir().unwrap();
        let store = temp.path().join(".www");
        let names = [
            "20260101T000000Z-01",
            "20260102T000000Z-02",
            "20260103T000000Z-03",
            "20260104T000000Z-04",
            "20260601T000000Z-05",
            "20261119T000000Z-06",
            "not-a-generation",
        ];
        for name in names {
            std::fs::create_dir_all(store.join(name)).unwrap();
            std::fs::write(store.join(name).join("cert.pem"), name).unwrap();
        }
        std::fs::create_dir(store.join(".staging-0123456789abcdef")).unwrap();
        std::os::unix::fs::symlink("x", store.join(".link-0123456789abcdef")).unwrap();
        sweep(temp.path(), "www", names[1], 1_795_165_920).unwrap();
        let mut left: Vec<String> = std::fs::read_dir(&store)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [names[1], names[3], names[4], names[5], names[6]]);
    }
}
