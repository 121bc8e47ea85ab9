//! A store that lies to a follower: altered rows, foreign certificates, generations that jump.
//!
//! The follower lives through all of them. Beside the order that is lied about it has one whose rows tell how far it has
//! read: rows of one commit are looked at in the order of their names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certcollectd::effects::shared::{Commit, Committed, Row};
use certcollectd::sources::clock;
use certcollectd_core::api::{Product, Untrusted};
use certcollectd_core::cert::{Certificate, Fingerprint, pem_blocks};
use certcollectd_core::config::fleet::StoreKind;
use certcollectd_core::fleet::keys::Key;
use certcollectd_core::fleet::published::{Bundle, FURTHEST, Publication, is_news, next_generation};
use certcollectd_core::fleet::report::State;
use certcollectd_core::fleet::rollout::Go;
use certcollectd_sandbox::{CertificateSpec, Flaw, OrderSpec};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::{Fleet, GROUP, domain, newer};
use crate::certs;
use crate::proof::{figure, number};
use crate::simulation::Dice;

const ORDER: &str = "www";
/// Tells how far the follower has read.
const LAST: &str = "zz";
const HOST: &str = "f";
/// An order of the vendor's that no host has: its certificates are what is lied with.
const FORGED: &str = "99";
/// After so many lies a good certificate is published.
const ROUND: u64 = 25;
const DAY: i64 = 24 * 3600;
/// The host finds its own among the links, and there is nothing to do.
const INSTALLED_AS_LINK: &str = "the installed one as a link";
/// Of [`Liar::lie`].
const KINDS: u64 = 32;

/// What a host could be told, and would be wrong to take.
struct Lie {
    what: &'static str,
    row: Vec<u8>,
    links: Vec<(Fingerprint, Vec<u8>)>,
    go: Vec<u8>,
}

/// The good generation that is installed, and what was told since.
struct Liar {
    fleet: Fleet,
    dice: Dice,
    good: Bundle,
    before: Bundle,
    highest: u64,
    /// Lies since then.
    told: u64,
    /// Rows that tell how far the follower has read.
    marks: u64,
    goods: u32,
}

fn certificate(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    pem_blocks(pem.as_bytes()).unwrap().remove(0).1.to_vec()
}

fn everywhere(generation: u64) -> Vec<u8> {
    json!({ "generation": generation, "up_to": u64::MAX, "wave": 0, "began_ms": 0 }).to_string().into_bytes()
}

fn row(generation: u64, bundle: &Bundle) -> Value {
    let row = Publication::new(ORDER, generation, bundle, Untrusted::new("issued")).unwrap().to_row();
    serde_json::from_slice(&row).unwrap()
}

fn links(bundle: &Bundle) -> Vec<(Fingerprint, Vec<u8>)> {
    bundle.chain.iter().map(|link| (link.fingerprint(), link.der().to_vec())).collect()
}

impl Liar {
    /// A follower with a good certificate.
    fn start(seed: u64) -> Option<Liar> {
        let mut fleet = Fleet::start(StoreKind::Etcd, 1, &[ORDER, LAST])?;
        let mut spec = OrderSpec::new(certcollectd_sandbox::Product::Ssl, FORGED, &[&domain(ORDER)]);
        spec.certificate = CertificateSpec { key: Some(fleet.key.serialize_pem()), ..newer(0) };
        fleet.vendor().vendor().put_order(spec).unwrap();
        let first = fleet.vendor().vendor().issue(FORGED, None).unwrap().issued;
        let authorities = [first.chain.intermediate.as_ref().unwrap()];
        let chain = authorities.map(|link| certificate(&link.der)).to_vec();
        let good = Bundle { leaf: certificate(&first.der), chain };
        fleet.follower(HOST);
        let dice = Dice(seed);
        let mut liar =
            Liar { fleet, dice, before: good.clone(), good, highest: 0, told: 0, marks: 0, goods: 0 };
        liar.publish_good();
        Some(liar)
    }

