//! Log-in, rights, TLS, and what `check` says of them.

use std::path::Path;
use std::time::Duration;

use certcollectd::effects::shared::{Change, Committed, News, Shared, StoreSettings, Trouble};
use certcollectd_core::config::fleet::ClientCert;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use super::member::{Cluster, PASSWORD, block_on};
use super::proxy::{Answers, Proxy, echo, foreign};
use super::{is_away, put, row, swap};
use crate::certs::ca;

#[test]
fn a_token_that_died_with_its_member_is_replaced() {
    let Some(mut cluster) = Cluster::start(1, &[]) else { return };
    cluster.enable_authentication(&[]);
    let proxy = Proxy::start(&cluster.endpoint(0), Answers::Passed);
    let endpoints = vec![proxy.endpoint.clone()];
    let shared = Shared::connect(StoreSettings { endpoints, ..cluster.as_user("web", PASSWORD) });
    block_on(async {
        assert_eq!(shared.commit(&swap("own/a", None, "1")).await, Committed::Done);
        cluster.restart(0).await;
        assert_eq!(shared.commit(&swap("own/a", Some("1"), "2")).await, Committed::Done);
        assert_eq!(proxy.log_ins(), 2);
        cluster.restart(0).await;
        // Once for all who ask.
        let (listing, found) = futures_util::future::join(shared.list("own/"), shared.get(&["own/a"])).await;
        let listing = listing.unwrap();
        assert_eq!((&*listing.rows, found), (&[row("own/a", "2")][..], Ok(vec![Some(b"2".to_vec())])));
        assert_eq!(proxy.log_ins(), 3);
        assert_eq!(shared.commit(&put("own/b", "1")).await, Committed::Done);
        cluster.restart(0).await;
        // etcd says "permission denied" of a watch with such a token.
        let news = shared.watch("own/", listing.revision).next().await;
        assert_eq!(news, News::Changes(vec![Change::Put(row("own/b", "1"))]));
        assert_eq!(proxy.log_ins(), 4);
        // Users and roles that change make no token useless.
        cluster.ctl(&["--user", "root:root", "role", "add", "other"]);
        assert_eq!(shared.commit(&put("own/a", "3")).await, Committed::Done);
        assert_eq!(proxy.log_ins(), 4);
    });
}

#[test]
fn one_log_in_serves_until_a_request_times_out() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    cluster.enable_authentication(&[]);
    let proxy = Proxy::start(&cluster.endpoint(0), Answers::Passed);
    let endpoints = vec![proxy.endpoint.clone()];
    let shared = Shared::connect(StoreSettings {
        endpoints,
        timeout: Duration::from_millis(500),
        ..cluster.as_user("web", PASSWORD)
    });
    block_on(async {
        let keys = ["own/a"];
        let (one, two) = futures_util::future::join(shared.get(&keys), shared.get(&keys)).await;
        assert_eq!((one, two), (Ok(vec![None]), Ok(vec![None])));
        assert_eq!(shared.commit(&put("own/a", "1")).await, Committed::Done);
        assert!(matches!(shared.get(&["lease"]).await, Err(Trouble::Denied(_))));
        assert_eq!(proxy.log_ins(), 1);
        proxy.set(Answers::Dropped);
        assert!(matches!(shared.commit(&put("own/a", "2")).await, Committed::Unknown(Trouble::Away(_))));
        proxy.set(Answers::Passed);
        assert_eq!(shared.commit(&put("own/a", "3")).await, Committed::Done);
        assert_eq!(proxy.log_ins(), 2);
        proxy.set(Answers::Broken);
        assert!(matches!(shared.commit(&put("own/a", "4")).await, Committed::Unknown(Trouble::Away(_))));
        proxy.set(Answers::Passed);
        assert_eq!(shared.commit(&put("own/a", "5")).await, Committed::Done);
        assert_eq!(proxy.log_ins(), 2, "a connection that broke has nothing to do with the token");
        // Of a request whose log-in had no answer, nothing was sent.
        let fresh = Shared::connect(StoreSettings {
            endpoints: vec![proxy.endpoint.clone()],
            ..cluster.as_user("web", PASSWORD)
        });
        proxy.set(Answers::Broken);
        assert!(matches!(fresh.commit(&put("own/a", "6")).await, Committed::Refused(Trouble::Away(_))));
        proxy.set(Answers::Passed);
    });
}

#[test]
fn a_right_that_is_missing_is_said() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    cluster.enable_authentication(&[]);
    let shared = Shared::connect(cluster.as_user("web", PASSWORD));
    block_on(async {
        let outcome = shared.commit(&put("lease", "1")).await;
        let Committed::Refused(Trouble::Denied(text)) = outcome else { panic!("{outcome:?}") };
        assert!(text.contains("permission denied") && text.contains("user web"), "{text}");
        assert!(matches!(shared.list("").await, Err(Trouble::Denied(_))));
        assert!(matches!(shared.get(&["own/a", "lease"]).await, Err(Trouble::Denied(_))));
        let revision = shared.list("own/").await.unwrap().revision;
        let News::Lost(why) = shared.watch("", revision).next().await else { panic!("it is not allowed") };
        assert!(why.contains("permission denied") && why.contains("user web"), "{why}");
        assert_eq!(shared.check().await[0].problems, [""; 0]);
        // Nothing of that had it log in for nothing: it goes on.
        assert_eq!(shared.commit(&put("own/a", "1")).await, Committed::Done);
    });
}

