//! The proof of control: what the program prints is what the vendor looks for.

use certcollectd_sandbox::{OrderSpec, Product, Reissues};
use serde_json::json;

use super::{POLLING, aged, asked, counted, dials, poll_until, request, stage};
use crate::dns::{self, Says, Server};
use crate::setting::Setting;

const KEYS: &str = "key_file = \"$DIR/key.pem\"\ncsr_file = \"$DIR/www.csr\"\n[order.reissue]\ndcv = \"cname\"\n\
     [order.verify]\ntrust = \"off\"";

/// The port of discarding, where no name server is.
const NOBODY: &str = "127.0.0.1:9";

/// An installed order for these names, and a request for some of them.
fn guarded(names: &[&str], requested: &[&str]) -> Setting {
    let mut setting = Setting::new();
    setting.polling(POLLING).table(&format!("[dns]\nresolver = [\"{NOBODY}\"]"));
    setting.write("www.csr", &request(&setting.key, requested));
    let order = OrderSpec { certificate: aged(0), ..OrderSpec::new(Product::Ssl, "1", names) };
    setting.order("www", order, KEYS);
    assert_eq!(setting.once(&[]).0, 0);
    setting
}

/// A name server with these records, and without any CAA.
fn server(records: &[(String, String)]) -> Server {
    let hosts = ["example.com", "www.example.com", "a.example.com", "b.example.com"];
    let mut zone: Vec<(&str, Says)> = hosts.iter().map(|name| (*name, Says::Records(Vec::new()))).collect();
    zone.extend(records.iter().map(|(owner, target)| (owner.as_str(), dns::cname(target))));
    Server::start(&zone)
}

#[test]
fn the_vendor_finds_what_was_printed() {
    for (names, requested) in [
        (&["www.example.com"][..], &["www.example.com"][..]),
        (&["www.example.com", "example.com"], &["www.example.com"]),
        (&["*.example.com", "example.com"], &["*.example.com"]),
        (&["a.example.com", "b.example.com"], &["a.example.com", "b.example.com"]),
    ] {
        let setting = guarded(names, requested);
        let (code, said) = setting.call(&["reissue", "www"]);
        assert_eq!((code, stage(&setting, "www").as_str()), (3, "preparing"), "{names:?}: {said}");
        assert_eq!(asked(&setting), 0);
        let records = setting.order_status("www")["reissue"]["records"].clone();
        let records: Vec<(String, String)> = serde_json::from_value(records).unwrap();
        for (owner, target) in &records {
            assert!(said.contains(owner.as_str()) && said.contains(target.as_str()), "{names:?}: {said}");
        }

        let server = server(&records);
        let address = server.address.to_string();
        setting.write("certcollectd.toml", &setting.configuration().replace(NOBODY, &address));
        dials(&setting, json!({ "proof": { "dns": address } }));
        let (code, said) = setting.call(&["reissue", "www"]);
        assert_eq!(code, 0, "{names:?}: {said}");
        poll_until(&setting, "it is issued", |setting| stage(setting, "www") == "closed");
        assert_eq!(counted(&setting, "1"), Reissues { accepted: 1, ..Reissues::default() });
        let covered: Vec<String> = setting.vendor().vendor().book().get("1").unwrap().spec.domains.clone();
        assert!(names.iter().all(|name| covered.iter().any(|known| known == name)), "{covered:?}");
    }
}
