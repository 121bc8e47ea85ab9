//! Where an order stands, and every transition in one match.
//!
//! The transitions, each with the triggers that cause it. `rest` is the phase that follows from what is installed: waiting
//! while nothing is, deploying while hooks are owed, guarding otherwise.
//!
//! ```text
//! waiting     -> collected    verified, postponed
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         in-place
//! collected   -> quarantined  refused
//!             -> deploying    staged
//!             -> rest         lost, in-place
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! deploying   -> collected    verified, postponed, unstaged
//!             -> quarantined  refused
//!             -> rest         lost
//!             -> guarding     hooks-done
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! guarding    -> collected    verified, postponed
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//! quarantined -> collected    verified, postponed
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         in-place
//! attention   -> collected    verified, postponed
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> rejected     rejected
//!             -> revoked      revoked
//!             -> rest         resumed
//! rejected    -> collected    verified, postponed
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> revoked      revoked
//!             -> rest         resumed
//! revoked     -> collected    verified, postponed
//!             -> quarantined  refused
//!             -> deploying    staged
//!             -> attention    stuck
//!             -> rejected     rejected
//!             -> rest         resumed
//! ```

use serde::{Deserialize, Serialize};

words! {
    /// Where an order stands. What is owed follows from it, so a restart needs no code of its own.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "&'static str")]
    pub enum Phase {
        /// Not issued yet, as far as we know; polled.
        Waiting = "waiting",
        /// A bundle is at hand, verified or waiting for a key that cannot be read, and not yet in place.
        Collected = "collected",
        /// A generation is being put into place, or hooks are owed; polled.
        Deploying = "deploying",
        /// Installed, nothing owed; checked every `guard_interval`.
        Guarding = "guarding",
        /// The vendor's bundle was refused; the old certificate stays; polled.
        Quarantined = "quarantined",
        /// The operator must act; not polled.
        Attention = "attention",
        /// The vendor rejected the order; final, not polled.
        Rejected = "rejected",
        /// The vendor revoked the certificate; not polled.
        Revoked = "revoked",
    }
}

impl Phase {
    /// What an order of this phase is or needs, behind its name in a sentence.
    pub fn predicate(self) -> &'static str {
        match self {
            Phase::Waiting => "is waiting",
            Phase::Collected => "is collected",
            Phase::Deploying => "is deploying",
            Phase::Guarding => "is guarding",
            Phase::Quarantined => "is quarantined",
            Phase::Attention => "needs attention",
            Phase::Rejected => "is rejected",
            Phase::Revoked => "is revoked",
        }
    }

    /// Whether the daemon polls the order on its own.
    pub fn is_polled(self) -> bool {
        matches!(self, Phase::Waiting | Phase::Deploying | Phase::Guarding | Phase::Quarantined)
    }

    /// Whether nothing happens until the operator, or a changed entry, resumes the order.
    pub fn is_stopped(self) -> bool {
        matches!(self, Phase::Attention | Phase::Rejected | Phase::Revoked)
    }

    /// Whether the operator must act before the order goes on.
    pub fn needs_person(self) -> bool {
        matches!(self, Phase::Quarantined | Phase::Attention | Phase::Rejected | Phase::Revoked)
    }
}

impl TryFrom<String> for Phase {
    type Error = String;

    fn try_from(word: String) -> Result<Phase, String> {
        Phase::named(&word).ok_or_else(|| format!("there is no phase {word:?}"))
    }
}

words! {
    /// What moves an order to another phase.
    pub enum Trigger {
        /// A bundle was verified.
        Verified = "verified",
        /// A bundle was refused.
        Refused = "refused",
        /// A bundle cannot be judged yet, because of something on this machine.
        Postponed = "postponed",
        /// A complete generation was staged and the intent to use it recorded.
        Staged = "staged",
        /// What was staged is no longer usable; the bundle is still there.
        Unstaged = "unstaged",
        /// Neither what was staged nor the bundle is usable; the vendor has to be asked again.
        Lost = "lost",
        /// Everything owed for the installed generation has been done.
        HooksDone = "hooks-done",
        /// The call is wrong or not allowed, or too many answers in a row made no sense.
        Stuck = "stuck",
        /// The vendor rejected the order.
        Rejected = "rejected",
        /// The vendor revoked the certificate.
        Revoked = "revoked",
        /// Resumed by the operator, or by a changed entry in the configuration.
        Resumed = "resumed",
        /// What is installed is what should be, after all: found so on disk, or offered again by the vendor.
        InPlace = "in-place",
    }
}

/// What an order has achieved so far: where it stands once nothing else is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Nothing is installed.
    Bare,
    /// A generation is in place, and its hooks are owed.
    Owing,
    /// A generation is in place and nothing is owed.
    Installed,
}

