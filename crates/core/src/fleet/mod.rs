//! Several hosts that share the certificates of one account. Pure, like the engine: rows of a store come in, rows to write
//! go out.
//!
//! | part | decides |
//! | --- | --- |
//! | [`form`] | whether a row is one: whole, strict, bounded |
//! | [`keys`] | what each row is called |
//! | [`lease`] | which collector leads, and until when it may begin a call |
//! | [`progress`] | how far a host is with what it was given |
//! | [`published`] | what is published of an order, and which generation is news |
//! | [`report`] | what a host tells about itself |
//! | [`rollout`] | how a generation spreads over the hosts |
//! | [`rows`] | what the leader remembers, as rows that another machine can read |

pub mod form;
pub mod keys;
pub mod lease;
pub mod progress;
pub mod published;
pub mod report;
pub mod rollout;
pub mod rows;
