//! A watch: what changed since is asked for after each hint, and from time to time without one.
//!
//! A hint is what a commit says on a channel. Where none arrives, because a pooler stands in between or the
//! connection for them cannot be had, the watch is slower, and misses nothing.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{Postgres, lock, sql};
use crate::effects::shared::{Change, News, Revision, Row};

/// Between two looks without a hint.
const LOOK: Duration = Duration::from_secs(30);
/// Before it is listened again.
const AGAIN: Duration = Duration::from_secs(3);
/// Hints that wait. Those that find no place make all watches look.
const HINTS: usize = 256;

/// Hears what commits say, for all watches of one client.
#[derive(Debug)]
pub(super) struct Listener {
    hints: broadcast::Sender<String>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    fn of(postgres: &Arc<Postgres>) -> Arc<Listener> {
        let mut known = lock(&postgres.listener);
        if let Some(listener) = known.upgrade() {
            return listener;
        }
        let (hints, _) = broadcast::channel(HINTS);
        let task = tokio::spawn(listen(Arc::downgrade(postgres), hints.clone()));
        let listener = Arc::new(Listener { hints, task });
        *known = Arc::downgrade(&listener);
        listener
    }
}

/// Until the client is gone.
async fn listen(postgres: Weak<Postgres>, hints: broadcast::Sender<String>) {
    while let Some(postgres) = postgres.upgrade() {
        for at in postgres.endpoints.order() {
            let Ok(session) = postgres.open(at, Some(hints.clone())).await else { continue };
            if session.ask_briefly(&format!("LISTEN {}", sql::CHANNEL)).await.is_err() {
                continue;
            }
            // What was said before is not heard: all begin with this.
            let _ = hints.send(String::new());
            drop(postgres);
            session.ended().await;
            break;
        }
        sleep(AGAIN).await;
    }
}

#[derive(Debug)]
pub(in crate::effects::shared) struct Watch {
    news: mpsc::Receiver<News>,
    task: JoinHandle<()>,
    lost: Option<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watch {
    pub(in crate::effects::shared) fn new(postgres: &Arc<Postgres>, prefix: &str, from: Revision) -> Watch {
        let (sender, news) = mpsc::channel(1);
        let looks = Looks {
            postgres: postgres.clone(),
            prefix: prefix.to_owned(),
            snapshot: format!("{0}:{0}:", from.0),
            incarnation: lock(&postgres.incarnation).clone(),
            from,
        };
        Watch { news, task: tokio::spawn(looks.go_on(sender)), lost: None }
    }

    pub(in crate::effects::shared) async fn next(&mut self) -> News {
        if let Some(why) = &self.lost {
            return News::Lost(why.clone());
        }
        let next = self.news.recv().await;
        let next = next.unwrap_or_else(|| News::Lost("the watch of PostgreSQL ended".into()));
        if let News::Lost(why) = &next {
            self.lost = Some(why.clone());
        }
        next
    }
}

/// Looks for what is new.
struct Looks {
    postgres: Arc<Postgres>,
    prefix: String,
    /// What was seen.
    snapshot: String,
    incarnation: Option<String>,
    from: Revision,
}

impl Looks {
    async fn go_on(mut self, news: mpsc::Sender<News>) {
        let listener = Listener::of(&self.postgres);
        let mut hints = listener.hints.subscribe();
        let watched = format!("{}{}", self.postgres.settings.prefix, self.prefix);
        let most = LOOK.min(self.postgres.settings.watch_idle / 2);
        loop {
            let next = match self.look().await {
                Ok(changes) if changes.is_empty() => None,
                Ok(changes) => Some(News::Changes(changes)),
                Err(why) => Some(News::Lost(why)),
            };
            if let Some(next) = next {
                let is_over = matches!(next, News::Lost(_));
                if news.send(next).await.is_err() || is_over {
                    return;
                }
            }
            let hinted = timeout(most, hinted(&mut hints, &watched));
            tokio::select! {
                _ = hinted => {}
                () = news.closed() => return,
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<Change>, String> {
        let postgres = &self.postgres;
        let settings = &postgres.settings;
        let sql = sql::since(&settings.prefix, &self.prefix, &self.snapshot, settings.timeout);
        let (moment, rows) = postgres.read(&sql).await.map_err(|trouble| trouble.to_string())?;
        let known = self.incarnation.get_or_insert_with(|| moment.incarnation.clone());
        if *known != moment.incarnation {
            return Err("PostgreSQL was started anew, or another server took over".into());
        }
        if moment.revision < self.from {
            return Err(format!(
                "PostgreSQL is at transaction {}, and was at {}: it was restored",
                moment.revision.0, self.from.0
            ));
        }
        self.snapshot = moment.snapshot;
        self.from = moment.revision;
        let changes = rows.into_iter().map(|(key, value)| match value {
            Some(value) => Change::Put(Row { key, value }),
            None => Change::Deleted(key),
        });
        Ok(changes.collect())
    }
}

/// Waits for a hint that is about these keys; takes all that are there.
async fn hinted(hints: &mut broadcast::Receiver<String>, watched: &str) {
    let is_about = |hint: &str| watched.starts_with(hint) || hint.starts_with(watched);
    loop {
        match hints.recv().await {
            Ok(hint) if !is_about(&hint) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => break,
            // The sender lives in the listener, which lives as long as this.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
    while !matches!(hints.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
}
