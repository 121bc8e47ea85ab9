//! The endpoints, their parameters, and the strictness with which the vendor takes them.
//!
//! Names are folded in case: the vendor's own CollectMC sample sends `RESPONSETYPE`. Values are not.
//! A parameter that is not in the endpoint's table is refused with -2: third-party clients had to learn
//! which endpoints take `responseFormat`.

use std::collections::BTreeMap;

use super::refusal::Refusal;

/// The endpoints that exist here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Endpoint {
    CollectSsl,
    CollectMc,
    CollectSmime,
    DomainDetails,
    ReplaceSsl,
    ReplaceSmime,
    ResendSmime,
}

impl Endpoint {
    pub(super) const ALL: [Endpoint; 7] = [
        Endpoint::CollectSsl,
        Endpoint::CollectMc,
        Endpoint::CollectSmime,
        Endpoint::DomainDetails,
        Endpoint::ReplaceSsl,
        Endpoint::ReplaceSmime,
        Endpoint::ResendSmime,
    ];

    /// Whether it brings certificates.
    pub(super) fn collects(self) -> bool {
        matches!(self, Endpoint::CollectSsl | Endpoint::CollectMc | Endpoint::CollectSmime)
    }

    /// The vendor's name, also used in `denied`, in faults and in the records.
    pub(super) fn name(self) -> &'static str {
        match self {
            Endpoint::CollectSsl => "CollectSSL",
            Endpoint::CollectMc => "CollectMC",
            Endpoint::CollectSmime => "CollectSMIME",
            Endpoint::DomainDetails => "GetMDCDomainDetails",
            Endpoint::ReplaceSsl => "AutoReplaceSSL",
            Endpoint::ReplaceSmime => "AutoReplaceSMIME",
            Endpoint::ResendSmime => "ResendCollectionEmailSMIME",
        }
    }

    /// The endpoint of this vendor's name.
    pub(super) fn named(name: &str) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == name)
    }

    /// The endpoint at this path. Two of the vendor's samples post to `/products/!CollectMC`, so that
    /// path works too.
    pub(super) fn at(path: &str) -> Option<Endpoint> {
        // Clients that encode the exclamation mark mean the same path.
        let path = path.replace("%21", "!");
        let named = |prefix: &str| path.strip_prefix(prefix).and_then(Endpoint::named);
        let is_command = |endpoint: &Endpoint| !endpoint.collects() || *endpoint == Endpoint::CollectMc;
        let download = named("/products/download/").filter(|endpoint| endpoint.collects());
        download.or_else(|| named("/products/!").filter(is_command))
    }

    /// Its parameters, without the login.
    fn rules(self) -> &'static [Rule] {
        match self {
            Endpoint::CollectSsl => COLLECT_SSL,
            Endpoint::CollectMc => COLLECT_MC,
            Endpoint::CollectSmime => COLLECT_SMIME,
            Endpoint::DomainDetails => DOMAIN_DETAILS,
            Endpoint::ReplaceSsl => REPLACE_SSL,
            Endpoint::ReplaceSmime => REPLACE_SMIME,
            Endpoint::ResendSmime => RESEND_SMIME,
        }
    }
}

/// One parameter of an endpoint.
struct Rule {
    name: &'static str,
    required: bool,
    kind: Kind,
}

/// What a value must look like.
#[derive(Clone, Copy)]
enum Kind {
    /// Text, with its maximum number of characters.
    Text(usize),
    /// "integer", with its maximum number of digits.
    Digits(usize),
    /// An integer that may be below zero, with its maximum number of digits.
    Signed(usize),
    /// ASCII letters and digits, with their maximum number.
    Alphanumeric(usize),
    /// One of these, letter for letter.
    OneOf(&'static [&'static str]),
}

/// Maximum number of digits of an integer whose page gives no length.
const INTEGER: Kind = Kind::Digits(18);
const YES_NO: Kind = Kind::OneOf(&["Y", "N"]);

const fn required(name: &'static str, kind: Kind) -> Rule {
    Rule { name, required: true, kind }
}

const fn optional(name: &'static str, kind: Kind) -> Rule {
    Rule { name, required: false, kind }
}

const LOGIN_NAME: Rule = required("loginName", Kind::Text(64));
const LOGIN_PASSWORD: Rule = required("loginPassword", Kind::Text(128));

