//! Output paths in bad company: names that are swapped while files are written, things in the way, odd file types,
//! mounts, and every umask. What lies outside must stay as it is.
//!
//! `PATH_RACES=2000` makes the long form; as root the attacker is another user who owns the parent.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use certcollectd::effects::install::roots::Roots;
use certcollectd::effects::install::{activate, inspect, stage};
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::{FileCopy, FileKind, Files, KeySource};
use certcollectd_core::engine::id::OrderId;
use certcollectd_core::engine::install::{Activate, Inspect, InspectPurpose, Material, Stage};
use certcollectd_sandbox::{OrderSpec, Product};
use rcgen::KeyPair;

use crate::network::count_of;
use crate::setting::{Setting, said};

const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";
/// Nobody's number on most systems; what matters is that it is not root's.
const STRANGER: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What must not change about somebody else's file: content, mode, owner.
fn portrait(path: &Path) -> (Vec<u8>, u32, u32, u32) {
    let found = std::fs::metadata(path).unwrap();
    (std::fs::read(path).unwrap(), found.mode(), found.uid(), found.gid())
}

/// What is in a directory that nobody has any business in.
fn entries(path: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

fn make_fifo(path: &Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
}

fn material() -> Material {
    let leaf = crate::certs::leaf(&KeyPair::generate().unwrap(), &["www.example.com"], 0, 4_000_000_000);
    Material { leaf: Certificate::from_der(&leaf).unwrap(), chain: Vec::new(), root: None, key: None }
}

fn files() -> Files {
    Files::default().with(FileKind::Chain, None)
}

/// Installs once by the daemon's own functions, with a copy; whether all of it went well.
fn install(install_dir: &Path, copy: &Path, round: u64) -> bool {
    let material = material();
    let wanted = Stage {
        order: OrderId(0),
        name: "www".into(),
        generation: format!("20261120T091200Z-{round:016x}"),
        material: material.clone(),
        files: files(),
        copies: Box::default(),
    };
    let Ok(staged) = stage::stage(install_dir, &wanted) else { return false };
    let copy =
        FileCopy { from: FileKind::Cert, to: copy.to_owned(), owner: None, group: None, mode: Some(0o666) };
    let wanted = Activate {
        order: OrderId(0),
        name: "www".into(),
        generation: staged.generation.clone(),
        expected: staged.files.clone(),
        material,
        files: files(),
        copies: Box::new([copy]),
        relinks: false,
    };
    let done = activate::activate(install_dir, &wanted).is_ok();
    let purpose = InspectPurpose::RollBack { key: KeySource::None, unserved: None };
    let look = Inspect { expected: staged.files, copies: wanted.copies.clone(), purpose, ..guard(files()) };
    let _ = inspect::inspect(install_dir, &look, &Roots::default(), 0);
    done
}

/// Swaps whatever lies below `parent` for links, hard links, FIFOs and directories until it is told to stop.
fn attack(parent: &Path, victims: &Path, go_on: impl Fn() -> bool) -> u64 {
    let mut swaps = 0;
    let aside = |name: &str| parent.join(format!("aside-{name}"));
    let targets = |generation: Option<PathBuf>| {
        let mut all = vec![
            parent.join("out"),
            parent.join("out/.www"),
            parent.join("copy/site.pem"),
            parent.join("copy"),
        ];
        all.extend(generation.iter().cloned());
        all.extend(generation.map(|path| path.join("cert.pem")));
        all
    };
    while go_on() {
        let newest = std::fs::read_dir(parent.join("out/.www"))
            .ok()
            .and_then(|entries| entries.flatten().map(|entry| entry.path()).max());
        for (at, path) in targets(newest).into_iter().enumerate() {
            let kept = aside(&at.to_string());
            let _ = std::fs::rename(&path, &kept);
            let placed = match swaps % 4 {
                0 => symlink(victims, &path).is_ok(),
                1 => symlink(victims.join("file"), &path).is_ok(),
                2 => std::fs::hard_link(victims.join("file"), &path).is_ok(),
                _ => std::fs::create_dir(&path).is_ok(),
            };
            swaps += u64::from(placed);
            if !go_on() {
                return swaps;
            }
            std::thread::yield_now();
            // A directory that stands there and belongs to the other side cannot always be moved away again.
            let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
            let _ = std::fs::rename(&kept, &path);
            let _ = std::fs::remove_dir_all(&kept).or_else(|_| std::fs::remove_file(&kept));
            let _ = std::fs::create_dir(parent.join("copy"));
        }
    }
    swaps
}

#[test]
fn nothing_outside_is_touched_while_names_are_swapped() {
    let rounds = count_of("PATH_RACES", 40);
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("parent");
    let victims = dir.path().join("victims");
    for path in [&parent, &victims, &parent.join("out"), &parent.join("copy")] {
        std::fs::create_dir(path).unwrap();
    }
    std::fs::write(victims.join("file"), "the victim").unwrap();
    // Writable for the attacker, which is what lets him make a hard link to it.
    std::fs::set_permissions(victims.join("file"), PermissionsExt::from_mode(0o646)).unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let before =
        (portrait(&victims.join("file")), entries(&victims), std::fs::metadata(&victims).unwrap().mode());
    let stop = Arc::new(AtomicBool::new(false));
    let mut other = None;
    let mut thread = None;
    if is_root() {
        for path in [&parent, &parent.join("out"), &parent.join("copy")] {
            std::os::unix::fs::chown(path, Some(STRANGER), Some(STRANGER)).unwrap();
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "paths::the_attacker", "--ignored"]).env("ATTACK", dir.path());
        command.uid(STRANGER).gid(STRANGER).stdin(Stdio::piped()).stdout(Stdio::piped());
        match command.spawn() {
            Ok(child) => other = Some(child),
            Err(error) => {
                println!("PROOF-SKIP another user cannot start this program where it lies: {error}")
            }
        }
    }
    if other.is_none() {
        // Links of our own on the way are trusted, so only what lies in the directories is swapped.
        let (stop, parent, victims) = (stop.clone(), parent.clone(), victims.clone());
        thread =
            Some(std::thread::spawn(move || attack(&parent, &victims, || !stop.load(Ordering::Relaxed))));
    }
    let (mut done, mut round) = (0, 0);
    // Until one was completed: a busy machine can leave that many tries to the attacker.
    while round < rounds || (done == 0 && round < 50 * rounds) {
        round += 1;
        done += u64::from(install(&parent.join("out"), &parent.join("copy/site.pem"), round));
        let now =
            (portrait(&victims.join("file")), entries(&victims), std::fs::metadata(&victims).unwrap().mode());
        assert_eq!(now, before, "round {round}");
    }
    stop.store(true, Ordering::Relaxed);
    let (attacker, swaps) = match (other, thread) {
        (Some(mut child), _) => {
            drop(child.stdin.take());
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let swaps = text.lines().find_map(|line| line.strip_prefix("swaps ")?.parse().ok());
            ("another user who owns the parent", swaps.unwrap_or_else(|| panic!("{text}")))
        }
        (None, thread) => ("a thread", thread.unwrap().join().unwrap()),
    };
    assert!(swaps > 0, "nothing was swapped");
    assert!(done > 0, "nothing was installed in {round} tries");
    println!(
        "PROOF-FIGURE paths: {round} installations tried against {attacker}, {swaps} swaps, {done} completed: \
         0 files outside written, renamed, chmod'ed or chowned"
    );
}

