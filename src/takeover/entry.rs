//! The entry that a planned order gets in the configuration.

use super::plan::{Number, Planned, PlannedCopy};
use crate::config::write::{order_path, quoted};
use certcollectd_core::config::{Config, KeySource, Order};

/// The text of the order's file.
pub fn entry(order: &Planned, account: Option<&str>, config: Option<&Config>) -> String {
    let number = match &order.number {
        Number::Known(number) => number.as_str(),
        Number::Missing(_) => "",
    };
    let place = order.copies.first().map(|copy| copy.place.to_string()).unwrap_or_default();
    let mut text = format!("# Taken over from {}.\n[[order]]\n", place.replace(char::is_control, " "));
    let mut line = |name: &str, value: String| text.push_str(&setting(name, &value));
    line("name", quoted(&order.name));
    if let Some(account) = account {
        line("account", quoted(account));
    }
    line("order_number", quoted(number));
    if !order.domains.is_empty() {
        line("domains", list(&order.domains));
    }
    if let Some(key) = &order.key {
        line("key_file", order_path(key));
    }
    let hooks = hooks(order, config);
    if !hooks.is_empty() {
        line("hooks", list(&hooks));
    }
    text.extend(order.copies.iter().map(copy_lines));
    text
}

/// What the entry of a configured order leaves open, and was found.
pub fn lacking_lines(order: &Planned, known: &Order, config: &Config) -> String {
    let key = order.key.as_ref().filter(|_| known.key == KeySource::None);
    let mut text: String = key.map(|key| setting("key_file", &order_path(key))).unwrap_or_default();
    let hooks = hooks(order, Some(config));
    if known.settings.hooks.is_empty() && !hooks.is_empty() {
        text.push_str(&setting("hooks", &list(&hooks)));
    }
    text
}

fn setting(name: &str, value: &str) -> String {
    format!("{name:<12} = {value}\n")
}

fn list(values: &[impl AsRef<str>]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
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
