//! CollectSSL, CollectMC and CollectSMIME: the rules between their parameters, and what they answer.

use super::answer::{Answer, Field, Format, Pairs, form};
use super::bundle::{Pkcs7Form, Signer, cmmf, netscape, pkcs7};
use super::clock::Time;
use super::der::{base64_lines, pem};
use super::issue::{CaCertificate, Issued};
use super::orders::{Standing, Status};
use super::pack::zip;
use super::params::{Args, Endpoint};
use super::refusal::Refusal;
use super::script::{DcvState, Product, STATUS_KEYS};
use super::shape::{ChainContent, Dice, Lines, Position, Shape, ZipContent};

/// What a Collect call asks for, after all its rules hold.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) endpoint: Endpoint,
    pub(super) format: Format,
    /// Whether the leaf is asked for, and whether the CA certificates are; neither for status only.
    leaf: bool,
    authorities: bool,
    container: Container,
    binary: bool,
    pub(super) args: Args,
}

/// `responseType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Zip,
    Netscape,
    Pkcs7,
    Individual,
    Cmmf,
}

impl Query {
    /// Checks the rules between the parameters of a Collect call.
    pub(super) fn new(endpoint: Endpoint, args: Args, format: Format) -> Result<Query, Refusal> {
        let container = match args.get("responseType") {
            Some("0") => Container::Zip,
            Some("1") => Container::Netscape,
            Some("2") => Container::Pkcs7,
            Some("4") => Container::Cmmf,
            // "If omitted, the value defaults to 3" (CollectPAC page, a sibling; the others are silent).
            Some(_) | None => Container::Individual,
        };
        let binary = args.get("responseEncoding") == Some("1");
        // CollectMC has no queryType: a call both asks for the status and collects.
        let query_type = if endpoint == Endpoint::CollectMc { Some("1") } else { args.get("queryType") };
        // "queryType must be 1" stands beside ZIP, Netscape, PKCS#7 and CMMF.
        if container != Container::Individual && query_type != Some("1") {
            return Err(Refusal::invalid("responseType"));
        }
        // "queryType must be 1 and responseType must be 0 or 2"; CollectMC: "responseType must be 0 or 2".
        let wrapped = matches!(container, Container::Zip | Container::Pkcs7);
        if binary && !(wrapped && query_type == Some("1")) {
            return Err(Refusal::invalid("responseEncoding"));
        }
        let leaf = matches!(query_type, Some("1" | "2"));
        let authorities = matches!(query_type, Some("1" | "3"));
        Ok(Query { endpoint, format, leaf, authorities, container, binary, args })
    }

    /// Whether a certificate, or a part of it, is asked for.
    fn wants_data(&self) -> bool {
        self.leaf || self.authorities
    }

    /// Answers. `with_data` is false for the fault that says 2 and attaches nothing.
    pub(super) fn answer(
        &self,
        standing: &Standing,
        with_data: bool,
        shape: &Shape,
        signer: &Signer,
    ) -> Result<Answer, Refusal> {
        let (code, issued) = match &standing.status {
            Status::Pending => (0, None),
            Status::Available(issued) => (1, issued.as_deref()),
            Status::Issued(issued) if self.wants_data() => (2, Some(&**issued)),
            Status::Issued(issued) => (1, Some(&**issued)),
            Status::Error { code, message } => {
                let mut refusal = Refusal::of(self.endpoint, *code);
                refusal.message = message.clone().unwrap_or(refusal.message);
                return Err(refusal);
            }
        };
        let issued_data = issued.filter(|_| code == 2 && with_data);
        let data = issued_data.map(|issued| Data { query: self, issued, shape, standing, signer });
        let armour_anyway = shape.armour_anyway && self.endpoint == Endpoint::CollectMc;
        if let Some(data) = data.as_ref().filter(|_| self.binary && !armour_anyway) {
            // "the output will consist simply of the requested binary structure"
            return Ok(Answer::binary(self.mime_type(), code, data.bytes(), shape));
        }
        if self.format == Format::Form && self.endpoint == Endpoint::CollectSsl {
            return Ok(form(code, self.pairs(code, issued, data.as_ref(), standing, shape), shape));
        }
        let data = data.map(|data| data.text());
        let no_status = shape.no_status_line || (armour_anyway && self.binary);
        if let Some(data) = data.as_ref().filter(|_| self.endpoint == Endpoint::CollectMc && no_status) {
            return Ok(Answer::text(super::answer::TEXT, code, data, shape));
        }
        Ok(Answer::lines(code, &self.lines(code, issued, data, standing, shape), shape))
    }

