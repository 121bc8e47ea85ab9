//! `adopt`: what other programs serve becomes the installed generation, and nothing that is served changes.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use certcollectd::effects::store::lock::Lock;
use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};

use crate::setting::Setting;

/// A setting whose configuration includes `orders.d`, with hooks that leave a mark.
fn setting() -> Setting {
    let mut setting = Setting::new();
    std::fs::create_dir(setting.path("orders.d")).unwrap();
    for name in ["nginx", "apache2", "haproxy"] {
        setting.table(&format!(
            "[[hook]]\nname = \"{name}\"\nrun = [\"/bin/sh\", \"-c\", \"echo {name} $CERTCOLLECTD_ORDER >> $DIR/hooks\"]"
        ));
    }
    write_configuration(&setting);
    setting
}

fn write_configuration(setting: &Setting) {
    let text = format!("include = [\"orders.d/*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
}

/// An order at the vendor, issued long ago; its certificate with the chain as PEM.
fn issue(setting: &Setting, number: &str, domain: &str) -> String {
    let mut spec = OrderSpec::new(Product::Ssl, number, &[domain]);
    spec.certificate.key = Some(setting.key.serialize_pem());
    setting.vendor().vendor().put_order(spec).unwrap();
    let _ = setting.vendor().vendor().issue(number, None);
    let intermediate = setting.vendor().vendor().authorities().server_ca;
    setting.newest(number) + &intermediate
}

fn reissue(setting: &Setting, number: &str, domain: &str) -> String {
    let spec = CertificateSpec {
        days: Some(300),
        names: Some(vec![domain.into()]),
        key: Some(setting.key.serialize_pem()),
        ..CertificateSpec::default()
    };
    setting.vendor().vendor().reissue(number, &spec).unwrap();
    setting.newest(number)
}

/// What each of these files is: content, then owner, mode, inode and time of its last change.
fn state_of(paths: &[PathBuf]) -> BTreeMap<PathBuf, (Vec<u8>, [i64; 6])> {
    let state = |path: &PathBuf| {
        let found = std::fs::symlink_metadata(path).unwrap();
        let owner = [found.uid(), found.gid(), found.mode()].map(i64::from);
        let inode = i64::try_from(found.ino()).unwrap();
        let facts = [owner[0], owner[1], owner[2], inode, found.ctime(), found.ctime_nsec()];
        (path.clone(), (std::fs::read(path).unwrap(), facts))
    };
    paths.iter().map(state).collect()
}

fn put(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn adopt(setting: &Setting, arguments: &[&str]) -> (i32, String) {
    let all: Vec<&str> = ["adopt"].iter().chain(arguments).copied().collect();
    setting.call(&all)
}

/// 40 virtual hosts: 14 of nginx, 13 of Apache, 13 of HAProxy. The files that are served, and the list of numbers.
fn forty(setting: &Setting) -> (Vec<PathBuf>, String) {
    let key = setting.key.serialize_pem();
    let mut served = Vec::new();
    let mut list = "name,order_number,domains\r\n".to_owned();
    let mut haproxy = format!("global\n  crt-base {}\n", setting.path("haproxy/certs").display());
    put(&setting.path("nginx/nginx.conf"), "events {}\nhttp {\n  include sites/*.conf;\n}\n");
    put(&setting.path("apache2/apache2.conf"), "IncludeOptional sites-enabled/*.conf\n");
    for host in 0..40 {
        let domain = format!("host{host}.example.com");
        let number = (1000 + host).to_string();
        let certificate = issue(setting, &number, &domain);
        list.push_str(&format!("{domain},{number},{domain}\r\n"));
        match host % 3 {
            0 => {
                // As people write it: with a comment, a blank line, and the end of lines of another system.
                let odd = format!("# {domain}\r\n\r\n{}", certificate.replace('\n', "\r\n"));
                let text = if host == 3 { odd } else { certificate };
                let path = setting.path(&format!("nginx/tls/{host}.pem"));
                put(&path, &text);
                put(&setting.path(&format!("nginx/tls/{host}.key")), &key);
                put(
                    &setting.path(&format!("nginx/sites/{host}.conf")),
                    &format!(
                        "server {{\n  ssl_certificate tls/{host}.pem;\n  ssl_certificate_key tls/{host}.key;\n}}\n"
                    ),
                );
                served.push(path);
            }
            1 => {
                let path = setting.path(&format!("apache2/tls/{host}.pem"));
                put(&path, &certificate);
                let own = setting.path(&format!("apache2/tls/{host}.key"));
                put(&own, &key);
                put(
                    &setting.path(&format!("apache2/sites-enabled/{host}.conf")),
                    &format!(
                        "<VirtualHost *:443>\n  SSLCertificateFile \"{}\"\n  SSLCertificateKeyFile {}\n</VirtualHost>\n",
                        path.display(),
                        own.display()
                    ),
                );
                served.push(path);
            }
            _ => {
                let path = setting.path(&format!("haproxy/certs/{host}.pem"));
                put(&path, &format!("{certificate}{key}"));
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
                haproxy.push_str(&format!("frontend f{host}\n  bind :{} ssl crt {host}.pem\n", 8000 + host));
                served.push(path);
            }
        }
    }
    put(&setting.path("haproxy/haproxy.cfg"), &haproxy);
    setting.write("numbers.csv", &list);
    (served, "numbers.csv".into())
}

#[test]
fn forty_hosts_of_three_kinds_are_taken_over_and_nothing_served_changes() {
    let mut setting = setting();
    let (served, list) = forty(&setting);
    let before = state_of(&served);
    let list = setting.path(&list);
    let paths = ["nginx", "apache2", "haproxy"].map(|name| setting.path(name));
    let mut arguments = vec!["--numbers", list.to_str().unwrap()];
    arguments.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("40 orders to take over, 0 configured already, 0 without"), "{said}");
    assert_eq!(std::fs::read_dir(setting.path("orders.d")).unwrap().count(), 0, "only shown");
    assert!(!setting.path("out").exists() && !setting.path("state").exists());
    arguments.push("--apply");
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("40 orders taken over"), "{code} {said}");
    assert_eq!(state_of(&served), before);
    assert_eq!(setting.all_calls(), 0, "the vendor is not asked");
    let (code, said) = setting.call(&["check"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.phase("host0.example.com"), "guarding");

    // The vendor offers the same certificate: the daemon changes nothing.
    setting.start_again();
    setting.until("each was polled twice", |setting| {
        (1000..1040).all(|number| setting.calls(&number.to_string()) >= 2)
    });
    assert_eq!(state_of(&served), before);
    assert!(!setting.path("hooks").exists(), "no hook ran");
    let status = setting.status();
    for order in status["orders"].as_array().unwrap() {
        assert!(
            order["phase"] == "guarding" && order["drift"].is_null() && order["lost"].is_null(),
            "{order:#}"
        );
    }

    // Again: nothing changes.
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("0 orders taken over"), "{code} {said}");
    assert_eq!(state_of(&served), before);

    // A re-issue of each kind is installed, copied, and its server reloaded.
    for (host, hook) in [(3, "nginx"), (4, "apache2"), (5, "haproxy")] {
        let (name, number) = (format!("host{host}.example.com"), (1000 + host).to_string());
        let newest = reissue(&setting, &number, &name);
        let path = &served[host];
        setting.until(&format!("{name} is installed"), |setting| {
            std::fs::read_to_string(path).is_ok_and(|text| text.contains(&newest))
                && std::fs::read_to_string(setting.path("hooks"))
                    .is_ok_and(|text| text.contains(&format!("{hook} {name}\n")))
        });
    }
    let others: Vec<PathBuf> = served
        .iter()
        .enumerate()
        .filter(|(at, _)| !(3..6).contains(at))
        .map(|(_, path)| path.clone())
        .collect();
    assert!(state_of(&others).iter().all(|(path, state)| before[path] == *state));
    let combined = std::fs::read_to_string(&served[5]).unwrap();
    assert!(combined.contains("PRIVATE KEY"), "HAProxy's file still holds its key");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_running_daemon_takes_them_over_without_a_poll_before() {
    let mut setting = setting();
    setting.table("[[order]]\nname = \"other\"\norder_number = \"1\"\ndomains = [\"other.example.com\"]");
    issue(&setting, "1", "other.example.com");
    write_configuration(&setting);
    setting.start_again();
    setting.until_up(1);
    let certificate = issue(&setting, "7", "www.example.com");
    let served = setting.path("tls/www.pem");
    put(&served, &certificate);
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let site = "server {\n  ssl_certificate tls/www.pem;\n  ssl_certificate_key tls/www.key;\n}\n";
    put(&setting.path("site.conf"), site);
    let before = state_of(std::slice::from_ref(&served));
    setting.write("numbers.csv", "name,order_number,domains\nwww,7,www.example.com\n");
    let (numbers, site) = (setting.path("numbers.csv"), setting.path("site.conf"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), site.to_str().unwrap()];
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("1 order taken over"), "{code} {said}");
    setting.until("it is polled", |setting| setting.calls("7") >= 2);
    assert_eq!(state_of(std::slice::from_ref(&served)), before);
    assert_eq!(setting.phase("www.example.com"), "guarding");
    assert!(!setting.path("hooks").exists(), "no hook ran");
    let newest = reissue(&setting, "7", "www.example.com");
    setting.until("the next one is copied", |setting| {
        std::fs::read_to_string(&served).is_ok_and(|text| text.contains(&newest))
            && setting.holds("hooks", "nginx www.example.com\n")
    });
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn links_of_certbot_stay_until_the_next_certificate() {
    let mut setting = setting();
    let certificate = issue(&setting, "7", "www.example.com");
    let (live, archive) =
        (setting.path("le/live/www.example.com"), setting.path("le/archive/www.example.com"));
    std::fs::create_dir_all(&live).unwrap();
    let (leaf, chain) = certificate.split_at(certificate.find("-----END").unwrap() + 26);
    let contents = [("cert", leaf), ("chain", chain), ("fullchain", &certificate), ("privkey", "")];
    for (name, content) in contents {
        let content = if content.is_empty() { &setting.key.serialize_pem() } else { content };
        put(&archive.join(format!("{name}1.pem")), content);
        let target = format!("../../archive/www.example.com/{name}1.pem");
        std::os::unix::fs::symlink(target, live.join(format!("{name}.pem"))).unwrap();
    }
    setting.write("numbers.csv", "name,order_number,domains\nwww.example.com,7,\n");
    let (numbers, path) = (setting.path("numbers.csv"), setting.path("le/live"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), path.to_str().unwrap()];
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("1 order taken over"), "{code} {said}");
    let renewal = setting.path("le/renewal/www.example.com.conf");
    assert!(said.contains(&format!("mv {0} {0}.off", renewal.display())), "{said}");
    setting.start_again();
    setting.until("it is polled", |setting| setting.calls("7") >= 3);
    let order = setting.order_status("www.example.com");
    assert!(order["phase"] == "guarding" && order["drift"].is_null() && order["lost"].is_null(), "{order:#}");
    assert!(live.join("fullchain.pem").is_symlink());
    let newest = reissue(&setting, "7", "www.example.com");
    setting.until("the next one is there", |_| {
        ["cert", "fullchain"].iter().all(|name| {
            let path = live.join(format!("{name}.pem"));
            !path.is_symlink() && std::fs::read_to_string(path).is_ok_and(|text| text.contains(&newest))
        })
    });
    assert!(live.join("privkey.pem").is_symlink(), "the key stays where it is");
    assert_eq!(std::fs::read_to_string(archive.join("fullchain1.pem")).unwrap(), certificate);
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_thousand_hosts_with_broken_ones_among_them() {
    let setting = setting();
    let key = setting.key.serialize_pem();
    let certificate = issue(&setting, "7", "www.example.com");
    put(
        &setting.path("nginx/nginx.conf"),
        "http {\n  include sites/*;\n  include nginx.conf;\n  include gone.conf;\n}\n",
    );
    put(&setting.path("nginx/www.key"), &key);
    put(&setting.path("nginx/torn.pem"), &certificate[..certificate.len() / 3]);
    put(&setting.path("nginx/other.key"), &rcgen::KeyPair::generate().unwrap().serialize_pem());
    let mut broken = Vec::new();
    for host in 0..1000 {
        let good = format!("server {{\n  ssl_certificate {host}.pem;\n  ssl_certificate_key www.key;\n}}\n");
        let (text, line) = match host % 50 {
            1 => ("server {\n  ssl_certificate \"x.pem;\n}\n".to_owned(), 2),
            2 => (format!("{good}}}\n"), 5),
            3 => ("server {\n  ssl_certificate gone.pem;\n}\n".to_owned(), 2),
            4 => ("server {\n\n  ssl_certificate torn.pem;\n}\n".to_owned(), 3),
            5 => ("server {\n  ssl_certificate $ssl_server_name.pem;\n}\n".to_owned(), 2),
            6 => ("server {\n  ssl_certificate_key data:c2VjcmV0;\n}\n".to_owned(), 2),
            _ => (good, 0),
        };
        if line > 0 {
            broken.push(format!("sites/{host:04}:{line}: "));
        }
        put(&setting.path(&format!("nginx/{host}.pem")), &certificate);
        put(&setting.path(&format!("nginx/sites/{host:04}")), &text);
    }
    let (code, said) = adopt(&setting, &[setting.path("nginx").to_str().unwrap()]);
    assert_eq!(code, 0, "{said}");
    for place in &broken {
        assert!(said.contains(place.as_str()), "{place}");
    }
    assert!(said.contains("nginx.conf:4: "), "{said}");
    assert!(!said.contains("c2VjcmV0") && !said.contains("PRIVATE"), "no secret is shown");
    assert!(said.contains("\nwww.example.com,,www.example.com"), "the line that the list lacks");
    let copies = said.matches("  fullchain ").count();
    assert_eq!(copies, 1000 - 5 * 20, "one certificate, one order, all its files");
}

#[test]
fn a_list_with_everything_wrong_writes_nothing() {
    let setting = setting();
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let (numbers, path) = (setting.path("numbers.csv"), setting.path("tls"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), path.to_str().unwrap()];
    let head = "name,order_number,domains\n";
    for (text, expected) in [
        (
            format!("{head}a,7,www.example.com\na,8,a.example.com\n").into_bytes(),
            "line 3: the name \"a\" is that of line 2",
        ),
        (
            format!("{head}a,7,www.example.com\nb,7,a.example.com\n").into_bytes(),
            "line 3: the order number \"7\" is that of line 2",
        ),
        ([head.as_bytes(), b"a,7,\xff\n"].concat(), "line 2: is not UTF-8"),
        (format!("{head}a,7,\"www.example.com\n").into_bytes(), "line 2: a quote is not closed"),
        (format!("{head}a,,www.example.com\n").into_bytes(), "line 2: the order number \"\" is empty"),
        (b"www.example.com;7\n".to_vec(), "line 1: "),
        (Vec::new(), "there is no order in it"),
    ] {
        std::fs::write(&numbers, text).unwrap();
        let (code, said) = adopt(&setting, &arguments);
        assert!(
            code == 2 && said.contains(expected) && said.contains("nothing was written"),
            "{code} {said}"
        );
    }
    std::fs::remove_file(&numbers).unwrap();
    assert_eq!(adopt(&setting, &arguments).0, 2);
    assert!(!setting.path("out").exists() && !setting.path("state").exists());
    assert_eq!(std::fs::read_dir(setting.path("orders.d")).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_not_overwritten_and_what_is_unclear_not_taken() {
    let setting = setting();
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/again.pem"), &issue(&setting, "8", "www.example.com"));
    put(&setting.path("tls/a.key"), &setting.key.serialize_pem());
    let (numbers, path) = (setting.path("numbers.csv"), setting.path("tls"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), path.to_str().unwrap()];
    // Two certificates with the same names, and one row.
    setting.write("numbers.csv", "name,order_number,domains\nx,7,www.example.com\n");
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("write the order's name in its first column"), "{code} {said}");
    assert!(said.contains("0 orders taken over"), "{said}");
    // By the names of the orders, both are clear; the file of one is in the way.
    setting.write(
        "numbers.csv",
        "name,order_number,domains\nwww.example.com,8,www.example.com\nwww.example.com-2,7,www.example.com\n",
    );
    std::fs::write(setting.path("orders.d/www.example.com.toml"), "# mine\n").unwrap();
    let (code, said) = adopt(&setting, &arguments);
    assert!(
        code == 1 && said.contains("was left as it is") && said.contains("1 order taken over"),
        "{code} {said}"
    );
    assert_eq!(setting.read("orders.d/www.example.com.toml"), "# mine\n");
    // The same number twice in the configuration would break it.
    std::fs::remove_file(setting.path("orders.d/www.example.com.toml")).unwrap();
    setting.write("numbers.csv", "name,order_number,domains\nwww.example.com,7,www.example.com\n");
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 1 && said.contains("www.example.com: not taken over: its entry would"), "{code} {said}");
    assert!(!setting.path("orders.d/www.example.com.toml").exists());
    // Without a folder for orders there is no place to write to.
    setting.write_configuration();
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 2 && said.contains("include = [\"orders.d/*.toml\"]"), "{code} {said}");
}

