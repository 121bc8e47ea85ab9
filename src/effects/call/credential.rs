//! Secrets: read each time they are needed, wiped after use.
//!
//! The daemon holds no password between calls. A copy made by the HTTP client while it sends cannot be wiped
//! by us; the process is not dumpable, so other processes cannot read it.

use std::fs::{File, Metadata};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::effects::{errno, files};
use certcollectd_core::config::{Account, SecretSource};
use certcollectd_core::engine::account::record::CredentialTag;

/// `loginPassword` has at most 128 characters [seed]; a larger file is not a password.
const MAX_SECRET: usize = 4096;
/// The tag is kept to 16 bits; the rounds only make it useless for guessing in bulk.
const ROUNDS: NonZeroU32 = NonZeroU32::new(20_000).expect("not zero");

/// Editors put it at the start of what they take for UTF-8; no person means it.
const MARK: char = '\u{feff}';

/// The file behind a source, if it is one.
pub fn path(source: &SecretSource) -> Result<Option<PathBuf>, String> {
    match source {
        SecretSource::File(path) => Ok(Some(path.clone())),
        SecretSource::Env(_) => Ok(None),
        SecretSource::Credential(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(dir) => Ok(Some(Path::new(&dir).join(name))),
            None => Err(format!(
                "credential {name}: $CREDENTIALS_DIRECTORY is not set; add LoadCredential={name}:... to the systemd unit"
            )),
        },
    }
}

/// Whether this is a systemd credential and this process runs in no unit that has it.
pub fn is_out_of_reach(source: &SecretSource) -> bool {
    matches!(source, SecretSource::Credential(_)) && path(source).is_err()
}

/// Reads a secret of one line. The error names the source and the cause, never the content.
pub fn read(source: &SecretSource) -> Result<Zeroizing<String>, String> {
    one_line(source, &read_text(source, MAX_SECRET)?)
}

/// Opens the file of a source that has one.
pub(super) fn open(source: &SecretSource) -> Result<(File, Metadata), String> {
    let path = path(source)?.expect("it is in a file");
    files::open_file(&path).map_err(|error| format!("{}: {}", source.describe(), errno::cause(&error)))
}

/// As [`read`], from the file behind the source, which is so large.
pub(super) fn read_opened(
    source: &SecretSource,
    file: &File,
    size: u64,
) -> Result<Zeroizing<String>, String> {
    let text = files::read_sized(file, size, MAX_SECRET).map_err(|error| errno::cause(&error));
    let text =
        text.and_then(|bytes| text_of(&bytes)).map_err(|why| format!("{}: {why}", source.describe()))?;
    one_line(source, text.strip_prefix(MARK).unwrap_or(&text))
}

fn one_line(source: &SecretSource, text: &str) -> Result<Zeroizing<String>, String> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    match line {
        "" => Err(format!("{} is empty", source.describe())),
        line if line.contains(['\n', '\r', '\0']) => {
            Err(format!("{} contains more than one line", source.describe()))
        }
        line => Ok(Zeroizing::new(line.to_owned())),
    }
}

/// Reads a secret text of so many bytes at most.
pub fn read_text(source: &SecretSource, most: usize) -> Result<Zeroizing<String>, String> {
    let shown = source.describe();
    let text = match path(source)? {
        Some(path) => read_file(&path, most).map_err(|why| format!("{shown}: {why}"))?,
        None => {
            let SecretSource::Env(name) = source else { unreachable!("only the environment has no path") };
            Zeroizing::new(std::env::var(name).map_err(|_| format!("{shown} is not set, or not UTF-8"))?)
        }
    };
    Ok(match text.strip_prefix(MARK) {
        Some(rest) => Zeroizing::new(rest.to_owned()),
        None => text,
    })
}

fn read_file(path: &Path, most: usize) -> Result<Zeroizing<String>, String> {
    text_of(&files::read_file(path, most).map_err(|error| errno::cause(&error))?)
}

