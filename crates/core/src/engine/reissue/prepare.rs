//! From the operator's word to a request whose proof is seen. Nothing is sent here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::api::Replace;
use crate::api::dcv::{self, Token as ProofToken};
use crate::cert::{self, Csr, Fingerprint};
use crate::config::{CsrSource, Dcv, HookEvent, KeySource};
use crate::engine::command::ReissueCommand;
use crate::engine::event::Effect;
use crate::engine::id::Token;
use crate::engine::note::{Level, NoteKind};
use crate::engine::order::Order;
use crate::engine::order::state::{Busy, OrderState, Work};
use crate::engine::reissue::names::proven_names;
use crate::engine::reissue::plan::Plan;
use crate::engine::reissue::record::{Reissue, Stage, UsedToken};
use crate::engine::reissue::run::{RequestFound, RequestRun, RequestSource, Survey, SurveyRun};
use crate::engine::reissue::stop::Facts;
use crate::engine::schedule;
use crate::engine::time::Time;

/// What of a re-issue lives only as long as the process.
#[derive(Debug, Default)]
pub(crate) struct Reissuing {
    /// A command whose request is read.
    pub(super) wish: Option<Wish>,
    /// What a dry run would prepare, while the proof is looked for.
    pub(super) dry_run: Option<DryRun>,
    /// Commands that wait for what becomes of it.
    pub(super) askers: Vec<Token>,
}

#[derive(Debug)]
pub(super) struct DryRun {
    pub(super) token: Token,
    plan: Plan,
    again: bool,
}

#[derive(Debug)]
pub(super) struct Wish {
    pub(super) token: Token,
    command: ReissueCommand,
    dcv: Dcv,
    source: RequestSource,
}

impl OrderState {
    /// What a command for a re-issue waits for.
    pub(crate) fn reissue_asked(&self) -> Option<Work> {
        let reissuing = self.reissuing.as_ref()?;
        let read = reissuing.wish.is_some().then_some(Work::ReadRequest);
        read.or_else(|| reissuing.dry_run.is_some().then_some(Work::Survey))
    }

    /// What a re-issue owes outside, and from when on.
    pub(crate) fn reissue_work(&self) -> Option<(Time, Work)> {
        let known = self.record.reissue.as_deref()?;
        // Where the hook fails again and again, a person may have published it.
        let is_hooked = self.record.owed().any(|debt| debt.event == HookEvent::DcvPublish && debt.tries < 2);
        let looks = known.stage == Stage::Preparing && !known.proven && !is_hooked;
        Some((known.look.filter(|_| looks)?, Work::Survey))
    }

    pub(super) fn reissuing(&mut self) -> &mut Reissuing {
        self.reissuing.get_or_insert_default()
    }
}

