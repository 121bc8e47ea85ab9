//! Measures certcollectd, beside what one would use in its place.
//!
//! `mock` is the vendor, `site` a place for one daemon. `gates` decides about a change.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod gates;
pub mod mock;
pub mod site;
