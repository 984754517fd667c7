//! The address at which metrics are read: HTTP/1.1, one request a connection, few connections, each of which ends in time. So whoever
//! scrapes badly, or scrapes and goes away, takes nothing from the service.

use std::{convert::Infallible, io, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Scrapers at once; further ones are closed at once.
const CONNECTIONS_MAX: usize = 8;

/// From the connection to the last byte of the answer. Prometheus gives up after 10 s by itself.
const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(10);

const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Prometheus' own text format, which curl shows as well, and `promtool check metrics` reads.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A bound address, which does not answer yet.
pub(crate) struct Endpoint {
    listener: TcpListener,
    connection_life_max: Duration,
}

impl Endpoint {
    pub(crate) async fn bind(address: &str) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address).await?,
            connection_life_max: CONNECTION_LIFE_MAX,
        })
    }

    /// Answers with what `scrape` gives, until `stopping`.
    pub(crate) async fn serve<S, F>(self, scrape: S, stopping: CancellationToken)
    where
        S: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = String> + Send + 'static,
    {
        let address = self.listener.local_addr().ok();
        tracing::info!(?address, "metrics are served");
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                        let answered = answer(stream, scrape.clone());
                        connections.spawn(tokio::time::timeout(self.connection_life_max, answered));
                    }
                    Ok(_) => tracing::debug!("too many connections ask for metrics; one was closed"),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                    }
                },
            }
        }
    }
}

async fn answer<S, F>(stream: TcpStream, scrape: S)
where
    S: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = String> + Send + 'static,
{
    let service = service_fn(move |request| {
        let scrape = scrape.clone();
        async move { Ok::<_, Infallible>(response(&request, scrape).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a scrape failed");
    }
}

async fn response<F: Future<Output = String>>(
    request: &Request<Incoming>,
    scrape: impl Fn() -> F,
) -> Response<String> {
    let mut response = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else {
        *response.body_mut() = scrape().await;
        let format = http::HeaderValue::from_static(FORMAT);
        response.headers_mut().insert(CONTENT_TYPE, format);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const LIMIT: Duration = Duration::from_secs(10);

    /// An endpoint that goes with what is returned.
    async fn endpoint(connection_life_max: Duration) -> (SocketAddr, JoinSet<()>) {
        let mut endpoint = Endpoint::bind("127.0.0.1:0").await.unwrap();
        endpoint.connection_life_max = connection_life_max;
        let address = endpoint.listener.local_addr().unwrap();
        let mut serving = JoinSet::new();
        let scrape = || std::future::ready("vefa_test 1\n".to_owned());
        serving.spawn(endpoint.serve(scrape, CancellationToken::new()));
        (address, serving)
    }

    /// All that comes until the connection is closed.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut text));
        // One that is reset is closed, too.
        let _closed = read.await.expect("it is closed in time");
        text
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nhost: test\r\n\r\n");
        // Whoever is one too many may be closed before it has asked.
        let _sent = stream.write_all(request.as_bytes()).await;
        rest(&mut stream).await
    }

    #[tokio::test]
    async fn answers_in_prometheus_format_and_knows_one_path() {
        let (address, _serving) = endpoint(LIMIT).await;
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.contains(FORMAT), "{answer}");
        assert!(answer.ends_with("\r\n\r\nvefa_test 1\n"), "{answer}");
        let elsewhere = ask(address, "GET /").await;
        assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
        let posted = ask(address, "POST /metrics").await;
        assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    }

    #[tokio::test]
    async fn scrapers_that_hang_are_few_and_are_ended() {
        let (address, _serving) = endpoint(Duration::from_millis(200)).await;
        let mut hanging = Vec::new();
        for _ in 0..CONNECTIONS_MAX * 2 {
            hanging.push(TcpStream::connect(address).await.unwrap());
        }
        for stream in &mut hanging {
            assert_eq!(rest(stream).await, "");
        }
        // Their places are free again.
        let answer = ask(address, "GET /metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
