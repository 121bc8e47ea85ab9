//! Power cuts, write by write. A disk of our own writes down each write and each flush of an installation; then
//! disks are put together as a cut at some moment could have left them: everything up to the last flush, and
//! any of the writes after it. Each is mounted and looked at, and the real binary goes on from it.
//!
//! A cut by the shutdown of a file system (`power`) loses everything after the last flush at once, so that it
//! cannot find a missing one whose writes came through by luck; this can. That it does is part of the suite:
//! runs whose syncs are left out must be found bad.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use self::disk::{Disks, Entry, Log};
use super::power::{EXT4, EXT4_WRITEBACK, Kind, XFS};
use super::{Nth, at_its_end, compile, figure, for_each, look, number, own_mounts, run, skip};
use crate::setting::Setting;
use crate::simulation::Dice;

/// The log, and disks out of it.
mod disk;

const DIRS: [&str; 3] = ["state", "out", "copies"];
/// Small, so that the journal wraps around within a run.
const IMAGE_MB: u64 = 16;
const XFS_MB: u64 = 300;
/// What was not synced is not written either because some seconds are over.
const PATIENT: Kind = ("ext4", "mkfs.ext4", "loop,commit=600");
/// Nothing is left for the kernel to write at its leisure.
const EAGER: &str = "lazy_itable_init=0,lazy_journal_init=0";
/// States out of one run; then it is run anew, since no two runs write in the same order.
const OF_ONE_RUN: u64 = 150;

/// Where state, output and copies lie. On one file system, the sync of one thing often saves another whose own
/// was forgotten.
#[derive(Clone, Copy, PartialEq)]
enum Disposition {
    Together,
    Apart,
}

/// Syncs that are left out in a run.
#[derive(Clone, Copy)]
enum Without {
    Nothing,
    AnySync,
    /// Those of the file system that holds this.
    SyncsOf(&'static str),
}

#[derive(Clone, Copy)]
struct Job {
    kind: Kind,
    disposition: Disposition,
    without: Without,
    states: u64,
}

/// What the world outside had seen at some moment of a run.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Seen {
    /// Calls that had reached the vendor.
    calls: usize,
    /// Serials of the hooks that had run.
    hooks: Vec<String>,
    /// The serial that `once` had reported as installed, with nothing owed.
    settled: Option<String>,
}

/// A run, with all that is needed to tell what was seen when.
struct Run {
    log: Log,
    /// Requests before the installation.
    prepared: usize,
    /// Serial and PEM of the certificates, the oldest first.
    certificates: Vec<(String, String)>,
    /// Milliseconds since 1970.
    calls: Vec<i64>,
    /// Length of the log when a hook ran.
    hooks: Vec<(u64, String)>,
    settled: Vec<(u64, String)>,
}

impl Run {
    fn seen(&self, last: &Entry) -> Seen {
        let then = i64::try_from(last.time / 1_000_000).unwrap();
        let until = |marks: &[(u64, String)]| -> Vec<String> {
            marks.iter().filter(|(at, _)| *at <= last.end).map(|(_, serial)| serial.clone()).collect()
        };
        Seen {
            calls: self.calls.iter().filter(|at| **at < then).count(),
            hooks: until(&self.hooks),
            settled: until(&self.settled).pop(),
        }
    }

    /// Its place in the order of issue.
    fn age(&self, serial: &str) -> usize {
        self.certificates.iter().position(|(known, _)| known == serial).expect("the vendor issued it")
    }
}