#[test]
fn an_adoption_that_was_interrupted_is_completed_by_the_next() {
    let setting = setting();
    let served = setting.path("tls/www.pem");
    put(&served, &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/a.key"), &setting.key.serialize_pem());
    let before = state_of(std::slice::from_ref(&served));
    setting.write("numbers.csv", "name,order_number,domains\nwww.example.com,7,www.example.com\n");
    let (numbers, path) = (setting.path("numbers.csv"), setting.path("tls"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), path.to_str().unwrap()];
    assert_eq!(adopt(&setting, &arguments).0, 0);
    let entry = setting.path("orders.d/www.example.com.toml");
    let text = std::fs::read_to_string(&entry).unwrap();
    // Before the entry was written; with a leftover of an earlier try, after nothing but the link.
    for lost in [&["orders.d/www.example.com.toml"][..], &["orders.d/www.example.com.toml", "state"]] {
        for path in lost.iter().map(|path| setting.path(path)) {
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap()
            } else {
                std::fs::remove_file(path).unwrap()
            }
        }
        let (code, said) = adopt(&setting, &arguments);
        assert!(code == 0 && said.contains("1 order taken over"), "{code} {said}");
        assert_eq!(std::fs::read_to_string(&entry).unwrap(), text);
        assert_eq!(setting.phase("www.example.com"), "guarding");
    }
    // An entry that was written by hand, with nothing installed for it.
    std::fs::remove_dir_all(setting.path("state")).unwrap();
    std::fs::remove_dir_all(setting.path("out")).unwrap();
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && said.contains("taken over; it was configured already"), "{code} {said}");
    assert_eq!(setting.phase("www.example.com"), "guarding");
    let (code, said) = setting.once(&[]);
    assert_eq!((code, setting.all_calls()), (0, 0), "without its entry: {said}");
    write_configuration(&setting);
    let (code, said) = setting.call(&["once"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(state_of(std::slice::from_ref(&served)), before);
}

#[test]
fn chains_lists_and_folders_go_where_they_belong() {
    let setting = setting();
    let key = setting.key.serialize_pem();
    let split = |number: &str, domain: &str| {
        let all = issue(&setting, number, domain);
        let end = all.find("-----END").unwrap() + "-----END CERTIFICATE-----\n".len();
        (all[..end].to_owned(), all[end..].to_owned())
    };
    let host = |name: &str, chain: &str| {
        let file = |end: &str| setting.path(&format!("apache2/{name}.{end}")).display().to_string();
        let (certificate, key) = (file("crt"), file("key"));
        format!(
            "<VirtualHost *:443>\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\nSSLCertificateChainFile \
             {chain}\n</VirtualHost>\n"
        )
    };
    let mut sites = String::new();
    for (number, name, chain) in
        [("1", "own", "own-chain.pem"), ("2", "b", "shared.pem"), ("3", "c", "shared.pem")]
    {
        let (leaf, above) = split(number, &format!("{name}.example.com"));
        put(&setting.path(&format!("apache2/{name}.crt")), &leaf);
        put(&setting.path(&format!("apache2/{name}.key")), &key);
        put(&setting.path(&format!("apache2/{chain}")), &above);
        sites.push_str(&host(name, setting.path(&format!("apache2/{chain}")).to_str().unwrap()));
    }
    put(&setting.path("apache2/apache2.conf"), &sites);
    // HAProxy: a folder, a key beside its certificate, and a list.
    let (leaf, above) = split("4", "d.example.com");
    put(&setting.path("haproxy/folder/d.pem"), &format!("{leaf}{above}"));
    put(&setting.path("haproxy/folder/d.pem.key"), &key);
    let (leaf, above) = split("5", "e.example.com");
    put(&setting.path("haproxy/e.pem"), &format!("{key}{leaf}{above}"));
    put(
        &setting.path("haproxy/list"),
        &format!("{} [alpn h2] e.example.com\n", setting.path("haproxy/e.pem").display()),
    );
    let (folder, list) = (setting.path("haproxy/folder"), setting.path("haproxy/list"));
    let proxy = format!("frontend f\n bind :1 ssl crt {} crt-list {}\n", folder.display(), list.display());
    put(&setting.path("haproxy/haproxy.cfg"), &proxy);
    // acme.sh.
    let (leaf, above) = split("6", "f.example.com");
    put(&setting.path(".acme.sh/f.example.com_ecc/f.example.com.cer"), &leaf);
    put(&setting.path(".acme.sh/f.example.com_ecc/ca.cer"), &above);
    put(&setting.path(".acme.sh/f.example.com_ecc/fullchain.cer"), &format!("{leaf}{above}"));
    put(&setting.path(".acme.sh/f.example.com_ecc/f.example.com.key"), &key);
    put(&setting.path(".acme.sh/account.conf"), "ACCOUNT_EMAIL='x'\n");
    let paths = ["apache2", "haproxy", ".acme.sh"].map(|name| setting.path(name).display().to_string());
    let (code, said) = adopt(&setting, &[&paths[0], &paths[1], &paths[2]]);
    assert_eq!(code, 0, "{said}");
    let dir = setting.dir.path().display().to_string();
    let said = said.replace(&format!("{dir}/"), "");
    let of = |name: &str| {
        let start = said.find(&format!("\n{name}.example.com\n")).map_or(0, |at| at + 1);
        let block: Vec<&str> =
            said[start..].lines().skip(1).take_while(|line| line.starts_with("  ")).collect();
        let files = block.iter().filter(|line| line.contains(", named by "));
        let files: Vec<String> = files
            .map(|line| line.split(" (").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        files.join(", ")
    };
    assert_eq!(of("own"), "cert apache2/own.crt, chain apache2/own-chain.pem");
    assert_eq!(of("b"), "cert apache2/b.crt");
    assert_eq!(of("d"), "fullchain haproxy/folder/d.pem");
    assert_eq!(of("e"), "combined haproxy/e.pem");
    let acme = ".acme.sh/f.example.com_ecc";
    assert_eq!(
        of("f"),
        format!("cert {acme}/f.example.com.cer, fullchain {acme}/fullchain.cer, chain {acme}/ca.cer")
    );
    assert!(said.contains("acme.sh --remove -d f.example.com --ecc"), "{said}");
    assert!(
        said.contains("apache2.conf:9: apache2/shared.pem: intermediates of 2 orders; left alone"),
        "{said}"
    );
    assert!(said.contains("  key      haproxy/folder/d.pem.key\n"), "{said}");
}

/// What a run with these numbers by name says, for files below `tls`.
fn take(setting: &Setting, numbers: &[(&str, &str)], more: &[&str]) -> (i32, String) {
    let rows: String = numbers.iter().map(|(name, number)| format!("{name},{number},\n")).collect();
    setting.write("numbers.csv", &format!("name,order_number,domains\n{rows}"));
    let (numbers, path) = (setting.path("numbers.csv"), setting.path("tls"));
    let mut arguments = vec!["--numbers", numbers.to_str().unwrap(), path.to_str().unwrap()];
    arguments.extend(more);
    adopt(setting, &arguments)
}

#[test]
fn a_configured_order_takes_over_only_what_is_its_own() {
    let setting = setting();
    let (certificate, other) = (setting.path("tls/site.crt"), rcgen::KeyPair::generate().unwrap());
    put(&certificate, &issue(&setting, "7", "other.example.com"));
    put(&setting.path("tls/site.key"), &setting.key.serialize_pem());
    put(&setting.path("other.key"), &other.serialize_pem());
    for (line, why) in [
        ("domains = [\"www.example.com\"]".to_owned(), "does not cover www.example.com"),
        (format!("key_file = \"{}\"", setting.path("other.key").display()), "does not fit its key_file"),
    ] {
        let entry = format!(
            "[[order]]\nname = \"www\"\norder_number = \"7\"\n{line}\n[[order.copy]]\nfrom = \"fullchain\"\nto = \"{}\"\n",
            certificate.display()
        );
        setting.write("orders.d/www.toml", &entry);
        let (code, said) = adopt(&setting, &["--apply", setting.path("tls").to_str().unwrap()]);
        assert!(code == 1 && said.contains(why), "{code} {said}");
        assert!(!setting.path("out/www").is_symlink(), "{said}");
    }
}

#[test]
fn trust_anchors_beside_a_certificate_are_left_alone() {
    let setting = setting();
    let all = issue(&setting, "7", "www.example.com");
    let end = all.find("-----END").unwrap() + "-----END CERTIFICATE-----\n".len();
    let root = setting.vendor().vendor().authorities().root;
    put(&setting.path("tls/www.crt"), &all[..end]);
    put(&setting.path("tls/int.pem"), &all[end..]);
    put(&setting.path("tls/root-ca.pem"), &root);
    put(&setting.path("tls/ca-bundle.pem"), &format!("{}{root}", &all[end..]));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let (code, said) = take(&setting, &[("www.example.com", "7")], &["--apply"]);
    assert_eq!(code, 0, "{said}");
    let entry = setting.read("orders.d/www.example.com.toml");
    assert!(entry.contains("tls/int.pem") && entry.contains("tls/www.crt"), "{entry}");
    assert!(!entry.contains("root-ca") && !entry.contains("ca-bundle"), "{entry}");
}

#[test]
fn a_certificate_with_text_beside_it_is_written_over_only_where_a_server_names_it() {
    let setting = setting();
    let text = format!("Bag Attributes\n{}", issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/www.pem"), &text);
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let (code, said) = take(&setting, &[("www.example.com", "7")], &[]);
    assert!(code == 1 && said.contains("other text beside its certificate"), "{code} {said}");
    put(
        &setting.path("site.conf"),
        "server {\n ssl_certificate tls/www.pem;\n ssl_certificate_key tls/www.key;\n}\n",
    );
    let (code, said) =
        take(&setting, &[("www.example.com", "7")], &[setting.path("site.conf").to_str().unwrap()]);
    assert!(code == 0 && said.contains("1 order to take over"), "{code} {said}");
}

#[test]
fn the_plain_name_is_that_of_the_certificate_that_is_served() {
    let setting = setting();
    // Older and newer ones of the same names come before it in the order of their paths.
    put(&setting.path("tls/a.pem"), &issue(&setting, "6", "www.example.com"));
    put(&setting.path("tls/backup/fullchain.bak"), &issue(&setting, "5", "www.example.com"));
    let served = issue(&setting, "7", "www.example.com");
    put(&setting.path("tls/www.pem"), &served);
    put(&setting.path("tls/again.pem"), &served);
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    put(&setting.path("sites/.old.conf"), "server {\n ssl_certificate ../tls/hidden.pem;\n}\n");
    put(
        &setting.path("site.conf"),
        "include sites/*;\nserver {\n ssl_certificate tls/www.pem;\n ssl_certificate_key tls/www.key;\n}\n",
    );
    let site = setting.path("site.conf").display().to_string();
    let (code, said) = take(&setting, &[("www.example.com", "7")], &[&site, "--apply"]);
    assert_eq!(code, 0, "{said}");
    let entry = setting.read("orders.d/www.example.com.toml");
    assert!(entry.contains("tls/www.pem") && !entry.contains("a.pem") && !entry.contains("again"), "{entry}");
    assert!(!said.contains("fullchain.bak") && !said.contains("hidden"), "{said}");
}

#[test]
fn a_wide_mode_is_narrowed_and_one_bad_entry_leaves_the_others() {
    let mut setting = setting();
    setting.table("[[order]]\nname = \"mine\"\norder_number = \"9\"\ndomains = [\"mine.example.com\"]");
    write_configuration(&setting);
    for (number, name, mode) in [("7", "a", 0o666), ("8", "b", 0o4755), ("9", "c", 0o644)] {
        let path = setting.path(&format!("tls/{name}.pem"));
        put(&path, &issue(&setting, number, &format!("{name}.example.com")));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let numbers = [("a.example.com", "7"), ("b.example.com", "8"), ("c.example.com", "9")];
    for arguments in [&[][..], &["--apply"]] {
        let (code, said) = take(&setting, &numbers, arguments);
        let refused = "c.example.com: not taken over: its entry would make the configuration invalid";
        assert!(code == 1 && said.contains(refused), "{code} {said}");
        assert!(said.contains("has mode 4755; it gets mode 0755"), "{said}");
    }
    assert!(setting.read("orders.d/a.example.com.toml").contains("mode  = \"0664\""));
    assert!(setting.read("orders.d/b.example.com.toml").contains("mode  = \"0755\""));
    assert!(!setting.path("orders.d/c.example.com.toml").exists());
}

#[test]
fn what_an_archived_order_serves_is_not_swapped() {
    let setting = setting();
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let numbers = [("www.example.com", "7")];
    assert_eq!(take(&setting, &numbers, &["--apply"]).0, 0);
    // Its entry is gone, and another certificate lies where that was found.
    std::fs::remove_file(setting.path("orders.d/www.example.com.toml")).unwrap();
    put(&setting.path("tls/www.pem"), &issue(&setting, "8", "www.example.com"));
    let link = std::fs::read_link(setting.path("out/www.example.com")).unwrap();
    let (code, said) = take(&setting, &[("www.example.com", "8")], &["--apply"]);
    assert!(code == 1 && said.contains("certcollectd forget www.example.com"), "{code} {said}");
    assert_eq!(std::fs::read_link(setting.path("out/www.example.com")).unwrap(), link);
    assert!(!setting.path("orders.d/www.example.com.toml").exists());
    // Forgotten, but somebody may still read through the link.
    assert_eq!(setting.call(&["forget", "www.example.com"]).0, 0);
    let (code, said) = take(&setting, &[("www.example.com", "8")], &["--apply"]);
    assert!(code == 1 && said.contains("leads to another certificate"), "{code} {said}");
    std::fs::remove_file(setting.path("out/www.example.com")).unwrap();
    assert_eq!(take(&setting, &[("www.example.com", "8")], &["--apply"]).0, 0);
}

#[test]
fn nothing_is_laid_out_while_another_command_has_the_state() {
    let setting = setting();
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    std::fs::create_dir(setting.path("state")).unwrap();
    let lock = Lock::take(&setting.path("state")).unwrap();
    let numbers = [("www.example.com", "7")];
    let (code, said) = take(&setting, &numbers, &["--apply"]);
    assert_eq!(code, 2, "{said}");
    assert!(!setting.path("out").join("www.example.com").is_symlink());
    drop(lock);
    let folder = std::fs::File::open(setting.path("orders.d")).unwrap();
    folder.lock().unwrap();
    let (code, said) = take(&setting, &numbers, &["--apply"]);
    assert!(code == 2 && said.contains("another `certcollectd adopt`"), "{code} {said}");
    drop(folder);
    let (code, said) = take(&setting, &numbers, &["--apply"]);
    assert!(code == 0 && said.contains("1 order taken over"), "{code} {said}");
}

#[test]
fn a_folder_that_does_not_take_every_name_is_not_written_to() {
    let setting = setting();
    let text = format!("include = [\"orders.d/[a-z]*.toml\"]\n{}", setting.configuration());
    setting.write("certcollectd.toml", &text);
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "1and1.example.com"));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let (code, said) = take(&setting, &[("1and1.example.com", "7")], &["--apply"]);
    assert!(code == 2 && said.contains("nothing was written"), "{code} {said}");
    assert_eq!(std::fs::read_dir(setting.path("orders.d")).unwrap().count(), 0);
}

#[test]
fn a_further_file_of_a_configured_order_is_not_lost_in_silence() {
    let setting = setting();
    let certificate = issue(&setting, "7", "www.example.com");
    put(&setting.path("tls/www.pem"), &certificate);
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    let numbers = [("www.example.com", "7")];
    let (code, said) = take(&setting, &numbers, &["--apply"]);
    assert!(code == 0 && said.contains("they have no hooks: www.example.com"), "{code} {said}");
    assert_eq!(take(&setting, &numbers, &["--apply"]).0, 0);
    let entry = setting.read("orders.d/www.example.com.toml");
    // Beside the first, and alone.
    put(&setting.path("other/b.pem"), &certificate);
    let other = setting.path("other").display().to_string();
    let (code, said) = take(&setting, &numbers, &[&other, "--apply"]);
    assert!(
        code == 1 && said.contains("[[order.copy]]") && said.contains("other/b.pem\"\n"),
        "{code} {said}"
    );
    let (code, said) = adopt(&setting, &["--apply", &other]);
    assert!(code == 1 && said.contains("other/b.pem\"\n"), "{code} {said}");
    assert_eq!(setting.read("orders.d/www.example.com.toml"), entry);
    assert_eq!(std::fs::read_dir(setting.path("orders.d")).unwrap().count(), 1);
}

#[test]
fn an_order_that_is_configured_by_its_number_gets_no_second_entry() {
    let setting = setting();
    put(&setting.path("tls/www.pem"), &issue(&setting, "7", "www.example.com"));
    put(&setting.path("tls/www.key"), &setting.key.serialize_pem());
    put(
        &setting.path("site.conf"),
        "server {\n  ssl_certificate tls/www.pem;\n  ssl_certificate_key tls/www.key;\n}\n",
    );
    // As `init` writes it: no key, no copies, a name of its own.
    let entry = "[[order]]\nname = \"shop\"\norder_number = \"7\"\ndomains = [\"www.example.com\"]\n";
    setting.write("orders.d/shop.toml", entry);
    setting.write("numbers.csv", "name,order_number,domains\nshop,7,www.example.com\n");
    let (numbers, site) = (setting.path("numbers.csv"), setting.path("site.conf"));
    let arguments = ["--apply", "--numbers", numbers.to_str().unwrap(), site.to_str().unwrap()];
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 1 && said.contains("shop: taken over; it was configured already"), "{code} {said}");
    assert_eq!(setting.phase("shop"), "guarding");
    assert_eq!(std::fs::read_dir(setting.path("orders.d")).unwrap().count(), 1);
    // What it says is lacking completes the entry.
    let lines: Vec<&str> = said.lines().collect();
    let block = |from: &str, until: &str| {
        let start = lines.iter().position(|line| line.starts_with(from)).unwrap_or_else(|| panic!("{said}"));
        let text = lines[start..].iter().take_while(|line| !line.starts_with(until));
        text.map(|line| format!("{line}\n")).collect::<String>()
    };
    let (settings, copy) = (block("key_file", "shop"), block("[[order.copy]]", "\n"));
    assert!(settings.contains("hooks        = [\"nginx\"]"), "{said}");
    setting.write("orders.d/shop.toml", &format!("{entry}{settings}{copy}"));
    let (code, said) = adopt(&setting, &arguments);
    assert!(code == 0 && !said.contains("lacks"), "{code} {said}");
}
