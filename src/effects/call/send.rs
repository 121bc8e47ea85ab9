//! The one POST: the password is read for it, sent, and wiped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use zeroize::Zeroizing;

use super::client::{Made, Prepared};
use super::credential;
use super::leave::{Leaving, NotSent};
use super::limit::Limit;
use super::redact::Redactor;
use super::transport::{self, Cause, Route};
use crate::effects::blocking;
use certcollectd_core::api::code::{self, Class};
use certcollectd_core::api::{Answer, Endpoint, Failure, Request, RetryAfter, Untrusted, http_date, reply};
use certcollectd_core::cert::Fingerprint;
use certcollectd_core::config::ProxyLogin;
use certcollectd_core::engine::account::record::CredentialTag;

/// The largest body, in bytes as they arrive; the largest true answer is a mark certificate with its chain, below 200 KB.
pub const MAX_BODY: usize = 1024 * 1024;
/// The largest set of headers, names and values together.
pub const MAX_HEADERS: usize = 16 * 1024;

/// Whether the code of a refused login stands anywhere in a body. Whatever holds it is looked at as a refusal.
fn names_refusal(body: &[u8]) -> bool {
    memmem::find(body, code::LOGIN_REFUSED.to_string().as_bytes()).is_some()
}

/// Whether an answer may refuse the login, by this code or in other words.
fn may_refuse(endpoint: Endpoint, answer: &Answer) -> bool {
    let closes = || {
        let reply = reply::decode(endpoint, answer).ok();
        reply.is_some_and(|reply| code::classify(endpoint, &reply).class == Class::AccountClosed)
    };
    // Reading what is as broken as an answer can be may end in a panic; that is the engine's to say.
    names_refusal(&answer.body) || catch_unwind(AssertUnwindSafe(closes)).unwrap_or(true)
}

impl Prepared {
    /// Makes the call. Where the answer may be a refused login, or may have been if it had been heard, it also says which
    /// credential that was: by the time the answer is read, the file may hold another one.
    pub async fn send(
        self,
        request: &Request,
        salt: Arc<[u8]>,
    ) -> (Result<Answer, Failure>, Option<CredentialTag>) {
        let (made, password) = match self.read().await {
            Ok(read) => read,
            Err(failure) => return (Err(failure), None),
        };
        let account = self.account.clone();
        let outcome = self.call(&made, request, &password).await;
        let suspicious = match &outcome {
            Ok(answer) => may_refuse(request.endpoint, answer),
            Err(failure) => !failure.unsent(),
        };
        let tag = if suspicious {
            let work = move || credential::tag_of(&account.login_name, &password, &salt);
            tokio::task::spawn_blocking(work).await.ok()
        } else {
            None
        };
        (outcome, tag)
    }

    /// What lies in files: the password, read for each call, and the roots, with which the client is made.
    async fn read(&self) -> Result<(Made, Zeroizing<String>), Failure> {
        let Some(source) = &self.account.password else {
            return Err(Failure::Credential(format!("account {} has none", self.account.name)));
        };
        let password = self.files.password.read(source, &self.files.permit);
        let password = password
            .await
            .unwrap_or_else(|why| Err(format!("{}: {why}", source.describe())))
            .map_err(|why| Failure::Credential(format!("{why}; {}", source.when_unread())))?;
        let proxy_password = self.proxy_password().await?;
        let digest = proxy_password.as_ref().map(|password| Fingerprint::of(password.as_bytes()));
        if let Some(made) = self.kept().as_ref().filter(|made| made.proxy_password == digest) {
            return Ok((made.clone(), password));
        }
        let (account, calls) = (self.account.clone(), self.calls);
        let work =
            move || Made::new(&account, &calls, proxy_password.as_ref().map(|password| password.as_str()));
        let made = blocking::with_timeout(&self.files.permit, work).await.unwrap_or_else(|why| {
            let file = self.account.ca_file.as_ref().map(|path| format!("ca_file {}: ", path.display()));
            Err(Failure::Setup(format!("{}{why}", file.unwrap_or_default())))
        })?;
        *self.kept() = Some(made.clone());
        Ok((made, password))
    }

    fn kept(&self) -> MutexGuard<'_, Option<Made>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The password of the proxy, read for each call like the account's: a changed one counts at once.
    async fn proxy_password(&self) -> Result<Option<Zeroizing<String>>, Failure> {
        let Some(ProxyLogin { password: source, .. }) = &self.account.proxy_login else {
            return Ok(None);
        };
        let shown = source.describe();
        let advice = source.when_unread();
        let longest = ProxyLogin::LONGEST;
        match self.files.proxy_password.read(source, &self.files.permit).await {
            Ok(Ok(password)) if password.len() <= longest => Ok(Some(password)),
            Ok(Ok(_)) => Err(format!("{shown} is longer than {longest} bytes")),
            Ok(Err(why)) => Err(why),
            Err(why) => Err(format!("{shown}: {why}")),
        }
        .map_err(|why| Failure::Setup(format!("the password of the proxy cannot be read: {why}; {advice}")))
    }

