//! The server refuses what the vendor refuses, in the vendor's order and words.

use super::*;
use crate::{CallLimit, DialSettings, LoginWords};

fn check(path: &str, body: &str, expected: &str) {
    let mut vendor = vendor();
    let answer = post(&mut vendor, path, body);
    assert_eq!(text(&answer), expected, "{path} {body}");
}

#[test]
fn the_transport_comes_first() {
    let mut vendor = vendor();
    let call = |vendor: &mut Vendor, method: &str, tls: bool| {
        let incoming = Incoming {
            method,
            path: SSL,
            query: (method == "GET").then_some(""),
            content_type: Some("application/x-www-form-urlencoded"),
            body: b"loginName=nobody",
            tls,
            connection: 1,
        };
        vendor.call(incoming, crate::now()).answer
    };
    assert_eq!(text(&call(&mut vendor, "GET", true)), "-17\nRequest used GET rather than POST!\n");
    assert_eq!(text(&call(&mut vendor, "POST", false)), "-1\nRequest was not made over HTTPS!\n");
    assert!(vendor.record().calls(0).next().unwrap().query);
}

#[test]
fn a_body_of_another_type_has_no_parameters() {
    let mut vendor = vendor();
    for (content_type, expected) in [
        (Some("application/json"), "-3\nThe 'loginName' argument is missing!\n"),
        (None, "-3\nThe 'loginName' argument is missing!\n"),
        (Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), "1\n"),
    ] {
        let incoming = Incoming {
            method: "POST",
            path: SSL,
            query: None,
            content_type,
            body: b"loginName=demo&loginPassword=Secret&orderNumber=1&queryType=0",
            tls: true,
            connection: 1,
        };
        assert_eq!(text(&vendor.call(incoming, crate::now()).answer), expected, "{content_type:?}");
    }
}

#[test]
fn parameters_may_stand_in_the_query_of_a_post() {
    let mut vendor = vendor();
    let incoming = Incoming {
        method: "POST",
        path: SSL,
        query: Some("LOGINNAME=demo&LOGINPASSWORD=Secret&orderNumber=1&queryType=0"),
        content_type: None,
        body: b"",
        tls: true,
        connection: 1,
    };
    assert_eq!(text(&vendor.call(incoming, crate::now()).answer), "1\n");
    assert!(vendor.record().calls(0).next().unwrap().query, "a place where secrets have no business");
}

#[test]
fn an_empty_value_is_invalid_or_not_sent_as_the_dial_says() {
    let mut vendor = vendor();
    let body = "orderNumber=1&queryType=0&certificateID=&baseOrderNumber=&responseType=";
    assert_eq!(
        text(&post(&mut vendor, SSL, body)),
        "-4\nThe value of the 'baseOrderNumber' argument is invalid!\n"
            .replace("baseOrderNumber", "certificateID")
    );
    vendor.set_dials(DialSettings { ignore_empty: Some(true), ..Default::default() }).unwrap();
    assert_eq!(text(&post(&mut vendor, SSL, body)), "1\n");
    assert_eq!(
        text(&post(&mut vendor, SSL, "orderNumber=1&queryType=")),
        "-3\nThe 'queryType' argument is missing!\n"
    );
}

#[test]
fn the_date_of_an_answer_is_off_as_the_dial_says() {
    let mut vendor = vendor();
    let collect =
        |vendor: &mut Vendor| post_at(vendor, SSL, "orderNumber=1&queryType=0", Time::from_unix(784_111_777));
    assert_eq!(collect(&mut vendor).headers, [], "the server writes the real one");
    vendor.set_dials(DialSettings { clock_ahead: Some(-3600), ..Default::default() }).unwrap();
    assert_eq!(collect(&mut vendor).headers, [("date", "Sun, 06 Nov 1994 07:49:37 GMT".to_owned())]);
}

#[test]
fn a_wrong_login_is_worded_as_the_dial_says() {
    let wrong = "loginName=demo&loginPassword=x&orderNumber=1&queryType=0";
    for (words, expected) in [
        (
            LoginWords::FourCauses,
            "-16\nIncorrect login details, account is locked, password has expired or your source IP is blocked.\n",
        ),
        (LoginWords::PermissionDenied, "-16\nPermission denied!\n"),
        (LoginWords::MissingPassword, "-3\nThe 'loginPassword' argument is missing!\n"),
        (LoginWords::InvalidPassword, "-4\nThe value of the 'loginPassword' argument is invalid!\n"),
        (LoginWords::InvalidName, "-4\nThe value of the 'loginName' argument is invalid!\n"),
    ] {
        let mut vendor = vendor();
        vendor.set_dials(DialSettings { login_words: Some(words), ..Default::default() }).unwrap();
        assert_eq!(text(&post_raw(&mut vendor, SSL, wrong)), expected);
        assert_eq!(vendor.record().counters().all.logins_refused, 1, "whatever it is called");
    }
}

