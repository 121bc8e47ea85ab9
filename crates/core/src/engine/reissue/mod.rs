//! Re-issues of a TLS order under its own number, asked for by an operator's word.

pub mod names;
