//! Endpoints, their paths, and the parameters that each call sends.
//!
//! The vendor refuses an argument it does not know (-2), so each endpoint sends exactly the documented
//! ones, in the documented spelling.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::dcv::Dcv;
use super::order::{OrderRef, Product};

words! {
    /// The vendor's endpoints that this daemon uses.
    pub enum Endpoint {
        /// <https://docs.sectigo.com/sps/collect-ssl/request>
        CollectSsl = "CollectSSL",
        /// <https://docs.sectigo.com/sps/collect-mc/request>
        CollectMc = "CollectMC",
        /// As CollectSSL, newline form only.
        CollectSmime = "CollectSMIME",
        /// The state of each domain of a multi-domain order.
        DomainDetails = "GetMDCDomainDetails",
        /// Not idempotent, never repeated blindly.
        ReplaceSmime = "AutoReplaceSMIME",
        /// Not idempotent: while a certificate is under way it changes the order instead.
        ReplaceSsl = "AutoReplaceSSL",
        ResendSmime = "ResendCollectionEmailSMIME",
    }
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
            Endpoint::ReplaceSsl => "/products/!AutoReplaceSSL",
            Endpoint::ResendSmime => "/products/!ResendCollectionEmailSMIME",
        }
    }

    pub fn collects(self) -> bool {
        matches!(self, Endpoint::CollectSsl | Endpoint::CollectMc | Endpoint::CollectSmime)
    }
}

/// In which form an answer with certificates is asked for, where the operator wants another one than the
/// product's most robust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Response {
    container: Container,
    form: Form,
}

/// `responseType`: what holds the certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Container {
    Zip,
    Netscape,
    Pkcs7,
    Individual,
    Cmmf,
}

/// `responseFormat` and `responseEncoding`: how it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    UrlEncoded,
    Lines,
    Binary,
}

impl Response {
    /// Every form that can be asked for, by the word of the configuration. CMMF is not among the structures that the
    /// vendor sends in binary: "queryType must be 1 and responseType must be 0 or 2" [doc: CollectSSL].
    pub const ALL: [(&'static str, Response); 11] = [
        ("individual", Response::new(Container::Individual, Form::UrlEncoded)),
        ("pkcs7", Response::new(Container::Pkcs7, Form::UrlEncoded)),
        ("zip", Response::new(Container::Zip, Form::UrlEncoded)),
        ("netscape", Response::new(Container::Netscape, Form::UrlEncoded)),
        ("pkcs7-binary", Response::new(Container::Pkcs7, Form::Binary)),
        ("zip-binary", Response::new(Container::Zip, Form::Binary)),
        ("individual-lines", Response::new(Container::Individual, Form::Lines)),
        ("pkcs7-lines", Response::new(Container::Pkcs7, Form::Lines)),
        ("zip-lines", Response::new(Container::Zip, Form::Lines)),
        ("netscape-lines", Response::new(Container::Netscape, Form::Lines)),
        ("cmmf", Response::new(Container::Cmmf, Form::Lines)),
    ];

    /// The words of [`Response::ALL`].
    pub const WORDS: [&'static str; Response::ALL.len()] = {
        let mut words = [""; Response::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = Response::ALL[at].0;
            at += 1;
        }
        words
    };

    const fn new(container: Container, form: Form) -> Self {
        Response { container, form }
    }

    /// The form of that word.
    pub fn from_word(word: &str) -> Option<Response> {
        Response::ALL.iter().find(|(known, _)| *known == word).map(|(_, response)| *response)
    }

    /// The product's most robust form. CollectSSL: URL-encoded, because the position of the optional lines of
    /// the other form is not pinned down. CollectMC: PKCS#7 in binary, the one combination that all of the
    /// vendor's pages allow. CollectSMIME answers in lines only.
    pub const fn standard(product: Product) -> Response {
        match product {
            Product::Ssl => Response::new(Container::Individual, Form::UrlEncoded),
            Product::Mark => Response::new(Container::Pkcs7, Form::Binary),
            Product::Smime => Response::new(Container::Individual, Form::Lines),
        }
    }

    /// Whether the product's endpoint has this form: the columns of its page.
    pub fn fits(self, product: Product) -> bool {
        use Container::{Cmmf, Individual, Netscape, Pkcs7, Zip};
        let container = match product {
            Product::Ssl => matches!(self.container, Zip | Netscape | Pkcs7 | Individual),
            Product::Mark => matches!(self.container, Zip | Pkcs7 | Individual),
            Product::Smime => matches!(self.container, Netscape | Pkcs7 | Individual | Cmmf),
        };
        // Binary is for a single structure; and the page of CollectSMIME has it for PKCS#7 only.
        let form = match (product, self.form) {
            (Product::Smime, Form::Binary) => self.container == Pkcs7,
            (_, Form::Binary) => matches!(self.container, Zip | Pkcs7),
            _ => true,
        };
        container && form
    }

    /// The words of the forms that a product has.
    pub fn fitting(product: Product) -> Vec<&'static str> {
        Response::ALL.iter().filter(|(_, form)| form.fits(product)).map(|(word, _)| *word).collect()
    }

