//! Full and broken disks: each error at each system call on a file of the state or of the output, writes that
//! are cut short, and file systems that are really full. Recovery is without help once the fault ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use rustix::io::Errno;

use super::{Nth, at_its_end, figure, for_each, go_on, look, number, own_mounts, setting, skip};
use crate::setting::{Setting, said};

/// Errors, the words by which a person knows them, and whether calls that read can give them.
const ERRORS: [(Errno, &str, bool); 8] = [
    (Errno::NOSPC, "no space left|disk is full", false),
    (Errno::DQUOT, "quota", false),
    (Errno::IO, "input/output error|disk i/o error", true),
    (Errno::ROFS, "read-only", false),
    (Errno::MFILE, "too many open files", false),
    (Errno::ACCESS, "permission denied", false),
    (Errno::INTR, "interrupted", true),
    (Errno::NOMEM, "cannot allocate|out of memory", true),
];

fn options(setting: &Setting, how: &[&str], at: u64, reads: bool) -> Vec<String> {
    let mut options: Vec<String> = how.iter().map(|word| (*word).to_owned()).collect();
    for dir in ["state", "out", "copies"] {
        options.extend(["--under".into(), setting.path(dir).display().to_string()]);
    }
    options.extend(["--at".into(), (at + 1).to_string()]);
    options.extend(reads.then(|| "--reads".into()));
    options
}

