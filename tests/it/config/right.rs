//! What is written is what is meant.

use std::sync::Arc;

use certcollectd::config::file::{Source, includes, read};
use certcollectd_core::api::OrderRef;
use certcollectd_core::config::{Action, Day, FileKind, KeySource, SecretSource, Severity};

use super::{ACCOUNT, ORDER, config, said};

#[test]
fn windows_are_read() {
    let config = config(
        r#"
        freeze = ["2026-12-18/2027-01-04"]
        [[account]]
        name = "main"
        login_name = "x"
        password = { env = "X" }
        [defaults]
        windows = ["night"]
        window_margin = "2d"
        [[order]]
        name = "a"
        order_number = "1"
        domains = ["a.example"]
        [[order]]
        name = "b"
        order_number = "2"
        domains = ["b.example"]
        windows = ["night", "noon"]
        window_margin = "0s"
        [[order]]
        name = "c"
        order_number = "3"
        domains = ["c.example"]
        windows = []
        [[window]]
        name = "night"
        days = ["fri"]
        from = "22:00"
        to = "05:00"
        timezone = "europe/berlin"
        [[window]]
        name = "noon"
        from = "00:00"
        to = "24:00"
        timezone = "UTC"
        "#,
    );
    let named: Vec<(Vec<&str>, u64)> = config
        .orders
        .iter()
        .map(|order| {
            let windows = order.settings.windows.iter().map(|name| &**name).collect();
            (windows, order.settings.window_margin.as_secs())
        })
        .collect();
    assert_eq!(named, [(vec!["night"], 172_800), (vec!["night", "noon"], 0), (vec![], 172_800)]);
    let night = config.window("night").unwrap();
    assert_eq!((&night.days[..], night.zone.name), (&[Day::Fri][..], "Europe/Berlin"));
    assert_eq!([night.from, night.to].map(|time| time.to_string()), ["22:00", "05:00"]);
    let noon = config.window("noon").unwrap();
    assert_eq!(noon.days, Day::ALL, "every day");
    assert_eq!(config.freezes[0].to_string(), "2026-12-18/2027-01-04");
}