#[test]
fn a_log_in_that_fails_is_said_and_not_what_was_tried() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let denied = |settings: StoreSettings, parts: &[&str]| {
        let shared = Shared::connect(settings);
        let (outcome, listed, mut reports) = block_on(async {
            (shared.commit(&put("own/a", "1")).await, shared.list("own/").await, shared.check().await)
        });
        let Committed::Refused(Trouble::Denied(text)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(listed, Err(Trouble::Denied(text.clone())));
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!format!("{text}{reports:?}").contains(&PASSWORD[..8]), "{text} {reports:?}");
        reports.remove(0).problems
    };
    let off = denied(cluster.as_user("web", PASSWORD), &["everybody", "enable authentication"]);
    assert!(off[0].contains("everybody"), "{off:?}");
    cluster.enable_authentication(&[]);
    let wrong = cluster.as_user("web", &PASSWORD[..PASSWORD.len() - 1]);
    let problems = denied(wrong, &["refuses user web", "write it into "]);
    assert!(problems.len() == 1 && problems[0].contains("refuses user web"), "{problems:?}");
    denied(cluster.settings(), &["`user` and `password`"]);
    let missing = cluster.as_user("web", PASSWORD);
    std::fs::remove_file(cluster.dir().join(format!("password-web-{}", PASSWORD.len()))).unwrap();
    denied(missing, &["the password for the store cannot be read"]);
    // A server that repeats what it gets.
    let endpoints = vec![echo()];
    denied(StoreSettings { endpoints, ..cluster.as_user("web", PASSWORD) }, &["is the endpoint right?"]);
}

#[test]
fn a_sound_endpoint_and_one_that_is_away() {
    let Some(cluster) = Cluster::start(1, &[]) else { return };
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", away.local_addr().unwrap());
    drop(away);
    let old = foreign("200 OK", "{\"etcdserver\":\"3.5.4\",\"etcdcluster\":\"3.5.0\"}");
    let endpoints = vec![gone.clone(), cluster.endpoint(0), old];
    let reports = block_on(Shared::connect(StoreSettings { endpoints, ..cluster.settings() }).check());
    assert!(reports[0].version.is_none() && reports[0].problems[0].contains(&gone), "{reports:?}");
    assert!(reports[1].version.is_some() && reports[1].problems.is_empty(), "{reports:?}");
    assert_eq!(reports[2].version.as_deref(), Some("3.5.4"));
    assert!(reports[2].problems[0].contains("3.5.6 or later"), "{reports:?}");
}

/// A certificate and its key for loopback as PEM files; with a CN only if one is given.
pub(super) fn certificate(dir: &Path, file: &str, cn: Option<&str>) -> ClientCert {
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    if let Some(cn) = cn {
        params.distinguished_name.push(DnType::CommonName, cn);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &ca().intermediate).unwrap();
    let files =
        ClientCert { cert_file: dir.join(format!("{file}.pem")), key_file: dir.join(format!("{file}.key")) };
    std::fs::write(&files.cert_file, certificate.pem() + &ca().intermediate.pem()).unwrap();
    std::fs::write(&files.key_file, key.serialize_pem()).unwrap();
    files
}

#[test]
fn a_client_certificate_and_the_trap_in_its_cn() {
    let started = Cluster::secure(|dir| {
        let server = certificate(dir, "server", None);
        std::fs::write(dir.join("ca.pem"), ca().root.pem()).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let files = [
            ("--cert-file", path(&server.cert_file)),
            ("--key-file", path(&server.key_file)),
            ("--trusted-ca-file", path(&dir.join("ca.pem"))),
        ];
        let mut arguments: Vec<String> =
            files.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        arguments.push("--client-cert-auth".into());
        arguments
    });
    let Some(cluster) = started else { return };
    let dir = cluster.dir();
    let plain = certificate(dir, "plain", None);
    let settings = |client_cert| StoreSettings {
        ca_file: Some(dir.join("ca.pem")),
        client_cert,
        ..cluster.as_user("web", PASSWORD)
    };
    let (ca_file, cert_file, key_file) = (dir.join("ca.pem"), &plain.cert_file, &plain.key_file);
    cluster.enable_authentication(&[
        "--cacert",
        ca_file.to_str().unwrap(),
        "--cert",
        cert_file.to_str().unwrap(),
        "--key",
        key_file.to_str().unwrap(),
    ]);
    block_on(async {
        let shared = Shared::connect(settings(Some(plain.clone())));
        assert_eq!(shared.commit(&put("own/a", "1")).await, Committed::Done);
        assert_eq!(shared.check().await[0].problems, [""; 0]);

        let named = Shared::connect(settings(Some(certificate(dir, "named", Some("web")))));
        let outcome = named.commit(&put("own/a", "2")).await;
        let Committed::Refused(Trouble::Denied(text)) = outcome else { panic!("{outcome:?}") };
        assert!(text.contains("without a CN"), "{text}");
        let problems = named.check().await.remove(0).problems;
        assert!(problems.len() == 1 && problems[0].contains("without a CN"), "{problems:?}");

        let bare = Shared::connect(settings(None));
        assert!(is_away(&bare.list("own/").await.unwrap_err()));
        let stranger = StoreSettings { ca_file: None, ..settings(Some(plain.clone())) };
        let trouble = Shared::connect(stranger).list("own/").await.unwrap_err();
        assert!(is_away(&trouble) && trouble.to_string().contains("ca_file"), "{trouble}");

        // A pair that does not fit; then it is renewed under a client that failed with it.
        let pair = certificate(dir, "pair", None);
        let key = std::fs::read(&pair.key_file).unwrap();
        std::fs::write(&pair.key_file, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let renewed = Shared::connect(settings(Some(pair.clone())));
        let trouble = renewed.list("own/").await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Other(text) if text.contains("pair.key")), "{trouble}");
        std::fs::write(&pair.key_file, key).unwrap();
        assert_eq!(renewed.list("own/").await.unwrap().rows, [row("own/a", "1")]);
    });
}
