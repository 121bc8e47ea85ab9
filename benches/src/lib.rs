//! Measures certcollectd, beside what one would use in its place.
//!
//! `mock` is the vendor, `site` a place for one daemon.

#![forbid(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod mock;
pub mod site;
