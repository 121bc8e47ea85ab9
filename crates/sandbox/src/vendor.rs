//! The vendor: all state, and the one way in for a call.
//!
//! `Vendor::call` is a plain function of the state, the call and the time; sockets are in `server`. The
//! order of its checks is the vendor's: the transport, the login, the parameters, the account's rights,
//! the order.

use std::time::Duration;

use super::Error;
use super::accounts::Accounts;
use super::answer::{Answer, Format, refuse};
use super::ca::{Authorities, AuthorityPem};
use super::clock::Time;
use super::collect::Query;
use super::dials::{DialSettings, Dials};
use super::faults::{Chosen, Fault, Faults, Subject};
use super::issue::CertificateSpec;
use super::orders::{Book, Certificate, Found, Reference, Standing, Status};
use super::params::{Args, Endpoint, Form};
use super::proof::{Place, Proof, Search};
use super::record::{Call, Record, Ticket};
use super::refusal::Refusal;
use super::reissue::ReusedToken;
use super::scenario::Scenario;
use super::script::{OrderSpec, Product, Step};
use super::shape::Shape;
use super::wire::Plan;
use super::{domains, reissue, smime};

pub struct Vendor {
    /// By how much the sandbox's time is ahead of the real one.
    pub(super) ahead: Duration,
    pub accounts: Accounts,
    book: Book,
    ca: Authorities,
    dials: Dials,
    pub faults: Faults,
    pub(super) record: Record,
    /// Calls that were answered, for the sequence of random shapes.
    shaped: u64,
}

/// A call as the server read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: &'a [u8],
    /// Whether it came over TLS.
    pub(super) tls: bool,
    pub(super) connection: u64,
}

impl Incoming<'_> {
    fn form(&self) -> Form {
        // A body of another type is no form: the vendor's framework sees no parameters in it.
        let mut form = match self.content_type {
            Some(value) if is_form(value) => Form::parse(self.body),
            Some(_) | None => Form::default(),
        };
        // Some clients put everything into the URL of their POST, and the vendor takes it.
        form.add(self.query.unwrap_or_default().as_bytes());
        form
    }
}

/// What the server is to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) answer: Answer,
    pub(super) delay: Duration,
    pub(super) plan: Option<Plan>,
    pub(super) ticket: Ticket,
}

impl Vendor {
    /// A vendor with new authorities and the content of a scenario, for localhost.
    #[cfg(test)]
    pub(super) fn new(scenario: Scenario) -> Result<Vendor, Error> {
        Vendor::at(&[], scenario)
    }

    /// The same under these names besides.
    pub(super) fn at(hosts: &[String], scenario: Scenario) -> Result<Vendor, Error> {
        let mut vendor = Vendor {
            ahead: Duration::ZERO,
            accounts: Accounts::default(),
            book: Book::default(),
            ca: Authorities::new(hosts).map_err(Error::Authority)?,
            dials: Dials::default(),
            faults: Faults::default(),
            record: Record::default(),
            shaped: 0,
        };
        vendor.load(scenario)?;
        Ok(vendor)
    }

    /// Adds the content of a scenario; what it names again replaces what was there. It stops at the first part
    /// that is invalid.
    pub fn load(&mut self, scenario: Scenario) -> Result<(), Error> {
        self.dials.set(scenario.dials).map_err(Error::Refused)?;
        for account in scenario.account {
            self.accounts.put(account)?;
        }
        for order in scenario.order {
            self.put_order(order)?;
        }
        for fault in scenario.fault {
            self.faults.add(fault)?;
        }
        Ok(())
    }

    pub fn now(&self) -> Time {
        super::now().plus(self.ahead)
    }

    /// Lets `span` pass at once, for scripts and new certificates. There is no way back: a script has no step to undo.
    pub fn advance_clock(&mut self, span: Duration) {
        self.ahead = self.ahead.saturating_add(span);
    }

    /// Adds or replaces an order.
    pub fn put_order(&mut self, spec: OrderSpec) -> Result<(), Error> {
        if let Some(shape) = &spec.shape {
            super::shape::Choice::parse(shape).map_err(Error::Refused)?;
        }
        self.book.put(spec, self.now())
    }

    /// The order book, to look at.
    pub fn book(&self) -> &Book {
        &self.book
    }

    pub fn remove_order(&mut self, number: &str) -> Result<(), Error> {
        self.book.remove(number).then_some(()).ok_or_else(|| Error::UnknownOrder(number.into()))
    }

