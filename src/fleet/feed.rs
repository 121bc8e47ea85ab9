//! The rows below some prefixes: all of them, then what changes, and all of them again by and by.
//!
//! A task of its own lists and watches, so that whoever takes what comes may give up waiting and lose nothing.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::effects::shared::{Change, News, Row, Shared, Trouble};

/// All rows are listed again after this, whatever the watches brought.
pub const LIST_EVERY: Duration = Duration::from_secs(60);
/// After the store could not be read; doubled each time, up to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(10);
/// Lists of changes that wait to be taken.
const PLACES: usize = 64;

/// What comes.
#[derive(Debug)]
pub enum Fed {
    /// Every row that there is.
    All(Vec<Row>),
    /// Since then.
    Changed(Vec<Change>),
    /// Why they cannot be read at present. It is tried again.
    Away(Trouble),
}

/// How a feed goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Changes that come within this are brought together.
    pub together: Duration,
    /// After a watch was lost, and before all rows are listed.
    pub pause: Duration,
}

#[derive(Debug)]
pub struct Feed {
    fed: mpsc::Receiver<Fed>,
    /// Ends with this.
    _task: JoinSet<()>,
}

impl Feed {
    pub fn of(shared: Rc<Shared>, prefixes: Vec<String>, pace: Pace) -> Feed {
        let (sender, fed) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn_local(async move {
            // It ends when nobody takes anything any more.
            let _ = feed(&shared, &prefixes, pace, &sender).await;
        });
        Feed { fed, _task: task }
    }

    /// The wait may be given up and begun again, and nothing is missed.
    pub async fn next(&mut self) -> Fed {
        self.fed.recv().await.expect("it goes on for as long as it is taken from")
    }
}

type Gone = mpsc::error::SendError<Fed>;

async fn feed(
    shared: &Shared,
    prefixes: &[String],
    pace: Pace,
    sender: &mpsc::Sender<Fed>,
) -> Result<(), Gone> {
    let mut wait = FIRST_WAIT;
    loop {
        let (news, mut changes) = mpsc::channel(PLACES);
        let mut watches = JoinSet::new();
        match list(shared, prefixes, &mut watches, &news).await {
            Ok(rows) => sender.send(Fed::All(rows)).await?,
            Err(trouble) => {
                sender.send(Fed::Away(trouble)).await?;
                sleep(wait).await;
                wait = (wait * 2).min(LAST_WAIT);
                continue;
            }
        }
        wait = FIRST_WAIT;
        let mut end = pin!(sleep(LIST_EVERY));
        loop {
            let next = tokio::select! {
                next = changes.recv() => next,
                () = &mut end => break,
            };
            let mut lost = None;
            let mut all = Vec::new();
            let mut take = |next| match next {
                News::Changes(changes) => all.extend(changes),
                News::Lost(why) => lost = Some(why),
            };
            take(next.expect("a sender of it is held here"));
            sleep(pace.together).await;
            while let Ok(next) = changes.try_recv() {
                take(next);
            }
            if !all.is_empty() {
                sender.send(Fed::Changed(all)).await?;
            }
            if let Some(why) = lost {
                tracing::debug!("a watch of the fleet's store ended: {why}");
                sleep(pace.pause).await;
                break;
            }
        }
    }
}

async fn list(
    shared: &Shared,
    prefixes: &[String],
    watches: &mut JoinSet<()>,
    news: &mpsc::Sender<News>,
) -> Result<Vec<Row>, Trouble> {
    let mut rows = Vec::new();
    for prefix in prefixes {
        let listing = shared.list(prefix).await?;
        rows.extend(listing.rows);
        let (mut watch, news) = (shared.watch(prefix, listing.revision), news.clone());
        watches.spawn_local(async move {
            loop {
                let next = watch.next().await;
                let is_over = matches!(next, News::Lost(_));
                if news.send(next).await.is_err() || is_over {
                    return;
                }
            }
        });
    }
    Ok(rows)
}