    fn mime_type(&self) -> &'static str {
        match self.container {
            Container::Zip => "application/zip",
            Container::Pkcs7 => "application/x-pkcs7-certificates",
            Container::Netscape | Container::Individual | Container::Cmmf => "application/octet-stream",
        }
    }

    /// The newline form: the status first, everything else in an order that the page does not pin down.
    fn lines(
        &self,
        code: i32,
        issued: Option<&Issued>,
        data: Option<String>,
        standing: &Standing,
        shape: &Shape,
    ) -> Vec<String> {
        let split = shape.lines == Lines::SplitDates;
        let dates = |dates: [String; 2]| if split { dates.to_vec() } else { vec![dates.join(" ")] };
        let mut validity = Vec::new();
        let mut term = Vec::new();
        if let Some(issued) = issued.filter(|_| self.args.yes("showValidityPeriod")) {
            let day = |unix| Time::from_unix(unix).day_month_year();
            validity = dates([day(issued.not_before), day(issued.not_after)]);
            if self.endpoint == Endpoint::CollectSsl {
                term = dates([standing.term.0.to_string(), standing.term.1.to_string()]);
            }
        }
        let fqdn = self.args.yes("showFQDN").then(|| fqdn(standing, shape));
        // The data ends its own lines already, and every line gets an end.
        let data = data.map(|text| text.trim_end().to_owned());
        let mut statuses = Vec::new();
        if self.args.yes("showExtStatus") {
            statuses.extend([certificate_status(standing), validation_status(standing)]);
        }
        if self.args.yes("showMDCDomainDetails") && code == 0 {
            statuses.push(domain_details(standing, DcvState::word));
        }
        if self.args.yes("showStatusDetails") {
            statuses
                .extend(details(standing, shape).into_iter().map(|(key, value)| format!("{key}={value}")));
        }
        if self.args.yes("showMDCDomainDetails2") && code == 0 {
            statuses.push(domain_details(standing, DcvState::word2));
        }
        // Behind the certificates they begin with an empty line, by which clients in production find them.
        if shape.lines != Lines::Early && data.is_some() && !statuses.is_empty() {
            statuses.insert(0, String::new());
        }
        let status = vec![code.to_string()];
        let fqdn: Vec<String> = fqdn.into_iter().collect();
        let data: Vec<String> = data.into_iter().collect();
        match shape.lines {
            Lines::Page | Lines::SplitDates => [status, validity, fqdn, data, statuses, term].concat(),
            Lines::Early => [status, validity, term, fqdn, statuses, data].concat(),
        }
    }

    /// The URL-encoded form, which only CollectSSL has.
    fn pairs(
        &self,
        code: i32,
        issued: Option<&Issued>,
        data: Option<&Data<'_>>,
        standing: &Standing,
        shape: &Shape,
    ) -> Pairs {
        let mut pairs: Pairs = vec![("errorCode".into(), code.into())];
        let mut push = |key: &str, field: Field| pairs.push((key.into(), field));
        if shape.ids {
            push("orderNumber", (&standing.number).into());
            push("certificateID", (&standing.certificate_id).into());
        }
        if let Some(issued) = issued.filter(|_| self.args.yes("showValidityPeriod")) {
            let days = |start: i64, end: i64| (end + 1 - start) / super::clock::DAY;
            push("notBefore", issued.not_before.into());
            push("notAfter", issued.not_after.into());
            push("certificateDuration", days(issued.not_before, issued.not_after).into());
            push("productTermStartDate", standing.term.0.into());
            push("productTermEndDate", standing.term.1.into());
            push("productTermDuration", days(standing.term.0, standing.term.1).into());
        }
        if self.args.yes("showFQDN") {
            push("fqdn", fqdn(standing, shape).into());
        }
        if let Some(data) = data {
            match self.container {
                Container::Individual => {
                    for (key, der) in data.individual() {
                        push(key, Field::Data(Some("CERTIFICATE"), der.to_vec()));
                    }
                }
                Container::Zip => push("zipFile", Field::Data(None, data.bytes())),
                Container::Netscape => {
                    push("netscapeCertificateSequence", Field::Data(Some("CERTIFICATE"), data.bytes()));
                }
                Container::Pkcs7 | Container::Cmmf => {
                    push("pkcs7", Field::Data(Some("PKCS7"), data.bytes()));
                }
            }
        }
        if self.args.yes("showExtStatus") {
            push("certificateStatus", certificate_status(standing).into());
            push("validationStatus", validation_status(standing).into());
        }
        if self.args.yes("showMDCDomainDetails") && code == 0 {
            push("mdcDomainDetails", domain_details(standing, DcvState::word).into());
        }
        if self.args.yes("showMDCDomainDetails2") && code == 0 {
            push("mdcDomainDetails2", domain_details(standing, DcvState::word2).into());
        }
        if self.args.yes("showStatusDetails") {
            for (key, value) in details(standing, shape) {
                push(key, value.into());
            }
        }
        pairs
    }
}

