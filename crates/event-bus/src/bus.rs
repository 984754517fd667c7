//! The connection to NATS, and the names and settings of streams.

use std::{path::PathBuf, sync::atomic::Ordering, time::Duration};

use aggregate::{Partition, TenantId};
use async_nats::{
    Auth, AuthError, Client, ConnectOptions,
    jetstream::{
        self,
        stream::{Config, DiscardPolicy, StorageType, Stream},
    },
};

use crate::error::BusError;

/// How to reach NATS.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// URL of the server or servers, separated by commas.
    pub url: String,
    /// Put before stream names and in place of the first token of subjects, so that several systems share a server.
    /// Empty for none.
    pub stream_prefix: String,
    /// Credentials file of the user; none for a server without users.
    pub credentials_file: Option<PathBuf>,
    /// A user with a password, instead.
    pub login: Option<Login>,
    /// TLS, which is then required.
    pub tls: Option<BusTls>,
    /// How long to wait for any answer of the server.
    pub request_timeout: Duration,
    /// Copies of each stream in a cluster.
    pub replicas: usize,
}

/// Whom to believe, and who is connecting. The files are read at every connection, so that new ones need no new process.
#[derive(Clone, Debug)]
pub struct BusTls {
    /// The CAs of the servers.
    pub ca_file: PathBuf,
    /// A certificate and its key, for a server that asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl BusTls {
    fn require(&self, connect: ConnectOptions) -> std::io::Result<ConnectOptions> {
        let identity = self.identity.iter().flat_map(|(one, other)| [one, other]);
        for file in identity.chain([&self.ca_file]) {
            // The client would try for ever, and tell nobody.
            std::fs::File::open(file).map_err(|error| {
                std::io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })?;
        }
        let connect = connect
            .require_tls(true)
            .add_root_certificates(self.ca_file.clone());
        Ok(match &self.identity {
            Some((certificate, key)) => {
                connect.add_client_certificate(certificate.clone(), key.clone())
            }
            None => connect,
        })
    }
}

/// A user and where its password lies.
#[derive(Clone, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// A file with the password; white space at its end does not count. It is read at every connection, so that a new password
    /// needs no new process.
    pub password_file: PathBuf,
}

impl Login {
    fn read(&self) -> std::io::Result<Auth> {
        let password = std::fs::read_to_string(&self.password_file)?;
        let mut auth = Auth::new();
        auth.username = Some(self.user.clone());
        auth.password = Some(password.trim_end().to_owned());
        Ok(auth)
    }
}

/// A connection to NATS.
#[derive(Clone)]
pub struct Bus {
    client: Client,
    jetstream: jetstream::Context,
    prefix: String,
    replicas: usize,
    request_timeout: Duration,
}

impl Bus {
    /// Connects in the background: the service works without NATS, and the log drains when NATS is there.
    ///
    /// # Errors
    /// When the options make no sense: an URL that is none, a file of credentials, a password or a certificate that cannot be read.
    pub async fn connect(options: &BusOptions) -> Result<Self, BusError> {
        let connect = match &options.login {
            Some(login) => {
                login
                    .read()
                    .map_err(BusError::nats("reading the password"))?;
                let login = login.clone();
                ConnectOptions::with_auth_callback(move |_| {
                    std::future::ready(login.read().map_err(AuthError::new))
                })
            }
            None => ConnectOptions::new(),
        };
        let mut connect = connect
            .name("vefa")
            .ping_interval(Duration::from_secs(5))
            .connection_timeout(options.request_timeout)
            .request_timeout(Some(options.request_timeout))
            .retry_on_initial_connect();
        if let Some(file) = &options.credentials_file {
            connect = connect
                .credentials_file(file)
                .await
                .map_err(BusError::nats("reading the credentials"))?;
        }
        if let Some(tls) = &options.tls {
            connect = tls
                .require(connect)
                .map_err(BusError::nats("reading the certificates"))?;
        }
        let servers: Vec<&str> = options.url.split(',').map(str::trim).collect();
        let client = connect
            .connect(servers)
            .await
            .map_err(BusError::nats("connecting"))?;
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(options.request_timeout);
        Ok(Self {
            client,
            jetstream,
            prefix: options.stream_prefix.clone(),
            replicas: options.replicas,
            request_timeout: options.request_timeout,
        })
    }

    /// Whether the connection stands at this moment.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// How often the connection was made: what lived in the server's memory is from one of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Name of a service's stream: `CUSTOMERS`.
    #[must_use]
    pub fn stream_name(&self, service: &str) -> String {
        let name = service.to_uppercase();
        if self.prefix.is_empty() {
            name
        } else {
            format!("{}_{name}", self.prefix)
        }
    }

    fn root(&self) -> &str {
        if self.prefix.is_empty() {
            "vefa"
        } else {
            &self.prefix
        }
    }

    pub(crate) fn subject(
        &self,
        tenant: &str,
        service: &str,
        partition: Partition,
        event_type: &str,
    ) -> String {
        format!(
            "{}.{tenant}.{service}.p{:02}.{event_type}",
            self.root(),
            partition.number()
        )
    }

    pub(crate) fn partition_filter(&self, service: &str, partition: Partition) -> String {
        format!("{}.*.{service}.p{:02}.*", self.root(), partition.number())
    }

    pub(crate) fn subscription_subject(
        &self,
        tenant: &TenantId,
        service: &str,
        partition: Option<Partition>,
    ) -> String {
        let root = self.root();
        match partition {
            Some(partition) => format!("{root}.{tenant}.{service}.p{:02}.*", partition.number()),
            None => format!("{root}.{tenant}.{service}.*.*"),
        }
    }

    /// The service's stream; made when it is not there. Only its owner's relay calls this.
    pub(crate) async fn own_stream(&self, service: &str) -> Result<Stream, BusError> {
        let config = Config {
            name: self.stream_name(service),
            subjects: vec![format!("{}.*.{service}.*.*", self.root())],
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            deny_delete: true,
            allow_direct: true,
            allow_atomic_publish: true,
            num_replicas: self.replicas,
            ..Config::default()
        };
        self.jetstream
            .get_or_create_stream(config)
            .await
            .map_err(BusError::nats("creating the stream"))
    }

    /// Another service's stream; an error when it is not there yet.
    pub(crate) async fn stream(&self, service: &str) -> Result<Stream, BusError> {
        self.jetstream
            .get_stream(self.stream_name(service))
            .await
            .map_err(BusError::nats("looking up the stream"))
    }

    /// How many messages a service's stream holds.
    ///
    /// # Errors
    /// When NATS does not answer or has no such stream.
    pub async fn stream_messages(&self, service: &str) -> Result<u64, BusError> {
        let info = self
            .stream(service)
            .await?
            .get_info()
            .await
            .map_err(BusError::nats("reading the stream's state"))?;
        Ok(info.state.messages)
    }
}
