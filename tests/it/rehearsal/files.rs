//! Files on disk: owners, modes, copies, keys.

use std::os::unix::fs::PermissionsExt;

use certcollectd_core::cert::Certificate;
use certcollectd_sandbox::{CertificateSpec, Step};

use super::{KEY, OWN_ROOT, ssl};
use crate::certs;
use crate::setting::Setting;

#[test]
fn a_key_that_is_not_there_yet_is_waited_for_and_told_of_at_once() {
    let mut setting = Setting::new();
    let keys = format!("key_file = \"$DIR/mount/key.pem\"\n[order.files]\nkey = \"privkey.pem\"\n{OWN_ROOT}");
    setting.order("www", ssl("1"), &keys);
    setting.start();
    let why = |setting: &Setting| {
        let dir = setting.dir.path().display().to_string();
        format!("cannot read the key {dir}/mount/key.pem: there is no {dir}/mount")
    };
    setting.until("it is told at the start", |setting| {
        setting.log().contains(&format!("order www: {}", why(setting)))
    });
    setting.until_phase("www", "collected");
    let status = setting.order_status("www");
    assert!(status["trouble"].as_str().unwrap().contains(&why(&setting)), "{status}");
    let (code, said) = setting.call(&["status", "--nagios"]);
    assert_eq!(code, 2, "{said}");
    assert!(!setting.log().contains("certcollectd accept"), "{}", setting.log());
    let calls = setting.calls("1");
    std::fs::create_dir(setting.path("mount")).unwrap();
    std::fs::copy(setting.path("key.pem"), setting.path("mount/key.pem")).unwrap();
    setting.until_phase("www", "guarding");
    assert_eq!(calls, 1, "the vendor was not asked meanwhile");
    assert_eq!(setting.read("out/www/privkey.pem"), setting.key.serialize_pem());
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_file_without_a_key_to_use_says_nothing_about_a_certificate() {
    let mut setting = Setting::new();
    let key = setting.key.serialize_pem();
    let params = rcgen::CertificateParams::new(["www.example.com".to_owned()]).unwrap();
    let csr = params.serialize_request(&setting.key).unwrap().pem().unwrap();
    let broken = [
        String::new(),
        "\n\n".to_owned(),
        key[..key.len() / 2].to_owned(),
        csr[..csr.len() / 2].to_owned(),
        setting.read("ca.pem"),
        key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
    ];
    let mut orders = Vec::new();
    for content in &broken {
        for (kind, right) in [("key", &key), ("csr", &csr)] {
            let number = (orders.len() + 1).to_string();
            let (name, file) = (format!("o{number}"), format!("{number}.pem"));
            setting.write(&file, content);
            setting.order(&name, ssl(&number), &format!("{kind}_file = \"$DIR/{file}\"\n{OWN_ROOT}"));
            orders.push((name, file, right));
        }
    }
    setting.start();
    for (name, file, right) in &orders {
        setting.until_phase(name, "collected");
        let trouble = setting.order_status(name)["trouble"].to_string();
        assert!(trouble.contains(&format!("/{file}: ")), "{trouble}");
        setting.write(file, right);
    }
    for (name, ..) in &orders {
        setting.until_phase(name, "guarding");
    }
    assert!(!setting.log().contains("was refused"), "{}", setting.log());
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_key_that_cannot_be_read_any_more_is_told_of_at_a_reload() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.start();
    // The look at the start is over long before.
    setting.until("it was asked about", |setting| setting.calls("1") > 1);
    std::fs::rename(setting.path("key.pem"), setting.path("aside.pem")).unwrap();
    let told = format!(
        "order www: cannot read the key {}: it does not exist; a certificate that needs it will wait until it can be read",
        setting.path("key.pem").display()
    );
    setting.signal(rustix::process::Signal::HUP);
    setting.until("it is told", |setting| setting.log().contains(&told));
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn files_have_owner_group_and_mode_and_the_key_is_private() {
    let mut setting = Setting::new();
    let me = rustix::process::geteuid().as_raw();
    let keys = format!(
        "{KEY}\n[order.files]\nkey = \"key.pem\"\ncombined = \"all.pem\"\nroot = \"root.pem\"\npkcs7 = \"chain.p7b\"\nder = \"cert.der\"\n\
         owner = \"{me}\"\ngroup = \"{}\"\nmode = \"0644\"\n{OWN_ROOT}\n[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"",
        rustix::process::getegid().as_raw()
    );
    setting.order("www", ssl("1"), &keys);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let mode = |path: &str| std::fs::metadata(setting.path(path)).unwrap().permissions().mode() & 0o7777;
    for name in ["cert.pem", "chain.pem", "fullchain.pem", "root.pem", "chain.p7b", "cert.der"] {
        assert_eq!(mode(&format!("out/www/{name}")), 0o644, "{name}");
    }
    assert_eq!(mode("out/www/key.pem"), 0o600);
    assert_eq!(mode("out/www/all.pem"), 0o640);
    assert_eq!(mode("site.pem"), 0o640);
    assert_eq!(setting.read("site.pem"), setting.read("out/www/all.pem"));
    assert_eq!(setting.read("out/www/key.pem"), setting.read("key.pem"));
    assert!(!std::fs::symlink_metadata(setting.path("site.pem")).unwrap().is_symlink());
    assert_eq!(mode("state"), 0o700);
    assert_eq!(mode("state/state.db"), 0o600);
    // Widened by hand: put right at the guard's next look.
    std::fs::set_permissions(setting.path("out/www/key.pem"), PermissionsExt::from_mode(0o644)).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(mode("out/www/key.pem"), 0o600, "{said}");
    // A directory in which everybody may replace the files.
    std::fs::set_permissions(setting.path("out/www/"), PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::set_permissions(setting.path("out/.www"), PermissionsExt::from_mode(0o775)).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((mode("out/www/"), mode("out/.www")), (0o755, 0o755), "{said}");
}

#[test]
fn copies_are_guarded_like_the_files_they_were_made_of() {
    let mut setting = Setting::new();
    let copies = "[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"\n\
                  [[order.copy]]\nfrom = \"chain\"\nto = \"$DIR/issuers.pem\"";
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}\n{copies}"));
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let site = setting.read("site.pem");
    let look = |setting: &Setting| {
        let (code, said) = setting.call(&["poll", "www"]);
        assert_eq!(code, 0, "{said}");
        setting.order_status("www")["drift"].clone()
    };
    assert!(look(&setting).is_null());
    std::fs::set_permissions(setting.path("site.pem"), PermissionsExt::from_mode(0o666)).unwrap();
    assert!(look(&setting).is_null());
    assert_eq!(std::fs::metadata(setting.path("site.pem")).unwrap().permissions().mode() & 0o7777, 0o640);
    std::fs::remove_file(setting.path("site.pem")).unwrap();
    assert!(look(&setting).is_null());
    assert_eq!(setting.read("site.pem"), site);
    // Something else that a server can read is a person's doing; what none can is nobody's.
    let other = format!("{}{}", setting.read("ca.pem"), setting.read("key.pem"));
    for name in ["site.pem", "issuers.pem"] {
        let before = setting.read(name);
        for ruined in ["", "by hand\n", &before[..before.len() - 40]] {
            std::fs::write(setting.path(name), ruined).unwrap();
            assert!(look(&setting).is_null());
            assert_eq!(setting.read(name), before, "{name} with {ruined:?}");
        }
        std::fs::write(setting.path(name), &other).unwrap();
        let drift = look(&setting);
        assert!(drift.as_str().unwrap().contains(&format!("{name} was changed")), "{drift}");
        assert_eq!(setting.read(name), other, "left as it is");
    }
}

/// The file that a server had before: its old certificate, other keys, and no line end at its end.
#[test]
fn a_key_file_may_hold_more_than_the_key() {
    let mut setting = Setting::new();
    let [other, old] = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let certificate = |key: &rcgen::KeyPair| {
        let der = certs::leaf(key, &["www.example.com"], 0, 4_000_000_000);
        Certificate::from_der(&der).unwrap().to_pem()
    };
    let (mine, own) = (setting.key.serialize_pem(), certificate(&setting.key));
    let new = rcgen::KeyPair::generate().unwrap();
    let parts = [certificate(&old), other.serialize_pem(), own, mine, new.serialize_pem()];
    let joined: String = parts.iter().map(|part| part.trim_end()).collect();
    setting.write("site.pem", &joined);
    let keys = format!(
        "key_file = \"$DIR/site.pem\"\n[order.files]\nkey = \"key.pem\"\ncombined = \"all.pem\"\n{OWN_ROOT}\n\
         [[order.copy]]\nfrom = \"key\"\nto = \"$DIR/copy.key\"\n[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/copy.pem\""
    );
    setting.order("www", ssl("1"), &keys);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let shows = |setting: &Setting, key: &str| {
        assert_eq!(setting.read("out/www/key.pem"), key);
        assert_eq!(
            setting.read("out/www/all.pem"),
            format!("{key}{}", setting.read("out/www/fullchain.pem"))
        );
        assert_eq!(setting.read("copy.key"), key);
        assert_eq!(setting.read("copy.pem"), setting.read("out/www/all.pem"));
        assert!(setting.read("copy.pem").contains(&setting.newest("1")));
    };
    shows(&setting, &setting.key.serialize_pem());
    // A re-issue with another key of the same file.
    let spec =
        CertificateSpec { key: Some(new.serialize_pem()), days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    shows(&setting, &new.serialize_pem());
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("copy.key"), setting.key.serialize_pem());
}

#[test]
fn roots_are_read_whole_or_refused() {
    let mut setting = Setting::new();
    let ca = setting.read("ca.pem");
    let stranger = {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["Another Root".to_owned()]).unwrap();
        params.self_signed(&key).unwrap().pem()
    };
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.order(
        "web",
        ssl("2"),
        &format!("{KEY}\n[order.verify]\ntrust = \"block\"\ntrust_anchors = \"$DIR/roots.pem\""),
    );
    let root = setting.vendor().vendor().authorities().root;
    setting.write_configuration();
    // Written by `cat` from a file without a line end: the one that is needed comes second.
    setting.write("ca.pem", &format!("{}{ca}", stranger.trim_end()));
    setting.write("roots.pem", &format!("{}{root}", stranger.trim_end()));
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    for (text, why) in [
        (format!("{stranger}{}", setting.key.serialize_pem()), "block 2, on line"),
        (
            format!("{ca}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "is not a certificate",
        ),
        (format!("{ca}{}", &ca[..ca.len() / 2]), "a PEM block is cut off at line"),
        (format!("{ca}{}", " ".repeat(9 << 20)), "larger than"),
    ] {
        for name in ["ca.pem", "roots.pem"] {
            let before = setting.read(name);
            setting.write(name, &text);
            let (code, said) = setting.call(&["check"]);
            assert_eq!(code, 2, "{name}: {said}");
            assert!(said.contains(name) && said.contains(why), "{name}: {said}");
            setting.write(name, &before);
        }
    }
}

/// What a mount, a backup or a careless hand leaves of the installed files, and what puts them back.
#[test]
fn a_store_that_is_gone_is_put_back_by_whatever_looks() {
    let looks: [&[&str]; 2] = [&["poll", "www"], &["once"]];
    for look in looks {
        let mut setting = Setting::new();
        setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
        assert_eq!(setting.once(&[]).0, 0);
        let whole = setting.read("out/www/fullchain.pem");
        for harm in ["store", "link", "generation", "empty", "cut", "dangling"] {
            let (link, store) = (setting.path("out/www"), setting.path("out/.www"));
            match harm {
                "store" => std::fs::remove_dir_all(store).unwrap(),
                "link" => std::fs::remove_file(link).unwrap(),
                "generation" => std::fs::remove_dir_all(std::fs::canonicalize(link).unwrap()).unwrap(),
                "empty" => {
                    for entry in std::fs::read_dir(link).unwrap() {
                        std::fs::remove_file(entry.unwrap().path()).unwrap();
                    }
                }
                "cut" => std::fs::write(setting.path("out/www/cert.pem"), "").unwrap(),
                _ => {
                    std::fs::remove_file(&link).unwrap();
                    std::os::unix::fs::symlink(".www/20200101T000000Z-00", link).unwrap();
                }
            }
            let mut said = setting.call(look).1;
            // What is not there at all comes with the next answer of the vendor.
            if !setting.path("out/www/fullchain.pem").exists() {
                assert_eq!(setting.call(&["status", "--nagios"]).0, 2, "{harm}: {said}");
                said = setting.call(&["poll", "www"]).1;
            }
            assert_eq!(setting.read("out/www/fullchain.pem"), whole, "{look:?} {harm}: {said}");
            assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"), "{look:?} {harm}: {said}");
            assert!(setting.order_status("www")["lost"].is_null(), "{look:?} {harm}");
            assert_eq!(setting.call(&["status", "--nagios"]).0, 0, "{look:?} {harm}");
        }
    }
}

#[test]
fn a_store_that_cannot_be_entered_is_an_alarm() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 0);
    let aside = setting.path("aside");
    for what in ["file", "link", "directory"] {
        let store = setting.path("out/.www");
        let place = if what == "directory" { setting.path("out/www") } else { store.clone() };
        std::fs::rename(&store, &aside).unwrap();
        match what {
            "file" => std::fs::write(&place, "in the way").unwrap(),
            "link" => std::os::unix::fs::symlink(&aside, &place).unwrap(),
            // A restore that follows links, without the hidden entries.
            _ => {
                std::fs::remove_file(&place).unwrap();
                std::fs::create_dir(&place).unwrap();
            }
        }
        let (_, said) = setting.call(&["poll", "www"]);
        let (code, line) = setting.call(&["status", "--nagios"]);
        assert_eq!(code, 2, "{what}: {said}{line}");
        let lost = setting.order_status("www")["lost"].to_string();
        let why = if what == "directory" { "cert.pem" } else { "out/.www: it is a " };
        assert!(lost.contains(why), "{what}: {lost}");
        assert_eq!(setting.call(&["once"]).0, 4, "{what}");
        // Moved away, all is as it was.
        if what == "directory" {
            std::fs::remove_dir(&place).unwrap();
        } else {
            std::fs::remove_file(&place).unwrap();
        }
        std::fs::rename(&aside, &store).unwrap();
        let (code, said) = setting.call(&["poll", "www"]);
        assert_eq!(code, 0, "{what}: {said}");
        assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1"), "{what}: {said}");
        assert!(setting.order_status("www")["lost"].is_null(), "{what}");
    }
}