/// The certificates of one answer.
struct Data<'a> {
    query: &'a Query,
    issued: &'a Issued,
    shape: &'a Shape,
    standing: &'a Standing,
    signer: &'a Signer,
}

impl<'a> Data<'a> {
    /// CA certificates and leaf, as far as they are asked for, in the shape's order; `None` marks the
    /// leaf.
    fn certificates(&self) -> Vec<(Option<&'a CaCertificate>, &'a [u8])> {
        let mut list = Vec::new();
        if self.query.authorities {
            list.extend(authorities(self.issued, self.shape.chain).map(|ca| (Some(ca), &*ca.der)));
        }
        if self.query.leaf {
            list.push((None, self.issued.der.as_slice()));
        }
        match self.shape.position {
            // What takes the first certificate of a PKCS#7 for the leaf works in production.
            Position::Usual if self.query.container == Container::Pkcs7 => list.reverse(),
            Position::Usual | Position::RootFirst => {}
            Position::IssuerFirst => list.reverse(),
            Position::Shuffled => Dice::new(self.shape.seed).shuffle(&mut list),
        }
        list
    }

    /// Keys and values of responseType 3 in the URL-encoded form; the page lists `certificate` last.
    fn individual(&self) -> Vec<(&'static str, &'a [u8])> {
        let (leaf, authorities): (Vec<_>, Vec<_>) =
            self.certificates().into_iter().partition(|(ca, _)| ca.is_none());
        let authorities = authorities.into_iter().map(|(_, der)| ("caCertificate", der));
        authorities.chain(leaf.into_iter().map(|(_, der)| ("certificate", der))).collect()
    }

    /// The container's bytes; for individual certificates, their PEM.
    fn bytes(&self) -> Vec<u8> {
        let certificates = self.certificates();
        let ders: Vec<&[u8]> = certificates.iter().map(|(_, der)| *der).collect();
        match self.query.container {
            Container::Individual => self.text().into_bytes(),
            Container::Netscape => netscape(&ders),
            Container::Pkcs7 => {
                let usual = match self.standing.product {
                    Product::Mark => Pkcs7Form::Signed,
                    Product::Ssl | Product::Smime => Pkcs7Form::CertsOnly,
                };
                pkcs7(&ders, self.shape.pkcs7.unwrap_or(usual), self.signer)
            }
            Container::Cmmf => {
                let others: Vec<&[u8]> =
                    certificates.iter().filter(|(ca, _)| ca.is_some()).map(|(_, der)| *der).collect();
                cmmf(&self.issued.der, &others)
            }
            Container::Zip => zip(&self.files(&certificates)),
        }
    }

    /// Base64 as text: PEM where the structure has a label, bare lines where it has none.
    fn text(&self) -> String {
        let eol = self.shape.eol();
        match self.query.container {
            Container::Individual => {
                self.certificates().iter().map(|(_, der)| pem("CERTIFICATE", der, eol)).collect()
            }
            Container::Pkcs7 => pem("PKCS7", &self.bytes(), eol),
            // `openssl nseq` reads and writes the sequence under this label.
            Container::Netscape => pem("CERTIFICATE", &self.bytes(), eol),
            Container::Zip | Container::Cmmf => base64_lines(&self.bytes(), eol),
        }
    }

