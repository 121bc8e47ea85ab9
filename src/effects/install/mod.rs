//! Files in their place: looked at, staged beside the present ones, swapped, copied, swept.

pub mod activate;
pub(super) mod copies;
pub mod dir;
pub(super) mod error;
pub mod in_place;
pub mod inspect;
pub mod keys;
pub(super) mod layout;
pub mod roots;
pub(super) mod spare;
pub mod stage;
pub mod sweep;
pub mod takeover;
pub mod write_test;
