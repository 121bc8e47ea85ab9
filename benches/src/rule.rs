//! The vendor's rule, computed, and simulated with the engine itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use certcollectd_core::api::{OrderRef, Product};
use certcollectd_core::config::{
    Account, Cadence, Calls, Config, Files, Log, LogFormat, Order, OrderSettings, Own, Policy, SecretSource,
};
use certcollectd_core::engine::Engine;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::loaded::Loaded;
use certcollectd_core::engine::time::{Now, Time};

use crate::judge::answer;

/// How calls follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// From the request to its answer.
    pub trip: Duration,
    /// `call_gap`: from an answer to the next request.
    pub gap: Duration,
}

impl Rule {
    /// "No more often than once every 3 hours."
    pub const INTERVAL: Duration = Cadence::INTERVAL;

    /// How many orders can each be polled every three hours.
    pub fn room(self) -> u64 {
        (Rule::INTERVAL.as_millis() / (self.trip + self.gap).as_millis()) as u64
    }

    /// How long it takes to ask about so many, each once.
    pub fn turn(self, orders: u64) -> Duration {
        (self.trip + self.gap) * u32::try_from(orders).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Between two polls of one order.
    pub longest: Duration,
    pub calls: u64,
    /// As many calls as there was time for.
    pub possible: f64,
}

/// Three turns of an engine whose orders all wait.
pub fn simulate(rule: Rule, orders: u64) -> Seen {
    let mut now = Now { time: Time(1_000_000), wall: 1_800_000_000_000 };
    let begin = now.time;
    let end = begin + 3 * rule.turn(orders).max(Rule::INTERVAL.mul_f64(1.1));
    let mut engine = Engine::new(Arc::new(config(rule, orders)), Loaded::default(), now);
    let mut seen = Seen::default();
    let mut last: HashMap<String, Time> = HashMap::new();
    // What comes back at once, and the answer that is under way.
    let mut events = VecDeque::from([Event::Started]);
    let mut answer_at = None;
    while now.time < end {
        while let Some(event) = events.pop_front() {
            for effect in engine.handle(event, now) {
                match effect {
                    Effect::Call(call) => {
                        seen.calls += 1;
                        answer_at = Some((now.time + rule.trip, call.account));
                        let number = call.request.fields[0].1.clone();
                        if call.request.endpoint.collects()
                            && let Some(before) = last.insert(number, now.time)
                        {
                            seen.longest = seen.longest.max(now.time.since(before));
                        }
                    }
                    Effect::Inspect(inspect) => {
                        events
                            .push_back(Event::Inspected { order: inspect.order, inspection: Box::default() });
                    }
                    Effect::TagCredential { account } => {
                        events.push_back(Event::CredentialTagged { account, tag: None });
                    }
                    Effect::Save(_)
                    | Effect::Install(_)
                    | Effect::Activate(_)
                    | Effect::Sweep { .. }
                    | Effect::Quarantine(_)
                    | Effect::RunHook(_)
                    | Effect::Tell(_)
                    | Effect::Probe(_)
                    | Effect::ReadRequest(_)
                    | Effect::Survey(_)
                    | Effect::Report(_)
                    | Effect::Reply { .. } => {}
                }
            }
        }
        let answered = answer_at.as_ref().map(|(time, _)| *time);
        let Some(next) = [engine.next_wake(), answered].into_iter().flatten().min() else { break };
        let next = next.max(now.time);
        now = Now { wall: now.wall + (next.0 - now.time.0), time: next };
        events.push_back(match answer_at.take_if(|(time, _)| *time <= next) {
            Some((_, account)) => {
                Event::Answered { account, outcome: Ok(answer("errorCode=0")), credential: None }
            }
            None => Event::Woke,
        });
    }
    seen.possible = now.time.since(begin).as_secs_f64() / (rule.trip + rule.gap).as_secs_f64();
    seen
}

/// As the defaults, but waits never grow.
fn cadence() -> Cadence {
    Cadence { max_interval: Rule::INTERVAL, ..Cadence::default() }
}

fn config(rule: Rule, orders: u64) -> Config {
    let settings = Arc::new(OrderSettings {
        product: Product::Ssl,
        cadence: cadence(),
        response: None,
        params: Box::default(),
        files: Files::default(),
        verify: Policy::default(),
        trust_anchors: None,
        hooks: Vec::new(),
        probes: Box::default(),
        windows: Box::default(),
        window_margin: OrderSettings::WINDOW_MARGIN,
        reissue: None,
        group: None,
    });
    let order = |number: u64| Order {
        name: number.to_string().into(),
        account: "bench".into(),
        handle: OrderRef::OrderNumber(number.to_string().into()),
        own: Own::default().into(),
        settings: settings.clone(),
    };
    Config {
        state_dir: "/state".into(),
        install_dir: "/install".into(),
        calls: Calls { call_gap: rule.gap, ..Calls::default() },
        cadence: cadence(),
        accounts: vec![Arc::new(Account {
            name: "bench".into(),
            login_name: "bench".into(),
            password: Some(SecretSource::File("/secret".into())),
            base_url: Account::BASE_URL.into(),
            ca_file: None,
            proxy: None,
            proxy_login: None,
            response: None,
            params: Box::default(),
        })],
        orders: (1..=orders).map(order).collect(),
        hooks: Vec::new(),
        windows: Vec::new(),
        freezes: Vec::new(),
        http: None,
        push: None,
        metrics: Default::default(),
        rehearsal: None,
        reissues: Default::default(),
        dns: Default::default(),
        log: Log { format: LogFormat::Text, level: "info".into() },
        fleet: None,
    }
}
