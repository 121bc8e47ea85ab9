//! A network that does its worst: every toxic at every moment of a call, servers that are not the vendor's,
//! redirects, and answers without end.
//!
//! `NETWORK_SEEDS=50` makes the long form; each seed places the faults elsewhere.

pub mod forward;
pub mod proxy;
mod reasons;
pub mod servers;

use std::sync::Arc;

use certcollectd_sandbox::{AccountSpec, OrderSpec, Product, Step};
use serde_json::Value;

use crate::setting::{PASSWORD, Setting};
use proxy::{Identity, MOMENTS, Moment, Plan, Proxy, TOXICS};

/// The shortest time between two polls of one order, in milliseconds.
const INTERVAL: u64 = 300;

/// A case: one account behind one proxy, with one order.
struct Case {
    name: String,
    proxy: Proxy,
}

/// How many of something the environment asks for.
pub fn count_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[test]
fn every_toxic_at_every_moment_of_a_call() {
    let seeds = count_of("NETWORK_SEEDS", 1);
    let mut calls = 0;
    let mut spoilt = 0;
    for seed in 1..=seeds {
        let (all, bad) = all_toxics(seed);
        calls += all;
        spoilt += bad;
    }
    println!(
        "PROOF-FIGURE network: {} cases ({} toxics x {} moments x {seeds} seeds), {calls} calls seen by the vendor, \
         {spoilt} calls spoilt: 0 orders lost, 0 accounts closed, 0 calls at the same time, 0 polls too early, \
         0 hooks missed, 0 passwords in the log",
        TOXICS.len() * MOMENTS.len() * seeds as usize,
        TOXICS.len(),
        MOMENTS.len(),
    );
}

/// All cases of one seed in one daemon; calls that the vendor saw, and calls that were spoilt.
fn all_toxics(seed: u64) -> (u64, u32) {
    let mut setting = Setting::new();
    setting.polling(&format!(
        "interval = \"{INTERVAL}ms\"\nmax_interval = \"1s\"\ncall_gap = \"0s\"\nguard_interval = \"1h\"\n\
         request_timeout = \"2s\""
    ));
    let identity = Identity::new();
    setting.write("proxy-ca.pem", &identity.ca_pem);
    let mut cases = Vec::new();
    for toxic in TOXICS {
        for moment in MOMENTS {
            let name = format!("{toxic:?}-{moment:?}").to_lowercase();
            let number = (cases.len() + 1).to_string();
            let seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d) ^ cases.len() as u64;
            let mut dice = proxy::Dice::new(seed);
            // A connection that is kept has no second handshake to be spoilt.
            let keeps = !matches!(moment, Moment::Connected | Moment::Handshake);
            let plan = Plan {
                toxic,
                moment,
                seed,
                skip: dice.below(2) as u32,
                times: 1 + dice.below(2) as u32,
                keep: keeps && dice.below(2) == 0,
            };
            let upstream = setting.vendor().api_address();
            let proxy = Proxy::start(plan, identity.server.clone(), upstream, setting.vendor().ca_pem());
            let password = format!("{PASSWORD}{number}");
            setting.write(&format!("password-{name}"), &password);
            setting.vendor().vendor().accounts.put(AccountSpec::new(&name, &password)).unwrap();
            setting.table(&format!(
                "[[account]]\nname = \"{name}\"\nlogin_name = \"{name}\"\n\
                 password = {{ file = \"$DIR/password-{name}\" }}\nbase_url = \"https://{}\"\n\
                 ca_file = \"$DIR/proxy-ca.pem\"",
                proxy.address
            ));
            // Polled three times at least, so that both spoilt calls come before the certificate.
            let order = OrderSpec::new(Product::Ssl, &number, &["www.example.com"])
                .with_script(vec![Step::pending(2), Step::issued()]);
            setting.order(
                &name,
                order,
                &format!(
                    "account = \"{name}\"\nkey_file = \"$DIR/key.pem\"\nhooks = [\"note\"]\n\
                     [order.verify]\ntrust = \"off\""
                ),
            );
            cases.push(Case { name, proxy });
        }
    }
    setting.table(
        "[[hook]]\nname = \"note\"\nmerge = false\n\
         run = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_ORDER >> $DIR/hooks\"]",
    );
    setting.start();
    setting.until(&format!("every order is installed (seed {seed})"), |setting| {
        setting.status()["orders"].as_array().unwrap().iter().all(|order| order["phase"] == "guarding")
    });
    assert_eq!(setting.stop(), Some(0));
    check(&setting, &cases, seed);
    let spoilt = cases.iter().map(|case| case.proxy.spoilt()).sum();
    (setting.all_calls(), spoilt)
}