/// A setting whose state and output lie on disks that can be exchanged.
struct Bench {
    setting: Setting,
    options: &'static str,
    /// The disks before the run.
    images: Vec<PathBuf>,
    places: Vec<PathBuf>,
    mounted: Vec<PathBuf>,
    server: Option<Child>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        while let Some(place) = self.mounted.pop() {
            let _ = run("umount", &["-l", place.to_str().unwrap()]);
        }
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Bench {
    fn new(job: Job) -> Result<Bench, String> {
        let mut setting = Setting::new();
        setting.order(
            "www",
            OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
            "key_file = \"$DIR/key.pem\"\ndomains = [\"www.example.com\"]\nhooks = [\"log\"]\n[order.files]\nkey = \"key.pem\"\n\
             [[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/copies/www.pem\"\n[order.verify]\ntrust = \"off\"",
        );
        setting.table("[[hook]]\nname = \"log\"\nrun = [\"/bin/sh\", \"$DIR/hook.sh\"]");
        let dir = setting.dir.path().display().to_string();
        setting.write(
            "hook.sh",
            &format!(
                "echo \"$CERTCOLLECTD_SERIAL\" >> {dir}/hooks\n\
                 echo \"$(stat -c %s {dir}/mem/log) $CERTCOLLECTD_SERIAL\" >> {dir}/marks\n"
            ),
        );
        // Nothing is due by itself in the hours after a poll, so a poll that comes nevertheless was forgotten.
        setting.polling("interval = \"3h\"\ncall_gap = \"0s\"\nguard_interval = \"24h\"");
        let disks = match job.disposition {
            Disposition::Together => [0, 0, 0],
            Disposition::Apart => [0, 1, 2],
        };
        let text = setting.configuration();
        let text = text.replace(&format!("\"{dir}/state\""), &format!("\"{dir}/disk{}/state\"", disks[0]));
        let text = text.replace(&format!("\"{dir}/out\""), &format!("\"{dir}/disk{}/out\"", disks[1]));
        let text = text.replace(&format!("{dir}/copies"), &format!("{dir}/disk{}/copies", disks[2]));
        setting.write("certcollectd.toml", &text);
        // The product is given the true paths; the checks use those that every setting has.
        for (name, disk) in DIRS.iter().zip(disks) {
            std::os::unix::fs::symlink(format!("disk{disk}/{name}"), setting.path(name)).unwrap();
        }

        let mem = setting.path("mem");
        std::fs::create_dir(&mem).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=3g", "tmpfs", mem.to_str().unwrap()])?;
        let places: Vec<PathBuf> = (0..=disks[2]).map(|disk| setting.path(&format!("disk{disk}"))).collect();
        let images = (0..places.len()).map(|disk| mem.join(format!("before{disk}"))).collect();
        let mounted = vec![mem];
        let bench = Bench { setting, options: job.kind.2, images, places, mounted, server: None };
        for (image, place) in bench.images.iter().zip(&bench.places) {
            std::fs::create_dir(place).unwrap();
            let xfs = job.kind.1 == XFS.1;
            let size = if xfs { XFS_MB } else { IMAGE_MB } << 20;
            std::fs::File::create(image).unwrap().set_len(size).unwrap();
            let image = image.to_str().unwrap();
            if xfs {
                run(job.kind.1, &["-qf", image])?;
            } else {
                run(job.kind.1, &["-qF", "-b", "4096", "-J", "size=4", "-E", EAGER, image])?;
            }
        }
        Ok(bench)
    }

    fn mem(&self, name: &str) -> PathBuf {
        self.setting.path("mem").join(name)
    }

    fn mount(&mut self, files: &[PathBuf]) -> Result<(), String> {
        for (file, place) in files.iter().zip(self.places.clone()) {
            run("mount", &["-o", self.options, file.to_str().unwrap(), place.to_str().unwrap()])?;
            self.mounted.push(place);
        }
        Ok(())
    }

    /// What was mounted by [`Bench::mount`], and nothing below it.
    fn unmount(&mut self) -> Result<(), String> {
        while self.mounted.len() > 1 {
            let place = self.mounted.pop().expect("more than one");
            run("umount", &[place.to_str().unwrap()])?;
        }
        Ok(())
    }

    /// Disks that write down what they are asked, mounted.
    fn serve(&mut self, server: &PathBuf) -> Result<Vec<PathBuf>, String> {
        let disks: Vec<PathBuf> = (0..self.places.len()).map(|at| self.mem(&format!("disk{at}"))).collect();
        let mut command = Command::new(server);
        command.arg(self.mem("log"));
        for (image, disk) in self.images.iter().zip(&disks) {
            std::fs::write(disk, "").unwrap();
            command.arg(image).arg(disk);
        }
        let mut server = command.stdout(Stdio::piped()).spawn().map_err(|why| why.to_string())?;
        let mut ready = String::new();
        BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut ready).unwrap();
        self.server = Some(server);
        if ready != "ready\n" {
            return Err("the disks cannot be served".into());
        }
        self.mount(&disks)?;
        Ok(disks)
    }