#[test]
#[ignore = "not a test: the other user of the one above"]
fn the_attacker() {
    let Ok(dir) = std::env::var("ATTACK") else { return };
    let dir = PathBuf::from(dir);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    // The end of standard input is the end of the attack.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stopped.store(true, Ordering::Relaxed);
    });
    let swaps = attack(&dir.join("parent"), &dir.join("victims"), || !stop.load(Ordering::Relaxed));
    use std::io::Write;
    writeln!(std::io::stdout(), "\nswaps {swaps}").unwrap();
}

/// A look of the guard at what is installed.
fn guard(files: Files) -> Inspect {
    Inspect {
        order: OrderId(0),
        name: "www".into(),
        purpose: InspectPurpose::Look,
        current: None,
        leaf: None,
        expected: Vec::new(),
        files,
        copies: Box::default(),
    }
}

#[test]
fn a_hard_link_in_a_generation_is_not_put_right() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    assert!(install(&out, &dir.path().join("site.pem"), 1));
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "the victim").unwrap();
    std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(out.join("www/cert.pem")).unwrap();
    std::fs::hard_link(&victim, out.join("www/cert.pem")).unwrap();
    let look = guard(files());
    let found = inspect::inspect(&out, &look, &Roots::default(), 0);
    assert_eq!(portrait(&victim).1 & 0o7777, 0o600, "somebody else's file was made readable");
    assert!(found.repaired.is_empty(), "{:?}", found.repaired);
    // Our own file next to it is.
    std::fs::set_permissions(out.join("www/fullchain.pem"), PermissionsExt::from_mode(0o666)).unwrap();
    let found = inspect::inspect(&out, &look, &Roots::default(), 0);
    assert_eq!(found.repaired, ["fullchain.pem had mode 0666"]);
}

