//! The loop: a look each second, signals, exits.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use certcollectd_core::api::Untrusted;
use certcollectd_core::config::HookSignal;
use certcollectd_core::follow::{Report, Request, VERSION};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::SIGCHLD;
use signal_hook::iterator::Signals;

use crate::attempt::{Attempt, CATCH, CATCH_AGAIN, Failure, LIMIT, Next, Past, SETTLE, Stage, View};
use crate::child::{self, Ending, Program};
use crate::cli::{Plan, Reload, say};
use crate::clock;
use crate::link::{Content, Dir};
use crate::placeholder;
use crate::report::Desk;
use crate::signal::{handles, number_of};

/// Between two looks at the directories.
const LOOK: Duration = Duration::from_secs(1);

/// Exit code where the server cannot be started, as a shell has it.
const NOT_STARTED: u8 = 127;

/// Starts the server when it may, and stays with it to its end; the exit code.
pub(crate) fn run(plan: &Plan) -> u8 {
    let signals = match listen() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("signals cannot be handled: {error}"));
            return 1;
        }
    };
    if let Err(stopped) = wait_for_certificates(plan, &signals) {
        return stopped;
    }
    // Before the server reads it: what is swapped meanwhile is a change.
    let view = survey(plan, View::new()).0;
    match child::server(&plan.server) {
        Ok(pid) => Companion::new(plan, pid, view).stay(&signals),
        Err(why) => {
            say(&why);
            let mut desk = Desk::new(plan.report.clone(), plan.request.clone());
            let written = desk.write(&report(plan, &desk, &view, None, Some(&Failure::new(why))));
            written.unwrap_or_else(|why| say(&why));
            NOT_STARTED
        }
    }
}

