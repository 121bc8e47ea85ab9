//! `status`: what the state file says, whether or not the daemon runs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::exit::Exit;
use super::print::fail;
use super::{block_on, load_some, print, print_error, socket, unreadable};
use crate::cli::Status as Arguments;
use crate::config::Config;
use crate::effects::store::load::Reader;
use crate::effects::store::presence;
use crate::engine::vitals::Vitals;
use crate::engine::{self, Loaded};
use crate::sources::clock;
use crate::status::{Status, Verdict, verdict};

/// How often `--watch` looks.
const AGAIN: Duration = Duration::from_secs(2);

/// A daemon that is alive answers at once.
const PATIENCE: Duration = Duration::from_secs(5);

pub fn status(path: &Path, arguments: &Arguments) -> Result<(), Exit> {
    let failed = if arguments.nagios { Exit::Unknown } else { Exit::Failed };
    let (config, flaw) = match load_some(path) {
        Ok(found) => found,
        Err(code) => {
            if !arguments.nagios {
                return Err(code);
            }
            print("CERTCOLLECTD UNKNOWN - the configuration cannot be read; `certcollectd check` says why");
            return Err(Exit::Unknown);
        }
    };
    let shown = if flaw.is_some() { Err(Exit::Usage) } else { Ok(()) };
    loop {
        let lost = presence::complaint(&config.state_dir);
        let mut status = match read(&config) {
            // What there is was not written by the daemon that runs, or is nothing at all.
            Ok(None) | Err(_) if lost.is_some() => {
                let why = lost.unwrap_or_default();
                if arguments.nagios {
                    print(&format!("CERTCOLLECTD CRITICAL - {why}"));
                    return Err(Exit::Critical);
                }
                return Err(fail(Exit::Failed, &why));
            }
            Ok(Some(status)) => status,
            Ok(None) if arguments.nagios => {
                let dir = config.state_dir.display();
                print(&format!(
                    "CERTCOLLECTD UNKNOWN - the daemon has never run here: there is no state in {dir}"
                ));
                return Err(Exit::Unknown);
            }
            // Every order waits to be asked about.
            Ok(None) => Status::new(&config, &Loaded::default(), clock::now()),
            Err(why) => {
                if arguments.nagios {
                    print(&format!("CERTCOLLECTD UNKNOWN - {why}"));
                } else {
                    print_error(&why);
                }
                return Err(failed);
            }
        };
        status.state_lost = lost;
        if flaw.is_some() {
            // They may stand in the part that cannot be read, and a daemon that runs guards them as before.
            status.absent.clear();
        }
        if let Some(name) = &arguments.name
            && !status.has(name)
        {
            print_error(&match flaw {
                Some(_) => unreadable(name),
                None => format!(
                    "no order named {} is configured; {}",
                    crate::api::Foreign::new(name),
                    print::known(status.orders.iter().map(|order| &*order.name))
                ),
            });
            return Err(if arguments.nagios { Exit::Unknown } else { Exit::Usage });
        }
        if let Some(name) = &arguments.name {
            status.keep(name);
        }
        if arguments.nagios {
            let (verdict, line) = verdict(&status);
            // Worse than not knowing all is only to know of something critical.
            if let Some(flaw) = flaw.filter(|_| !matches!(verdict, Verdict::Critical)) {
                print(&format!("CERTCOLLECTD UNKNOWN - the configuration is not sound: {}", flaw.first));
                return Err(Exit::Unknown);
            }
            print(&line);
            return match verdict {
                Verdict::Ok => Ok(()),
                Verdict::Warning => Err(Exit::Warning),
                Verdict::Critical => Err(Exit::Critical),
            };
        }
        let shown = if status.state_lost.is_some() { Err(Exit::Failed) } else { shown };
        if arguments.json {
            print(&serde_json::to_string_pretty(&status).expect("strings, numbers and lists"));
            return shown;
        }
        let text = if arguments.name.is_some() { status.details() } else { status.table() };
        if !arguments.watch {
            print(&text);
            return shown;
        }
        // Clear the screen, go to its corner.
        let is_read = print(&format!(
            "\u{1b}[2J\u{1b}[H{text}\n{} (every {} s; end with Ctrl-C)",
            status.at,
            AGAIN.as_secs()
        ));
        if !is_read {
            return shown;
        }
        std::thread::sleep(AGAIN);
    }
}

/// What the state file says, if there is one.
fn read(config: &Arc<Config>) -> Result<Option<Status>, String> {
    let now = clock::now();
    let Some(reader) = Reader::open(&config.state_dir).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let mut loaded = reader.load(now).map_err(|error| error.to_string())?;
    loaded.follow_renames(config);
    let config = engine::joined(config, &loaded.adopted);
    let status = Status::new(&config, &loaded, now);
    Ok(Some(match block_on(socket::ping(&config.state_dir, PATIENCE)) {
        Ok(Some(Ok(vitals))) => status.with(&vitals),
        Ok(Some(Err(why))) => status.with(&Vitals { findings: [why].into(), ..Vitals::default() }),
        // No daemon runs, or it is another user's.
        Ok(None) | Err(_) => status,
    }))
}