#[test]
fn directories_that_their_owner_cannot_enter_are_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    assert!(install(&out, &dir.path().join("site.pem"), 1));
    let generation = std::fs::canonicalize(out.join("www")).unwrap();
    for (closed, mode, mended) in [
        (out.join(".www"), 0o000, true),
        (out.join(".www"), 0o200, true),
        (generation.clone(), 0o000, true),
        (generation.clone(), 0o411, true),
        // What an operator may want.
        (out.join(".www"), 0o700, false),
        (generation, 0o510, false),
    ] {
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(mode)).unwrap();
        let found = inspect::inspect(&out, &guard(files()), &Roots::default(), 0);
        let (told, now): (Vec<String>, u32) = match mended {
            true => (vec![format!("{} had mode {mode:04o}", closed.display())], 0o755),
            false => (Vec::new(), mode),
        };
        assert_eq!(std::fs::metadata(&closed).unwrap().mode() & 0o7777, now, "{mode:o}");
        assert_eq!(found.repaired, told);
        assert!(found.unreadable.is_empty() && !found.certificates.is_empty(), "{found:?}");
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

#[test]
fn what_readers_do_not_find_is_an_alarm_whatever_stands_there() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 6] = [
        ("out/www", |path| std::fs::write(path, "").unwrap()),
        ("out/www", |path| symlink("/dev/null", path).unwrap()),
        ("out/www", |path| symlink("www", path).unwrap()),
        ("out/www", |path| std::fs::create_dir(path).unwrap()),
        ("site.pem", |path| std::fs::create_dir(path).unwrap()),
        ("site.pem", |path| make_fifo(path)),
    ];
    for (place, make) in kinds {
        let setting = with_copy();
        assert_eq!(setting.once(&[]).0, 0);
        std::fs::remove_file(setting.path(place)).unwrap();
        make(&setting.path(place));
        setting.once(&[]);
        let (code, said) = setting.call(&["status", "--nagios"]);
        assert!(code == 2 && said.contains("www lacks installed files"), "{place}: {said}");
        let lost = setting.order_status("www")["lost"].to_string();
        let named = if place == "out/www" { "readers cannot find cert.pem" } else { "site.pem" };
        assert!(lost.contains(named), "{place}: {lost}");
    }
}

