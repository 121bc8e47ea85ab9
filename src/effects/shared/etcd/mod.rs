//! etcd 3 through its JSON gateway.
//!
//! One endpoint is asked until it fails, then the next. A read goes on to the next at once. A write does only
//! where nothing of it was sent: etcd may carry out later what it has not answered.
//!
//! A token ends with its member's restart, and a member that was restored from a backup lets requests with an
//! old one hang. So each request may log in anew once, and the one after a timeout always does.

mod check;
mod client;
mod watch;
mod wire;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::Client;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use self::client::Failure;
use self::wire::{Authenticated, Complaint, KeyValue, Kind, Page, Range, Transaction};
use super::endpoints::Endpoints;
use super::{Commit, Committed, Listing, Revision, Row, StoreSettings, Trouble};
use crate::effects::blocking;
use crate::effects::call::credential;
use certcollectd_core::config::fleet::StoreLogin;

pub(super) use self::watch::Watch;

/// Rows of one answer. Those of the fleet have some 2 kB.
const PAGE: usize = 500;
/// Bytes of a whole listing, at most.
const MOST_LISTED: usize = 1 << 30;
/// Attempts at a listing: the store may be compacted between two of its pages.
const LISTINGS: usize = 3;

/// A client of etcd's, with at most one log-in.
#[derive(Debug)]
pub(super) struct Etcd {
    settings: Arc<StoreSettings>,
    /// To read files.
    permit: Arc<Semaphore>,
    /// Made of files, and made anew after each failure: they may have been renewed.
    client: Mutex<Option<Client>>,
    /// Held while it logs in: the others wait for the same token.
    token: tokio::sync::Mutex<Option<HeaderValue>>,
    endpoints: Endpoints,
}

enum Paged {
    Page(Page),
    TooLarge,
    Past,
}

