//! The user that the daemon runs as.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::eyes::User;
use certcollectd_core::config::Config;

/// Is there where systemd runs the machine (sd_booted(3)).
pub const SYSTEMD: &str = "/run/systemd/system";
/// The shipped unit.
const UNIT: &str = "certcollectd.service";

/// The user that the daemon runs as: the current one, or, if that is root, the owner of the state or of the
/// installed files, with the groups that the unit adds.
pub fn service(config: &Config) -> User {
    let me = User::me();
    if !me.is_root() {
        return me;
    }
    let owner = |dir: &Path| std::fs::metadata(dir).ok().map(|found| found.uid());
    match owner(&config.state_dir).or_else(|| owner(&config.install_dir)) {
        Some(uid) if uid != 0 => User::of(uid, &unit_groups()),
        _ => me,
    }
}

/// `SupplementaryGroups=` of the unit, drop-ins included.
fn unit_groups() -> Vec<String> {
    if !Path::new(SYSTEMD).exists() {
        return Vec::new();
    }
    let asked = Command::new("systemctl")
        .args(["show", "--property=SupplementaryGroups", "--value", UNIT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().map(str::to_owned).collect()
}
