//! Each file in `config/` passes; each wrong file yields the message we want.
//!
//! What is said is kept as inline snapshots, because it is what people read at night.

/// Settings that are right alone and wrong together.
mod cross;
/// Many mistakes at once, and files with random damage.
mod damage;
/// `[defaults]`: what an order inherits, what it replaces, and mistakes that are told once.
mod defaults;
/// The files in `config/` are valid, complete, and agree with the code.
mod example;
/// `[fleet]`, and what it makes of the rest of the file.
mod fleet;
/// Values of hooks that are of the right kind and still wrong.
mod hooks;
/// The same for orders.
mod order;
/// How an order is re-issued.
mod reissue;
/// What is written is what is meant.
mod right;
/// No message shows a password, wherever it was written.
mod secrets;
/// Text that is not TOML, and keys that are unknown, missing or of the wrong kind.
mod syntax;
/// Values that are of the right kind and still wrong.
mod values;

pub use example::with_defaults;

use std::path::PathBuf;

use certcollectd::config::file::{Source, read};
use certcollectd_core::config::Config;

use crate::reference;

const EXAMPLE: &str = include_str!("../../../config/certcollectd.toml");
const MINIMAL: &str = include_str!("../../../config/minimal.toml");

/// Stands below a case that is about something else.
pub const ACCOUNT: &str =
    "\n[[account]]\nname = \"main\"\nlogin_name = \"example-login\"\npassword = { env = \"PASSWORD\" }\n";
pub const ORDER: &str = "\n[[order]]\nname = \"www\"\norder_number = \"1\"\n";

fn source(text: &str) -> Source {
    Source { path: PathBuf::from("config.toml"), text: text.to_owned() }
}

/// What is said about a file, errors or warnings.
fn said(text: &str) -> String {
    let sources = [source(text)];
    match read(&sources) {
        Ok((_, problems)) => {
            reference::takes(text);
            problems.render(&sources, false)
        }
        Err(problems) => problems.render(&sources, false),
    }
}

/// What is said about the top of a file, with an account and an order below.
fn said_of(text: &str) -> String {
    said(&format!("{text}{ACCOUNT}{ORDER}"))
}

/// What is said about orders, with an account below.
fn said_of_order(text: &str) -> String {
    said(&format!("{text}{ACCOUNT}"))
}

fn config(text: &str) -> Config {
    let sources = [source(text)];
    match read(&sources) {
        Ok((config, _)) => {
            reference::takes(text);
            config
        }
        Err(problems) => panic!("{}", problems.render(&sources, false)),
    }
}
