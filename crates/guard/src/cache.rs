//! Owns what a server has answered and may be answered again without it: its lists, and where asked for what was read.
//!
//! ```toml
//! [cache]
//! lists = true                  # keep the lists of a server that announces when they change
//! lists_seconds = 30            # keep those of one that does not, for so long; 0
//! resources_seconds = 5         # keep what was read of a resource for so long, or until it is updated; 0
//! bytes = 8388608               # of all of it
//! ```
//!
//! What is kept of a child belongs to its pipe, over which nobody's authorization goes: all its clients would be answered the same. What is kept of an
//! upstream is for whoever is the same to it (`upstream::kept`), and only for the times that are said here.
//! An announcement (`list_changed`, `resources/updated`) ends what it is about, also an answer that is still on its way.
//! Whoever may not call all tools is shown fewer of a kept list as well. Calls are never kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::admin::Freed;
use crate::envelope;

/// Each is a page of a list, or a resource.
const ENTRIES_MAX: usize = 1024;
const BYTES: usize = 8 << 20;
/// One that is larger than a part of all would push the others out.
const SHARE: usize = 4;

/// What is kept, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheSettings {
    /// Whether lists are kept of a server that announces their changes.
    pub lists: bool,
    /// How long lists are kept of one that does not; 0 is not at all.
    pub lists_seconds: u32,
    /// How long is kept what was read of a resource; 0 is not at all.
    pub resources_seconds: u32,
    /// Of all together, in bytes.
    pub bytes: usize,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Tools,
    Prompts,
    Resources,
    Templates,
    /// What was read of a resource.
    Contents,
}

/// All kinds.
pub(crate) const KINDS: [Kind; 5] =
    [Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates, Kind::Contents];

/// What one answer is the answer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    generation: u64,
    kind: Kind,
    /// How many changes of it were announced before it was asked for.
    epoch: u64,
    /// The cursor of the page, or the URI of the resource, as JSON; before it in whose name it was asked for, where answers
    /// may differ by that.
    of: Box<str>,
}

/// What is kept of one server.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    epochs: [u64; KINDS.len()],
    /// Counts the uses.
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    result: Arc<str>,
    /// None where an announcement ends it.
    until: Option<Instant>,
    used: u64,
}

/// An answer that may be kept when it comes.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    key: Key,
    /// None where an announcement ends it.
    keep: Option<Duration>,
    bytes_max: usize,
}

// === impl CacheSettings, Kind ===

impl Default for CacheSettings {
    fn default() -> Self {
        Self { lists: true, lists_seconds: 0, resources_seconds: 0, bytes: BYTES }
    }
}

impl CacheSettings {
    /// How long the answer to a request may be kept: none where not at all, and without a time where an announcement ends it.
    fn keep(&self, kind: Kind, initialized: &str) -> Option<Option<Duration>> {
        let seconds = |seconds: u32| (seconds > 0).then(|| Some(Duration::from_secs(seconds.into())));
        match kind {
            Kind::Contents => seconds(self.resources_seconds),
            _ if self.lists && kind.is_announced(initialized) => Some(None),
            _ => seconds(self.lists_seconds),
        }
    }
}

impl Kind {
    /// The kind of this method's answers, and the member of its parameters that tells them apart.
    fn of(method: &str) -> Option<(Self, &'static str)> {
        match method {
            "tools/list" => Some((Self::Tools, "cursor")),
            "prompts/list" => Some((Self::Prompts, "cursor")),
            "resources/list" => Some((Self::Resources, "cursor")),
            "resources/templates/list" => Some((Self::Templates, "cursor")),
            "resources/read" => Some((Self::Contents, "uri")),
            _ => None,
        }
    }

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "templates",
            Self::Contents => "contents",
        }
    }

    /// Whether a server that has said this at `initialize` announces changes of it. Of templates nothing is announced
    /// by itself: they change with the resources, if the server says so.
    fn is_announced(self, initialized: &str) -> bool {
        let capability = match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates | Self::Contents => return false,
        };
        let announces = || {
            let capabilities = envelope::member(initialized, "capabilities").ok()??;
            envelope::member(envelope::member(capabilities, capability).ok()??, "listChanged").ok()?
        };
        announces() == Some("true")
    }
}

