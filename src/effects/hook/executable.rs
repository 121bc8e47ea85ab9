//! Programs by name: where one is, and why one that is there cannot be started: what the kernel answers with "Exec format
//! error", "No such file" or "Permission denied" and nothing else.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::StatVfsMountFlags;

use crate::effects::{access, errno};

/// The kernel looks at so much of a program (BINPRM_BUF_SIZE).
const HEAD: u64 = 256;

/// Where a program is. Looking it up here keeps the start on the fast path (posix_spawn), which a changed
/// PATH in the child's environment would leave.
pub fn find_program(name: &str) -> Result<PathBuf, String> {
    look_for_program(name).map_err(|why| match name.split_whitespace().collect::<Vec<_>>() {
        // A command line in one piece, as a shell would take it.
        words if words.len() > 1 => format!("{why}; give one argument each: {words:?}"),
        _ => why,
    })
}

fn look_for_program(name: &str) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        return obstacle(&path).map_or_else(|| Ok(path), |why| Err(format!("{name} {why}")));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| obstacle(path).is_none())
        .ok_or_else(|| format!("{name} is in no directory of PATH"))
}

/// Why a file is no program that this process may start.
fn obstacle(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() || found.permissions().mode() & 0o111 == 0 => {
            Some("is not executable".into())
        }
        Ok(_) => {
            let why = access::unstartable(path)?;
            // On a noexec mount no user may, and that has its own message.
            let why = startable(path)
                .err()
                .unwrap_or_else(|| format!("{} for the user that this runs as", errno::cause(&why)));
            Some(format!("cannot be started: {why}"))
        }
        Err(why) if why.kind() == ErrorKind::NotFound => Some("does not exist".into()),
        Err(why) => Some(format!("cannot be reached: {}", errno::cause(&why))),
    }
}

/// Whether the kernel can start it. What cannot be read is not judged.
pub fn startable(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOEXEC)) {
        return Err("it is on a file system that is mounted noexec; move it elsewhere".into());
    }
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    if read.is_err() {
        return Ok(());
    }
    let marks: [(&[u8], &str); 3] =
        [(b"\xef\xbb\xbf", "a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")];
    if let Some((_, what)) = marks.iter().find(|(mark, _)| head.starts_with(mark)) {
        return Err(format!("it begins with {what}; save it as plain text that begins with #!"));
    }
    let Some(rest) = head.strip_prefix(b"#!") else {
        return match head.first() {
            None => Err("it is empty".into()),
            // Other formats of programs may be known to the kernel (binfmt_misc).
            Some(_) if !is_text(&head) => Ok(()),
            Some(_) => Err("it has no first line with an interpreter, such as #!/bin/sh".into()),
        };
    };
    let Some(line) = rest.split(|byte| *byte == b'\n').next().filter(|line| line.len() < rest.len()) else {
        // The last line of a file may lack its end; a longer one is cut by the kernel.
        return match head.len() as u64 {
            HEAD => Err(format!("its first line is longer than {HEAD} bytes")),
            _ => interpreter(rest, path),
        };
    };
    if line.ends_with(b"\r") {
        return Err(format!(
            "its first line ends in a carriage return, as files from Windows do: sed -i 's/\\r$//' {shown}"
        ));
    }
    interpreter(line, path)
}

fn interpreter(line: &[u8], path: &Path) -> Result<(), String> {
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(first) = words.next() else {
        return Err("its first line names no program after #!".into());
    };
    let program = Path::new(std::ffi::OsStr::from_bytes(first));
    let shown = certcollectd_core::api::Untrusted::from_bytes(first);
    let Ok(found) = std::fs::metadata(program) else {
        return Err(format!("the interpreter in its first line, {shown}, does not exist"));
    };
    if !found.is_file() || found.permissions().mode() & 0o111 == 0 {
        return Err(format!("the interpreter in its first line, {shown}, is not executable"));
    }
    if same(program, path) {
        return Err("its first line names the file itself".into());
    }
    // `env` looks for the program in PATH, and fails only when it runs.
    let sought = words.next().and_then(|word| std::str::from_utf8(word).ok());
    let is_env = program.file_name().is_some_and(|name| name == "env");
    match sought.filter(|word| is_env && !word.starts_with('-') && !word.contains('=')) {
        Some(sought) => find_program(sought).map(drop),
        None => Ok(()),
    }
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    real(one).is_some_and(|one| real(other) == Some(one))
}

fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &[u8]) -> String {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hook");
        std::fs::write(&path, content).unwrap();
        startable(&path).err().unwrap_or_default()
    }

    #[test]
    fn what_can_be_started() {
        for content in [
            &b"#!/bin/sh\nexit 0\n"[..],
            b"#! /bin/sh -e\nexit\r\n",
            b"#!/bin/sh",
            b"#!/usr/bin/env sh\n",
            b"#!/usr/bin/env -S sh -e\n",
            b"\x7fELF\x02\x01\x01\x00",
        ] {
            assert_eq!(said(content), "", "{}", content.escape_ascii());
        }
        assert_eq!(startable(&std::env::current_exe().unwrap()), Ok(()));
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        let long = format!("#!/{}\n", "x".repeat(300));
        for (content, part) in [
            (&b"#!/bin/sh\r\nexit 0\r\n"[..], "carriage return"),
            (b"#!/usr/bin/env python3\r\n", "carriage return"),
            (b"echo hello\n", "no first line"),
            (b"", "is empty"),
            (b"#!\n", "names no program"),
            (b"#!/nowhere/sh\n", "/nowhere/sh, does not exist"),
            (b"#!/etc/passwd\n", "not executable"),
            (b"#!/usr/bin/env no-such-program-here\n", "no-such-program-here is in no directory"),
            (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
            (b"\xff\xfe#\0!\0", "UTF-16"),
            (long.as_bytes(), "longer than 256 bytes"),
        ] {
            let said = said(content);
            assert!(said.contains(part), "{}: {said}", content.escape_ascii());
        }
    }
}
