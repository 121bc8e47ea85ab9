//! The configuration as text: read, checked, and turned into the typed one of the core.
//!
//! Nothing here reads a file; the caller brings the text.

mod account;
mod address;
mod cross;
mod draft;
pub mod file;
mod hook;
pub mod invisible;
mod keys;
mod listener;
mod order;
mod output;
mod params;
pub mod point;
mod polling;
mod problem;
mod reader;
mod render;
mod secret;
mod sensitive;
mod syntax;
mod value;

pub use certcollectd_core::config::*;