    /// Whether the vendor's pages contradict each other: of the two about CollectMC, the older one knows ZIP and PKCS#7
    /// in binary only, the newer one all that [`Response::fits`] lets pass.
    pub fn is_disputed(self, product: Product) -> bool {
        product == Product::Mark && self.fits(product) && self.form != Form::Binary
    }

    fn response_type(self) -> &'static str {
        match self.container {
            Container::Zip => "0",
            Container::Netscape => "1",
            Container::Pkcs7 => "2",
            Container::Individual => "3",
            Container::Cmmf => "4",
        }
    }
}

/// One call without its login: the endpoint and its own parameters, in the order in which they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub endpoint: Endpoint,
    /// Name and value, unencoded.
    pub fields: Vec<(Cow<'static, str>, String)>,
}

impl Request {
    /// Asks for an order's status and, if it is issued, for the certificates in the same call:
    /// `queryType=1`, because a poll with `queryType=0` never gets further than status 1. A form that the
    /// product does not have gives way to its standard one.
    pub fn collect(product: Product, handle: &OrderRef, response: Option<Response>) -> Self {
        let response =
            response.filter(|wanted| wanted.fits(product)).unwrap_or_else(|| Response::standard(product));
        let options: &[&'static str] = match product {
            Product::Ssl => &[
                "showValidityPeriod",
                "showFQDN",
                "showExtStatus",
                "showMDCDomainDetails",
                "showMDCDomainDetails2",
                "showStatusDetails",
            ],
            Product::Mark => &[],
            Product::Smime => &["showValidityPeriod"],
        };
        let mut request = Request::new(product.endpoint()).with(handle.parameter(), handle.text());
        if product != Product::Mark {
            request = request.with("queryType", "1");
        }
        request = request.with("responseType", response.response_type());
        if response.form == Form::Binary {
            request = request.with("responseEncoding", "1");
        }
        if product == Product::Ssl && response.form == Form::UrlEncoded {
            request = request.with("responseFormat", "1");
        }
        options.iter().fold(request, |request, option| request.with(option, "Y"))
    }

