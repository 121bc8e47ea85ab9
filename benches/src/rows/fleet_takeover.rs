//! Many orders in the store: how long a takeover is, and how large the store becomes.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use certcollectd_core::api::Untrusted;
use certcollectd_core::config::fleet::Fleet;
use certcollectd_core::engine::changes::Changes;
use certcollectd_core::engine::loaded::Remembered;
use certcollectd_core::engine::order::phase::Phase;
use certcollectd_core::engine::time::{Now, Time};
use certcollectd_core::fleet::form;
use certcollectd_core::fleet::keys::{GOES, Key, PUBLICATIONS, ROWS};
use certcollectd_core::fleet::report::{Report, State};
use certcollectd_core::fleet::rows::{self, Boot};
use rustix::time::{ClockId, clock_gettime};

use crate::bench::{Bench, Place, has};
use crate::clock::Moment;
use crate::daemon::{Daemon, Line, PATIENCE};
use crate::figure::Figure;
use crate::mock::Manner;
use crate::process;
use crate::rows::fleet_commit::counted;
use crate::site::{FIRST, Member, Plan, Role};
use crate::store::Store;

pub(super) fn run(bench: &Bench) -> io::Result<Vec<Figure>> {
    if !has("etcd") {
        return Ok(vec![Figure::skipped("takeover of many orders", "etcd is not installed")]);
    }
    bench.on_all_cores(|| measure(bench))
}

/// Installed orders are asked about once a day, and the store is compacted every hour.
const HOURS: u64 = 2;
const DAY: Duration = Duration::from_secs(24 * 3600);

fn measure(bench: &Bench) -> io::Result<Vec<Figure>> {
    let orders = bench.many(100_000, 5_000);
    let (store, mock) = (bench.store()?, bench.mock(Manner { ready_below: FIRST + 1, ..Manner::default() })?);
    let plan = |name: &str, orders: u64| Plan {
        interval: "3h".into(),
        guard: "1d",
        hook: None,
        member: Some(Member {
            name: name.into(),
            store: store.endpoint.clone(),
            role: Role::Collector { wave: "[{ share = 1.0 }]" },
        }),
        ..Plan::installing(orders)
    };
    let first = bench.daemon(&bench.site(Place::Disk, &mock, &plan("collect-1", 1))?)?;
    let template = published(&store, first)?;
    let numbers: Vec<u64> = (FIRST + 1..FIRST + orders).collect();
    for numbers in numbers.chunks(1_000) {
        let rows: Vec<_> = numbers.iter().flat_map(|number| template.rows(*number)).collect();
        store.put(&rows)?;
    }
    let full = store.size()?;

    mock.set(Manner::default());
    mock.reset();
    let before = counted(&store)?;
    let site = bench.site(Place::Disk, &mock, &plan("collect-2", orders))?;
    let (mut second, lines) = Daemon::start_heard(&bench.program, &site)?;
    let leads = leads(&lines)?;
    let idle = second.cpu()?;
    second.until_polled(&mock, 1)?;
    let cpu = (second.cpu()? - idle).as_secs_f64();
    let call = mock.counts(|counts| counts.first_poll).unwrap_or_default();
    // One for each poll, and what the takeover took.
    let commits = (counted(&store)? - before).saturating_sub(mock.totals().polls);
    let memory = process::resident(second.pid())? as f64 / 1024.0;

    let mut sizes = vec![full];
    for hour in 1..=HOURS {
        second.until_polled(&mock, hour * orders / 24)?;
        store.compact()?;
        sizes.push(store.size()?);
    }
    second.stop()?;
    let goal = |goal: f64| (orders == 100_000).then_some(goal);
    let size = |at: usize| sizes[at] as f64 / 1e9;
    let last = sizes.len() - 1;
    Ok(vec![
        Figure::new(
            format!("takeover to the first call, {orders} orders"),
            goal(5.0),
            "s",
            vec![call.since(leads).as_secs_f64()],
        ),
        Figure::new("CPU of the leader for that", None, "CPU-s", vec![cpu]),
        Figure::new("commits in the store before that, at most", None, "", vec![commits as f64]),
        Figure::new("memory of the leader then", None, "MiB", vec![memory]),
        Figure::new(
            "rows of an order, with one host's report",
            None,
            "",
            vec![template.rows(FIRST).len() as f64],
        ),
        Figure::new("bytes of them, keys included", None, "B", vec![template.size() as f64]),
        Figure::new("the store's file with all orders", None, "GB", vec![size(0)]),
        Figure::new(
            format!("the same after {HOURS} hours' polls, each order daily, compacted hourly"),
            goal(1.0),
            "GB",
            vec![size(last)],
        ),
        Figure::new(
            "growth in the last of these hours",
            None,
            "MB",
            vec![(size(last) - size(last - 1)) * 1e3],
        ),
    ])
}

