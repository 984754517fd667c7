//! Master keys in a file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use futures::future::BoxFuture;
use zeroize::Zeroizing;

use super::{KeyError, KeyService, random_key};

/// Bytes of the nonce that stands before each wrapped key.
const NONCE_BYTES: usize = 24;
/// Master keys in a file: one, and those that were replaced and still wrap something.
const KEYS_MAX: usize = 8;

type MasterKey = Zeroizing<[u8; 32]>;

/// Master keys in a file: the simplest true key service, for development and small installations.
///
/// Each line is a key. The first one wraps; each of them unwraps, so that a key can be replaced: the new one is written before the old one, all data keys are
/// wrapped anew ([`rewrap_keys`](super::rewrap_keys)), and the old one is taken out. The file is looked at again when it was changed. While what stands in it
/// then is no key, the keys of before go on to be used.
pub struct FileKeyService {
    path: PathBuf,
    read: RwLock<Read>,
    /// Whether it was told that the file cannot be used as it is.
    is_told: AtomicBool,
}

/// What was read, and when the file had been changed last.
#[derive(Clone)]
struct Read {
    keys: Arc<[MasterKey]>,
    changed_at: SystemTime,
}

impl FileKeyService {
    /// Reads the master keys: 64 hexadecimal digits on each line.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        Ok(Self {
            path: path.to_owned(),
            read: RwLock::new(read(path)?),
            is_told: AtomicBool::new(false),
        })
    }

    /// A text that [`FileKeyService::open`] takes, with a fresh random key.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn generate() -> Result<String, KeyError> {
        use std::fmt::Write as _;
        Ok(random_key()?.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string does not fail");
            text
        }))
    }

    /// The keys as the file has them now. One call to the file system, where it was not changed.
    fn keys(&self) -> Arc<[MasterKey]> {
        let known = self
            .read
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let changed_at = fs::metadata(&self.path).and_then(|file| file.modified());
        if changed_at.is_ok_and(|changed_at| changed_at == known.changed_at) {
            return known.keys;
        }
        match read(&self.path) {
            Ok(fresh) => {
                let keys = fresh.keys.clone();
                self.is_told.store(false, Ordering::Relaxed);
                *self.read.write().unwrap_or_else(PoisonError::into_inner) = fresh;
                keys
            }
            Err(error) => {
                if !self.is_told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the master keys of before are used on"
                    );
                }
                known.keys
            }
        }
    }
}

impl KeyService for FileKeyService {
    fn wrap<'a>(
        &'a self,
        key: &'a [u8; 32],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyError>> {
        Box::pin(async move {
            let keys = self.keys();
            wrap(keys.first().ok_or(KeyError::Unwrap)?, key, context)
        })
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KeyError>> {
        Box::pin(async move {
            let keys = self.keys();
            let mut opened = keys.iter().filter_map(|key| unwrap(key, wrapped, context));
            opened.next().ok_or(KeyError::Unwrap)
        })
    }

    fn rewrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, KeyError>> {
        Box::pin(async move {
            let keys = self.keys();
            let (present, before) = keys.split_first().ok_or(KeyError::Unwrap)?;
            if unwrap(present, wrapped, context).is_some() {
                return Ok(None);
            }
            let mut opened = before
                .iter()
                .filter_map(|key| unwrap(key, wrapped, context));
            let key = opened.next().ok_or(KeyError::Unwrap)?;
            wrap(present, &key, context).map(Some)
        })
    }
}

fn wrap(master: &MasterKey, key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| KeyError::NoRandomness)?;
    let payload = Payload {
        msg: key,
        aad: context,
    };
    let ciphertext = XChaCha20Poly1305::new((&**master).into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| KeyError::Unwrap)?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

fn unwrap(master: &MasterKey, wrapped: &[u8], context: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let (nonce, msg) = wrapped.split_at_checked(NONCE_BYTES)?;
    let payload = Payload { msg, aad: context };
    let plain = XChaCha20Poly1305::new((&**master).into())
        .decrypt(&XNonce::try_from(nonce).ok()?, payload)
        .map(Zeroizing::new)
        .ok()?;
    plain.as_slice().try_into().map(Zeroizing::new).ok()
}

