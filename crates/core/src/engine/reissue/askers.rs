//! What the commands that ask for a re-issue are told.

use crate::config::HookEvent;
use crate::engine::command::CommandReply;
use crate::engine::event::Effect;
use crate::engine::order::Order;
use crate::engine::order::state::Busy;
use crate::engine::reissue::record::Stage;
use crate::engine::time::Time;

impl Order<'_> {
    /// Answers the commands that wait for its re-issue, once nothing can happen at present.
    pub(crate) fn answer_askers(&mut self) {
        let state = &*self.state;
        let Some(reissuing) = state.reissuing.as_deref().filter(|reissuing| !reissuing.askers.is_empty())
        else {
            return;
        };
        let shut = self.gate.why_shut(self.config, self.outbox, self.now);
        let due = |at: Time| at <= self.now.time;
        let works = state.local_work().is_some_and(|(at, _)| due(at));
        let owes = state.record.payable().any(|debt| debt.next.is_some_and(due));
        let asks = (state.urgent && shut.is_none()) || self.gate.is_asking(self.id);
        if state.busy != Busy::Idle || state.ready || works || owes || asks || reissuing.wish.is_some() {
            return;
        }
        let reply = self.told(shut);
        let askers = std::mem::take(&mut self.state.reissuing().askers);
        for token in askers {
            self.outbox.say(Effect::Reply { token, reply: reply.clone() });
        }
    }

    /// Nothing comes of what commands wait for.
    pub(crate) fn refuse_askers(&mut self, why: &str) {
        let Some(reissuing) = self.state.reissuing.take() else { return };
        let dry = reissuing.dry_run.map(|dry_run| dry_run.token);
        let wished = reissuing.wish.map(|wish| wish.token);
        for token in dry.into_iter().chain(wished) {
            self.outbox.reply(token, false, &format!("no re-issue is asked for: {why}"));
        }
        let is_asked = self.state.record.reissue.as_ref().is_some_and(|known| known.stage == Stage::Intended);
        let what = if is_asked {
            "it is unclear whether the vendor makes the re-issue, for which it is being asked"
        } else {
            "no re-issue is asked for"
        };
        for token in reissuing.askers {
            self.outbox.reply(token, false, &format!("{what}: {why}"));
        }
    }

    /// How its re-issue stands, for the command that asked for it.
    fn told(&self, shut: Option<String>) -> CommandReply {
        let name = &self.state.name;
        let Some(known) = self.state.record.reissue.as_deref() else {
            return CommandReply::new(false, format!("nothing was sent: {name} has no re-issue any more"));
        };
        let said = known.said.as_deref().unwrap_or("no answer is known");
        let held = known.held.as_deref();
        let (ok, text) = match known.stage {
            Stage::Open => (
                true,
                format!(
                    "{name}: the vendor took the re-issue; its certificate is installed once it is issued"
                ),
            ),
            Stage::Closed if known.sent.is_some() => {
                (true, format!("{name}: the re-issued certificate is in place"))
            }
            Stage::Closed => {
                (false, format!("nothing was sent: {}", held.unwrap_or("it is no longer wanted")))
            }
            Stage::Intended | Stage::Unclear => (
                false,
                format!(
                    "{name}: it is unclear whether the vendor made the re-issue: {said}; it is not repeated: the polls show what \
                     became of it"
                ),
            ),
            Stage::Refused => (false, format!("{name}: the re-issue was refused: {said}")),
            Stage::Preparing if known.proven => {
                let stops = self.facts(None, None, false).first();
                let why = shut
                    .as_deref()
                    // What held it at the last look may be over.
                    .or(stops.as_deref())
                    .or(held)
                    .unwrap_or("no poll has shown yet that the vendor has what is installed");
                (false, format!("nothing was sent: {why}; it goes on by itself once that is over"))
            }
            Stage::Preparing => {
                let hook = self.state.record.owed().find(|debt| debt.event == HookEvent::DcvPublish);
                let hook =
                    hook.and_then(|debt| Some(format!("hook {}: {}", debt.hook, debt.outcome.as_deref()?)));
                let why = hook.as_deref().or(held).unwrap_or("it was not looked for yet");
                let mut text = format!("nothing was sent yet: the proof of control is missing: {why}\n");
                text.push_str(&known.to_publish());
                text.push_str(&format!(
                    "it is looked for by itself, and the request goes out once it is seen; `certcollectd reissue {name}` looks at once"
                ));
                (false, text)
            }
        };
        let mut reply = CommandReply::new(ok, text);
        let waits = (known.stage == Stage::Preparing && !known.proven).then_some("proof");
        reply.data = serde_json::json!({ "stage": known.stage.as_str(), CommandReply::WAITS: waits });
        reply
    }
}
