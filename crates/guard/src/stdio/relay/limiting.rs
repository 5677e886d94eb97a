//! Owns holding both sides to the limits of the settings: time-outs, and messages that are too long to be read along.

use std::time::Instant;

use super::{Door, Relay, error};
use crate::admin::Freed;
use crate::envelope::{self, Outcome, PARSE_ERROR};
use crate::metrics::Failure;
use crate::stdio::terms::Over;

// === impl Relay ===

impl Relay {
    /// Answers those whose time is up, and has the server know. Waits for the client to read.
    pub(crate) fn time_out(&self) {
        let (late, inlet) = {
            let mut inner = self.lock();
            let inlet = match &inner.door {
                Door::Open(inlet) => Some(inlet.clone()),
                Door::Closed { .. } | Door::Gone => None,
            };
            (inner.ledger.overdue(Instant::now()), inlet)
        };
        for request in late {
            let took = request.since.elapsed();
            let words = format!("took longer than {:.1} s, which is as long as it may", took.as_secs_f64());
            if let Some(inlet) = &inlet {
                let params = format!("{{\"requestId\":{},\"reason\":\"it took too long\"}}", request.id);
                let mut line = envelope::notification("notifications/cancelled", Some(&params));
                line.push(b'\n');
                inlet.slip_in(line);
            }
            let reason = self.record.reason(&words);
            self.say(&error(&request.id, &reason));
            self.record.metrics.failed(Failure::Timeout);
            self.record.lost(&request, took, &reason);
        }
    }

    /// Whether an answer that is too long to be read along is withheld. Then whoever waits is told, where only one can
    /// be meant.
    pub(crate) fn withholds_parts(&self) -> bool {
        let mut inner = self.lock();
        if !inner.ledger.terms.bounds_answers() && !inner.ledger.gate.refuses_results() {
            return false;
        }
        let waiting = inner.ledger.only_one();
        drop(inner);
        self.record.too_long("the server", "answer_bytes");
        if let Some(request) = waiting {
            let reason =
                self.record.reason("answers with more than it may; it was carried out, ask for less");
            self.say(&error(&request.id, &reason));
            self.record.lost(&request, request.since.elapsed(), &reason);
        }
        true
    }

    /// Forgets what is kept of the server's answers.
    pub(crate) fn clear_caches(&self) -> Vec<Freed> {
        self.lock().ledger.terms.clear()
    }

    /// A message of the client that is too long to be read along is not passed on; what it was is not known.
    pub(crate) fn parts_withheld(&self) {
        self.record.too_long("the client", "request_bytes");
        let words = self.record.reason("takes no message that is so long");
        let mut line = envelope::error(None, PARSE_ERROR, &words);
        line.push(b'\n');
        self.say(&line);
    }
}

/// That something is over a limit, as a line.
pub(super) fn over_line(id: &str, over: &Over) -> Vec<u8> {
    let mut line = envelope::response(id, Outcome::Error(&over.error()));
    line.push(b'\n');
    line
}
