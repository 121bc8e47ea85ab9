//! A start from each phase, whatever lies on the disk: what should, something older, nothing, something of
//! somebody else's, half of it. In the end each order shows the vendor's newest certificate, complete.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product, Step};

use crate::crash::read_set;
use crate::setting::Setting;

/// What [`Setting`] polls with.
const INTERVAL: Duration = Duration::from_millis(300);
const PHASES: [&str; 9] = [
    "waiting",
    "collected",
    "staged",
    "owing",
    "guarding",
    "quarantined",
    "attention",
    "rejected",
    "revoked",
];
const DISKS: [&str; 5] = ["old", "new", "missing", "foreign", "half"];

/// All orders: a name for each pair, and its number.
fn pairs() -> impl Iterator<Item = (&'static str, &'static str, String, String)> {
    PHASES.into_iter().enumerate().flat_map(|(row, phase)| {
        DISKS.into_iter().enumerate().map(move |(column, disk)| {
            (phase, disk, format!("{phase}-{disk}"), format!("{}{row}{column}", 5))
        })
    })
}

fn word(phase: &str) -> &str {
    if matches!(phase, "staged" | "owing") { "deploying" } else { phase }
}

/// With `owner`, the orders that are to stay collected have an owner whom the system does not know.
fn setting_for(setting: &mut Setting, owner: bool) {
    for (phase, _, name, number) in pairs() {
        let owner = if owner && phase == "collected" { "owner = \"no-such-user-here\"" } else { "" };
        setting.table(&format!(
            "[[order]]\nname = \"{name}\"\norder_number = \"{number}\"\nkey_file = \"$DIR/key.pem\"\ndomains = [\"www.example.com\"]\n\
             hooks = [\"{}\"]\n[order.files]\ncert = \"cert.pem\"\n{owner}\n[order.verify]\ntrust = \"off\"",
            if phase == "owing" { "gated" } else { "plain" }
        ));
    }
    setting.table("[[hook]]\nname = \"gated\"\nrun = [\"/usr/bin/test\", \"-e\", \"$DIR/gate\"]");
    setting.table("[[hook]]\nname = \"plain\"\nrun = [\"/bin/true\"]");
}

