//! `reissue`: AutoReplaceSSL for a TLS order.

use std::path::Path;

use super::csr::certificate_request;
use super::exit::Exit;
use super::order::{self, ask};
use super::print::fail;
use certcollectd_core::engine::command::{Command, CommandReply, ReissueCommand};

/// `reissue`, for the request in the file `csr` if there is one.
pub fn reissue(path: &Path, csr: Option<&Path>, mut command: ReissueCommand, json: bool) -> Result<(), Exit> {
    if let Some(csr) = csr {
        command.csr = Some(certificate_request(csr).map_err(|wrong| fail(Exit::Usage, &wrong))?);
    }
    let reply = ask(path, Command::Reissue(Box::new(command)))?;
    let waits = CommandReply::waits_for_proof(&reply);
    order::show(&reply, json).map_err(|exit| if waits { Exit::Waiting } else { exit })
}
