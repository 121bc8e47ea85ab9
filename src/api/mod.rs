//! What goes over the wire: products, endpoints, parameters, codes and answers. It sends nothing.

/// The three kinds of order this daemon collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// A TLS server certificate, collected with CollectSSL.
    Ssl,
    /// A mark certificate (VMC or CMC), collected with CollectMC.
    Mark,
    /// An S/MIME certificate, collected with CollectSMIME.
    Smime,
}

impl Product {
    /// The word used in the config file, in the hook environment and in `status`.
    pub fn word(self) -> &'static str {
        match self {
            Product::Ssl => "ssl",
            Product::Mark => "mark",
            Product::Smime => "smime",
        }
    }
}

/// How an order is named to the vendor. All three are opaque text to us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handle {
    /// `orderNumber`, at most 128 characters.
    OrderNumber(Box<str>),
    /// `certificateID`, at most 16 digits; can also name a replaced certificate (CollectSSL 1.21).
    CertificateId(Box<str>),
    /// `baseOrderNumber`, an integer: the newest certificate of a family of orders.
    BaseOrderNumber(Box<str>),
}
