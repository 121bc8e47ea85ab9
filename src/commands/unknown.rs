//! A name that was asked for and is not there.

/// Nothing can be said of an order.
pub(super) fn unreadable(name: &str) -> String {
    format!("no entry of an order named {} can be read in it", crate::api::Foreign::new(name))
}

/// The names that there are, where another one was asked for.
pub(super) fn known<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = names.collect();
    let more = match names.len().checked_sub(SHOWN) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    match names.is_empty() {
        true => "there is none at all".into(),
        false => format!("there are: {}{more}", names[..names.len().min(SHOWN)].join(", ")),
    }
}