    /// A first installation and a second over it, on such disks.
    fn record(&mut self, server: &PathBuf, nth: &Nth, without: Without) -> Result<Run, String> {
        let disks = self.serve(server)?;
        for name in DIRS {
            let dir = self.setting.dir.path().join(std::fs::read_link(self.setting.path(name)).unwrap());
            std::fs::DirBuilder::new().mode(0o700).create(dir).unwrap();
        }
        // These disks only: other ones may be in the middle of a run.
        for place in &self.places {
            run("sync", &["--file-system", place.to_str().unwrap()])?;
        }
        let length = |bench: &Bench| std::fs::metadata(bench.mem("log")).unwrap().len();
        let begin = length(self);
        for name in ["hooks", "marks"] {
            self.setting.write(name, "");
        }

        let (mut certificates, mut settled) = (Vec::new(), Vec::new());
        let left_out = self.left_out(without);
        for round in 0..2u32 {
            if round > 0 {
                let spec = CertificateSpec { days: Some(300 + round), ..CertificateSpec::default() };
                self.setting.vendor().vendor().reissue("1", &spec).unwrap();
                // The operator's word; what it leaves undone is left to the start after it.
                let (code, said) = nth.call(&self.setting, &["poll", "www"], &left_out);
                if code != 0 {
                    return Err(format!("poll: exit code {code}: {said}"));
                }
            }
            let (code, said) = nth.once(&self.setting, &left_out);
            let status = self.setting.order_status("www");
            let serial = status["certificate"]["serial"].as_str().unwrap_or_default().to_owned();
            if code != 0 || serial.is_empty() {
                return Err(format!("exit code {code}: {said}"));
            }
            settled.push((length(self), serial.clone()));
            certificates.push((serial, self.setting.newest("1")));
        }
        let calls: Vec<i64> =
            self.setting.vendor().vendor().record().calls(0).map(|call| call.at.unix_ms).collect();
        let marks = self.setting.read("marks");
        let mark = |line: &str| {
            let (at, serial) = line.split_once(' ').expect("two words");
            (at.parse().expect("a length"), serial.to_owned())
        };
        let hooks: Vec<(u64, String)> = marks.lines().map(mark).collect();
        self.unmount()?;
        for disk in &disks {
            run("umount", &[disk.to_str().unwrap()])?;
        }
        self.server.take().expect("it was started").wait().unwrap();
        let log = Log::read(&self.mem("log"));
        let prepared = log.entries.iter().take_while(|entry| entry.end <= begin).count();
        if calls.len() != 2 || hooks.len() != 2 {
            return Err(format!("{} calls and {} hooks, 2 each were expected", calls.len(), hooks.len()));
        }
        Ok(Run { log, prepared, certificates, calls, hooks, settled })
    }

    fn left_out(&self, without: Without) -> Vec<String> {
        let mut options: Vec<String> = Vec::new();
        match without {
            Without::Nothing => return options,
            Without::AnySync => {}
            Without::SyncsOf(name) => {
                let dir = std::fs::canonicalize(self.setting.path(name)).unwrap();
                let place = dir.parent().expect("it lies on a disk");
                options.extend(["--under".into(), place.display().to_string()]);
            }
        }
        let all = ["--only", "fsync", "--only", "fdatasync", "--pretend", "--at", "1", "--times", "1000000"];
        options.extend(all.map(str::to_owned));
        options
    }

    /// Looks at what a cut left, changing nothing that matters; the polls on record.
    fn inspect(&self, run: &Run, seen: &Seen) -> Result<u64, String> {
        let setting = &self.setting;
        let complete = look(setting, !seen.hooks.is_empty())?;
        let shown = complete.then(|| std::fs::read_to_string(setting.path("out/www/cert.pem")).unwrap());
        let place = |pem: &String| run.certificates.iter().position(|(_, known)| known == pem);
        let shown = match shown {
            Some(pem) => Some(place(&pem).ok_or("the certificate shown is none of the vendor's")?),
            None => None,
        };
        let copy = std::fs::read_to_string(setting.path("copies/www.pem")).unwrap_or_default();
        let copied = run.certificates.iter().position(|(_, pem)| copy.contains(pem.trim()));
        if let Some(serial) = seen.hooks.last()
            && (shown < Some(run.age(serial)) || copied < Some(run.age(serial)))
        {
            return Err("the certificate that a hook was told of is lost".into());
        }
        let order = self.order()?;
        let file = setting.path("state/state.db");
        if std::fs::metadata(&file).is_ok_and(|found| found.len() > 0) {
            // As the daemon opens it: what a cut left undone is done then.
            let open = Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_WRITE);
            let found: String = open
                .and_then(|state| state.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
                .map_err(|why| format!("the state file: {why}"))?;
            if found != "ok" {
                return Err(format!("the state file: {found}"));
            }
        }
        let polls = order["polls"].as_u64().unwrap_or(0);
        if polls < seen.calls as u64 {
            return Err(format!("{} calls were made, and {polls} are on record", seen.calls));
        }
        let recorded = order["certificate"]["serial"].as_str().map(|serial| run.age(serial));
        if recorded > shown {
            return Err("a certificate is on record as installed and not shown".into());
        }
        if order["phase"] == "guarding" && recorded != shown {
            return Err("another certificate is shown than the one that is guarded".into());
        }
        if let Some(serial) = &seen.settled {
            let age = run.age(serial);
            // Until the next poll.
            let rests = seen.calls == age + 1;
            if recorded < Some(age) || (rests && order["phase"] != "guarding") {
                return Err(format!("an installation that was reported as done is forgotten: {order:#}"));
            }
        }
        Ok(polls)
    }

