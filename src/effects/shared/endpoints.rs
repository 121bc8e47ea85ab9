//! The endpoints of a store, asked in turn: the one that answered last comes first.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Trouble;

#[derive(Debug)]
pub(super) struct Endpoints {
    count: usize,
    first: AtomicUsize,
}

impl Endpoints {
    pub(super) fn new(count: usize) -> Endpoints {
        Endpoints { count, first: AtomicUsize::new(0) }
    }

    /// The one that is asked first.
    pub(super) fn first(&self) -> usize {
        self.first.load(Relaxed)
    }

    pub(super) fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first(), self.count);
        (0..count).map(move |next| (first + next) % count)
    }

    pub(super) fn answered(&self, at: usize) {
        self.first.store(at, Relaxed);
    }

    /// Asks the one after this first, if this was asked first.
    pub(super) fn leave(&self, at: usize) {
        let next = (at + 1) % self.count;
        let _ = self.first.compare_exchange(at, next, Relaxed, Relaxed);
    }

    /// Does what changes nothing at one after the other, until one has an answer that counts. `judge` says what a failure
    /// means, and whether another endpoint may do better.
    pub(super) async fn ask<T, F, W: Future<Output = Result<T, F>>>(
        &self,
        work: impl Fn(usize) -> W,
        judge: impl Fn(usize, &F) -> (Trouble, bool),
    ) -> Result<T, Trouble> {
        let mut troubles = Troubles::default();
        for at in self.order() {
            let failure = match work(at).await {
                Ok(answer) => {
                    self.answered(at);
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let (trouble, elsewhere) = judge(at, &failure);
            if !elsewhere {
                return Err(trouble);
            }
            troubles.add(&trouble);
        }
        Err(troubles.all())
    }
}

/// Those of all endpoints.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    texts: Vec<String>,
    is_denied: bool,
}

impl Troubles {
    pub(super) fn add(&mut self, trouble: &Trouble) {
        self.is_denied |= matches!(trouble, Trouble::Denied(_));
        self.texts.push(trouble.to_string());
    }

    pub(super) fn all(self) -> Trouble {
        let text = self.texts.join("; ");
        if self.is_denied { Trouble::Denied(text) } else { Trouble::Away(text) }
    }
}
