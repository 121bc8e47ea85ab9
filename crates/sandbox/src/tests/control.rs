//! The control port: every line of the table in the documentation of `sandbox`.

use serde_json::{Value, json};

use super::*;
use crate::{Handle, Options, Running, Sandbox};

fn running() -> Running {
    Sandbox::start(Options::demo()).unwrap().spawn_thread().unwrap()
}

async fn command(handle: &Handle, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = method.parse().unwrap();
    let mut request = reqwest::Client::new().request(method, handle.control_url() + path);
    if !body.is_null() {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

/// A command that goes well.
async fn done(handle: &Handle, method: &str, path: &str, body: Value) -> Value {
    let (status, value) = command(handle, method, path, body).await;
    assert_eq!(status, 200, "{method} {path}: {value}");
    value
}

/// A command that does not, and why.
async fn refused(handle: &Handle, method: &str, path: &str, body: Value, status: u16, reason: &str) {
    let (got, value) = command(handle, method, path, body).await;
    let error = value["error"].as_str().unwrap_or_default();
    assert!(got == status && error.contains(reason), "{method} {path}: {got} {value}");
}

#[tokio::test]
async fn an_order_lives_through_its_commands() {
    let running = running();
    let handle = running.handle();
    let spec = json!({
        "order_number": "5 a+b",
        "domains": ["www.example.com"],
        "script": [{"state": "pending"}, {"state": "error", "code": -26}, {"state": "issued"}],
    });
    let order = done(handle, "POST", "/orders", spec).await;
    assert_eq!((&order["state"], &order["step"], &order["steps"]), (&json!("pending"), &json!(1), &json!(3)));
    let path = "/orders/5%20a+b";
    let order = done(handle, "POST", &format!("{path}/advance"), Value::Null).await;
    assert_eq!((&order["state"], &order["code"]), (&json!("error"), &json!(-26)));

    let issue = json!({"days": 30, "certificate_id": "77"});
    let first = done(handle, "POST", &format!("{path}/issue"), issue).await;
    assert_eq!((&first["certificate_id"], &first["names"]), (&json!("77"), &json!(["www.example.com"])));
    refused(handle, "POST", &format!("{path}/issue"), Value::Null, 400, "reissue it instead").await;
    let key = done(handle, "GET", &format!("{path}/key"), Value::Null).await;
    assert!(key["key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    let second = done(handle, "POST", &format!("{path}/reissue"), json!({"new_key": true})).await;
    assert_ne!(first["serial"], second["serial"]);
    assert_ne!(key, done(handle, "GET", &format!("{path}/key"), Value::Null).await);
    assert_eq!(done(handle, "GET", &format!("{path}/certificate"), Value::Null).await, second);
    let all = done(handle, "GET", &format!("{path}/certificates"), Value::Null).await;
    assert_eq!(all, json!([first, second]));

    let script = json!({"script": [{"state": "pending", "polls": 3}, {"state": "issued"}]});
    assert_eq!(done(handle, "POST", &format!("{path}/script"), script).await["state"], "pending");
    assert_eq!(done(handle, "POST", &format!("{path}/reject"), Value::Null).await["code"], -20);
    assert_eq!(done(handle, "POST", &format!("{path}/revoke"), Value::Null).await["code"], -21);
    done(handle, "DELETE", path, Value::Null).await;
    refused(handle, "GET", path, Value::Null, 404, "there is no order 5 a+b").await;
    assert_eq!(done(handle, "GET", "/orders", Value::Null).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn accounts_dials_faults_and_time_are_set() {
    let running = running();
    let handle = running.handle();
    let account = json!({"login_name": "other", "password": "Secret", "denied": ["CollectMC"]});
    done(handle, "POST", "/accounts", account).await;
    let accounts = done(handle, "GET", "/accounts", Value::Null).await;
    assert_eq!((&accounts[1]["login_name"], &accounts[1]["locked"]), (&json!("other"), &json!(false)));
    assert!(!accounts.to_string().contains("Secret"));
    done(handle, "DELETE", "/accounts/other", Value::Null).await;
    refused(handle, "DELETE", "/accounts/other", Value::Null, 404, "there is no account other").await;

    let dials = done(handle, "POST", "/dials", json!({"shape": "random:7", "lockout_after": 3})).await;
    assert_eq!(dials, done(handle, "GET", "/dials", Value::Null).await);
    assert_eq!((&dials["shape"], &dials["call_limit"]["calls"]), (&json!("random:7"), &json!(0)));

    let fault = json!({"fault": {"http-status": {"status": 503}}, "order": "1000001", "times": 2});
    let id = done(handle, "POST", "/faults", fault).await["id"].clone();
    let faults = done(handle, "GET", "/faults", Value::Null).await;
    assert_eq!((&faults[0]["id"], &faults[0]["hits"], &faults[0]["times"]), (&id, &json!(0), &json!(2)));
    done(handle, "DELETE", &format!("/faults/{id}"), Value::Null).await;
    refused(handle, "DELETE", &format!("/faults/{id}"), Value::Null, 404, "there is no fault").await;
    done(handle, "POST", "/faults", json!({"fault": "html"})).await;
    done(handle, "DELETE", "/faults", Value::Null).await;
    assert_eq!(done(handle, "GET", "/faults", Value::Null).await, json!([]));

    let before = done(handle, "GET", "/", Value::Null).await;
    let after = done(handle, "POST", "/clock", json!({"advance_ms": 10_800_000})).await;
    assert_eq!((&before["ahead_ms"], &after["ahead_ms"]), (&json!(0), &json!(10_800_000)));
    assert!(after["now"].as_i64() >= before["now"].as_i64().map(|now| now + 10_800_000));
    assert_eq!(after["base_url"], handle.base_url());

    let ca = done(handle, "GET", "/ca", Value::Null).await;
    assert_eq!(ca["api"].as_str(), Some(handle.ca_pem()));
    assert_eq!(ca.as_object().unwrap().len(), 8);

    let scenario = json!({
        "order": [{"order_number": "6"}], "dials": {"shape": "crlf"}, "fault": [{"fault": "empty"}]
    });
    done(handle, "POST", "/scenario", scenario).await;
    assert_eq!(done(handle, "GET", "/orders/6", Value::Null).await["polls"], 0);
}

#[tokio::test]
async fn calls_and_counters_are_read_and_forgotten() {
    let running = running();
    let handle = running.handle();
    for password in ["demo-password", "wrong"] {
        let body = format!("loginName=demo&loginPassword={password}&orderNumber=1000001&queryType=0");
        post_raw(&mut handle.vendor(), SSL, &body);
    }
    let calls = done(handle, "GET", "/calls?after=1", Value::Null).await;
    assert_eq!(calls.as_array().unwrap().len(), 1);
    let call = &calls[0];
    for (key, expected) in [
        ("number", json!(2)),
        ("endpoint", json!("CollectSSL")),
        ("method", json!("POST")),
        ("account", json!("demo")),
        ("password_right", json!(false)),
        ("order", json!("1000001")),
        ("parameters", json!(["loginName", "loginPassword", "orderNumber", "queryType"])),
        ("code", json!(-16)),
        ("status", json!(200)),
        ("faults", json!([])),
        ("in_flight", json!(2)),
        ("ended", json!(false)),
    ] {
        assert_eq!(call[key], expected, "{key}");
    }
    assert!(!calls.to_string().contains("wrong"));
    let counters = done(handle, "GET", "/counters", Value::Null).await;
    assert_eq!(counters["all"]["logins_refused"], 1);
    assert_eq!(counters["accounts"]["demo"]["calls"], 2);
    assert_eq!(counters["orders"]["1000001"]["max_in_flight"], 2);
    assert_eq!(counters["endpoints"], json!({"CollectSSL": 2}));
    done(handle, "DELETE", "/calls", Value::Null).await;
    let counters = done(handle, "GET", "/counters", Value::Null).await;
    assert_eq!((&counters["all"]["calls"], &counters["connections"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn every_unknown_field_is_an_error_with_its_name() {
    let running = running();
    let handle = running.handle();
    for (path, body, reason) in [
        ("/orders", json!({"order_number": "1", "nmae": 1}), "unknown field `nmae`"),
        ("/orders", json!({"order_number": "1", "script": [{"stat": 1}]}), "unknown field `stat`"),
        ("/orders", json!({"order_number": "1", "certificate": {"dys": 1}}), "unknown field `dys`"),
        ("/orders", json!({"order_number": "1", "shape": "odd"}), "shape: 'odd' is unknown"),
        ("/orders", json!({}), "missing field `order_number`"),
        ("/accounts", json!({"login_name": "a", "pass": "b"}), "unknown field `pass`"),
        ("/dials", json!({"shpe": "x"}), "unknown field `shpe`"),
        ("/dials", json!({"call_limit": {"n": 1}}), "unknown field `n`"),
        ("/faults", json!({"fault": "html", "oder": "1"}), "unknown field `oder`"),
        ("/clock", json!({"advance": 1}), "unknown field `advance`"),
        ("/scenario", json!({"orders": []}), "unknown field `orders`"),
        ("/orders/1000001/issue", json!({"validity": 1}), "unknown field `validity`"),
        ("/orders/1000001/script", json!({"steps": []}), "unknown field `steps`"),
        ("/orders/1000001/issue", json!({"flaws": ["odd"]}), "unknown variant `odd`"),
    ] {
        refused(handle, "POST", path, body, 400, reason).await;
    }
    refused(handle, "GET", "/calls?since=1", Value::Null, 400, "unknown parameter `since`").await;
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_differ() {
    let running = running();
    let handle = running.handle();
    refused(handle, "GET", "/order", Value::Null, 404, "there is no /order").await;
    refused(handle, "POST", "/orders/1000001/collect", Value::Null, 404, "there is no").await;
    refused(handle, "PUT", "/orders", Value::Null, 405, "/orders does not take PUT").await;
    refused(handle, "GET", "/orders/1000001/issue", Value::Null, 405, "does not take GET").await;
    refused(handle, "POST", "/orders/99/issue", Value::Null, 404, "there is no order 99").await;
    refused(handle, "GET", "/orders/1000001/key", Value::Null, 400, "no certificate yet").await;
    refused(handle, "POST", "/orders/1000001/reissue", Value::Null, 400, "issue it first").await;
}

#[tokio::test]
async fn it_can_be_stopped_from_outside() {
    let running = running();
    done(running.handle(), "POST", "/stop", Value::Null).await;
    for _ in 0..1_000 {
        if !running.is_running() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("it still runs");
}