    async fn call(self, made: &Made, request: &Request, password: &str) -> Result<Answer, Failure> {
        let body = request.body(&self.account.login_name, password);
        let redactor = Redactor::new(password);
        tracing::debug!("account {}: calling {}", self.account.name, request.endpoint);
        // The client's own limit begins with the connection, and stands still while the machine is suspended; this one
        // covers the wait for a name server, too, and goes on.
        let mut arrived = Arrived::default();
        let route = &*made.route;
        let post_to = made.client.post(made.url(request.endpoint));
        // It is wiped when the last of its holders lets go.
        let body = Bytes::from_owner(body);
        let body = match &self.leave {
            None => reqwest::Body::from(body),
            Some(leave) => {
                let limit = self.calls.request_timeout;
                reqwest::Body::wrap(Leaving::new(body, leave.clone(), limit, self.clock))
            }
        };
        let call = post(post_to, body, &redactor, &mut arrived, route);
        let limit = Limit::new(self.calls.request_timeout, self.clock);
        let answer = match limit.hold(call).await {
            Some(Ok(late)) if limit.is_out() => {
                // A whole answer that came after the end counts as little as half of one.
                arrived = Arrived { status: late.status, body: late.body.into() };
                Err(Unanswered::TimedOut)
            }
            Some(Err(Unanswered::NoWay(cause))) => {
                // What is asked for once more belongs to the call, and to its limit.
                let asked = limit.hold(route.asked(cause.clone())).await;
                Err(Unanswered::NoWay(asked.unwrap_or(cause)))
            }
            Some(answer) => answer,
            None => Err(Unanswered::TimedOut),
        };
        let answer = answer.map_err(|why| match why {
            Unanswered::TimedOut => Failure::Timeout(route.silent(arrived.status, arrived.body.len())),
            Unanswered::Broken(why) => Failure::Broken(format!("{}: {why}", route.host())),
            Unanswered::NoWay(cause) => route.failure(&cause),
            Unanswered::Failed(failure) => failure,
        });
        let answer = answer.or_else(|failure| arrived.refusal(request.endpoint, &redactor).ok_or(failure));
        let (account, endpoint) = (&self.account.name, request.endpoint);
        match &answer {
            Ok(answer) => {
                tracing::debug!(
                    "account {account}: {endpoint} answered HTTP {} with {} bytes",
                    answer.status,
                    answer.body.len()
                );
                tracing::trace!(
                    "account {account}: the answer begins \"{}\"",
                    Untrusted::from_bytes(&answer.body)
                );
            }
            Err(failure) => tracing::debug!("account {account}: {endpoint}: {failure}"),
        }
        answer
    }
}

/// What has arrived of an answer so far.
#[derive(Default)]
struct Arrived {
    status: u16,
    body: BytesMut,
}

impl Arrived {
    /// Half an answer decides nothing, but for a refused login: to call again after that may lock the account.
    fn refusal(self, endpoint: Endpoint, redactor: &Redactor<'_>) -> Option<Answer> {
        // There, what follows the code decides what it means.
        if endpoint == Endpoint::DomainDetails || !names_refusal(&self.body) {
            return None;
        }
        let body = redactor.redact(self.body.freeze());
        let answer = Answer { status: self.status, content_type: None, retry_after: None, date: None, body };
        let reply = reply::decode(endpoint, &answer).ok()?;
        (code::classify(endpoint, &reply).class == Class::AccountClosed).then_some(answer)
    }
}

/// Why there is no answer.
enum Unanswered {
    /// No connection came about, and nothing was sent.
    NoWay(Cause),
    TimedOut,
    Broken(String),
    Failed(Failure),
}

async fn post(
    request: RequestBuilder,
    body: reqwest::Body,
    redactor: &Redactor<'_>,
    arrived: &mut Arrived,
    route: &Route,
) -> Result<Answer, Unanswered> {
    let response = request
        .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
        .body(body)
        .send()
        .await
        .map_err(|error| match transport::cause(&error, route) {
            Some(cause) => Unanswered::NoWay(cause),
            None => failure(error),
        })?;
    read(response, redactor, arrived).await
}

/// Reads the answer, with the password redacted wherever the server repeats it.
async fn read(
    mut response: reqwest::Response,
    redactor: &Redactor<'_>,
    arrived: &mut Arrived,
) -> Result<Answer, Unanswered> {
    let headers = response.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if size > MAX_HEADERS {
        return Err(Unanswered::Failed(Failure::HeadersTooLarge(MAX_HEADERS)));
    }
    let text = |name| {
        headers.get(name).map(|value: &HeaderValue| {
            Untrusted::from_bytes(&redactor.redact(Bytes::copy_from_slice(value.as_bytes())))
        })
    };
    if let Some(coding) =
        text(CONTENT_ENCODING).filter(|coding| !coding.as_str().eq_ignore_ascii_case("identity"))
    {
        return Err(Unanswered::Failed(Failure::Encoded(coding)));
    }
    let content_type = text(CONTENT_TYPE);
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| RetryAfter::parse(value.to_str().ok()?));
    let date = headers.get(DATE).and_then(|value| http_date(value.to_str().ok()?));
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if claimed.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Unanswered::Failed(Failure::TooLarge(MAX_BODY)));
    }
    let status = response.status().as_u16();
    arrived.status = status;
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if arrived.body.len() + chunk.len() > MAX_BODY {
            return Err(Unanswered::Failed(Failure::TooLarge(MAX_BODY)));
        }
        arrived.body.extend_from_slice(&chunk);
    }
    let body = redactor.redact(std::mem::take(&mut arrived.body).freeze());
    Ok(Answer { status, content_type, retry_after, date, body })
}

/// Sorts the client's errors on an open connection by what the vendor can have seen.
fn failure(error: reqwest::Error) -> Unanswered {
    // The URL says nothing that helps at night, and one day someone will put a secret into one.
    let error = error.without_url();
    if let Some(not_sent) = transport::causes(&error).find_map(|cause| cause.downcast_ref::<NotSent>()) {
        return Unanswered::Failed(Failure::Setup(not_sent.to_string()));
    }
    if let Some(why) = transport::broken(&error) {
        return Unanswered::Broken(why.to_owned());
    }
    if error.is_timeout() {
        return Unanswered::TimedOut;
    }
    let text = transport::chain(&error);
    if error.is_builder() { Unanswered::Failed(Failure::Setup(text)) } else { Unanswered::Broken(text) }
}
