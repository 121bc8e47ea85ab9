//! Every code of the vendor, from the raw answer to the phase, the sentence in `status` and the next step.

use std::time::Duration;

use certcollectd::status::{AccountState, Screen, Status};
use certcollectd_core::api::code::{TABLE, classify};
use certcollectd_core::api::{Answer, Product, RetryAfter, reply};
use insta::assert_snapshot;
use rcgen::KeyPair;

use crate::certs;
use crate::world::{self, DAY, START, Say, World};

/// The vendor's words for a code, where a page shows them; some words where none does.
fn words(code: i32) -> String {
    match code {
        -1 => "Request was not made over HTTPS!".into(),
        -2 => "'xxxx' is an unrecognized argument!".into(),
        -3 => "The 'xxxx' argument is missing!".into(),
        -4 => "The value of the 'orderNumber' argument is invalid!".into(),
        -14 => "An unknown error occurred!".into(),
        -16 => {
            "Incorrect login details, account is locked, password has expired or your source IP is blocked."
                .into()
        }
        -17 => "Request used GET rather than POST!".into(),
        -122 => "The Certificate is in wrong state.".into(),
        -123 => "The agreement was not passed.".into(),
        -124 => "The Certificate has actions not yet completed.".into(),
        -125 => "The Certificate is not issued yet.".into(),
        _ => "Words of the vendor.".into(),
    }
}

fn as_lines(code: i32) -> Say {
    Say::text(&if code < 0 { format!("{code}\n{}", words(code)) } else { code.to_string() })
}

fn as_form(code: i32) -> Say {
    let message: String = form_urlencoded::byte_serialize(words(code).as_bytes()).collect();
    Say::text(&if code < 0 {
        format!("errorCode={code}&errorMessage={message}")
    } else {
        format!("errorCode={code}")
    })
}

fn world_of(product: Product) -> World {
    let mut config = world::config(&["www", "other"]);
    world::change(&mut config.orders[0], |settings| settings.product = product);
    World::new(config)
}

/// What becomes of one answer: phase, account, next poll, and what `status` says.
fn outcome(product: Product, say: Say) -> String {
    let mut world = world_of(product);
    world.say("www", [say]);
    // The result goes to the state together with the next order's call.
    world.pass(Duration::from_secs(15));
    tell(&world)
}

fn tell(world: &World) -> String {
    let status = Status::new(&world.config, &world.load(), world.now);
    let order = &status.orders[0];
    let account = &status.accounts[0];
    let code = order.vendor.as_ref().and_then(|vendor| vendor.code);
    let due = world.record("www")["due_ms"].as_i64().map(|due| (due - world.now.time.0) / 3_600_000);
    let next = match (due, account.state) {
        (None, _) => "not polled".to_owned(),
        (Some(hours), AccountState::Open) => format!("poll in {hours} h"),
        (Some(hours), AccountState::Paused) => format!("poll in {hours} h, account paused"),
        (Some(_), state @ AccountState::Closed) => format!("account {state}"),
    };
    let said = order.reason.clone().or_else(|| order.vendor.as_ref().map(|vendor| vendor.text.clone()));
    let mut text = format!(
        "{}, code {}, {next}\n    {}\n",
        order.phase.as_str(),
        code.map_or_else(|| "-".into(), |code| code.to_string()),
        said.unwrap_or_default()
    );
    if let Some(reason) = account.reason.as_ref().filter(|_| account.state != AccountState::Open) {
        text += &format!("    account: {reason}\n");
    }
    text
}

