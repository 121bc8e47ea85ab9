//! A call, as the engine asks for it.

use std::sync::Arc;

use crate::api::Request;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// On which account; login and address are looked up there.
    pub account: Arc<str>,
    /// What is sent, but for the login.
    pub request: Request,
}
