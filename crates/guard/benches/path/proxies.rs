//! Owns what the guard is held against: a copy of TCP, and a proxy of HTTP that does nothing else.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

/// Copies bytes in both directions.
pub(crate) async fn copy(port: &str, to: &str) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        client.set_nodelay(true).unwrap();
        let mut server = TcpStream::connect(format!("127.0.0.1:{to}")).await.unwrap();
        server.set_nodelay(true).unwrap();
        tokio::spawn(async move {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

/// Passes requests and answers on as they come.
pub(crate) async fn nothing(port: &str, to: &str) {
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, BoxBody<Bytes, hyper::Error>> =
        Client::builder(TokioExecutor::new()).build(connector);
    let to: Uri = format!("http://127.0.0.1:{to}/mcp").parse().unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (client, to) = (client.clone(), to.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (client, to) = (client.clone(), to.clone());
            async move {
                let mut request = request.map(BodyExt::boxed);
                *request.uri_mut() = to;
                let answer = client.request(request).await.map(|answer| answer.map(BodyExt::boxed));
                Ok::<_, Infallible>(answer.unwrap_or_else(|_| {
                    Response::builder()
                        .status(502)
                        .body(Full::default().map_err(|never| match never {}).boxed())
                        .unwrap()
                }))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}
