//! The metrics as a file, for the textfile collector of node_exporter.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Snapshot, clock};
use crate::effects::install::dir::Dir;
use crate::effects::ownership::Ownership;
use crate::status::{Exposition, Status};
use certcollectd_core::engine::install::InstallError;
use certcollectd_core::engine::time::Time;

/// Written again after this at the latest: monitoring knows a daemon that is gone by the age of the file.
const AGE: Duration = Duration::from_secs(60);
/// Between two beginnings, however much happens.
const GAP: Duration = Duration::from_secs(5);
/// It takes at most one part in so many of the time; with 100,000 orders it is large.
const SHARE: u32 = 20;
/// How long an end waits for the last one.
const PATIENCE: Duration = Duration::from_secs(5);
/// Everybody may read it.
const MODE: u32 = 0o644;

/// What is known of the file, and the thread that writes it: one at a time, since a mount may hang.
#[derive(Debug, Default)]
pub struct Textfile {
    begun: Option<Time>,
    /// Until the next one may begin.
    gap: Duration,
    writing: JoinSet<(Duration, Result<(), InstallError>)>,
    /// What fails, as it was told.
    finding: Option<String>,
}

/// Something fails, or no longer does.
pub type News = (String, bool);

impl Textfile {
    /// How long until it is to be written, whatever happens.
    pub fn wait(&self, now: Time) -> Duration {
        // A thread that hangs is looked at that often.
        self.begun.map_or(Duration::ZERO, |begun| match begun + AGE {
            due if due > now => due.since(now),
            _ if self.writing.is_empty() => Duration::ZERO,
            _ => AGE,
        })
    }

    /// Whether it may be written now, as something may have changed.
    pub fn is_due(&self, now: Time) -> bool {
        self.writing.is_empty() && self.begun.is_none_or(|begun| begun + self.gap <= now)
    }

    /// The next look finds it due.
    pub fn renew(&mut self) {
        self.begun = None;
    }

    /// Begins to write it, where the configuration names one; the snapshot was begun at this time.
    pub fn begin(&mut self, begun: Time, snapshot: Snapshot) {
        self.begun = Some(begun);
        self.gap = GAP;
        self.writing.spawn_blocking(move || {
            let written = match &snapshot.config.metrics.textfile {
                Some(path) => {
                    let status =
                        Status::new(&snapshot.config, &snapshot.loaded, clock::now()).with(&snapshot.vitals);
                    write(path, &status.metrics(Exposition::Text))
                }
                None => Ok(()),
            };
            (clock::now().time.since(begun), written)
        });
    }

    /// What was found since the last call; waits for a thread to end.
    pub async fn next(&mut self) -> Vec<News> {
        match self.writing.join_next().await {
            None => std::future::pending().await,
            Some(Ok((took, written))) => {
                self.gap = GAP.max(took * SHARE);
                self.take(written.err().map(|error| format!("the metrics are not written: {error}")))
            }
            Some(Err(_)) => {
                self.take(Some("the metrics are not written: internal error, please report it".into()))
            }
        }
    }

    /// What is to be told when nothing has come of it for too long.
    pub fn look(&mut self, now: Time) -> Vec<News> {
        let hangs = !self.writing.is_empty() && self.begun.is_some_and(|begun| begun + AGE <= now);
        let text = || {
            format!(
                "the metrics are not written within {} s; does the mount of [metrics] textfile hang?",
                AGE.as_secs()
            )
        };
        if hangs { self.take(Some(text())) } else { Vec::new() }
    }

    /// Nothing is to be written any more.
    pub fn end(&mut self) -> Vec<News> {
        self.take(None)
    }

    /// Writes it for the last time.
    pub async fn finish(&mut self, snapshot: Snapshot) {
        let last = async {
            while self.writing.join_next().await.is_some() {}
            self.begin(clock::now().time, snapshot);
            self.next().await
        };
        let _ = timeout(PATIENCE, last).await;
    }

    fn take(&mut self, finding: Option<String>) -> Vec<News> {
        if finding == self.finding {
            return Vec::new();
        }
        let before = std::mem::replace(&mut self.finding, finding.clone());
        if let Some(text) = &finding {
            tracing::error!("{text}; retrying automatically, and everything else goes on");
        } else if let Some(text) = &before {
            tracing::info!("fixed: {text}");
        }
        before.map(|text| (text, false)).into_iter().chain(finding.map(|text| (text, true))).collect()
    }
}

/// Readers see the old content or the new one.
fn write(path: &Path, text: &str) -> Result<(), InstallError> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(InstallError::new("write", path, "it names no file"));
    };
    Dir::open(dir)?.replace(name, text.as_bytes(), MODE, Ownership::default())
}
