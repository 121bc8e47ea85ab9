//! One file for each subcommand, and for what several of them need.

pub mod adopt;
mod asked;
mod block_on;
pub mod bridge;
pub mod check;
pub mod complete;
mod csr;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod doctor;
pub mod domains;
pub mod exit;
pub mod explain;
pub mod fleet;
pub mod follow;
pub mod forecast;
pub mod generate;
pub mod health;
pub mod init;
mod live;
mod load;
mod lookout;
mod manual;
pub mod order;
mod order_number;
mod prepare;
pub mod print;
pub mod reissue;
pub mod run;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod smime;
mod socket;
pub mod status;
mod store;
mod unknown;
pub mod watch;