#[test]
fn a_closed_account_tells_what_to_do() {
    let mut world = world_of(Product::Ssl);
    world.say("www", [as_form(-16)]);
    world.pass(Duration::from_secs(15));
    let status = Status::new(&world.config, &world.load(), world.now);
    let text = status.table(&Screen::default());
    let account = text.lines().find(|line| line.starts_with("account ")).expect("a line about the account");
    assert_snapshot!(account, @r##"account main is closed since 2026-11-20T09:12:00Z: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details, account is locked, password has expired or your source IP is blocked."); fix the cause at the vendor's web site; for a new password: write it into /secret (it is tried at once); if the current one is right: `certcollectd resume --account main --same-password` lets one call through"##);
}

#[test]
fn every_code_in_both_forms() {
    let mut codes: Vec<i32> = TABLE.iter().map(|row| row.code).collect();
    codes.extend([3, 42, 999_999_999, -5, -41, -999, -999_999_999]);
    let mut text = String::new();
    for code in codes {
        let told = outcome(Product::Ssl, as_form(code));
        for product in [Product::Ssl, Product::Mark, Product::Smime] {
            assert_eq!(outcome(product, as_lines(code)), told, "{code} of {}", product.as_str());
        }
        let body = match as_form(code) {
            Say::Body(_, body) => body.into(),
            other => panic!("{other:?}"),
        };
        let answer = Answer { status: 200, content_type: None, retry_after: None, date: None, body };
        let endpoint = Product::Ssl.endpoint();
        let class = classify(endpoint, &reply::decode(endpoint, &answer).unwrap()).class;
        text += &format!("{code} {class:?}: {told}");
    }
    assert_snapshot!(text, @r##"
    2 Ready: waiting, code -, poll in 3 h
        the vendor reports it as issued, but no certificate is in the answer
    1 Available: waiting, code 1, poll in 3 h
        issued, but the certificate is not in the answer (1)
    0 Waiting: waiting, code 0, poll in 3 h
        being processed by Sectigo (0)
    -1 Ours: attention, code -1, not polled
        the request was not made over HTTPS (code -1: "Request was not made over HTTPS!"); check base_url and any proxy in between
    -2 Ours: attention, code -2, not polled
        the vendor does not know one of the arguments (code -2: "'xxxx' is an unrecognized argument!"); check product and order number
    -3 Ours: attention, code -3, not polled
        a required argument is missing (code -3: "The 'xxxx' argument is missing!"); check product and order number
    -4 Ours: attention, code -4, not polled
        the value of an argument is invalid (code -4: "The value of the 'orderNumber' argument is invalid!"); check the order number, the usual cause
    -13 Report: attention, code -13, not polled
        the key size in the CSR is not supported (code -13: "Words of the vendor."); make a CSR with another key size
    -14 Transient: waiting, code -14, poll in 3 h
        unknown error at the vendor (code -14: "An unknown error occurred!")
    -16 AccountClosed: waiting, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details, account is locked, password has expired or your source IP is blocked.")
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details, account is locked, password has expired or your source IP is blocked.")
    -17 Ours: attention, code -17, not polled
        the request arrived as GET (code -17: "Request used GET rather than POST!"); check base_url and any proxy in between
    -20 Rejected: rejected, code -20, not polled
        the order was rejected (code -20: "Words of the vendor."); place a new order
    -21 Revoked: revoked, code -21, not polled
        the certificate was revoked (code -21: "Words of the vendor."); request a new certificate
    -22 WaitingSlowly: waiting, code -22, poll in 12 h
        payment is pending (-22 "Words of the vendor."); pay for the order
    -23 Unknown: waiting, code -23, poll in 3 h
        the certificate may have been replaced (code -23: "Words of the vendor.")
    -26 Waiting: waiting, code -26, poll in 3 h
        being issued right now (-26 "Words of the vendor.")
    -42 AccountPaused: waiting, code -42, poll in 3 h, account paused
        call limit reached (code -42: "Words of the vendor.")
        account: call limit reached (code -42: "Words of the vendor.")
    -90 Permission: attention, code -90, not polled
        the account may not use this voucher (code -90: "Words of the vendor."); ask the vendor's account manager for permission
    -91 Permission: attention, code -91, not polled
        the account has no permission for this action (code -91: "Words of the vendor."); ask the vendor's account manager for permission
    -122 Report: attention, code -122, not polled
        the order is not in a state that allows this (code -122: "The Certificate is in wrong state."); check the order's state
    -123 Report: attention, code -123, not polled
        an agreement has not been accepted (code -123: "The agreement was not passed."); accept the agreement at the vendor's site
    -124 Report: attention, code -124, not polled
        required actions are not completed (code -124: "The Certificate has actions not yet completed."); complete them at the vendor's site
    -125 Waiting: waiting, code -125, poll in 3 h
        not issued yet (-125 "The Certificate is not issued yet.")
    -160 Unknown: waiting, code -160, poll in 3 h
        general error at the vendor (code -160: "Words of the vendor.")
    -35 Unknown: waiting, code -35, poll in 3 h
        the certificate has expired (code -35: "Words of the vendor.")
    -36 Unknown: waiting, code -36, poll in 3 h
        the certificate has expired (code -36: "Words of the vendor.")
    -40 Unknown: waiting, code -40, poll in 3 h
        the vendor believes the key is compromised (code -40: "Words of the vendor.")
    3 Unknown: waiting, code 3, poll in 3 h
        a code that the vendor does not document (code 3)
    42 Unknown: waiting, code 42, poll in 3 h
        a code that the vendor does not document (code 42)
    999999999 Unknown: waiting, code 999999999, poll in 3 h
        a code that the vendor does not document (code 999999999)
    -5 Unknown: waiting, code -5, poll in 3 h
        a code that the vendor does not document (code -5: "Words of the vendor.")
    -41 Unknown: waiting, code -41, poll in 3 h
        a code that the vendor does not document (code -41: "Words of the vendor.")
    -999 Unknown: waiting, code -999, poll in 3 h
        a code that the vendor does not document (code -999: "Words of the vendor.")
    -999999999 Unknown: waiting, code -999999999, poll in 3 h
        a code that the vendor does not document (code -999999999: "Words of the vendor.")
    "##);
}

#[test]
fn answers_that_are_no_code() {
    let say = |status: u16, body: &str| Say::Body(status, body.as_bytes().to_vec());
    let later = |status, seconds, body: &str| {
        Say::Later(status, RetryAfter::Seconds(seconds), body.as_bytes().to_vec())
    };
    let cases = [
        ("huge number", say(200, "99999999999999999999")),
        ("huge negative number", say(200, "errorCode=-99999999999999999999")),
        ("no number", say(200, "errorCode=%00%1b[2J")),
        ("control characters", say(200, "-20\n\u{1b}[31mRejected\u{7}\r\u{202e}gpj.exe\u{0}\tdone")),
        (
            "control characters, form",
            say(200, "errorCode=-20&errorMessage=%1b%5b31mRejected%07%0d%0aforged+line"),
        ),
        ("a long message", say(200, &format!("-20\n{}", "word ".repeat(1000)))),
        ("500 with a code", say(500, "-16\nIncorrect login details")),
        ("502 with a page", say(502, "<html>Bad Gateway</html>")),
        ("503 that asks to wait", later(503, 7200, "")),
        ("429", say(429, "slow down")),
        ("429 that asks to wait", later(429, 50 * 3600, "")),
        ("429 with a code", say(429, "errorCode=-42&errorMessage=Call+limit+reached")),
        ("301", say(301, "")),
        ("307 with a code", say(307, "errorCode=0")),
        ("401 with a code", say(401, "-16\nIncorrect login details")),
        ("403 with a page", say(403, "<html>Forbidden</html>")),
        ("404 with a success", say(404, "errorCode=2")),
        ("204", say(204, "")),
        ("100", say(100, "errorCode=0")),
        ("999", say(999, "errorCode=0")),
        ("two codes", say(200, "errorCode=0&errorCode=-4")),
        ("two codes, the login refused in one", say(200, "errorCode=0&errorCode=-16")),
        ("a login argument is missing", say(200, "-3\nThe 'loginName' argument is missing!")),
        ("-16 for a missing right", say(200, "-16\nPermission denied!")),
        ("issued without a certificate", say(200, "errorCode=2")),
        ("another order's answer", say(200, "errorCode=-20&orderNumber=31337")),
    ];
    let text: String =
        cases.into_iter().map(|(what, say)| format!("{what}: {}", outcome(Product::Ssl, say))).collect();
    assert!(text.chars().all(|c| c == '\n' || (' '..='~').contains(&c)), "{text}");
    assert_snapshot!(text, @r##"
    huge number: waiting, code -, poll in 3 h, account paused
        the answer has none of the documented forms; it begins with "99999999999999999999"
        account: the answer has none of the documented forms; it begins with "99999999999999999999"
    huge negative number: waiting, code -, poll in 3 h, account paused
        the answer's code cannot be read: -99999999999999999999
        account: the answer's code cannot be read: -99999999999999999999
    no number: waiting, code -, poll in 3 h, account paused
        the answer's code cannot be read: \u{0}\u{1b}[2J
        account: the answer's code cannot be read: \u{0}\u{1b}[2J
    control characters: rejected, code -20, not polled
        the order was rejected (code -20: "\u{1b}[31mRejected\u{7}\r\u{202e}gpj.exe\u{0}\tdone"); place a new order
    control characters, form: rejected, code -20, not polled
        the order was rejected (code -20: "\u{1b}[31mRejected\u{7}\r\nforged line"); place a new order
    a long message: rejected, code -20, not polled
        the order was rejected (code -20: "word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word word wo..."); place a new order
    500 with a code: waiting, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details")
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details")
    502 with a page: waiting, code -, poll in 3 h, account paused
        HTTP status 502
        account: HTTP status 502
    503 that asks to wait: waiting, code -, poll in 3 h, account paused
        HTTP status 503
        account: the vendor asked us to wait (Retry-After)
    429: waiting, code -, poll in 3 h, account paused
        HTTP status 429
        account: the vendor reports too many calls (HTTP 429)
    429 that asks to wait: waiting, code -, poll in 3 h, account paused
        HTTP status 429
        account: the vendor reports too many calls (HTTP 429)
    429 with a code: waiting, code -42, poll in 3 h, account paused
        call limit reached (code -42: "Call limit reached")
        account: call limit reached (code -42: "Call limit reached")
    301: waiting, code -, poll in 3 h, account paused
        the vendor's address answered with a redirect (HTTP 301), which is never followed; check base_url
        account: the vendor's address answered with a redirect (HTTP 301), which is never followed; check base_url
    307 with a code: waiting, code -, poll in 3 h, account paused
        the vendor's address answered with a redirect (HTTP 307), which is never followed; check base_url
        account: the vendor's address answered with a redirect (HTTP 307), which is never followed; check base_url
    401 with a code: waiting, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details")
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details")
    403 with a page: waiting, code -, poll in 3 h, account paused
        HTTP status 403
        account: HTTP status 403
    404 with a success: waiting, code -, poll in 3 h, account paused
        HTTP status 404
        account: HTTP status 404
    204: waiting, code -, poll in 3 h, account paused
        the answer is empty
        account: the answer is empty
    100: waiting, code -, poll in 3 h, account paused
        HTTP status 100
        account: HTTP status 100
    999: waiting, code -, poll in 3 h, account paused
        HTTP status 999
        account: HTTP status 999
    two codes: waiting, code -, poll in 3 h, account paused
        the answer's code cannot be read: two codes that differ
        account: the answer's code cannot be read: two codes that differ
    two codes, the login refused in one: waiting, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16)
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16)
    a login argument is missing: waiting, code -3, account closed
        the vendor rejects the format of the login name or password (code -3: "The 'loginName' argument is missing!")
        account: the vendor rejects the format of the login name or password (code -3: "The 'loginName' argument is missing!")
    -16 for a missing right: waiting, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16: "Permission denied!")
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Permission denied!")
    issued without a certificate: waiting, code -, poll in 3 h
        the vendor reports it as issued, but no certificate is in the answer
    another order's answer: waiting, code -, poll in 3 h
        the answer is about another order (31337)
    "##);
}

