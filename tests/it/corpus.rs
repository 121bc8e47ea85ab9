//! The fuzzers' corpus, through the same functions as the fuzzers' (`fuzz/targets.rs`), with the stable toolchain.

use std::path::Path;
use std::time::Duration;

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

/// So many bytes of a unit behind a head.
fn long_input(head: &[u8], unit: &[u8], size: usize) -> Vec<u8> {
    let mut input = head.to_vec();
    while input.len() + unit.len() <= size {
        input.extend_from_slice(unit);
    }
    input
}

/// How long this thread works on an input; the least of some times.
fn time_of(name: &str, input: &[u8], times: u32) -> Duration {
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
    };
    let one = || {
        let start = spent();
        targets::run(name, input);
        spent() - start
    };
    (0..times).map(|_| one()).min().expect("at least once")
}

/// What takes a target longest, measured against a quarter of it: four times the input takes four times as long, and
/// where each byte is looked at for each other byte, sixteen times.
#[test]
fn time_grows_as_the_input_does() {
    const MOST: u32 = 10;
    const RESOLUTION: Duration = Duration::from_micros(20);
    // FUZZ_KIB=1024 with an optimised build is what the vendor could send. A few KiB are too few: what is looked at
    // from some length on only takes no time at all before.
    let size = crate::network::count_of("FUZZ_KIB", 16) as usize * 1024;
    let raw: [&[u8]; 6] = [
        b"\x30\x80",
        b"\x30\x84\x00\x10\x00\x00",
        b"\xa1\x80\x30\x80",
        b"\x30\x82\xff\xff",
        b"\x00",
        b"\xff",
    ];
    let units: Vec<&[u8]> = UNITS.iter().map(|unit| unit.as_bytes()).chain(raw).collect();
    let mut figures = Vec::new();
    for (name, _) in targets::TARGETS {
        let all = units.iter().flat_map(|unit| HEADS.iter().map(move |head| (*head, *unit)));
        let (head, unit) = all
            .max_by_key(|(head, unit)| time_of(name, &long_input(head, unit, size), 1))
            .expect("there are some");
        let whole = time_of(name, &long_input(head, unit, size), 5);
        let quarter = time_of(name, &long_input(head, unit, size / 4), 5);
        let (head, unit) = (String::from_utf8_lossy(head), String::from_utf8_lossy(unit));
        // What is thrown away at once takes less than can be told apart.
        assert!(
            whole <= quarter.max(RESOLUTION) * MOST,
            "{name} with {unit:?} after {head:?}: {whole:?} for {size} bytes, {quarter:?} for a quarter"
        );
        figures.push(format!("{name} {whole:?}, a quarter {quarter:?}"));
    }
    println!(
        "PROOF-FIGURE long inputs: {} shapes of {} KiB, the slowest of each target: {}",
        units.len() * HEADS.len(),
        size / 1024,
        figures.join("; ")
    );
}
