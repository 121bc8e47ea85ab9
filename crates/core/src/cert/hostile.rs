//! Damaged and made-up input through everything: no panic, and an end within the limits.
//!
//! Mutations come from a fixed seed, so a failure repeats; the message names the fixture and the case.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::fixtures::{ALL, NOW, certificate};
use super::*;

/// Mutated copies of each fixture.
const MUTATIONS: u64 = 400;

/// xorshift64*, enough for choosing octets.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    /// A few octets changed, removed, doubled or moved.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.roll(bytes.len());
            match self.roll(6) {
                0 => bytes[at] = self.roll(256) as u8,
                1 => bytes[at] ^= 1 << self.roll(8),
                2 => bytes[at] = [0, 0x7f, 0x80, 0x84, 0xff, b' ', b'\n', b'-'][self.roll(8)],
                3 => drop(bytes.remove(at)),
                4 => {
                    let end = (at + self.roll(40)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => bytes.truncate(at),
            }
        }
        bytes
    }
}

fn everything(bytes: &[u8]) {
    let domains = ["www.example.com".into(), "192.0.2.7".into(), "ops@example.com".into()];
    let anchors = Anchors::from_ders([certificate("root").der()]);
    let expected = Expectation {
        policy: Policy::default(),
        purpose: Purpose::Server,
        key: KeyExpectation::None,
        domains: &domains,
        installed: None,
        covered: &[],
        anchors: Some(&anchors),
    };
    let mut pool = match unpack(bytes) {
        Ok(pool) => pool,
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 200 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
            Vec::new()
        }
    };
    // A damaged leaf among sound ones gets further than alone.
    pool.extend(Certificate::from_der(bytes).ok());
    if !pool.is_empty() {
        let _ = judge(&pool, &expected, NOW);
        pool.extend(["inter", "root", "cross", "oldroot"].map(certificate));
        let verdict = judge(&pool, &expected, NOW);
        for finding in &verdict.findings {
            let text = finding.to_string();
            assert!(text.len() < 500 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{text:?}");
        }
        assert!(unpack(&certs_only(&pool[..1])).is_ok());
    }
    let _ = key::from_private_key_pem(bytes);
    let _ = csr::read(bytes);
    let _ = Anchors::from_pem(bytes);
}

fn survives(name: &str, case: &str, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| everything(bytes))).is_err() {
        panic!("{name}, {case}: {}", hex(bytes));
    }
}

#[test]
fn every_truncation_is_survived() {
    for (name, bytes) in ALL {
        for length in 0..bytes.len() {
            survives(name, &format!("cut to {length}"), &bytes[..length]);
        }
    }
}

#[test]
fn mutations_are_survived() {
    for (name, bytes) in ALL {
        for seed in 1..=MUTATIONS {
            let mutated = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).mutate(bytes);
            survives(name, &format!("seed {seed}"), &mutated);
        }
    }
}

#[test]
fn a_damaged_certificate_is_never_taken_for_the_sound_one() {
    let sound = ["leaf", "inter", "root"].map(certificate);
    for seed in 1..=2000 {
        let mutated = Dice(seed * 0x9e37_79b9).mutate(sound[0].der());
        if let Ok(leaf) = Certificate::from_der(&mutated)
            && leaf != sound[0]
        {
            let chain = chain::build(&leaf, &sound, NOW);
            assert!(!chain.complete.is_sound(), "seed {seed}: {chain:?}");
        }
    }
}

#[test]
fn rubbish_of_a_megabyte_is_survived() {
    let patterns: [&[u8]; 16] = [
        b"-----BEGIN CERTIFICATE-----",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"--BEGIN A--",
        b"-",
        b"-- ",
        b"A ",
        b" ",
        b"M",
        b"TUlJ",
        b"0\x80",
        b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80",
        b"0\x84\x00\x00\x00\x10",
        b"0\x80\x05\x00",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"<",
    ];
    for pattern in patterns {
        let bytes = pattern.repeat(unpack::MAX_INPUT / pattern.len());
        survives("rubbish", &format!("{pattern:02x?}"), &bytes);
    }
}
