//! The vendor's rule in numbers: one call at a time, three hours between two polls of an order.

use std::io;
use std::time::Duration;

use crate::bench::Bench;
use crate::figure::Figure;
use crate::rule::{Rule, simulate};

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let gaps = [Duration::from_secs(10), Duration::ZERO];
    for gap in gaps {
        for trip in [50, 100, 300].map(Duration::from_millis) {
            let rule = Rule { trip, gap };
            let room = rule.room();
            let name =
                format!("call_gap {}, answers in {} ms", humantime::format_duration(gap), trip.as_millis());
            figures.push(Figure::new(
                format!("{name}: orders that fit, computed"),
                None,
                "",
                vec![room as f64],
            ));
            if bench.short && gap.is_zero() {
                continue;
            }
            let full = simulate(rule, room);
            let late = |gap: Duration, fair: Duration| gap.as_secs_f64() / fair.as_secs_f64();
            let what = format!("{name}: longest wait with so many, to three hours and the spread");
            figures.push(Figure::new(what, 1.05, "x", vec![late(full.longest, Rule::INTERVAL.mul_f64(1.1))]));
            let crowded = simulate(rule, 2 * room);
            let turn = rule.turn(2 * room);
            let what = format!("{name}: longest wait with twice as many, to a fair turn");
            figures.push(Figure::new(what, 1.2, "x", vec![late(crowded.longest, turn)]));
            let spent = crowded.calls as f64 / crowded.possible;
            figures.push(
                Figure::new(format!("{name}: share of the possible calls made"), None, "", vec![spent])
                    .at_least(0.97),
            );
        }
    }
    Ok(figures)
}