#[test]
fn others_may_not_write_to_the_state_directory() {
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    std::fs::create_dir(setting.path("state")).unwrap();
    std::fs::set_permissions(setting.path("state"), PermissionsExt::from_mode(0o777)).unwrap();
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    let mode = std::fs::metadata(setting.path("state")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o755, "{said}");
    assert!(said.contains("had mode 0777"), "{said}");
}

#[test]
fn a_file_that_was_given_away_comes_back_to_the_daemon() {
    use std::os::unix::fs::{MetadataExt, chown};
    let mut setting = Setting::new();
    setting.order("www", ssl("1"), &format!("{KEY}\n[order.files]\nkey = \"key.pem\"\n{OWN_ROOT}"));
    assert_eq!(setting.once(&[]).0, 0);
    let me = rustix::process::geteuid();
    let given = chown(setting.path("out/www/key.pem"), Some(65_534), None);
    assert_eq!(given.is_ok(), me.is_root(), "only root can give a file away");
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::metadata(setting.path("out/www/key.pem")).unwrap().uid(), me.as_raw(), "{said}");
}

#[test]
fn the_matching_key_of_several_is_installed_with_the_certificate() {
    let mut setting = Setting::new();
    let other = rcgen::KeyPair::generate().unwrap();
    setting.write("other.pem", &other.serialize_pem());
    let keys = format!(
        "key_file = [\"$DIR/other.pem\", \"$DIR/key.pem\"]\n[order.files]\nkey = \"key.pem\"\n{OWN_ROOT}"
    );
    setting.order("www", ssl("1"), &keys);
    assert_eq!(setting.once(&[]).0, 0);
    assert_eq!(setting.read("out/www/key.pem"), setting.read("key.pem"));
    // A re-issue with the new key: pair and chain switch together.
    let spec =
        CertificateSpec { key: Some(other.serialize_pem()), days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/key.pem"), setting.read("other.pem"));
}
