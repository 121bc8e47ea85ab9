//! `[[order.copy]]`: real files elsewhere show the same certificate as the link, or neither changes.

use std::path::Path;

use certcollectd::effects::install::{activate, stage};
use certcollectd_core::cert::Certificate;
use certcollectd_core::config::{FileCopy, FileKind, Files};
use certcollectd_core::engine::id::OrderId;
use certcollectd_core::engine::install::{Activate, InstallError, Material, Stage};
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};
use rcgen::KeyPair;

use crate::certs;
use crate::setting::Setting;

/// Installs a certificate for `key` by the daemon's own functions, with a copy of it and its key in `site.pem`. Between
/// staging and swap the file of the key holds `found`.
fn install(dir: &Path, generation: &str, key: &KeyPair, found: &KeyPair) -> Result<(), InstallError> {
    let file = dir.join("key.pem");
    std::fs::write(&file, key.serialize_pem()).unwrap();
    let leaf = certs::leaf(key, &["www.example.com"], 0, 4_000_000_000);
    let leaf = Certificate::from_der(&leaf).unwrap();
    let material = Material { leaf, chain: Vec::new(), root: None, key: Some(file.clone()) };
    let files = Files::default().with(FileKind::Chain, None);
    let staged = Stage {
        order: OrderId(0),
        name: "www".into(),
        generation: generation.into(),
        material: material.clone(),
        files: files.clone(),
        copies: Box::default(),
    };
    let staged = stage::stage(&dir.join("out"), &staged)?;
    std::fs::write(file, found.serialize_pem()).unwrap();
    let to = dir.join("site.pem");
    let copy = FileCopy { from: FileKind::Combined, to, owner: None, group: None, mode: None };
    let wanted = Activate {
        order: OrderId(0),
        name: "www".into(),
        generation: staged.generation,
        expected: staged.files,
        material,
        files,
        copies: Box::new([copy]),
        relinks: false,
    };
    activate::activate(&dir.join("out"), &wanted)
}

#[test]
fn a_copy_that_cannot_be_made_leaves_the_link_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let [old, new] = [KeyPair::generate().unwrap(), KeyPair::generate().unwrap()];
    install(dir, "20261120T091200Z-aa", &old, &old).unwrap();
    let shown = || {
        let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        (read("out/www/cert.pem"), read("site.pem"))
    };
    let before = shown();
    assert!(before.1.ends_with(&before.0), "{before:?}");
    let error = install(dir, "20261121T091200Z-bb", &new, &old).unwrap_err();
    assert!(error.to_string().contains("no longer matches the certificate"), "{error}");
    assert_eq!(shown(), before);
    install(dir, "20261121T091300Z-cc", &new, &new).unwrap();
    let after = shown();
    assert!(after.0 != before.0 && after.1.ends_with(&after.0), "{after:?}");
}

#[test]
fn a_rollback_over_a_new_key_takes_link_and_copies_back_together() {
    let mut setting = Setting::new();
    let new = KeyPair::generate().unwrap().serialize_pem();
    setting.write("new-key.pem", &new);
    setting.order(
        "www",
        OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
        "key_file = [\"$DIR/key.pem\", \"$DIR/new-key.pem\"]\n[order.verify]\ntrust = \"off\"\n\
         [[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"",
    );
    assert_eq!(setting.once(&[]).0, 0);
    let shown = || (setting.read("out/www/fullchain.pem"), setting.read("site.pem"));
    let first = shown();
    let spec = CertificateSpec { days: Some(300), key: Some(new), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    let (code, said) = setting.call(&["poll", "www"]);
    assert_eq!(code, 0, "{said}");
    let second = shown();
    assert!(second.0 != first.0 && second.1.ends_with(&second.0), "{said}");

    std::fs::rename(setting.path("key.pem"), setting.path("old-key.pem")).unwrap();
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("site.pem needs the key") && said.contains("/key.pem ("), "{said}");
    assert_eq!(shown(), second);

    std::fs::rename(setting.path("old-key.pem"), setting.path("key.pem")).unwrap();
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(shown(), first);
}