fn check(setting: &Setting, cases: &[Case], seed: u64) {
    let status = setting.status();
    let counters = setting.vendor().vendor().record().counters();
    let hooks = setting.read("hooks");
    for (at, Case { name, proxy }) in cases.iter().enumerate() {
        let number = (at + 1).to_string();
        let what = format!("{name}, seed {seed}");
        assert!(proxy.spoilt() > 0, "{what}: the fault never struck, so nothing was tested");
        assert_eq!(setting.read(&format!("out/{name}/cert.pem")), setting.newest(&number), "{what}");
        assert_eq!(hooks.lines().filter(|line| line == name).count(), 1, "{what}: hooks");
        assert_eq!(account(&status, name)["state"], "open", "{what}");
        let tally = &counters.accounts[name];
        assert_eq!(tally.max_in_flight, 1, "{what}: {tally:?}");
        assert_eq!(tally.logins_refused, 0, "{what}: {tally:?}");
        let gap = counters.orders[&number].smallest_gap_ms.expect("it is polled more than once");
        assert!(gap >= INTERVAL, "{what}: polled again after {gap} ms");
    }
    let log = setting.log();
    assert!(log.contains(" TRACE "), "the log is at its most talkative");
    assert!(!log.contains(PASSWORD), "the password is in the log");
    let encoded: String = form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
    assert!(!log.contains(&encoded), "the encoded password is in the log");
}

fn account<'a>(status: &'a Value, name: &str) -> &'a Value {
    let accounts = status["accounts"].as_array().unwrap();
    accounts.iter().find(|account| account["name"] == name).unwrap()
}

/// A daemon with one order whose vendor is `address`.
pub fn with_vendor(address: std::net::SocketAddr, ca_pem: &str, product: &str) -> Setting {
    let mut setting = Setting::new();
    setting.polling(
        "interval = \"100ms\"\nmax_interval = \"200ms\"\ncall_gap = \"0s\"\nrequest_timeout = \"5s\"",
    );
    setting.write("other-ca.pem", ca_pem);
    setting.table(&format!(
        "[[account]]\nname = \"other\"\nlogin_name = \"tester\"\npassword = {{ file = \"$DIR/password\" }}\n\
         base_url = \"https://{address}\"\nca_file = \"$DIR/other-ca.pem\"\n\
         [[order]]\nname = \"www\"\nproduct = \"{product}\"\naccount = \"other\"\norder_number = \"1\""
    ));
    setting
}

/// The reason of the last call, in words.
fn last_word(setting: &Setting) -> String {
    setting.order_status("www")["vendor"]["text"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_vendor_that_cannot_prove_its_name_is_told_nothing() {
    let old = |params: &mut rcgen::CertificateParams| {
        params.not_before = time::OffsetDateTime::from_unix_timestamp(0).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(1_000_000_000).unwrap();
    };
    let young = |params: &mut rcgen::CertificateParams| {
        params.not_before = time::OffsetDateTime::from_unix_timestamp(3_900_000_000).unwrap();
        params.not_after = time::OffsetDateTime::from_unix_timestamp(4_000_000_000).unwrap();
    };
    let elsewhere = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example.com".try_into().unwrap())];
    };
    let client = |params: &mut rcgen::CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    };
    let stranger = rcgen::KeyPair::generate().unwrap();
    let stranger = rcgen::CertificateParams::default().self_signed(&stranger).unwrap().pem();
    let cases = [
        ("expired", Identity::with(old), None),
        ("not yet valid", Identity::with(young), None),
        ("for another host", Identity::with(elsewhere), None),
        ("for clients", Identity::with(client), None),
        ("from an unknown authority", Identity::new(), Some(stranger)),
    ];
    let versions = [(0x0301, "TLS 1.0"), (0x0302, "TLS 1.1")];
    let certificates = cases.len();
    for (what, identity, trusted) in cases {
        let server = servers::Listener::tls(identity.server.clone());
        let setting = with_vendor(server.address, trusted.as_ref().unwrap_or(&identity.ca_pem), "ssl");
        let mut setting = setting;
        setting.start();
        setting.until(&format!("{what}: it has tried three times"), |_| server.connections() >= 3);
        let said = last_word(&setting);
        assert!(said.contains("TLS") && said.contains("login was not sent"), "{what}: {said}");
        assert_eq!(setting.phase("www"), "waiting", "{what}");
        setting.kill();
        assert_eq!(server.handshakes(), 0, "{what}: the handshake was brought to its end");
        assert_eq!(server.application_data(), 0, "{what}: application data was sent");
    }
    for (version, name) in versions {
        let server = servers::Listener::old_tls(version);
        let mut setting = with_vendor(server.address, &Identity::new().ca_pem, "ssl");
        setting.start();
        setting.until(&format!("{name}: it has tried three times"), |_| server.connections() >= 3);
        let said = last_word(&setting);
        assert!(said.contains("TLS") && said.contains("login was not sent"), "{name}: {said}");
        setting.kill();
        assert_eq!(server.application_data(), 0, "{name}: application data was sent");
    }
    println!(
        "PROOF-FIGURE tls: {} kinds of server that is not the vendor's ({certificates} certificates, {} old versions), \
         0 bytes of application data",
        certificates + versions.len(),
        versions.len()
    );
}

