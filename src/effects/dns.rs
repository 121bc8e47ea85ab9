//! DNS lookups, each with a timeout. What was found is judged in `api::dcv::survey`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use certcollectd_core::api::dcv::Caa;
use certcollectd_core::api::dcv::survey::Found;

/// One try of one query.
const TRY: Duration = Duration::from_secs(2);
/// Tries after the first.
const RETRIES: usize = 1;
/// Timeout of one lookup with all that it leads to, TCP after a truncated answer and CNAMEs included.
const LIMIT: Duration = Duration::from_secs(10);
/// Of name servers.
const PORT: u16 = 53;
/// Name servers of one zone that are asked.
const MOST_SERVERS: usize = 3;
/// Consecutive unanswered lookups after which no more are made.
const SILENT: u32 = 3;

pub struct Dns {
    resolver: TokioResolver,
    silent: Cell<u32>,
    shown: String,
    /// Name servers of zones, once they were looked up.
    sources: RefCell<HashMap<String, Option<Rc<Dns>>>>,
}

impl Dns {
    /// A resolver that asks these servers, or the system's where none is named. Within a tokio runtime.
    pub fn new(servers: &[SocketAddr]) -> Result<Dns, String> {
        let provider = TokioRuntimeProvider::default();
        let (mut builder, shown) = if servers.is_empty() {
            let builder = TokioResolver::builder_tokio()
                .map_err(|error| format!("the system's resolver configuration cannot be read: {error}"))?;
            (builder, "the system's resolver".to_owned())
        } else {
            let list = servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), list);
            let shown: Vec<String> = servers.iter().map(ToString::to_string).collect();
            (TokioResolver::builder_with_config(config, provider), shown.join(", "))
        };
        let options = builder.options_mut();
        options.timeout = TRY;
        options.attempts = RETRIES;
        options.edns0 = true;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build().map_err(|error| format!("the resolver cannot be set up: {error}"))?;
        Ok(Dns { resolver, silent: Cell::new(0), shown, sources: RefCell::default() })
    }

    /// Who is asked, in words.
    pub fn describe(&self) -> &str {
        &self.shown
    }

    /// Where a name's CNAME record points, without the dot at the end.
    pub async fn cname(&self, name: &str) -> Found<String> {
        let target = |data: &RData| match data {
            RData::CNAME(target) => Some(target.0.to_ascii().trim_end_matches('.').to_owned()),
            _ => None,
        };
        self.look_up(name, RecordType::CNAME, target).await
    }

    /// The name servers of the zone that a name is in, to be asked themselves; nothing where they cannot be found.
    pub async fn source_of(&self, name: &str) -> Option<Rc<Dns>> {
        let host = |data: &RData| match data {
            RData::NS(host) => Some(host.0.to_ascii().trim_end_matches('.').to_owned()),
            _ => None,
        };
        let mut zone = name;
        // A zone of one label is nobody's to change.
        while let Some((_, parent)) = zone.split_once('.').filter(|(_, parent)| parent.contains('.')) {
            zone = parent;
            let known = self.sources.borrow().get(zone).cloned();
            if let Some(known) = known {
                return known;
            }
            let Found::Records(hosts) = self.look_up(zone, RecordType::NS, host).await else { continue };
            let mut servers = Vec::new();
            for host in hosts.iter().take(MOST_SERVERS) {
                let found = self.addresses(host).await.unwrap_or_default();
                servers.extend(found.into_iter().take(1).map(|address| SocketAddr::new(address, PORT)));
            }
            let source = if servers.is_empty() { None } else { Dns::new(&servers).ok().map(Rc::new) };
            self.sources.borrow_mut().insert(zone.to_owned(), source.clone());
            return source;
        }
        None
    }

    /// The addresses of a name, those of IPv4 first.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let address = |data: &RData| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        };
        let mut all = Vec::new();
        let mut failed = None;
        for kind in [RecordType::A, RecordType::AAAA] {
            match self.look_up(name, kind, address).await {
                Found::Records(found) => all.extend(found),
                Found::NoRecord => {}
                Found::NoName => return Err("the name does not exist".into()),
                Found::Failed(why) => failed = Some(why),
            }
        }
        match (all.is_empty(), failed) {
            (false, _) => Ok(all),
            (true, Some(why)) => Err(why),
            (true, None) => Err("the name has no address".into()),
        }
    }

    /// The CAA records of a name; a CNAME in between is followed by the resolver (RFC 8659 section 3).
    pub async fn caa(&self, name: &str) -> Found<Caa> {
        let property = |data: &RData| match data {
            RData::CAA(caa) => Some(Caa {
                critical: caa.issuer_critical,
                tag: caa.tag.clone(),
                value: String::from_utf8_lossy(&caa.value).into_owned(),
            }),
            _ => None,
        };
        self.look_up(name, RecordType::CAA, property).await
    }

    async fn look_up<T>(&self, name: &str, kind: RecordType, read: impl Fn(&RData) -> Option<T>) -> Found<T> {
        if self.silent.get() >= SILENT {
            return Found::Failed(format!("not looked up, because {} does not answer", self.shown));
        }
        let Ok(mut query) = Name::from_ascii(name) else {
            return Found::Failed("this is not a valid DNS name".into());
        };
        // No search list: the name is meant as it stands.
        query.set_fqdn(true);
        let found = match tokio::time::timeout(LIMIT, self.resolver.lookup(query, kind)).await {
            Ok(result) => result,
            Err(_) => Err(NetError::Timeout),
        };
        if matches!(found, Err(NetError::Timeout)) {
            self.silent.set(self.silent.get() + 1);
        } else {
            self.silent.set(0);
        }
        self.tell(found, read)
    }

    fn tell<T>(&self, found: Result<Lookup, NetError>, read: impl Fn(&RData) -> Option<T>) -> Found<T> {
        let code = match found {
            Ok(lookup) => {
                let records: Vec<T> =
                    lookup.answers().iter().filter_map(|record| read(&record.data)).collect();
                return if records.is_empty() { Found::NoRecord } else { Found::Records(records) };
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => none.response_code,
            Err(NetError::Dns(DnsError::ResponseCode(code))) => code,
            Err(NetError::Timeout) => {
                return Found::Failed(format!("{} did not answer in time", self.shown));
            }
            Err(error) => {
                let why = certcollectd_core::api::Untrusted::new(&error.to_string());
                return Found::Failed(format!("{} cannot be queried: {why}", self.shown));
            }
        };
        match code {
            ResponseCode::NoError => Found::NoRecord,
            ResponseCode::NXDomain => Found::NoName,
            ResponseCode::ServFail => Found::Failed(
                "the zone's name servers do not answer, or its DNSSEC signatures are wrong (SERVFAIL)".into(),
            ),
            ResponseCode::Refused => Found::Failed(format!("{} refuses to answer (REFUSED)", self.shown)),
            code => Found::Failed(format!("the lookup ended with \"{code}\"")),
        }
    }
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()]
        .into_iter()
        .map(|mut connection| {
            connection.port = address.port();
            connection
        })
        .collect();
    NameServerConfig::new(address.ip(), true, connections)
}
