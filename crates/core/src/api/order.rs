//! Kinds of order, and how an order is named to the vendor.

use super::request::Endpoint;
use super::untrusted::Untrusted;

words! {
    /// The three kinds of order this daemon collects.
    pub enum Product {
        /// A TLS server certificate, collected with CollectSSL.
        Ssl = "ssl",
        /// A mark certificate (VMC or CMC), collected with CollectMC.
        Mark = "mark",
        /// An S/MIME certificate, collected with CollectSMIME.
        Smime = "smime",
    }
}

impl Product {
    /// The endpoint that collects orders of this kind.
    pub fn endpoint(self) -> Endpoint {
        match self {
            Product::Ssl => Endpoint::CollectSsl,
            Product::Mark => Endpoint::CollectMc,
            Product::Smime => Endpoint::CollectSmime,
        }
    }
}

/// How an order is named to the vendor. All three are opaque text to us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderRef {
    /// `orderNumber`, at most 128 characters.
    OrderNumber(Box<str>),
    /// `certificateID`, at most 16 digits; can also name a replaced certificate (CollectSSL 1.21).
    CertificateId(Box<str>),
    /// `baseOrderNumber`, an integer: the newest certificate of a family of orders.
    BaseOrderNumber(Box<str>),
}

impl OrderRef {
    /// Characters of `orderNumber` that the vendor takes [seed: CollectSSL].
    pub const MAX_ORDER_NUMBER: usize = 128;

    pub fn text(&self) -> &str {
        match self {
            OrderRef::OrderNumber(text) | OrderRef::CertificateId(text) | OrderRef::BaseOrderNumber(text) => {
                text
            }
        }
    }

    /// The vendor's parameter that carries it.
    pub fn parameter(&self) -> &'static str {
        match self {
            OrderRef::OrderNumber(_) => "orderNumber",
            OrderRef::CertificateId(_) => "certificateID",
            OrderRef::BaseOrderNumber(_) => "baseOrderNumber",
        }
    }

    /// Parameter and number, as the state remembers which order a record is about.
    pub fn identity(&self) -> String {
        format!("{} {}", self.parameter(), self.text())
    }

    /// The number in what [`OrderRef::identity`] gives.
    pub fn text_of(identity: &str) -> &str {
        identity.split_once(' ').map_or(identity, |(_, text)| text)
    }

    /// As operators read it: `order 123`, `certificate 123`, `base order 123`.
    pub fn describe(&self) -> String {
        match self {
            OrderRef::OrderNumber(text) => format!("order {}", Untrusted::new(text)),
            OrderRef::CertificateId(text) => format!("certificate {}", Untrusted::new(text)),
            OrderRef::BaseOrderNumber(text) => format!("base order {}", Untrusted::new(text)),
        }
    }
}
