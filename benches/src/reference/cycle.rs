//! The least that an installation can cost: verify, four files in one after the other, a record, a hook.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::fdatasync;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::raw::Client;
use super::request::Target;
use crate::clock;
use crate::mock::{Files, domain, pem};
use crate::site::FIRST;

/// A file to which lines are appended, each synced.
#[derive(Debug)]
pub(super) struct Record(File);

impl Record {
    pub(super) fn open(path: &Path) -> io::Result<Record> {
        Ok(Record(File::options().create(true).append(true).open(path)?))
    }

    pub(super) fn append(&mut self, what: &str) -> io::Result<()> {
        // 128 bytes, as a record of one order's due time would take.
        writeln!(self.0, "{what:<127}")?;
        Ok(fdatasync(&self.0)?)
    }
}

/// How the orders follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub orders: u64,
    pub gap: Duration,
    /// One hook when all are installed, in place of one for each.
    pub one_hook: bool,
}

/// Polls each order until it is issued, and installs it below `folder`. Prints for each order its number and the moment at
/// which its hook had ended.
pub fn run(mock: &Path, folder: &Path, pace: Pace) -> io::Result<()> {
    let files = Files::new(mock);
    let target = Target::read(&files)?;
    let root = CertificateDer::from_pem_slice(&std::fs::read(files.roots())?).map_err(io::Error::other)?;
    let mut client = Client::connect(&target)?;
    let mut record = Record::open(&folder.join("record"))?;
    let mut waiting: Vec<u64> = (FIRST..FIRST + pace.orders).collect();
    let mut out = io::stdout().lock();
    while !waiting.is_empty() {
        let mut still = Vec::new();
        for order in waiting {
            thread::sleep(pace.gap);
            let body = client.poll(&target, order)?.to_vec();
            if !body.starts_with(b"errorCode=2") {
                record.append("polled")?;
                still.push(order);
                continue;
            }
            install(&body, order, &root, &files, &folder.join(domain(order)))?;
            record.append("installed")?;
            if !pace.one_hook {
                hook()?;
                writeln!(out, "{order} {}", clock::now().nanoseconds())?;
            }
        }
        waiting = still;
    }
    if pace.one_hook {
        hook()?;
        writeln!(out, "{}", clock::now().nanoseconds())?;
    }
    Ok(())
}

fn hook() -> io::Result<()> {
    Command::new("/bin/true").stdin(Stdio::null()).status().map(|_| ())
}

fn install(
    body: &[u8],
    order: u64,
    root: &CertificateDer<'_>,
    files: &Files,
    folder: &Path,
) -> io::Result<()> {
    let (mut leaf, mut authorities) = (Vec::new(), Vec::new());
    for (key, value) in form_urlencoded::parse(body) {
        match &*key {
            "certificate" => leaf = STANDARD.decode(&*value).map_err(io::Error::other)?,
            "caCertificate" => authorities.push(STANDARD.decode(&*value).map_err(io::Error::other)?),
            _ => {}
        }
    }
    verify(&leaf, &authorities, root, order, files)?;
    let chain: String = authorities[1..].iter().map(|der| pem(der)).collect();
    let cert = pem(&leaf);
    std::fs::create_dir_all(folder)?;
    let whole = format!("{cert}{chain}");
    let names = [("cert.pem", &cert), ("chain.pem", &chain), ("fullchain.pem", &whole), ("copy.pem", &whole)];
    for (name, content) in names {
        let temporary: PathBuf = folder.join(format!(".{name}"));
        let mut file = File::create(&temporary)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, folder.join(name))?;
    }
    File::open(folder)?.sync_all()
}

/// Chain, name and key.
fn verify(
    leaf: &[u8],
    authorities: &[Vec<u8>],
    root: &CertificateDer<'_>,
    order: u64,
    files: &Files,
) -> io::Result<()> {
    let der = CertificateDer::from(leaf);
    let certificate = EndEntityCert::try_from(&der).map_err(io::Error::other)?;
    let chain: Vec<CertificateDer<'_>> =
        authorities.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let anchor = anchor_from_trusted_cert(root).map_err(io::Error::other)?;
    certificate
        .verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &chain,
            UnixTime::now(),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(io::Error::other)?;
    let name = ServerName::try_from(domain(order)).map_err(io::Error::other)?;
    certificate.verify_is_valid_for_subject_name(&name).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(&std::fs::read(files.key())?).map_err(io::Error::other)?;
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(io::Error::other)?;
    let public = key.public_key().ok_or_else(|| io::Error::other("the key has no public half"))?;
    if public.as_ref() == certificate.subject_public_key_info().as_ref() {
        Ok(())
    } else {
        Err(io::Error::other("the key is another one"))
    }
}
