//! A table in a document, between two markers, and the picture beside it.

use std::io;
use std::path::Path;

use crate::clock;
use crate::figure::{Figure, markdown};

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->";

/// Puts the table in place of what stands between the markers.
pub fn write(path: &Path, rows: &[(&str, Vec<Figure>)], conditions: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let missing = || io::Error::other(format!("{} lacks the markers {BEGIN:?} and {END:?}", path.display()));
    let (head, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(END).ok_or_else(missing)?;
    let table = markdown(rows);
    std::fs::write(path, format!("{head}{BEGIN}\n{conditions}\n\n{table}\n{END}{tail}"))
}

/// The load average of the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

/// What was measured, and on what; `before` is the load when it began.
pub fn conditions(is_release: bool, short: bool, before: &str) -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_matches([' ', ':', '\t']));
    let cores = info.matches("processor\t").count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let day = clock::today();
    let load = load();
    let program = if is_release { "the release build without the sandbox" } else { "`--program`" };
    let rounds = if short { "`--short`" } else { "all rounds" };
    let kernel = kernel.trim();
    // Within 100 columns.
    format!(
        "{day}: {model}, {cores} cores, Linux {kernel};\n\
         load average {before} at the beginning, {load} at the end;\n{program}, {rounds}."
    )
}
