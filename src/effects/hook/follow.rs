//! Hooks that a companion in the web server's container carries out: asked in one file, answered in another.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::reap::Permits;
use crate::effects::access::{self, Reason, Wish};
use crate::effects::blocking::apart;
use crate::effects::errno::cause;
use crate::effects::files::random_name;
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::Companion;
use certcollectd_core::engine::hooks::run::{HookResult, HookRun};
use certcollectd_core::follow::{self, Report, Request, VERSION, Verdict, judge};
use certcollectd_follow::file;

/// Between two looks at the report. The companion looks once a second.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until the companion has reported what is installed.
pub(super) async fn ask(run: &HookRun, companion: &Companion, permits: Permits) -> HookResult {
    let limit = run.hook.timeout;
    let Some(dir) = run.subjects.first().and_then(|subject| subject.dir.parent()) else {
        return HookResult::failed("the directory of its order is not known");
    };
    // Kept until the kernel is done: a mount that hangs costs one thread.
    let begun = match permits.begin(&run.hook.name, run.hook.timeout).await {
        Ok(begun) => Arc::new(begun),
        Err(why) => return HookResult::failed(why),
    };
    let installed = run
        .subjects
        .iter()
        .map(|subject| (subject.order.to_string(), subject.dir.clone(), subject.generation.clone()));
    let desk = Arc::new(Desk {
        report: companion.report(dir),
        request: follow::request_file(dir, &companion.name),
        companion: companion.name.clone(),
        installed: installed.collect(),
        wanted: Request { version: VERSION, id: random_name(), again: run.rehearsal },
        begun,
    });
    let mut delay = Delay { why: "it has not reported".into(), remedy: None };
    let answered = timeout(limit, wait(&desk, &mut delay)).await;
    if answered.is_ok() {
        let desk = desk.clone();
        apart(move || desk.withdraw()).await;
    }
    answered.unwrap_or_else(|_| HookResult::Failed {
        why: format!(
            "companion {} did not confirm the reload within {}: {}",
            companion.name,
            humantime::format_duration(limit),
            delay.why
        ),
        last_words: Vec::new(),
        remedy: Some(delay.remedy.unwrap_or_else(|| {
            format!(
                "does `certcollectd follow --name {}` run in the server's container, with the parent of the link mounted?",
                companion.name
            )
        })),
    })
}

/// Why it is not done yet.
struct Delay {
    why: String,
    remedy: Option<String>,
}

async fn wait(desk: &Arc<Desk>, delay: &mut Delay) -> HookResult {
    let asking = desk.clone();
    let asked = apart(move || asking.ask()).await;
    loop {
        let looking = desk.clone();
        match apart(move || looking.look()).await {
            Ok((Verdict::Done, _)) => return HookResult::Done,
            Ok((Verdict::Failed, report)) => {
                let why = report.why.unwrap_or_else(|| Untrusted::new("no reason given"));
                return HookResult::Failed {
                    why: format!("reported by companion {}: {why}", Untrusted::new(&report.name)),
                    last_words: report.last_line.into_iter().collect(),
                    remedy: None,
                };
            }
            Ok((Verdict::Wait(why), _)) => *delay = Delay { why, remedy: None },
            Err(Reason { cause, remedy }) => *delay = Delay { why: cause, remedy },
        }
        if let Err(why) = &asked {
            delay.why = format!("{}; {why}", delay.why);
        }
        sleep(LOOK).await;
    }
}

/// The files of one run.
struct Desk {
    companion: String,
    report: PathBuf,
    request: PathBuf,
    /// Orders, their links, and the generations that the hook is owed for.
    installed: Vec<(String, PathBuf, String)>,
    wanted: Request,
    #[expect(dead_code, reason = "held by the threads that use this")]
    begun: Arc<OwnedSemaphorePermit>,
}

impl Desk {
    fn ask(&self) -> Result<(), String> {
        file::replace(&self.request, &random_name(), &follow::write(&self.wanted)).map_err(|error| {
            format!("it cannot be asked: cannot write {}: {}", self.request.display(), cause(&error))
        })
    }

    /// A request that is left is answered once more, for nothing.
    fn withdraw(&self) {
        let _ = fs::remove_file(&self.request);
    }

    fn look(&self) -> Result<(Verdict, Report), Reason> {
        let report = self.read()?;
        let verdict = judge(&report, &self.companion, &self.wanted, &self.current());
        Ok((verdict, report))
    }

    fn read(&self) -> Result<Report, Reason> {
        let shown = self.report.display();
        let bytes = file::read(&self.report).map_err(|error| {
            let Reason { cause, remedy } = access::reason(&self.report, Wish::Read, &error);
            Reason { cause: format!("its report {shown} cannot be read: {cause}"), remedy }
        })?;
        follow::read(&bytes)
            .map_err(|why| Reason { cause: format!("its report {shown}: {why}"), remedy: None })
    }

    /// What the links lead to: newer than what the hook is owed for, if that was installed meanwhile.
    fn current(&self) -> BTreeMap<String, String> {
        let of = |dir: &Path| Some(fs::read_link(dir).ok()?.file_name()?.to_str()?.to_owned());
        let current = self.installed.iter();
        current.map(|(order, dir, owed)| (order.clone(), of(dir).unwrap_or_else(|| owed.clone()))).collect()
    }
}