fn read(path: &Path) -> Result<Read, KeyError> {
    let shown = || path.display().to_string();
    let unreadable = |source| KeyError::File {
        path: shown(),
        source,
    };
    // First the time: what is changed while it is read is looked at again.
    let file = fs::metadata(path).map_err(unreadable)?;
    let changed_at = file.modified().map_err(unreadable)?;
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(unreadable)?;
    let keys: Option<Vec<MasterKey>> = text.trim().lines().map(parse_hex).collect();
    match keys {
        Some(keys) if (1..=KEYS_MAX).contains(&keys.len()) => Ok(Read {
            keys: keys.into(),
            changed_at,
        }),
        Some(_) | None => Err(KeyError::Format { path: shown() }),
    }
}

fn parse_hex(line: &str) -> Option<MasterKey> {
    let text = line.trim();
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: [u8; 32] = [7; 32];

    struct File {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl File {
        fn of(lines: &[&str]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("master.key");
            fs::write(&path, lines.join("\n")).unwrap();
            Self {
                _directory: directory,
                path,
            }
        }

        /// Writes over the file, and gives it a time of its own: two writes can be closer than the file system's clock can tell.
        fn write(&self, lines: &[&str]) {
            let before = fs::metadata(&self.path).unwrap().modified().unwrap();
            fs::write(&self.path, lines.join("\n")).unwrap();
            let file = fs::File::options().write(true).open(&self.path).unwrap();
            let later = before + std::time::Duration::from_secs(1);
            file.set_modified(later).unwrap();
        }
    }

    fn key() -> String {
        FileKeyService::generate().unwrap()
    }

    #[tokio::test]
    async fn a_key_is_replaced_while_it_is_used() {
        let (old, new) = (key(), key());
        let file = File::of(&[&old]);
        let service = FileKeyService::open(&file.path).unwrap();
        let first = service.wrap(&DATA, b"here").await.unwrap();
        assert_eq!(service.rewrap(&first, b"here").await.unwrap(), None);

        file.write(&[&new, &old]);
        assert_eq!(*service.unwrap(&first, b"here").await.unwrap(), DATA);
        let second = service.wrap(&DATA, b"here").await.unwrap();
        assert_eq!(service.rewrap(&second, b"here").await.unwrap(), None);
        let rewrapped = service.rewrap(&first, b"here").await.unwrap().unwrap();

        file.write(&[&new]);
        for wrapped in [&second, &rewrapped] {
            assert_eq!(*service.unwrap(wrapped, b"here").await.unwrap(), DATA);
        }
        let lost = service.unwrap(&first, b"here").await;
        assert!(matches!(lost, Err(KeyError::Unwrap)), "{lost:?}");
        let elsewhere = service.unwrap(&second, b"there").await;
        assert!(matches!(elsewhere, Err(KeyError::Unwrap)), "{elsewhere:?}");
    }

    #[tokio::test]
    async fn a_file_that_was_spoilt_changes_nothing_until_it_is_whole_again() {
        let (old, new) = (key(), key());
        let file = File::of(&[&old]);
        let service = FileKeyService::open(&file.path).unwrap();
        let wrapped = service.wrap(&DATA, b"").await.unwrap();
        file.write(&[&new[..40]]);
        assert_eq!(*service.unwrap(&wrapped, b"").await.unwrap(), DATA);
        file.write(&[&new]);
        assert!(service.unwrap(&wrapped, b"").await.is_err());
    }

    #[test]
    fn takes_keys_and_nothing_else() {
        let one = key();
        assert!(FileKeyService::open(&File::of(&[&one, &key(), ""]).path).is_ok());
        let many = vec![one.as_str(); KEYS_MAX + 1];
        for lines in [
            &[""][..],
            &[&one[1..]],
            &[&one, "x"],
            &[&one, "", &one],
            &many,
        ] {
            let opened = FileKeyService::open(&File::of(lines).path);
            assert!(matches!(opened, Err(KeyError::Format { .. })), "{lines:?}");
        }
        let none = FileKeyService::open(Path::new("/nowhere/master.key"));
        assert!(matches!(none, Err(KeyError::File { .. })));
    }
}
