//! What JetStream takes of messages like those of the relay, from a client that does nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use async_nats::jetstream::{self, stream};
use uuid::Uuid;

use super::ROWS;
use crate::bench::stage::Stage;

const STREAM: &str = "LIMITS";
const INBOX: &str = "_INBOX.limits";
/// Length of a batch's id.
const ID_BYTES: usize = 32;

/// A message that the relay has published: what the limit's messages are like.
pub(in crate::bench) struct Template {
    headers: String,
    payload: Vec<u8>,
}

impl Template {
    /// The last message of a stream.
    pub(in crate::bench) async fn last_of(stream: &stream::Stream) -> anyhow::Result<Self> {
        let last = stream.get_info().await?.state.last_sequence;
        let message = stream.get_raw_message(last).await?;
        let mut headers = String::new();
        for (name, values) in message.headers.iter() {
            let name: &str = name.as_ref();
            // What makes it part of a batch is put in for each.
            if !name.starts_with("Nats-") {
                for value in values {
                    headers.push_str(&format!("\r\n{name}: {}", value.as_str()));
                }
            }
        }
        Ok(Self {
            headers,
            payload: message.payload.to_vec(),
        })
    }
}

/// Messages in a second in atomic batches of 1000: the better of one batch under way at a time and of two. The bytes are prepared and
/// the client is a bare connection, so that the server alone is the limit. The stream is set up like the relay's.
pub(in crate::bench) async fn atomic_batches(
    stage: &Stage<'_>,
    template: &Template,
) -> anyhow::Result<f64> {
    let url = stage.servers.nats.url();
    let seconds = Duration::from_secs(stage.seconds().div_ceil(2));
    let mut best: f64 = 0.0;
    for in_flight in [1, 2] {
        let client = async_nats::connect(&url)
            .await
            .context("connecting to NATS")?;
        let jetstream = jetstream::new(client);
        jetstream
            .create_stream(stream::Config {
                name: STREAM.to_owned(),
                subjects: vec!["limits.>".to_owned()],
                storage: stream::StorageType::File,
                discard: stream::DiscardPolicy::New,
                deny_delete: true,
                allow_direct: true,
                allow_atomic_publish: true,
                ..stream::Config::default()
            })
            .await
            .context("creating a stream")?;
        let address = url.trim_start_matches("nats://").to_owned();
        let batch = Batch::of(template);
        let published =
            tokio::task::spawn_blocking(move || publish(&address, batch, in_flight, seconds))
                .await??;
        let stored = jetstream
            .get_stream(STREAM)
            .await?
            .cached_info()
            .state
            .messages;
        jetstream.delete_stream(STREAM).await?;
        ensure!(
            stored == published.messages,
            "{stored} of {} messages are in the stream",
            published.messages
        );
        best = best.max(published.messages as f64 / published.elapsed.as_secs_f64());
    }
    Ok(best)
}

struct Published {
    messages: u64,
    elapsed: Duration,
}

fn publish(
    address: &str,
    mut batch: Batch,
    in_flight: u64,
    duration: Duration,
) -> anyhow::Result<Published> {
    let mut writer = TcpStream::connect(address).context("connecting to NATS")?;
    writer.set_nodelay(true)?;
    let mut reader = BufReader::new(writer.try_clone()?);
    write!(
        writer,
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true}}\r\nSUB {INBOX} 1\r\n"
    )?;
    let start = Instant::now();
    let (mut sent, mut confirmed) = (0, 0);
    while start.elapsed() < duration || confirmed < sent {
        if sent - confirmed < in_flight && start.elapsed() < duration {
            writer.write_all(batch.next())?;
            sent += 1;
        } else {
            confirm(&mut reader, &mut writer)?;
            confirmed += 1;
        }
    }
    Ok(Published {
        messages: confirmed * ROWS as u64,
        elapsed: start.elapsed(),
    })
}

/// Waits for the answer to a batch.
fn confirm(reader: &mut BufReader<TcpStream>, writer: &mut TcpStream) -> anyhow::Result<()> {
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "NATS has hung up");
        if line.starts_with("PING") {
            writer.write_all(b"PONG\r\n")?;
        } else if let Some(arguments) = line.strip_prefix("MSG ") {
            let bytes: usize = arguments
                .split_whitespace()
                .next_back()
                .and_then(|bytes| bytes.parse().ok())
                .context("a message without a length")?;
            let mut answer = vec![0; bytes + 2];
            reader.read_exact(&mut answer)?;
            let answer = String::from_utf8_lossy(&answer);
            if answer.contains("error") {
                bail!("a batch was refused: {answer}");
            }
            return Ok(());
        } else if line.starts_with("-ERR") {
            bail!("NATS says {line}");
        }
    }
}

/// The bytes of a batch, in which only its id changes.
struct Batch {
    bytes: Vec<u8>,
    ids: Vec<usize>,
}

impl Batch {
    fn of(template: &Template) -> Self {
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        for n in 1..=ROWS {
            let is_last = n == ROWS;
            let (reply, commit) = if is_last {
                (INBOX, "\r\nNats-Batch-Commit: 1")
            } else {
                ("", "")
            };
            let before = "NATS/1.0\r\nNats-Batch-Id: ";
            let after = format!(
                "\r\nNats-Batch-Sequence: {n}{}{commit}\r\n\r\n",
                template.headers
            );
            let headers_bytes = before.len() + ID_BYTES + after.len();
            let line = format!(
                "HPUB limits.demo.interactions.p{:02}.PurchaseRecorded {reply} {headers_bytes} {}\r\n",
                n % 64,
                headers_bytes + template.payload.len()
            );
            bytes.extend(line.as_bytes());
            bytes.extend(before.as_bytes());
            ids.push(bytes.len());
            bytes.extend([b'0'; ID_BYTES]);
            bytes.extend(after.as_bytes());
            bytes.extend(&template.payload);
            bytes.extend(b"\r\n");
        }
        Self { bytes, ids }
    }

    fn next(&mut self) -> &[u8] {
        let id = Uuid::new_v4().simple().to_string();
        for place in &self.ids {
            self.bytes[*place..*place + ID_BYTES].copy_from_slice(id.as_bytes());
        }
        &self.bytes
    }
}
