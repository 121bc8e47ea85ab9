//! What listens: metrics, health, status, and the push notifications.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use certcollectd_sandbox::{CertificateSpec, Step};

use super::{KEY, OWN_ROOT, ssl};
use crate::setting::Setting;

/// The address on which the daemon says that a table of its configuration listens.
pub(crate) fn address_of(setting: &Setting, table: &str) -> String {
    let words = format!("{table} listens on ");
    setting.until("it listens", |setting| setting.log().contains(&words));
    let log = setting.log();
    let at = log.rfind(&words).unwrap() + words.len();
    log[at..].lines().next().unwrap().trim().to_owned()
}

/// Nothing that is answered takes a tenth of this, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A connection on which this much of a request was sent.
fn begin(address: &str, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// Whether nobody has ended the connection, and nothing has been answered.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0]);
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// So many clients that never come to the end of their request.
const SLOW: usize = 1000;

/// There must be room for their connections; a test of another kind does not mind.
fn make_room() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// One request in plain text; status line, headers and body.
pub(crate) fn ask(address: &str, request: &str) -> String {
    let mut stream = begin(address, request);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn get(address: &str, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
}

#[test]
fn metrics_health_and_status_are_served() {
    let mut setting = Setting::new();
    setting.order(
        "www",
        ssl("1").with_script(vec![Step::pending(3), Step::issued()]),
        &format!("{KEY}\n{OWN_ROOT}"),
    );
    setting.order("slow", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let address = address_of(&setting, "[http]");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"), "{}", get(&address, "/healthz"));
    setting.until_phase("www", "guarding");
    let metrics = get(&address, "/metrics");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    for line in [
        "certcollectd_orders{phase=\"guarding\"} 1",
        "certcollectd_orders{phase=\"attention\"} 0",
        "certcollectd_account_closed{account=\"main\"} 0",
        "certcollectd_order_hooks_owed{order=\"www\"} 0",
        "certcollectd_account_password_readable{account=\"main\"} 1",
        "certcollectd_config_last_reload_success 1",
        "certcollectd_state_save_failures 0",
        "certcollectd_findings 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    for series in [
        "order_waiting_since_seconds{order=\"slow\"} 1",
        "account_last_answer_seconds{account=\"main\"} 1",
        "config_last_reload_success_timestamp_seconds 1",
    ] {
        assert!(metrics.contains(&format!("certcollectd_{series}")), "{series}\n{metrics}");
    }
    assert!(!metrics.contains("order_waiting_since_seconds{order=\"www\"}"), "{metrics}");
    every_series_is_described(&metrics);
    let open = ask(
        &address,
        "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: application/openmetrics-text\r\nconnection: close\r\n\r\n",
    );
    assert!(
        open.contains("content-type: application/openmetrics-text") && open.ends_with("# EOF\n"),
        "{open}"
    );
    assert!(metrics.contains("certcollectd_certificate_not_after_seconds{order=\"www\"} 1"), "{metrics}");
    let status = get(&address, "/api/v1/status");
    let body: serde_json::Value = serde_json::from_str(&status[status.find("\r\n\r\n").unwrap()..]).unwrap();
    assert_eq!(body["orders"][0]["phase"], "guarding");
    let page = get(&address, "/");
    assert!(page.contains("href=\"orders/www\"") && page.contains("content-security-policy"), "{page}");
    assert!(get(&address, "/etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(
        ask(&address, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 405")
    );
    assert_eq!(setting.stop(), Some(0));
}

/// In whatever form it comes.
#[test]
fn an_announced_revocation_is_an_alarm_over_restarts() {
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\nmax_interval = \"24h\"\ncall_gap = \"0s\"\nguard_interval = \"24h\"");
    let order = format!("hooks = [\"page\"]\n{KEY}\n{OWN_ROOT}");
    setting.order("www", ssl("1").with_script(vec![Step::issued()]), &order);
    setting.table("[push]\nlisten = \"127.0.0.1:0\"\n[http]\nlisten = \"127.0.0.1:0\"");
    setting.table(
        "[[hook]]\nname = \"page\"\non = [\"failed\"]\nrun = [\"/bin/sh\", \"-c\", \"echo $CERTCOLLECTD_EVENT >> $DIR/paged\"]",
    );
    setting.start();
    setting.until_phase("www", "guarding");
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
    let (push, http) = (address_of(&setting, "[push]"), address_of(&setting, "[http]"));
    let post = |path: &str, content_type: &str, body: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let answer = ask(&push, &(head + body));
        assert!(answer.starts_with("HTTP/1.1 200"), "{path} {body}: {answer}");
    };
    // About an order that nobody knows here, on a listener without a password.
    let form = "application/x-www-form-urlencoded";
    post("/push", form, "eventType=PreRevocationNotification&x=y");
    setting.until("it is said", |setting| setting.call(&["status", "--nagios"]).0 == 1);
    post(
        "/push",
        "application/json",
        "{\"EventType\": \"preRevocationNotification\", \"OrderNumber\": \"1\", \"when\": \"soon\"}",
    );
    setting.until("it is an alarm", |setting| setting.call(&["status", "--nagios"]).0 == 2);
    post("/push?eventtype=PREREVOCATIONNOTIFICATION&ORDERNUMBER=1", form, "");
    setting.until("one hook ran for each", |setting| setting.holds("paged", "failed\nfailed\n"));
    let (code, said) = setting.call(&["explain", "www"]);
    assert_eq!(code, 0, "{said}");
    for part in
        ["announced that the vendor will revoke", "when soon", "Re-issue it now", "certcollectd accept www"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(get(&http, "/metrics").contains("certcollectd_order_revocation_announced{order=\"www\"} 1"));
    assert!(get(&http, "/").contains("is about to be revoked: re-issue it now"));
    setting.kill();
    assert_eq!(setting.call(&["status", "--nagios"]).0, 2);
    setting.start_again();
    setting.until_phase("www", "guarding");
    let spec = CertificateSpec { days: Some(300), ..CertificateSpec::default() };
    setting.vendor().vendor().reissue("1", &spec).unwrap();
    assert_eq!(setting.call(&["poll", "www"]).0, 0);
    assert_eq!(setting.call(&["status", "--nagios"]).0, 1, "the other one is told for a week");
    assert_eq!(setting.call(&["resume", "--account", "main"]).0, 0);
    assert_eq!(setting.call(&["status", "--nagios"]).0, 0);
    assert_eq!(setting.read("paged"), "failed\nfailed\n");
    assert_eq!(setting.stop(), Some(0));
}

/// As a scraper of the text format reads it: a help and a type under the very name of each series.
fn every_series_is_described(answer: &str) {
    let text = answer.split("\r\n\r\n").nth(1).unwrap();
    let names = |start: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(start)?.split(' ').next()).collect()
    };
    let (helps, types) = (names("# HELP "), names("# TYPE "));
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect();
    assert!(series.len() > 20, "{text}");
    for name in series {
        assert!(helps.contains(&name) && types.contains(&name), "{name}\n{text}");
    }
}

#[test]
fn ready_is_that_what_was_installed_still_is() {
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\nguard_interval = \"1h\"\ncall_gap = \"0s\"");
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.order("slow", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.table("[http]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let address = address_of(&setting, "[http]");
    setting.until_phase("www", "guarding");
    setting.until("the other was asked about", |setting| setting.calls("2") == 1);
    // One that was never installed takes nobody out of service.
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    for path in ["out/www/chain.pem", "out/www"] {
        std::fs::rename(setting.path(path), setting.path("aside")).unwrap();
        let ready = get(&address, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("www was installed"), "{path}: {ready}");
        std::fs::rename(setting.path("aside"), setting.path(path)).unwrap();
        let ready = get(&address, "/readyz");
        assert!(ready.starts_with("HTTP/1.1 200"), "{path}: {ready}");
    }
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_push_wakes_an_order_and_proves_nothing() {
    let mut setting = Setting::new();
    setting.polling("interval = \"2s\"\nmax_interval = \"24h\"\ncall_gap = \"0s\"\nguard_interval = \"24h\"");
    setting.order("www", ssl("1").with_script(vec![Step::issued()]), &format!("{KEY}\n{OWN_ROOT}"));
    setting.write("push-password", "sesame");
    setting.table(
        "[push]\nlisten = \"127.0.0.1:0\"\nuser = \"sectigo\"\npassword = { file = \"$DIR/push-password\" }",
    );
    setting.start();
    let address = address_of(&setting, "[push]");
    setting.until_phase("www", "guarding");
    let push = |query: &str, login: &str| {
        let header =
            if login.is_empty() { String::new() } else { format!("authorization: Basic {login}\r\n") };
        ask(&address, &format!("GET /push?{query} HTTP/1.1\r\nhost: x\r\n{header}connection: close\r\n\r\n"))
    };
    use base64::Engine;
    let right = base64::engine::general_purpose::STANDARD.encode("sectigo:sesame");
    let wrong = base64::engine::general_purpose::STANDARD.encode("sectigo:simsalabim");
    assert!(push("orderNumber=1&statusCode=9", "").starts_with("HTTP/1.1 401"));
    assert!(push("orderNumber=1&statusCode=9", &wrong).starts_with("HTTP/1.1 401"));
    assert!(push("eventType=Certificate", &right).starts_with("HTTP/1.1 400"));
    let calls = setting.calls("1");
    setting
        .vendor()
        .vendor()
        .reissue("1", &CertificateSpec { days: Some(300), ..CertificateSpec::default() })
        .unwrap();
    setting.until("it is installed long before the guard would look", |setting| {
        assert!(push("orderNumber=1&statusCode=9", &right).starts_with("HTTP/1.1 200"));
        assert!(push("orderNumber=999&statusCode=9", &right).starts_with("HTTP/1.1 200"));
        setting.read("out/www/cert.pem") == setting.newest("1")
    });
    assert!(setting.calls("1") <= calls + 2, "a flood of pushes is no flood of calls");
    let gap = setting.vendor().vendor().record().counters().orders["1"].smallest_gap_ms;
    assert!(gap.unwrap() >= 2000, "{gap:?}");
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn slow_clients_keep_nobody_waiting() {
    make_room();
    let mut setting = Setting::new();
    setting.table("[http]\nlisten = \"127.0.0.1:0\"\n[push]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let (http, push) = (address_of(&setting, "[http]"), address_of(&setting, "[push]"));
    let head = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-more: ";
    let body = "POST /push HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\norderNumber=";
    let hint = "/push?orderNumber=999&statusCode=9";
    for (address, slow, path) in [(&http, head, "/healthz"), (&push, body, hint), (&push, head, hint)] {
        let held: Vec<TcpStream> = (0..SLOW).map(|_| begin(address, slow)).collect();
        setting.until("it is answered while a slow client is still there", |_| {
            let last = begin(address, slow);
            let answer = get(address, path);
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            is_open(&last)
        });
        assert!(!is_open(&held[0]), "the oldest went first");
    }
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_client_that_goes_on_for_ever_is_let_go() {
    let mut setting = Setting::new();
    setting.table("[http]\nlisten = \"127.0.0.1:0\"\n[push]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let (http, push) = (address_of(&setting, "[http]"), address_of(&setting, "[push]"));
    let slow = [
        begin(&http, "GET /healthz HTTP/1.1\r\nhost: x\r\nx-more: "),
        begin(&push, "POST /push HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\norderNumber="),
    ];
    setting.until("both have gone", |_| {
        let gone = slow.iter().filter(|stream| {
            let mut stream: &TcpStream = stream;
            // A byte now and then does not help.
            let _ = stream.write(b"1");
            !is_open(stream)
        });
        gone.count() == slow.len()
    });
    assert_eq!(setting.stop(), Some(0));
}
