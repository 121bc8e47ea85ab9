//! The order book: what each order is, which step of its script it is in, what was issued for it.
//!
//! Pure state: it has no clock, no socket and no file. Every function that needs the time is given it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::ca::Authorities;
use super::clock::{DAY, Time};
use super::issue::{CertificateSpec, Issued};
use super::proof::Token;
use super::reissue::Asked;
use super::script::{Dcv, DcvState, OrderSpec, Product, State, Step, check_script};

/// First certificate ID where none was given.
const FIRST_CERTIFICATE_ID: u64 = 7_000_000_001;

/// Where order numbers of replacements are counted from.
const FIRST_ORDER_NUMBER: u64 = 900_000_001;

/// Days of the product term where the order does not say.
const TERM_DAYS: i64 = 365;

/// One order and how far it is.
#[derive(Debug, Clone)]
pub struct Order {
    /// As it was put into the book, with a script of at least one step.
    pub spec: OrderSpec,
    pub created: Time,
    /// Answers so far that counted as polls.
    pub polls: u64,
    /// What was issued, oldest first.
    pub certificates: Vec<Certificate>,
    /// What AutoReplaceSSL asked for and is not issued yet.
    pub asked: Option<Asked>,
    /// The ID that the certificate under way gets unless its own specification names one.
    reserved_id: Option<String>,
    step: usize,
    step_began: Time,
    step_polls: u32,
    /// Whether the current step, if it issues, has done so.
    step_issued: bool,
}

#[derive(Debug, Clone)]
pub struct Certificate {
    /// What `certificateID` names.
    pub id: String,
    /// The certificate, its chain and its key.
    pub issued: Arc<Issued>,
}

/// What an order says when it is asked: everything an answer is made from.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) number: String,
    pub(super) certificate_id: String,
    pub(super) product: Product,
    pub(super) names: Vec<String>,
    pub(super) status: Status,
    /// The current step, for the details that it overrides.
    pub(super) step: Step,
    pub(super) dcv: Vec<Dcv>,
    /// Start and end of the product term, UNIX seconds.
    pub(super) term: (i64, i64),
}

/// The status part of a [`Standing`].
#[derive(Debug, Clone)]
pub(super) enum Status {
    Pending,
    Available(Option<Arc<Issued>>),
    Issued(Arc<Issued>),
    Error { code: i32, message: Option<String> },
}

