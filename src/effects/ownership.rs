//! Users and groups by name: the owner that a file should have, and the one that it has.

use nix::unistd::{Group, User};

use certcollectd_core::engine::install::InstallError;

/// Who shall own a file; `None` leaves the daemon's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ownership {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Ownership {
    /// Looks names up in the system's user database.
    pub fn lookup(owner: Option<&str>, group: Option<&str>) -> Result<Self, InstallError> {
        let uid = |name: &str| Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
        let gid = |name: &str| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
        Ok(Ownership {
            uid: owner.map(|name| number("find the user", "user", name, uid)).transpose()?,
            gid: group.map(|name| number("find the group", "group", name, gid)).transpose()?,
        })
    }
}

/// Numbers stand for themselves.
fn number(
    step: &'static str,
    kind: &str,
    name: &str,
    find: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, InstallError> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let cause = match find(name) {
        Ok(Some(number)) => return Ok(number),
        Ok(None) => format!("there is no {kind} of that name"),
        Err(why) => why.to_string(),
    };
    let advice = "create it, or change owner or group in the configuration";
    Err(InstallError::new(step, name, cause).advise(advice))
}

/// A user's name, or the number of one without.
pub fn user_name(uid: u32) -> String {
    let user = User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A group's name, or the number of one without.
pub fn group_name(gid: u32) -> String {
    let group = Group::from_gid(gid.into()).ok().flatten();
    group.map_or_else(|| gid.to_string(), |group| group.name)
}

/// A user as `sudo -u` takes it; a number needs a mark there, and quotes in a shell.
pub fn sudo_user(uid: u32) -> String {
    let name = user_name(uid);
    if name == uid.to_string() { format!("'#{uid}'") } else { name }
}
