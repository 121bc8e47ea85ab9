//! Power cuts. State and output lie on two file systems in image files; while the daemon works, it is killed and
//! both are shut down as `xfstests` does it: what was not synced is gone, as with the power. Then they are mounted
//! again.
//!
//! The kill comes first, since with the power the program is gone as well. One that lives on can be told by ext4 that a
//! sync succeeded which the shutdown dropped: the sync finds its transaction neither running nor being committed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::CertificateSpec;

use super::{INTERVAL, at_its_end, figure, go_on, look, number, own_mounts, run, setting, skip};
use crate::setting::Setting;
use crate::simulation::Dice;

/// Room for a journal.
const IMAGE_MB: u64 = 32;
/// XFS makes none smaller.
const XFS_MB: u64 = 300;
/// What holds an unmounted file system for a moment (a look at all block devices) has let go within this.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// A cut comes at most so long after the daemon is up, which is measured, or after a poll: from the first write to
/// after the hook.
const LATEST_MS: u64 = 300;

/// A file system in a file, mounted while this lives.
pub(super) struct Image {
    file: PathBuf,
    pub(super) at: PathBuf,
    options: &'static str,
    mounted: bool,
}

/// A kind of file system: its name here, the program that makes it, mount options.
pub(super) type Kind = (&'static str, &'static str, &'static str);

pub(super) const EXT4: Kind = ("ext4", "mkfs.ext4", "loop");
pub(super) const EXT4_WRITEBACK: Kind =
    ("ext4 data=writeback", "mkfs.ext4", "loop,data=writeback,noauto_da_alloc");
pub(super) const XFS: Kind = ("XFS", "mkfs.xfs", "loop");
const KINDS: [Kind; 4] =
    [EXT4, EXT4_WRITEBACK, ("ext4 noauto_da_alloc", "mkfs.ext4", "loop,noauto_da_alloc"), XFS];

impl Image {
    pub(super) fn make(kind: Kind, file: PathBuf, at: PathBuf) -> Result<Image, String> {
        std::fs::create_dir_all(&at).unwrap();
        let xfs = kind.1 == "mkfs.xfs";
        let size = if xfs { XFS_MB } else { IMAGE_MB } << 20;
        std::fs::File::create(&file).unwrap().set_len(size).unwrap();
        let quiet = if xfs { "-qf" } else { "-qF" };
        run(kind.1, &[quiet, file.to_str().unwrap()])?;
        let mut image = Image { file, at, options: kind.2, mounted: false };
        image.mount()?;
        Ok(image)
    }

    /// Replays the journal, as the kernel does at the boot after a cut.
    pub(super) fn mount(&mut self) -> Result<(), String> {
        run("mount", &["-o", self.options, self.file.to_str().unwrap(), self.at.to_str().unwrap()])?;
        self.mounted = true;
        Ok(())
    }

    /// Until the file system is gone: where anybody still holds it, the next mount would not be a new one of
    /// what is on the disk, but this one, shut down as it is.
    pub(super) fn unmount(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.mounted) {
            return Ok(());
        }
        run("umount", &[self.at.to_str().unwrap()])?;
        let start = clock::now().time;
        while self.is_attached()? {
            if clock::now().time.since(start) > PATIENCE {
                return Err(format!("{} was unmounted, and something still holds it", self.at.display()));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Whether a loop device has the file; it lets go with the last mount, wherever that is.
    fn is_attached(&self) -> Result<bool, String> {
        let output = Command::new("losetup").arg("--associated").arg(&self.file).output();
        output.map(|output| !output.stdout.is_empty()).map_err(|why| format!("losetup: {why}"))
    }

    /// The check of the tool that belongs to it; the journal has been replayed.
    fn check(&self) -> Result<(), String> {
        let file = self.file.to_str().unwrap();
        if self.options.contains("auto_da_alloc")
            || std::fs::metadata(&self.file).unwrap().len() == IMAGE_MB << 20
        {
            return run("e2fsck", &["-fn", file]);
        }
        run("xfs_repair", &["-n", file])
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}

/// EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number; 2: the log is not flushed.
const CUT: &str = "import fcntl, os, struct, sys, time
files = [os.open(path, os.O_RDONLY) for path in sys.argv[3:]]
time.sleep(float(sys.argv[1]))
if sys.argv[2] != 'nobody': os.kill(int(sys.argv[2]), 9)
for file in files: fcntl.ioctl(file, 0x8004587d, struct.pack('I', 2))";

/// Cuts the power of a process and of these file systems, in this order, after so many milliseconds.
pub(super) fn cut(after: u64, process: Option<u32>, paths: [&Path; 2]) -> Result<(), String> {
    let seconds = (after as f64 / 1000.0).to_string();
    let process = process.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
    run("python3", &["-c", CUT, &seconds, &process, paths[0].to_str().unwrap(), paths[1].to_str().unwrap()])
}

struct Cycles {
    setting: Setting,
    state: Image,
    out: Image,
    dice: Dice,
    cuts: u64,
    /// Cuts before the newest certificate was issued.
    before: u64,
    issued: u32,
    /// How long the start of a daemon takes here.
    start_ms: u64,
}

/// What the cuts met.
#[derive(Default)]
struct Met {
    cuts: u64,
    calls: u64,
    /// Certificates whose hook ran.
    installed: u64,
}

impl Cycles {
    fn new(kind: Kind, seed: u64) -> Result<Cycles, String> {
        let setting = setting();
        let image = |name: &str| Image::make(kind, setting.path(&format!("{name}.img")), setting.path(name));
        let (state, out) = (image("state")?, image("out")?);
        let mut cycles =
            Cycles { setting, state, out, dice: Dice(seed), cuts: 0, before: 0, issued: 200, start_ms: 0 };
        let begin = clock::now().time;
        cycles.setting.start_again();
        cycles.setting.until_up(1);
        cycles.start_ms = u64::try_from(clock::now().time.since(begin).as_millis()).unwrap();
        cycles.setting.kill();
        Ok(cycles)
    }

    /// Something new to install, most of the time; then a cut in the middle of it.
    fn cycle(&mut self) -> Result<(), String> {
        if self.dice.below(4) > 0 {
            self.issued += 1;
            let spec = CertificateSpec { days: Some(self.issued), ..CertificateSpec::default() };
            // Not issued yet before the first call; then there is nothing to issue anew.
            if self.setting.vendor().vendor().reissue("1", &spec).is_ok() {
                self.before = self.cuts;
            }
        }
        let was_there = self.setting.installed("www").exists();
        let polls = self.setting.all_calls();
        self.setting.start_again();
        // After a call that was cut off the daemon waits longer than most cuts let it: every other cut comes after
        // a poll.
        let after = if self.dice.below(2) == 0 {
            self.setting.until("a poll", |setting| setting.all_calls() > polls);
            self.dice.below(LATEST_MS)
        } else {
            self.dice.below(self.start_ms + LATEST_MS)
        };
        let mut paths = [self.state.at.as_path(), self.out.at.as_path()];
        if self.dice.below(2) == 0 {
            paths.reverse();
        }
        cut(after, Some(self.setting.pid()), paths)?;
        self.setting.kill();
        self.cuts += 1;
        self.none_early()?;
        for image in [&mut self.state, &mut self.out] {
            image.unmount()?;
            image.mount()?;
        }
        // Whatever readers saw before the cut, and no half.
        crate::crash::read_set(&self.setting.installed("www"), was_there)?;
        if self.setting.call(&["status", "--json"]).0 != 0 {
            return Err(format!("status: {}", self.setting.call(&["status"]).1));
        }
        Ok(())
    }

    /// With the times of the calls, since such a thing depends on them.
    fn none_early(&self) -> Result<(), String> {
        let vendor = self.setting.vendor().vendor();
        let times: Vec<i64> = vendor.record().calls(0).map(|call| call.at.unix_ms).collect();
        let early = times.windows(2).position(|pair| pair[1] - pair[0] < INTERVAL.as_millis() as i64);
        early.map_or(Ok(()), |at| Err(format!("polled too early: {:?}", &times[at.saturating_sub(3)..])))
    }

    fn end(mut self) -> Result<Met, String> {
        go_on(&self.setting, |_| Ok(()))?;
        look(&self.setting, true)?;
        // lost+found is of ext4's making.
        let _ = std::fs::remove_dir(self.setting.path("out/lost+found"));
        at_its_end(&self.setting, self.cuts - self.before)?;
        self.none_early()?;
        for image in [&mut self.state, &mut self.out] {
            image.unmount()?;
            image.check()?;
        }
        let installed = self.setting.read("hooks").lines().collect::<BTreeSet<_>>().len() as u64;
        let met = Met { cuts: self.cuts, calls: self.setting.all_calls(), installed };
        // Cuts in which nothing happens find nothing.
        if met.calls < self.cuts / 4 || met.installed < self.cuts / 16 {
            return Err(format!(
                "{} cuts met {} calls and {} hooks only",
                met.cuts, met.calls, met.installed
            ));
        }
        Ok(met)
    }
}

/// Why file systems cannot be cut here, if they cannot.
pub(super) fn obstacle(kind: Kind) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root mounts file systems".into());
    }
    if let Err(why) = own_mounts() {
        return Some(why);
    }
    let temp = tempfile::tempdir().unwrap();
    let image = Image::make(kind, temp.path().join("img"), temp.path().join("at"));
    image
        .and_then(|image| cut(0, None, [&image.at, &image.at]))
        .err()
        .map(|why| why.lines().last().unwrap_or_default().to_owned())
}

#[test]
#[ignore = "tests/proof runs it: it mounts file systems"]
fn power_cuts_lose_nothing() {
    let (cuts, seed, seconds) =
        (number("PROOF_CUTS", 40), number("PROOF_SEED", 1), number("PROOF_SECONDS", 1800));
    let start = clock::now().time;
    let is_late = || clock::now().time.since(start) > Duration::from_secs(seconds);
    let (mut done, mut all) = (Vec::new(), Met::default());
    for (at, kind) in (0..).zip(KINDS) {
        if let Some(why) = obstacle(kind) {
            skip(&format!("{}: {why}", kind.0));
            continue;
        }
        let mut cycles = Cycles::new(kind, seed + at).unwrap();
        // In the time of this kind, so that each gets its share.
        let share = Duration::from_secs(seconds / KINDS.len() as u64) * (u32::try_from(at).unwrap() + 1);
        let late = || is_late() || clock::now().time.since(start) > share;
        while cycles.cuts < cuts / KINDS.len() as u64 && !late() {
            let cut = cycles.cuts;
            cycles.cycle().unwrap_or_else(|why| panic!("{} PROOF_SEED={seed}, cut {cut}: {why}", kind.0));
        }
        let met = cycles.end().unwrap_or_else(|why| panic!("{} PROOF_SEED={seed}: {why}", kind.0));
        done.push(format!("{} on {}", met.cuts, kind.0));
        all.cuts += met.cuts;
        all.calls += met.calls;
        all.installed += met.installed;
    }
    if !done.is_empty() {
        figure(&format!(
            "{} power cuts ({}), state and output on two file systems, {} certificates installed and {} calls between them: \
             0 torn sets, 0 lost installs, 0 damaged states, 0 early polls",
            all.cuts,
            done.join(", "),
            all.installed,
            all.calls
        ));
    }
}
