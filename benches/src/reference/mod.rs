//! What one would use in place of the daemon, written anew and as short as it can be.
//!
//! `raw` and `reqwest` poll; `cycle` installs as well; `loop.sh` and `requests.py` are what people have.

pub mod cycle;
mod raw;
mod request;
mod reqwest;

use std::io;
use std::path::Path;

use crate::clock::{self, Moment};
use crate::mock::Files;
use crate::site::FIRST;
use request::Target;

/// Polls `orders` orders in turn, `polls` times in all, with a line appended and synced for each where `record` names a
/// file, and each on a connection of its own where that is said. Prints seconds of CPU and of time per poll.
pub fn raw(mock: &Path, polls: u64, orders: u64, record: Option<&Path>, reconnect: bool) -> io::Result<()> {
    let target = Target::read(&Files::new(mock))?;
    let mut record = record.map(cycle::Record::open).transpose()?;
    let mut client = raw::Client::connect(&target)?;
    measure(polls, |number| {
        if reconnect && number > 0 {
            client.reconnect(&target)?;
        }
        client.poll(&target, FIRST + number % orders)?;
        match &mut record {
            Some(record) => record.append("polled"),
            None => Ok(()),
        }
    })
}

/// The same with reqwest, on one thread.
pub fn reqwest(mock: &Path, polls: u64, orders: u64) -> io::Result<()> {
    let target = Target::read(&Files::new(mock))?;
    let mut client = reqwest::Client::new(&target)?;
    measure(polls, |number| client.poll(&target, FIRST + number % orders))
}

/// The first poll connects and is not measured.
fn measure(polls: u64, mut poll: impl FnMut(u64) -> io::Result<()>) -> io::Result<()> {
    poll(0)?;
    let (cpu, begin) = (clock::own_cpu(), clock::now());
    for number in 1..=polls {
        poll(number)?;
    }
    println!("{}", (clock::own_cpu() - cpu).as_secs_f64() / polls as f64);
    println!("{}", seconds(begin) / polls as f64);
    Ok(())
}

fn seconds(begin: Moment) -> f64 {
    clock::now().since(begin).as_secs_f64()
}