#[test]
fn everything_that_can_be_set_is_read() {
    let config = config(
        r#"
        state_dir = "/srv/state/"
        install_dir = "/srv//certs"
        [[order]]
        name = "a"
        account = "second"
        certificate_id = "42"
        domains = ["WWW.Example.com", "*.bücher.example"]
        key_file = ["/k/1", "/k/2"]
        hooks = ["sig", "run"]
        guard_interval = "off"
        [order.files]
        chain = false
        key = "key.pem"
        owner = "root"
        group = "33"
        mode = "0640"
        [order.verify]
        trust = "block"
        trust_anchors = "/roots.pem"
        [[order.copy]]
        from = "combined"
        to = "/etc/haproxy/site.pem"
        mode = "600"
        [[order.copy]]
        from = "root"
        to = "/etc/haproxy/root.pem"
        [[order]]
        name = "b"
        account = "first"
        product = "mark"
        order_number = "7"
        csr_file = "/b.csr"
        interval = "2d"
        [[order]]
        name = "c"
        account = "first"
        product = "smime"
        order_number = "8"
        domains = ["Jane@Example.com"]
        [polling]
        interval = "4h"
        spread = 0
        call_gap = "0s"
        request_timeout = "5s"
        settle = "10m"
        unknown_tries = 3
        merge_window = "0s"
        [[account]]
        name = "first"
        login_name = "x"
        password = { credential = "sectigo" }
        base_url = "https://127.0.0.1:8443/"
        proxy = "socks5://10.0.0.1:1080"
        ca_file = "/ca.pem"
        [[account]]
        name = "second"
        login_name = "y"
        password.env = "PASSWORD"
        [[hook]]
        name = "run"
        run = ["/bin/true", "a b"]
        timeout = "5m"
        merge = false
        [[hook]]
        name = "sig"
        on = ["failed", "expiring"]
        signal = { pid_file = "/run/nginx.pid", name = "SIGUSR1" }
        [push]
        listen = "[::1]:9798"
        path = "/hint"
        user = "sectigo"
        password = { file = "/push" }
        [log]
        format = "json"
        level = "debug"
        "#,
    );
    assert_eq!(config.state_dir.as_os_str(), "/srv/state");
    assert_eq!(config.install_dir.as_os_str(), "/srv/certs");
    assert_eq!(config.calls.call_gap.as_secs(), 0);
    assert_eq!(config.calls.unknown_tries, 3);
    assert_eq!(config.calls.merge_window.as_secs(), 0);
    assert_eq!(config.calls.settle, std::time::Duration::from_secs(600));
    // Shortened along with the whole call, because it was not set itself.
    assert_eq!(config.calls.connect_timeout.as_secs(), 5);
    let [a, b, c] = &config.orders[..] else { panic!("three orders") };
    assert_eq!(a.handle, OrderRef::CertificateId("42".into()));
    assert_eq!(*a.domains, ["www.example.com".into(), "*.xn--bcher-kva.example".into()]);
    assert_eq!(a.key, KeySource::Keys(["/k/1".into(), "/k/2".into()].into()));
    assert_eq!(a.settings.hooks.iter().map(|hook| &**hook).collect::<Vec<_>>(), ["sig", "run"]);
    assert_eq!(a.settings.cadence.guard_interval, None);
    assert_eq!(a.settings.cadence.interval.as_secs(), 4 * 3600);
    assert_eq!(a.settings.cadence.spread_permille, 0);
    assert_eq!(a.settings.files.name(FileKind::Chain), None);
    assert_eq!(a.settings.files.name(FileKind::Key), Some("key.pem"));
    assert_eq!(a.settings.files.mode, 0o640);
    assert_eq!(a.settings.verify.trust, Severity::Block);
    assert_eq!(a.copies[0].from, FileKind::Combined);
    assert_eq!((a.copies[0].mode, a.copies[1].mode), (Some(0o600), None));
    assert_eq!(b.settings.verify.trust, Severity::Off);
    assert_eq!(b.key, KeySource::Csr("/b.csr".into()));
    // A default gives way to a longer interval.
    assert_eq!(b.settings.cadence.max_interval.as_secs(), 2 * 86_400);
    assert_eq!(b.settings.cadence.guard_interval.unwrap().as_secs(), 2 * 86_400);
    assert_eq!(*c.domains, ["jane@example.com".into()]);
    assert_eq!(config.accounts[0].base_url, "https://127.0.0.1:8443");
    assert_eq!(config.accounts[1].password, Some(SecretSource::Env("PASSWORD".into())));
    let Action::Signal { signal, .. } = &config.hooks[1].action else { panic!("a signal") };
    assert_eq!(signal.as_str(), "USR1");
    assert_eq!(config.push.unwrap().user.as_deref(), Some("sectigo"));
}

#[test]
fn orders_share_what_they_have_in_common() {
    let mut text = String::from(ACCOUNT);
    text.push_str("[[hook]]\nname = \"nginx\"\nrun = [\"true\"]\n");
    for number in 0..100_000 {
        text.push_str(&format!(
            "[[order]]\nname = \"order-{number}\"\norder_number = \"{number}\"\nhooks = [\"nginx\"]\n{}",
            match number % 3 {
                0 => "",
                1 => "max_interval = \"24h\"\n",
                _ => "interval = \"6h\"\n[order.files]\nmode = \"0640\"\n",
            }
        ));
    }
    let config = config(&text);
    assert_eq!(config.orders.len(), 100_000);
    for pair in config.orders.windows(4) {
        assert!(Arc::ptr_eq(&pair[0].account, &pair[3].account));
        assert!(Arc::ptr_eq(&pair[0].settings, &pair[3].settings));
    }
    // A default that is written out is the same as one that is not.
    assert!(Arc::ptr_eq(&config.orders[0].settings, &config.orders[1].settings));
    assert!(!Arc::ptr_eq(&config.orders[0].settings, &config.orders[2].settings));
    assert!(Arc::ptr_eq(&config.orders[0].account, &config.accounts[0].name));
}

