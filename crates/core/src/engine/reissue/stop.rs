//! What speaks against asking for a re-issue. Nothing is sent while one of these rules holds; the operator's `--again`
//! lifts one of them, and no other.

use crate::api::code::Class;
use crate::api::{OrderRef, Product};
use crate::config;
use crate::config::ReissueBudget;
use crate::engine::order::lifetime::limits;
use crate::engine::order::phase::Phase;
use crate::engine::order::record::{Heard, OrderRecord};
use crate::engine::reissue::record::{ReissueCalls, Stage, UsedToken};
use crate::engine::time::{Now, day, rfc3339};

const DAY: i64 = 24 * 3600;
/// A certificate younger than this is not replaced, in seconds.
const YOUNG: i64 = DAY;
/// A re-issue must win at least this, in seconds.
const LEAST_GAIN: i64 = 7 * DAY;

words! {
    /// The rules, as they are asked.
    pub enum StopRule {
        /// AutoReplaceSSL is for TLS orders.
        Product = "not-ssl",
        /// A certificateID names one certificate, not the order.
        Handle = "no-order-number",
        Installed = "nothing-installed",
        Phase = "phase",
        Revoked = "revoked",
        RolledBack = "rolled-back",
        InFlight = "in-flight",
        /// An earlier re-issue of the order is not over.
        Earlier = "earlier-reissue",
        Young = "younger-than-a-day",
        Term = "term-over",
        Gain = "gains-too-little",
        Names = "names-differ",
        Token = "token-used",
        Account = "account-shut",
        Budget = "budget-spent",
        /// Calls in a row that were in vain.
        InVain = "in-vain",
    }
}

impl StopRule {
    /// What holds where it stops the call.
    pub fn means(self) -> &'static str {
        match self {
            StopRule::Product => "the order is no TLS order",
            StopRule::Handle => "its entry has no order number",
            StopRule::Installed => "nothing is installed that could be replaced",
            StopRule::Phase => "the order is being deployed, or needs a person",
            StopRule::Revoked => "the installed certificate is revoked",
            StopRule::RolledBack => "it was rolled back, and that was not accepted",
            StopRule::InFlight => "a certificate of the order is under way at the vendor",
            StopRule::Earlier => "an earlier re-issue is not over",
            StopRule::Young => "the installed certificate is younger than 24 hours",
            StopRule::Term => "the product term is over",
            StopRule::Gain => "it would win fewer than 7 days",
            StopRule::Names => "the request is not for the installed names",
            StopRule::Token => "its unique value was sent before",
            StopRule::Account => "no call can be made on the account",
            StopRule::Budget => "the account has had its re-issues of the day",
            StopRule::InVain => "the account's last two re-issues were refused or are unclear",
        }
    }
}

/// Everything that the rules look at.
pub(crate) struct Facts<'a> {
    pub(crate) order: &'a config::Order,
    pub(crate) record: &'a OrderRecord,
    /// Why no call can be made on the account.
    pub(crate) shut: Option<String>,
    pub(crate) sent: &'a ReissueCalls,
    pub(crate) budget: ReissueBudget,
    /// What is to be sent: the token, and what is wrong with the names of the request; nothing while it is not known.
    pub(crate) token: Option<&'a UsedToken>,
    pub(crate) names: Option<&'a str>,
    /// The operator's word that an earlier one does not count.
    pub(crate) again: bool,
    pub(crate) now: Now,
}