    /// The same with further parameters of the operator's.
    pub fn along<'a>(mut self, more: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let more = more.into_iter().map(|(name, value)| (Cow::Owned(name.to_owned()), value.to_owned()));
        self.fields.extend(more);
        self
    }

    /// Whether a collecting call may set this parameter on its own. The vendor folds the case of names.
    pub fn is_own(name: &str) -> bool {
        let handles: [fn(Box<str>) -> OrderRef; 3] =
            [OrderRef::OrderNumber, OrderRef::CertificateId, OrderRef::BaseOrderNumber];
        let forms = || Response::ALL.into_iter().map(|(_, response)| response);
        let mut requests = [Product::Ssl, Product::Mark, Product::Smime].into_iter().flat_map(|product| {
            handles.into_iter().flat_map(move |handle| {
                forms().map(move |form| Request::collect(product, &handle("1".into()), Some(form)))
            })
        });
        let is_it = |known: &str| known.eq_ignore_ascii_case(name);
        LOGIN.into_iter().any(is_it)
            || requests.any(|request| request.fields.iter().any(|(known, _)| is_it(known)))
    }

    /// Asks for the state of each domain of an order, with the integer statuses.
    pub fn domain_details(order_number: &str) -> Self {
        Request::new(Endpoint::DomainDetails)
            .with("orderNumber", order_number)
            .with("showStatusDetails", "Y")
            .with("responseFormat", "1")
    }

    /// Has the collection mail of an S/MIME order sent again.
    pub fn resend_smime(order_number: &str) -> Self {
        Request::new(Endpoint::ResendSmime).with("orderNumber", order_number)
    }

    /// Has an S/MIME certificate replaced by one for another request. Not idempotent.
    pub fn replace_smime(replace: &Replace) -> Self {
        let mut request = Request::new(Endpoint::ReplaceSmime)
            .with("orderNumber", &replace.order_number)
            .with("csr", &replace.csr);
        if let Some(hash) = &replace.signature_hash {
            request = request.with("signatureHash", hash);
        }
        if replace.revoke_old {
            request = request.with("revokeOldOrder", "Y");
        }
        let more = replace.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        request.with("responseFormat", "1").along(more)
    }

    /// Has a TLS order's certificate issued anew, under the order's own number. Not idempotent. `exactOrder` keeps the vendor
    /// from a related order.
    pub fn replace_ssl(replace: &ReplaceSsl) -> Self {
        let mut request = Request::new(Endpoint::ReplaceSsl)
            .with("orderNumber", &replace.order_number)
            .with("csr", &replace.csr)
            .with("exactOrder", "Y")
            // -1 is none of the vendor's list.
            .with("serverSoftware", "-1")
            .with("isCustomerValidated", "Y")
            .with("dcvMethod", replace.dcv.method())
            .with("uniqueValue", &replace.unique);
        if let Some(several) = &replace.several {
            request = request.with("domainNames", &several.names.join(","));
            if let Some(primary) = &several.primary {
                request = request.with("primaryDomainName", primary);
            }
        }
        let more = replace.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        request.with("showCertificateID", "Y").with("responseFormat", "1").along(more)
    }

    /// Whether [`Request::replace_ssl`] sets this parameter itself. The vendor folds the case of names.
    pub fn is_own_of_replacement(name: &str) -> bool {
        let all = ReplaceSsl {
            order_number: String::new(),
            csr: String::new(),
            dcv: Dcv::Cname,
            unique: String::new(),
            several: Some(Several { names: Vec::new(), primary: Some(String::new()) }),
            parameters: Vec::new(),
        };
        let fields = Request::replace_ssl(&all).fields;
        let mut own = LOGIN.into_iter().chain(fields.iter().map(|(known, _)| &**known));
        own.any(|known| known.eq_ignore_ascii_case(name))
    }

    fn new(endpoint: Endpoint) -> Self {
        Request { endpoint, fields: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.fields.push((Cow::Borrowed(name), value.to_owned()));
        self
    }

    /// The whole form body, login included. It is wiped when dropped, and must not be shown to anyone.
    pub fn body(&self, login_name: &str, password: &str) -> Zeroizing<Vec<u8>> {
        let pairs = || {
            LOGIN
                .into_iter()
                .zip([login_name, password])
                .chain(self.fields.iter().map(|(name, value)| (&**name, value.as_str())))
        };
        // Sized once, for the case that every byte is escaped: a growing buffer would leave unwiped copies.
        let most = pairs().map(|(name, value)| 3 * (name.len() + value.len()) + 2).sum();
        let mut body = Zeroizing::new(Vec::with_capacity(most));
        for (name, value) in pairs() {
            if !body.is_empty() {
                body.push(b'&');
            }
            encode(name, &mut body);
            body.push(b'=');
            encode(value, &mut body);
        }
        body
    }
}

/// The names of the login.
const LOGIN: [&str; 2] = ["loginName", "loginPassword"];

