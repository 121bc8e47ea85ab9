//! Whether what is installed is served, as the probes have found.

use serde::Serialize;

use certcollectd_core::config::Order;
use certcollectd_core::engine::order::record::{ProbeRecord, Probed, Served};
use certcollectd_core::engine::time::rfc3339;

/// One address of a probe.
#[derive(Debug, Clone, Serialize)]
pub struct ProbeStatus {
    /// As configured.
    pub connect: String,
    /// What was asked: an IP address and a port, or a socket.
    pub address: String,
    /// Whether it serves the installed certificate and its chain.
    pub ok: bool,
    /// SHA-256 of the certificate that it presented, lower-case hexadecimal.
    pub serves: Option<String>,
    /// When it was asked, RFC 3339.
    pub at: String,
    /// What it said, in words that go on after its name.
    pub last: String,
}

/// What is known of the probes that are configured.
pub(super) fn probes(order: &Order, probed: Option<&Probed>) -> Vec<ProbeStatus> {
    let known = probed.into_iter().flat_map(|probed| &probed.probes);
    let configured = |known: &ProbeRecord| {
        let probe = order.settings.probes.iter().find(|probe| *probe.label() == *known.label)?;
        Some(probe.connect.to_string())
    };
    let all = known.filter_map(|known| Some((configured(known)?, &known.served)));
    all.flat_map(|(connect, served)| {
        served.iter().map(move |served| ProbeStatus::new(connect.clone(), served))
    })
    .collect()
}

impl ProbeStatus {
    fn new(connect: String, served: &Served) -> ProbeStatus {
        let Served { address, at, leaf, wrong } = served;
        ProbeStatus {
            connect,
            address: address.to_string(),
            ok: wrong.is_none(),
            serves: leaf.map(|leaf| leaf.to_string()),
            at: rfc3339(*at),
            last: wrong.as_deref().unwrap_or("serves the installed certificate").to_owned(),
        }
    }
}