    fn files(&self, certificates: &[(Option<&CaCertificate>, &[u8])]) -> Vec<(String, Vec<u8>)> {
        let leaf = self.issued.names.first().map_or("certificate", String::as_str);
        let name = |ca: &Option<&CaCertificate>| match ca {
            Some(ca) => ca.name.replace(' ', ""),
            None => leaf.replace(['.', '*', '@', ':'], "_"),
        };
        let text = |der: &[u8]| pem("CERTIFICATE", der, self.shape.eol());
        let mut files: Vec<(String, Vec<u8>)> = Vec::new();
        let mut bundle = String::new();
        for (ca, der) in certificates {
            match self.shape.zip {
                ZipContent::Der => files.push((format!("{}.cer", name(ca)), der.to_vec())),
                ZipContent::Bundle if ca.is_some() => bundle.push_str(&text(der)),
                ZipContent::Files | ZipContent::Bundle => {
                    files.push((format!("{}.crt", name(ca)), text(der).into_bytes()));
                }
            }
        }
        if !bundle.is_empty() {
            files.push((format!("{}.ca-bundle", name(&None)), bundle.into_bytes()));
        }
        // An archive cannot hold two files of one name, which the duplicates would be.
        files.sort_by(|one, other| one.0.cmp(&other.0));
        files.dedup_by(|one, other| one.0 == other.0);
        files
    }
}

/// The CA certificates above a leaf, root first.
fn authorities(issued: &Issued, content: ChainContent) -> impl Iterator<Item = &CaCertificate> {
    let chain = &issued.chain;
    let root = Some(&chain.root).filter(|_| content != ChainContent::NoRoot);
    let twin = chain.twin.as_ref().filter(|_| content == ChainContent::Twin);
    let twin = twin.into_iter().flat_map(|(twin, legacy)| [legacy, twin]);
    let once = [root, chain.intermediate.as_ref()].into_iter().flatten();
    let again = once.clone().filter(move |_| content == ChainContent::Duplicates);
    twin.chain(once).chain(again)
}

fn fqdn(standing: &Standing, shape: &Shape) -> String {
    if shape.empty_fqdn { String::new() } else { standing.names.first().cloned().unwrap_or_default() }
}

/// One of `Awaiting Validation`, `Issued`, `Revoked`, `NO STATUS` (CollectSSL page).
fn certificate_status(standing: &Standing) -> String {
    standing.step.certificate_status.clone().unwrap_or_else(|| {
        match &standing.status {
            Status::Pending => "Awaiting Validation",
            Status::Available(_) | Status::Issued(_) => "Issued",
            Status::Error { .. } => "NO STATUS",
        }
        .into()
    })
}

/// One of the page's five values: `Complete`, or what is awaited.
fn validation_status(standing: &Standing) -> String {
    standing.step.validation_status.clone().unwrap_or_else(|| {
        let brand = standing.dcv.iter().any(|dcv| dcv.state == DcvState::AwaitingBrand);
        if brand { "Awaiting Brand Validation" } else { "Complete" }.into()
    })
}

/// `domain1.com VALIDATED, domain2.com NOTVALIDATED`
fn domain_details(standing: &Standing, word: fn(DcvState) -> &'static str) -> String {
    let pairs: Vec<String> =
        standing.dcv.iter().map(|dcv| format!("{} {}", dcv.domain, word(dcv.state))).collect();
    pairs.join(", ")
}

/// The integer statuses and `caaStatus`, by their keys in a Collect answer.
pub(super) fn details(standing: &Standing, shape: &Shape) -> Vec<(&'static str, String)> {
    let pending = matches!(standing.status, Status::Pending);
    let usual = |key: &str| match key {
        "csrStatus" => 1,
        "dcvStatus" => dcv_status(standing),
        // A domain-validated order needs none of the others.
        _ => -1,
    };
    let of = |key| (key, standing.step.status.get(key).copied().unwrap_or_else(|| usual(key)));
    // Production leaves these two out of the answer unless the order has extended validation: unless they say something.
    let of_ev_only = |key: &str| {
        matches!(key, "evClickThroughStatus" | "brandValStatus") && !standing.step.status.contains_key(key)
    };
    let shown = STATUS_KEYS
        .into_iter()
        .filter(|key| !of_ev_only(key))
        .map(of)
        .filter(|(_, value)| *value != -1 || !shape.sparse_details);
    let mut list: Vec<(&'static str, String)> = shown.map(|(key, value)| (key, value.to_string())).collect();
    let caa = if pending { "Awaiting Completion" } else { "Authorized" };
    list.push(("caaStatus", standing.step.caa.clone().unwrap_or_else(|| caa.into())));
    list
}

/// -1 not required, 0 not completed, 1 completed, 2 in progress. The GetMDCDomainDetails page has 2 for
/// one domain that is validated and one that is in progress.
fn dcv_status(standing: &Standing) -> i64 {
    let all = |state| standing.dcv.iter().all(|dcv| dcv.state == state);
    match standing.dcv.as_slice() {
        [] => -1,
        _ if all(DcvState::Validated) => 1,
        _ if all(DcvState::NotValidated) => 0,
        _ => 2,
    }
}
