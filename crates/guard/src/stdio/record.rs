//! Owns what is written down of what goes through: metrics, the server's log, and its last words on standard error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::Value;

use super::frames::FRAME_BYTES_MAX;
use super::ledger::{Note, Waiting};
use super::terms::Over;
use crate::audit::{Line, Summary};
use crate::controls::Refused;
use crate::envelope::Outcome;
use crate::inflight::Meaning;
use crate::limits::Held;
use crate::log::{About, Level, Log, clip};
use crate::metrics::{Failure, Method, Metrics, Status};
use crate::security::Seen;
use crate::spans::Spans;

/// What an exit shows: a stack trace's end, which is where the reason stands.
const TAIL_LINES: usize = 20;
const TAIL_LINE_CHARS: usize = 1000;
/// What is no message is shown in the log as far as it helps to recognise it.
const GARBAGE_CHARS: usize = 300;

/// What is written down of one server.
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) metrics: Metrics,
    /// None where it cannot be written: that is no reason to serve nobody.
    log: Option<Log>,
    spans: Arc<Spans>,
    tail: Mutex<VecDeque<String>>,
    bytes: Family<Direction, Counter>,
    frames: Family<Direction, Counter>,
    refused: Counter,
    /// When a refusal was last written down.
    refusals: Held,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

const TO_SERVER: Direction = Direction { direction: "to_server" };
const TO_CLIENT: Direction = Direction { direction: "to_client" };

// === impl Record ===

impl Record {
    pub(crate) fn new(name: &str, log: Option<Log>, spans: Arc<Spans>, now_ms: i64) -> Self {
        let mut metrics = Metrics::new(name, now_ms);
        let (bytes, frames) =
            (Family::<Direction, Counter>::default(), Family::<Direction, Counter>::default());
        let refused = Counter::default();
        for direction in [TO_SERVER, TO_CLIENT] {
            drop((bytes.get_or_create_owned(&direction), frames.get_or_create_owned(&direction)));
        }
        let registry = metrics.registry();
        registry.register("mcp_stdio_bytes", "Bytes passed on", bytes.clone());
        registry.register("mcp_stdio_frames", "Frames passed on that were read along", frames.clone());
        registry.register(
            "mcp_stdio_requests_refused",
            "Requests that found no server and were answered with an error",
            refused.clone(),
        );
        let (name, tail) = (name.to_owned(), Mutex::default());
        Self { name, metrics, log, spans, tail, bytes, frames, refused, refusals: Held::default() }
    }

    /// What became of spans until now is among the metrics.
    pub(crate) fn count_spans(&self) {
        self.metrics.spans(self.spans.counts());
    }

    /// Waits until what was written down is in the log, for the end.
    pub(crate) fn flush(&self) {
        self.log.iter().for_each(Log::flush);
    }

    /// A sentence about this server.
    pub(crate) fn reason(&self, words: &str) -> String {
        format!("server `{}` {words}", self.name)
    }

    pub(crate) fn client_said(&self, bytes: usize, notes: &[Note]) {
        self.frames.get_or_create(&TO_SERVER).inc();
        self.bytes_from_client(bytes);
        for note in notes {
            match note {
                // Written before it is carried out: it may be the last thing that the server is asked.
                Note::Called(tool) => {
                    let fields = [("method", "tools/call".into()), ("tool", tool.as_str().into())];
                    self.note(Level::Info, About::Request, "tools/call", fields);
                }
                Note::Refused { method, tool, refused, reason, .. } => {
                    self.metrics.refused(*refused);
                    let tool = tool.as_deref().map_or(Value::Null, Value::from);
                    let fields = [("method", method.to_string().into()), ("tool", tool)];
                    self.note(Level::Warning, About::Security, &format!("refused: {reason}"), fields);
                }
                Note::Over { method, tool, over, .. } => self.over(*method, tool.as_deref(), over),
                Note::Kept { method, kind, result, asked, .. } => {
                    self.metrics.cached(*kind, true);
                    self.metrics.finished(*method, None, Meaning::Fine, Duration::ZERO);
                    let answer = Summary::of(*method, Outcome::Result(result), Status::Success);
                    let line = Line { method: *method, tool: None, session: "", took: Duration::ZERO, asked };
                    line.tell((&self.spans, &self.metrics), self.log.as_ref(), &answer);
                }
                Note::Suspicious { tool, seen } => self.suspicious(tool, seen),
                Note::NotKept(kind) => self.metrics.cached(*kind, false),
                Note::Withheld(why) => {
                    self.metrics.failed(Failure::Protocol);
                    let message = format!("withheld from the server, because it is no message: {why}");
                    self.note(Level::Warning, About::Security, &message, [("bytes", bytes.into())]);
                }
                Note::Malformed(why) => {
                    self.metrics.failed(Failure::Protocol);
                    let message = format!("passed on from the client, though it is no message: {why}");
                    self.note(Level::Warning, About::Error, &message, [("bytes", bytes.into())]);
                }
                _ => {}
            }
        }
    }