impl Facts<'_> {
    /// Each rule, and why it stops the call where it does.
    pub(crate) fn all(&self) -> Vec<(StopRule, Option<String>)> {
        StopRule::ALL.into_iter().map(|rule| (rule, self.holds(rule))).collect()
    }

    /// The first rule that stops it: why.
    pub(crate) fn first(&self) -> Option<String> {
        StopRule::ALL.into_iter().find_map(|rule| self.holds(rule))
    }

    fn holds(&self, rule: StopRule) -> Option<String> {
        let record = self.record;
        let installed = record.installed.as_deref();
        let unix = self.now.unix();
        let name = &self.order.name;
        match rule {
            StopRule::Product => {
                let product = self.order.settings.product;
                (product != Product::Ssl)
                    .then(|| format!("{name} is of product {}, and re-issues are for ssl", product.as_str()))
            }
            StopRule::Handle => match &self.order.handle {
                OrderRef::OrderNumber(_) => None,
                other @ (OrderRef::CertificateId(_) | OrderRef::BaseOrderNumber(_)) => Some(format!(
                    "{name} is known as {} only, and the call needs its order_number",
                    other.describe()
                )),
            },
            StopRule::Installed => installed
                .is_none()
                .then(|| format!("{name} has nothing installed; a first certificate is ordered at the vendor's")),
            StopRule::Phase => match record.phase {
                Phase::Guarding => None,
                Phase::Deploying if record.staged.is_none() => None,
                Phase::Waiting | Phase::Collected | Phase::Deploying | Phase::Quarantined => {
                    Some(format!("{name} {}; `certcollectd explain {name}`", record.phase.predicate()))
                }
                Phase::Attention | Phase::Rejected | Phase::Revoked => Some(format!(
                    "{name} {}; once the cause is fixed: `certcollectd resume {name}`",
                    record.phase.predicate()
                )),
            },
            StopRule::Revoked => {
                let is_revoked = installed.is_some_and(|known| record.revoked == Some(known.fingerprint));
                is_revoked.then(|| format!("the vendor has revoked the certificate of {name}: a new order is needed"))
            }
            StopRule::RolledBack => (record.rollback || record.rolled_back_from.is_some()).then(|| {
                format!(
                    "{name} was rolled back; `certcollectd accept {name}` takes the newer certificate, else wait for one"
                )
            }),
            StopRule::InFlight => {
                let heard = record.heard.as_deref();
                let is_pending = heard.and_then(Heard::class).is_some_and(Class::is_in_progress);
                (is_pending || record.reissue_since.is_some()).then(|| {
                    let said = heard.filter(|_| is_pending).map(|heard| format!(" ({})", heard.text));
                    let said = said.unwrap_or_default();
                    format!("a certificate of {name} is under way at the vendor{said}; a second call would change it")
                })
            }
            StopRule::Earlier => {
                let earlier = record.reissue.as_deref()?;
                let at = rfc3339(earlier.sent.unwrap_or(earlier.since));
                let again = format!("`certcollectd reissue {name} --again` asks once more");
                match earlier.stage {
                    Stage::Preparing | Stage::Closed => None,
                    Stage::Open => Some(format!("the re-issue of {at} is open: its certificate is waited for")),
                    // Only within this process: after a restart it is unclear.
                    Stage::Intended => {
                        Some("the vendor is being asked for it at this moment; try again in a minute".to_owned())
                    }
                    Stage::Unclear if !self.again => Some(format!(
                        "it is unclear whether the re-issue of {at} was made; look at the vendor's web site first; {again}"
                    )),
                    Stage::Refused if !self.again => {
                        let said = earlier.said.as_deref().unwrap_or("no reason is known");
                        Some(format!("the re-issue of {at} was refused: {said}; once that is mended: {again}"))
                    }
                    Stage::Unclear | Stage::Refused => None,
                }
            }
            StopRule::Young => {
                let begins = installed?.not_before;
                (unix < begins + YOUNG).then(|| {
                    format!("the installed certificate is younger than 24 hours (from {})", rfc3339(begins))
                })
            }
            StopRule::Term => {
                let end = self.term_end().filter(|end| *end <= unix)?;
                Some(format!("the product term of {name} ended {}: a new order is needed", day(&rfc3339(end))))
            }
            StopRule::Gain => {
                let (end, gain) = self.expected()?;
                (gain < LEAST_GAIN).then(|| {
                    format!(
                        "it would end {} at the latest, {} days later than the installed one: fewer than 7",
                        day(&rfc3339(end)),
                        gain.div_euclid(DAY)
                    )
                })
            }
            StopRule::Names => self.names.map(str::to_owned),
            StopRule::Token => {
                let token = self.token?;
                record.tokens.iter().any(|known| known.unique.eq_ignore_ascii_case(&token.unique)).then(|| {
                    format!("the unique value {} was sent before, and a token is good for one call", token.unique)
                })
            }
            StopRule::Account => self.shut.clone(),
            StopRule::Budget => {
                let lately = self.sent.sent_lately(unix);
                (lately >= self.budget.per_day as usize).then(|| {
                    format!("account {} has sent {lately} re-issues within 24 hours: [reissues] per_day", self.order.account)
                })
            }
            StopRule::InVain => self.sent.is_stopped().then(|| {
                format!(
                    "the last {} re-issues on account {1} were refused or are unclear; once you know why: `certcollectd \
                     resume --reissues --account {1}`",
                    self.sent.in_vain, self.order.account
                )
            }),
        }
    }

    fn term_end(&self) -> Option<i64> {
        self.record.heard.as_ref()?.details.term_end
    }

    /// When the new certificate would end at the latest, UNIX seconds, and how much later than the installed one that is.
    pub(crate) fn expected(&self) -> Option<(i64, i64)> {
        let installed = self.record.installed.as_deref()?;
        let unix = self.now.unix();
        let (longest, _) = limits(unix);
        let end = unix + installed.life().min(longest);
        let end = self.term_end().map_or(end, |term| end.min(term));
        Some((end, end - installed.not_after))
    }
}
