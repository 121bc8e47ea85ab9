//! Each endpoint by itself: version, log-in, rights, and whether what it confirms survives it.

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::session::Failure;
use super::{FIRST, Limit, Postgres, sql};
use crate::effects::files::random_name;
use crate::effects::shared::EndpointReport;
use certcollectd_core::api::Untrusted;

/// Version as text and number, read-only or not, then the settings, whether one standby is there, and which server it is.
fn question() -> String {
    format!(
        "SELECT current_setting('server_version'), current_setting('server_version_num'), {}, \
         current_setting('fsync'), current_setting('synchronous_standby_names') = '', \
         EXISTS (SELECT FROM pg_stat_replication), pg_postmaster_start_time()",
        sql::READ_ONLY
    )
}

/// What a server says of itself.
struct About {
    version: Untrusted,
    number: u32,
    is_read_only: bool,
    syncs: bool,
    waits_for_nobody: bool,
    has_standby: bool,
    /// The same only of the same server.
    since: String,
}

impl Postgres {
    pub(in crate::effects::shared) async fn check(&self) -> Vec<EndpointReport> {
        let mut reports = join_all((0..self.settings.endpoints.len()).map(|at| self.report(at))).await;
        let since: Vec<&String> = reports.iter().filter_map(|(_, since)| since.as_ref()).collect();
        let wrong = if since.is_empty() {
            Some("no endpoint takes writes: those that answer are standbys, or read-only")
        } else if since.iter().any(|one| *one != since[0]) {
            Some(
                "more than one server takes writes: hosts may take different ones for the store; end all but the one that is to be it",
            )
        } else {
            None
        };
        // Of all of them, so it is said once.
        if let Some(wrong) = wrong
            && let Some((report, _)) = reports.iter_mut().find(|(one, _)| one.version.is_some())
        {
            report.problems.push(wrong.into());
        }
        reports.into_iter().map(|(report, _)| report).collect()
    }

    /// And which server takes writes there, if one does.
    async fn report(&self, at: usize) -> (EndpointReport, Option<String>) {
        let endpoint = self.settings.endpoints[at].clone();
        match self.about(at).await {
            Ok(about) => {
                let problems = self.problems(at, &about).await;
                let advice = if problems.is_empty() { self.advice(at).await } else { None };
                let since = Some(about.since).filter(|_| !about.is_read_only);
                (
                    EndpointReport { endpoint, version: Some(about.version.to_string()), problems, advice },
                    since,
                )
            }
            Err(failure) => {
                let problems = vec![self.trouble(at, &failure).to_string()];
                (EndpointReport { endpoint, version: None, problems, advice: None }, None)
            }
        }
    }

    async fn about(&self, at: usize) -> Result<About, Failure> {
        let (session, answers) = self.begin(at, &question(), Limit::All).await?;
        self.give_back(at, session);
        let row = answers.first().and_then(|rows| rows.first()).ok_or(Failure::Foreign)?;
        let text = |at| row.get(at).ok_or(Failure::Foreign);
        Ok(About {
            version: Untrusted::new(text(0)?),
            number: text(1)?.parse().map_err(|_| Failure::Foreign)?,
            is_read_only: text(2)? == "t",
            syncs: text(3)? == "on",
            waits_for_nobody: text(4)? == "t",
            has_standby: text(5)? == "t",
            since: text(6)?.to_owned(),
        })
    }

    async fn problems(&self, at: usize, about: &About) -> Vec<String> {
        let who = self.name(at);
        let mut problems = Vec::new();
        if about.number < FIRST {
            problems.push(format!("{who} has version {}; upgrade it to 15 or later", about.version));
        }
        if !about.syncs {
            problems.push(format!("{who} has fsync = off: what it confirms may get lost; turn it on there"));
        }
        if about.is_read_only {
            return problems;
        }
        if about.has_standby && about.waits_for_nobody {
            problems.push(format!(
                "{who} has asynchronous standbys: one that takes over lacks what was written last; set \
                 synchronous_standby_names there"
            ));
        }
        if !about.has_standby && !about.waits_for_nobody {
            problems.push(format!(
                "{who} waits for synchronous standbys, and no standby is connected: nothing is confirmed; start one, or take \
                 it out of synchronous_standby_names there"
            ));
        }
        let sql = sql::get(&self.settings.prefix, &["meta"], self.settings.timeout);
        if let Err(failure) = self.read_at(at, &sql).await {
            problems.push(self.trouble(at, &failure).to_string());
        }
        problems
    }

    async fn advice(&self, at: usize) -> Option<String> {
        let passes = self.passes_hints(at).await;
        passes.is_ok_and(|passes| !passes).then(|| {
            format!(
                "{} passes no notifications on, like a pooler in transaction mode: what changes is seen up to half a minute later; \
                 list the server itself, or a pool in session mode",
                self.name(at)
            )
        })
    }

    /// Whether a connection that listens hears what another one says.
    async fn passes_hints(&self, at: usize) -> Result<bool, Failure> {
        let (sender, mut hints) = broadcast::channel(16);
        let listener = self.open(at, Some(sender)).await?;
        match listener.ask_briefly(&format!("LISTEN {}", sql::CHANNEL)).await {
            Ok(_) => {}
            // Some poolers refuse it.
            Err(Failure::Said(_)) => return Ok(false),
            Err(other) => return Err(other),
        }
        // About no row.
        let word = format!("check {}", random_name());
        let (session, _) = self.begin(at, &sql::hint(&word), Limit::All).await?;
        self.give_back(at, session);
        let heard = async {
            loop {
                match hints.recv().await {
                    Ok(hint) if hint == word => return Ok(true),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(Failure::Broken("the connection that listens ended".into()));
                    }
                }
            }
        };
        timeout(self.settings.timeout, heard).await.unwrap_or(Ok(false))
    }
}
