//! The control port: `GET /stats`, `/orders`, `/issued`, `/reset`, and `/set` with any of `ready_after` (a count or
//! `never`), `ready_below`, `delay` (`100ms`) and `close` (`true` or `false`).

use serde_json::{Value, json};

use super::{Manner, Shared};

pub(super) fn command(shared: &Shared, path: &str, query: &str) -> Result<Value, String> {
    let mut state = shared.state();
    match path {
        "/stats" => Ok(json!(state.counts.totals())),
        "/orders" => Ok(state
            .counts
            .orders
            .iter()
            .map(|(number, order)| {
                let gap = order.largest_gap.as_micros();
                (number.to_string(), json!({ "polls": order.polls, "largest_gap_us": gap as u64 }))
            })
            .collect()),
        // Nanoseconds of CLOCK_MONOTONIC at the first "2".
        "/issued" => Ok(state
            .counts
            .orders
            .iter()
            .filter_map(|(number, order)| Some((number.to_string(), json!(order.issued?.nanoseconds()))))
            .collect()),
        "/reset" => {
            state.counts.reset();
            Ok(json!({}))
        }
        "/set" => {
            let mut manner = state.manner;
            for (key, value) in form_urlencoded::parse(query.as_bytes()) {
                set(&mut manner, &key, &value)?;
            }
            state.manner = manner;
            Ok(json!({}))
        }
        _ => Err(format!("no such path: {path}")),
    }
}

fn set(manner: &mut Manner, key: &str, value: &str) -> Result<(), String> {
    let wrong = || format!("{key} cannot be {value}");
    match key {
        "ready_after" => manner.ready_after = ready_after(value).ok_or_else(wrong)?,
        "ready_below" => manner.ready_below = value.parse().map_err(|_| wrong())?,
        "delay" => manner.delay = humantime::parse_duration(value).map_err(|_| wrong())?,
        "close" => manner.close = value.parse().map_err(|_| wrong())?,
        _ => return Err(format!("no such key: {key}")),
    }
    Ok(())
}

/// A count, or `never`.
fn ready_after(value: &str) -> Option<Option<u64>> {
    if value == "never" { Some(None) } else { value.parse().ok().map(Some) }
}
