//! Owns the HTTP clients: one for this machine, which is ready at once, and one for the world, which first reads
//! the certificates of the host.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};

use crate::scrape::Tls;

/// More than this is a circle, or a sign-in page.
const REDIRECTS_MAX: usize = 3;

/// How addresses of this machine begin: what is asked there needs no certificate.
const LOCAL: [&str; 3] = ["http://127.", "http://[::1]", "http://localhost"];

/// What an address at a local socket begins with.
pub(crate) const LOCAL_URL: &str = "http://localhost";

/// Both clients. A clone shares them.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    local: Client,
    remote: Arc<OnceLock<Client>>,
}

// === impl Clients ===

impl Clients {
    pub(crate) fn new() -> reqwest::Result<Self> {
        install_crypto();
        Ok(Self { local: settings().tls_certs_only([]).build()?, remote: Arc::default() })
    }

    /// One client for whoever did not ask to be asked: it follows nobody to somewhere else, and trusts no certificate.
    pub(crate) fn strict() -> reqwest::Result<Self> {
        install_crypto();
        let client = settings().redirect(redirect::Policy::none()).tls_certs_only([]).build()?;
        Ok(Self { local: client.clone(), remote: Arc::new(OnceLock::from(client)) })
    }

    /// The client for an address. The first for the world costs some milliseconds: a hundred certificates are read.
    pub(crate) fn at(&self, url: &str) -> &Client {
        if LOCAL.iter().any(|start| url.starts_with(start)) {
            return &self.local;
        }
        self.remote.get_or_init(|| {
            settings().build().unwrap_or_else(|error| {
                // A machine without certificates can ask over HTTP all the same, and then trusts nobody over HTTPS.
                tracing::warn!(%error, "no certificates were found, so every https address will fail");
                self.local.clone()
            })
        })
    }
}

/// A client whose every request goes to this socket, whatever its address says.
pub(crate) fn local(socket: &Path) -> reqwest::Result<Client> {
    settings().unix_socket(socket).tls_certs_only([]).build()
}

/// A client for one address that has its own idea of whom to trust, or wants to know who asks; it follows nobody.
///
/// # Errors
/// Where the certificates are none.
pub fn client_with(tls: &Tls) -> reqwest::Result<Client> {
    install_crypto();
    let mut settings = settings().redirect(redirect::Policy::none());
    if let Some(roots) = &tls.roots_pem {
        settings = settings.tls_certs_only(Certificate::from_pem_bundle(roots)?);
    }
    if let Some(identity) = &tls.identity_pem {
        settings = settings.identity(Identity::from_pem(identity)?);
    }
    settings.build()
}

/// No proxy, no pool of connections, few redirects.
fn settings() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("paramedic/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .pool_max_idle_per_host(0)
        .redirect(redirect::Policy::limited(REDIRECTS_MAX))
}

/// Makes sure that HTTP clients of this process have their cryptography.
pub fn install_crypto() {
    // The first who installs it wins, and everybody installs the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
