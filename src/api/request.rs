//! Endpoints, their paths, and the parameters that each call sends.
//!
//! The vendor refuses an argument it does not know (-2), so each endpoint sends exactly the documented
//! ones, in the documented spelling.

use zeroize::Zeroizing;

use super::{Handle, Product};

/// The vendor's endpoints that this daemon uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// <https://docs.sectigo.com/sps/collect-ssl/request>
    CollectSsl,
    /// <https://docs.sectigo.com/sps/collect-mc/request>
    CollectMc,
    /// CollectSMIME: as CollectSSL, newline form only.
    CollectSmime,
    /// GetMDCDomainDetails: the state of each domain of a multi-domain order.
    DomainDetails,
    /// AutoReplaceSMIME: not idempotent, never repeated blindly.
    ReplaceSmime,
    /// ResendCollectionEmailSMIME.
    ResendSmime,
}

impl Endpoint {
    /// Path below the account's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::CollectSsl => "/products/download/CollectSSL",
            Endpoint::CollectMc => "/products/download/CollectMC",
            Endpoint::CollectSmime => "/products/download/CollectSMIME",
            Endpoint::DomainDetails => "/products/!GetMDCDomainDetails",
            Endpoint::ReplaceSmime => "/products/!AutoReplaceSMIME",
            Endpoint::ResendSmime => "/products/!ResendCollectionEmailSMIME",
        }
    }

    /// The vendor's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Endpoint::CollectSsl => "CollectSSL",
            Endpoint::CollectMc => "CollectMC",
            Endpoint::CollectSmime => "CollectSMIME",
            Endpoint::DomainDetails => "GetMDCDomainDetails",
            Endpoint::ReplaceSmime => "AutoReplaceSMIME",
            Endpoint::ResendSmime => "ResendCollectionEmailSMIME",
        }
    }

    /// Whether it brings certificates.
    pub fn collects(self) -> bool {
        matches!(self, Endpoint::CollectSsl | Endpoint::CollectMc | Endpoint::CollectSmime)
    }
}

/// One call without its login: the endpoint and its own parameters, in the order in which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// Name and value, unencoded.
    pub fields: Vec<(&'static str, String)>,
}

impl Request {
    /// Asks for an order's status and, if it is issued, for the certificates in the same call.
    ///
    /// CollectSSL: `queryType=1`, because a poll with `queryType=0` never gets further than status 1;
    /// `responseFormat=1`, because the position of the optional lines of format 0 is not pinned down.
    /// CollectMC: PKCS#7 in binary, the one combination that all of the vendor's pages allow.
    pub fn collect(product: Product, handle: &Handle) -> Self {
        let mut fields = vec![(handle.parameter(), handle.text().to_owned())];
        let mut add = |name: &'static str, value: &str| fields.push((name, value.to_owned()));
        match product {
            Product::Ssl => {
                add("queryType", "1");
                add("responseType", "3");
                add("responseFormat", "1");
                add("showValidityPeriod", "Y");
                add("showFQDN", "Y");
                add("showExtStatus", "Y");
                add("showMDCDomainDetails", "Y");
                add("showMDCDomainDetails2", "Y");
                add("showStatusDetails", "Y");
            }
            Product::Mark => {
                add("responseType", "2");
                add("responseEncoding", "1");
            }
            Product::Smime => {
                add("queryType", "1");
                add("responseType", "3");
                add("showValidityPeriod", "Y");
            }
        }
        Request { endpoint: product.endpoint(), fields }
    }

    /// The whole form body, login included. It is wiped when dropped, and must not be shown to anyone.
    pub fn body(&self, login_name: &str, password: &str) -> Zeroizing<Vec<u8>> {
        let pairs = || {
            [("loginName", login_name), ("loginPassword", password)]
                .into_iter()
                .chain(self.fields.iter().map(|(name, value)| (*name, value.as_str())))
        };
        // Sized once, for the case that every byte is escaped: a growing buffer would leave unwiped copies.
        let most = pairs().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut body = Zeroizing::new(Vec::with_capacity(most));
        for (name, value) in pairs() {
            if !body.is_empty() {
                body.push(b'&');
            }
            body.extend_from_slice(name.as_bytes());
            body.push(b'=');
            for piece in form_urlencoded::byte_serialize(value.as_bytes()) {
                body.extend_from_slice(piece.as_bytes());
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &Request, expected: &str) {
        let body = request.body("acme login", "p&s=s+w%rd");
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
    }

    #[test]
    fn each_product_sends_its_documented_parameters() {
        let login = "loginName=acme+login&loginPassword=p%26s%3Ds%2Bw%25rd";
        check(
            &Request::collect(Product::Ssl, &Handle::OrderNumber("12 3".into())),
            &format!(
                "{login}&orderNumber=12+3&queryType=1&responseType=3&responseFormat=1&showValidityPeriod=Y\
                 &showFQDN=Y&showExtStatus=Y&showMDCDomainDetails=Y&showMDCDomainDetails2=Y&showStatusDetails=Y"
            ),
        );
        check(
            &Request::collect(Product::Mark, &Handle::OrderNumber("77".into())),
            &format!("{login}&orderNumber=77&responseType=2&responseEncoding=1"),
        );
        check(
            &Request::collect(Product::Smime, &Handle::OrderNumber("5".into())),
            &format!("{login}&orderNumber=5&queryType=1&responseType=3&showValidityPeriod=Y"),
        );
        check(
            &Request { endpoint: Endpoint::ResendSmime, fields: vec![("orderNumber", "5".into())] },
            &format!("{login}&orderNumber=5"),
        );
    }

    #[test]
    fn the_body_never_grows_beyond_its_first_allocation() {
        let request = Request::collect(Product::Ssl, &Handle::OrderNumber("\u{fe}".repeat(128).into()));
        let most = request.body("\u{fe}", "\u{fe}");
        assert!(most.len() <= most.capacity());
        let name = Handle::BaseOrderNumber("1".into());
        assert_eq!(name.parameter(), "baseOrderNumber");
    }
}
