//! The private key of `--key`, which a client's `key_file` can name.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::KeyPair;

use super::cause;
use crate::script::{OrderSpec, Product};

/// Longest key in bytes: RSA with 16,384 bits has 13 KB.
const LONGEST: u64 = 64 * 1024;

/// Hands the key to every TLS order that has none.
pub(super) fn give(path: &Path, orders: &mut [OrderSpec]) -> Result<(), String> {
    let key = read_or_make(path).map_err(|error| format!("--key {}: {}", path.display(), cause(&error)))?;
    for order in orders.iter_mut().filter(|order| order.product == Product::Ssl) {
        let spec = &mut order.certificate;
        if spec.key.is_none() && !spec.new_key {
            spec.key = Some(key.clone());
        }
    }
    Ok(())
}

fn read_or_make(path: &Path) -> io::Result<String> {
    match File::open(path) {
        Ok(file) => {
            let mut text = String::new();
            file.take(LONGEST).read_to_string(&mut text)?;
            Ok(text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = KeyPair::generate().map_err(io::Error::other)?.serialize_pem();
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(key.as_bytes())?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