/// When it says that it leads; what it says later is taken from it.
fn leads(lines: &Receiver<Line>) -> io::Result<Moment> {
    loop {
        let (moment, line) = lines.recv_timeout(PATIENCE).map_err(io::Error::other)?;
        if line.contains(" leads the fleet, in term ") {
            return Ok(moment);
        }
    }
}

/// The rows of an order that a leader has published.
struct Template {
    record: Remembered,
    published: Vec<(String, Vec<u8>)>,
}

/// Waits until the first order is guarded, and ends the leader.
fn published(store: &Store, mut leader: Daemon) -> io::Result<Template> {
    let name: Arc<str> = name(FIRST).into();
    let mut record = None;
    leader.until("an order is published", |_| {
        let rows = store.list(ROWS)?;
        let rows = rows.iter().map(|(key, value)| (&**key, &**value));
        let mut loaded = rows::read(rows, boot()).map_err(io::Error::other)?;
        record = loaded.orders.remove(&name).filter(|known| known.record.phase == Phase::Guarding);
        Ok(record.is_some() && !store.list(GOES)?.is_empty())
    })?;
    leader.stop()?;
    let record = record.expect("it was waited for");
    let mut published = store.list(PUBLICATIONS)?;
    published.extend(store.list(GOES)?);
    let reason = Untrusted::new("");
    let report = Report { generation: 1, state: State::Done, reason, at: form::Moment(0) };
    let key = Key::Report { host: "web-0", order: &name }.to_string();
    published.push((key, report.to_row()));
    Ok(Template { record, published })
}

impl Template {
    /// As if it were the order with this number; it is due.
    fn rows(&self, number: u64) -> Vec<(String, Vec<u8>)> {
        let (boot, name) = (boot(), name(number));
        let mut record = self.record.record.clone();
        record.handle = format!("orderNumber {number}").into();
        (record.polled, record.due) = (Some(boot.now.time - 2 * DAY), Some(boot.now.time - DAY));
        let bundle = self.record.bundle.clone();
        let changes = Changes {
            orders: vec![(name.as_str().into(), record)],
            bundles: vec![(name.as_str().into(), bundle)],
            ..Changes::default()
        };
        let state = rows::write(&changes, boot).into_iter().filter_map(|(key, row)| Some((key, row?)));
        let published = self.published.iter().map(|(key, row)| {
            let row = String::from_utf8_lossy(row).replace(&self::name(FIRST), &name);
            (key.replace(&self::name(FIRST), &name), row.into_bytes())
        });
        state.chain(published).collect()
    }

    fn size(&self) -> usize {
        self.rows(FIRST).iter().map(|(key, row)| Fleet::PREFIX.len() + key.len() + row.len()).sum()
    }
}

fn name(number: u64) -> String {
    format!("www{number}")
}

/// A machine of its own.
fn boot() -> Boot<'static> {
    let milliseconds = |clock| {
        let now = clock_gettime(clock);
        now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
    };
    let now = Now { time: Time(milliseconds(ClockId::Boottime)), wall: milliseconds(ClockId::Realtime) };
    Boot { id: "", now, skew: Duration::ZERO }
}
