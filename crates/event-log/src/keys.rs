//! Data keys: one for each subject, wrapped by a master key behind [`KeyService`], and one for each tenant for keyed digests.

mod file;
mod none;
mod rewrap;

use std::{collections::HashMap, sync::Arc, time::Duration};

use aggregate::{CustomerId, Partition, TenantId};
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use moka::sync::Cache;
use sha2::Sha256;
use sqlx::PgPool;
use uuid::Uuid;
use zeroize::Zeroizing;

pub use file::FileKeyService;
pub use none::NoKeys;
pub use rewrap::{Rewrapped, rewrap_keys};

use crate::seal::{DataKey, SubjectCipher};

/// How long data keys are kept in the clear in memory: the longest time for which another process can still read what a
/// destroyed key had sealed.
const CACHED_KEY_LIFE: Duration = Duration::from_secs(30);

/// Wraps data keys under a master key that this process need not know.
pub trait KeyService: Send + Sync + 'static {
    /// Wraps a data key. `context` must be given again to unwrap.
    fn wrap<'a>(
        &'a self,
        key: &'a [u8; 32],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyError>>;
    /// Unwraps a data key.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KeyError>>;
    /// Wraps what is wrapped under a master key that was replaced under the present one; none where it is already.
    fn rewrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, KeyError>>;
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key file cannot be read.
    #[error("the master key file {path} cannot be read")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The master key file does not hold keys.
    #[error(
        "the master key file {path} must hold 64 hexadecimal digits on each line, of 1 to 8 keys"
    )]
    Format {
        /// The file.
        path: String,
    },
    /// Wrapped by another master key, or changed since.
    #[error("a data key does not unwrap with a master key that is there")]
    Unwrap,
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    NoRandomness,
    /// PostgreSQL refused or did not answer.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// A data key that is to be stored with the first event that it seals.
#[derive(Clone, Debug)]
pub struct NewSubjectKey {
    pub(crate) partition: Partition,
    pub(crate) tenant: TenantId,
    pub(crate) subject: Uuid,
    pub(crate) wrapped: Vec<u8>,
}

/// The data keys of one service's subjects and tenants.
#[derive(Clone)]
pub struct Keys {
    pool: PgPool,
    service: Arc<dyn KeyService>,
    cache: Cache<(TenantId, Uuid), SubjectCipher>,
}

impl Keys {
    pub(crate) fn new(pool: PgPool, service: Arc<dyn KeyService>, cached_max: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(cached_max)
            .time_to_live(CACHED_KEY_LIFE)
            .build();
        Self {
            pool,
            service,
            cache,
        }
    }

    /// The cipher of a subject, or `None` when the subject never had a key. A destroyed key gives a cipher that opens nothing.
    ///
    /// # Errors
    /// When the database or the key service fails.
    pub async fn cipher(
        &self,
        tenant: &TenantId,
        subject: CustomerId,
    ) -> Result<Option<SubjectCipher>, KeyError> {
        let mut found = self.ciphers(tenant, &[subject]).await?;
        Ok(found.remove(&subject))
    }

