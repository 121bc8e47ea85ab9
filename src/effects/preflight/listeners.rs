//! Ports that another program uses.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::eyes::User;
use super::finding;
use crate::config::file::Level;
use crate::config::locate::{Finding, Key};
use certcollectd_core::config::Config;

/// Binds each configured address for a moment. Not for when the daemon runs, which holds them itself.
pub fn taken(config: &Config, service: &User) -> Vec<Finding> {
    let http = config.http.as_ref().map(|found| ("http", found.listen));
    let push = config.push.as_ref().map(|found| ("push", found.listen));
    let all = http.into_iter().chain(push);
    let refused = |(table, address): (&'static str, SocketAddr)| {
        let (why, help) = obstacle(address, service)?;
        let text = format!("[{table}] cannot listen on {address}: {why}");
        Some(finding(Level::Error, Some(Key::top(table)), text, help))
    };
    all.filter_map(refused).collect()
}

/// What stands in the way, and what to do about it.
fn obstacle(address: SocketAddr, service: &User) -> Option<(String, &'static str)> {
    let of_root = first_free_port();
    let other = "choose another address or port in `listen`";
    if address.port() != 0 && address.port() < of_root && !service.is_root() {
        return Some((format!("user {service} may only use ports from {of_root} on"), other));
    }
    if let SocketAddr::V6(v6) = address
        && v6.ip().is_unicast_link_local()
        && v6.scope_id() == 0
    {
        let why = "a link-local address does not say on which interface";
        let help = "add the interface's number, which `ip link` shows first: \"[fe80::1%2]:9797\"";
        return Some((why.into(), help));
    }
    let error = TcpListener::bind(address).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => (
            "another program listens there (ss -ltnp shows which)".into(),
            "free the port, or choose another one in `listen`",
        ),
        ErrorKind::AddrNotAvailable => (
            "this machine has no such address".into(),
            "give the machine the address (`ip address` shows what it has), or choose another one in `listen`",
        ),
        ErrorKind::PermissionDenied => ("the system does not allow it".into(), other),
        _ => (error.to_string(), other),
    })
}

/// Ports below need a capability, ip(7).
fn first_free_port() -> u16 {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    text.trim().parse().unwrap_or(1024)
}