#[test]
fn no_redirect_leads_the_password_elsewhere() {
    let identity = Identity::new();
    let thief = servers::Listener::tls(identity.server.clone());
    let place = format!("https://{}/products/download/CollectSSL", thief.address);
    let plain = format!("http://{}/", thief.address);
    let relative = format!("//{}/", thief.address);
    let redirect = |status: u16, place: &str| {
        format!("HTTP/1.1 {status} Moved\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    };
    let mut answers: Vec<(String, Vec<u8>)> = Vec::new();
    let statuses = [300, 301, 302, 303, 305, 307, 308];
    for status in statuses {
        for place in [&place, &plain, &relative] {
            answers.push((format!("{status} to {place}"), redirect(status, place)));
        }
    }
    let page = format!("<html><head><meta http-equiv=\"refresh\" content=\"0; url={place}\"></head></html>");
    answers.push((
        "meta refresh".into(),
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{page}", page.len())
            .into_bytes(),
    ));
    answers.push((
        "a Refresh header".into(),
        format!(
            "HTTP/1.1 200 OK\r\nrefresh: 0; url={place}\r\ncontent-location: {place}\r\nalt-svc: h2=\"{}\"\r\n\
             content-length: 2\r\n\r\n0\n",
            thief.address
        )
        .into_bytes(),
    ));
    let number = answers.len();
    // To three places each, and two without a status of their own.
    let kinds = number - 2 * statuses.len();
    let server = servers::Answering::start(identity.server.clone(), {
        let answers: Vec<Vec<u8>> = answers.iter().map(|(_, bytes)| bytes.clone()).collect();
        move |call, _| servers::Reply::Bytes(answers[call % answers.len()].clone())
    });
    let mut setting = with_vendor(server.address, &identity.ca_pem, "ssl");
    setting.start();
    setting.until("it was sent everywhere", |_| server.calls() > number);
    assert_eq!(setting.stop(), Some(0));
    assert_eq!(thief.connections(), 0, "somebody was led elsewhere");
    assert!(setting.log().contains("never followed"), "{}", setting.log());
    println!("PROOF-FIGURE redirects: {kinds} kinds, {number} answers: 0 connections to the second host");
}

#[test]
fn answers_without_end_or_measure_are_dropped() {
    let identity = Identity::new();
    let bombs = servers::bombs();
    let number = bombs.len();
    let names: Vec<&str> = bombs.iter().map(|(name, _)| *name).collect();
    let bombs = Arc::new(bombs);
    let server = servers::Answering::start(identity.server.clone(), {
        let bombs = bombs.clone();
        move |call, _| (bombs[call % bombs.len()].1)()
    });
    // CollectMC takes a bare ZIP archive for an answer.
    let mut setting = with_vendor(server.address, &identity.ca_pem, "mark");
    setting.start();
    setting.until_up(1);
    let before = memory(&setting, "VmRSS");
    setting.until("each was sent twice", |_| server.calls() > 2 * number);
    let peak = memory(&setting, "VmHWM");
    assert_eq!(setting.phase("www"), "waiting");
    assert_eq!(setting.stop(), Some(0));
    assert!(!setting.installed("www").exists());
    // The largest bomb has 256 MiB; what is accepted has 1 MiB, and unpacking it may take some copies.
    assert!(peak < before + 24 * 1024, "{before} KiB before, {peak} KiB at the peak");
    println!(
        "PROOF-FIGURE bombs: {number} kinds ({}): {} KiB resident at the peak, {} KiB of them for the bombs",
        names.join(", "),
        peak,
        peak.saturating_sub(before)
    );
}

/// A line of /proc/PID/status in KiB.
pub fn memory(setting: &Setting, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", setting.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