#[test]
fn a_wrong_login_is_said_before_anything_else() {
    let refused = "-16\nIncorrect login details, account is locked, password has expired or your source IP is blocked.\n";
    for body in [
        "loginName=demo&loginPassword=secret&nonsense=1",
        "loginName=DEMO&loginPassword=Secret&orderNumber=1&queryType=0",
        "LOGINNAME=nobody&LOGINPASSWORD=Secret",
    ] {
        let mut vendor = vendor();
        assert_eq!(text(&post_raw(&mut vendor, SSL, body)), refused, "{body}");
        assert_eq!(vendor.record().counters().all.logins_refused, 1);
    }
    for flag in ["locked", "ip_blocked", "password_expired"] {
        let mut vendor = vendor();
        let account = format!(r#"{{"login_name":"demo","password":"Secret","{flag}":true}}"#);
        vendor.accounts.put(serde_json::from_str(&account).unwrap()).unwrap();
        assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=0")), refused, "{flag}");
    }
}

#[test]
fn wrong_passwords_lock_the_account() {
    let mut vendor = vendor();
    vendor.set_dials(DialSettings { lockout_after: Some(2), ..Default::default() }).unwrap();
    let wrong = "loginName=demo&loginPassword=x&orderNumber=1&queryType=0";
    for _ in 0..2 {
        assert_eq!(post_raw(&mut vendor, SSL, wrong).code, Some(-16));
    }
    assert_eq!(post(&mut vendor, SSL, "orderNumber=1&queryType=0").code, Some(-16));
    assert!(vendor.accounts.get("demo").unwrap().spec.locked);
    assert_eq!(vendor.record().counters().accounts["demo"].logins_refused, 3);
    let calls: Vec<_> = vendor.record().calls(0).map(|call| call.password_right).collect();
    assert_eq!(calls, [Some(false), Some(false), Some(true)]);
}

#[test]
fn parameters_are_checked_against_the_page() {
    check(SSL, "orderNumber=1", "-3\nThe 'queryType' argument is missing!\n");
    check(SSL, "queryType=0", "-3\nThe 'orderNumber' argument is missing!\n");
    check(SSL, "orderNumber=1&queryType=0&x=1", "-2\n'x' is an unrecognized argument!\n");
    check(SSL, "orderNumber=1&queryType=9", "-4\nThe value of the 'queryType' argument is invalid!\n");
    check(SSL, "orderNumber=99&queryType=0", "-4\nThe value of the 'orderNumber' argument is invalid!\n");
    check(SSL, "certificateID=99&queryType=0", "-4\nThe value of the 'certificateID' argument is invalid!\n");
    check(MC, "orderNumber=2&queryType=1", "-2\n'queryType' is an unrecognized argument!\n");
    check(SMIME, "orderNumber=3", "-3\nThe 'queryType' argument is missing!\n");
    check(RESEND, "orderNumber=3&x=1", "-2\nUnrecognised argument!\n");
    check(
        DETAILS,
        "",
        "errorCode=-3&errorMessage=The+%27orderNumber%27+argument+is+missing%21&errorItem=orderNumber",
    );
}

#[test]
fn an_order_is_collected_at_its_own_endpoint_only() {
    let wrong = "-4\nThe value of the 'orderNumber' argument is invalid!\n";
    check(SSL, "orderNumber=2&queryType=0", wrong);
    check(MC, "orderNumber=1", wrong);
    check(SMIME, "orderNumber=1&queryType=0", wrong);
    check(REPLACE, "orderNumber=1&csr=AAAA", wrong);
}

#[test]
fn what_needs_query_type_1_is_refused_without() {
    for query in [0, 2, 3] {
        for container in [0, 1, 2] {
            check(
                SSL,
                &format!("orderNumber=1&queryType={query}&responseType={container}"),
                "-4\nThe value of the 'responseType' argument is invalid!\n",
            );
        }
        check(
            SSL,
            &format!("orderNumber=1&queryType={query}&responseType=3&responseEncoding=1"),
            "-4\nThe value of the 'responseEncoding' argument is invalid!\n",
        );
    }
    let binary =
        |container: u8| format!("orderNumber=1&queryType=1&responseType={container}&responseEncoding=1");
    let refused = "-4\nThe value of the 'responseEncoding' argument is invalid!\n";
    check(SSL, &binary(1), refused);
    check(SSL, &binary(3), refused);
    check(MC, "orderNumber=2&responseType=3&responseEncoding=1", refused);
    check(SMIME, "orderNumber=3&queryType=1&responseType=1&responseEncoding=1", refused);
    check(
        SMIME,
        "orderNumber=3&queryType=2&responseType=4",
        "-4\nThe value of the 'responseType' argument is invalid!\n",
    );
    // The parameters come before the order.
    check(
        SSL,
        "orderNumber=99&queryType=2&responseType=0",
        "-4\nThe value of the 'responseType' argument is invalid!\n",
    );
    let mut vendor = vendor();
    for (path, body) in [
        (SSL, binary(0)),
        (SSL, binary(2)),
        (SMIME, "orderNumber=3&queryType=1&responseType=2&responseEncoding=1".into()),
    ] {
        assert_eq!(post(&mut vendor, path, &body).code, Some(2), "{body}");
    }
}

#[test]
fn somebody_elses_order_has_a_wrong_number() {
    let mut vendor = vendor();
    vendor.accounts.put(AccountSpec::new("other", "Secret")).unwrap();
    let mut order = OrderSpec::new(Product::Ssl, "5", &["www.example.com"]);
    order.account = Some("other".into());
    vendor.put_order(order).unwrap();
    assert_eq!(post(&mut vendor, SSL, "orderNumber=5&queryType=0").code, Some(-4));
    let other = "loginName=other&loginPassword=Secret&orderNumber=5&queryType=0";
    assert_eq!(post_raw(&mut vendor, SSL, other).code, Some(1));
}

#[test]
fn an_endpoint_can_be_closed_to_an_account() {
    let mut vendor = vendor();
    let mut account = AccountSpec::new("demo", "Secret");
    account.denied = vec!["GetMDCDomainDetails".into(), "CollectMC".into()];
    vendor.accounts.put(account).unwrap();
    let details = post(&mut vendor, DETAILS, "orderNumber=1&responseFormat=2");
    let json: serde_json::Value = serde_json::from_slice(&details.body).unwrap();
    assert_eq!(json["error"]["code"], -16);
    assert_eq!(json["error"]["description"], "Permission denied!");
    assert_eq!(post(&mut vendor, MC, "orderNumber=2").code, Some(-91));
    assert_eq!(vendor.record().counters().all.logins_refused, 0, "the login was right");
}

#[test]
fn a_wrong_login_has_other_words_at_the_same_endpoint() {
    let mut vendor = vendor();
    let body = "loginName=demo&loginPassword=x&orderNumber=1&responseFormat=2";
    let json: serde_json::Value = serde_json::from_slice(&post_raw(&mut vendor, DETAILS, body).body).unwrap();
    // Word for word the JSON sample of the GetMDCDomainDetails page.
    let sample = serde_json::json!({ "error": {
        "code": -16,
        "description":
            "Incorrect login details, account is locked, password has expired or your source IP is blocked.",
        "item": "loginName"
    } });
    assert_eq!(json, sample);
}

#[test]
fn a_call_limit_is_answered_with_42() {
    let mut vendor = vendor();
    let limit = CallLimit { calls: 2, window_ms: 60_000 };
    vendor.set_dials(DialSettings { call_limit: Some(limit), ..Default::default() }).unwrap();
    let codes = [(); 3].map(|()| post(&mut vendor, SSL, "orderNumber=1&queryType=0").code);
    assert_eq!(codes, [Some(1), Some(1), Some(-42)]);
    vendor.advance_clock(std::time::Duration::from_secs(61));
    assert_eq!(post(&mut vendor, SSL, "orderNumber=1&queryType=0").code, Some(1));
}

#[test]
fn codes_of_a_script_are_answered_with_their_words() {
    for (code, words) in [
        (-20, "The certificate request has been rejected!"),
        (-21, "The certificate has been revoked!"),
        (-22, "Still awaiting payment!"),
        (-26, "The certificate is currently being issued!"),
        (-14, "An unknown error occurred!"),
        (-160, "General error"),
        (-7777, "An unknown error occurred!"),
    ] {
        let mut vendor = vendor();
        vendor.set_script("1", vec![Step::error(code)]).unwrap();
        let lines = post(&mut vendor, SSL, "orderNumber=1&queryType=1&showFQDN=Y");
        assert_eq!(text(&lines), format!("{code}\n{words}\n"));
        let encoded = post(&mut vendor, SSL, "orderNumber=1&queryType=1&responseFormat=1");
        assert_eq!(value(&encoded, "errorCode"), code.to_string());
        assert_eq!(value(&encoded, "errorMessage"), words);
    }
    let mut vendor = vendor();
    let own = Step { message: Some("Über & out".into()), ..Step::error(-999) };
    vendor.set_script("1", vec![own]).unwrap();
    assert_eq!(text(&post(&mut vendor, SSL, "orderNumber=1&queryType=1")), "-999\nÜber & out\n");
}

#[test]
fn an_unknown_path_is_no_endpoint() {
    let mut vendor = vendor();
    let answer = post(&mut vendor, "/products/!CollectSSL", "orderNumber=1");
    assert_eq!((answer.status, answer.code), (404, None));
}
