//! New connections: not too many, and only those that begin to speak.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::config::Limits;
use crate::tls::ServerTls;

/// The HTTP/2 client preface (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// A pause after a failed accept, which most often means too many open files: without it the
/// loop would turn at full speed until some are closed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The connections that `listener` takes, within the limits. Never ends.
pub(super) fn connections(
    listener: TcpListener,
    limits: &Limits,
    tls: Option<ServerTls>,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let handshake_max = Duration::from_millis(limits.handshake_timeout_ms);
    // One more than there are places for, so that whoever finds none is still told at once.
    let handshakes = limits.connections_max.saturating_add(1);
    futures::stream::unfold((listener, places), |(listener, places)| async move {
        let accepted = accept(&listener, &places).await;
        Some((accepted, (listener, places)))
    })
    .map(move |(stream, place)| begin(stream, place, tls.clone(), Instant::now() + handshake_max))
    .buffer_unordered(handshakes)
    .filter_map(|begun| std::future::ready(begun.map(Ok)))
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            // Closed at once, so that the client tries elsewhere instead of waiting here.
            tracing::debug!("limits.connections_max is reached; a connection was closed");
            continue;
        };
        // Small frames must not wait for one another; without it, calls still work.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        return (stream, place);
    }
}

/// The handshake, where there is to be one; nothing when it fails or takes too long.
async fn begin(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    tls: Option<ServerTls>,
    deadline: Instant,
) -> Option<Connection> {
    let stream = match tls {
        None => Either::Left(stream),
        Some(tls) => {
            let handshake = tls.acceptor().accept(stream);
            let shaken = tokio::time::timeout_at(deadline, handshake).await;
            match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => Either::Right(stream),
                Err(error) => {
                    // Anybody can cause that, as often as they like.
                    tracing::debug!(%error, "a TLS handshake failed");
                    return None;
                }
            }
        }
    };
    Some(Connection {
        stream,
        preface: Some(Preface {
            bytes_left: PREFACE_BYTES,
            deadline: Box::pin(tokio::time::sleep_until(deadline)),
        }),
        _place: place,
    })
}

/// A connection that holds one of the places, and fails if its preface is late.
pub(super) struct Connection {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    preface: Option<Preface>,
    _place: OwnedSemaphorePermit,
}

struct Preface {
    bytes_left: usize,
    deadline: Pin<Box<Sleep>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(preface) = &mut self.preface else {
            return read;
        };
        if read.is_pending() {
            return match preface.deadline.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                Poll::Pending => Poll::Pending,
            };
        }
        preface.bytes_left = preface
            .bytes_left
            .saturating_sub(buffer.filled().len() - before);
        if preface.bytes_left == 0 {
            self.preface = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        match &self.stream {
            Either::Left(stream) => stream.connect_info(),
            Either::Right(stream) => stream.get_ref().0.connect_info(),
        }
    }
}
