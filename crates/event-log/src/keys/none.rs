//! No master key at all.

use std::future::ready;

use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::{KeyError, KeyService};

/// For whoever seals nothing and reads nothing that is sealed: every call is refused.
#[derive(Clone, Copy, Debug)]
pub struct NoKeys;

impl KeyService for NoKeys {
    fn wrap<'a>(
        &'a self,
        _: &'a [u8; 32],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyError>> {
        Box::pin(ready(Err(KeyError::Unwrap)))
    }

    fn unwrap<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KeyError>> {
        Box::pin(ready(Err(KeyError::Unwrap)))
    }

    fn rewrap<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, KeyError>> {
        Box::pin(ready(Err(KeyError::Unwrap)))
    }
}
