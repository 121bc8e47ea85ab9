//! User instructions: the difference of two runs of different length under valgrind.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Command;

use super::setting::Setting;
use super::{Counts, Found};
use crate::mock::Manner;
use crate::site::Plan;
use crate::trace;

/// Polls of the shorter and of the longer run.
const SHORT: u64 = 300;
const LONG: u64 = 1_300;

pub(super) fn count(binary: &Path) -> Counts {
    let names = ["poll-instructions", "start-instructions"];
    if let Some(why) = missing() {
        return Ok(names.map(|name| (name, Found::Skipped(why.clone()))).into());
    }
    let (short, begun) = run(binary, SHORT)?;
    let (long, ended) = run(binary, LONG)?;
    let poll = (long - short) / (ended - begun);
    let start = short - poll * begun;
    Ok(BTreeMap::from_iter(names.into_iter().zip([poll, start].map(Found::Count))))
}

/// Why valgrind cannot be used here.
fn missing() -> Option<String> {
    match Command::new("valgrind").args(["--tool=none", "-q", "true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("valgrind does not work here: {}", said.lines().last().unwrap_or("it says nothing")))
        }
        Err(error) => Some(format!("valgrind: {error}")),
    }
}

/// Instructions, in so many polls.
fn run(binary: &Path, polls: u64) -> io::Result<(f64, f64)> {
    let setting = Setting::new(&Plan::waiting(100), Manner::default())?;
    let summary = setting.folder.path().join("valgrind");
    let mut daemon = setting.start(binary, &trace::valgrind(&std::env::current_exe()?, &summary))?;
    daemon.until_polled(&setting.mock, polls)?;
    daemon.stop()?;
    Ok((trace::user_instructions(&summary)? as f64, setting.mock.totals().polls as f64))
}
