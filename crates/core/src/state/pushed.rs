//! What push notifications left behind, as it is written with an order or an account.

use serde::{Deserialize, Serialize};

use super::Origin;
use super::rows::{fingerprint, is_default};
use crate::engine::push::{Announced, Pushed};
use crate::engine::time::Now;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PushedRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hinted_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_default")]
    idle: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocation: Option<AnnouncedRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnnouncedRow {
    at: i64,
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    leaf: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    proven: bool,
}

impl PushedRow {
    pub(super) fn of(pushed: &Pushed) -> Self {
        let Pushed { hinted, idle, certificate, revocation } = pushed;
        PushedRow {
            hinted_ms: hinted.map(|time| time.0),
            idle: *idle,
            certificate: certificate.as_ref().map(ToString::to_string),
            revocation: revocation.as_ref().map(AnnouncedRow::of),
        }
    }

    pub(super) fn pushed(self, origin: Origin, now: Now) -> Result<Pushed, String> {
        Ok(Pushed {
            hinted: self.hinted_ms.map(|time| origin.future(time, now)),
            idle: self.idle,
            certificate: self.certificate.map(Into::into),
            revocation: self.revocation.map(AnnouncedRow::announced).transpose()?,
        })
    }
}

impl AnnouncedRow {
    pub(super) fn of(announced: &Announced) -> Self {
        let Announced { at, text, leaf, proven } = announced;
        AnnouncedRow {
            at: *at,
            text: text.to_string(),
            leaf: leaf.map(|leaf| leaf.to_string()),
            proven: *proven,
        }
    }

    pub(super) fn announced(self) -> Result<Announced, String> {
        Ok(Announced {
            at: self.at,
            text: self.text.into(),
            leaf: self.leaf.map(|text| fingerprint(&text)).transpose()?,
            proven: self.proven,
        })
    }
}