/// CollectSSL page. That one of the first three is needed is checked with the other rules between
/// parameters, in `collect`.
const COLLECT_SSL: &[Rule] = &[
    optional("orderNumber", Kind::Text(128)),
    optional("certificateID", Kind::Digits(16)),
    optional("baseOrderNumber", INTEGER),
    required("queryType", Kind::OneOf(&["0", "1", "2", "3"])),
    optional("responseType", Kind::OneOf(&["0", "1", "2", "3"])),
    optional("responseEncoding", Kind::OneOf(&["0", "1"])),
    optional("responseFormat", Kind::OneOf(&["0", "1"])),
    optional("showValidityPeriod", YES_NO),
    optional("showFQDN", YES_NO),
    optional("showExtStatus", YES_NO),
    optional("showMDCDomainDetails", YES_NO),
    optional("showMDCDomainDetails2", YES_NO),
    optional("showStatusDetails", YES_NO),
    optional("behaviourVersion", INTEGER),
];

/// CollectMC, the newer of its pages (`sps/mark-certificates/endpoint-collect-mc`): it has 3 = PEM.
const COLLECT_MC: &[Rule] = &[
    required("orderNumber", INTEGER),
    optional("responseType", Kind::OneOf(&["0", "2", "3"])),
    optional("responseEncoding", Kind::OneOf(&["0", "1"])),
];

/// CollectSMIME page; 4 is CMMF.
const COLLECT_SMIME: &[Rule] = &[
    required("orderNumber", INTEGER),
    required("queryType", Kind::OneOf(&["0", "1", "2", "3"])),
    optional("responseType", Kind::OneOf(&["1", "2", "3", "4"])),
    optional("responseEncoding", Kind::OneOf(&["0", "1"])),
    optional("showValidityPeriod", YES_NO),
];

/// GetMDCDomainDetails page.
const DOMAIN_DETAILS: &[Rule] = &[
    required("orderNumber", INTEGER),
    optional("showStatusDetails", YES_NO),
    optional("responseFormat", Kind::OneOf(&["1", "2"])),
];

/// AutoReplaceSSL page, whose stored copy ends inside its table: what it lacks is what clients in production send.
const REPLACE_SSL: &[Rule] = &[
    required("orderNumber", INTEGER),
    required("csr", Kind::Text(32_767)),
    optional("exactOrder", YES_NO),
    optional("serverSoftware", Kind::Signed(3)),
    optional("domainNames", Kind::Text(32_767)),
    optional("primaryDomainName", Kind::Text(64)),
    optional("maxSubjectCNs", INTEGER),
    optional("dcvMethod", Kind::OneOf(&["EMAIL", "HTTP_CSR_HASH", "HTTPS_CSR_HASH", "CNAME_CSR_HASH"])),
    optional("dcvEmailAddress", Kind::Text(255)),
    optional("dcvEmailAddresses", Kind::Text(32_767)),
    optional("uniqueValue", Kind::Alphanumeric(20)),
    optional("isCustomerValidated", YES_NO),
    optional("showCertificateID", YES_NO),
    optional("prioritiseCSRValues", YES_NO),
    optional("foreignOrderNumber", Kind::Text(64)),
    optional("emailAddress", Kind::Text(255)),
    optional("countryName", Kind::Text(2)),
    optional("joiLocalityName", Kind::Text(128)),
    optional("joiStateOrProvinceName", Kind::Text(128)),
    optional("joiCountryName", Kind::Text(2)),
    optional("responseFormat", Kind::OneOf(&["0", "1"])),
];

/// AutoReplaceSMIME page. PREFER_SHA1 is not on the page's list today, but its text falls back to it.
const REPLACE_SMIME: &[Rule] = &[
    required("orderNumber", Kind::Text(128)),
    required("csr", Kind::Text(32_767)),
    optional(
        "signatureHash",
        Kind::OneOf(&["NO_PREFERENCE", "INFER_FROM_CSR", "PREFER_SHA2", "PREFER_SHA1", "REQUIRE_SHA2"]),
    ),
    optional("caCertificateID", INTEGER),
    optional("revokeOldOrder", YES_NO),
    optional("responseFormat", Kind::OneOf(&["0", "1", "2"])),
];

/// ResendCollectionEmailSMIME page.
const RESEND_SMIME: &[Rule] = &[required("orderNumber", Kind::Text(128))];

