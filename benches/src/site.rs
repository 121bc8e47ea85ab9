//! A place for one daemon: its configuration, its state, what it installs.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::mock::{Files, domain};

/// The number of the first order; the others follow.
pub const FIRST: u64 = 100_000_000;

/// The password of the account.
pub const PASSWORD: &str = "a-password-for-measurements";

/// What the configuration says.
#[derive(Debug, Clone)]
pub struct Plan {
    pub orders: u64,
    pub interval: String,
    pub call_gap: String,
    /// Time between two polls of an installed order.
    pub guard: &'static str,
    /// ssl, or mark, which is asked for in the same manner and is never issued.
    pub product: &'static str,
    /// Arguments of the program that is the hook of each order; none: no hook.
    pub hook: Option<Vec<String>>,
    pub merge: bool,
    /// Lines for the beginning of the file.
    pub more: String,
    /// None: on its own.
    pub member: Option<Member>,
}

/// What a daemon is in a fleet. All orders are of one group, and followers take all of them.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    /// The endpoint of its store.
    pub store: String,
    pub role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Collector {
        /// The value of `wave`.
        wave: &'static str,
    },
    /// It has no account.
    Follower,
}

/// The group of a fleet's orders.
pub const GROUP: &str = "web";

impl Plan {
    /// Orders that wait and are polled without a pause.
    pub fn waiting(orders: u64) -> Plan {
        Plan {
            orders,
            interval: "1ms".into(),
            call_gap: "0s".into(),
            guard: "off",
            product: "mark",
            hook: None,
            merge: true,
            more: String::new(),
            member: None,
        }
    }

    /// Orders whose certificate is installed, with a hook.
    pub fn installing(orders: u64) -> Plan {
        Plan { product: "ssl", hook: Some(vec!["/bin/true".into()]), ..Plan::waiting(orders) }
    }

    /// Nothing is due while somebody looks.
    pub fn idle(orders: u64) -> Plan {
        Plan { interval: "3h".into(), call_gap: "10s".into(), ..Plan::waiting(orders) }
    }
}

/// The folders of one daemon. Nothing is deleted while measurements run: ext4 would let the next ones pay for it.
#[derive(Debug, Clone)]
pub struct Site {
    /// Configuration and password; the daemon watches it.
    pub config: PathBuf,
    pub state: PathBuf,
    pub install: PathBuf,
    /// Where its log goes, and traces of it.
    pub log: PathBuf,
}

impl Site {
    /// What [`Site::write`] was given.
    pub fn folder(&self) -> PathBuf {
        self.state.parent().expect("it is below").to_owned()
    }

    /// Writes a configuration below `folder`, or another one in its place.
    pub fn write(folder: &Path, mock: &Files, plan: &Plan) -> io::Result<Site> {
        let folder = std::path::absolute(folder)?;
        let site = Site {
            config: folder.join("etc/certcollectd.toml"),
            state: folder.join("state"),
            install: folder.join("certs"),
            log: folder.join("log"),
        };
        for folder in [&folder.join("etc"), &site.state, &site.install, &site.log] {
            std::fs::create_dir_all(folder)?;
        }
        let password = folder.join("etc/password");
        std::fs::write(&password, PASSWORD)?;
        std::fs::set_permissions(&password, Permissions::from_mode(0o600))?;
        std::fs::write(&site.config, text(&site, mock, plan, &password)?)?;
        Ok(site)
    }
}

fn text(site: &Site, mock: &Files, plan: &Plan, password: &Path) -> io::Result<String> {
    let base_url = std::fs::read_to_string(mock.base_url())?;
    let mut text = String::new();
    let mut say = |piece: std::fmt::Arguments<'_>| text.write_fmt(piece).expect("a text takes everything");
    say(format_args!("state_dir = {:?}\ninstall_dir = {:?}\n{}\n", site.state, site.install, plan.more));
    if let Some(member) = &plan.member {
        say(format_args!(
            "[fleet]\nname = {:?}\ngroups = [{GROUP:?}]\nstore = \"etcd\"\nendpoints = [{:?}]\n",
            member.name, member.store
        ));
        match member.role {
            Role::Collector { wave } => say(format_args!(
                "role = \"collector\"\nlease = \"10s\"\nbeat = \"2s\"\nmargin = \"200ms\"\nwave = {wave}\n"
            )),
            Role::Follower => say(format_args!("role = \"follower\"\n")),
        }
    }
    let is_follower = plan.member.as_ref().is_some_and(|member| member.role == Role::Follower);
    if !is_follower {
        say(format_args!(
            "[polling]\ninterval = {:?}\nmax_interval = {:?}\nguard_interval = {:?}\nspread = 0.0\n\
             call_gap = {:?}\n",
            plan.interval, plan.interval, plan.guard, plan.call_gap
        ));
        if plan.member.is_some() {
            // Two calls fit into the lease.
            say(format_args!("request_timeout = \"2s\"\nsettle = \"1s\"\n"));
        }
        say(format_args!(
            "\n[[account]]\nname = \"bench\"\nlogin_name = \"bench\"\npassword = {{ file = {password:?} }}\n\
             base_url = {:?}\nca_file = {:?}\n\n",
            base_url.trim(),
            mock.ca(),
        ));
    }
    if let Some(hook) = &plan.hook {
        say(format_args!("[[hook]]\nname = \"reload\"\nrun = {hook:?}\nmerge = {}\n\n", plan.merge));
    }
    for order in FIRST..FIRST + plan.orders {
        say(format_args!("[[order]]\nname = \"www{order}\"\nproduct = {:?}\n", plan.product));
        if !is_follower {
            say(format_args!("order_number = \"{order}\"\n"));
            if plan.member.is_some() {
                say(format_args!("group = {GROUP:?}\n"));
            }
        }
        if plan.product == "ssl" {
            say(format_args!("domains = [{:?}]\nkey_file = {:?}\n", domain(order), mock.key()));
            say(format_args!("verify.trust_anchors = {:?}\n", mock.roots()));
        }
        if plan.hook.is_some() {
            say(format_args!("hooks = [\"reload\"]\n"));
        }
    }
    Ok(text)
}
