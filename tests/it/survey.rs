//! What the daemon sees of the proof for a re-issue, against a name server on loopback.

use certcollectd::effects::proof::{Turns, survey};
use certcollectd_core::api::dcv::Token;
use certcollectd_core::config::Dcv;
use certcollectd_core::engine::id::OrderId;
use certcollectd_core::engine::reissue::run::{Survey, SurveyRun};
use hickory_proto::op::ResponseCode;

use crate::dns::{Says, Server, caa, cname};

const CSR: &[u8] = b"a request";

fn token() -> Token {
    Token::with_unique(CSR, "new1")
}

/// The name of a record, and where it is to point.
fn record(domain: &str, token: &Token) -> (String, Says) {
    (token.record_name(domain), cname(&token.record_target()))
}

/// What is seen of these names by this zone.
fn seen(dcv: Dcv, names: &[&str], zone: &[(String, Says)]) -> Survey {
    let zone: Vec<(&str, Says)> = zone.iter().map(|(name, says)| (name.as_str(), says.clone())).collect();
    let server = Server::start(&zone);
    look(dcv, names, &server)
}

fn look(dcv: Dcv, names: &[&str], server: &Server) -> Survey {
    let run = SurveyRun {
        order: OrderId(0),
        name: "www".into(),
        dcv,
        csr: CSR.into(),
        unique: "new1".into(),
        names: names.iter().map(|name| (*name).into()).collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(survey(&run, &[server.address], &Turns::default()))
}

#[test]
fn every_record_is_seen() {
    let zone = [
        record("www.example.com", &token()),
        // Found higher up as well.
        record("example.org", &token()),
        ("example.com".to_owned(), caa(&[(false, "issue", "sectigo.com")])),
    ];
    let found = seen(Dcv::Cname, &["www.example.com", "*.a.example.org"], &zone);
    assert!(found.is_proven(), "{found:?}");
    assert_eq!(found.missing(), None);
    assert!(!seen(Dcv::Cname, &[], &zone).is_proven(), "no name is no proof");
}

#[test]
fn one_name_that_lacks_it_is_enough() {
    let (name, target) = (token().record_name("www.example.com"), token().record_target());
    let other = Token::with_unique(b"another request", "new1").record_target();
    let older = Token::with_unique(CSR, "old1").record_target();
    for (says, expected) in [
        (Says::Code(ResponseCode::NXDomain), "does not exist"),
        (Says::Records(Vec::new()), "has no CNAME record"),
        (cname(&other), "points elsewhere"),
        (cname(&older), "its unique value is an older one"),
        (Says::Code(ResponseCode::ServFail), "SERVFAIL"),
        (Says::Silence, "did not answer in time"),
    ] {
        let zone = [record("a.example.org", &token()), (name.clone(), says)];
        let found = seen(Dcv::Cname, &["a.example.org", "www.example.com"], &zone);
        assert!(!found.is_proven());
        assert_eq!(found.names[0].lacks, None);
        let lacks = found.names[1].lacks.clone().unwrap();
        assert!(lacks.contains(expected), "{lacks}");
        assert!(!lacks.contains('\n'), "{lacks}");
    }
    assert!(seen(Dcv::Cname, &["www.example.com"], &[(name, cname(&target))]).is_proven());
}

#[test]
fn caa_records_can_forbid_it() {
    let forbid = caa(&[(false, "issue", "sectigo.com"), (false, "issuewild", ";")]);
    let zone = [record("example.com", &token()), ("example.com".to_owned(), forbid)];
    let found = seen(Dcv::Cname, &["example.com", "*.example.com"], &zone);
    assert_eq!(found.names[0].caa, None);
    let why = found.names[1].caa.clone().unwrap();
    assert!(why.contains("refuses the vendor") && !why.contains('\n'), "{why}");
    assert!(!found.is_proven());
    // What cannot be told is not allowed yet.
    let zone =
        [record("www.example.com", &token()), ("example.com".to_owned(), Says::Code(ResponseCode::ServFail))];
    let found = seen(Dcv::Cname, &["www.example.com"], &zone);
    assert!(found.names[0].caa.is_some() && !found.is_proven());
}

#[test]
fn nothing_is_remembered_from_the_last_look() {
    let name = token().record_name("www.example.com");
    let server = Server::start(&[(&name, Says::Code(ResponseCode::NXDomain))]);
    for _ in 0..2 {
        assert!(!look(Dcv::Cname, &["www.example.com"], &server).is_proven());
    }
    let asked = server.asked();
    let wanted = format!("CNAME {} udp", name.to_ascii_lowercase());
    assert_eq!(asked.iter().filter(|asked| **asked == wanted).count(), 2, "{asked:?}");
}

#[test]
fn each_way_looks_where_its_proof_is() {
    let names = ["www.example.com"];
    let server = Server::start(&[("www.example.com", Says::Records(Vec::new()))]);
    let found = look(Dcv::Http, &names, &server);
    assert_eq!(found.names[0].lacks.as_deref(), Some("cannot be resolved: the name has no address"));
    let asked = server.asked();
    assert!(
        asked.contains(&"A www.example.com udp".to_owned())
            && asked.contains(&"AAAA www.example.com udp".to_owned())
    );
    assert!(!asked.iter().any(|asked| asked.starts_with("CNAME")), "{asked:?}");
    let found = look(Dcv::Cname, &["192.0.2.1"], &server);
    let lacks = found.names[0].lacks.as_deref().unwrap();
    assert!(lacks.starts_with("an IP address has no CNAME record"), "{lacks}");
    assert!(look(Dcv::Reuse, &names, &server).is_proven());
}
