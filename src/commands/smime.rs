//! `smime replace`: AutoReplaceSMIME.
//!
//! Everything that can be checked here is checked before a call is spent.

use std::path::Path;

use super::csr::certificate_request;
use super::exit::Exit;
use super::order;
use super::order_number::wrong_number;
use super::print::fail;
use certcollectd_core::config;
use certcollectd_core::engine::command::{Command, ReplaceCommand};

/// `smime replace`, for the request in the file `csr`.
pub fn replace(path: &Path, csr: &Path, command: ReplaceCommand, json: bool) -> Result<(), Exit> {
    let command = complete(command, csr).map_err(|wrong| fail(Exit::Usage, &wrong))?;
    order::command(path, Command::Replace(Box::new(command)), json)
}

fn complete(mut command: ReplaceCommand, csr: &Path) -> Result<ReplaceCommand, String> {
    if let Some(wrong) = wrong_number(&command.replace.order_number) {
        return Err(wrong);
    }
    if let Some(name) = command.adopt.as_ref().filter(|name| !config::is_name(name)) {
        return Err(format!(
            "--adopt {}: names of orders are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot",
            certcollectd_core::api::Untrusted::new(name)
        ));
    }
    command.replace.csr = certificate_request(csr)?;
    Ok(command)
}