fn reissue(setting: &Setting, number: &str, days: u32, domain: &str) {
    let spec =
        CertificateSpec { days: Some(days), names: Some(vec![domain.into()]), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue(number, &spec).unwrap();
}

fn generations(setting: &Setting, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(setting.path(&format!("out/.{name}"))).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Makes the disk what the table says.
fn spoil(setting: &Setting, disk: &str, name: &str) {
    let link = setting.installed(name);
    let remove = || match std::fs::symlink_metadata(&link) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(&link).unwrap(),
        Ok(_) => std::fs::remove_file(&link).unwrap(),
        Err(_) => {}
    };
    let generations = generations(setting, name);
    let point_to = |generation: Option<&PathBuf>| {
        if let Some(generation) = generation {
            remove();
            let target = generation.strip_prefix(setting.path("out")).unwrap();
            symlink(target, &link).unwrap();
        }
    };
    match disk {
        "old" => point_to(generations.first()),
        "new" => point_to(generations.last()),
        "missing" => remove(),
        "foreign" => {
            remove();
            std::fs::create_dir(&link).unwrap();
            std::fs::write(link.join("cert.pem"), "somebody else's").unwrap();
        }
        _ => {
            point_to(generations.last());
            for generation in &generations {
                std::fs::write(generation.join("chain.pem"), "").unwrap();
                let _ = std::fs::remove_file(generation.join("fullchain.pem"));
            }
            let staging = setting.path(&format!("out/.{name}/.staging-0123456789abcdef"));
            std::fs::create_dir_all(&staging).unwrap();
            std::fs::write(staging.join("cert.pem"), "half").unwrap();
        }
    }
}

#[test]
fn each_phase_goes_on_from_whatever_lies_on_the_disk() {
    let mut setting = Setting::new();
    for (phase, _, _, number) in pairs() {
        let script =
            if phase == "waiting" { vec![Step::pending(1_000_000), Step::issued()] } else { Vec::new() };
        let mut spec = OrderSpec::new(Product::Ssl, &number, &["www.example.com"]).with_script(script);
        spec.certificate.key = Some(setting.key.serialize_pem());
        setting.vendor().vendor().put_order(spec).unwrap();
    }
    // First everybody has an old certificate, apart from those that wait for their first.
    let tables = |setting: &mut Setting, owner| {
        setting.clear_tables();
        setting_for(setting, owner);
        setting.write_configuration();
    };
    tables(&mut setting, false);
    setting.write("gate", "");
    setting.start();
    let all = |setting: &Setting, wanted: &dyn Fn(&str) -> String| {
        let status = setting.status();
        pairs().all(|(phase, _, name, _)| {
            status["orders"]
                .as_array()
                .unwrap()
                .iter()
                .any(|order| order["name"] == *name && order["phase"] == wanted(phase))
        })
    };
    setting.until("all have their first certificate", |setting| {
        all(setting, &|phase| if phase == "waiting" { "waiting".into() } else { "guarding".into() })
    });
    setting.stop();
    // Then each is brought into its phase, most of them by a second certificate.
    std::fs::remove_file(setting.path("gate")).unwrap();
    tables(&mut setting, true);
    for (phase, _, name, number) in pairs() {
        match phase {
            "collected" | "owing" => reissue(&setting, &number, 250, "www.example.com"),
            "staged" => {
                reissue(&setting, &number, 250, "www.example.com");
                spoil(&setting, "foreign", &name);
            }
            "quarantined" => reissue(&setting, &number, 250, "other.example.org"),
            "attention" => setting.vendor().vendor().remove_order(&number).unwrap(),
            "rejected" => setting.vendor().vendor().reject(&number).unwrap(),
            "revoked" => setting.vendor().vendor().revoke(&number).unwrap(),
            _ => {}
        }
    }
    setting.start_again();
    setting.until("all are in their phase", |setting| all(setting, &|phase| word(phase).to_owned()));
    setting.kill();
    // What lies on the disk is not what it was; the way is free again, and the vendor has something new.
    tables(&mut setting, false);
    setting.write("gate", "");
    for (phase, disk, name, number) in pairs() {
        spoil(&setting, disk, &name);
        if matches!(phase, "attention" | "rejected" | "revoked" | "waiting") {
            let mut spec = OrderSpec::new(Product::Ssl, &number, &["www.example.com"]);
            spec.certificate = CertificateSpec {
                days: Some(300),
                key: Some(setting.key.serialize_pem()),
                ..CertificateSpec::default()
            };
            let _ = setting.vendor().vendor().remove_order(&number);
            setting.vendor().vendor().put_order(spec).unwrap();
        } else {
            reissue(&setting, &number, 300, "www.example.com");
        }
    }
    setting.start_again();
    for (phase, disk, name, _) in pairs() {
        if matches!(phase, "attention" | "rejected" | "revoked") {
            assert_eq!(
                setting.phase(&name),
                phase,
                "stays until somebody says otherwise, with {disk} on the disk"
            );
            // Its exit code says how the order stands then; that is judged below.
            setting.call(&["resume", &name]);
        }
    }
    let shows_newest = |setting: &Setting, name: &str, number: &str| {
        let shown = std::fs::read_to_string(setting.installed(name).join("cert.pem")).ok();
        shown.is_some() && shown == setting.vendor().certificate_pem(number)
    };
    for (_, disk, name, number) in pairs() {
        if disk == "foreign" {
            setting.until(&format!("{name} says what is in the way"), |setting| {
                setting.order_status(&name)["trouble"]
                    .as_str()
                    .is_some_and(|text| text.contains("did not create"))
            });
            let theirs = setting.read(&format!("out/{name}/cert.pem"));
            assert_eq!(theirs, "somebody else's", "{name}");
            std::fs::rename(setting.installed(&name), setting.path(&format!("moved-{name}"))).unwrap();
        } else {
            setting
                .until(&format!("{name} comes to its end"), |setting| shows_newest(setting, &name, &number));
        }
    }
    setting.until("all come to their end", |setting| {
        all(setting, &|_| "guarding".into())
            && pairs().all(|(_, _, name, number)| shows_newest(setting, &name, &number))
    });
    for (_, _, name, _) in pairs() {
        read_set(&setting.installed(&name), true).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
    assert_eq!(setting.stop(), Some(0));
    println!("PROOF-FIGURE {} pairs of phase and disk, each at its right end", PHASES.len() * DISKS.len());
}

/// A state file of before the second certificate, or none at all, under the files of the second: nothing goes
/// back, no hook is repeated for what is in place, and the vendor is asked no more often than by a restart.
#[test]
fn a_state_older_than_the_disk_takes_nothing_back() {
    for lost in [false, true] {
        let mut setting = Setting::new();
        setting.order(
            "www",
            OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
            "key_file = \"$DIR/key.pem\"\nhooks = [\"log\"]\n[order.verify]\ntrust = \"off\"",
        );
        setting.table("[[hook]]\nname = \"log\"\nrun = [\"/bin/sh\", \"-c\", \"echo \\\"$CERTCOLLECTD_SERIAL\\\" >> $DIR/hooks\"]");
        setting.start();
        setting.until_phase("www", "guarding");
        assert_eq!(setting.stop(), Some(0));
        std::fs::copy(setting.path("state/state.db"), setting.path("backup")).unwrap();
        reissue(&setting, "1", 250, "www.example.com");
        setting.start_again();
        setting.until("the second certificate is in place", |setting| {
            setting.read("out/www/cert.pem") == setting.newest("1") && setting.phase("www") == "guarding"
        });
        assert_eq!(setting.stop(), Some(0));
        let stopped = clock::now().time;
        let second = setting.newest("1");
        let (hooks, link) = (setting.read("hooks"), std::fs::read_link(setting.installed("www")).unwrap());
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(setting.path("state").join(name));
        }
        if !lost {
            std::fs::copy(setting.path("backup"), setting.path("state/state.db")).unwrap();
        }
        let calls = setting.all_calls();
        // No state can tell of a call that was made after its backup; the interval does, once it is over.
        setting.until("the interval since the last call is over", |_| {
            clock::now().time.since(stopped) >= INTERVAL
        });
        setting.start_again();
        setting.until("it has asked twice, and is at rest", |setting| {
            assert_eq!(setting.read("out/www/cert.pem"), second, "lost {lost}: what was installed stays");
            setting.all_calls() >= calls + 2 && setting.phase("www") == "guarding"
        });
        assert_eq!(setting.stop(), Some(0));
        assert_eq!(std::fs::read_link(setting.installed("www")).unwrap(), link, "lost {lost}: no swap");
        assert_eq!(setting.read("hooks"), hooks, "lost {lost}: no hook for what was in place");
        assert_eq!(setting.order_status("www")["drift"], serde_json::Value::Null, "lost {lost}");
        let gap = setting.vendor().vendor().record().counters().orders["1"].smallest_gap_ms;
        assert!(gap.is_none_or(|gap| u128::from(gap) >= INTERVAL.as_millis()), "lost {lost}: {gap:?}");
    }
}
