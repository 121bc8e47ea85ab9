//! Measures certcollectd, beside what one would use in its place: `docs/performance.md`.
//!
//! | module | is |
//! | --- | --- |
//! | `rows` | what is measured, a file for each row of the table |
//! | `reference` | what one would use in place of the daemon |
//! | `mock` | the vendor |
//! | `site`, `daemon`, `process` | a place for a daemon, the daemon, what the kernel says of it |
//! | `store` | etcd, for fleets |
//! | `trace` | strace and valgrind |
//! | `gates` | counts that decide about a change |
//! | `judge`, `rule` | parts of the core that are measured by themselves |
//! | `figure`, `document`, `picture` | how figures are shown |

#![forbid(unsafe_code)]

pub mod bench;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod document;
pub mod figure;
pub mod gates;
pub mod judge;
pub mod mock;
pub mod picture;
pub mod process;
pub mod reference;
pub mod rows;
pub mod rule;
pub mod site;
pub mod store;
pub mod trace;
