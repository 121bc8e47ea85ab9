//! The pages as the daemon serves them, and what it answers to a browser that asks for something else.

use certcollectd_sandbox::Step;

use crate::rehearsal::listening::{address_of, ask, get};
use crate::rehearsal::{KEY, OWN_ROOT, ssl};
use crate::setting::Setting;

/// What every answer must have, whatever was asked.
const STRICT: [&str; 9] = [
    "cache-control: no-store",
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cross-origin-resource-policy: same-origin",
    "cross-origin-opener-policy: same-origin",
    "default-src 'none'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
];

fn is_strict(answer: &str) {
    let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
    for header in STRICT {
        assert_eq!(head.matches(header).count(), 1, "{header}: {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
}

fn running() -> (Setting, String, String) {
    let mut setting = Setting::new();
    setting.polling("interval = \"1h\"\nguard_interval = \"1h\"\ncall_gap = \"0s\"");
    setting.order("www", ssl("1"), &format!("{KEY}\n{OWN_ROOT}"));
    setting.order("slow", ssl("2").with_script(vec![Step::pending(1_000_000)]), KEY);
    setting.table("[http]\nlisten = \"127.0.0.1:0\"\n[push]\nlisten = \"127.0.0.1:0\"");
    setting.start();
    let (http, push) = (address_of(&setting, "[http]"), address_of(&setting, "[push]"));
    setting.until_phase("www", "guarding");
    (setting, http, push)
}

#[test]
fn every_answer_is_strict() {
    let (mut setting, http, push) = running();
    let many = "\r\nx: y".repeat(200);
    let requests = [
        (200, "GET / HTTP/1.1"),
        (200, "HEAD / HTTP/1.1"),
        (200, "GET /?page=2&show=waits&live HTTP/1.1"),
        (200, "GET /orders/www HTTP/1.1"),
        (200, "GET /forecast HTTP/1.1"),
        (200, "GET /metrics HTTP/1.1"),
        (200, "GET /healthz HTTP/1.1"),
        (200, "GET /readyz HTTP/1.1"),
        (200, "GET /api/v1/status HTTP/1.1"),
        (404, "GET /favicon.ico HTTP/1.1"),
        (404, "GET /orders/nobody HTTP/1.1"),
        (405, "POST / HTTP/1.1"),
        (405, "OPTIONS /metrics HTTP/1.1"),
        (405, "DELETE /orders/www HTTP/1.1"),
        (405, "PUT /etc/passwd HTTP/1.1"),
        (400, "GET /\u{1} HTTP/1.1"),
        (400, "nonsense"),
        (431, &format!("GET / HTTP/1.1{many}")),
    ];
    for (code, request) in requests {
        let answer = ask(&http, &format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request:.80}: {answer}");
        is_strict(&answer);
        assert_eq!(code == 405, answer.contains("allow: GET, HEAD\r\n"), "{request:.80}: {answer}");
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(!request.starts_with("HEAD") || body.is_empty(), "{answer}");
    }
    for (code, request) in [
        (200, "GET /push?orderNumber=1&statusCode=9 HTTP/1.1"),
        (400, "GET /push HTTP/1.1"),
        (404, "GET / HTTP/1.1"),
        (405, "PUT /push HTTP/1.1"),
        (400, "nonsense"),
    ] {
        let answer = ask(&push, &format!("{request}\r\nhost: x\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}: {answer}");
        is_strict(&answer);
        assert_eq!(code == 405, answer.contains("allow: GET, POST\r\n"), "{answer}");
    }
    assert_eq!(setting.stop(), Some(0));
}

#[test]
fn a_browser_that_asks_for_something_else_learns_nothing() {
    let (mut setting, http, _) = running();
    let long = "x".repeat(20_000);
    for path in [
        "/orders/../../etc/passwd",
        "/orders/%2e%2e/%2e%2e/etc/passwd",
        "/orders/..",
        "/orders/.",
        "/orders/",
        "/orders",
        "/orders/www/",
        "/orders/www/..",
        "/orders/www%00",
        "/orders/%77%77%77",
        "/orders/WWW",
        "/orders/<script>alert(1)</script>",
        "/orders/%3Cscript%3Ealert(1)%3C/script%3E",
        "/orders/\"onmouseover=alert(1)",
        "/orders/NAME",
        &format!("/orders/{long}"),
        "//orders/www",
        "/orders//www",
        "/orders;/www",
        "/.well-known/security.txt",
        "/index.html",
        "/state.db",
    ] {
        let answer = get(&http, path);
        assert!(
            answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"),
            "{path:.80}: {answer}"
        );
        is_strict(&answer);
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        for foreign in ["passwd", "script>", "onmouseover", "xxxx", "%00", "security"] {
            assert!(!body.contains(foreign), "{path:.80}: {body}");
        }
    }
    for host in ["evil.example", "127.0.0.1", "<script>", ""] {
        let answer = ask(&http, &format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("evil"), "{host}: {answer}");
    }
    assert!(!setting.log().contains("panicked"), "{}", setting.log());
    assert_eq!(setting.stop(), Some(0));
}

/// How many locks a process holds on a file, as the kernel tells of its handles.
fn locks(setting: &Setting, file: &str) -> usize {
    let (process, file) = (format!("/proc/{}", setting.pid()), setting.path(file).canonicalize().unwrap());
    let handles = std::fs::read_dir(format!("{process}/fd")).unwrap().map(|entry| entry.unwrap());
    let of_it = handles.filter(|handle| std::fs::read_link(handle.path()).is_ok_and(|path| path == file));
    let told = of_it.map(|handle| {
        let name = handle.file_name().into_string().unwrap();
        std::fs::read_to_string(format!("{process}/fdinfo/{name}")).unwrap_or_default()
    });
    told.map(|told| told.matches("lock:").count()).sum()
}

#[test]
fn an_orders_page_has_its_history_and_leaves_the_state_locked() {
    let (mut setting, http, _) = running();
    let locked = locks(&setting, "state/state.db");
    assert!(locked > 0, "SQLite holds a lock while the file is open");
    let page = get(&http, "/orders/www");
    assert!(page.contains("installed generation"), "{page}");
    assert!(page.contains("<h1>www <span class=\"badge fine\">in order</span></h1>"), "{page}");
    assert_eq!(locks(&setting, "state/state.db"), locked, "another process must not take the log away");
    assert!(get(&http, "/").contains("<title>0 need you · 1 waits · 1 in order"));
    assert_eq!(setting.stop(), Some(0));
}
