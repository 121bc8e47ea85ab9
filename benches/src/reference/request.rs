//! Where the references poll, and with what words.

use std::io;

use crate::mock::Files;
use crate::site::PASSWORD;

#[derive(Debug)]
pub(super) struct Target {
    /// `127.0.0.1:PORT`
    pub(super) address: String,
    /// The API's root, PEM.
    pub(super) root: String,
}

impl Target {
    pub(super) fn read(files: &Files) -> io::Result<Target> {
        let base_url = std::fs::read_to_string(files.base_url())?;
        let address = base_url.trim().trim_start_matches("https://").to_owned();
        Ok(Target { address, root: std::fs::read_to_string(files.ca())? })
    }
}

pub(super) const PATH: &str = "/products/download/CollectSSL";

/// The form of a poll.
pub(super) fn form(order: u64) -> String {
    format!(
        "loginName=bench&loginPassword={PASSWORD}&orderNumber={order}&queryType=1&responseType=3&responseFormat=1\
         &showValidityPeriod=Y&showFQDN=Y&showExtStatus=Y&showStatusDetails=Y"
    )
}
