//! The configuration as text: read, checked, and turned into the typed one of the core.
//!
//! Nothing here reads a file; the caller brings the text. Each line uses only those above it:
//!
//! - `value`, `address`, `invisible`, `kind`, `keys`, `placeholder`: one value, one name of a key
//! - `parse`: text to tables, and what is wrong with them
//! - `tables`: a table to its type
//! - `draft`: all that was read
//! - `cross`: what holds between tables
//! - `file`: all files to the configuration
//! - `fragment`: one included file beside the others
//! - `orders_csv`, `write`: a list of orders, which becomes a configuration
//!
//! `reference` describes it to people and editors, from `keys` and the example file.

mod address;
mod cross;
mod draft;
pub mod file;
pub mod fragment;
pub mod invisible;
mod keys;
mod kind;
pub mod orders_csv;
mod parse;
pub mod placeholder;
pub mod reference;
mod tables;
mod value;
pub mod write;

pub use address::is_web_address;
pub(crate) use cross::ONE_KEY;
pub use parse::locate;
