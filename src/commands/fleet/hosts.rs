//! `fleet forget`: the rows of a host that is gone.

use std::path::Path;
use std::time::Duration;

use crate::commands::block_on::block_on;
use crate::commands::exit::Exit;
use crate::commands::order::show;
use crate::commands::print::fail;
use crate::effects::shared::{Commit, Committed, MOST_ROWS, Row, Shared, Trouble};
use crate::fleet::member;
use crate::sources::clock;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::{count, is_name};
use certcollectd_core::engine::command::CommandReply;
use certcollectd_core::engine::time::{Now, in_words};
use certcollectd_core::fleet::keys;
use certcollectd_core::fleet::report::{Report, Seen};
use certcollectd_core::fleet::rollout::SILENT;

/// A host that still writes would be back with its next sign; `force` forgets it nevertheless.
pub fn forget(path: &Path, host: &str, force: bool, json: bool) -> Result<(), Exit> {
    let (_, fleet, name) = super::member(path)?;
    if !is_name(host) {
        return Err(fail(Exit::Usage, &format!("{} is no name of a host", Untrusted::new(host))));
    }
    let shared = member::connect(&fleet, &name, Duration::MAX);
    let now = clock::now();
    let forgotten = block_on(async {
        let rows = shared.list(&keys::host(host)).await?.rows;
        if let Some(why) = why_not(host, &rows, now).filter(|_| !force) {
            return Ok(CommandReply::new(false, why));
        }
        let text = match rows.len() {
            0 => return Ok(CommandReply::new(false, format!("the store knows of no host {host}"))),
            known => format!("{host} is forgotten: {} deleted from the store", count(known, "row")),
        };
        delete(&shared, &rows).await?;
        Ok(CommandReply::new(true, text))
    })?;
    let failed = |trouble: Trouble| CommandReply::new(false, format!("{host} is not forgotten: {trouble}"));
    show(&forgotten.unwrap_or_else(failed), json)
}

/// Why it is no host that is gone.
fn why_not(host: &str, rows: &[Row], now: Now) -> Option<String> {
    let heard = |row: &Row| {
        let seen = Seen::read(&row.value).map(|seen| seen.at);
        seen.or_else(|_| Report::read(&row.value).map(|report| report.at)).ok()
    };
    let heard = rows.iter().filter_map(heard).max()?;
    let ago = Duration::from_secs(now.unix().saturating_sub(heard.0).max(0).unsigned_abs());
    (ago < SILENT).then(|| {
        format!(
            "{host} was heard of {} ago, and would be back with its next sign; nothing was deleted. Stop certcollectd there, \
             and try again after {}; or say --force",
            in_words(ago),
            in_words(SILENT.saturating_sub(ago))
        )
    })
}

async fn delete(shared: &Shared, rows: &[Row]) -> Result<(), Trouble> {
    for rows in rows.chunks(MOST_ROWS) {
        let deletes = rows.iter().map(|row| row.key.clone()).collect();
        match shared.commit(&Commit { deletes, ..Commit::default() }).await {
            Committed::Done | Committed::Fenced => {}
            // What was deleted is deleted; the same command goes on.
            Committed::Refused(trouble) | Committed::Unknown(trouble) => return Err(trouble),
        }
    }
    Ok(())
}