fn encode(text: &str, body: &mut Vec<u8>) {
    for piece in form_urlencoded::byte_serialize(text.as_bytes()) {
        body.extend_from_slice(piece.as_bytes());
    }
}

/// What AutoReplaceSMIME is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Replace {
    /// The order whose certificate is replaced, at most 128 characters.
    pub order_number: String,
    /// PKCS#10 in base64, with or without armour, at most [`Replace::MAX_CSR`] characters.
    pub csr: String,
    /// One of [`Replace::SIGNATURE_HASHES`].
    pub signature_hash: Option<String>,
    pub revoke_old: bool,
    /// Further parameters, name and value, passed through as they are: language, template ids, `caCertificateID`.
    pub parameters: Vec<(String, String)>,
}

impl Replace {
    /// Characters of `csr` that the vendor takes [seed: AutoReplaceSMIME].
    pub const MAX_CSR: usize = 32_767;
    /// Values of `signatureHash` \[doc\].
    pub const SIGNATURE_HASHES: [&'static str; 5] =
        ["NO_PREFERENCE", "INFER_FROM_CSR", "PREFER_SHA2", "PREFER_SHA1", "REQUIRE_SHA2"];
}

/// What AutoReplaceSSL is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplaceSsl {
    /// The order whose certificate is issued anew; it keeps the number.
    pub order_number: String,
    /// PKCS#10, DER in base64.
    pub csr: String,
    pub dcv: Dcv,
    /// `uniqueValue`, see [`super::dcv::unique_value`].
    pub unique: String,
    /// Only for a multi-domain order: what is left out is lost.
    pub several: Option<Several>,
    /// Further parameters, name and value, passed through as they are.
    pub parameters: Vec<(String, String)>,
}

