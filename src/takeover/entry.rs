//! The entry that a planned order gets in the configuration.

use std::fmt::Write;

use super::plan::{Number, Planned, PlannedCopy};
use crate::config::write::{order_path, quoted};
use certcollectd_core::config::Config;

/// The text of the order's file.
pub fn entry(order: &Planned, account: Option<&str>, config: Option<&Config>) -> String {
    let number = match &order.number {
        Number::Known(number) => number.as_str(),
        Number::Missing(_) => "",
    };
    let place = order.copies.first().map(|copy| copy.place.to_string()).unwrap_or_default();
    let mut text = format!("# Taken over from {}.\n[[order]]\n", place.replace(char::is_control, " "));
    let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<12} = {value}");
    line("name", quoted(&order.name));
    if let Some(account) = account {
        line("account", quoted(account));
    }
    line("order_number", quoted(number));
    if !order.domains.is_empty() {
        let domains: Vec<String> = order.domains.iter().map(|domain| quoted(domain)).collect();
        line("domains", format!("[{}]", domains.join(", ")));
    }
    if let Some(key) = &order.key {
        line("key_file", order_path(key));
    }
    let hooks = hooks(order, config);
    if !hooks.is_empty() {
        let hooks: Vec<String> = hooks.iter().map(|hook| quoted(hook)).collect();
        line("hooks", format!("[{}]", hooks.join(", ")));
    }
    text.extend(order.copies.iter().map(copy_lines));
    text
}

/// One copy of an entry.
pub fn copy_lines(copy: &PlannedCopy) -> String {
    format!(
        "\n[[order.copy]]\nfrom  = {}\nto    = {}\nowner = {}\ngroup = {}\nmode  = \"{:04o}\"\n",
        quoted(copy.from.as_str()),
        order_path(&copy.to),
        quoted(&copy.owner),
        quoted(&copy.group),
        copy.mode
    )
}

/// The hooks of the configuration that reload the servers in question.
pub fn hooks<'a>(order: &Planned, config: Option<&'a Config>) -> Vec<&'a str> {
    let known = |name: &&str| config.and_then(|config| config.hook(name)).map(|hook| &*hook.name);
    order.servers.iter().filter_map(|server| server.hooks().iter().find_map(&known)).collect()
}
