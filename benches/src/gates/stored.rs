//! The stored numbers, and what is said of a count beside them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use super::table::{self, GATES, Gate};

/// How all numbers are renewed, from the root of the repository.
pub(super) const RENEW: &str = "cargo build --release && cargo run -p certcollectd-bench -- gates --renew";

const HEAD: &str = "\
# What noise cannot move, as it was counted on x86-64 Linux: .ci/run fails if a count is more than a tenth above
# its number here. The change that moves a number renews it, after packaging/programs for the program's size:
#
#   cargo build --release && cargo run -p certcollectd-bench -- gates --renew [NAME...]
";

#[derive(Debug, Default)]
pub(super) struct Stored(BTreeMap<String, f64>);

impl Stored {
    /// What the file has; none of it has a gate of another name.
    pub(super) fn read(path: &Path) -> Result<Stored, String> {
        let problem = |what: &dyn fmt::Display| format!("{}: {what}", path.display());
        let text = fs::read_to_string(path).map_err(|error| problem(&error))?;
        let table: BTreeMap<String, toml::Value> = toml::from_str(&text).map_err(|error| problem(&error))?;
        let mut numbers = BTreeMap::new();
        for (name, value) in table {
            if table::gate(&name).is_none() {
                return Err(problem(&format!("there is no gate {name}")));
            }
            let number = match value {
                toml::Value::Integer(number) => number as f64,
                toml::Value::Float(number) => number,
                _ => return Err(problem(&format!("{name} is not a number"))),
            };
            numbers.insert(name, number);
        }
        Ok(Stored(numbers))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), String> {
        let lines = GATES.iter().filter_map(|gate| {
            let number = self.0.get(gate.name)?;
            Some(format!("\n# {}\n{} = {}\n", capital(gate.what), gate.name, plain(*number)))
        });
        let text: String = std::iter::once(HEAD.to_owned()).chain(lines).collect();
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Stores a count; what is said about that.
    pub(super) fn renew(&mut self, gate: &Gate, count: f64) -> String {
        let number = rounded(count);
        let before = self.0.insert(gate.name.into(), number);
        let before = before.map_or_else(|| "nothing".into(), grouped);
        format!("stored   {}: {}, was {before} ({})", gate.name, grouped(number), gate.what)
    }

    pub(super) fn verdict(&self, gate: &'static Gate, count: f64) -> Verdict {
        Verdict { gate, count, stored: self.0.get(gate.name).copied() }
    }
}

/// A count beside its stored number.
#[derive(Debug)]
pub(super) struct Verdict {
    gate: &'static Gate,
    count: f64,
    stored: Option<f64>,
}

impl Verdict {
    pub(super) fn holds(&self) -> bool {
        self.stored.is_some_and(|stored| self.count <= self.most(stored))
    }

    fn most(&self, stored: f64) -> f64 {
        (stored * 1.1).max(stored + self.gate.phase)
    }

    /// So much better that the stored number no longer says how it is.
    pub(super) fn is_stale(&self) -> bool {
        self.stored.is_some_and(|stored| self.count < (stored * 0.9).min(stored - self.gate.phase))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gate { name, what, .. } = self.gate;
        let count = grouped(self.count);
        let Some(stored) = self.stored else {
            return write!(f, "FAILED   {name}: {count}, and no number is stored ({what})");
        };
        let word = if self.holds() { "ok      " } else { "FAILED  " };
        write!(f, "{word} {name}: {count}, stored {}", grouped(stored))?;
        if !self.holds() {
            write!(f, ", at most {}", grouped(self.most(stored)))?;
        } else if self.is_stale() {
            write!(f, "; better by more than a tenth, please renew it")?;
        }
        write!(f, " ({what})")
    }
}

/// To three digits, or to hundredths: what comes behind them moves by itself.
fn rounded(count: f64) -> f64 {
    let mut unit = 0.01;
    while count / unit >= 1000.0 && unit < 1e12 {
        unit *= 10.0;
    }
    let number = (count / unit).round() * unit;
    // Hundredths have no exact binary form.
    (number * 100.0).round() / 100.0
}

fn plain(number: f64) -> String {
    format!("{number}")
}

fn grouped(number: f64) -> String {
    let hundredths = (number * 100.0).round() as u64;
    let whole = (hundredths / 100).to_string();
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match (hundredths % 100, number < 1000.0) {
        (0, _) | (_, false) => text,
        (fraction, true) => format!("{text}.{fraction:02}"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(stored: f64, count: f64) -> Verdict {
        Verdict { gate: &GATES[0], count, stored: Some(stored) }
    }

    #[test]
    fn a_tenth_more_holds_and_a_bit_more_does_not() {
        assert!(verdict(100.0, 110.0).holds());
        assert!(!verdict(100.0, 110.1).holds());
        assert!(verdict(0.0, 0.0).holds());
        assert!(!verdict(0.0, 0.01).holds());
        assert!(!Verdict { gate: &GATES[0], count: 0.0, stored: None }.holds());
    }

    #[test]
    fn a_minute_may_begin_at_any_moment() {
        let gate = table::gate("wake-ups").unwrap();
        let verdict = |count| Verdict { gate, count, stored: Some(2.0) };
        assert!(verdict(4.0).holds() && !verdict(0.0).is_stale());
        assert!(!verdict(5.0).holds());
    }

    #[test]
    fn what_is_much_better_asks_to_be_renewed() {
        assert!(!verdict(100.0, 90.0).is_stale());
        let better = verdict(100.0, 89.0);
        assert!(better.holds());
        assert!(better.to_string().contains("please renew it"), "{better}");
    }

    #[test]
    fn what_fails_says_what_was_allowed() {
        let worse = verdict(327_000.0, 400_000.4);
        let said = "FAILED   poll-instructions: 400,000, stored 327,000, at most 359,700 (user instructions of a pending poll)";
        assert_eq!(worse.to_string(), said);
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(rounded(266_412.7), 266_000.0);
        assert_eq!(rounded(31.512), 31.5);
        assert_eq!(rounded(1.004), 1.0);
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(31.5), "31.50");
    }

    #[test]
    fn the_file_names_each_gate() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gates.toml");
        let stored = Stored::read(&path).unwrap();
        let missing: Vec<&str> =
            GATES.iter().map(|gate| gate.name).filter(|name| !stored.0.contains_key(*name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let copy = tempfile::tempdir().unwrap();
        let copy = copy.path().join("gates.toml");
        stored.write(&copy).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), fs::read_to_string(copy).unwrap());
    }
}
