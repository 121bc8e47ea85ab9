//! A host in its fleet, round the loop that every daemon has.
//!
//! | part | is |
//! | --- | --- |
//! | [`collector`] | standby, takeover, and the loop for as long as this host leads |
//! | [`feed`] | rows below some prefixes, listed and watched |
//! | [`follower`] | what is published, to the engine; how far it is, to the store |
//! | [`hints`] | push notifications that came to another collector than the leader |
//! | [`member`] | what both roles need: the store, the name, how the host stands |
//! | [`moving`] | a host's own state becomes a fleet's, and back |
//! | [`reports`] | what a follower says of itself |
//! | [`rollouts`] | what hosts report, and how far each generation may spread: the leader's |

pub mod collector;
pub mod feed;
pub mod follower;
pub mod hints;
pub mod member;
pub mod moving;
pub mod reports;
pub mod rollouts;