/// Every transition.
pub fn transition(phase: Phase, trigger: Trigger, standing: Standing) -> Phase {
    use Phase::{Attention, Collected, Deploying, Guarding, Quarantined, Rejected, Revoked, Waiting};
    let at_rest = match standing {
        Standing::Bare => Waiting,
        Standing::Owing => Deploying,
        Standing::Installed => Guarding,
    };
    match (trigger, phase) {
        (Trigger::Verified | Trigger::Postponed, _) => Collected,
        // The refused bundle waits beside the order; whatever else is owed goes on.
        (Trigger::Refused, _) => Quarantined,
        (Trigger::Staged, _) => Deploying,
        (Trigger::Unstaged, Deploying | Collected) => Collected,
        (Trigger::Unstaged, other) => other,
        (Trigger::Lost, Deploying | Collected) => at_rest,
        (Trigger::Lost, other) => other,
        (Trigger::HooksDone, Deploying) => Guarding,
        (Trigger::HooksDone, other) => other,
        (Trigger::Stuck, _) => Attention,
        (Trigger::Rejected, _) => Rejected,
        (Trigger::Revoked, _) => Revoked,
        (Trigger::Resumed, Attention | Rejected | Revoked) => at_rest,
        (Trigger::Resumed, other) => other,
        (Trigger::InPlace, Waiting | Collected | Quarantined) => at_rest,
        (Trigger::InPlace, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDINGS: [Standing; 3] = [Standing::Bare, Standing::Owing, Standing::Installed];

    /// What leads out of each phase, and where to, as the head of this file draws it.
    fn drawing() -> String {
        let mut lines = String::new();
        for phase in Phase::ALL {
            let mut ways: Vec<(&str, Vec<&str>)> = Vec::new();
            for trigger in Trigger::ALL {
                let ends = STANDINGS.map(|standing| transition(phase, trigger, standing));
                let to = match ends {
                    [Phase::Waiting, Phase::Deploying, Phase::Guarding] => "rest",
                    [one, ..] if ends == [one; 3] => one.as_str(),
                    _ => panic!("{phase}, {trigger}: {ends:?}"),
                };
                if to == phase.as_str() {
                    continue;
                }
                match ways.iter_mut().find(|(known, _)| *known == to) {
                    Some((_, triggers)) => triggers.push(trigger.as_str()),
                    None => ways.push((to, vec![trigger.as_str()])),
                }
            }
            for (at, (to, triggers)) in ways.into_iter().enumerate() {
                let from = if at == 0 { phase.as_str() } else { "" };
                lines.push_str(&format!("//! {from:<11} -> {to:<11}  {}\n", triggers.join(", ")));
            }
        }
        lines
    }

    #[test]
    fn the_head_of_this_file_draws_every_transition() {
        let head = include_str!("phase.rs").split("```").nth(1).unwrap();
        assert_eq!(head.trim_start_matches("text\n").trim_end_matches("//! "), drawing());
    }

    #[test]
    fn phases_and_words_go_both_ways() {
        for phase in Phase::ALL {
            assert_eq!(Phase::try_from(phase.as_str().to_owned()), Ok(phase));
        }
        assert!(Phase::try_from("done".to_owned()).is_err());
    }

    #[test]
    fn no_phase_is_without_a_way_out() {
        for phase in Phase::ALL {
            for standing in STANDINGS {
                let leaves =
                    Trigger::ALL.iter().any(|trigger| transition(phase, *trigger, standing) != phase);
                assert!(leaves, "{phase:?} {standing:?}");
            }
        }
    }

    #[test]
    fn a_stopped_order_is_only_taken_up_by_somebodys_word_or_a_certificate() {
        for phase in [Phase::Attention, Phase::Rejected, Phase::Revoked] {
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Bare), Phase::Waiting);
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Owing), Phase::Deploying);
            assert_eq!(transition(phase, Trigger::Resumed, Standing::Installed), Phase::Guarding);
            for trigger in [Trigger::Unstaged, Trigger::Lost, Trigger::HooksDone, Trigger::InPlace] {
                assert_eq!(transition(phase, trigger, Standing::Installed), phase, "{trigger:?}");
            }
        }
    }

    #[test]
    fn only_an_installed_order_is_guarded() {
        for phase in Phase::ALL {
            for trigger in Trigger::ALL.into_iter().filter(|trigger| *trigger != Trigger::HooksDone) {
                if phase != Phase::Guarding {
                    assert_ne!(
                        transition(phase, trigger, Standing::Bare),
                        Phase::Guarding,
                        "{phase:?} {trigger:?}"
                    );
                }
            }
        }
    }
}