    pub(crate) fn server_said(&self, frame: &[u8], notes: &[Note]) {
        self.frames.get_or_create(&TO_CLIENT).inc();
        self.bytes_from_server(frame.len());
        for note in notes {
            match note {
                Note::Answered(request, meaning, took, summary) => {
                    self.answered(request, *meaning, *took, summary);
                }
                Note::Over { method, tool, over, .. } => self.over(*method, tool.as_deref(), over),
                Note::Suspicious { tool, seen } => {
                    self.suspicious(tool, seen);
                    if seen.refused.is_some() {
                        self.metrics.refused(Refused::Attack);
                    }
                }
                Note::Malformed(why) => self.garbage(frame, why, "passed on"),
                Note::Withheld(why) => self.withheld(frame.len(), why),
                _ => {}
            }
        }
    }

    pub(crate) fn bytes_from_client(&self, bytes: usize) {
        self.bytes.get_or_create(&TO_SERVER).inc_by(bytes as u64);
        self.metrics.bytes().received(bytes);
    }

    pub(crate) fn bytes_from_server(&self, bytes: usize) {
        self.bytes.get_or_create(&TO_CLIENT).inc_by(bytes as u64);
        self.metrics.bytes().sent(bytes);
    }

    /// A frame was too long to be read along.
    pub(crate) fn unread(&self, whose: &str) {
        let mebibytes = FRAME_BYTES_MAX >> 20;
        let message =
            format!("a frame of {whose} is longer than {mebibytes} MiB: passed on, and not read along");
        self.note(Level::Warning, About::System, &message, []);
    }

    /// Something on the server's standard output is no message.
    pub(crate) fn garbage(&self, frame: &[u8], why: &str, what: &str) {
        self.metrics.failed(Failure::Protocol);
        let text = String::from_utf8_lossy(&frame[..frame.len().min(4 * GARBAGE_CHARS)]);
        let text = clip(text.trim_end(), GARBAGE_CHARS);
        let message =
            format!("{what} from the server's standard output, though it is no message ({why}): {text}");
        self.note(Level::Warning, About::Error, &message, [("bytes", frame.len().into())]);
    }

    /// Something of the server is no message, and might give something away.
    fn withheld(&self, bytes: usize, why: &str) {
        self.metrics.failed(Failure::Protocol);
        let message = format!("withheld from the client, because it is no message: {why}");
        self.note(Level::Warning, About::Security, &message, [("bytes", bytes.into())]);
    }

    /// A request found no server.
    pub(crate) fn refused(&self) {
        self.refused.inc();
        self.metrics.failed(Failure::Internal);
    }

    /// A request will never be answered by the server.
    pub(crate) fn lost(&self, request: &Waiting, took: Duration, reason: &str) {
        self.metrics.finished(request.method, request.tool.as_deref(), Meaning::Lost, took);
        self.line(request, took).lost(&self.spans, self.log.as_ref(), reason);
    }

    fn answered(&self, request: &Waiting, meaning: Meaning, took: Duration, answer: &Summary) {
        self.metrics.finished(request.method, request.tool.as_deref(), meaning, took);
        if request.method != Method::PING {
            self.line(request, took).tell((&self.spans, &self.metrics), self.log.as_ref(), answer);
        }
    }

    fn line<'r>(&self, request: &'r Waiting, took: Duration) -> Line<'r> {
        let (method, tool, asked) = (request.method, request.tool.as_deref(), &request.asked);
        Line { method, tool, session: "", took, asked }
    }

    /// Something shows signs of an attack.
    fn suspicious(&self, tool: &str, seen: &Seen) {
        self.metrics.signs(seen);
        let sign = &seen.signs[0];
        let fields = [("tool", tool.into()), ("class", sign.class.name().into()), ("rule", sign.rule.into())];
        self.note(Level::Warning, About::Security, &seen.words(), fields);
    }

    /// A message is over a limit. A client that comes again and again would fill the log, so only some are written.
    fn over(&self, method: Option<Method>, tool: Option<&str>, over: &Over) {
        self.metrics.refused(over.refused);
        let Some(unsaid) = self.refusals.say(Instant::now()) else { return };
        let fields = [
            ("limit", over.limit.into()),
            ("method", method.map_or(Value::Null, |method| method.name().into())),
            ("tool", tool.map_or(Value::Null, Value::from)),
            ("unsaid_before", unsaid.into()),
        ];
        self.note(Level::Warning, About::Performance, &format!("refused: {}", over.words), fields);
    }

    /// A message that was too long to be read along is not passed on.
    pub(crate) fn too_long(&self, whose: &str, limit: &'static str) {
        let words = format!("the message of {whose} is longer than {} MiB", FRAME_BYTES_MAX >> 20);
        self.over(None, None, &Over { refused: Refused::Size, limit, words, again: None });
    }

    /// A line of the server's standard error, which the client has got as it was.
    pub(crate) fn error_line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        self.note(Level::guess(text), About::System, text, [("source", "stderr".into())]);
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(clip(text, TAIL_LINE_CHARS));
    }

    /// The last lines of standard error since they were taken.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets the last lines, for a new server.
    pub(crate) fn take_tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// The same with any number of fields.
    pub(crate) fn write_all(&self, level: Level, about: About, message: &str, fields: &[(&str, Value)]) {
        let Some(log) = &self.log else { return };
        log.write(level, about, message, fields.iter().cloned());
    }

    /// Writes a line to the server's log.
    pub(crate) fn note<const N: usize>(
        &self,
        level: Level,
        about: About,
        message: &str,
        fields: [(&str, Value); N],
    ) {
        let Some(log) = &self.log else { return };
        log.write(level, about, message, fields.into_iter().filter(|(_, value)| !value.is_null()));
    }
}