#[test]
fn files_stay_whose_they_are_while_their_owner_cannot_be_looked_up() {
    if !is_root() {
        eprintln!("only root can give a file away, so this was not looked at");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    assert!(install(&out, &dir.path().join("site.pem"), 1));
    let file = out.join("www/cert.pem");
    std::os::unix::fs::chown(&file, Some(STRANGER), Some(STRANGER)).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    let mut files = files();
    files.owner = Some("nosuchuser".into());
    let look = guard(files);
    let found = inspect::inspect(&out, &look, &Roots::default(), 0);
    assert_eq!(std::fs::metadata(&file).unwrap().uid(), STRANGER);
    assert_eq!(found.repaired, ["cert.pem had mode 0666"]);
    assert!(found.uncorrected.iter().any(|why| why.contains("nosuchuser")), "{:?}", found.uncorrected);
}

/// An order that is issued, and a copy of its certificate.
fn with_copy() -> Setting {
    let mut setting = Setting::new();
    let keys = format!("{OWN_ROOT}\n[[order.copy]]\nfrom = \"cert\"\nto = \"$DIR/site.pem\"");
    setting.order("www", OrderSpec::new(Product::Ssl, "1", &["www.example.com"]), &keys);
    setting
}

#[test]
fn what_is_in_the_way_stays_and_is_named() {
    type Make = fn(&Path);
    let kinds: [(&str, Make); 4] = [
        ("a FIFO", |path| make_fifo(path)),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ("a directory", |path| std::fs::create_dir(path).unwrap()),
        ("a full directory", |path| std::fs::create_dir_all(path.join("inner")).unwrap()),
    ];
    for (what, make) in kinds {
        for place in ["site.pem", "out/www"] {
            let setting = with_copy();
            std::fs::create_dir(setting.path("out")).unwrap();
            make(&setting.path(place));
            let kind = std::fs::symlink_metadata(setting.path(place)).unwrap().file_type();
            let (code, said) = setting.once(&[]);
            assert_ne!(code, 0, "{what} at {place}: {said}");
            let after = std::fs::symlink_metadata(setting.path(place)).unwrap().file_type();
            assert_eq!(after, kind, "{what} at {place} was replaced");
            let status = setting.order_status("www").to_string();
            assert!(status.contains(&format!("{place}: ")), "{what} at {place}: {status}");
            // Moved away, it is installed.
            std::fs::rename(setting.path(place), setting.path("away")).unwrap();
            let (_, said) = setting.call(&["resume", "www"]);
            assert_eq!(setting.phase("www"), "guarding", "{what} at {place}: {said}");
            assert_eq!(setting.read("site.pem"), setting.newest("1"), "{what} at {place}");
        }
    }
}

#[test]
fn a_link_at_the_target_of_a_copy_is_replaced_and_not_followed() {
    let setting = with_copy();
    setting.write("victim", "the victim");
    symlink("victim", setting.path("site.pem")).unwrap();
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("victim"), "the victim");
    assert!(!setting.path("site.pem").is_symlink());
}

#[test]
fn a_file_that_never_ends_or_begins_holds_nobody_up() {
    let mut setting = Setting::new();
    for name in ["key-fifo", "password-fifo", "ca-fifo"] {
        make_fifo(&setting.path(name));
    }
    let dir = setting.dir.path().display().to_string();
    let url = setting.vendor().base_url();
    let order = |number: &str| OrderSpec::new(Product::Ssl, number, &["www.example.com"]);
    for (account, password, ca) in [("pipe", "password-fifo", "ca.pem"), ("roots", "password", "ca-fifo")] {
        setting.table(&format!(
            "[[account]]\nname = \"{account}\"\nlogin_name = \"{account}\"\npassword = {{ file = \"{dir}/{password}\" }}\n\
             base_url = \"{url}\"\nca_file = \"{dir}/{ca}\""
        ));
    }
    setting.order("pipe", order("1"), &format!("account = \"pipe\"\n{OWN_ROOT}"));
    setting.order("roots", order("2"), &format!("account = \"roots\"\n{OWN_ROOT}"));
    setting.order(
        "key",
        order("3"),
        &format!("account = \"main\"\nkey_file = \"$DIR/key-fifo\"\n{OWN_ROOT}"),
    );
    setting.order(
        "anchors",
        order("4"),
        "account = \"main\"\n[order.verify]\ntrust = \"block\"\ntrust_anchors = \"$DIR/key-fifo\"",
    );
    setting.order("good", order("5"), &format!("account = \"main\"\n{OWN_ROOT}"));
    setting.start();
    setting.until_phase("good", "guarding");
    setting.until_phase("key", "collected");
    setting.until_phase("anchors", "collected");
    for (name, why) in [("pipe", "password-fifo"), ("roots", "ca-fifo")] {
        setting.until(&format!("{name} says why"), |setting| {
            setting.order_status(name)["vendor"]["text"].as_str().is_some_and(|text| text.contains(why))
        });
    }
    assert_eq!(setting.stop(), Some(0));
}

