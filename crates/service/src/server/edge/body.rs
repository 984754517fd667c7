//! The body of a response: observed to its end, and ended at the deadline.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use super::{CallSpan, Interruption};

/// A body that tells its status to the span, and ends with trailers when it is interrupted.
pub(super) struct EdgeBody {
    inner: Body,
    span: CallSpan,
    interruption: Interruption,
    ended: bool,
}

impl EdgeBody {
    pub(super) fn new(inner: Body, span: CallSpan, interruption: Interruption) -> Self {
        Self {
            inner,
            span,
            interruption,
            ended: false,
        }
    }
}

impl HttpBody for EdgeBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let span = this.span.tracing().clone();
        let _entered = span.enter();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    this.span.end_if_told_by(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(status))) => {
                this.span.end(&status, false);
                Poll::Ready(Some(Err(status)))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => this.interruption.as_mut().poll(context).map(|status| {
                this.ended = true;
                // What the handler still held is let go now, not when the client has read on.
                this.inner = Body::empty();
                this.span.end(&status, false);
                Some(Ok(Frame::trailers(trailers(status))))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The status as the trailers of a stream that has begun.
fn trailers(status: Status) -> HeaderMap {
    let mut headers = status.into_http::<()>().into_parts().0.headers;
    headers.remove(http::header::CONTENT_TYPE);
    headers
}
