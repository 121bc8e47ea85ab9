//! Orders created by a replacement: collected without a configuration entry, until there is one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::api::{OrderRef, Product};
use crate::config;
use crate::config::{Config, FileKind, Files, KeySource, OrderSettings, Own, Params, standard_policy};

/// An order that the vendor created to replace another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// As in the configuration; names the directory.
    #[serde(skip)]
    pub name: Arc<str>,
    /// The account it is collected on.
    pub account: Arc<str>,
    /// Its `orderNumber`.
    pub number: Box<str>,
    /// The order that it replaces. A configured order of this number lends its settings.
    pub replaced: Box<str>,
    /// The request that was sent, DER in base64: its key is what the certificate has to have. Nothing where an earlier
    /// version adopted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<str>>,
    /// When it was adopted, UNIX seconds.
    pub since: i64,
}

impl Adopted {
    /// Whether the configuration has the order itself, by name or by number.
    pub(crate) fn is_configured(&self, config: &Config) -> bool {
        config.orders.iter().any(|order| {
            order.name == self.name || (order.account == self.account && order.handle == self.handle())
        })
    }

    fn handle(&self) -> OrderRef {
        OrderRef::OrderNumber(self.number.clone())
    }

    /// The order as a configuration would have it. Copies elsewhere are not lent: two orders would write them.
    fn order(&self, config: &Config) -> config::Order {
        let replaced = OrderRef::OrderNumber(self.replaced.clone());
        let lender = config.orders.iter().find(|order| {
            order.account == self.account
                && order.handle == replaced
                && order.settings.product == Product::Smime
        });
        let lent = lender.map(|order| {
            // The key is with the author of the CSR, so no file here can contain it.
            let files = order.settings.files.clone().with(FileKind::Key, None).with(FileKind::Combined, None);
            Arc::new(OrderSettings { files, ..(*order.settings).clone() })
        });
        let settings = lent.unwrap_or_else(|| {
            Arc::new(OrderSettings {
                product: Product::Smime,
                cadence: config.cadence,
                response: None,
                params: Params::default(),
                files: Files::default(),
                verify: standard_policy(Product::Smime),
                trust_anchors: None,
                hooks: Vec::new(),
                probes: Box::default(),
                windows: Box::default(),
                window_margin: OrderSettings::WINDOW_MARGIN,
                reissue: None,
                group: None,
            })
        });
        config::Order {
            name: self.name.clone(),
            account: self.account.clone(),
            handle: self.handle(),
            own: Own {
                domains: lender.map(|order| order.domains.clone()).unwrap_or_default(),
                key: self.request.clone().map_or(KeySource::None, KeySource::Request),
                ..Own::default()
            }
            .into(),
            settings,
        }
    }
}

/// The configuration plus the adopted orders that it lacks.
pub fn joined(config: &Arc<Config>, adopted: &[Adopted]) -> Arc<Config> {
    let missing: Vec<config::Order> = adopted
        .iter()
        .filter(|adopted| config.account(&adopted.account).is_some() && !adopted.is_configured(config))
        .map(|adopted| adopted.order(config))
        .collect();
    if missing.is_empty() {
        return config.clone();
    }
    let mut joined = (**config).clone();
    joined.orders.extend(missing);
    Arc::new(joined)
}
