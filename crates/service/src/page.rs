//! Pages of a list: sizes within limits, and tokens that continue one query and no other
//! (AIP-158).
//!
//! A token is opaque, not secret and not signed: it holds where to go on, never what may be
//! seen. The tenant always comes from the caller's [`Principal`](crate::Principal).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tonic::Status;
use xxhash_rust::xxh3::Xxh3;

use crate::config::Limits;
use crate::status;

/// What a token continues: the method and everything that shapes its answer, except the page
/// size, which may change from page to page.
#[derive(Clone)]
pub struct Query(Xxh3);

impl Query {
    /// A query of the named method, such as `ListCustomers`.
    pub fn new(method: &str) -> Self {
        Self(Xxh3::new()).with(method.as_bytes())
    }

    /// Adds what shapes the answer: the tenant, a filter, an order.
    #[must_use]
    pub fn with(mut self, part: impl AsRef<[u8]>) -> Self {
        let part = part.as_ref();
        // The length keeps ("ab", "c") apart from ("a", "bc").
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The token of the page that starts after `cursor`.
    pub fn token(&self, cursor: &impl Serialize) -> String {
        let token = Token {
            query: self.0.digest(),
            cursor,
        };
        let json = serde_json::to_vec(&token).expect("a cursor is plain data");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Where to go on; none for the empty token, the first page.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if the token is not one of ours, or continues another query.
    pub fn cursor<C: DeserializeOwned>(&self, token: &str) -> Result<Option<C>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let token: Token<C> = URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| status::invalid_field("page_token", "is not a page token"))?;
        if token.query != self.0.digest() {
            return Err(status::invalid_field(
                "page_token",
                "continues another query",
            ));
        }
        Ok(Some(token.cursor))
    }
}

#[derive(Serialize, Deserialize)]
struct Token<C> {
    #[serde(rename = "q")]
    query: u64,
    #[serde(rename = "c")]
    cursor: C,
}

/// The rows of a page: 0 asks for the default, and more than the maximum gets the maximum.
///
/// # Errors
/// INVALID_ARGUMENT if `requested` is below 0.
pub fn size(requested: i32, limits: &Limits) -> Result<u32, Status> {
    match u32::try_from(requested) {
        Ok(0) => Ok(limits.page_size_default),
        Ok(rows) => Ok(rows.min(limits.page_size_max)),
        Err(_) => Err(status::invalid_field("page_size", "must not be below 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    type Cursor = (String, u64);

    fn query(filter: &str) -> Query {
        Query::new("ListCustomers").with("acme").with(filter)
    }

    #[test]
    fn a_token_continues_its_query() {
        let token = query("tier=gold").token(&("c17", 9));
        let cursor: Cursor = query("tier=gold").cursor(&token).unwrap().unwrap();
        assert_eq!(cursor, ("c17".to_owned(), 9));
    }

    #[test]
    fn the_empty_token_is_the_first_page() {
        assert_eq!(query("").cursor::<Cursor>("").unwrap(), None);
    }

    #[test]
    fn a_token_of_another_query_is_refused() {
        let token = query("tier=gold").token(&("c17", 9));
        for other in [
            query("tier=silver"),
            Query::new("ListCustomers").with("other").with("tier=gold"),
            Query::new("ListSegments").with("acme").with("tier=gold"),
            Query::new("ListCustomers").with("acmetier=gold"),
        ] {
            let status = other.cursor::<Cursor>(&token).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            assert!(status.message().contains("continues another query"));
        }
    }

    #[test]
    fn a_text_that_is_no_token_is_refused() {
        let other_shape = query("").token(&true);
        for text in ["!", "abcd", &other_shape] {
            let status = query("").cursor::<Cursor>(text).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
        }
    }

    #[test]
    fn sizes_stay_within_the_limits() {
        let limits = Config::default().limits;
        assert_eq!(size(0, &limits).unwrap(), limits.page_size_default);
        assert_eq!(size(7, &limits).unwrap(), 7);
        assert_eq!(size(i32::MAX, &limits).unwrap(), limits.page_size_max);
        assert_eq!(
            size(-1, &limits).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}
