//! A terminal for the real binary: `script` of util-linux.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs a line of the shell at a terminal of its own: each answer is typed once its question is shown. What was shown.
pub fn at_terminal(line: &str, answers: &[(&str, &[u8])]) -> String {
    let mut child = Command::new("script")
        .args(["--quiet", "--command", line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("CERTCOLLECTD_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typed, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    for (question, answer) in answers {
        let start = said.len();
        while !said[start..].ends_with(question.as_bytes()) {
            let mut byte = [0];
            shown.read_exact(&mut byte).unwrap_or_else(|why| panic!("{why}: {}", said.escape_ascii()));
            said.push(byte[0]);
        }
        typed.write_all(answer).unwrap();
    }
    shown.read_to_end(&mut said).unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&said).into_owned()
}