    fn order(&self) -> Result<Value, String> {
        let output = self.setting.command(&["status", "--json"]).output().unwrap();
        let said = crate::setting::said(&output).1;
        let status: Value = serde_json::from_slice(&output.stdout).map_err(|_| format!("status: {said}"))?;
        status["orders"].get(0).cloned().ok_or_else(|| format!("no order in {status:#}"))
    }

    fn calls(&self) -> u64 {
        self.setting.calls("1")
    }

    /// The real binary goes on from what a cut left, and comes to its right end.
    fn go_on(&self, run: &Run, seen: &Seen, polls: u64) -> Result<(), String> {
        let setting = &self.setting;
        let hooks = seen.hooks.iter().map(|serial| format!("{serial}\n")).collect::<String>();
        setting.write("hooks", &hooks);
        let before = self.calls();
        let (code, said) = setting.call(&["once"]);
        let made = self.calls() - before;
        if !matches!(code, 0 | 3) {
            return Err(format!("exit code {code} of the next start: {said}"));
        }
        if made > u64::from(polls == 0) {
            return Err(format!("{made} polls before the interval was over: {said}"));
        }
        look(setting, code == 0)?;
        let newest = run.certificates.last().map(|(serial, _)| serial.clone());
        if seen.settled == newest && setting.read("hooks") != hooks {
            return Err("a hook that was done ran again".into());
        }
        for arguments in [&["poll", "www"][..], &["once"]] {
            let (code, said) = setting.call(arguments);
            if code != 0 {
                return Err(format!("{arguments:?} then: exit code {code}: {said}"));
            }
        }
        at_its_end(setting, 1)
    }
}

/// What a job found: its states, the runs they are from, and what is wrong with the bad ones.
#[derive(Default)]
struct Found {
    states: u64,
    runs: u64,
    bad: Vec<String>,
}

impl Job {
    fn work(self, server: &PathBuf, nth: &Nth, seed: u64) -> Result<Found, String> {
        own_mounts()?;
        let mut found = Found::default();
        while found.states < self.states {
            let mut dice = Dice(seed.wrapping_mul(1000) + found.runs);
            let mut bench = Bench::new(self)?;
            let run = bench.record(server, nth, self.without)?;
            found.runs += 1;
            let wanted = (self.states - found.states).min(OF_ONE_RUN);
            let last = run.log.entries.len();
            let mut moments: Vec<usize> = (0..wanted)
                .map(|_| run.prepared + dice.below((last - run.prepared) as u64) as usize + 1)
                .collect();
            moments.sort_unstable();
            let mut known = HashSet::new();
            let mut disks = Disks::new(&run.log, &bench.images);
            let files: Vec<PathBuf> =
                (0..bench.places.len()).map(|at| bench.mem(&format!("after{at}"))).collect();
            for moment in moments {
                while disks.done < moment && disks.step() {}
                let seen = run.seen(&run.log.entries[moment - 1]);
                let kept = disks.cut(&mut dice);
                if !known.insert((disks.name(&kept), seen.clone())) {
                    continue;
                }
                found.states += 1;
                disks.write(&kept, &files);
                if let Err(why) = self.judge(&mut bench, &run, &files, &seen) {
                    let why = format!("run {}, request {moment} of {last}: {why}", found.runs);
                    if matches!(self.without, Without::Nothing) {
                        return Err(format!("{} PROOF_SEED={seed}, {why}", self.name()));
                    }
                    found.bad.push(why);
                }
                bench.unmount()?;
            }
        }
        Ok(found)
    }

