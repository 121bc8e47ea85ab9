//! A forecast for people, by its days, and for machines.

use serde_json::json;

use super::Screen;
use super::fit::{shortened, width, wrapped};
use certcollectd_core::config::count;
use certcollectd_core::engine::time::{day, rfc3339};
use certcollectd_core::forecast::{AccountForecast, Event, Forecast, OrderForecast};

/// Columns of a name; longer ones are shortened.
const NAME: usize = 20;
/// Columns that are used where the width is not known.
const COLUMNS: usize = 80;

/// For machines.
pub fn forecast_json(forecast: &Forecast) -> String {
    let event = |event: &Event| {
        json!({
            "at": rfc3339(event.at),
            "kind": event.kind.as_str(),
            "what": event.what,
            "who": event.who.as_str(),
        })
    };
    let order = |order: &OrderForecast| json!({ "name": order.name, "events": order.events.iter().map(event).collect::<Vec<_>>() });
    let account = |account: &AccountForecast| {
        let (at, most) = account.busiest;
        json!({
            "name": account.name,
            "calls_per_day": account.calls_per_day,
            "possible_per_day": account.possible_per_day,
            "busiest_day": day(&rfc3339(at)),
            "busiest_calls": most,
        })
    };
    let shown = json!({
        "from": rfc3339(forecast.from),
        "until": rfc3339(forecast.until),
        "orders": forecast.orders.iter().map(order).collect::<Vec<_>>(),
        "accounts": forecast.accounts.iter().map(account).collect::<Vec<_>>(),
        "warnings": forecast.warnings,
    });
    serde_json::to_string_pretty(&shown).expect("strings, numbers and lists")
}

/// For people: one line for each event, by its day.
pub fn forecast_text(forecast: &Forecast, screen: &Screen) -> String {
    let columns = screen.columns.unwrap_or(COLUMNS);
    let names = forecast.orders.iter().filter(|order| !order.events.is_empty());
    let wide = names.map(|order| width(&order.name)).max().unwrap_or_default().clamp("ORDER".len(), NAME);
    let who = "certcollectd".len();
    let indent = "2026-12-01".len() + wide + who + 3 * 2;
    let mut events: Vec<(&str, &Event)> = forecast
        .orders
        .iter()
        .flat_map(|order| order.events.iter().map(|event| (&*order.name, event)))
        .collect();
    events.sort_by_key(|(_, event)| event.at);
    let mut text = format!("{:<10}  {:<wide$}  {:<who$}  WHAT\n", "BY", "ORDER", "WHO");
    for (name, event) in &events {
        let name = shortened(name, wide);
        let blank = " ".repeat(wide - width(&name));
        let what = wrapped(&event.what, Some(columns.max(indent + NAME)), indent);
        let at = rfc3339(event.at);
        text.push_str(&format!("{:<10}  {name}{blank}  {:<who$}  {what}\n", day(&at), event.who.as_str()));
    }
    if events.is_empty() {
        text = "Nothing is to happen.\n".to_owned();
    }
    for known in &forecast.accounts {
        let AccountForecast { name, calls_per_day, possible_per_day, busiest: (at, most) } = known;
        let possible =
            possible_per_day.map(|possible| format!(" of {possible} that are possible")).unwrap_or_default();
        let busiest = rfc3339(*at);
        let line = format!(
            "account {name}: {} a day{possible}, at most {most} on {}",
            count(*calls_per_day, "call"),
            day(&busiest)
        );
        text.push_str(&format!("\n{}\n", wrapped(&line, Some(columns), 0)));
    }
    for warning in &forecast.warnings {
        text.push_str(&format!("\n{}\n", wrapped(&format!("warning: {warning}"), Some(columns), 0)));
    }
    text
}