/// A sync that failed must not be asked for again before something was written to the same file, or the file
/// was made anew: the kernel forgets what it could not write, and the next sync succeeds without it. SQLite passes over
/// a failed sync of its directory, which is `state`; the store's own sync of it comes after that one.
fn no_sync_again(calls: &str, state: &str) -> Result<(), String> {
    let mut failed: BTreeMap<&str, bool> = BTreeMap::new();
    for line in calls.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (call, path, done) = (words[1], words[2], words.get(3).copied().unwrap_or_default());
        match call {
            "fsync" | "fdatasync" if done == "failed" && path == state => {}
            "fsync" | "fdatasync" if done == "failed" => {
                failed.insert(path, true);
            }
            "fsync" | "fdatasync" if failed.contains_key(path) => {
                return Err(format!("synced again: {line}"));
            }
            "write" | "pwrite64" | "writev" | "ftruncate" | "openat" => {
                failed.remove(path);
                let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or_default();
                if call == "openat" {
                    failed.remove(parent);
                }
            }
            // Whatever is done to an entry is done to its directory.
            "renameat" | "renameat2" | "rename" | "unlinkat" | "unlink" | "symlinkat" | "mkdirat" => {
                let parent = Path::new(path).parent().and_then(Path::to_str).unwrap_or_default();
                failed.remove(parent);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Each sentence in which a run complains: the errors in its log; if it was not content without any, its warnings, or
/// what it said last.
fn complaints(code: i32, said: &str) -> Vec<&str> {
    let log = |level| said.lines().filter_map(move |line| line.split_once(level)).map(|(_, text)| text);
    let errors: Vec<&str> = log("ERROR").collect();
    if code == 0 || !errors.is_empty() {
        return errors;
    }
    let warnings: Vec<&str> = log("WARN").collect();
    if !warnings.is_empty() {
        return warnings;
    }
    said.lines().rev().find(|line| !line.trim().is_empty()).into_iter().collect()
}

/// One run with a fault, and whatever it takes until all is well. Says whether there was a call to hit.
fn hit_and_go_on(
    nth: &Nth,
    at: u64,
    how: &[&str],
    words: &str,
    reads: bool,
    silent: &Mutex<BTreeMap<String, u64>>,
) -> Result<bool, String> {
    let setting = setting();
    let (code, said) = nth.once(&setting, &options(&setting, how, at, reads));
    let calls = setting.read("calls");
    let hits: Vec<&str> =
        calls.lines().filter(|line| line.ends_with("failed") || line.ends_with("shortened")).collect();
    let complain =
        |what: String| format!("{how:?} at call {at}, hit {hits:?}: {what}\nexit code {code}\n{said}");
    look(&setting, false).map_err(complain)?;
    if said.contains("panicked") || said.contains("internal error") || code > 100 {
        return Err(complain("it came to grief".into()));
    }
    let state = setting.path("state").display().to_string();
    no_sync_again(&calls, &state).map_err(complain)?;
    // SQLite tells a full disk from any other error, and no more. What is the matter is found out right after that, and
    // then a call that failed once succeeds.
    let in_state = hits.iter().any(|hit| hit.contains(&state));
    let words = if in_state {
        format!("{words}|a check right after it|another program holds it")
    } else {
        words.to_owned()
    };
    for text in complaints(code, &said) {
        let lower = text.to_lowercase();
        if !words.split('|').any(|word| lower.contains(word)) {
            let name = hits.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
            let text = text.replace(&setting.dir.path().display().to_string(), "$DIR");
            *silent.lock().unwrap().entry(format!("{how:?} {name}: {text}")).or_default() += 1;
        }
    }
    go_on(&setting, |setting| look(setting, false).map(drop)).map_err(complain)?;
    at_its_end(&setting, 1).map_err(complain)?;
    Ok(!hits.is_empty())
}

#[test]
#[ignore = "tests/proof runs it: it traces the binary"]
fn each_error_at_each_call_is_survived() {
    let nth = match Nth::build() {
        Ok(nth) => nth,
        Err(why) => return skip(&why),
    };
    // Most of the time a run waits for its own next try, ten seconds.
    let threads = usize::try_from(number("PROOF_THREADS", 2) * 12).unwrap();
    let stride = number("PROOF_STRIDE", 1);
    let mut total = 0;
    let silent = Mutex::new(BTreeMap::new());
    for (error, words, reads) in ERRORS {
        let code = error.raw_os_error().to_string();
        let how = ["--errno", code.as_str()];
        total += for_each(threads, |at| hit_and_go_on(&nth, at * stride, &how, words, reads, &silent))
            .unwrap_or_else(|why| panic!("{why}"));
        println!("{total} faults after {error}");
    }
    let short = for_each(threads, |at| {
        hit_and_go_on(&nth, at * stride, &["--short"], "disk is full|i/o error", false, &silent)
    });
    // A shortened call that is no write is not hit, so the end is found by the count of calls.
    total += short.unwrap_or_else(|why| panic!("{why}"));
    let silent = silent.into_inner().unwrap();
    for (text, times) in &silent {
        println!("{times} times without naming the cause: {text}");
    }
    assert!(silent.is_empty(), "each sentence names its cause");
    figure(&format!(
        "{total} faults ({} errors and short writes, at every {}call): 0 panics, 0 torn sets, \
         no sync repeated after it failed, all recovered without help, each sentence names its cause",
        ERRORS.len(),
        if stride == 1 { String::new() } else { format!("{stride}th ") }
    ));
}

/// A file system in memory that can be made larger.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount<'a>(at: &'a Path, limits: &str) -> Result<Small<'a>, String> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("{limits},mode=0755");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        let output = output.map_err(|why| format!("mount: {why}"))?;
        if output.status.success() { Ok(Small(at)) } else { Err(said(&output).1) }
    }

    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=8m,nr_inodes=1000"]).arg(self.0).status();
        assert!(grown.unwrap().success());
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
#[ignore = "tests/proof runs it: it mounts file systems"]
fn a_disk_that_is_really_full_is_survived() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root mounts file systems");
    }
    if let Err(why) = own_mounts() {
        return skip(&why);
    }
    let mut cases = 0;
    for (dir, limits) in [
        ("out", "size=4k,nr_inodes=100"),
        ("out", "size=12k,nr_inodes=100"),
        ("out", "size=8m,nr_inodes=2"),
        ("out", "size=8m,nr_inodes=5"),
        ("out", "size=8m,nr_inodes=7"),
        ("copies", "size=8m,nr_inodes=1"),
        ("state", "size=44k,nr_inodes=100"),
        ("state", "size=64k,nr_inodes=100"),
        ("state", "size=8m,nr_inodes=3"),
    ] {
        let mut setting = setting();
        let at = setting.path(dir);
        let small = match Small::mount(&at, limits) {
            Ok(small) => small,
            Err(why) => return skip(&why),
        };
        setting.start_again();
        let full = |setting: &Setting| {
            let log = setting.log().to_lowercase();
            // Where it cannot even start, the manager starts it again.
            let tells = ["out of inodes", "no space left"];
            tells.iter().any(|word| log.contains(word))
        };
        setting.until(&format!("{dir} with {limits} is full, or large enough"), |setting| {
            full(setting) || setting.phase("www") == "guarding"
        });
        assert!(full(&setting), "{dir} with {limits} was large enough");
        look(&setting, false).unwrap();
        small.grow();
        let running = setting.daemon.as_mut().unwrap().try_wait().unwrap().is_none();
        if !running {
            setting.start_again();
        }
        setting.until("it goes on by itself", |setting| setting.phase("www") == "guarding");
        assert_eq!(setting.stop(), Some(0), "{dir} with {limits}");
        at_its_end(&setting, 1).unwrap_or_else(|why| panic!("{dir} with {limits}: {why}"));
        cases += 1;
    }
    figure(&format!(
        "{cases} file systems too small in bytes or in inodes for state, output or copies: said so, nothing torn, done by itself \
         once there was room"
    ));
}