fn text_of(bytes: &[u8]) -> Result<Zeroizing<String>, String> {
    if is_utf_16(bytes) {
        return Err(
            "it is UTF-16 text, as some editors on Windows write it; save it as UTF-8, for instance with \
                    `iconv -f UTF-16 -t UTF-8`"
                .into(),
        );
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// By its byte order mark, or by every other byte being zero.
fn is_utf_16(bytes: &[u8]) -> bool {
    let zeros = |from: usize| {
        let mut half = bytes.iter().skip(from).step_by(2).peekable();
        half.peek().is_some() && half.all(|byte| *byte == 0)
    };
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || zeros(0) || zeros(1)
}

/// A warning about a secret's file that every user may read. Who may change it is checked with the other files
/// (`preflight`).
pub fn exposure(source: &SecretSource) -> Option<String> {
    let path = path(source).ok()??;
    let mode = std::fs::metadata(&path).ok()?.mode();
    let shown = path.display();
    (mode & 0o004 != 0)
        .then(|| format!("{shown} can be read by every user on this machine; chmod 600 {shown}"))
}

/// The tag of an account's present credential; `None` if it cannot be read.
pub fn tag(account: &Account, salt: &[u8]) -> Option<CredentialTag> {
    Some(tag_of(&account.login_name, &read(account.password.as_ref()?).ok()?, salt))
}

/// The tag of this very credential. Takes a few milliseconds, by intent.
pub fn tag_of(login_name: &str, password: &str, salt: &[u8]) -> CredentialTag {
    let mut secret = Zeroizing::new(Vec::with_capacity(login_name.len() + 1 + password.len()));
    secret.extend_from_slice(login_name.as_bytes());
    secret.push(0);
    secret.extend_from_slice(password.as_bytes());
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt, &secret, &mut hash);
    CredentialTag(u16::from_be_bytes([hash[0], hash[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check(content: &[u8], expected: Result<&str, &str>) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secret");
        std::fs::write(&path, content).unwrap();
        let source = SecretSource::File(path);
        let opened = open(&source).and_then(|(file, found)| read_opened(&source, &file, found.size()));
        let found = read(&source);
        assert_eq!(found, opened);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected),
            (Err(found), Err(expected)) => {
                assert!(found.contains(expected), "{found}");
                assert!(!found.contains("hunter"), "{found}");
            }
            (found, expected) => panic!("{found:?} / {expected:?}"),
        }
    }

    #[test]
    fn one_line_end_is_not_part_of_the_password() {
        check(b"hunter2", Ok("hunter2"));
        check(b"hunter2\n", Ok("hunter2"));
        check(b"hunter2\r\n", Ok("hunter2"));
        check(b" hunter 2 \n", Ok(" hunter 2 "));
        check("h\u{fc}nter\n".as_bytes(), Ok("h\u{fc}nter"));
        check("\u{feff}hunter2\r\n".as_bytes(), Ok("hunter2"));
        check("\u{feff}\u{feff}hunter2".as_bytes(), Ok("\u{feff}hunter2"));
    }

    #[test]
    fn what_is_no_password_is_refused_without_being_shown() {
        check(b"", Err("is empty"));
        check(b"\n", Err("is empty"));
        check(b"hunter2\nhunter3\n", Err("more than one line"));
        check(b"hunter\xff", Err("not UTF-8"));
        check("\u{feff}\n".as_bytes(), Err("is empty"));
        for big in [false, true] {
            let encode = |text: &str| -> Vec<u8> {
                let order = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
                text.encode_utf16().flat_map(order).collect()
            };
            check(&encode("\u{feff}hunter2\r\n"), Err("it is UTF-16 text"));
            check(&encode("hunter2"), Err("it is UTF-16 text"));
        }
        check(&[b'x'; 5000], Err("larger than 4096 bytes"));
        let error = read(&SecretSource::File("/nowhere/at/all".into())).unwrap_err();
        assert_eq!(error, "/nowhere/at/all: no such file or directory");
    }

    #[test]
    fn files_that_others_may_read_are_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        let found = |mode| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            exposure(&SecretSource::File(path.clone()))
        };
        assert_eq!(found(0o600), None);
        assert_eq!(found(0o640), None);
        assert!(found(0o644).unwrap().contains("read by every user"));
        assert!(found(0o662).is_none(), "that is told with the other files that others may change");
    }

    #[test]
    fn a_tag_changes_with_login_password_and_salt() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secret");
        let account = |login: &str| Account {
            name: "main".into(),
            login_name: login.into(),
            password: Some(SecretSource::File(path.clone())),
            base_url: Account::BASE_URL.into(),
            ca_file: None,
            proxy: None,
            proxy_login: None,
            response: None,
            params: Box::default(),
        };
        assert_eq!(tag(&account("a"), b"salt"), None);
        std::fs::write(&path, "one").unwrap();
        let one = tag(&account("a"), b"salt");
        assert!(one.is_some());
        assert_eq!(one, tag(&account("a"), b"salt"));
        assert_ne!(one, tag(&account("b"), b"salt"));
        assert_ne!(one, tag(&account("a"), b"other"));
        std::fs::write(&path, "two").unwrap();
        assert_ne!(one, tag(&account("a"), b"salt"));
    }
}