/// For an installed order nothing of this touches what is installed.
#[test]
fn codes_about_an_installed_order() {
    let mut text = String::new();
    for code in [0, 1, -4, -14, -16, -20, -21, -22, -26, -42, -91, -122, -125, -160] {
        let mut world = world_of(Product::Ssl);
        let leaf = certs::leaf(
            &KeyPair::generate().unwrap(),
            &["www.example.com"],
            START - 86_400,
            START + 90 * 86_400,
        );
        world.say("www", [Say::Body(200, certs::issued(&leaf)), as_form(code)]);
        world.pass(DAY);
        let seen = world.seen("www").expect("installed");
        assert_eq!(world.phase("www"), "guarding");
        // Until the guard has asked once more.
        while world.calls.iter().filter(|call| call.number == "www").count() < 2 {
            world.pass(Duration::from_secs(60));
        }
        assert_eq!(world.seen("www"), Some(seen), "{code}");
        text += &format!("{code}: {}", tell(&world));
    }
    assert_snapshot!(text, @r##"
    0: guarding, code 0, poll in 3 h
        being processed by Sectigo (0)
    1: guarding, code 1, poll in 3 h
        issued, but the certificate is not in the answer (1)
    -4: attention, code -4, not polled
        the value of an argument is invalid (code -4: "The value of the 'orderNumber' argument is invalid!"); check the order number, the usual cause
    -14: guarding, code -14, poll in 3 h
        unknown error at the vendor (code -14: "An unknown error occurred!")
    -16: guarding, code -16, account closed
        login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details, account is locked, password has expired or your source IP is blocked.")
        account: login refused: wrong login, locked account, expired password or blocked source address (code -16: "Incorrect login details, account is locked, password has expired or your source IP is blocked.")
    -20: rejected, code -20, not polled
        the order was rejected (code -20: "Words of the vendor."); place a new order
    -21: revoked, code -21, not polled
        the certificate was revoked (code -21: "Words of the vendor."); request a new certificate
    -22: guarding, code -22, poll in 3 h
        payment is pending (-22 "Words of the vendor."); pay for the order
    -26: guarding, code -26, poll in 3 h
        being issued right now (-26 "Words of the vendor.")
    -42: guarding, code -42, poll in 25 h, account paused
        call limit reached (code -42: "Words of the vendor.")
        account: call limit reached (code -42: "Words of the vendor.")
    -91: attention, code -91, not polled
        the account has no permission for this action (code -91: "Words of the vendor."); ask the vendor's account manager for permission
    -122: attention, code -122, not polled
        the order is not in a state that allows this (code -122: "The Certificate is in wrong state."); check the order's state
    -125: guarding, code -125, poll in 3 h
        not issued yet (-125 "The Certificate is not issued yet.")
    -160: guarding, code -160, poll in 3 h
        general error at the vendor (code -160: "Words of the vendor.")
    "##);
}