// === impl Cache ===

impl Cache {
    /// What a request asks for, if its answer may be kept.
    pub(crate) fn wanted(
        &self,
        settings: &CacheSettings,
        generation: u64,
        initialized: &str,
        method: &str,
        params: Option<&str>,
    ) -> Option<Wanted> {
        let (kind, member) = Kind::of(method)?;
        let keep = settings.keep(kind, initialized)?;
        let of = params.map_or(Ok(None), |params| envelope::member(params, member)).ok()?;
        let epoch = self.lock().epochs[kind as usize];
        let key = Key { generation, kind, epoch, of: of.unwrap_or_default().into() };
        Some(Wanted { key, keep, bytes_max: settings.bytes })
    }

    /// What is kept of it.
    pub(crate) fn find(&self, wanted: &Wanted, now: Instant) -> Option<Arc<str>> {
        let mut inner = self.lock();
        inner.uses += 1;
        let uses = inner.uses;
        let entry = inner.entries.get_mut(&wanted.key)?;
        if entry.until.is_some_and(|until| until <= now) {
            inner.remove(&wanted.key.clone());
            return None;
        }
        entry.used = uses;
        Some(Arc::clone(&entry.result))
    }

    /// Keeps an answer, unless what it is about has changed since it was asked for.
    pub(crate) fn keep(&self, wanted: Wanted, result: &str, now: Instant) {
        let Wanted { key, keep, bytes_max } = wanted;
        let mut inner = self.lock();
        if inner.epochs[key.kind as usize] != key.epoch || result.len() > bytes_max / SHARE {
            return;
        }
        inner.remove(&key);
        while inner.entries.len() >= ENTRIES_MAX || inner.bytes + result.len() > bytes_max {
            let oldest = inner.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            inner.remove(&oldest);
        }
        inner.uses += 1;
        inner.bytes += result.len();
        let entry = Entry { result: result.into(), until: keep.map(|keep| now + keep), used: inner.uses };
        inner.entries.insert(key, entry);
    }

    /// The server has announced something: what it is about holds no more.
    pub(crate) fn announced(&self, method: &str) {
        let kinds: &[Kind] = match method {
            "notifications/tools/list_changed" => &[Kind::Tools],
            "notifications/prompts/list_changed" => &[Kind::Prompts],
            "notifications/resources/list_changed" => &[Kind::Resources, Kind::Templates, Kind::Contents],
            "notifications/resources/updated" => &[Kind::Contents],
            _ => return,
        };
        let mut inner = self.lock();
        for kind in kinds {
            inner.epochs[*kind as usize] += 1;
        }
        inner.remove_all(|key| kinds.contains(&key.kind));
    }

    /// Forgets everything, also what is on its way. Returns what was freed, by kind.
    pub(crate) fn clear(&self) -> Vec<Freed> {
        let mut inner = self.lock();
        let mut freed = KINDS.map(|kind| Freed { cache: kind.name(), entries: 0, bytes: 0 });
        for (key, entry) in &inner.entries {
            let one = &mut freed[key.kind as usize];
            one.entries += 1;
            one.bytes += entry.result.len();
        }
        for epoch in &mut inner.epochs {
            *epoch += 1;
        }
        inner.remove_all(|_| true);
        freed.into()
    }

    /// The child is gone, and what it has said with it.
    pub(crate) fn end_generation(&self, generation: u64) {
        self.lock().remove_all(|key| key.generation == generation);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.result.len();
        }
    }

    fn remove_all(&mut self, is: impl Fn(&Key) -> bool) {
        let mut bytes = 0;
        self.entries.retain(|key, entry| {
            let goes = is(key);
            bytes += if goes { entry.result.len() } else { 0 };
            !goes
        });
        self.bytes -= bytes;
    }
}

