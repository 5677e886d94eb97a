//! Owns the knowledge which jobs were ours, so that those of a person are told apart.
//!
//! systemd announces a job to everybody, often before its number has reached whoever ordered it. So a job is judged
//! only when every order has its number that was under way when the job was announced.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::job::JobId;

/// So many of our jobs are remembered: none of them lives that long.
const JOBS_MAX: usize = 1024;

/// Our jobs.
#[derive(Debug, Default)]
pub(crate) struct Own {
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many orders there were.
    orders: u64,
    /// Those that have no number yet.
    open: BTreeSet<u64>,
    jobs: VecDeque<JobId>,
}

/// An order that is under way. It is settled at the latest when this is dropped.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    own: &'a Own,
    number: u64,
}

// === impl Own ===

impl Own {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An order is about to be sent.
    pub(crate) fn order(&self) -> Order<'_> {
        let mut state = self.state();
        state.orders += 1;
        let number = state.orders;
        state.open.insert(number);
        Order { own: self, number }
    }

    /// How many orders there were so far.
    pub(crate) fn orders(&self) -> u64 {
        self.state().orders
    }

    /// Whether a job that was announced just now is ours. Waits for orders under way, whose calls have a deadline.
    pub(crate) async fn is_ours(&self, job: JobId) -> bool {
        let until = self.orders();
        loop {
            let settled = self.settled.notified();
            tokio::pin!(settled);
            // Registered before the look, so that nothing is missed between the two.
            settled.as_mut().enable();
            {
                let state = self.state();
                if state.jobs.contains(&job) {
                    return true;
                }
                if state.open.first().is_none_or(|first| *first > until) {
                    return false;
                }
            }
            settled.await;
        }
    }
}

// === impl Order ===

impl Order<'_> {
    /// The order has become this job.
    pub(crate) fn is(&self, job: JobId) {
        let mut state = self.own.state();
        if state.jobs.len() == JOBS_MAX {
            state.jobs.pop_front();
        }
        state.jobs.push_back(job);
        drop(state);
        self.settle();
    }

    fn settle(&self) {
        self.own.state().open.remove(&self.number);
        self.own.settled.notify_waiters();
    }
}

impl Drop for Order<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_job_is_judged_when_the_orders_before_it_are_settled() {
        let own = Arc::new(Own::default());
        assert!(!own.is_ours(JobId(1)).await);
        let order = own.order();
        let asked = tokio::spawn({
            let own = own.clone();
            async move { own.is_ours(JobId(7)).await }
        });
        tokio::task::yield_now().await;
        assert!(!asked.is_finished());
        order.is(JobId(7));
        assert!(asked.await.unwrap());
        assert!(!own.is_ours(JobId(8)).await);
        drop(order);
        assert_eq!(own.orders(), 1);
    }

    #[tokio::test]
    async fn an_order_that_failed_waits_for_nobody() {
        let own = Arc::new(Own::default());
        let order = own.order();
        let asked = tokio::spawn({
            let own = own.clone();
            async move { own.is_ours(JobId(7)).await }
        });
        tokio::task::yield_now().await;
        // What begins afterwards is not waited for.
        let later = own.order();
        drop(order);
        assert!(!asked.await.unwrap());
        later.is(JobId(9));
        assert!(own.is_ours(JobId(9)).await);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let own = Own::default();
        for number in 0..2 * JOBS_MAX as u32 {
            own.order().is(JobId(number));
        }
        let state = own.state();
        assert_eq!((state.jobs.len(), state.jobs.back()), (JOBS_MAX, Some(&JobId(2 * JOBS_MAX as u32 - 1))));
        assert!(state.open.is_empty());
    }
}
