//! What goes over the wire: products, endpoints, parameters, codes and answers. It sends nothing.
//!
//! Facts come from the vendor's pages under <https://docs.sectigo.com/sps/>; where those are silent,
//! from what clients in production had to learn. A tolerance for an odd answer belongs into [`reply`].

pub mod answer;
pub mod code;
pub mod dcv;
pub mod order;
pub mod push;
pub mod reply;
pub mod request;
pub mod untrusted;

pub use answer::{Answer, Failure, RetryAfter, http_date};
pub use order::{OrderRef, Product};
pub use reply::Reply;
pub use request::{Endpoint, Replace, ReplaceSsl, Request, Response, Several};
pub use untrusted::Untrusted;
