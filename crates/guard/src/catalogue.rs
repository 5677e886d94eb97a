//! Owns what the guard itself has asked a server about its tools: once for each child, and again when they have changed. What else
//! a server lists is asked for when somebody wants to know it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::asked::Asked;
use crate::envelope;
use crate::inflight::Answer;
use crate::pipe::Unanswered;
use crate::reads::Hints;

/// How long one page may take. Whoever waits is a client whose call may be a write, or an operator.
const PAGE_MAX: Duration = Duration::from_secs(5);
/// More pages than these are a server that never stops.
const PAGES_MAX: usize = 100;
/// All pages of a list together, in bytes.
const BYTES_MAX: usize = 8 << 20;

/// What is known of the tools of the present child.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    /// Held by whoever asks; the others wait for the answer.
    asking: tokio::sync::Mutex<()>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Counts the announcements that the tools have changed.
    changes: u64,
    /// The child and the change that this is about.
    of: Option<(u64, u64)>,
    listing: Arc<Listing>,
}

/// The tools of a server, as it lists them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) hints: Hints,
    /// The results of `tools/list`, page by page.
    pub(crate) pages: Vec<String>,
}

// === impl Catalogue ===

impl Catalogue {
    /// What the tools of this child are, asked for if need be.
    ///
    /// # Errors
    /// When the server does not say, in words.
    pub(crate) async fn of(&self, server: &Asked) -> Result<Arc<Listing>, String> {
        if let Some(listing) = self.known(server.generation()) {
            return Ok(listing);
        }
        let _asking = self.asking.lock().await;
        if let Some(listing) = self.known(server.generation()) {
            return Ok(listing);
        }
        let changes = self.lock().changes;
        let pages = ask(server).await?;
        let mut hints = Hints::default();
        pages.iter().for_each(|page| hints.learn(page));
        let listing = Arc::new(Listing { hints, pages });
        let mut known = self.lock();
        // What changed meanwhile is asked for anew, by the next one.
        known.of = Some((server.generation(), changes));
        known.listing = Arc::clone(&listing);
        Ok(listing)
    }

    /// The server has announced that its tools are others.
    pub(crate) fn changed(&self) {
        self.lock().changes += 1;
    }

    /// Forgets what is known. Returns how many tools, and how many bytes that were.
    pub(crate) fn clear(&self) -> (usize, usize) {
        let mut known = self.lock();
        known.of = None;
        let listing = std::mem::take(&mut known.listing);
        (listing.hints.len(), listing.pages.iter().map(String::len).sum())
    }

    fn known(&self, generation: u64) -> Option<Arc<Listing>> {
        let known = self.lock();
        (known.of == Some((generation, known.changes))).then(|| Arc::clone(&known.listing))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a server can list beside its tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Resources,
    Templates,
    Prompts,
}

// === impl List ===

impl List {
    /// What a server says at `initialize` that it has, if it has some.
    fn capability(self) -> &'static str {
        match self {
            Self::Resources | Self::Templates => "resources",
            Self::Prompts => "prompts",
        }
    }

    /// Asks a server for all of it, page by page; none where it says that it has none. Nothing is kept.
    ///
    /// # Errors
    /// When the server does not say, in words.
    pub(crate) async fn of(self, server: &Asked) -> Result<Vec<String>, String> {
        let method = match self {
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        };
        pages(server, self.capability(), method).await
    }
}

/// Asks a server for all its tools; none where it says at `initialize` that it has none.
async fn ask(server: &Asked) -> Result<Vec<String>, String> {
    pages(server, "tools", "tools/list").await
}

async fn pages(server: &Asked, capability: &str, method: &str) -> Result<Vec<String>, String> {
    let initialized = server.initialized().await?;
    let capabilities = envelope::member(&initialized, "capabilities").ok().flatten();
    let has_some = capabilities.is_some_and(|all| matches!(envelope::member(all, capability), Ok(Some(_))));
    let (mut pages, mut cursor, mut bytes) = (Vec::new(), None, 0);
    if !has_some {
        return Ok(pages);
    }
    loop {
        let params = cursor.map(|cursor: String| format!("{{\"cursor\":{cursor}}}"));
        let page = match server.ask(method, params.as_deref(), PAGE_MAX).await {
            Ok(Answer::Result(page)) => page,
            // It has resources, and knows no templates of them.
            Ok(Answer::Error(error)) if is_unknown_method(&error) => return Ok(pages),
            Ok(Answer::Error(error)) => {
                return Err(format!("`{method}` was answered with the error {error}"));
            }
            Ok(Answer::Ended(reason)) | Err(Unanswered::Ended(reason)) => return Err(reason),
            Err(Unanswered::TimedOut) => {
                return Err(format!("`{method}` was not answered within {} s", PAGE_MAX.as_secs()));
            }
        };
        let next = envelope::member(&page, "nextCursor").ok().flatten();
        cursor = next.filter(|next| next.starts_with('"')).map(str::to_owned);
        bytes += page.len();
        pages.push(page);
        if pages.len() >= PAGES_MAX || bytes >= BYTES_MAX {
            return Err(format!("`{method}` has more than {PAGES_MAX} pages or {BYTES_MAX} bytes"));
        }
        if cursor.is_none() {
            return Ok(pages);
        }
    }
}

fn is_unknown_method(error: &str) -> bool {
    const METHOD_NOT_FOUND: &str = "-32601";
    matches!(envelope::member(error, "code"), Ok(Some(METHOD_NOT_FOUND)))
}