    /// Replaces an order's script and starts the new one.
    pub fn set_script(&mut self, number: &str, script: Vec<Step>) -> Result<(), Error> {
        self.book.set_script(number, script, self.now())
    }

    /// Takes an order to the next step of its script.
    pub fn advance(&mut self, number: &str) -> Result<(), Error> {
        self.book.advance(number, self.now())
    }

    /// Issues an order's first certificate now, as the order or `spec` says.
    pub fn issue(&mut self, number: &str, spec: Option<CertificateSpec>) -> Result<Certificate, Error> {
        let now = self.now();
        self.book.issue(number, spec, false, &self.ca, now)
    }

    /// Issues another certificate for an order that has one.
    pub fn reissue(&mut self, number: &str, spec: &CertificateSpec) -> Result<Certificate, Error> {
        let now = self.now();
        self.book.issue(number, Some(spec.clone()), true, &self.ca, now)
    }

    /// Rejects the order: -20 from here on.
    pub fn reject(&mut self, number: &str) -> Result<(), Error> {
        self.set_script(number, vec![Step::error(-20)])
    }

    /// Revokes the order's certificate: -21 from here on.
    pub fn revoke(&mut self, number: &str) -> Result<(), Error> {
        self.set_script(number, vec![Step::error(-21)])
    }

    /// Takes the domains of an order's re-issue as proven.
    pub fn prove(&mut self, number: &str) -> Result<(), Error> {
        self.book.prove(number, None, self.now())
    }

    /// The proof that is to be looked for before this call is answered.
    pub(super) fn search(&self, incoming: &Incoming<'_>) -> Option<Search> {
        if matches!(self.dials.proof, Proof::Good | Proof::Never) {
            return None;
        }
        let form = incoming.form();
        let (_, reference) = Reference::of(|name| form.get(name))?;
        let number = self.book.find(reference)?.number;
        let asked = self.book.get(&number)?.asked.as_ref()?;
        let domains = asked.unproven.clone();
        let at = Place::of(self.dials.proof, &asked.method).filter(|_| !domains.is_empty())?;
        Some(Search { at, token: asked.token.clone(), number, domains })
    }

    /// What a search found; for nothing, if another call has changed the order meanwhile.
    pub(super) fn found(&mut self, search: &Search, proven: &[String]) {
        let asked = self.book.get(&search.number).and_then(|order| order.asked.as_ref());
        if asked.is_some_and(|asked| asked.token == search.token) {
            let now = self.now();
            // The control port may have been faster.
            let _ = self.book.prove(&search.number, Some(proven), now);
        }
    }

    pub fn authorities(&self) -> AuthorityPem {
        self.ca.as_pem()
    }

    /// TLS server certificate and key of the API, in DER.
    pub(super) fn tls_identity(&self) -> (Vec<u8>, Vec<u8>) {
        (self.ca.tls_certificate.clone(), self.ca.tls_key.serialize_der())
    }

    pub fn set_dials(&mut self, settings: DialSettings) -> Result<(), Error> {
        let shape = settings.shape.is_some();
        self.dials.set(settings).map_err(Error::Refused)?;
        if shape {
            self.shaped = 0;
        }
        Ok(())
    }

    pub fn dials(&self) -> DialSettings {
        self.dials.settings()
    }

