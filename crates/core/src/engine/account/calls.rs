//! Calls: how they begin and how they end.

use crate::api::Request;
use crate::api::reply::Details;
use crate::engine::account::Accounts;
use crate::engine::account::call::Call;
use crate::engine::account::gate::{Asked, InFlight, Purpose};
use crate::engine::account::login::News;
use crate::engine::event::Effect;
use crate::engine::id::OrderId;
use crate::engine::order::answers::Polled;
use crate::engine::order::state::Busy;

impl Accounts<'_> {
    pub(crate) fn start_call(&mut self, gate: usize, id: OrderId) {
        let arrives = self.latest_arrival();
        let (request, asked) = self.order(id).begin_poll(arrives);
        self.begin_call(gate, Purpose::Poll { order: id, asked }, request);
    }

    /// A call goes out; that it does is recorded first.
    pub(crate) fn begin_call(&mut self, gate: usize, purpose: Purpose, request: Request) {
        let limit = self.config.calls.request_timeout;
        let state = &mut self.gates[gate];
        let trial = state.record.closed.is_some();
        state.record.trial = false;
        state.record.called = Some(self.now.time);
        state.record.calling = true;
        state.record.ends = Some(self.now.time + limit);
        state.record.calls += 1;
        state.in_flight = Some(InFlight { purpose, trial });
        let account = state.name.clone();
        self.touch_gate(gate);
        self.outbox.start(Effect::Call(Call { account, request }));
    }

    pub(crate) fn end_call(&mut self, gate: usize) -> Option<InFlight> {
        let in_flight = self.gates[gate].in_flight.take()?;
        if self.gates[gate].former.take().is_some() {
            self.hold_names();
        }
        let state = &mut self.gates[gate];
        state.record.called = Some(self.now.time);
        state.record.calling = false;
        state.record.ends = None;
        self.touch_gate(gate);
        if let Purpose::Poll { order, .. } = &in_flight.purpose {
            self.orders.state_mut(*order).busy = Busy::Idle;
        }
        Some(in_flight)
    }

    /// The save before a call failed, so the call was not made.
    pub(crate) fn call_dropped(&mut self, gate: usize) -> Option<OrderId> {
        let in_flight = self.end_call(gate)?;
        match in_flight.purpose {
            Purpose::Poll { order, asked } => {
                self.gates[gate].record.trial = in_flight.trial;
                self.order(order).poll_unsent(gate, &asked);
                Some(order)
            }
            Purpose::SideCall(side_call) => {
                self.gates[gate].record.trial = in_flight.trial;
                self.side_call_dropped(gate, side_call);
                None
            }
        }
    }

    /// What the end of a poll means for its order.
    pub(crate) fn polled(&mut self, gate: usize, id: OrderId, asked: &Asked, news: News) {
        let meant = self.order(id).still_means(gate, asked);
        match news {
            News::Unsent(_, told) => {
                self.order(id).poll_unsent(gate, asked);
                if meant {
                    self.order(id).heard(None, told, Details::default());
                }
            }
            news if !meant => self.answered_too_late(gate, id, asked, news),
            news => {
                let seen = self.seen_by(&news);
                let was_unclear = self.order(id).is_reissue_unclear();
                match self.order(id).polled(asked, news, seen) {
                    Polled::Waits => self.wish_for_domains(id),
                    Polled::Unchanged => self.ask_after_look(gate, id),
                    Polled::Other => {}
                }
                if was_unclear && !self.order(id).is_reissue_unclear() {
                    self.reissue_cleared(gate);
                }
            }
        }
        if !self.orders.state(id).removed {
            self.order(id).judge_again();
            self.order(id).schedule_look();
        }
    }
}
