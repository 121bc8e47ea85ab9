//! What the vendor says of a waiting order day after day, in words: one text for all orders.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer};

use crate::api::code::{Class, Row, TABLE};
use crate::engine::wording::advice;

static TEXTS: LazyLock<Box<[Arc<str>]>> = LazyLock::new(|| {
    let waits = |row: &&Row| matches!(row.class, Class::Available | Class::Waiting | Class::WaitingSlowly);
    TABLE.iter().filter(waits).map(|row| pending(*row).into()).collect()
});

/// What a code says of an order that goes on waiting, where the vendor adds no words.
pub(crate) fn pending(row: Row) -> String {
    format!("{} ({}){}", row.means, row.code, advice(row))
}

/// A text, shared if it is a usual one.
pub(crate) fn shared(text: &str) -> Arc<str> {
    TEXTS.iter().find(|usual| ***usual == *text).cloned().unwrap_or_else(|| text.into())
}

pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    Cow::<str>::deserialize(deserializer).map(|text| shared(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::code::row_of;

    #[test]
    fn usual_texts_are_there_once() {
        let text = pending(row_of(-22));
        assert_eq!(text, "payment is pending (-22); pay for the order");
        assert!(Arc::ptr_eq(&shared(&text), &shared(&text)));
        assert_eq!(*shared("issued"), *"issued");
    }
}
