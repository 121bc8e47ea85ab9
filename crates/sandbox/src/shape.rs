//! How an answer is written, where the documents leave room or production takes some.
//!
//! A shape is one choice for each of several aspects. A dial, or an order of its own, names what differs from
//! the documented form: `"issuer-first+crlf+ids"`; names of one aspect exclude each other. The name
//! `documented` stands for no difference. `random:7` chooses afresh for each call, in a sequence that depends
//! on the number only.
//!
//! A client is expected to cope with every shape and to come to the same certificates; what it must not
//! believe is a [fault](super::faults). The first name of each aspect is the documented one, or, where
//! the documents show both, the one they show first. "Harsh" ones are never chosen by `random`.
//!
//! `docs/rehearsal.md` has the table of the names.

use super::bundle::Pkcs7Form;

/// Form of a certificate in a URL-encoded answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Value {
    #[default]
    Der64,
    Pem64,
    Pem,
    Der64Lines,
    RawPlus,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Position {
    #[default]
    Usual,
    RootFirst,
    IssuerFirst,
    Shuffled,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ChainContent {
    #[default]
    Chain,
    Twin,
    Duplicates,
    NoRoot,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum KeyCase {
    #[default]
    Documented,
    Upper,
    Lower,
}

/// Order of the newline form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Lines {
    #[default]
    Page,
    Early,
    SplitDates,
}

/// What follows the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tail {
    #[default]
    None,
    Newlines,
    Junk,
}

/// What is in a ZIP archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ZipContent {
    #[default]
    Files,
    Bundle,
    Der,
}

/// One choice for each aspect; the default is the documented one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) value: Value,
    pub(super) position: Position,
    pub(super) chain: ChainContent,
    pub(super) keys: KeyCase,
    pub(super) shuffled_pairs: bool,
    pub(super) extra_keys: bool,
    pub(super) ids: bool,
    pub(super) percent_space: bool,
    pub(super) sparse_details: bool,
    pub(super) empty_fqdn: bool,
    pub(super) no_error_item: bool,
    pub(super) lines: Lines,
    pub(super) crlf: bool,
    pub(super) bom: bool,
    pub(super) tail: Tail,
    pub(super) no_status_line: bool,
    pub(super) armour_anyway: bool,
    pub(super) form_errors: bool,
    pub(super) nested_json: bool,
    pub(super) no_new_number: bool,
    /// `None`: what the product usually gets.
    pub(super) pkcs7: Option<Pkcs7Form>,
    pub(super) zip: ZipContent,
    /// Decides every shuffle.
    pub(super) seed: u64,
}