impl Etcd {
    pub(super) fn new(settings: StoreSettings) -> Etcd {
        assert!(!settings.endpoints.is_empty(), "a store without an endpoint");
        let endpoints = Endpoints::new(settings.endpoints.len());
        Etcd {
            settings: settings.into(),
            permit: blocking::permit(),
            client: Mutex::default(),
            token: tokio::sync::Mutex::default(),
            endpoints,
        }
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, Trouble> {
        for _ in 0..LISTINGS {
            if let Some(listing) = self.list_at_once(prefix).await? {
                return Ok(listing);
            }
        }
        Err(Trouble::Other(format!(
            "{} is compacted in less time than a listing takes; compact it less often",
            self.name(self.endpoints.first())
        )))
    }

    /// `None` if the first page's revision is gone before the last page.
    async fn list_at_once(&self, prefix: &str) -> Result<Option<Listing>, Trouble> {
        let mut range = self.range(prefix);
        let (mut limit, mut revision, mut size) = (PAGE, 0, 0);
        let mut rows = Vec::new();
        loop {
            let page = match self.page(&range, limit, revision).await? {
                Paged::Page(page) => page,
                Paged::TooLarge if limit > 1 => {
                    limit = limit.div_ceil(8);
                    continue;
                }
                Paged::TooLarge => return Err(too_large(client::MOST)),
                Paged::Past => return Ok(None),
            };
            revision = if revision == 0 { page.header.revision } else { revision };
            let last = page.kvs.last().filter(|_| page.more).map(|row| range.after(&row.key));
            size += page.kvs.iter().map(|row| row.key.len() + row.value.len()).sum::<usize>();
            if size > MOST_LISTED {
                return Err(too_large(MOST_LISTED));
            }
            rows.extend(page.kvs.into_iter().filter_map(|row| self.row(row)));
            match last {
                Some(rest) => range = rest,
                None => return Ok(Some(Listing { rows, revision: Revision(revision) })),
            }
        }
    }

    async fn page(&self, range: &Range, limit: usize, revision: u64) -> Result<Paged, Trouble> {
        let body = body(&wire::range(range, limit, revision));
        self.read(async |at| match self.ask::<Page>(at, "/v3/kv/range", &body).await {
            Ok(page) if page.fits(range) => Ok(Paged::Page(page)),
            Ok(_) => Err(Failure::Foreign),
            Err(Failure::TooLarge) => Ok(Paged::TooLarge),
            Err(Failure::Said(Complaint { kind: Kind::Past, .. })) => Ok(Paged::Past),
            Err(failure) => Err(failure),
        })
        .await
    }

    pub(super) async fn get(&self, keys: &[&str]) -> Result<Vec<Option<Vec<u8>>>, Trouble> {
        let names = keys.iter().map(|key| format!("{}{key}", self.settings.prefix));
        let body = body(&wire::read(names));
        self.read(async |at| {
            let answer = self.ask::<Transaction>(at, "/v3/kv/txn", &body).await?;
            answer.values(keys.len()).ok_or(Failure::Foreign)
        })
        .await
    }

    pub(super) async fn commit(&self, commit: &Commit) -> Committed {
        let body = body(&wire::write(&self.settings.prefix, commit));
        let mut unsent = Vec::new();
        for at in self.endpoints.order() {
            let failure = match self.ask::<Transaction>(at, "/v3/kv/txn", &body).await {
                Ok(answer) if answer.header.revision > 0 => {
                    self.endpoints.answered(at);
                    return if answer.succeeded { Committed::Done } else { Committed::Fenced };
                }
                Ok(_) => Failure::Foreign,
                Err(failure) => failure,
            };
            self.pass_on(at, &failure);
            let trouble = self.trouble(at, &failure);
            match failure {
                Failure::Unsent(_) => unsent.push(trouble.to_string()),
                Failure::TimedOut(_) | Failure::Broken(_) | Failure::Foreign | Failure::TooLarge => {
                    return Committed::Unknown(trouble);
                }
                Failure::Here(_) => return Committed::Refused(trouble),
                Failure::Said(Complaint { kind, .. }) => {
                    return match kind {
                        Kind::Unsure => Committed::Unknown(trouble),
                        Kind::Full => self.although_full(commit, trouble).await,
                        Kind::Token | Kind::Denied | Kind::Busy | Kind::Past | Kind::Invalid => {
                            Committed::Refused(trouble)
                        }
                    };
                }
            }
        }
        Committed::Refused(Trouble::Away(unsent.join("; ")))
    }

    /// The write that crosses the quota is refused and carried out; those after it are refused. The rows
    /// tell.
    async fn although_full(&self, commit: &Commit, trouble: Trouble) -> Committed {
        let keys: Vec<&str> = commit.puts.iter().map(|row| row.key.as_str()).collect();
        match self.get(&keys).await {
            Ok(found)
                if found.iter().zip(&commit.puts).any(|(found, put)| found.as_ref() != Some(&put.value)) =>
            {
                Committed::Refused(trouble)
            }
            Ok(_) | Err(_) => Committed::Unknown(trouble),
        }
    }

    /// Does what changes nothing at one endpoint after the other, until one has an answer that counts.
    async fn read<T, W>(&self, work: impl Fn(usize) -> W) -> Result<T, Trouble>
    where
        W: Future<Output = Result<T, Failure>>,
    {
        self.endpoints.ask(work, |at, failure| (self.trouble(at, failure), self.pass_on(at, failure))).await
    }

    /// One request to one endpoint.
    async fn ask<T: DeserializeOwned>(&self, at: usize, path: &str, body: &Bytes) -> Result<T, Failure> {
        let timeout = self.settings.timeout;
        let answer = self.logged_in(at, async |client, token| {
            client::ask(&client, &self.url(at, path), token, Some(body.clone()), timeout).await
        });
        serde_json::from_slice(&answer.await?).map_err(|_| Failure::Foreign)
    }

    /// Does the work with a client and a token, and once more where the token has died.
    async fn logged_in<T>(
        &self,
        at: usize,
        work: impl AsyncFn(Client, Option<HeaderValue>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let token = self.token(at).await?;
        let outcome = match work(self.client().await?, token.clone()).await {
            Err(Failure::Said(Complaint { kind: Kind::Token, .. })) if token.is_some() => {
                self.forget_token(token.as_ref()).await;
                let token = self.token(at).await?;
                work(self.client().await?, token).await
            }
            outcome => outcome,
        };
        match &outcome {
            Err(Failure::TimedOut(_)) => {
                self.forget_token(None).await;
                self.forget_client();
            }
            Err(Failure::Unsent(_) | Failure::Broken(_)) => self.forget_client(),
            Ok(_) | Err(Failure::Foreign | Failure::TooLarge | Failure::Said(_) | Failure::Here(_)) => {}
        }
        outcome
    }

    async fn client(&self) -> Result<Client, Failure> {
        if let Some(client) = self.kept().clone() {
            return Ok(client);
        }
        let settings = self.settings.clone();
        let made = blocking::with_timeout(&self.permit, move || client::build(&settings)).await;
        let made = made
            .unwrap_or_else(|why| Err(Trouble::Other(format!("the files for TLS with the store: {why}"))))
            .map_err(Failure::Here)?;
        *self.kept() = Some(made.clone());
        Ok(made)
    }

    fn kept(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_client(&self) {
        *self.kept() = None;
    }

    /// The token; nothing where no log-in is configured.
    async fn token(&self, at: usize) -> Result<Option<HeaderValue>, Failure> {
        let Some(login) = &self.settings.login else { return Ok(None) };
        let mut token = self.token.lock().await;
        if token.is_none() {
            *token = Some(self.log_in(at, login).await?);
        }
        Ok(token.clone())
    }

    /// Forgets this token, or whichever there is. One that somebody else got since stays.
    async fn forget_token(&self, dead: Option<&HeaderValue>) {
        let mut token = self.token.lock().await;
        if dead.is_none() || token.as_ref() == dead {
            *token = None;
        }
    }

    /// Costs the member some 100 ms of CPU. Whatever becomes of it, nothing else was asked for yet.
    async fn log_in(&self, at: usize, login: &StoreLogin) -> Result<HeaderValue, Failure> {
        let body = self.credentials(login).await.map_err(|why| {
            let why =
                format!("the password for the store cannot be read: {why}; {}", login.password.when_unread());
            Failure::Here(Trouble::Denied(why))
        })?;
        let client = self.client().await?;
        let url = self.url(at, "/v3/auth/authenticate");
        let answer = client::ask(&client, &url, None, Some(body), self.settings.timeout).await;
        let answer = answer.map_err(|failure| match failure {
            Failure::TimedOut(why) | Failure::Broken(why) => {
                self.forget_client();
                Failure::Unsent(format!("log-in: {why}"))
            }
            Failure::Said(complaint) => self.no_login(at, login, &complaint),
            Failure::Unsent(_) => {
                self.forget_client();
                failure
            }
            Failure::Foreign | Failure::TooLarge => {
                Failure::Unsent("log-in: it answers, but not as etcd does".into())
            }
            Failure::Here(_) => failure,
        })?;
        let token = serde_json::from_slice(&answer).ok();
        let token = token.and_then(|Authenticated { token }| HeaderValue::from_str(&token).ok());
        let mut token =
            token.ok_or_else(|| Failure::Unsent("the answer to the log-in holds no token".into()))?;
        token.set_sensitive(true);
        Ok(token)
    }

    async fn credentials(&self, login: &StoreLogin) -> Result<Bytes, String> {
        #[derive(Serialize)]
        struct Credentials<'a> {
            name: &'a str,
            password: &'a str,
        }
        let source = login.password.clone();
        let read = blocking::with_timeout(&self.permit, move || credential::read(&source));
        let password =
            read.await.unwrap_or_else(|why| Err(format!("{}: {why}", login.password.describe())))?;
        // Room for each byte as \u00xx: a buffer that moves leaves a copy behind.
        let room = 6 * (login.user.len() + password.len()) + 64;
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        let credentials = Credentials { name: &login.user, password: &password };
        serde_json::to_writer(&mut *body, &credentials).expect("text can be written");
        Ok(Bytes::from_owner(body))
    }

    /// Words that are not etcd's own are not repeated: they may be those of a server that repeats the
    /// password.
    fn no_login(&self, at: usize, login: &StoreLogin, complaint: &Complaint) -> Failure {
        let (who, user) = (self.name(at), &login.user);
        let said = complaint.text.as_str();
        let known = said.strip_prefix("etcdserver: ");
        let denied = |text| Failure::Here(Trouble::Denied(text));
        match complaint.kind {
            Kind::Unsure | Kind::Busy => {
                Failure::Unsent(format!("log-in: {}", known.unwrap_or("it answers with an error")))
            }
            Kind::Denied if said.contains("CommonName") => denied(format!(
                "{who} refuses every log-in with a client certificate that has a CN; make one without a CN, with the \
                 host's name as subject alternative name"
            )),
            Kind::Invalid if known == Some("authentication is not enabled") => denied(format!(
                "{who} lets everybody read and write; enable authentication there, or take `user` out of [fleet]"
            )),
            Kind::Invalid if known.is_some_and(|said| said.starts_with("authentication failed")) => {
                denied(format!("{who} refuses user {user} with this password; {}", login.password.remedy()))
            }
            Kind::Token | Kind::Denied | Kind::Full | Kind::Past | Kind::Invalid => denied(format!(
                "{who} refuses the log-in of user {user}: {}",
                known.unwrap_or("in words that are not etcd's; is the endpoint right?")
            )),
        }
    }

    /// Whether another endpoint may do better; then it is asked first from now on.
    fn pass_on(&self, at: usize, failure: &Failure) -> bool {
        let elsewhere = match failure {
            Failure::Unsent(_) | Failure::TimedOut(_) | Failure::Broken(_) | Failure::Foreign => true,
            Failure::TooLarge | Failure::Here(_) => false,
            Failure::Said(Complaint { kind, .. }) => match kind {
                Kind::Unsure | Kind::Busy => true,
                Kind::Token | Kind::Denied | Kind::Full | Kind::Past | Kind::Invalid => false,
            },
        };
        if elsewhere {
            self.endpoints.leave(at);
        }
        elsewhere
    }

    fn trouble(&self, at: usize, failure: &Failure) -> Trouble {
        let who = self.name(at);
        match failure {
            Failure::Unsent(why) | Failure::TimedOut(why) | Failure::Broken(why) => {
                Trouble::Away(format!("{who}: {why}"))
            }
            Failure::Foreign => {
                Trouble::Other(format!("{who} answers, but not as etcd does; is the endpoint right?"))
            }
            Failure::TooLarge => too_large(client::MOST),
            Failure::Here(trouble) => trouble.clone(),
            Failure::Said(Complaint { kind, text }) => match kind {
                Kind::Token => {
                    Trouble::Denied(format!("{who} does not take the token of a new log-in: {text}"))
                }
                Kind::Denied => Trouble::Denied(match &self.settings.login {
                    Some(login) => format!("{who}: {text}; give the role of user {} this right", login.user),
                    None => format!("{who}: {text}; set `user` and `password` in [fleet]"),
                }),
                Kind::Full => Trouble::Full(format!(
                    "{who} has no space left ({text}); compact and defragment it or raise its quota, then \
                     `etcdctl alarm disarm`"
                )),
                Kind::Unsure if text.as_str().contains("no leader") => {
                    Trouble::Away(format!("{who}: {text}; does it reach the other members, and do they run?"))
                }
                Kind::Busy | Kind::Unsure => Trouble::Away(format!("{who}: {text}")),
                Kind::Past | Kind::Invalid => {
                    Trouble::Other(format!("{who} does not take the request: {text}"))
                }
            },
        }
    }

    fn name(&self, at: usize) -> String {
        format!("etcd {}", self.settings.endpoints[at])
    }

    fn url(&self, at: usize, path: &str) -> String {
        format!("{}{path}", self.settings.endpoints[at])
    }

    fn range(&self, prefix: &str) -> Range {
        Range::of_prefix(&format!("{}{prefix}", self.settings.prefix))
    }

    /// `None` for a key that is not text: whoever wrote it, it is not one of ours.
    fn row(&self, KeyValue { key, value }: KeyValue) -> Option<Row> {
        let key = String::from_utf8(key).ok()?;
        Some(Row { key: key.strip_prefix(&*self.settings.prefix)?.to_owned(), value })
    }
}

fn too_large(most: usize) -> Trouble {
    Trouble::Other(format!("etcd holds more than {} MiB where less is expected", most >> 20))
}

fn body(request: &Value) -> Bytes {
    serde_json::to_vec(request).expect("a value can be written").into()
}
