//! Figures, and how they are shown.

use std::fmt;
use std::io::{self, Write};

/// The least, the middle and the greatest of several runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub least: f64,
    pub middle: f64,
    pub most: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let (last, half) = (values.len() - 1, values.len() / 2);
        // Of an even number, between the two in the middle.
        let middle = (values[half] + values[last - half]) / 2.0;
        Spread { least: values[0], middle, most: values[last] }
    }
}

/// Of sorted values, at least one.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", digits(self.middle))?;
        if self.least < self.most {
            write!(f, " ({} to {})", digits(self.least), digits(self.most))?;
        }
        Ok(())
    }
}

/// Three digits that count.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1000.0 => {
            let whole = format!("{value:.0}");
            let groups: Vec<&str> = whole
                .as_bytes()
                .rchunks(3)
                .rev()
                .filter_map(|group| std::str::from_utf8(group).ok())
                .collect();
            groups.join(",")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Figure {
    pub what: String,
    /// For the middle value; none: it is only shown.
    pub goal: Option<Goal>,
    pub value: Result<Spread, String>,
    pub unit: &'static str,
}

impl Figure {
    pub fn new(
        what: impl Into<String>,
        goal: impl Into<Option<f64>>,
        unit: &'static str,
        values: Vec<f64>,
    ) -> Figure {
        Figure { what: what.into(), goal: goal.into().map(Goal::AtMost), value: Ok(Spread::of(values)), unit }
    }

    pub fn at_least(self, goal: f64) -> Figure {
        Figure { goal: Some(Goal::AtLeast(goal)), ..self }
    }

    /// Not measured, and why.
    pub fn skipped(what: impl Into<String>, why: impl Into<String>) -> Figure {
        Figure { what: what.into(), goal: None, value: Err(why.into()), unit: "" }
    }

    fn cells(&self) -> [String; 4] {
        let unit = |text: String| {
            if self.unit == "x" { text + "x" } else { format!("{text} {}", self.unit).trim().into() }
        };
        let (goal, held) = match (self.goal, &self.value) {
            (None, _) => (String::new(), None),
            (Some(Goal::AtMost(goal)), Ok(value)) => {
                (format!("<= {}", unit(digits(goal))), Some(value.middle <= goal))
            }
            (Some(Goal::AtLeast(goal)), Ok(value)) => {
                (format!(">= {}", unit(digits(goal))), Some(value.middle >= goal))
            }
            (Some(Goal::AtMost(goal) | Goal::AtLeast(goal)), Err(_)) => (unit(digits(goal)), None),
        };
        let verdict = match (held, &self.value) {
            (_, Err(_)) => "skipped",
            (Some(true), Ok(_)) => "held",
            (Some(false), Ok(_)) => "missed",
            (None, Ok(_)) => "",
        };
        let value = match &self.value {
            Ok(value) => unit(value.to_string()),
            Err(why) => why.clone(),
        };
        [self.what.clone(), goal, value, verdict.into()]
    }
}

/// For a terminal.
pub fn print(out: &mut dyn Write, row: &str, figures: &[Figure]) -> io::Result<()> {
    for figure in figures {
        let [what, goal, value, verdict] = figure.cells();
        writeln!(out, "{row:<14} {what:<86} {value:<28} {goal:<18} {verdict}")?;
    }
    out.flush()
}

/// For a document.
pub fn markdown(rows: &[(&str, Vec<Figure>)]) -> String {
    let mut text = String::from("| row | what | goal | measured | |\n| --- | --- | --- | --- | --- |\n");
    for (row, figures) in rows {
        for figure in figures {
            let [what, goal, value, verdict] = figure.cells();
            text.push_str(&format!("| `{row}` | {what} | {goal} | {value} | {verdict} |\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]), Spread { least: 1.0, middle: 3.0, most: 9.0 });
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]).middle, 2.0);
    }

    #[test]
    fn three_digits_count() {
        let shown = [0.0, 0.0123, 0.256, 12.34, 256.7, 1_234_567.8].map(digits);
        assert_eq!(shown, ["0", "0.012", "0.26", "12.3", "257", "1,234,568"]);
    }
}
