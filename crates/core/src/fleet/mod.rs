//! Several hosts that share the certificates of one account. Pure, like the engine: rows of a store come in, rows to write
//! go out.
//!
//! | part | decides |
//! | --- | --- |
//! | [`keys`] | what each row is called |
//! | [`lease`] | which collector leads, and until when it may begin a call |

pub mod keys;
pub mod lease;