/// The names of a multi-domain certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several {
    pub names: Vec<String>,
    /// The common name, where the certificate has one.
    pub primary: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &Request, expected: &str) {
        let body = request.body("acme login", "p&s=s+w%rd");
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
    }

    const LOGIN: &str = "loginName=acme+login&loginPassword=p%26s%3Ds%2Bw%25rd";

    #[test]
    fn each_product_sends_its_documented_parameters() {
        let shown = "&showValidityPeriod=Y&showFQDN=Y&showExtStatus=Y&showMDCDomainDetails=Y&showMDCDomainDetails2=Y\
                     &showStatusDetails=Y";
        let number = |text: &str| OrderRef::OrderNumber(text.into());
        check(
            &Request::collect(Product::Ssl, &number("12 3"), None),
            &format!("{LOGIN}&orderNumber=12+3&queryType=1&responseType=3&responseFormat=1{shown}"),
        );
        check(
            &Request::collect(Product::Mark, &number("77"), None),
            &format!("{LOGIN}&orderNumber=77&responseType=2&responseEncoding=1"),
        );
        check(
            &Request::collect(Product::Smime, &number("5"), None),
            &format!("{LOGIN}&orderNumber=5&queryType=1&responseType=3&showValidityPeriod=Y"),
        );
        check(
            &Request::domain_details("5"),
            &format!("{LOGIN}&orderNumber=5&showStatusDetails=Y&responseFormat=1"),
        );
        check(&Request::resend_smime("5"), &format!("{LOGIN}&orderNumber=5"));
        let replace = Replace {
            order_number: "5".into(),
            csr: "MII+".into(),
            signature_hash: Some("REQUIRE_SHA2".into()),
            revoke_old: true,
            parameters: vec![("odd name".into(), "a=b".into())],
        };
        check(
            &Request::replace_smime(&replace),
            &format!(
                "{LOGIN}&orderNumber=5&csr=MII%2B&signatureHash=REQUIRE_SHA2&revokeOldOrder=Y&responseFormat=1&odd+name=a%3Db"
            ),
        );
    }

    #[test]
    fn the_operator_can_choose_the_form_where_the_product_has_it() {
        let fields = |product, word: &str| {
            let response = Response::from_word(word);
            assert!(response.is_some(), "{word}");
            let request = Request::collect(product, &OrderRef::OrderNumber("1".into()), response);
            let of = |name: &str| {
                request
                    .fields
                    .iter()
                    .find(|(known, _)| known == name)
                    .map_or("-", |(_, value)| value)
                    .to_owned()
            };
            [of("responseType"), of("responseEncoding"), of("responseFormat")].join(" ")
        };
        assert_eq!(fields(Product::Ssl, "zip"), "0 - 1");
        assert_eq!(fields(Product::Ssl, "netscape-lines"), "1 - -");
        assert_eq!(fields(Product::Ssl, "pkcs7-binary"), "2 1 -");
        assert_eq!(fields(Product::Ssl, "cmmf"), "3 - 1", "not a form of this product");
        assert_eq!(fields(Product::Mark, "individual"), "3 - -");
        assert_eq!(fields(Product::Mark, "zip"), "0 - -");
        assert_eq!(fields(Product::Mark, "netscape"), "2 1 -", "not a form of this product");
        assert_eq!(fields(Product::Smime, "cmmf"), "4 - -");
        assert_eq!(fields(Product::Smime, "pkcs7-binary"), "2 1 -");
        assert_eq!(fields(Product::Smime, "zip"), "3 - -", "not a form of this product");
        for word in ["pkcs12", "cmmf-binary", "netscape-binary", "individual-binary", ""] {
            assert_eq!(Response::from_word(word), None, "{word}");
        }
        for (word, response) in Response::ALL {
            let products = [Product::Ssl, Product::Mark, Product::Smime];
            assert!(products.into_iter().any(|product| response.fits(product)), "{word} is for nobody");
        }
    }

    #[test]
    fn the_body_never_grows_beyond_its_first_allocation() {
        let request =
            Request::collect(Product::Ssl, &OrderRef::OrderNumber("\u{fe}".repeat(128).into()), None);
        let most = request.body("\u{fe}", "\u{fe}");
        assert!(most.len() <= most.capacity());
        let name = OrderRef::BaseOrderNumber("1".into());
        assert_eq!(name.parameter(), "baseOrderNumber");
    }

    #[test]
    fn a_re_issue_sends_its_fields_in_their_order() {
        let mut replace = ReplaceSsl {
            order_number: "5".into(),
            csr: "MII+".into(),
            dcv: Dcv::Https,
            unique: "u1".into(),
            several: None,
            parameters: Vec::new(),
        };
        let head = |method: &str| {
            format!(
                "{LOGIN}&orderNumber=5&csr=MII%2B&exactOrder=Y&serverSoftware=-1&isCustomerValidated=Y\
                 &dcvMethod={method}_CSR_HASH&uniqueValue=u1"
            )
        };
        let tail = "&showCertificateID=Y&responseFormat=1";
        check(&Request::replace_ssl(&replace), &format!("{}{tail}", head("HTTPS")));
        for (dcv, method) in [(Dcv::Cname, "CNAME"), (Dcv::Http, "HTTP"), (Dcv::Reuse, "CNAME")] {
            replace.dcv = dcv;
            check(&Request::replace_ssl(&replace), &format!("{}{tail}", head(method)));
        }
        let names = || vec!["a.example".into(), "b.example".into()];
        replace.several = Some(Several { names: names(), primary: None });
        let list = "&domainNames=a.example%2Cb.example";
        check(&Request::replace_ssl(&replace), &format!("{}{list}{tail}", head("CNAME")));
        replace.several = Some(Several { names: names(), primary: Some("b.example".into()) });
        replace.parameters = vec![("foreignOrderNumber".into(), "x y".into())];
        check(
            &Request::replace_ssl(&replace),
            &format!("{}{list}&primaryDomainName=b.example{tail}&foreignOrderNumber=x+y", head("CNAME")),
        );
    }

    #[test]
    fn no_parameter_of_a_re_issue_is_named_twice() {
        for own in ["loginName", "ORDERNUMBER", "csr", "domainnames", "primaryDomainName", "uniqueValue"] {
            assert!(Request::is_own_of_replacement(own), "{own}");
        }
        assert!(!Request::is_own_of_replacement("foreignOrderNumber"));
    }
}