    /// What came in.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Answers a call. `real` is the real time.
    pub(super) fn call(&mut self, incoming: Incoming<'_>, real: Time) -> Outgoing {
        let endpoint = Endpoint::at(incoming.path);
        let form = incoming.form();
        let login = form.get("loginName").zip(form.get("loginPassword"));
        // The order that it names, if it is in the book: for records, faults and shapes, before anything is checked.
        let named = endpoint.and_then(|_| Reference::of(|name| form.get(name)));
        let order = named.and_then(|(_, reference)| self.book.find(reference)).map(|found| found.number);
        let call = Call {
            at: real,
            endpoint: endpoint.map_or(incoming.path, |endpoint| endpoint.name()).into(),
            method: incoming.method.into(),
            connection: incoming.connection,
            account: form.get("loginName").map(Into::into),
            password_right: login.map(|(name, password)| self.accounts.right(name, password)),
            order: order.clone(),
            parameters: form.names(),
            query: incoming.query.is_some(),
            ..Call::default()
        };
        let ticket = self.record.arrived(call, endpoint.is_some_and(Endpoint::collects));
        let now = real.plus(self.ahead);
        let Some(endpoint) = endpoint else {
            let answer = Answer::html(404, "Not found");
            self.record.answered(&ticket, None, 404, Vec::new());
            return Outgoing { answer, delay: Duration::ZERO, plan: None, ticket };
        };
        let shape = self.shape(order.as_deref());
        let account = form.get("loginName");
        let chosen = self.faults.choose(Subject { endpoint, account, order: order.as_deref() });
        let format = Format::of(endpoint, &form, &shape);
        let said = chosen.reached().then(|| {
            let work = Work { endpoint, form: &form, format, shape: &shape, now };
            let done = check_transport(incoming, endpoint).and_then(|()| self.work(work, &ticket, &chosen));
            done.unwrap_or_else(|refusal| refuse(endpoint, format, &refusal, &shape))
        });
        let taken = said.as_ref().is_some_and(|answer| answer.code == Some(0));
        let refusal = chosen.refusal(endpoint);
        let answer = refusal.map(|refusal| refuse(endpoint, format, &refusal, &shape)).or(said);
        let code = answer.as_ref().and_then(|answer| answer.code);
        if endpoint == Endpoint::ReplaceSsl && !taken && code.is_some_and(|code| code < 0) {
            order.iter().for_each(|order| self.record.reissues(order).refused += 1);
        }
        let (mut answer, plan) = chosen.spoil(answer, now);
        if self.dials.clock_ahead != 0 {
            let date = Time::from_unix(real.unix() + i64::from(self.dials.clock_ahead));
            answer.headers.push(("date", date.http_date()));
        }
        self.record.answered(&ticket, code, answer.status, chosen.names());
        Outgoing { answer, delay: chosen.delay(), plan, ticket }
    }

    fn shape(&mut self, order: Option<&str>) -> Shape {
        let call = self.shaped;
        self.shaped += 1;
        let own = order.and_then(|number| self.book.get(number)).and_then(|order| order.spec.shape.as_ref());
        let own = own.and_then(|text| super::shape::Choice::parse(text).ok());
        own.as_ref().unwrap_or(&self.dials.shape).shape(call)
    }

    /// Everything from the login on.
    fn work(&mut self, work: Work<'_>, ticket: &Ticket, chosen: &Chosen) -> Result<Answer, Refusal> {
        let Work { endpoint, form, now, .. } = work;
        let (name, password) = form.login()?;
        if !self.accounts.login(name, password, self.dials.lockout_after) {
            self.record.login_refused(ticket);
            return Err(Refusal::login(self.dials.login_words));
        }
        let extra: &[String] = match endpoint {
            Endpoint::ReplaceSsl | Endpoint::ReplaceSmime => &self.dials.extra_arguments,
            Endpoint::CollectSsl
            | Endpoint::CollectMc
            | Endpoint::CollectSmime
            | Endpoint::DomainDetails
            | Endpoint::ResendSmime => &[],
        };
        let args = Args::check(endpoint, form, extra, self.dials.ignore_empty)?;
        if !self.accounts.within(name, self.dials.call_limit, now) {
            return Err(Refusal::of(endpoint, -42));
        }
        let account = self.accounts.get(name);
        if account.is_some_and(|account| account.spec.denied.iter().any(|denied| denied == endpoint.name())) {
            return Err(Refusal::denied(endpoint));
        }
        let agreement = account.is_some_and(|account| account.spec.ca_agreement);
        match endpoint {
            Endpoint::CollectSsl | Endpoint::CollectMc | Endpoint::CollectSmime => {
                self.collect(work, name, args, chosen)
            }
            Endpoint::DomainDetails => {
                let (_, standing) = self.look(work, name, &args)?;
                Ok(domains::answer(&standing, args.yes("showStatusDetails"), work.format, work.shape))
            }
            Endpoint::ReplaceSsl => self.replace_ssl(work, name, &args, ticket),
            Endpoint::ReplaceSmime => self.replace(work, name, &args, agreement),
            Endpoint::ResendSmime => {
                let (found, standing) = self.look(work, name, &args)?;
                let forced = self.book.get(&found.number).and_then(|order| order.spec.resend_code);
                smime::resend(&standing, forced, work.shape)
            }
        }
    }

