//! An answer decoded, by its shape; and judged. `cargo bench --package certcollectd-bench`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certcollectd_bench::judge::{Case, answer, unpack};
use certcollectd_bench::mock::{Authority, pem};
use certcollectd_bench::site::FIRST;
use certcollectd_core::api::{Answer, Endpoint, reply};
use certcollectd_core::cert::{self, Certificate};
use divan::Bencher;

fn main() {
    divan::main();
}

fn authority() -> Authority {
    Authority::new().expect("keys and certificates of ours")
}

/// The shapes in which an answer of CollectSSL comes.
const SHAPES: [&str; 6] =
    ["pending", "pending-lines", "individual", "individual-lines", "pkcs7", "pkcs7-binary"];

fn shaped(shape: &str) -> Answer {
    let authority = authority();
    let individual = answer(certcollectd_bench::mock::issued(&authority, FIRST));
    let certificates = || unpack(&individual);
    let pkcs7 = || {
        let certificates = certificates();
        cert::certs_only(&certificates)
    };
    match shape {
        "pending" => answer(format!("errorCode=0&orderNumber={FIRST}")),
        "pending-lines" => answer("0\n"),
        "individual" => individual,
        "individual-lines" => {
            let text: String = certificates().iter().map(|certificate| pem(certificate.der())).collect();
            answer(format!("2\n{text}"))
        }
        "pkcs7" => {
            let value: String =
                form_urlencoded::byte_serialize(STANDARD.encode(pkcs7()).as_bytes()).collect();
            answer(format!("errorCode=2&pkcs7={value}"))
        }
        "pkcs7-binary" => answer(pkcs7()),
        other => unreachable!("{other} is no shape"),
    }
}

#[divan::bench(args = SHAPES)]
fn decode(bencher: Bencher<'_, '_>, shape: &str) {
    let answer = shaped(shape);
    bencher.bench(|| {
        let reply = reply::decode(Endpoint::CollectSsl, &answer).expect("an answer of ours");
        cert::unpack_all(reply.parts.iter().map(|part| &part[..])).map(|found| found.len())
    });
}

#[divan::bench]
fn verdict(bencher: Bencher<'_, '_>) {
    let case = Case::new(&authority());
    let certificates: Vec<Certificate> = unpack(&case.answer);
    bencher.bench(|| case.judge(&certificates));
}
