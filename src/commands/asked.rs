//! `check`: the form that answers are asked for in, orders whose certificate nothing pins, and names that probes ask for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::config::locate::Key;
use certcollectd_core::config::Config;

/// Hands each warning on: what it is about, its text, what to do.
pub(super) fn look(config: &Config, mut warn: impl FnMut(Key, String, &str)) {
    let mut said = BTreeSet::new();
    for order in &config.orders {
        let name = &order.name;
        if order.is_unpinned() {
            warn(
                Key::order(name, &["name"]),
                match config.follows() {
                    true => format!(
                        "order {name}: nothing pins its certificate: whatever the store holds for it is installed"
                    ),
                    false => format!(
                        "order {name}: nothing pins its certificate: with a typo in the number, someone else's is \
                         installed"
                    ),
                },
                "name its domains, or its key_file or csr_file",
            );
        }
        for probe in &order.settings.probes {
            // For an address no name is sent.
            let is_other = |name: &&str| name.parse::<IpAddr>().is_err() && !order.expects(name);
            let Some(asked) = probe.server_name.as_deref().filter(is_other) else { continue };
            warn(
                Key::order(name, &["probe", "server_name"]).with(asked),
                format!(
                    "order {name}: the probe of {} asks for {asked}, which domains does not cover",
                    probe.connect
                ),
                "correct server_name, or add the name to domains; asked for another name, a server may show another \
                 certificate, which counts as a failure",
            );
        }
        let product = order.settings.product;
        let own = order.settings.response;
        let account = config.account(&order.account);
        let response = own.or_else(|| account.and_then(|account| account.response));
        if !response.is_some_and(|response| response.is_disputed(product)) {
            continue;
        }
        let about = match own {
            Some(_) => Key::order(name, &["response"]),
            None if said.insert(&order.account) => Key::account(&order.account, &["response"]),
            None => continue,
        };
        warn(
            about,
            format!(
                "order {name}: only the newer of the vendor's two pages on {} has this response format",
                product.endpoint()
            ),
            "both have pkcs7-binary, which is the default, and zip-binary",
        );
    }
}
