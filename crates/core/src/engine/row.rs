//! Help for rows of the state.

/// Whether a record is written without it.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