#[test]
fn a_root_that_was_not_sent_holds_nothing_up() {
    let mut setting = Setting::new();
    let mut order = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    order.shape = Some("no-root".into());
    setting.order(
        "www",
        order,
        "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"\n\
         [[order.copy]]\nfrom = \"root\"\nto = \"$DIR/root.pem\"\n\
         [[order.copy]]\nfrom = \"cert\"\nto = \"$DIR/site.pem\"",
    );
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("there is no root certificate, so ") && said.contains("/root.pem stays"), "{said}");
    let first = setting.newest("1");
    let shown = |setting: &Setting| (setting.read("out/www/cert.pem"), setting.read("site.pem"));
    assert_eq!(shown(&setting), (first.clone(), first.clone()));
    assert!(!setting.path("root.pem").exists());

    setting.start_again();
    setting.until("it looked at the files", |setting| setting.calls("1") >= 4);
    assert_eq!(setting.stop(), Some(0));
    assert!(!setting.log().contains("rewritten"), "{}", setting.log());

    // Going back needs no root either, and what is there of one stays.
    let spec = CertificateSpec { days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    assert_eq!(setting.call(&["poll", "www"]).0, 0);
    assert_eq!(shown(&setting).0, setting.newest("1"));
    setting.write("root.pem", "what there was");
    let (code, said) = setting.call(&["rollback", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(shown(&setting), (first.clone(), first));
    assert_eq!(setting.read("root.pem"), "what there was");
}

#[test]
fn a_root_that_is_sent_is_put_back_and_made_for_a_new_copy() {
    let mut setting = Setting::new();
    let keys = "key_file = \"$DIR/key.pem\"\n[order.verify]\ntrust = \"off\"\n";
    let copy = |name: &str| format!("[[order.copy]]\nfrom = \"root\"\nto = \"$DIR/{name}\"\n");
    let order = || OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    setting.order("www", order(), keys);
    assert_eq!(setting.once(&[]).0, 0);
    setting.clear_tables();
    setting.order("www", order(), &format!("{keys}{}", copy("root.pem")));
    setting.start();
    setting.until("the new copy is made", |setting| setting.path("root.pem").exists());
    let root = setting.read("root.pem");
    assert!(root.contains("BEGIN CERTIFICATE"), "{root}");
    std::fs::remove_file(setting.path("root.pem")).unwrap();
    setting.until("it is put back", |setting| setting.path("root.pem").exists());
    assert_eq!(setting.read("root.pem"), root);
    setting.until_phase("www", "guarding");
    let rewrites = |setting: &Setting| setting.log().matches("rewritten").count();
    let (before, calls) = (rewrites(&setting), setting.calls("1"));
    setting.until("it has looked some more times", |setting| setting.calls("1") >= calls + 4);
    assert_eq!(rewrites(&setting), before, "and nothing is written again and again");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_link_that_is_gone_is_set_anew_without_the_key() {
    for (copies, link) in [(false, None), (true, None), (false, Some(".www/20200101T000000Z-00"))] {
        let mut setting = Setting::new();
        let copy = if copies { "\n[[order.copy]]\nfrom = \"combined\"\nto = \"$DIR/site.pem\"" } else { "" };
        setting.order(
            "www",
            OrderSpec::new(Product::Ssl, "1", &["www.example.com"]),
            &format!(
                "key_file = \"$DIR/key.pem\"\n[order.files]\nkey = \"key.pem\"\ncombined = \"all.pem\"\n\
                 [order.verify]\ntrust = \"off\"{copy}"
            ),
        );
        assert_eq!(setting.once(&[]).0, 0);
        let shown =
            |setting: &Setting| (setting.read("out/www/fullchain.pem"), setting.read("out/www/all.pem"));
        let (first, target) = (shown(&setting), std::fs::read_link(setting.path("out/www")).unwrap());
        std::fs::remove_file(setting.path("out/www")).unwrap();
        if let Some(link) = link {
            std::os::unix::fs::symlink(link, setting.path("out/www")).unwrap();
        }
        std::fs::rename(setting.path("key.pem"), setting.path("away.pem")).unwrap();
        let (code, said) = setting.once(&[]);
        assert_eq!(std::fs::read_link(setting.path("out/www")).ok(), Some(target), "{said}");
        assert_eq!(shown(&setting), first);
        // Whether a copy is what it should be cannot be told without the key.
        assert_eq!(code == 0, !copies, "{said}");
        std::fs::rename(setting.path("away.pem"), setting.path("key.pem")).unwrap();
        let (code, said) = setting.call(&["resume", "www"]);
        assert_eq!((code, setting.phase("www").as_str()), (0, "guarding"), "{said}");
        assert_eq!(shown(&setting), first);
    }
}
