//! Machines of their own, as far as the network goes: network namespaces with cables to two switches.
//!
//! Their addresses are of loopback, 127.0.0.0/8, so that everything that holds for a vendor or a store on loopback holds here;
//! only 127.0.0.0/24 is each machine's own.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use crate::setting::said;

/// What a machine's cable leads to. Two, so that a machine can be cut from one and not from the other.
#[derive(Debug, Clone, Copy)]
pub enum Switch {
    Store,
    Vendor,
}

impl Switch {
    const ALL: [Switch; 2] = [Switch::Store, Switch::Vendor];

    fn name(self) -> &'static str {
        match self {
            Switch::Store => "store",
            Switch::Vendor => "vendor",
        }
    }

    fn address(self, at: u8) -> Ipv4Addr {
        let net = match self {
            Switch::Store => 1,
            Switch::Vendor => 2,
        };
        Ipv4Addr::new(127, 18, net, at)
    }
}

/// Both switches. Whoever made them is on both, and so are the processes that it starts.
pub struct Network {
    /// The last one's number.
    machines: u8,
}

/// The number of whoever made them.
const FIRST: u8 = 1;

/// Runs in a thread of its own, on a network that nobody else is on. All of it ends with the last process on it. The reason, if
/// there can be none.
pub fn apart<T: Send + 'static>(act: impl FnOnce(Network) -> T + Send + 'static) -> Result<T, String> {
    let thread = thread::spawn(move || Network::make().map(act));
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

impl Network {
    fn make() -> Result<Network, String> {
        leave()?;
        for switch in Switch::ALL {
            let name = switch.name();
            ip(&["link", "add", name, "type", "bridge"])?;
            ip(&[
                "address",
                "add",
                &format!("{}/24", switch.address(FIRST)),
                "dev",
                name,
                "scope",
                "global",
            ])?;
            ip(&["link", "set", name, "up"])?;
        }
        Ok(Network { machines: FIRST })
    }

    /// Of this process.
    pub fn address(&self, switch: Switch) -> Ipv4Addr {
        switch.address(FIRST)
    }

    /// One more, on both switches.
    pub fn machine(&mut self) -> Arc<Machine> {
        self.machines += 1;
        let number = self.machines;
        let made = thread::spawn(|| leave().map(|()| File::open("/proc/thread-self/ns/net").unwrap()));
        let namespace = made.join().unwrap().expect("the first one could be made");
        let machine = Machine { number, namespace };
        let path = format!("/proc/{}/fd/{}", std::process::id(), machine.namespace.as_raw_fd());
        for switch in Switch::ALL {
            let (cable, inside) = (machine.cable(switch), switch.name());
            ip(&["link", "add", &cable, "type", "veth", "peer", "name", inside, "netns", &path]).unwrap();
            ip(&["link", "set", &cable, "master", inside, "up"]).unwrap();
            let address = format!("{}/24", machine.address(switch));
            machine.inside(|| {
                ip(&["address", "add", &address, "dev", inside, "scope", "global"]).unwrap();
                ip(&["link", "set", inside, "up"]).unwrap();
            });
        }
        Arc::new(machine)
    }
}

pub struct Machine {
    number: u8,
    namespace: File,
}

impl Machine {
    pub fn address(&self, switch: Switch) -> Ipv4Addr {
        switch.address(self.number)
    }

    /// Nothing arrives any more, in neither direction, and nobody is told.
    pub fn pull_out(&self, switch: Switch) {
        ip(&["link", "set", &self.cable(switch), "down"]).unwrap();
    }

    pub fn plug_in(&self, switch: Switch) {
        ip(&["link", "set", &self.cable(switch), "up"]).unwrap();
    }

    /// At the switch.
    fn cable(&self, switch: Switch) -> String {
        format!("{}-{}", switch.name(), self.number)
    }

    fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// Where a process runs: on a machine of its own, or here.
#[derive(Clone, Default)]
pub struct Place(pub Option<Arc<Machine>>);

impl Place {
    /// Under which others reach it at its store.
    pub fn address(&self) -> Ipv4Addr {
        self.0.as_ref().map_or(Ipv4Addr::LOCALHOST, |machine| machine.address(Switch::Store))
    }

    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        match &self.0 {
            None => command.spawn(),
            Some(machine) => machine.inside(|| command.spawn()),
        }
    }
}

/// This thread, and what it starts, is on a network with nothing but a loopback device from now on.
fn leave() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|why| format!("a network of its own: {why}"))?;
    let routes = "/proc/sys/net/ipv4/conf/all/route_localnet";
    std::fs::write(routes, "1").map_err(|why| format!("{routes}: {why}"))?;
    ip(&["link", "set", "lo", "up"])?;
    // All of 127.0.0.0/8 is its own unless something else is said.
    ip(&["address", "del", "127.0.0.1/8", "dev", "lo"])?;
    ip(&["address", "add", "127.0.0.1/24", "dev", "lo"])
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|why| format!("ip: {why}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("ip {arguments:?}: {}", said(&output).1.trim()))
    }
}