impl Order<'_> {
    pub(crate) fn want_reissue(&mut self, token: Token, command: ReissueCommand) {
        let name = self.state.name.clone();
        if self.state.reissue_asked().is_some() {
            let text = format!("{name}: another `reissue` is at work; try again when it has answered");
            return self.outbox.reply(token, false, &text);
        }
        if self.state.pending.broken {
            let text = format!("it needs attention; run `certcollectd resume {name}` first");
            return self.refuse_reissue(token, &text);
        }
        let known = self.state.record.reissue.as_deref();
        if let Some(known) = known.filter(|known| known.stage == Stage::Preparing && goes_on(&command, known))
        {
            let known = known.clone();
            return if command.dry_run { self.show_known(token, known) } else { self.look_now(token) };
        }
        let reissue = self.entry().settings.reissue.as_ref();
        let dcv = command.dcv.or_else(|| reissue.and_then(|reissue| reissue.dcv));
        let wanted = dcv.ok_or_else(|| {
            format!("{name}: how its names are proven is not known: give --dcv cname, http, https or reuse, or set dcv in [order.reissue]")
        });
        let wanted = wanted.and_then(|dcv| Ok((dcv, self.request_source(&command)?)));
        let (dcv, source) = match wanted {
            Ok(wanted) => wanted,
            Err(why) => return self.refuse_reissue(token, &why),
        };
        if !command.dry_run
            && let Some(why) = self.facts(None, None, command.again).first()
        {
            return self.refuse_reissue(token, &why);
        }
        self.state.reissuing().wish = Some(Wish { token, command, dcv, source });
    }

    fn refuse_reissue(&mut self, token: Token, why: &str) {
        self.outbox.reply(token, false, &format!("nothing was sent: {why}"));
    }

    /// Where its request comes from.
    fn request_source(&self, command: &ReissueCommand) -> Result<RequestSource, String> {
        if let Some(csr) = &command.csr {
            let der = STANDARD.decode(csr).map_err(|_| "the request is no base64".to_owned())?;
            return Ok(RequestSource::Given(der.into()));
        }
        let entry = self.entry();
        match entry.settings.reissue.as_ref().map(|reissue| &reissue.csr) {
            Some(CsrSource::Command { .. }) if command.dry_run => Err(format!(
                "a dry run does not run csr_command, so the request of {} is not known; give it with --csr",
                entry.name
            )),
            Some(CsrSource::Command { argv, timeout }) => {
                Ok(RequestSource::Command { argv: argv.clone(), timeout: *timeout })
            }
            Some(CsrSource::File) | None => match &entry.csr_file {
                Some(path) => Ok(RequestSource::File(path.clone())),
                None => Err(format!(
                    "no request is known for {}: give --csr FILE, or set csr_file in its entry",
                    entry.name
                )),
            },
        }
    }

    pub(crate) fn read_request(&mut self) -> Option<Effect> {
        let wish = self.state.reissuing.as_ref()?.wish.as_ref()?;
        let entry = self.entry();
        Some(Effect::ReadRequest(Box::new(RequestRun {
            order: self.id,
            name: entry.name.clone(),
            source: wish.source.clone(),
            key: entry.key.clone(),
        })))
    }

    pub(crate) fn request_read(&mut self, found: RequestFound) {
        self.state.busy = Busy::Idle;
        let Some(wish) = self.state.reissuing.as_mut().and_then(|reissuing| reissuing.wish.take()) else {
            return;
        };
        if self.state.removed {
            return self.refuse_reissue(wish.token, "its order is no longer configured");
        }
        let plan = match self.plan(&wish, found) {
            Ok(plan) => plan,
            Err(why) => return self.refuse_reissue(wish.token, &why),
        };
        if wish.command.dry_run {
            return self.look_and_show(DryRun { token: wish.token, plan, again: wish.command.again });
        }
        let facts = self.facts(Some(&plan.token), plan.wrong_names.as_deref(), wish.command.again);
        match facts.first() {
            Some(why) => self.refuse_reissue(wish.token, &why),
            None => self.begin_reissue(wish.token, plan.reissue),
        }
    }

    /// What a request leads to, if it is one that the vendor may see.
    fn plan(&self, wish: &Wish, found: RequestFound) -> Result<Plan, String> {
        let csr =
            cert::csr::read(&found.request?).map_err(|why| format!("the request cannot be used: {why}"))?;
        if let Some(why) = csr.unfit() {
            return Err(format!("the request {why}"));
        }
        let (length, most) = (STANDARD.encode(csr.der()).len(), Replace::MAX_CSR);
        if length > most {
            return Err(format!(
                "the request has {length} characters in base64, and the vendor takes at most {most}"
            ));
        }
        let entry = self.entry();
        if let KeySource::Keys(paths) = &entry.key {
            let is_ours = found
                .keys
                .iter()
                .any(|known| known.key.as_ref().is_ok_and(|keys| keys.hold(csr.public_key())));
            if !is_ours {
                let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
                return Err(format!(
                    "the request is for none of the keys in key_file ({}): its certificate could not be installed",
                    paths.join(", ")
                ));
            }
        }
        let hash = Fingerprint::of(csr.der());
        let unique: Box<str> = match &wish.command.unique {
            Some(unique) => unique.as_str().into(),
            None => self.next_unique(hash).into(),
        };
        let reissue = self.prepared(&csr, unique, wish);
        Ok(Plan::new(self.entry(), &self.state.record, &csr, reissue))
    }

    /// 20 letters and digits that were never used, and are the same again after a restart.
    fn next_unique(&self, csr: Fingerprint) -> String {
        let record = &self.state.record;
        let leaf = record.installed.as_ref().map(|installed| installed.fingerprint);
        let number = u32::try_from(record.tokens.len()).unwrap_or(u32::MAX);
        dcv::unique_value(self.identity, self.entry().handle.text(), csr, leaf, number)
    }

    fn prepared(&self, csr: &Csr, unique: Box<str>, wish: &Wish) -> Reissue {
        let record = &self.state.record;
        let installed = record.installed.as_deref();
        let names = installed.map(|installed| proven_names(&installed.names)).unwrap_or_default();
        let token = ProofToken::with_unique(csr.der(), &unique);
        let records = match wish.dcv {
            Dcv::Cname => {
                let target = token.record_target();
                let record = |name: &str| (token.record_name(name).into(), target.as_str().into());
                names.iter().map(|name| record(name)).collect()
            }
            Dcv::Http | Dcv::Https | Dcv::Reuse => Vec::new(),
        };
        Reissue {
            stage: Stage::Preparing,
            since: self.now.unix(),
            csr: STANDARD.encode(csr.der()).into(),
            unique,
            dcv: wish.dcv,
            replaces: installed.map_or_else(|| Fingerprint::from_bytes([0; 32]), |known| known.fingerprint),
            parameters: wish.command.parameters.clone(),
            records,
            proven: wish.dcv == Dcv::Reuse,
            look: Some(self.now.time).filter(|_| wish.dcv != Dcv::Reuse),
            looks: 0,
            held: None,
            sent: None,
            said: None,
            code: None,
            unchanged: 0,
            earlier: None,
        }
    }

    /// From here on it goes on by itself, restarts included, until the vendor has heard of it.
    fn begin_reissue(&mut self, token: Token, mut reissue: Reissue) {
        let (needs_proof, what) = (!reissue.proven, reissue.described());
        if let Some(before) = self
            .state
            .record
            .reissue
            .as_deref()
            .filter(|before| reissue.dcv == Dcv::Reuse && before.stage != Stage::Closed)
        {
            // What was published for the one before is removed with this one.
            reissue.records.clone_from(&before.records);
        }
        reissue.earlier = match self.state.record.reissue.take() {
            Some(before) if before.stage == Stage::Unclear => Some(before),
            Some(before) => before.earlier,
            None => None,
        };
        self.state.record.reissue = Some(Box::new(reissue));
        self.state.reissuing().askers.push(token);
        if needs_proof {
            self.owe_proof(HookEvent::DcvPublish);
        } else {
            self.state.urgent = true;
        }
        let text =
            format!("a re-issue is being prepared at the operator's request, {what}; nothing is sent yet");
        self.note(Level::Info, NoteKind::Reissue, text);
        self.touch();
        self.outbox.save_first();
    }

    /// The poll that looks first is wanted now, unless the order is not polled until a person has resumed it.
    fn look_soon(&mut self) {
        self.state.urgent |= self.state.record.is_polled();
    }

    /// Has the hook that publishes the proof, or removes it, run for this order.
    pub(crate) fn owe_proof(&mut self, event: HookEvent) {
        let debts = &mut self.state.record.debts;
        debts.retain(|debt| !debt.event.is_of_a_proof());
        self.owe_hooks(event);
    }

    /// The operator asks again while it is being prepared.
    fn look_now(&mut self, token: Token) {
        let now = self.now.time;
        self.state.reissuing().askers.push(token);
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        if known.proven {
            self.look_soon();
        } else {
            known.look = Some(now);
            for debt in self.state.record.debts.iter_mut().filter(|debt| debt.event == HookEvent::DcvPublish)
            {
                debt.next = debt.next.map(|next| next.min(now));
            }
        }
        self.touch();
    }

    /// The operator no longer wants what is being prepared: `reissue --withdraw`.
    pub(crate) fn withdraw_reissue(&mut self, token: Token) {
        let (unix, name) = (self.now.unix(), self.state.name.clone());
        let known = self.state.record.reissue.as_deref_mut();
        let Some(known) = known.filter(|known| known.stage == Stage::Preparing) else {
            let text =
                format!("{name} has no re-issue that is being prepared; what was sent cannot be taken back");
            return self.outbox.reply(token, false, &text);
        };
        let is_published = known.is_published();
        if !self.take_up_earlier()
            && let Some(known) = self.state.record.reissue.as_deref_mut()
        {
            known.enter(Stage::Closed, unix);
            known.held = Some("the operator has withdrawn it".into());
            if is_published {
                self.owe_proof(HookEvent::DcvRemove);
            }
        }
        let text = "the re-issue that was being prepared is withdrawn; nothing was sent";
        self.note(Level::Info, NoteKind::Reissue, text.into());
        self.touch();
        self.outbox.save_first();
        self.outbox.reply(token, true, &format!("{name}: {text}"));
    }

    pub(crate) fn survey(&self) -> Option<Effect> {
        let dry_run = self.state.reissuing.as_ref().and_then(|reissuing| reissuing.dry_run.as_ref());
        let reissue =
            dry_run.map(|dry_run| &dry_run.plan.reissue).or(self.state.record.reissue.as_deref())?;
        let installed = self.state.record.installed.as_deref()?;
        Some(Effect::Survey(Box::new(SurveyRun {
            order: self.id,
            name: self.state.name.clone(),
            dcv: reissue.dcv,
            csr: reissue.request().into(),
            unique: reissue.unique.clone(),
            names: installed.names.clone(),
        })))
    }

    pub(crate) fn surveyed(&mut self, survey: &Survey) {
        self.state.busy = Busy::Idle;
        if let Some(dry_run) = self.state.reissuing.as_mut().and_then(|reissuing| reissuing.dry_run.take()) {
            return self.show(&dry_run, Some(survey));
        }
        let now = self.now;
        let name = self.state.name.clone();
        let Some(known) = self.state.record.reissue.as_deref_mut() else { return };
        if self.state.removed || known.stage != Stage::Preparing || known.proven {
            return;
        }
        known.looks += 1;
        if survey.is_proven() {
            known.proven = true;
            known.look = None;
            known.held = None;
            self.look_soon();
            let text = "the proof of control is seen for every name; the vendor is asked once a poll shows what is installed";
            self.note(Level::Info, NoteKind::Reissue, text.into());
            return self.touch();
        }
        let first = known.looks == 1;
        known.look = Some(now.time + schedule::proof(known.looks));
        let missing = survey.missing().unwrap_or_else(|| "no name could be looked up".to_owned());
        let changed = known.held.as_deref() != Some(&*missing);
        known.held = Some(missing.clone().into());
        if changed {
            let text = format!(
                "the re-issue waits for its proof: {missing}; it is looked for again by itself; `certcollectd explain {name}` shows \
                 what to publish"
            );
            let level = if first { Level::Info } else { Level::Warn };
            self.note(level, NoteKind::Reissue, text);
        }
        self.touch();
    }

    /// A dry run: what DNS shows of the proof, without anything saved.
    fn look_and_show(&mut self, dry_run: DryRun) {
        if dry_run.plan.reissue.proven || self.state.record.installed.is_none() {
            return self.show(&dry_run, None);
        }
        self.state.reissuing().dry_run = Some(dry_run);
    }

    /// A dry run of what is being prepared.
    fn show_known(&mut self, token: Token, known: Reissue) {
        match cert::csr::read(&known.request()) {
            Ok(csr) => {
                let plan = Plan::new(self.entry(), &self.state.record, &csr, known);
                self.look_and_show(DryRun { token, plan, again: false });
            }
            Err(why) => self.refuse_reissue(token, &format!("the saved request cannot be read: {why}")),
        }
    }

    fn show(&mut self, dry_run: &DryRun, survey: Option<&Survey>) {
        let DryRun { token, plan, again } = dry_run;
        let facts = self.facts(Some(&plan.token), plan.wrong_names.as_deref(), *again);
        let reply = plan.dry_run(&facts, survey, self.now);
        self.outbox.say(Effect::Reply { token: *token, reply });
    }

    /// What the rules look at; see [`Facts`].
    pub(crate) fn facts<'b>(
        &'b self,
        token: Option<&'b UsedToken>,
        names: Option<&'b str>,
        again: bool,
    ) -> Facts<'b> {
        Facts {
            order: self.entry(),
            record: &self.state.record,
            shut: self.gate.why_shut(self.config, self.outbox, self.now),
            sent: &self.gate.record.reissues,
            budget: self.config.reissues,
            token,
            names,
            again,
            now: self.now,
        }
    }
}

/// Whether a command wants what is being prepared already.
fn goes_on(command: &ReissueCommand, known: &Reissue) -> bool {
    command.csr.as_deref().is_none_or(|csr| csr == &*known.csr)
        && command.unique.as_deref().is_none_or(|unique| unique == &*known.unique)
        && command.dcv.is_none_or(|dcv| dcv == known.dcv)
        && (command.parameters.is_empty() || command.parameters == known.parameters)
}
