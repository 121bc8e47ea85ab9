//! Users and groups by name: whom a file is to belong to, and whom one belongs to.

use certcollectd_core::engine::install::InstallError;

/// Who shall own a file; `None` leaves the daemon's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ownership {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

impl Ownership {
    /// Looks names up in the system's user database; numbers stand for themselves.
    pub fn lookup(owner: Option<&str>, group: Option<&str>) -> Result<Self, InstallError> {
        let error = |step, name: &str, cause: String| {
            InstallError::new(step, name, cause)
                .advise("create it, or change owner or group in the configuration")
        };
        let uid = owner.map(|name| match name.parse() {
            Ok(uid) => Ok(uid),
            Err(_) => match nix::unistd::User::from_name(name) {
                Ok(Some(user)) => Ok(user.uid.as_raw()),
                Ok(None) => Err(error("find the user", name, "there is no user of that name".into())),
                Err(why) => Err(error("find the user", name, why.to_string())),
            },
        });
        let gid = group.map(|name| match name.parse() {
            Ok(gid) => Ok(gid),
            Err(_) => match nix::unistd::Group::from_name(name) {
                Ok(Some(group)) => Ok(group.gid.as_raw()),
                Ok(None) => Err(error("find the group", name, "there is no group of that name".into())),
                Err(why) => Err(error("find the group", name, why.to_string())),
            },
        });
        Ok(Ownership { uid: uid.transpose()?, gid: gid.transpose()? })
    }
}

/// A user's name, or the number of one without.
pub fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// A user as `sudo -u` takes it; a number needs a mark there, and quotes in a shell.
pub fn sudo_user(uid: u32) -> String {
    let name = user_name(uid);
    if name == uid.to_string() { format!("'#{uid}'") } else { name }
}
