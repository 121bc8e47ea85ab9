//! `--csr`: the certificate request of a command.

use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::effects::errno::cause;
use certcollectd_core::api::Replace;
use certcollectd_core::cert::{self, SignatureCheck};

/// The request in base64 without armour, as it is sent.
pub(super) fn certificate_request(path: &Path) -> Result<String, String> {
    let from_file = path.as_os_str() != "-";
    let shown = if from_file { path.display().to_string() } else { "standard input".to_owned() };
    let mut bytes = Vec::new();
    let most = cert::unpack::MAX_INPUT as u64 + 1;
    let read = if from_file {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    } else {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    };
    let wrong = |why: String| format!("--csr {shown}: {why}");
    read.map_err(|error| wrong(cause(&error)))?;
    let csr = cert::csr::read(&bytes).map_err(|error| wrong(error.to_string()))?;
    // One that cannot be checked here is the vendor's to judge.
    if *csr.signature() == SignatureCheck::Bad {
        let why = "its signature does not match its key; it was altered or truncated";
        return Err(wrong(why.into()));
    }
    let text = STANDARD.encode(csr.der());
    let (length, most) = (text.len(), Replace::MAX_CSR);
    if length > most {
        return Err(wrong(format!("it has {length} characters in base64, the vendor takes at most {most}")));
    }
    Ok(text)
}
