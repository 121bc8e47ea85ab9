//! What an order is asked for with.

use crate::api::{Product, Request};
use crate::engine::order::Order;

impl Order<'_> {
    /// The call that collects an order: in the form that its entry, its account or its product wants, with the
    /// parameters of both. An account's are for `ssl` orders.
    pub(in crate::engine) fn collect_request(&self) -> Request {
        let entry = self.entry();
        let settings = &entry.settings;
        let account = self.config.account(&entry.account);
        let response = settings.response.or_else(|| account.and_then(|account| account.response));
        let own = || settings.params.iter();
        let shared = account.iter().flat_map(|account| &account.params).filter(|(name, _)| {
            settings.product == Product::Ssl && !own().any(|(known, _)| known.eq_ignore_ascii_case(name))
        });
        Request::collect(settings.product, &entry.handle, response)
            .along(own().chain(shared).map(|(name, value)| (&**name, &**value)))
    }
}
