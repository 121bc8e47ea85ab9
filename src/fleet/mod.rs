//! A host in its fleet, round the loop that every daemon has.
//!
//! | part | is |
//! | --- | --- |
//! | [`collector`] | standby, takeover, and the loop for as long as this host leads |
//! | [`member`] | what both roles need: the store, the name, how the host stands |

pub mod collector;
pub mod member;
