//! What a certificate is; no files.