    fn collect(
        &mut self,
        work: Work<'_>,
        name: &str,
        args: Args,
        chosen: &Chosen,
    ) -> Result<Answer, Refusal> {
        let query = Query::new(work.endpoint, args, work.format)?;
        let found = self.own_order(work.endpoint, name, &query.args)?;
        let mut standing = self.book.ask(&found, true, &self.ca, work.now)?;
        let mut with_data = true;
        match chosen.main.as_ref().map(|(fault, hits, _)| (fault, hits)) {
            Some((Fault::OtherAnswer { order }, _)) => {
                if let Some(other) = self.book.find(Reference::OrderNumber(order)) {
                    standing = self.book.ask(&other, false, &self.ca, work.now)?;
                }
            }
            Some((Fault::NoCertificate, _)) => with_data = false,
            Some((Fault::Flapping, hits)) if hits % 2 == 1 => {
                if let Status::Issued(_) = standing.status {
                    standing.status = Status::Pending;
                }
            }
            _ => {}
        }
        query.answer(&standing, with_data, work.shape, &self.ca.signer)
    }

    fn replace_ssl(
        &mut self,
        work: Work<'_>,
        name: &str,
        args: &Args,
        ticket: &Ticket,
    ) -> Result<Answer, Refusal> {
        let mut found = self.own_order(work.endpoint, name, args)?;
        if self.dials.related_orders && !args.yes("exactOrder") {
            found = self.book.relative(&found.number).unwrap_or(found);
        }
        let standing = self.book.ask(&found, false, &self.ca, work.now)?;
        let order = self.book.get(&found.number).ok_or_else(|| Refusal::invalid("orderNumber"))?;
        let mut asked = reissue::asked(args, order, &standing, work.now.unix())?;
        if self.dials.reused_token == ReusedToken::Refused && self.book.used(&asked.token) {
            self.record.reissues(&found.number).reused_tokens += 1;
            return Err(Refusal::of(work.endpoint, -20));
        }
        if self.dials.proof == Proof::Good {
            asked.unproven.clear();
        }
        let script = self.dials.reissue_script();
        let taken = self.book.take(&standing, asked, script, work.now)?;
        self.record.reissued(ticket, &taken, work.form.fields());
        Ok(reissue::taken(args, &taken.certificate_id, work.format, work.shape))
    }

    fn replace(
        &mut self,
        work: Work<'_>,
        name: &str,
        args: &Args,
        agreement: bool,
    ) -> Result<Answer, Refusal> {
        let (found, standing) = self.look(work, name, args)?;
        let replacement = smime::replacement(args, &standing, agreement)?;
        let script = self.dials.replacement_script();
        let number = self.book.replace(&found.number, replacement.csr, script, work.now)?;
        if replacement.revoke_old {
            self.book.set_script(&found.number, vec![Step::error(-21)], work.now)?;
        }
        Ok(smime::replaced(&number, work.format, work.shape))
    }

    /// The order and what it says, without counting a poll.
    fn look(&mut self, work: Work<'_>, name: &str, args: &Args) -> Result<(Found, Standing), Refusal> {
        let found = self.own_order(work.endpoint, name, args)?;
        let standing = self.book.ask(&found, false, &self.ca, work.now)?;
        Ok((found, standing))
    }

    /// Finds the order among those of the account and of the endpoint's product. An order of someone
    /// else is answered like one that does not exist: its number is wrong.
    fn own_order(&self, endpoint: Endpoint, name: &str, args: &Args) -> Result<Found, Refusal> {
        let (parameter, reference) =
            Reference::of(|name| args.get(name)).ok_or_else(|| Refusal::missing("orderNumber"))?;
        let wrong = || Refusal::invalid(parameter);
        let found = self.book.find(reference).ok_or_else(wrong)?;
        let spec = &self.book.get(&found.number).ok_or_else(wrong)?.spec;
        let owned = spec.account.as_deref().is_none_or(|owner| owner == name);
        let product = match endpoint {
            Endpoint::CollectSsl | Endpoint::DomainDetails | Endpoint::ReplaceSsl => Product::Ssl,
            Endpoint::CollectMc => Product::Mark,
            Endpoint::CollectSmime | Endpoint::ReplaceSmime | Endpoint::ResendSmime => Product::Smime,
        };
        if owned && spec.product == product { Ok(found) } else { Err(wrong()) }
    }
}

/// What all endpoints are given.
#[derive(Clone, Copy)]
struct Work<'a> {
    endpoint: Endpoint,
    form: &'a Form,
    format: Format,
    shape: &'a Shape,
    now: Time,
}

fn check_transport(incoming: Incoming<'_>, endpoint: Endpoint) -> Result<(), Refusal> {
    match incoming {
        Incoming { tls: false, .. } => Err(Refusal::of(endpoint, -1)),
        Incoming { method: "POST", .. } => Ok(()),
        Incoming { .. } => Err(Refusal::of(endpoint, -17)),
    }
}

fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