#[test]
fn a_long_file_reads_the_same_in_pieces() {
    let mut text = String::new();
    for number in 0..5_000 {
        text.push_str(&format!("[[order]]\nname = \"o{number}\"\norder_number = \"{number}\"\n"));
        if number % 1_000 == 500 {
            text.push_str(&format!("[[hook]]\nname = \"h{number}\"\nrun = [\"true\"]\n"));
        }
    }
    text.push_str("[log]\nlevel = \"debug\"\n");
    text.push_str(ACCOUNT);
    // Three quotes in a row anywhere keep a file in one piece.
    assert_eq!(config(&text), config(&format!("{text}# '''\n")));

    let broken = text.replace("\"o4000\"", "o4000").replace("name = \"o10\"", "nam = \"o10\"");
    assert_eq!(said(&broken), said(&format!("{broken}# '''\n")));
    assert!(said(&broken).contains("config.toml:12014:8"), "{}", said(&broken));
}

#[test]
fn odd_but_valid_text_is_read() {
    let plain = config(&format!("{ACCOUNT}{ORDER}"));
    for text in [
        format!("\u{feff}{ACCOUNT}{ORDER}"),
        format!("{ACCOUNT}{ORDER}").replace('\n', "\r\n"),
        format!("{ORDER}{ACCOUNT}"),
        "account = [{ name = 'main', login_name = 'example-login', password.env = 'PASSWORD' }]\n\
         order = [{ name = 'www', order_number = '1' }]"
            .to_owned(),
    ] {
        assert_eq!(config(&text), plain, "{text:?}");
    }
}

#[test]
fn included_files_add_to_the_main_one() {
    let main = Source {
        path: "/etc/certcollectd/certcollectd.toml".into(),
        text: format!("include = [\"orders.d/*.toml\", \"/srv/more.toml\"]\n{ACCOUNT}{ORDER}"),
    };
    assert_eq!(includes(&main), ["/etc/certcollectd/orders.d/*.toml", "/srv/more.toml"]);
    let more = Source {
        path: "/srv/more.toml".into(),
        text: ORDER.replace("www", "mail").replace("\"1\"", "\"2\"")
            + "hooks = [\"x\"]\n[[hook]]\nname = \"x\"\nrun = [\"true\"]\n",
    };
    let (config, problems) = read(&[main, more]).expect("it is valid");
    assert!(problems.is_empty());
    assert_eq!(config.orders.iter().map(|order| &*order.name).collect::<Vec<_>>(), ["www", "mail"]);
    assert_eq!(config.hooks.len(), 1);
}

#[test]
fn metrics_to_a_file_and_without_series_of_orders() {
    let per_order = |text: &str| config(&format!("{text}{ACCOUNT}{ORDER}")).metrics.per_order;
    assert!(per_order(""));
    assert!(per_order("[metrics]\n"));
    assert!(!per_order("[metrics]\nper_order = false\n"));
    let textfile = config(&format!("[metrics]\ntextfile = \"/m/a.prom\"\n{ACCOUNT}{ORDER}")).metrics.textfile;
    assert_eq!(textfile.as_deref(), Some(std::path::Path::new("/m/a.prom")));
}

#[test]
fn rehearsals_by_the_calendar() {
    let text = format!("[rehearsal]\nevery = \"30d\"\n{ACCOUNT}{ORDER}");
    assert_eq!(config(&text).rehearsal, Some(std::time::Duration::from_secs(30 * 86_400)));
    assert_eq!(config(&format!("{ACCOUNT}{ORDER}")).rehearsal, None);
}

#[test]
fn resolvers_with_a_port_and_without() {
    let text = "[dns]\nresolver = [\"192.0.2.53\", \"192.0.2.54:5353\", \"2001:db8::1\", \"[2001:db8::2]:54\", \"[2001:db8::3]\"]\n";
    let dns = config(&format!("{text}{ACCOUNT}{ORDER}")).dns;
    let shown: Vec<String> = dns.resolver.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["192.0.2.53:53", "192.0.2.54:5353", "[2001:db8::1]:53", "[2001:db8::2]:54", "[2001:db8::3]:53"]
    );
}

#[test]
fn a_certificate_can_be_for_addresses() {
    let text = "[[account]]\nname = \"a\"\nlogin_name = \"x\"\npassword = { env = \"X\" }\n[[order]]\nname = \"www\"\n\
                order_number = \"1\"\ndomains = [\"192.0.2.1\", \"2001:DB8::1\"]\n";
    let order = &config(text).orders[0];
    assert_eq!(order.domains.iter().map(|name| &**name).collect::<Vec<_>>(), ["192.0.2.1", "2001:db8::1"]);
}