/// Path and mode of everything below a directory; generations lose their names.
fn modes(dir: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(&path).unwrap().flatten() {
            let stat = entry.metadata().unwrap();
            let path = entry.path();
            let shown = path.strip_prefix(dir).unwrap().to_string_lossy().into_owned();
            let shown: Vec<&str> = shown
                .split('/')
                .map(|part| if part.starts_with("20") { "generation" } else { part })
                .collect();
            found.insert(shown.join("/"), stat.mode());
            if stat.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

#[test]
fn modes_are_the_same_whatever_the_umask() {
    let mut all = Vec::new();
    for umask in ["000", "022", "027", "077", "277", "777"] {
        let setting = with_copy();
        setting.write_configuration();
        let mut command = Command::new("/bin/sh");
        let run = format!("umask {umask}; exec \"$0\" once --config \"$1\"");
        command.args(["-c", &run, env!("CARGO_BIN_EXE_certcollectd")]).arg(setting.path("certcollectd.toml"));
        if is_root() {
            // Root may enter what nobody may enter, and would hide the trouble.
            for path in ["", "certcollectd.toml", "password", "ca.pem"] {
                std::os::unix::fs::chown(setting.path(path), Some(STRANGER), Some(STRANGER)).unwrap();
            }
            command.uid(STRANGER).gid(STRANGER);
        }
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => {
                println!("PROOF-SKIP user {STRANGER} cannot start a shell: {error}");
                return;
            }
        };
        let (code, text) = said(&output);
        if code == 126 {
            println!("PROOF-SKIP user {STRANGER} cannot start the binary where it lies: {text}");
            return;
        }
        assert_eq!(code, 0, "umask {umask}: {text}");
        let mut found = modes(&setting.path("out"));
        found.extend(
            modes(&setting.path("state")).into_iter().map(|(path, mode)| (format!("state/{path}"), mode)),
        );
        found.insert("site.pem".into(), std::fs::metadata(setting.path("site.pem")).unwrap().mode());
        found.insert("state".into(), std::fs::metadata(setting.path("state")).unwrap().mode());
        found.insert("out".into(), std::fs::metadata(setting.path("out")).unwrap().mode());
        all.push((umask, found));
    }
    let (_, first) = &all[0];
    assert_eq!(first["out"] & 0o7777, 0o755, "{first:#?}");
    assert_eq!(first[".www/generation/cert.pem"] & 0o7777, 0o644, "{first:#?}");
    assert_eq!(first["state"] & 0o7777, 0o700, "{first:#?}");
    for (umask, found) in &all {
        assert_eq!(found, first, "umask {umask}");
    }
    println!("PROOF-FIGURE umask: {} umasks, {} paths: the same modes", all.len(), first.len());
}

#[test]
fn mounts_that_do_not_bear_it_are_named() {
    if !is_root() {
        println!("PROOF-SKIP mounts need root");
        return;
    }
    let cases = [
        ("touch $D/one $D/site.pem; mount --bind $D/one $D/site.pem", "mount its directory instead"),
        ("mkdir $D/ro $D/out; mount --bind $D/ro $D/out; mount -o remount,ro,bind $D/out", "read-only"),
        ("mkdir $D/ro $D/out; mount -t tmpfs -o size=4k,nr_inodes=3 none $D/out", "full"),
    ];
    for (mount, advice) in cases {
        let setting = with_copy();
        setting.write_configuration();
        let script = format!(
            "D={}; {mount} && exec \"$0\" once --config $D/certcollectd.toml",
            setting.dir.path().display()
        );
        let output = Command::new("unshare")
            .args([
                "-m",
                "--propagation",
                "private",
                "/bin/sh",
                "-c",
                &script,
                env!("CARGO_BIN_EXE_certcollectd"),
            ])
            .output()
            .unwrap();
        let (code, text) = said(&output);
        if text.contains("Operation not permitted") || text.contains("unshare failed") {
            println!("PROOF-SKIP no mount namespaces here: {text}");
            return;
        }
        assert_ne!(code, 0, "{mount}: {text}");
        assert!(text.contains(advice), "{mount}: {text}");
        // Without the mount nothing was lost.
        let (_, said) = setting.call(&["resume", "www"]);
        assert_eq!(setting.phase("www"), "guarding", "{mount}: {said}");
    }
}
