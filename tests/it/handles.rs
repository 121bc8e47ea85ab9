//! The three ways to name an order of product `ssl`, end to end: exactly one of them is sent.

use certcollectd_sandbox::{CertificateSpec, OrderSpec, Product};

use crate::setting::Setting;

const OWN_ROOT: &str = "[order.verify]\ntrust = \"off\"";
const HANDLES: [&str; 3] = ["orderNumber", "certificateID", "baseOrderNumber"];

/// Which of the three the vendor was sent in each call.
fn sent(setting: &Setting) -> Vec<Vec<String>> {
    let vendor = setting.vendor().vendor();
    let is_handle = |name: &&String| HANDLES.contains(&name.as_str());
    let calls = vendor.record().calls(0);
    calls.map(|call| call.parameters.iter().filter(is_handle).cloned().collect()).collect()
}

/// An order that the vendor knows by all three, and that is in the configuration by one of them.
fn setting(handle: &str) -> Setting {
    let mut setting = Setting::new();
    let mut spec = OrderSpec::new(Product::Ssl, "1000", &["www.example.com"]);
    spec.base_order_number = Some("555".into());
    spec.certificate = CertificateSpec { certificate_id: Some("777".into()), ..CertificateSpec::default() };
    setting.vendor().vendor().put_order(spec).unwrap();
    setting.table(&format!("[[order]]\nname = \"www\"\n{handle}\n{OWN_ROOT}"));
    setting
}

fn check(handle: &str, parameter: &str) {
    let setting = setting(handle);
    let (code, said) = setting.once(&[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("out/www/cert.pem"), setting.newest("1000"), "{handle}");
    assert_eq!(sent(&setting), [[parameter]], "{handle}");
}

#[test]
fn an_order_number_is_sent_alone() {
    check("order_number = \"1000\"", "orderNumber");
}

#[test]
fn a_certificate_id_is_sent_alone() {
    check("certificate_id = \"777\"", "certificateID");
}

#[test]
fn a_base_order_number_is_sent_alone() {
    check("base_order_number = \"555\"", "baseOrderNumber");
}

#[test]
fn answers_that_name_order_and_certificate_fit_every_handle() {
    for (handle, parameter) in
        [("certificate_id = \"777\"", "certificateID"), ("base_order_number = \"555\"", "baseOrderNumber")]
    {
        let setting = setting(handle);
        let mut spec = OrderSpec::new(Product::Ssl, "1000", &["www.example.com"]);
        spec.base_order_number = Some("555".into());
        spec.certificate =
            CertificateSpec { certificate_id: Some("777".into()), ..CertificateSpec::default() };
        spec.shape = Some("ids".into());
        setting.vendor().vendor().put_order(spec).unwrap();
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 0, "{said}");
        assert_eq!(sent(&setting), [[parameter]], "{handle}");
    }
}

#[test]
fn a_handle_that_the_vendor_does_not_know_needs_attention_and_is_named() {
    for (handle, parameter) in [
        ("order_number = \"9\"", "orderNumber"),
        ("certificate_id = \"9\"", "certificateID"),
        ("base_order_number = \"9\"", "baseOrderNumber"),
    ] {
        let setting = setting(handle);
        let (code, said) = setting.once(&[]);
        assert_eq!(code, 4, "{said}");
        let status = setting.order_status("www");
        assert_eq!(status["phase"], "attention", "{status:#}");
        assert!(status["reason"].as_str().unwrap().contains(parameter), "{status:#}");
        assert_eq!(sent(&setting), [[parameter]], "{handle}");
    }
}