/// How a call names the order it means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reference<'a> {
    OrderNumber(&'a str),
    CertificateId(&'a str),
    BaseOrderNumber(&'a str),
}

impl<'a> Reference<'a> {
    /// The first of the three parameters that is there and not empty, with its name: where several are sent, the first of
    /// the page's list counts.
    pub(super) fn of(get: impl Fn(&str) -> Option<&'a str>) -> Option<(&'static str, Reference<'a>)> {
        let sent = |name, reference: fn(&'a str) -> Reference<'a>| {
            get(name).filter(|value| !value.is_empty()).map(|value| (name, reference(value)))
        };
        sent("orderNumber", Reference::OrderNumber)
            .or_else(|| sent("certificateID", Reference::CertificateId))
            .or_else(|| sent("baseOrderNumber", Reference::BaseOrderNumber))
    }
}

/// An order, and whether one of its replaced certificates was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) number: String,
    pub(super) replaced: Option<usize>,
}

#[derive(Debug, Default)]
pub struct Book {
    orders: BTreeMap<String, Order>,
    by_certificate: HashMap<String, String>,
    ids_given: u64,
    numbers_given: u64,
    /// Request tokens of all calls that were taken: each is good for one.
    tokens: HashSet<Token>,
}

/// How AutoReplaceSSL was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// The order that it changed.
    pub(super) number: String,
    pub(super) certificate_id: String,
    /// Whether it changed an order in flight instead of asking for a certificate.
    pub(super) edit: bool,
    /// Whether its token had been used before.
    pub(super) reused: bool,
}

impl Book {
    /// Puts an order into the book; one of the same number is replaced, with everything it had.
    pub fn put(&mut self, mut spec: OrderSpec, now: Time) -> Result<(), Error> {
        spec.check().map_err(Error::Refused)?;
        if spec.script.is_empty() {
            spec.script.push(Step::issued());
        }
        let number = spec.order_number.clone();
        if let Some(id) = &spec.certificate.certificate_id {
            self.claim(id, &number)?;
        }
        self.remove(&number);
        let reserved_id = spec.certificate.certificate_id.clone().unwrap_or_else(|| self.next_id());
        self.by_certificate.insert(reserved_id.clone(), number.clone());
        let order = Order {
            spec,
            created: now,
            polls: 0,
            certificates: Vec::new(),
            asked: None,
            reserved_id: Some(reserved_id),
            step: 0,
            step_began: now,
            step_polls: 0,
            step_issued: false,
        };
        self.orders.insert(number, order);
        Ok(())
    }

    /// Takes an order out of the book; whether it was there.
    pub fn remove(&mut self, number: &str) -> bool {
        let Some(order) = self.orders.remove(number) else { return false };
        let issued = order.certificates.iter().map(|certificate| &certificate.id);
        for id in issued.chain(&order.reserved_id) {
            self.by_certificate.remove(id);
        }
        true
    }

    pub fn get(&self, number: &str) -> Option<&Order> {
        self.orders.get(number)
    }

    /// All order numbers, sorted.
    pub fn numbers(&self) -> Vec<String> {
        self.orders.keys().cloned().collect()
    }

    /// Replaces the script; it begins with its first step, now.
    pub fn set_script(&mut self, number: &str, script: Vec<Step>, now: Time) -> Result<(), Error> {
        check_script(&script).map_err(Error::Refused)?;
        let order = self.order(number)?;
        order.spec.script = if script.is_empty() { vec![Step::issued()] } else { script };
        order.enter(0, now);
        Ok(())
    }

    /// Goes on to the next step, whatever the current one waits for.
    pub fn advance(&mut self, number: &str, now: Time) -> Result<(), Error> {
        let order = self.order(number)?;
        if order.step + 1 == order.spec.script.len() {
            return Err(Error::Refused(format!("order {number} is in the last step of its script")));
        }
        order.enter(order.step + 1, now);
        Ok(())
    }

    /// Issues a certificate now, as the order or `spec` says: the first one, or `again` one in place of the present one,
    /// which stays collectable by its ID (CollectSSL changelog 1.21).
    pub(super) fn issue(
        &mut self,
        number: &str,
        spec: Option<CertificateSpec>,
        again: bool,
        ca: &Authorities,
        now: Time,
    ) -> Result<Certificate, Error> {
        let order = self.order(number)?;
        match (order.certificates.is_empty(), again) {
            (true, true) => {
                return Err(Error::Refused(format!("order {number} has no certificate; issue it first")));
            }
            (false, false) => {
                return Err(Error::Refused(format!("order {number} has a certificate; reissue it instead")));
            }
            (true, false) | (false, true) => {}
        }
        let spec = spec.unwrap_or_else(|| order.spec.certificate.clone());
        let spec = order.asked.as_ref().map_or_else(|| spec.clone(), |asked| asked.certificate(spec.clone()));
        let certificate = self.make(number, &spec, ca, now)?;
        self.set_script(number, vec![Step::issued()], now)?;
        self.order(number)?.step_issued = true;
        Ok(certificate)
    }

    /// Makes a new order out of an S/MIME order, for another key, as AutoReplaceSMIME does.
    pub(super) fn replace(
        &mut self,
        number: &str,
        key: String,
        script: Vec<Step>,
        now: Time,
    ) -> Result<String, Error> {
        let taken = |number: &str| self.orders.contains_key(number);
        let replacement = unused(FIRST_ORDER_NUMBER, &mut self.numbers_given, taken);
        let certificate = CertificateSpec { key: Some(key), ..CertificateSpec::default() };
        let spec = self.order(number)?.spec.clone();
        self.put(OrderSpec { order_number: replacement.clone(), script, certificate, ..spec }, now)?;
        Ok(replacement)
    }

    /// Whether a token was used before.
    pub(super) fn used(&self, token: &Token) -> bool {
        self.tokens.contains(token)
    }

    /// Takes what AutoReplaceSSL asks for. An issued order begins `script`; one in flight goes on with its own and
    /// exchanges what it is about. With a token that was used before, the order will be rejected.
    pub(super) fn take(
        &mut self,
        standing: &Standing,
        mut asked: Asked,
        script: Vec<Step>,
        now: Time,
    ) -> Result<Taken, Error> {
        let number = standing.number.clone();
        let edit = matches!(standing.status, Status::Pending);
        let reused = !self.tokens.insert(asked.token.clone());
        if reused {
            asked.unproven.clear();
        }
        let reserved = self.order(&number)?.reserved_id.clone();
        let certificate_id = reserved.unwrap_or_else(|| self.next_id());
        self.by_certificate.insert(certificate_id.clone(), number.clone());
        let order = self.order(&number)?;
        order.reserved_id = Some(certificate_id.clone());
        order.spec.domains.clone_from(&asked.names);
        order.asked = Some(asked);
        if reused {
            self.set_script(&number, vec![Step::pending(1), Step::error(-20)], now)?;
        } else if !edit {
            self.set_script(&number, script, now)?;
        }
        Ok(Taken { number, certificate_id, edit, reused })
    }

    /// Notes that control of these domains is proven, or of all. With the last one, the script of the order begins.
    pub(super) fn prove(&mut self, number: &str, domains: Option<&[String]>, now: Time) -> Result<(), Error> {
        let order = self.order(number)?;
        let Some(asked) = order.asked.as_mut().filter(|asked| !asked.unproven.is_empty()) else {
            return Err(Error::Refused(format!("order {number} waits for no proof")));
        };
        asked.unproven.retain(|domain| domains.is_some_and(|proven| !proven.contains(domain)));
        if asked.unproven.is_empty() {
            order.enter(0, now);
        }
        Ok(())
    }

    /// Finds what a call names. A base order number finds an order of its family.
    pub(super) fn find(&self, reference: Reference<'_>) -> Option<Found> {
        match reference {
            Reference::OrderNumber(number) => {
                self.orders.contains_key(number).then(|| Found { number: number.into(), replaced: None })
            }
            Reference::CertificateId(id) => {
                let number = self.by_certificate.get(id)?;
                let order = self.orders.get(number)?;
                let certificates = &order.certificates;
                let at = certificates.iter().position(|certificate| certificate.id == id);
                let replaced = at.filter(|at| at + 1 < certificates.len() || order.reserved_id.is_some());
                Some(Found { number: number.clone(), replaced })
            }
            Reference::BaseOrderNumber(base) => self.family(base, None),
        }
    }

    /// Another order of the same family, the one that was issued last.
    pub(super) fn relative(&self, number: &str) -> Option<Found> {
        let spec = &self.get(number)?.spec;
        let base = spec.base_order_number.as_deref().unwrap_or(number);
        self.family(base, Some(number))
    }

    /// The order of a family that was issued last, and where none was, the one that was put in last.
    fn family(&self, base: &str, without: Option<&str>) -> Option<Found> {
        let family = self.orders.values().filter(|order| {
            let number = order.spec.order_number.as_str();
            let member = order.spec.base_order_number.as_deref() == Some(base) || number == base;
            member && Some(number) != without
        });
        let newest = family.max_by_key(|order| {
            let issued = order.certificates.last().map(|newest| newest.issued.not_before);
            (issued, order.created, order.spec.order_number.clone())
        })?;
        Some(Found { number: newest.spec.order_number.clone(), replaced: None })
    }

    /// What the order says at `now`. With `counted` the answer uses up one poll of the current step.
    pub(super) fn ask(
        &mut self,
        found: &Found,
        counted: bool,
        ca: &Authorities,
        now: Time,
    ) -> Result<Standing, Error> {
        let order = self.order(&found.number)?;
        if order.unproven() {
            order.polls += u64::from(counted);
            return Ok(order.standing(Step::default(), found.replaced, None));
        }
        order.settle(now);
        let step = order.current().clone();
        let issue = match step.state {
            State::Issued if order.step_issued => None,
            State::Issued => order.to_issue(&step),
            State::Pending | State::Available | State::Error => None,
        };
        order.step_issued = true;
        let failed = match issue {
            Some(spec) => self.make(&found.number, &spec, ca, now).err(),
            None => None,
        };
        let order = self.order(&found.number)?;
        if counted {
            order.polls += 1;
            order.step_polls += 1;
        }
        Ok(order.standing(step, found.replaced, failed))
    }

    fn make(
        &mut self,
        number: &str,
        spec: &CertificateSpec,
        ca: &Authorities,
        now: Time,
    ) -> Result<Certificate, Error> {
        if let Some(id) = &spec.certificate_id {
            self.claim(id, number)?;
            if self.order(number)?.certificates.iter().any(|certificate| certificate.id == *id) {
                return Err(Error::Refused(format!("order {number} has a certificate with the ID {id}")));
            }
        }
        let order = self.order(number)?;
        let before = order.certificates.last().map(|newest| newest.issued.clone());
        // A re-issue ends with the product term at the latest.
        let latest = order.asked.as_ref().and(before.as_ref()).map(|_| order.term().1 - 1);
        let issued = ca
            .issue(order.spec.product, &order.spec.domains, spec, before.as_deref(), latest, now)
            .map_err(|reason| Error::Refused(format!("order {number}: {reason}")))?;
        order.asked = None;
        let reserved = order.reserved_id.take();
        let id = match spec.certificate_id.clone().or(reserved) {
            Some(id) => id,
            None => self.next_id(),
        };
        self.by_certificate.insert(id.clone(), number.into());
        let certificate = Certificate { id, issued: Arc::new(issued) };
        self.order(number)?.certificates.push(certificate.clone());
        Ok(certificate)
    }

    /// Refuses an ID that another order has.
    fn claim(&self, id: &str, number: &str) -> Result<(), Error> {
        match self.by_certificate.get(id) {
            Some(owner) if owner != number => {
                Err(Error::Refused(format!("certificate ID {id} belongs to order {owner}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn next_id(&mut self) -> String {
        unused(FIRST_CERTIFICATE_ID, &mut self.ids_given, |id| self.by_certificate.contains_key(id))
    }

    fn order(&mut self, number: &str) -> Result<&mut Order, Error> {
        self.orders.get_mut(number).ok_or_else(|| Error::UnknownOrder(number.into()))
    }
}

/// The next number from `first` on that is not taken.
fn unused(first: u64, given: &mut u64, taken: impl Fn(&str) -> bool) -> String {
    loop {
        let number = (first + *given).to_string();
        *given += 1;
        if !taken(&number) {
            return number;
        }
    }
}

impl Order {
    /// The step it is in, counted from zero.
    pub fn step(&self) -> usize {
        self.step
    }

    /// The current step, as of the last call.
    pub fn current(&self) -> &Step {
        &self.spec.script[self.step]
    }

    /// The certificate ID it answers to: that of the present certificate, or the one reserved.
    pub fn certificate_id(&self) -> &str {
        let newest = self.certificates.last().map(|newest| &newest.id);
        self.reserved_id.as_ref().or(newest).map_or("", String::as_str)
    }

    /// Whether a re-issue waits for the proof of a domain, and does not fail anyway.
    fn unproven(&self) -> bool {
        let open = self.asked.as_ref().is_some_and(|asked| !asked.unproven.is_empty());
        open && self.current().state != State::Error
    }

    /// What a step that begins to be issued makes; without anything, the present certificate stays.
    fn to_issue(&self, step: &Step) -> Option<CertificateSpec> {
        let wanted = step.certificate.clone();
        match &self.asked {
            Some(asked) => {
                let days = self.spec.certificate.days;
                let usual = || CertificateSpec { days, ..CertificateSpec::default() };
                Some(asked.certificate(wanted.unwrap_or_else(usual)))
            }
            None if self.certificates.is_empty() => {
                Some(wanted.unwrap_or_else(|| self.spec.certificate.clone()))
            }
            None => wanted,
        }
    }

    /// Start and end of the product term, UNIX seconds. The page's example spans exactly one year, from midnight to
    /// midnight.
    fn term(&self) -> (i64, i64) {
        let first = self.certificates.first().map(|first| first.issued.not_before);
        let start = first.unwrap_or_else(|| self.created.midnight().unix());
        (start, start + self.spec.term_days.map_or(TERM_DAYS, i64::from) * DAY)
    }

    /// Leaves every step that is over.
    fn settle(&mut self, now: Time) {
        while self.step + 1 < self.spec.script.len() {
            let step = self.current();
            let by_time = step.for_ms.map(|ms| self.step_began.plus(Duration::from_millis(ms)));
            let end = [by_time, step.until.map(Time::from_unix)].into_iter().flatten().min();
            if step.polls.is_some_and(|polls| self.step_polls >= polls) {
                self.enter(self.step + 1, now);
            } else if let Some(end) = end.filter(|end| *end <= now) {
                // The next step began when this one ended, not when someone happened to look.
                self.enter(self.step + 1, end.max(self.step_began));
            } else {
                return;
            }
        }
    }

    fn enter(&mut self, step: usize, began: Time) {
        self.step = step;
        self.step_began = began;
        self.step_polls = 0;
        self.step_issued = false;
    }

    fn standing(&self, step: Step, replaced: Option<usize>, failed: Option<Error>) -> Standing {
        let newest = self.certificates.last();
        let replaced = replaced.and_then(|at| self.certificates.get(at));
        let status = match (step.state, replaced, newest) {
            (State::Error, ..) => {
                Status::Error { code: step.code.unwrap_or(-14), message: step.message.clone() }
            }
            (_, Some(old), _) => Status::Issued(old.issued.clone()),
            (State::Pending, None, _) => Status::Pending,
            (State::Available, None, newest) => Status::Available(newest.map(|newest| newest.issued.clone())),
            (State::Issued, None, Some(newest)) if failed.is_none() => Status::Issued(newest.issued.clone()),
            (State::Issued, None, _) => {
                // Only specifications that cannot be checked in advance fail here.
                let reason = failed.map(|error| error.to_string());
                Status::Error { code: -14, message: reason }
            }
        };
        let dcv = if step.dcv.is_empty() { self.default_dcv(&status) } else { step.dcv.clone() };
        Standing {
            number: self.spec.order_number.clone(),
            certificate_id: replaced.map_or_else(|| self.certificate_id().into(), |old| old.id.clone()),
            product: self.spec.product,
            names: self.spec.domains.clone(),
            status,
            step,
            dcv,
            term: self.term(),
        }
    }

    fn default_dcv(&self, status: &Status) -> Vec<Dcv> {
        let state = match status {
            Status::Pending => DcvState::InProgress,
            Status::Available(_) | Status::Issued(_) | Status::Error { .. } => DcvState::Validated,
        };
        let of = |domain: &String| match &self.asked {
            Some(asked) => {
                let open = asked.unproven.contains(domain);
                let state = if open { DcvState::InProgress } else { DcvState::Validated };
                Dcv { domain: domain.clone(), method: Some(asked.method.clone()), state }
            }
            None => Dcv::by_cname(domain, state),
        };
        self.spec.domains.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time { unix_ms: 1_790_000_000_000 };

    fn status_word(status: &Status) -> String {
        match status {
            Status::Pending => "0".into(),
            Status::Available(_) => "1".into(),
            Status::Issued(issued) => format!("2 {}", issued.names.join(" ")),
            Status::Error { code, .. } => code.to_string(),
        }
    }

    struct Fixture {
        book: Book,
        ca: Authorities,
    }

    impl Fixture {
        fn with(script: Vec<Step>) -> Fixture {
            let mut book = Book::default();
            let spec = OrderSpec::new(Product::Ssl, "123", &["www.example.com"]).with_script(script);
            book.put(spec, START).unwrap();
            Fixture { book, ca: Authorities::new(&[]).unwrap() }
        }

        fn ask(&mut self, after_ms: u64) -> String {
            let found = self.book.find(Reference::OrderNumber("123")).unwrap();
            let now = START.plus(Duration::from_millis(after_ms));
            status_word(&self.book.ask(&found, true, &self.ca, now).unwrap().status)
        }
    }

    #[test]
    fn a_script_is_followed_by_polls() {
        let mut order = Fixture::with(vec![
            Step::pending(2),
            Step::error(-26).polls(1),
            Step::available(1),
            Step::issued(),
        ]);
        let answers: Vec<String> = (0..6).map(|_| order.ask(0)).collect();
        assert_eq!(answers, ["0", "0", "-26", "1", "2 www.example.com", "2 www.example.com"]);
    }

    #[test]
    fn a_script_is_followed_by_time() {
        let until = Some(START.unix() + 10);
        let mut order = Fixture::with(vec![
            Step { for_ms: Some(1_000), ..Step::default() },
            Step { state: State::Error, code: Some(-22), until, ..Step::default() },
            Step { for_ms: Some(1_000), ..Step::default() },
            Step::issued(),
        ]);
        assert_eq!(order.ask(999), "0");
        assert_eq!(order.ask(1_000), "-22");
        assert_eq!(order.ask(10_999), "0", "the third step began when the second ended");
        assert_eq!(order.ask(11_000), "2 www.example.com");
    }

    #[test]
    fn the_last_step_is_never_over() {
        let mut order = Fixture::with(vec![Step::pending(1)]);
        assert_eq!([order.ask(0), order.ask(0), order.ask(0)], ["0", "0", "0"]);
        assert!(order.book.advance("123", START).unwrap_err().to_string().contains("last step"));
    }

    #[test]
    fn a_step_can_issue_again() {
        let other =
            CertificateSpec { names: Some(vec!["other.example".into()]), ..CertificateSpec::default() };
        let mut order = Fixture::with(vec![
            Step::issued().polls(1),
            Step::pending(1),
            Step::issued().polls(1),
            Step { certificate: Some(other), ..Step::issued() },
        ]);
        assert_eq!(
            [order.ask(0), order.ask(0), order.ask(0), order.ask(0), order.ask(0)],
            ["2 www.example.com", "0", "2 www.example.com", "2 other.example", "2 other.example"]
        );
        assert_eq!(order.book.get("123").unwrap().certificates.len(), 2);
    }

    #[test]
    fn a_replaced_certificate_is_found_by_its_id() {
        let mut order = Fixture::with(vec![]);
        order.ask(0);
        let first = order.book.get("123").unwrap().certificate_id().to_owned();
        let spec = CertificateSpec { certificate_id: Some("42".into()), ..CertificateSpec::default() };
        let second = order.book.issue("123", Some(spec), true, &order.ca, START).unwrap();
        assert_eq!(second.id, "42");
        let found = order.book.find(Reference::CertificateId(&first)).unwrap();
        assert_eq!(found.replaced, Some(0));
        let old = order.book.ask(&found, true, &order.ca, START).unwrap();
        assert_eq!(old.certificate_id, first);
        let found = order.book.find(Reference::CertificateId("42")).unwrap();
        assert_eq!(found.replaced, None);
        let new = order.book.ask(&found, true, &order.ca, START).unwrap();
        let (Status::Issued(old), Status::Issued(new)) = (old.status, new.status) else {
            panic!("both are issued");
        };
        assert_ne!(old.serial, new.serial);
        assert_eq!(old.key_pem, new.key_pem, "a re-issue keeps the key");
    }

    #[test]
    fn a_pending_order_is_found_by_the_id_it_will_have() {
        let mut order = Fixture::with(vec![Step::pending(9)]);
        let id = order.book.get("123").unwrap().certificate_id().to_owned();
        assert_eq!(order.book.find(Reference::CertificateId(&id)).unwrap().number, "123");
        let issued = order.book.issue("123", None, false, &order.ca, START).unwrap();
        assert_eq!(issued.id, id);
        assert!(order.book.issue("123", None, false, &order.ca, START).is_err(), "issued already");
    }

    #[test]
    fn a_base_order_number_finds_what_was_issued_last() {
        let mut order = Fixture::with(vec![]);
        for number in ["124", "125"] {
            let mut spec = OrderSpec::new(Product::Ssl, number, &["www.example.com"])
                .with_script(vec![Step::pending(9)]);
            spec.base_order_number = Some("123".into());
            order.book.put(spec, START).unwrap();
        }
        let base = Reference::BaseOrderNumber("123");
        assert_eq!(order.book.find(base).unwrap().number, "125", "none is issued: the youngest");
        order.book.issue("124", None, false, &order.ca, START).unwrap();
        assert_eq!(order.book.find(base).unwrap().number, "124");
        assert_eq!(order.book.find(Reference::BaseOrderNumber("9")), None);
    }

    #[test]
    fn an_id_belongs_to_one_order() {
        let mut order = Fixture::with(vec![]);
        let id = order.book.get("123").unwrap().certificate_id().to_owned();
        let mut spec = OrderSpec::new(Product::Ssl, "124", &[]);
        spec.certificate.certificate_id = Some(id);
        assert!(order.book.put(spec, START).unwrap_err().to_string().contains("belongs to order 123"));
    }
}