    /// The ciphers of many subjects; those who never had a key are left out.
    ///
    /// # Errors
    /// When the database or the key service fails.
    pub async fn ciphers(
        &self,
        tenant: &TenantId,
        subjects: &[CustomerId],
    ) -> Result<HashMap<CustomerId, SubjectCipher>, KeyError> {
        let mut found = HashMap::with_capacity(subjects.len());
        let mut missing = Vec::new();
        let mut partitions = Vec::new();
        for subject in subjects {
            match self.cache.get(&(tenant.clone(), subject.0)) {
                Some(cipher) => {
                    found.insert(*subject, cipher);
                }
                None => {
                    missing.push(subject.0);
                    partitions.push(i16::from(Partition::of_customer(tenant, *subject).number()));
                }
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let rows: Vec<(Uuid, Option<Vec<u8>>)> = sqlx::query_as(
            "select k.subject, k.wrapped_key
             from unnest($2::smallint[], $3::uuid[]) as wanted (partition, subject)
             join subject_key k on k.partition = wanted.partition and k.tenant = $1 and k.subject = wanted.subject",
        )
        .bind(tenant.as_str())
        .bind(&partitions)
        .bind(&missing)
        .fetch_all(&self.pool)
        .await?;
        for (subject, wrapped) in rows {
            let key = match wrapped {
                Some(wrapped) => Some(
                    self.service
                        .unwrap(&wrapped, &context(tenant, subject))
                        .await?,
                ),
                None => None,
            };
            let cipher = SubjectCipher::new(tenant, subject, key);
            self.cache.insert((tenant.clone(), subject), cipher.clone());
            found.insert(CustomerId(subject), cipher);
        }
        Ok(found)
    }

    /// Forgets a subject's key, which was destroyed; other processes do within [`CACHED_KEY_LIFE`].
    pub(crate) fn forget(&self, tenant: &TenantId, subject: CustomerId) {
        self.cache.invalidate(&(tenant.clone(), subject.0));
    }

    /// A fresh key for a subject who has none, and the cipher that uses it. It counts once it is stored.
    ///
    /// # Errors
    /// When the key service fails.
    pub async fn new_key(
        &self,
        tenant: &TenantId,
        subject: CustomerId,
    ) -> Result<(NewSubjectKey, SubjectCipher), KeyError> {
        let key = random_key()?;
        let new = NewSubjectKey {
            partition: Partition::of_customer(tenant, subject),
            tenant: tenant.clone(),
            subject: subject.0,
            wrapped: self.service.wrap(&key, &context(tenant, subject.0)).await?,
        };
        Ok((new, SubjectCipher::new(tenant, subject.0, Some(key))))
    }

    /// A digest of `data` under the tenant's own key: equal for equal data, and of no use to whoever has not the key.
    /// `purpose` keeps digests for different purposes apart.
    ///
    /// # Errors
    /// When the database or the key service fails.
    pub async fn digest(
        &self,
        tenant: &TenantId,
        purpose: &str,
        data: &[u8],
    ) -> Result<[u8; 32], KeyError> {
        let key = self.tenant_key(tenant).await?;
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(data);
        Ok(mac.finalize().into_bytes().into())
    }

    async fn tenant_key(&self, tenant: &TenantId) -> Result<DataKey, KeyError> {
        let nil = Uuid::nil();
        let cached = self.cache.get(&(tenant.clone(), nil));
        if let Some(key) = cached.and_then(|cipher| cipher.data_key()) {
            return Ok(key);
        }
        let partition = i16::from(Partition::of_key(tenant, nil.as_bytes()).number());
        let select = "select wrapped_key from subject_key where partition = $1 and tenant = $2 and subject = $3";
        let stored: Option<Vec<u8>> = sqlx::query_scalar(select)
            .bind(partition)
            .bind(tenant.as_str())
            .bind(nil)
            .fetch_optional(&self.pool)
            .await?;
        let wrapped = match stored {
            Some(wrapped) => wrapped,
            None => self.create_tenant_key(tenant, partition).await?,
        };
        let key = self.service.unwrap(&wrapped, &context(tenant, nil)).await?;
        let cipher = SubjectCipher::new(tenant, nil, Some(key.clone()));
        self.cache.insert((tenant.clone(), nil), cipher);
        Ok(key)
    }

    /// Stores a fresh tenant key unless another process was faster, and gives whichever is stored.
    async fn create_tenant_key(
        &self,
        tenant: &TenantId,
        partition: i16,
    ) -> Result<Vec<u8>, KeyError> {
        let fresh = self
            .service
            .wrap(&*random_key()?, &context(tenant, Uuid::nil()))
            .await?;
        let pool = self.pool.clone();
        let tenant = tenant.clone();
        // In a task of its own, so that a caller who goes away cannot leave the transaction half done.
        #[expect(
            clippy::disallowed_methods,
            reason = "the task is awaited at once; it only shields from cancellation"
        )]
        let stored = tokio::spawn(async move {
            let mut transaction = pool.begin().await?;
            sqlx::query(
                "insert into subject_key (partition, tenant, subject, wrapped_key) values ($1, $2, $3, $4) on conflict do nothing",
            )
            .bind(partition)
            .bind(tenant.as_str())
            .bind(Uuid::nil())
            .bind(fresh)
            .execute(&mut *transaction)
            .await?;
            transaction.commit().await?;
            sqlx::query_scalar("select wrapped_key from subject_key where partition = $1 and tenant = $2 and subject = $3")
                .bind(partition)
                .bind(tenant.as_str())
                .bind(Uuid::nil())
                .fetch_one(&pool)
                .await
        });
        Ok(stored.await.map_err(|_| sqlx::Error::WorkerCrashed)??)
    }
}

fn random_key() -> Result<DataKey, KeyError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
    Ok(key)
}

fn context(tenant: &TenantId, subject: Uuid) -> Vec<u8> {
    [tenant.as_str().as_bytes(), &[0], subject.as_bytes()].concat()
}
