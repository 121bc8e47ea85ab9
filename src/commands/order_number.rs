//! An order number that was given by hand.

use certcollectd_core::api::OrderRef;

/// Why the vendor would refuse this order number, before a call is spent on it.
pub(super) fn wrong_number(number: &str) -> Option<String> {
    let most = OrderRef::MAX_ORDER_NUMBER;
    match number.chars().count() {
        0 => Some("--order is empty; it is the number that the vendor gave the order".into()),
        length if length > most => {
            Some(format!("--order has {length} characters; the vendor takes at most {most}"))
        }
        _ if number.contains(char::is_control) => Some("--order has control characters".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_checked_before_a_call_is_spent() {
        assert_eq!(wrong_number("123"), None);
        assert_eq!(wrong_number(&"9".repeat(128)), None);
        assert!(wrong_number("").is_some());
        assert!(wrong_number(&"9".repeat(129)).is_some_and(|wrong| wrong.contains("129")));
        assert!(wrong_number("1\n2").is_some());
    }
}