/// A body as it was sent: names and values in order, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Takes an `application/x-www-form-urlencoded` body apart.
    pub(super) fn parse(body: &[u8]) -> Form {
        Form { pairs: form_urlencoded::parse(body).into_owned().collect() }
    }

    /// Takes the parameters of a URL's query in as well, after those of the body.
    pub(super) fn add(&mut self, query: &[u8]) {
        self.pairs.extend(form_urlencoded::parse(query).into_owned());
    }

    /// The first value of this name, in any case.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(sent, _)| sent.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The names in the order in which they were sent.
    pub(super) fn names(&self) -> Vec<String> {
        self.pairs.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Everything but the login, by the names as sent.
    pub(super) fn fields(&self) -> BTreeMap<String, String> {
        let secret =
            |name: &str| [LOGIN_NAME, LOGIN_PASSWORD].iter().any(|rule| name.eq_ignore_ascii_case(rule.name));
        self.pairs.iter().filter(|(name, _)| !secret(name)).cloned().collect()
    }

    /// Login name and password, or which of them is missing or too long.
    pub(super) fn login(&self) -> Result<(&str, &str), Refusal> {
        let value = |rule: Rule| rule.check(self.get(rule.name)).map(Option::unwrap_or_default);
        Ok((value(LOGIN_NAME)?, value(LOGIN_PASSWORD)?))
    }
}

/// Parameters that were found to be in order, by their documented names.
#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    values: BTreeMap<String, String>,
}

impl Args {
    /// Checks a form against the endpoint's table. `extra` are names that it takes besides: the
    /// AutoReplaceSMIME page lost the names of its template parameters. Where `ignore_empty` is set, an empty
    /// value counts as not sent: some clients send every field, and no page documents the outcome.
    pub(super) fn check(
        endpoint: Endpoint,
        form: &Form,
        extra: &[String],
        ignore_empty: bool,
    ) -> Result<Args, Refusal> {
        let mut values = BTreeMap::new();
        for (sent, value) in form.pairs.iter().filter(|(_, value)| !(ignore_empty && value.is_empty())) {
            if [LOGIN_NAME, LOGIN_PASSWORD].iter().any(|rule| sent.eq_ignore_ascii_case(rule.name)) {
                continue;
            }
            let known = endpoint.rules().iter().map(|rule| rule.name);
            let name = known
                .chain(extra.iter().map(String::as_str))
                .find(|name| sent.eq_ignore_ascii_case(name))
                .ok_or_else(|| Refusal::unrecognized(endpoint, sent))?;
            // Not documented; no client means to send a parameter twice.
            if values.insert(name.to_owned(), value.clone()).is_some() {
                return Err(Refusal::invalid(name));
            }
        }
        for rule in endpoint.rules() {
            rule.check(values.get(rule.name).map(String::as_str))?;
        }
        Ok(Args { values })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether a Y/N parameter is Y; N is every default.
    pub(super) fn yes(&self, name: &str) -> bool {
        self.get(name) == Some("Y")
    }
}

impl Rule {
    /// Takes a value that was sent, or refuses it.
    fn check<'a>(&self, value: Option<&'a str>) -> Result<Option<&'a str>, Refusal> {
        if self.required && value.is_none_or(str::is_empty) {
            return Err(Refusal::missing(self.name));
        }
        if value.is_some_and(|value| !self.kind.fits(value)) {
            return Err(Refusal::invalid(self.name));
        }
        Ok(value)
    }
}

