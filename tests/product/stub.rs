//! Owns a server of HTTP on loopback that answers as a test says and keeps what it was asked, and TLS before any port.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Certificates that tests use.
pub(crate) const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/product/tls");

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) at: Instant,
    /// The method and the path.
    pub(crate) line: String,
}

/// What is answered: the status, more lines of the head, and the body.
pub(crate) type Said = (u16, String, String);

/// A server that lives as long as the test process.
#[derive(Clone)]
pub(crate) struct Stub {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

// === impl Stub ===

impl Stub {
    pub(crate) fn new(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        Self::at(0, answer)
    }

    /// The same at a port.
    pub(crate) fn at(port: u16, answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let stub = Self { port: listener.local_addr().unwrap().port(), asked: Arc::default() };
        let (own, answer) = (stub.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (own, answer) = (own.clone(), Arc::clone(&answer));
                std::thread::spawn(move || own.take(stream, &*answer));
            }
        });
        stub
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What it was asked so far with this in the first line.
    pub(crate) fn asked(&self, part: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|one| one.line.contains(part)).cloned().collect()
    }

    fn take(&self, mut stream: TcpStream, answer: &dyn Fn(&Asked) -> Said) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).ok()?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let asked = Asked { at: Instant::now(), line: line.trim_end().to_owned() };
        self.asked.lock().unwrap().push(asked.clone());
        let (status, more, body) = answer(&asked);
        let head = format!(
            "HTTP/1.1 {status} X\r\n{more}Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()
    }
}

/// A port at which those who show a certificate of ours are handed on to another one, out of TLS.
pub(crate) fn behind_tls(target: u16) -> u16 {
    probe::install_crypto();
    let certificates = |name: &str| -> Vec<CertificateDer<'static>> {
        let found = CertificateDer::pem_file_iter(format!("{TLS}/{name}")).unwrap();
        found.map(Result::unwrap).collect()
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates("ca.pem"));
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{TLS}/server.key")).unwrap();
    let config = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = config.with_single_cert(certificates("server.pem"), key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let relay = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut outer = acceptor.accept(stream).await.ok()?;
                let mut inner = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await.ok()?;
                tokio::io::copy_bidirectional(&mut outer, &mut inner).await.ok()
            });
        }
    };
    std::thread::spawn(|| crate::site::block_on::<()>(relay));
    port
}