/// Signals in their order, from a thread of their own: those that are passed on, and exits of children.
fn listen() -> io::Result<Receiver<i32>> {
    let passed = HookSignal::ALL.map(|signal| number_of(signal).as_raw());
    let mut signals = Signals::new(passed.into_iter().chain([SIGCHLD]))?;
    let (sender, receiver) = channel();
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// Returns when the server may start, with `Err(exit code)` where it was stopped before.
fn wait_for_certificates(plan: &Plan, signals: &Receiver<i32>) -> Result<(), u8> {
    let missing = |dir: &Dir| match Content::of(&dir.path) {
        Ok(content) if content.is_placeholder() && plan.placeholder.is_empty() => {
            Some(format!("{}: only a placeholder is there", dir.path.display()))
        }
        Ok(_) => None,
        Err(why) => Some(why),
    };
    for dir in plan.dirs.iter().filter(|dir| !plan.placeholder.is_empty() && missing(dir).is_some()) {
        match placeholder::make(&dir.path, &plan.placeholder) {
            Ok(()) => {
                say(&format!("{}: a placeholder is served until the first certificate is there", dir.name))
            }
            Err(why) => say(&why),
        }
    }
    let mut said = String::new();
    while let Some(why) = plan.dirs.iter().find_map(missing) {
        if !plan.wait && plan.placeholder.is_empty() {
            say(&format!("the server starts without a certificate: {why}"));
            return Ok(());
        }
        if why != said {
            say(&format!("waiting for the first certificate: {why}"));
            said = why;
        }
        match signals.recv_timeout(LOOK) {
            Ok(SIGCHLD) => while child::ended().is_some() {},
            Ok(signal) if is_stop(signal) || stops_a_wait(signal) => {
                return Err(Ending::Signal(signal).code());
            }
            Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
    }
    Ok(())
}

/// A server that gets one of these ends; nginx's image stops with QUIT.
fn is_stop(signal: i32) -> bool {
    [Signal::TERM, Signal::INT, Signal::QUIT].iter().any(|stop| stop.as_raw() == signal)
}

/// Images of httpd stop with WINCH, those of HAProxy with USR1. Before there is a server they mean nothing else, but WINCH
/// at a terminal.
fn stops_a_wait(signal: i32) -> bool {
    signal == Signal::USR1.as_raw() || signal == Signal::WINCH.as_raw() && !io::stdin().is_terminal()
}

/// What the directories hold; of one that holds nothing at the moment, what it held `before`, and why.
fn survey(plan: &Plan, before: View) -> (View, Vec<String>) {
    let (mut view, mut gone) = (before, Vec::new());
    for dir in &plan.dirs {
        match Content::of(&dir.path) {
            Ok(content) => {
                let generation = content.generation(&dir.path);
                view.insert(dir.name.clone(), (content, generation));
            }
            Err(why) => gone.push(why),
        }
    }
    (view, gone)
}

fn report(
    plan: &Plan,
    desk: &Desk,
    view: &View,
    answers: Option<&String>,
    failure: Option<&Failure>,
) -> Report {
    let generations = view.iter().map(|(name, (_, generation))| (name.clone(), generation.clone()));
    Report {
        version: VERSION,
        name: plan.name.clone(),
        instance: desk.instance.clone(),
        time: clock::date(),
        ok: failure.is_none(),
        generations: generations.collect(),
        answers: answers.cloned(),
        why: failure.map(|failure| Untrusted::new(&failure.why)),
        last_line: failure.and_then(|failure| failure.last_line.as_deref()).map(Untrusted::new),
    }
}

struct Companion<'a> {
    plan: &'a Plan,
    desk: Desk,
    server: Pid,
    attempt: Option<Attempt>,
    /// Nothing until the server has settled.
    past: Option<Past>,
    /// What the daemon waits for.
    request: Option<Request>,
    answered: Option<String>,
    /// The server was told to stop: there will be no more reloads.
    stopping: bool,
    /// It was sent a signal, which may have told it to end.
    was_signalled: bool,
    next_look: Instant,
    /// What was said last of the directories, and of the report: once is enough.
    said: BTreeMap<&'static str, String>,
}

impl<'a> Companion<'a> {
    fn new(plan: &'a Plan, server: Pid, view: View) -> Companion<'a> {
        let now = clock::now();
        say(&format!("process {} started{}", server.as_raw_nonzero(), words_of(&view)));
        Companion {
            plan,
            desk: Desk::new(plan.report.clone(), plan.request.clone()),
            server,
            // What the server reads at its start is there; whether it copes with it, is seen.
            attempt: Some(Attempt { view, stage: Stage::Settle, until: now + SETTLE, answers: None }),
            past: None,
            request: None,
            answered: None,
            stopping: false,
            was_signalled: false,
            next_look: now,
            said: BTreeMap::new(),
        }
    }

    fn stay(mut self, signals: &Receiver<i32>) -> u8 {
        loop {
            let now = clock::now();
            let until =
                self.attempt.as_ref().map_or(self.next_look, |attempt| attempt.until.min(self.next_look));
            match signals.recv_timeout(until.saturating_duration_since(now)) {
                Ok(SIGCHLD) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
                Ok(signal) => self.pass_on(signal),
            }
            while let Some((pid, ending)) = child::ended() {
                if pid == self.server {
                    return self.server_ended(ending);
                }
                self.program_ended(pid, ending);
            }
            let now = clock::now();
            if self.attempt.as_ref().is_some_and(|attempt| now >= attempt.until) {
                self.stage_over(now);
            }
            if now >= self.next_look {
                self.next_look = now + LOOK;
                self.look(now);
            }
        }
    }

    fn pass_on(&mut self, signal: i32) {
        self.stopping |= is_stop(signal);
        self.was_signalled = true;
        // One that has just ended is collected next.
        if let Some(signal) = Signal::from_named_raw(signal) {
            let _ = kill_process(self.server, signal);
        }
    }

    fn server_ended(&mut self, ending: Ending) -> u8 {
        if let Some(Attempt { stage: Stage::Test(program) | Stage::Reload(program), .. }) = &self.attempt {
            program.kill();
        }
        let was_told = self.stopping || self.was_signalled && ending == Ending::Exit(0);
        if !was_told {
            say(&format!("the server ended: {ending}"));
            let view = match (self.attempt.take(), self.past.take()) {
                (Some(attempt), _) => {
                    self.answered = attempt.answers.or_else(|| self.answered.take());
                    attempt.view
                }
                (None, Some(past)) => past.view,
                (None, None) => View::new(),
            };
            self.report(&view, Some(&Failure::new(format!("the server ended: {ending}"))));
        }
        ending.code()
    }

    /// What the directories hold now.
    fn view(&mut self) -> View {
        let before = match (&self.attempt, &self.past) {
            (Some(attempt), _) => attempt.view.clone(),
            (None, Some(past)) => past.view.clone(),
            (None, None) => View::new(),
        };
        let (view, mut gone) = survey(self.plan, before);
        if !gone.is_empty() {
            gone.push("the server keeps what it has".to_owned());
        }
        self.say_once("directories", gone.join("; "));
        view
    }

    fn look(&mut self, now: Instant) {
        let request = self.desk.request();
        self.request = request.filter(|request| self.answered.as_ref() != Some(&request.id));
        if self.attempt.is_some() {
            return;
        }
        let view = self.view();
        let Some(past) = &self.past else { return };
        match past.next(&view, self.request.as_ref(), now) {
            // Both may have written at once, and the one that knows of the other first.
            Next::Nothing if self.hides_rivalry() => self.report_past(),
            Next::Nothing => {}
            Next::Attempt if self.stopping => {
                self.say_once("stop", "the server was told to stop, and is not reloaded any more".to_owned());
            }
            Next::Attempt => self.begin(view, now),
            Next::Answer => {
                self.answered = self.request.take().map(|request| request.id);
                self.report_past();
            }
        }
    }

    fn begin(&mut self, view: View, now: Instant) {
        let answers = self.request.as_ref().map(|request| request.id.clone());
        self.attempt = Some(Attempt { view, stage: Stage::Settle, until: now + LIMIT, answers });
        match &self.plan.test {
            Some(words) => self.start(words, Stage::Test, now),
            None => self.reload(now),
        }
    }

    fn start(&mut self, words: &[String], stage: fn(Program) -> Stage, now: Instant) {
        match (child::program(words), &mut self.attempt) {
            (Ok(program), Some(attempt)) => attempt.stage = stage(program),
            (Ok(program), None) => program.kill(),
            (Err(why), _) => self.end(Some(Failure::new(why)), now),
        }
    }

    fn reload(&mut self, now: Instant) {
        match &self.plan.reload {
            Reload::Run(words) => self.start(words, Stage::Reload, now),
            Reload::Signal(signal) => self.signal(*signal, now + CATCH, now),
        }
    }

    /// Sends it to a server that handles it, and waits for that until `limit`.
    fn signal(&mut self, signal: HookSignal, limit: Instant, now: Instant) {
        let (number, pid) = (number_of(signal), self.server.as_raw_nonzero());
        if handles(self.server, number) {
            match kill_process(self.server, number) {
                Ok(()) => self.stage(Stage::Settle, now + SETTLE),
                Err(error) => {
                    self.end(Some(Failure::new(format!("{signal} to process {pid}: {error}"))), now)
                }
            }
        } else if now >= limit {
            let why = format!(
                "process {pid} does not handle SIG{signal}, which would end it; a script must start the server with \
                 exec, or give --run or another --signal"
            );
            self.end(Some(Failure::new(why)), now);
        } else {
            self.stage(Stage::Catch(limit), now + CATCH_AGAIN);
        }
    }

    fn stage(&mut self, stage: Stage, until: Instant) {
        if let Some(attempt) = &mut self.attempt {
            attempt.stage = stage;
            attempt.until = until;
        }
    }

    fn stage_over(&mut self, now: Instant) {
        let over = |words: &[String], program: &Program| {
            program.kill();
            let why = format!("`{}` was killed at the time limit of {} s", words.join(" "), LIMIT.as_secs());
            Failure { why, last_line: program.last_line() }
        };
        let failure = match (self.attempt.as_ref().map(|attempt| &attempt.stage), &self.plan.reload) {
            (Some(Stage::Catch(limit)), Reload::Signal(signal)) => return self.signal(*signal, *limit, now),
            (Some(Stage::Test(program)), _) => {
                Some(over(self.plan.test.as_deref().unwrap_or_default(), program))
            }
            (Some(Stage::Reload(program)), Reload::Run(words)) => Some(over(words, program)),
            (Some(Stage::Settle | Stage::Catch(_) | Stage::Reload(_)) | None, _) => None,
        };
        self.end(failure, now);
    }

    fn program_ended(&mut self, pid: Pid, ending: Ending) {
        let now = clock::now();
        let Some(attempt) = &self.attempt else { return };
        let (program, is_test) = match &attempt.stage {
            Stage::Test(program) if program.pid == pid => (program, true),
            Stage::Reload(program) if program.pid == pid => (program, false),
            // An orphan.
            Stage::Test(_) | Stage::Reload(_) | Stage::Catch(_) | Stage::Settle => return,
        };
        if ending != Ending::Exit(0) {
            let words = match &self.plan.reload {
                Reload::Run(words) if !is_test => words,
                Reload::Run(_) | Reload::Signal(_) => self.plan.test.as_ref().expect("it was started"),
            };
            let why = format!("`{}` failed: {ending}", words.join(" "));
            let failure = Failure { why, last_line: program.last_line() };
            return self.end(Some(failure), now);
        }
        if !is_test {
            return self.stage(Stage::Settle, now + SETTLE);
        }
        let tested = attempt.view.clone();
        let view = self.view();
        if view == tested {
            self.reload(now);
        } else {
            say("the certificates changed during the test, which is made again");
            self.begin(view, now);
        }
    }

    fn end(&mut self, failure: Option<Failure>, now: Instant) {
        let Some(attempt) = self.attempt.take() else { return };
        let before =
            self.past.as_ref().filter(|past| past.view == attempt.view).map_or(0, |past| past.failures);
        let failures = if failure.is_some() { before.saturating_add(1) } else { 0 };
        if attempt.answers.is_some() {
            self.answered.clone_from(&attempt.answers);
        }
        let past = Past { view: attempt.view, failure, failures, ended: now };
        match &past.failure {
            None => {
                say(&format!("the server runs{}", words_of(&past.view)));
                self.clear_placeholders(&past.view);
            }
            Some(failure) => say(&format!(
                "reload{} failed: {}; the server keeps what it has; retry in {} s",
                words_of(&past.view),
                failure.why,
                past.retry_in().as_secs()
            )),
        }
        self.past = Some(past);
        self.report_past();
    }

    fn clear_placeholders(&self, view: &View) {
        for dir in self.plan.dirs.iter().filter(|_| !self.plan.placeholder.is_empty()) {
            if view.get(&dir.name).is_some_and(|(content, _)| !content.is_placeholder()) {
                placeholder::clear(&dir.path);
            }
        }
    }

    fn report_past(&mut self) {
        if let Some(past) = self.past.take() {
            self.report(&past.view, past.failure.as_ref());
            self.past = Some(past);
        }
    }

    fn report(&mut self, view: &View, failure: Option<&Failure>) {
        let rival = self.desk.rival().map(|_| Failure::new(rivalry(self.plan)));
        let failure = rival.as_ref().or(failure);
        self.say_once("rival", rival.as_ref().map(|rival| rival.why.clone()).unwrap_or_default());
        let report = report(self.plan, &self.desk, view, self.answered.as_ref(), failure);
        let written = self.desk.write(&report);
        self.say_once("report", written.err().unwrap_or_default());
    }

    /// Whether the report there is another companion's, and does not say that there are two.
    fn hides_rivalry(&self) -> bool {
        let known = rivalry(self.plan);
        self.desk.rival().is_some_and(|report| report.why.is_none_or(|why| why.as_str() != known))
    }

    /// Says what is new about a matter.
    fn say_once(&mut self, matter: &'static str, text: String) {
        if self.said.get(matter) != Some(&text) {
            if !text.is_empty() {
                say(&text);
            }
            self.said.insert(matter, text);
        }
    }
}

fn rivalry(plan: &Plan) -> String {
    format!("another companion has the name {} and reports here, too; give each its own --name", plan.name)
}

fn words_of(view: &View) -> String {
    let words: Vec<String> =
        view.iter().map(|(name, (_, generation))| format!("{name} {generation}")).collect();
    if words.is_empty() { String::new() } else { format!(" with {}", words.join(", ")) }
}
