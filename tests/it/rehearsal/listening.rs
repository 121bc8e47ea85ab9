//! What listens: metrics, health, status, and the push notifications.

use certcollectd::sandbox::{CertificateSpec, Step};

use super::{KEY, OWN_ROOT, ssl};
use crate::setting::Setting;

/// The address on which the daemon says that a table of its configuration listens.
fn address_of(setting: &Setting, table: &str) -> String {
    let words = format!("{table} listens on ");
    setting.until("it listens", |setting| setting.log().contains(&words));
    let log = setting.log();
    let at = log.find(&words).unwrap() + words.len();
    log[at..].lines().next().unwrap().trim().to_owned()
}

/// One request in plain text; status line, headers and body.
fn ask(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str) -> String {
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
    let ready = get(&address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("1 of 2 orders"), "{ready}");
    let metrics = get(&address, "/metrics");
    for line in [
        "certcollectd_orders{phase=\"guarding\"} 1",
        "certcollectd_orders{phase=\"attention\"} 0",
        "certcollectd_account_closed{account=\"main\"} 0",
        "certcollectd_order_hooks_owed{order=\"www\"} 0",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    assert!(metrics.contains("certcollectd_certificate_not_after_seconds{order=\"www\"} 1"), "{metrics}");
    let status = get(&address, "/api/v1/status");
    let body: serde_json::Value = serde_json::from_str(&status[status.find("\r\n\r\n").unwrap()..]).unwrap();
    assert_eq!(body["orders"][0]["phase"], "guarding");
    let page = get(&address, "/");
    assert!(page.contains("<td>www</td>") && page.contains("content-security-policy"), "{page}");
    assert!(get(&address, "/etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(
        ask(&address, "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").starts_with("HTTP/1.1 405")
    );
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