    fn commit(&self, rows: Vec<(Key<'_>, Vec<u8>)>) {
        let puts = rows.into_iter().map(|(key, value)| Row { key: key.to_string(), value }).collect();
        let done = self.fleet.block_on(self.fleet.store.commit(&Commit { puts, ..Commit::default() }));
        assert_eq!(done, Committed::Done);
    }

    /// Writes it, and waits until the follower has read it.
    fn tell(&mut self, lie: &Lie) {
        self.marks += 1;
        let unknown = vec![Fingerprint::of(&self.marks.to_be_bytes())];
        let publication = Publication {
            order: LAST.into(),
            generation: self.marks,
            leaf: self.good.leaf.clone(),
            chain: unknown,
            reason: Untrusted::new(""),
        };
        let mut rows = vec![(Key::Go { group: GROUP, order: ORDER }, lie.go.clone())];
        rows.extend(lie.links.iter().map(|(digest, der)| (Key::Chain(*digest), der.clone())));
        self.commit(rows);
        self.commit(vec![
            (Key::Publication { group: GROUP, order: ORDER }, lie.row.clone()),
            (Key::Publication { group: GROUP, order: LAST }, publication.to_row()),
        ]);
        let marks = self.marks;
        self.fleet.until("the follower has read it", |fleet| {
            fleet.report(HOST, LAST).is_some_and(|report| report.generation == marks)
        });
    }

    /// What readers see, and what hooks were told.
    fn shown(&self) -> [String; 4] {
        let file = |name: &str| self.fleet.read(&format!("{HOST}/{name}"));
        [file("out/www/cert.pem"), file("out/www/chain.pem"), file("out/www/fullchain.pem"), file("hooks")]
    }

    /// A better certificate under the number that a collector would give it; it is installed.
    fn publish_good(&mut self) {
        self.goods += 1;
        let leaf = self.issue(newer(self.goods));
        let stored = self.fleet.row(Key::Publication { group: GROUP, order: ORDER });
        let stored = stored.and_then(|row| Publication::read(ORDER, &row).ok()).map(|row| row.generation);
        let reported = self.fleet.report(HOST, ORDER).map(|report| report.generation);
        let generation = next_generation(Some(self.highest).filter(|it| *it > 0), stored, reported);
        let chain = self.good.chain.clone();
        self.before = std::mem::replace(&mut self.good, Bundle { leaf, chain });
        let good = self.good.clone();
        self.tell(&Lie {
            what: "nothing",
            row: row(generation, &good).to_string().into_bytes(),
            links: links(&good),
            go: everywhere(generation),
        });
        self.fleet.until("the good one is installed", |fleet| {
            fleet.report(HOST, ORDER).is_some_and(|it| (it.generation, it.state) == (generation, State::Done))
        });
        (self.highest, self.told) = (generation, 0);
        let [shown, .., hooks] = self.shown();
        assert_eq!(der(&shown), good.leaf.der());
        assert_eq!(hooks.lines().count(), usize::try_from(self.goods).unwrap(), "{hooks}");
    }

    fn issue(&self, spec: CertificateSpec) -> Certificate {
        certificate(&self.fleet.vendor().vendor().reissue(FORGED, &spec).unwrap().issued.der)
    }

    /// A certificate that would be the next good one, but for this.
    fn flawed(&self, flaw: Flaw) -> Certificate {
        self.issue(CertificateSpec { flaws: vec![flaw], ..newer(self.goods + 1) })
    }

    /// A bundle that reads well, and with everything that lets this host install it.
    fn offered(&self, what: &'static str, generation: u64, bundle: &Bundle) -> Lie {
        let row = row(generation, bundle).to_string().into_bytes();
        Lie { what, row, links: links(bundle), go: everywhere(generation) }
    }

    fn by(&self, leaf: Certificate) -> Bundle {
        Bundle { leaf, chain: self.good.chain.clone() }
    }

    /// A certificate that has ended; the one that is installed began before it.
    fn ended(&self) -> Certificate {
        let (from, to) = (self.good.leaf.not_before() + 60, clock::now().unix() - 2 * DAY);
        self.issue(CertificateSpec {
            not_before: Some(from),
            not_after: Some(to),
            ..CertificateSpec::default()
        })
    }

    /// The next good row, if there were one, with other fields.
    fn altered(&self, what: &'static str, generation: u64, alter: impl FnOnce(&mut Value)) -> Lie {
        let next = self.by(self.issue(newer(self.goods + 1)));
        let mut value = row(generation, &next);
        alter(&mut value);
        let row = value.to_string().into_bytes();
        Lie { what, row, links: links(&next), go: everywhere(generation) }
    }

    fn lie(&mut self, kind: u64) -> Option<Lie> {
        self.told += 1;
        let far = if self.dice.one_in(8) { FURTHEST / 2 } else { 0 };
        let next = self.highest + self.told + far;
        let throw = self.dice.below(u64::MAX);
        let at = |length: usize| usize::try_from(throw % length as u64).unwrap();
        Some(match kind {
            0 => {
                let mut lie = self.altered("a byte of the row", next, |_| {});
                let told = Publication::read(ORDER, &lie.row).unwrap();
                let at = at(lie.row.len());
                lie.row[at] ^= 1 << (throw % 7);
                let altered = Publication::read(ORDER, &lie.row);
                // What is told to people is not installed.
                if altered.is_ok_and(|it| Publication { reason: told.reason.clone(), ..it } == told) {
                    return None;
                }
                lie
            }
            1 => {
                let mut lie = self.altered("a row that is cut", next, |_| {});
                let at = at(lie.row.len());
                lie.row.truncate(at);
                lie
            }
            2 => self.altered("a huge row", next, |row| row["reason"] = json!("x".repeat(900_000))),
            3 => self.altered("another order's row", next, |row| row["order"] = json!(LAST)),
            4 => self.altered("other dates", next, |row| row["not_after"] = json!("2099-01-01T00:00:00Z")),
            5 => self.altered("an unknown field", next, |row| row["force"] = json!(true)),
            6 => {
                let wrong = [json!(0), json!(-1), json!("7"), json!(null), json!(1e30)];
                let wrong = wrong[at(5)].clone();
                self.altered("no generation", next, |row| row["generation"] = wrong)
            }
            7 => {
                let far = self.highest + FURTHEST + 1 + throw % (u64::MAX - FURTHEST - self.highest - 1);
                self.altered("a generation too far", far, |_| {})
            }
            8 => {
                let old = throw % self.highest + 1;
                self.altered("a generation that was", old, |_| {})
            }
            9 => {
                let good = self.good.chain[0].fingerprint().to_string();
                let wrong = [
                    json!([good, good]),
                    json!([good.to_uppercase()]),
                    json!(["../../lease"]),
                    json!(vec![good; 9]),
                    json!("x"),
                ];
                let wrong = wrong[at(5)].clone();
                self.altered("a chain that is none", next, |row| row["chain"] = wrong)
            }
            10 => {
                let row = (0..throw % 500).map(|n| (throw >> (n % 57)) as u8).collect();
                Lie { what: "bytes", row, links: Vec::new(), go: everywhere(next) }
            }
            11 => {
                let digest = Fingerprint::of(&throw.to_be_bytes()).to_string();
                self.altered("a link that is not there", next, |row| row["chain"] = json!([digest]))
            }
            12 => {
                // Under a digest that the follower has not asked for yet.
                let link = self.fleet.vendor().vendor().authorities().email_ca;
                let mut link = der(&link);
                let digest = Fingerprint::of(&throw.to_be_bytes());
                let at = at(link.len());
                link[at] ^= 1;
                let text = digest.to_string();
                let mut lie =
                    self.altered("a link of another digest", next, |row| row["chain"] = json!([text]));
                lie.links = vec![(digest, link)];
                lie
            }
            13 => self.offered("another key", next, &self.by(self.flawed(Flaw::OtherKey))),
            14 => self.offered("another name", next, &self.by(self.flawed(Flaw::MissingName))),
            15 => self.offered("expired", next, &self.by(self.ended())),
            16 => self.offered("older", next, &self.before.clone()),
            17 => {
                let spec = CertificateSpec {
                    not_before: Some(self.good.leaf.not_before() - 1 - (throw % 1_000_000) as i64),
                    not_after: Some(self.good.leaf.not_after() + DAY),
                    ..CertificateSpec::default()
                };
                self.offered("begun earlier", next, &self.by(self.issue(spec)))
            }
            18 => self.offered("a wrong signature", next, &self.by(self.flawed(Flaw::WrongSignature))),
            19 => self.offered("a CA for a leaf", next, &self.by(self.flawed(Flaw::LeafIsCa))),
            20 => self.offered("no names", next, &self.by(self.flawed(Flaw::NoSan))),
            21 | 22 => {
                let (from, to) = (self.good.leaf.not_before() + 60, self.good.leaf.not_after() + 60);
                let leaf = certs::leaf_for(&self.fleet.key, Product::Ssl, &[&domain(ORDER)], from, to);
                let own =
                    vec![certificate(certs::ca().intermediate.der()), certificate(certs::ca().root.der())];
                let chain = if kind == 21 { own } else { self.good.chain.clone() };
                self.offered("another CA", next, &Bundle { leaf: certificate(&leaf), chain })
            }
            23 => {
                let params = CertificateParams::new(vec![domain(ORDER)]).unwrap();
                let leaf = params.self_signed(&self.fleet.key).unwrap().der().to_vec();
                self.offered("signed by its own key", next, &self.by(certificate(&leaf)))
            }
            24 => {
                let leaf = self.issue(newer(self.goods + 1));
                self.offered("no chain", next, &Bundle { leaf, chain: Vec::new() })
            }
            25 => {
                let link = self.fleet.vendor().vendor().authorities().mark_ca;
                let link = der(&link);
                let leaf = self.issue(newer(self.goods + 1));
                self.offered("another chain", next, &Bundle { leaf, chain: vec![certificate(&link)] })
            }
            26 => {
                // Behind the names and dates, so that it can still be read: in the signature.
                let mut der = self.issue(newer(self.goods + 1)).der().to_vec();
                let last = der.len() - 1 - at(16);
                der[last] ^= 1;
                self.offered("a byte of the signature", next, &self.by(Certificate::from_der(&der).ok()?))
            }
            27 => {
                let mut der = self.issue(newer(self.goods + 1)).der().to_vec();
                let at = at(der.len());
                der[at] ^= 1 << (throw % 7);
                let text = STANDARD.encode(&der);
                match Certificate::from_der(&der) {
                    Ok(leaf) => self.offered("a byte of the certificate", next, &self.by(leaf)),
                    Err(_) => {
                        self.altered("a byte of the certificate", next, |row| row["leaf"] = json!(text))
                    }
                }
            }
            28 => {
                let key = KeyPair::generate().unwrap();
                let (from, to) = (self.good.leaf.not_before() + 60, self.good.leaf.not_after() + 60);
                let leaf = certs::leaf_for(&key, Product::Ssl, &[&domain(ORDER)], from, to);
                self.offered("another key and CA", next, &self.by(certificate(&leaf)))
            }
            29 => {
                let go = [everywhere(next + 1), b"{}".to_vec(), everywhere(0), Vec::new()];
                let mut lie = self.altered("a good one that has no leave", next, |_| {});
                lie.go = go[at(4)].clone();
                lie
            }
            30 => {
                let mut bundle = self.before.clone();
                bundle.chain.push(self.good.leaf.clone());
                self.offered(INSTALLED_AS_LINK, next, &bundle)
            }
            31 => {
                // As large as a store takes it, under its own digest.
                let link = vec![b'x'; 1_400_000];
                let digest = Fingerprint::of(&link);
                let text = digest.to_string();
                let mut lie = self.altered("a huge link", next, |row| row["chain"] = json!([text]));
                lie.links = vec![(digest, link)];
                lie
            }
            _ => return None,
        })
    }
}

/// Whether nothing but the certificate itself keeps the host from installing it: then it comes to a judgement.
fn is_judged(lie: &Lie, highest: u64) -> bool {
    let Ok(read) = Publication::read(ORDER, &lie.row) else { return false };
    let link = |digest| lie.links.iter().find(|(known, _)| *known == digest).map(|(_, der)| &**der);
    let has_leave = Go::read(&lie.go).is_ok_and(|go| go.lets(ORDER, HOST, read.generation));
    has_leave && is_news(Some(highest), read.generation) && read.bundle(link).is_ok()
}

#[test]
fn whatever_the_store_says_only_good_certificates_are_installed() {
    let (lies, seed) = (number("FLEET_LIES", 200), number("FLEET_SEED", 1));
    println!("FLEET_SEED={seed} FLEET_LIES={lies}");
    let Some(mut liar) = Liar::start(seed) else { return };
    let mut kinds = BTreeMap::<&str, u64>::new();
    let mut refused = 0;
    let mut shown = liar.shown();
    for at in 0..lies {
        let Some(lie) = liar.lie(at % KINDS) else { continue };
        liar.tell(&lie);
        *kinds.entry(lie.what).or_default() += 1;
        if lie.what != INSTALLED_AS_LINK && is_judged(&lie, liar.highest) {
            let generation = Publication::read(ORDER, &lie.row).unwrap().generation;
            liar.fleet.until(&format!("{} is judged", lie.what), |fleet| {
                fleet
                    .report(HOST, ORDER)
                    .is_some_and(|report| report.generation == generation && report.state != State::Working)
            });
            let state = liar.fleet.report(HOST, ORDER).unwrap().state;
            assert!(matches!(state, State::Quarantined | State::WaitsForKey), "{}: {state:?}", lie.what);
            refused += 1;
        }
        assert_eq!(liar.shown(), shown, "lie {at}: {}", lie.what);
        if at % ROUND == ROUND - 1 {
            liar.publish_good();
            shown = liar.shown();
        }
    }
    liar.publish_good();
    assert_eq!(liar.fleet.ended(HOST), None);
    let told: u64 = kinds.values().sum();
    assert!(refused > told / 4, "{refused} of {told} came to a judgement: {kinds:?}");
    figure(&format!(
        "{told} altered rows and bundles of {} kinds ({refused} of them well-formed, and judged by the host's own checks): 0 \
         installed, 0 hooks run for them, and each of {} good ones between them installed, from seed {seed}",
        kinds.len(),
        liar.goods,
    ));
}
