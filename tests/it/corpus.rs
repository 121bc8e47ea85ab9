//! The fuzzers' corpus, through the same functions as the fuzzers' (`fuzz/targets.rs`), with the stable toolchain.

use std::path::Path;

use certcollectd::sources::clock;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn the_whole_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut size = 0;
    for (name, _) in targets::TARGETS {
        let mut inputs = 0;
        for entry in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            size += input.len();
            inputs += 1;
            if std::panic::catch_unwind(|| targets::run(name, &input)).is_err() {
                panic!("{} fails", path.display());
            }
        }
        assert!(inputs > 0, "{name} has no corpus");
    }
    assert!(size < 1024 * 1024, "the corpus is to stay small: {size} bytes");
}

/// What repeats well: everything that opens, separates, escapes or nests.
const UNITS: [&str; 44] = [
    "0",
    "-",
    "a",
    " ",
    "\n",
    "\r\n",
    "&",
    "=",
    "a=b&",
    "certificate=MIIB&",
    "1_domainName=a.example&",
    "%",
    "%25",
    "%41",
    "+",
    ",",
    "a VALIDATED, ",
    "\\",
    "\"",
    "{",
    "[",
    "{\"a\":",
    "[[",
    "\"a\",",
    "<",
    "\u{0}",
    "\u{e9}",
    "\u{202e}",
    "0\u{80}",
    "MIIB",
    "MIIB ",
    "MII=\n",
    "-----BEGIN ",
    "-----BEGIN CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "-----BEGIN PKCS7-----\n-----END PKCS7-----\n",
    "PK\u{3}\u{4}",
    "[[order]]\n",
    "[[order]]\nname = \"a\"\n",
    "a = 1\n",
    "a.",
    "x = [",
    "x = {a = ",
    "'''",
];

/// Structures of DER, and what comes before the matter in some targets.
const HEADS: [&[u8]; 9] = [
    b"",
    b"\x00\x00",
    b"\x01\x00",
    b"\x02\x002\n",
    b"\x03\x00errorCode=0&",
    b"\x000",
    b"{\"error\":",
    b"-----BEGIN CERTIFICATE-----\n",
    b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80",
];

#[test]
fn a_lot_of_anything_takes_a_little_time() {
    // 4 KiB show that it ends; FUZZ_KIB=1024 with a release build shows how soon.
    let size = crate::network::count_of("FUZZ_KIB", 4) as usize * 1024;
    let raw: [&[u8]; 6] = [
        b"\x30\x80",
        b"\x30\x84\x00\x10\x00\x00",
        b"\xa1\x80\x30\x80",
        b"\x30\x82\xff\xff",
        b"\x00",
        b"\xff",
    ];
    let mut slowest = (std::time::Duration::ZERO, String::new());
    let mut inputs = 0;
    for unit in UNITS.iter().map(|unit| unit.as_bytes()).chain(raw) {
        for head in HEADS {
            let mut input = head.to_vec();
            while input.len() + unit.len() <= size {
                input.extend_from_slice(unit);
            }
            for (name, _) in targets::TARGETS {
                let start = clock::now().time;
                targets::run(name, &input);
                let took = clock::now().time.since(start);
                inputs += 1;
                if took > slowest.0 {
                    slowest = (
                        took,
                        format!(
                            "{name} with {:?} after {:?}",
                            String::from_utf8_lossy(unit),
                            String::from_utf8_lossy(head)
                        ),
                    );
                }
            }
        }
    }
    println!(
        "PROOF-FIGURE long inputs: {inputs} of {} KiB, slowest {:?}: {}",
        size / 1024,
        slowest.0,
        slowest.1
    );
}