    fn judge(self, bench: &mut Bench, run: &Run, files: &[PathBuf], seen: &Seen) -> Result<(), String> {
        bench.mount(files)?;
        let polls = bench.inspect(run, seen)?;
        match self.without {
            Without::Nothing => bench.go_on(run, seen, polls),
            Without::AnySync | Without::SyncsOf(_) => Ok(()),
        }
    }

    fn name(self) -> String {
        let disks = if self.disposition == Disposition::Apart { ", all apart" } else { "" };
        format!("{}{disks}", self.kind.0)
    }
}

fn jobs(states: u64) -> Vec<Job> {
    use Disposition::{Apart, Together};
    let kinds = [(EXT4, Together), (EXT4, Apart), (EXT4_WRITEBACK, Apart), (XFS, Apart)];
    let whole = kinds.map(|(kind, disposition)| Job {
        kind,
        disposition,
        without: Without::Nothing,
        states: states.div_ceil(kinds.len() as u64),
    });
    // So many that one bad state among them is no luck.
    let left_out =
        [Without::AnySync, Without::SyncsOf("state"), Without::SyncsOf("out"), Without::SyncsOf("copies")];
    let controls = left_out.map(|without| Job { kind: PATIENT, disposition: Apart, without, states: 40 });
    whole.into_iter().chain(controls).collect()
}

/// Why this machine cannot serve such disks or mount them, if it cannot. Nothing of the product runs.
fn obstacle(job: Job, server: &PathBuf) -> Option<String> {
    let attempt = || {
        own_mounts()?;
        Bench::new(job)?.serve(server).map(drop)
    };
    // In a thread of its own, whose mounts end with it.
    std::thread::scope(|scope| scope.spawn(attempt).join().expect("it says what it found")).err()
}

#[test]
#[ignore = "tests/proof runs it: it mounts file systems"]
fn any_writes_that_a_power_cut_leaves_are_borne() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root mounts file systems");
    }
    let nth = match Nth::build() {
        Ok(nth) => nth,
        Err(why) => return skip(&why),
    };
    let dir = tempfile::tempdir().unwrap();
    let server = match compile("blocklog", &[], dir.path()) {
        Ok(server) => server,
        Err(why) => return skip(&why),
    };
    let (states, seed) = (number("PROOF_STATES", 60), number("PROOF_SEED", 1));
    let mut jobs = jobs(states);
    jobs.retain(|job| {
        let why = obstacle(*job, &server);
        if let Some(why) = &why {
            skip(&format!("{}: {why}", job.name()));
        }
        why.is_none()
    });
    let threads = usize::try_from(number("PROOF_THREADS", 2)).unwrap();
    let results = Mutex::new(Vec::new());
    let all = for_each(threads, |at| {
        let Some(job) = usize::try_from(at).ok().and_then(|at| jobs.get(at)) else { return Ok(false) };
        let found = job.work(&server, &nth, seed + at)?;
        results.lock().unwrap().push((at, *job, found));
        Ok(true)
    });
    all.unwrap_or_else(|why| panic!("{why}"));
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(at, ..)| *at);
    let (mut total, mut whole, mut controls) = (0, Vec::new(), Vec::new());
    for (_, job, found) in &results {
        let (states, bad) = (found.states, found.bad.len());
        let left_out = match job.without {
            Without::Nothing => {
                total += states;
                whole.push(format!("{states} on {}", job.name()));
                continue;
            }
            Without::AnySync => "any sync".to_owned(),
            Without::SyncsOf(name) => format!("the syncs of the file system of {name}"),
        };
        println!("without {left_out}, for instance: {:?}", found.bad.first());
        assert!(
            bad > 0,
            "without {left_out} none of {states} states is found bad, so the suite would find nothing"
        );
        controls.push(format!("{bad} of {states} without {left_out}"));
    }
    if !whole.is_empty() {
        assert!(!controls.is_empty(), "nothing shows that a lost sync would be found");
        figure(&format!(
            "{total} states after a cut between any two writes ({}), each mounted and looked at, the binary started on each: all sound \
             and at their right end; found bad, as must be: {}",
            whole.join("; "),
            controls.join(", ")
        ));
    }
}
