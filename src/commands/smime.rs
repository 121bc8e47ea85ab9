//! `smime replace` and `smime resend`: AutoReplaceSMIME and ResendCollectionEmailSMIME.
//!
//! Everything that can be checked here is checked before a call is spent.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};

use super::domains::wrong_number;
use super::exit::Exit;
use super::order;
use super::print::fail;
use crate::api::Replace;
use crate::cert::{self, SignatureCheck};
use crate::config;
use crate::effects::access::cause;
use crate::engine::event::{Command, ReplaceCommand, Target};

#[derive(Debug, Subcommand)]
pub enum Smime {
    /// Have the certificate of an S/MIME order replaced by one for another request (AutoReplaceSMIME)
    #[command(
        after_help = "Example: certcollectd smime replace --order 123456789 --csr new.csr --adopt mail\n\n\
        A replacement is never sent twice by itself. When an answer was lost, this says so and what to look at."
    )]
    Replace(ReplaceArgs),
    /// Have the collection mail of an S/MIME order sent again (ResendCollectionEmailSMIME)
    #[command(after_help = "Example: certcollectd smime resend --order 123456789")]
    Resend(ResendArgs),
}

#[derive(Debug, Args)]
pub struct ReplaceArgs {
    /// The order whose certificate is replaced
    #[arg(long, value_name = "NUMBER")]
    pub order: String,
    /// The certificate request, PEM or DER; - for standard input
    #[arg(long, value_name = "FILE")]
    pub csr: PathBuf,
    /// Revoke the old certificate
    #[arg(long)]
    pub revoke_old: bool,
    /// The signature's hash; PREFER_SHA1 is in the page's text, but not in its list of values
    #[arg(long, value_name = "HASH", value_parser = Replace::SIGNATURE_HASHES)]
    pub signature_hash: Option<String>,
    /// A further parameter of the vendor's, passed through as it is; can be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    pub parameters: Vec<(String, String)>,
    /// Collect the new order from now on, under this name
    #[arg(long, value_name = "NAME")]
    pub adopt: Option<String>,
    /// Send it although it was sent before, or may have been
    #[arg(long)]
    pub again: bool,
    /// On which account, where there are several
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ResendArgs {
    /// The order whose collection mail is wanted
    #[arg(long, value_name = "NUMBER")]
    pub order: String,
    /// On which account, where there are several
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// For machines
    #[arg(long)]
    pub json: bool,
}

pub fn smime(path: &Path, smime: Smime) -> Result<(), Exit> {
    let (made, json) = match smime {
        Smime::Replace(arguments) => {
            let json = arguments.json;
            (replacement(arguments).map(|replace| Command::Replace(Box::new(replace))), json)
        }
        Smime::Resend(ResendArgs { order, account, json }) => {
            let wrong = wrong_number(&order);
            let target = Target::Number { number: order, account };
            (wrong.map_or_else(|| Ok(Command::Resend(target)), Err), json)
        }
    };
    order::command(path, made.map_err(|wrong| fail(Exit::Usage, &wrong))?, json)
}

/// Parameters that have arguments of their own, or that an operator has no business setting.
const OWN: [&str; 7] =
    ["loginName", "loginPassword", "orderNumber", "csr", "signatureHash", "revokeOldOrder", "responseFormat"];

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
        return Err(format!("{name} is set by certcollectd itself"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn replacement(arguments: ReplaceArgs) -> Result<ReplaceCommand, String> {
    if let Some(wrong) = wrong_number(&arguments.order) {
        return Err(wrong);
    }
    if let Some(name) = arguments.adopt.as_ref().filter(|name| !config::is_name(name)) {
        return Err(format!(
            "--adopt {}: names of orders are 1 to 100 of the characters a-z 0-9 . _ - and do not begin with a dot",
            crate::api::Foreign::new(name)
        ));
    }
    let from_file = arguments.csr.as_os_str() != "-";
    let csr = request(&arguments.csr, from_file)?;
    Ok(ReplaceCommand {
        account: arguments.account,
        replace: Replace {
            order_number: arguments.order,
            csr,
            signature_hash: arguments.signature_hash,
            revoke_old: arguments.revoke_old,
            parameters: arguments.parameters,
        },
        adopt: arguments.adopt,
        again: arguments.again,
    })
}

/// The request in base64 without armour, as it is sent.
fn request(path: &Path, from_file: bool) -> Result<String, String> {
    let shown = if from_file { path.display().to_string() } else { "standard input".to_owned() };
    let mut bytes = Vec::new();
    let most = cert::unpack::MAX_INPUT as u64 + 1;
    let read = if from_file {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    } else {
        std::io::stdin().take(most).read_to_end(&mut bytes)
    };
    read.map_err(|error| format!("--csr {shown}: {}", cause(&error)))?;
    let csr = cert::key::from_csr(&bytes).map_err(|error| format!("--csr {shown}: {error}"))?;
    // One that cannot be checked here is the vendor's to judge.
    if *csr.signature() == SignatureCheck::Bad {
        return Err(format!(
            "--csr {shown}: its signature does not fit its own key; it was changed after it was made, or cut"
        ));
    }
    let text = STANDARD.encode(csr.der());
    if text.len() > Replace::MAX_CSR {
        return Err(format!(
            "--csr {shown}: it has {} characters in base64, the vendor takes at most {}",
            text.len(),
            Replace::MAX_CSR
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_passed_through_but_for_our_own() {
        assert_eq!(parameter("emailTemplateID=7"), Ok(("emailTemplateID".into(), "7".into())));
        assert_eq!(parameter("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(parameter("a="), Ok(("a".into(), String::new())));
        for wrong in ["a", "=b", "CSR=x", "loginpassword=x", "responseformat=2"] {
            assert!(parameter(wrong).is_err(), "{wrong}");
        }
    }
}