impl Shape {
    /// End of a line.
    pub(super) fn eol(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}

/// A name of the table above.
struct Named {
    aspect: &'static str,
    name: &'static str,
    harsh: bool,
    apply: fn(&mut Shape),
}

const fn named(aspect: &'static str, name: &'static str, apply: fn(&mut Shape)) -> Named {
    Named { aspect, name, harsh: false, apply }
}

const fn harsh(aspect: &'static str, name: &'static str, apply: fn(&mut Shape)) -> Named {
    Named { aspect, name, harsh: true, apply }
}

const NAMES: &[Named] = &[
    named("value", "der64", |shape| shape.value = Value::Der64),
    named("value", "pem64", |shape| shape.value = Value::Pem64),
    named("value", "pem", |shape| shape.value = Value::Pem),
    named("value", "der64-lines", |shape| shape.value = Value::Der64Lines),
    named("value", "raw-plus", |shape| shape.value = Value::RawPlus),
    named("position", "usual-order", |shape| shape.position = Position::Usual),
    named("position", "root-first", |shape| shape.position = Position::RootFirst),
    named("position", "issuer-first", |shape| shape.position = Position::IssuerFirst),
    named("position", "shuffled", |shape| shape.position = Position::Shuffled),
    named("chain", "chain", |shape| shape.chain = ChainContent::Chain),
    named("chain", "twin", |shape| shape.chain = ChainContent::Twin),
    named("chain", "duplicates", |shape| shape.chain = ChainContent::Duplicates),
    named("chain", "no-root", |shape| shape.chain = ChainContent::NoRoot),
    named("keys", "documented-keys", |shape| shape.keys = KeyCase::Documented),
    named("keys", "upper-keys", |shape| shape.keys = KeyCase::Upper),
    named("keys", "lower-keys", |shape| shape.keys = KeyCase::Lower),
    named("pairs", "ordered-pairs", |shape| shape.shuffled_pairs = false),
    named("pairs", "shuffled-pairs", |shape| shape.shuffled_pairs = true),
    named("extra", "no-extra-keys", |shape| shape.extra_keys = false),
    named("extra", "extra-keys", |shape| shape.extra_keys = true),
    named("ids", "no-ids", |shape| shape.ids = false),
    named("ids", "ids", |shape| shape.ids = true),
    named("spaces", "plus-space", |shape| shape.percent_space = false),
    named("spaces", "percent-space", |shape| shape.percent_space = true),
    named("details", "all-details", |shape| shape.sparse_details = false),
    named("details", "sparse-details", |shape| shape.sparse_details = true),
    named("fqdn", "fqdn", |shape| shape.empty_fqdn = false),
    named("fqdn", "empty-fqdn", |shape| shape.empty_fqdn = true),
    named("item", "error-item", |shape| shape.no_error_item = false),
    named("item", "no-error-item", |shape| shape.no_error_item = true),
    named("lines", "page-lines", |shape| shape.lines = Lines::Page),
    named("lines", "early-lines", |shape| shape.lines = Lines::Early),
    named("lines", "split-dates", |shape| shape.lines = Lines::SplitDates),
    named("eol", "lf", |shape| shape.crlf = false),
    named("eol", "crlf", |shape| shape.crlf = true),
    named("bom", "no-bom", |shape| shape.bom = false),
    named("bom", "bom", |shape| shape.bom = true),
    named("tail", "no-tail", |shape| shape.tail = Tail::None),
    named("tail", "newline-tail", |shape| shape.tail = Tail::Newlines),
    harsh("tail", "junk-tail", |shape| shape.tail = Tail::Junk),
    named("status", "status-line", |shape| shape.no_status_line = false),
    named("status", "no-status-line", |shape| shape.no_status_line = true),
    named("armour", "binary", |shape| shape.armour_anyway = false),
    named("armour", "armour-anyway", |shape| shape.armour_anyway = true),
    named("errors", "line-errors", |shape| shape.form_errors = false),
    named("errors", "form-errors", |shape| shape.form_errors = true),
    named("json", "json-flat", |shape| shape.nested_json = false),
    named("json", "json-nested", |shape| shape.nested_json = true),
    named("number", "new-number", |shape| shape.no_new_number = false),
    harsh("number", "no-new-number", |shape| shape.no_new_number = true),
    named("pkcs7", "pkcs7", |shape| shape.pkcs7 = None),
    named("pkcs7", "pkcs7-certs-only", |shape| shape.pkcs7 = Some(Pkcs7Form::CertsOnly)),
    named("pkcs7", "pkcs7-signed", |shape| shape.pkcs7 = Some(Pkcs7Form::Signed)),
    named("pkcs7", "pkcs7-unrelated", |shape| shape.pkcs7 = Some(Pkcs7Form::Unrelated)),
    named("pkcs7", "pkcs7-ber", |shape| shape.pkcs7 = Some(Pkcs7Form::Ber)),
    named("zip", "zip-files", |shape| shape.zip = ZipContent::Files),
    named("zip", "zip-bundle", |shape| shape.zip = ZipContent::Bundle),
    named("zip", "zip-der", |shape| shape.zip = ZipContent::Der),
];

/// The shape of all answers, as a dial is set to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    text: String,
    how: How,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum How {
    Fixed(Box<Shape>),
    Random(u64),
}

impl Default for Choice {
    fn default() -> Choice {
        Choice { text: DOCUMENTED.into(), how: How::Fixed(Box::default()) }
    }
}

/// The name for "no difference".
const DOCUMENTED: &str = "documented";

/// What `random:` is followed by.
const RANDOM: &str = "random:";

impl Choice {
    /// Reads names joined by `+`, `documented`, or `random:` and a number.
    pub(super) fn parse(text: &str) -> Result<Choice, String> {
        let how = match text.strip_prefix(RANDOM) {
            Some(seed) => How::Random(
                seed.parse().map_err(|_| format!("shape: '{seed}' is not a seed; write it like random:7"))?,
            ),
            None => How::Fixed(Box::new(fixed(text)?)),
        };
        Ok(Choice { text: text.into(), how })
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The shape of the call with this number.
    pub(super) fn shape(&self, call: u64) -> Shape {
        match &self.how {
            How::Fixed(shape) => Shape { seed: call.wrapping_add(1), ..**shape },
            How::Random(seed) => random(*seed, call),
        }
    }
}

fn fixed(text: &str) -> Result<Shape, String> {
    let mut shape = Shape::default();
    let mut seen: Vec<&Named> = Vec::new();
    for name in text.split('+').filter(|name| *name != DOCUMENTED) {
        let found = NAMES.iter().find(|named| named.name == name).ok_or_else(|| {
            format!("shape: '{name}' is unknown; known are {}", names().collect::<Vec<_>>().join(", "))
        })?;
        if let Some(other) = seen.iter().find(|other| other.aspect == found.aspect) {
            return Err(format!("shape: {} and {name} exclude each other", other.name));
        }
        (found.apply)(&mut shape);
        seen.push(found);
    }
    Ok(shape)
}

/// All names, in the order of the table.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|named| named.name)
}

fn random(seed: u64, call: u64) -> Shape {
    let mut dice = Dice::new(seed ^ call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut shape = Shape { seed: dice.roll(), ..Shape::default() };
    let mut rest = NAMES;
    while let Some(first) = rest.first() {
        let end = rest.iter().position(|named| named.aspect != first.aspect).unwrap_or(rest.len());
        let mild: Vec<&Named> = rest[..end].iter().filter(|named| !named.harsh).collect();
        (mild[dice.below(mild.len())].apply)(&mut shape);
        rest = &rest[end..];
    }
    shape
}

/// A sequence of numbers that depends on its seed only (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `end`, which is not zero.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    /// Puts `items` into an order that the seed decides.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_combine_and_exclude_each_other() {
        let shape = Choice::parse("issuer-first+crlf").unwrap().shape(0);
        assert!(shape.position == Position::IssuerFirst && shape.crlf && !shape.bom);
        let error = Choice::parse("pem+crlf+pem64").unwrap_err();
        assert_eq!(error, "shape: pem and pem64 exclude each other");
        assert!(Choice::parse("perm").unwrap_err().starts_with("shape: 'perm' is unknown; known are der64"));
        assert!(Choice::parse("random:x").unwrap_err().contains("not a seed"));
        assert_eq!(Choice::parse("documented").unwrap().shape(4), Shape { seed: 5, ..Shape::default() });
    }