impl Wanted {
    /// The same, for whoever asks in this name.
    pub(crate) fn within(mut self, context: [u8; 32]) -> Self {
        // 64 digits, which neither a cursor nor a URI as JSON begins with.
        let [high, low] = [&context[..16], &context[16..]]
            .map(|half| u128::from_be_bytes(half.try_into().expect("a half has 16 bytes")));
        self.key.of = format!("{high:032x}{low:032x}{}", self.key.of).into();
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.key.kind
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Cache, CacheSettings, ENTRIES_MAX, Wanted};

    const ANNOUNCES: &str = r#"{"capabilities":{"tools":{"listChanged":true},"resources":{}}}"#;

    fn wanted(cache: &Cache, settings: CacheSettings, method: &str, params: &str) -> Option<Wanted> {
        cache.wanted(&settings, 1, ANNOUNCES, method, Some(params))
    }

    #[test]
    fn only_what_may_be_kept_is_wanted() {
        let cache = Cache::default();
        let timed = CacheSettings {
            lists: false,
            lists_seconds: 1,
            resources_seconds: 1,
            ..CacheSettings::default()
        };
        let off = CacheSettings { lists: false, ..CacheSettings::default() };
        for (method, default, with_times) in [
            ("tools/list", true, true),
            ("resources/list", false, true),
            ("resources/read", false, true),
            ("tools/call", false, false),
            ("prompts/get", false, false),
        ] {
            assert_eq!(wanted(&cache, CacheSettings::default(), method, "{}").is_some(), default, "{method}");
            assert_eq!(wanted(&cache, timed, method, "{}").is_some(), with_times, "{method}");
            assert!(wanted(&cache, off, method, "{}").is_none(), "{method}");
        }
    }

    #[test]
    fn an_announcement_and_time_end_what_they_are_about() {
        let (cache, now) = (Cache::default(), Instant::now());
        let settings = CacheSettings { resources_seconds: 5, ..CacheSettings::default() };
        let tools = || wanted(&cache, settings, "tools/list", "{}").unwrap();
        let read = |uri: &str| {
            wanted(&cache, settings, "resources/read", &format!("{{\"uri\":\"{uri}\"}}")).unwrap()
        };
        assert!(cache.find(&tools(), now).is_none());
        cache.keep(tools(), "[1]", now);
        cache.keep(read("a"), "a!", now);
        assert_eq!(cache.find(&tools(), now + Duration::from_secs(900)).as_deref(), Some("[1]"));
        assert_eq!(cache.find(&read("a"), now + Duration::from_secs(4)).as_deref(), Some("a!"));
        assert!(cache.find(&read("b"), now).is_none());
        assert!(cache.find(&read("a"), now + Duration::from_secs(5)).is_none());
        // An answer that was asked for before the announcement is not kept.
        let late = tools();
        cache.announced("notifications/tools/list_changed");
        cache.keep(late, "[old]", now);
        assert!(cache.find(&tools(), now).is_none());
        cache.keep(read("a"), "a!", now);
        cache.announced("notifications/resources/updated");
        assert!(cache.find(&read("a"), now).is_none());
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn what_is_kept_has_bounds_and_what_goes_is_counted() {
        let (cache, now) = (Cache::default(), Instant::now());
        let settings = CacheSettings { bytes: 400, ..CacheSettings::default() };
        let page = |number: usize| {
            wanted(&cache, settings, "tools/list", &format!("{{\"cursor\":{number}}}")).unwrap()
        };
        cache.keep(page(0), &"x".repeat(101), now);
        assert!(cache.find(&page(0), now).is_none(), "it is larger than a quarter");
        for number in 1..=4 {
            cache.keep(page(number), &"x".repeat(100), now);
        }
        assert!(cache.find(&page(1), now).is_some());
        cache.keep(page(5), &"x".repeat(100), now);
        assert!(
            cache.find(&page(1), now).is_some() && cache.find(&page(2), now).is_none(),
            "the least used goes"
        );
        let freed = cache.clear();
        assert_eq!((freed[0].cache, freed[0].entries, freed[0].bytes), ("tools", 4, 400));
        for number in 0..2 * ENTRIES_MAX {
            cache.keep(page(number), "", now);
        }
        assert_eq!(cache.lock().entries.len(), ENTRIES_MAX);
        cache.end_generation(1);
        assert_eq!(cache.lock().entries.len(), 0);
    }
}
