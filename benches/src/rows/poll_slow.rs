//! CPU of a poll whose answer takes 100 ms: caches are cold then, and each poll sleeps.

use std::io::{self, Write as _};
use std::process::Command;
use std::time::Duration;

use crate::bench::{Bench, Place, has, numbers};
use crate::figure::Figure;
use crate::mock::{Manner, Mock};
use crate::site::{FIRST, Plan};

const TOOLS: &str = "curl or openssl";
const LOOP: &str = include_str!("../reference/loop.sh");
const REQUESTS: &str = include_str!("../reference/requests.py");

/// Few, so that each was asked about once before it is measured.
const ORDERS: u64 = 20;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    let mock = bench.mock(Manner { delay: Duration::from_millis(100), ..Manner::default() })?;
    let tools = bench.folder(Place::Memory)?;
    for (name, text) in [("loop.sh", LOOP), ("requests_loop.py", REQUESTS)] {
        std::fs::File::create(tools.join(name))?.write_all(text.as_bytes())?;
    }
    let record = bench.folder(Place::Disk)?.join("record");
    let record = record.to_string_lossy();
    let polls = bench.many(60, 15);
    let times = polls.to_string();
    let first = FIRST.to_string();
    let python =
        Command::new("python3").args(["-c", "import requests"]).output().is_ok_and(|it| it.status.success());
    let (mut bash, mut requests, mut reqwest) = (vec![], vec![], vec![]);
    let (mut raw, mut most) = (vec![], vec![]);
    for _ in 0..bench.rounds().min(3) {
        let daemon = slow_daemon(bench, &mock, polls)?;
        reqwest.push(daemon / bench.reference(&mock, &["reqwest", "--polls", &times])?[0]);
        let synced = bench.reference(&mock, &["raw", "--polls", &times, "--record", &record])?[0];
        raw.push(daemon / synced);
        let (base_url, files) = (mock.base_url(), &mock.files);
        if has("curl") && has("openssl") {
            let mut script = Command::new("bash");
            script
                .arg(tools.join("loop.sh"))
                .args([&base_url])
                .arg(files.ca())
                .arg(files.roots())
                .arg(&tools);
            let script = numbers(script.args([&first, "100", &times]))?[0];
            bash.push(script / daemon);
            most.push(script / synced);
        }
        if python {
            let mut script = Command::new("python3");
            script.arg(tools.join("requests_loop.py")).arg(&base_url).arg(files.ca());
            requests.push(numbers(script.args([&first, "100", &times]))?[0] / daemon);
        }
    }
    let missing = |values: Vec<f64>, what: &str, tool: &str| match values.is_empty() {
        true => Figure::skipped(what, format!("{tool} is not installed")),
        false => Figure::new(what, None, "x", values),
    };
    Ok(vec![
        missing(bash, "bash + curl: so many times the daemon's CPU", TOOLS).at_least(40.0),
        missing(
            most,
            "the same of a raw loop with append + fdatasync: no program with a record reaches more",
            TOOLS,
        ),
        missing(requests, "Python requests: so many times the daemon's CPU", "requests"),
        Figure::new("the daemon's CPU, to a bare reqwest loop", None, "x", reqwest),
        Figure::new("the daemon's CPU, to a raw loop with append + fdatasync", None, "x", raw),
    ])
}

/// Seconds of CPU per poll.
fn slow_daemon(bench: &Bench, mock: &Mock, polls: u64) -> io::Result<f64> {
    // The first answer of an order costs more: it is history.
    let site = bench.site(Place::Disk, mock, &Plan::waiting(ORDERS))?;
    let mut daemon = bench.polling(&site, mock, ORDERS + 3)?;
    let (cpu, before) = (daemon.cpu()?, mock.totals().polls);
    daemon.until_polled(mock, before + polls)?;
    let (cpu, polls) = (daemon.cpu()? - cpu, mock.totals().polls - before);
    daemon.stop()?;
    Ok(cpu.as_secs_f64() / polls as f64)
}
