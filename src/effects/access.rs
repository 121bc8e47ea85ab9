//! Why a file or socket of the operator's cannot be used: who has access, and how to give it to the daemon.

use std::path::Path;
use std::{fmt, io};

use rustix::fs::{Access, AtFlags, CWD, accessat, stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::errno::cause;
use super::ownership::{group_name, user_name};

/// What is wanted of a file or socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Its content.
    Read,
    /// A connection, for which the right to write is needed (unix(7)).
    Connect,
}

impl Wish {
    /// The right in a mode, and as chmod(1) takes it.
    fn right(self) -> (u32, char) {
        match self {
            Wish::Read => (0o444, 'r'),
            Wish::Connect => (0o222, 'w'),
        }
    }
}

/// Why something does not work, and the one thing to do where that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words, lower case, without the number of the error.
    pub cause: String,
    pub remedy: Option<String>,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

/// Why this process cannot read a file, where that is a matter of the way to it and of rights.
pub fn obstacle(path: &Path) -> Option<io::Error> {
    accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).err().map(io::Error::from)
}

/// Why this process cannot start a program: rights, access lists, a mount that forbids it.
pub fn unstartable(path: &Path) -> Option<io::Error> {
    accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).err().map(io::Error::from)
}

/// Why a file or socket cannot be used. Looks at the way to it and asks for names of users, so it may take its time.
pub fn reason(path: &Path, wish: Wish, error: &io::Error) -> Reason {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::ACCESS | Errno::PERM) => denied(path, wish),
        Some(Errno::NOENT | Errno::NOTDIR) => Reason {
            cause: match missing(path) {
                Some(parent) => format!("there is no {}", parent.display()),
                None => "it does not exist".into(),
            },
            remedy: None,
        },
        Some(Errno::IO | Errno::STALE | Errno::NOTCONN | Errno::HOSTDOWN) => {
            Reason { cause: cause(error), remedy: Some("check its disk or mount".into()) }
        }
        _ => Reason { cause: cause(error), remedy: None },
    }
}

/// The first directory on the way that is not there.
fn missing(path: &Path) -> Option<&Path> {
    let parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.into_iter().rev().find(|parent| stat(*parent).is_err_and(|error| error == Errno::NOENT))
}

/// The first part of the path that denies this process access, and who has it.
fn denied(path: &Path, wish: Wish) -> Reason {
    let may_enter = |dir: &&Path| accessat(CWD, *dir, Access::EXEC_OK, AtFlags::empty()).is_ok();
    let parents: Vec<&Path> = path.ancestors().skip(1).collect();
    let closed = parents.into_iter().rev().find(|dir| !may_enter(dir));
    let (at, (bits, letter)) = closed.map_or_else(|| (path, wish.right()), |dir| (dir, (0o111, 'x')));
    let Ok(found) = stat(at) else {
        return Reason { cause: "permission denied".into(), remedy: None };
    };
    let what = closed.map_or_else(|| "it".to_owned(), |dir| dir.display().to_string());
    let mode = found.st_mode & 0o7777;
    if mode & bits & 0o070 == 0 {
        let user = numbered(found.st_uid, &user_name(found.st_uid));
        let is_ours = found.st_uid == geteuid().as_raw();
        let remedy = if is_ours && mode & bits & 0o700 == 0 {
            format!("chmod u+{letter} {}", at.display())
        } else {
            "give it a group of the daemon's user, and grant that group access".into()
        };
        return Reason {
            cause: format!("permission denied; {what} belongs to user {user}, mode {mode:04o}"),
            remedy: Some(remedy),
        };
    }
    let name = group_name(found.st_gid);
    let shown = numbered(found.st_gid, &name);
    Reason {
        cause: format!("permission denied; {what} belongs to group {shown}, mode {mode:04o}"),
        remedy: Some(format!(
            "add the daemon's user to that group: SupplementaryGroups={name} in `systemctl edit certcollectd`, then \
             restart"
        )),
    }
}

fn numbered(number: u32, name: &str) -> String {
    let number = number.to_string();
    if number == name { number } else { format!("{number} ({name})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_missing_is_the_first_that_is() {
        let temp = tempfile::tempdir().unwrap();
        let gone = io::Error::from_raw_os_error(Errno::NOENT.raw_os_error());
        let path = temp.path().join("mount/keys/www.key");
        let why = reason(&path, Wish::Read, &gone);
        assert_eq!(why.cause, format!("there is no {}", temp.path().join("mount").display()));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        assert_eq!(reason(&path, Wish::Read, &gone).cause, "it does not exist");
    }

    #[test]
    fn who_has_access_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("docker.sock");
        std::fs::write(&path, "").unwrap();
        let denied = io::Error::from_raw_os_error(Errno::ACCESS.raw_os_error());
        let own = stat(&path).unwrap();
        let say = |mode, wish| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            reason(&path, wish, &denied)
        };
        let by_group = say(0o660, Wish::Connect);
        assert!(by_group.cause.contains(&format!("it belongs to group {}", own.st_gid)), "{by_group:?}");
        assert!(by_group.remedy.unwrap().contains("SupplementaryGroups="));
        let by_owner = say(0o640, Wish::Connect);
        assert!(by_owner.cause.contains(&format!("it belongs to user {}", own.st_uid)), "{by_owner:?}");
        assert!(say(0o640, Wish::Read).cause.contains("mode 0640"));
        // Only this user itself is in the way.
        let own = |wish| say(0o000, wish).remedy.unwrap();
        assert_eq!(own(Wish::Read), format!("chmod u+r {}", path.display()));
        assert_eq!(own(Wish::Connect), format!("chmod u+w {}", path.display()));
    }
}