impl Kind {
    fn fits(self, value: &str) -> bool {
        match self {
            Kind::Text(most) => value.chars().count() <= most,
            Kind::Digits(most) => {
                !value.is_empty() && value.len() <= most && value.bytes().all(|byte| byte.is_ascii_digit())
            }
            Kind::Signed(most) => Kind::Digits(most).fits(value.strip_prefix('-').unwrap_or(value)),
            Kind::Alphanumeric(most) => {
                !value.is_empty()
                    && value.len() <= most
                    && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
            Kind::OneOf(values) => values.contains(&value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(endpoint: Endpoint, body: &str, expected: &str) {
        let form = Form::parse(body.as_bytes());
        let got = match Args::check(endpoint, &form, &["emailTemplateID".into()], false) {
            Ok(_) => "fine".into(),
            Err(refusal) => format!("{} {}", refusal.code, refusal.message),
        };
        assert_eq!(got, expected, "{body}");
    }

    #[test]
    fn names_are_folded_and_values_are_not() {
        check(Endpoint::CollectSsl, "ORDERNUMBER=1&QUERYTYPE=1&showfqdn=Y", "fine");
        check(
            Endpoint::CollectSsl,
            "orderNumber=1&queryType=1&showFQDN=y",
            "-4 The value of the 'showFQDN' argument is invalid!",
        );
    }

    #[test]
    fn what_an_endpoint_does_not_know_is_named() {
        check(
            Endpoint::CollectMc,
            "orderNumber=1&queryType=1",
            "-2 'queryType' is an unrecognized argument!",
        );
        check(Endpoint::CollectMc, "orderNumber=1&x=1", "-2 'x' is an unrecognized argument!");
        check(Endpoint::ResendSmime, "orderNumber=1&responseFormat=1", "-2 Unrecognised argument!");
        check(Endpoint::ReplaceSmime, "orderNumber=1&csr=AA&emailtemplateid=7", "fine");
    }

    #[test]
    fn a_reissue_takes_what_its_table_has() {
        let csr = "orderNumber=1&csr=AA";
        check(Endpoint::ReplaceSsl, csr, "fine");
        check(Endpoint::ReplaceSsl, "orderNumber=1", "-3 The 'csr' argument is missing!");
        check(Endpoint::ReplaceSsl, &format!("{csr}&serverSoftware=-1&uniqueValue=aB3"), "fine");
        for wrong in
            ["serverSoftware=none", "uniqueValue=a-b", "uniqueValue=123456789012345678901", "dcvMethod=DNS"]
        {
            let name = wrong.split('=').next().unwrap();
            let expected = format!("-4 The value of the '{name}' argument is invalid!");
            check(Endpoint::ReplaceSsl, &format!("{csr}&{wrong}"), &expected);
        }
        check(Endpoint::ReplaceSsl, &format!("{csr}&test=Y"), "-2 'test' is an unrecognized argument!");
    }

    #[test]
    fn what_is_missing_is_named() {
        check(Endpoint::CollectSsl, "orderNumber=1", "-3 The 'queryType' argument is missing!");
        check(Endpoint::CollectMc, "orderNumber=", "-3 The 'orderNumber' argument is missing!");
        let form = Form::parse(b"loginName=a");
        assert_eq!(form.login().unwrap_err().message, "The 'loginPassword' argument is missing!");
    }

    #[test]
    fn lengths_digits_and_lists_are_checked() {
        let invalid = |name: &str| format!("-4 The value of the '{name}' argument is invalid!");
        let ssl = |rest: &str| format!("queryType=1&{rest}");
        let order = format!("orderNumber={}", "9".repeat(129));
        check(Endpoint::CollectSsl, &ssl(&order), &invalid("orderNumber"));
        check(Endpoint::CollectSsl, &ssl("orderNumber=AB-7"), "fine");
        check(Endpoint::CollectMc, "orderNumber=AB-7", &invalid("orderNumber"));
        check(Endpoint::CollectSsl, &ssl("certificateID=12345678901234567"), &invalid("certificateID"));
        check(Endpoint::CollectSsl, &ssl("baseOrderNumber=x"), &invalid("baseOrderNumber"));
        check(Endpoint::CollectSsl, "queryType=4&orderNumber=1", &invalid("queryType"));
        check(Endpoint::CollectMc, "orderNumber=1&responseType=1", &invalid("responseType"));
        check(Endpoint::DomainDetails, "orderNumber=1&responseFormat=0", &invalid("responseFormat"));
        check(Endpoint::ReplaceSmime, "orderNumber=1&csr=A&signatureHash=SHA2", &invalid("signatureHash"));
        check(Endpoint::CollectSsl, "orderNumber=1&orderNumber=1&queryType=1", &invalid("orderNumber"));
        let form = Form::parse(format!("loginName={}&loginPassword=p", "a".repeat(65)).as_bytes());
        assert_eq!(form.login().unwrap_err().code, -4);
    }

    #[test]
    fn paths_are_the_documented_ones() {
        assert_eq!(Endpoint::at("/products/download/CollectSSL"), Some(Endpoint::CollectSsl));
        assert_eq!(Endpoint::at("/products/!AutoReplaceSMIME"), Some(Endpoint::ReplaceSmime));
        assert_eq!(Endpoint::at("/products/%21CollectMC"), Some(Endpoint::CollectMc));
        assert_eq!(Endpoint::at("/products/!CollectSSL"), None);
        assert_eq!(Endpoint::at("/products/download/collectssl"), None);
    }
}