    #[test]
    fn the_first_name_of_each_aspect_is_the_default() {
        let mut shape = Shape::default();
        let mut aspect = "";
        for named in NAMES.iter().filter(|named| {
            let first = named.aspect != aspect;
            aspect = named.aspect;
            first
        }) {
            (named.apply)(&mut shape);
        }
        assert_eq!(shape, Shape::default());
    }

    #[test]
    fn random_is_the_same_each_time_and_varied() {
        let choice = Choice::parse("random:7").unwrap();
        let shapes: Vec<Shape> = (0..64).map(|call| choice.shape(call)).collect();
        assert_eq!(shapes, (0..64).map(|call| choice.shape(call)).collect::<Vec<_>>());
        assert!(shapes.iter().any(|shape| shape.crlf) && shapes.iter().any(|shape| !shape.crlf));
        for value in [Value::Der64, Value::Pem64, Value::Pem, Value::Der64Lines, Value::RawPlus] {
            assert!(shapes.iter().any(|shape| shape.value == value), "{value:?}");
        }
        assert!(shapes.iter().all(|shape| shape.tail != Tail::Junk && !shape.no_new_number), "none is harsh");
    }

    #[test]
    fn every_name_is_in_the_table() {
        let page = include_str!("../../../docs/rehearsal.md");
        for name in names() {
            assert!(page.contains(&format!("| `{name}` |")), "{name} is not documented");
        }
    }
}
