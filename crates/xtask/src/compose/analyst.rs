//! What analysts may do, tried with their own passwords.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use async_nats::{Client, ConnectOptions, Event, Message, Subscriber};
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::data::{Data, send};
use super::project::{OTHER_TENANT, Project, TENANT};
use crate::demo::client::Clients;
use crate::torture::requests;

const LIMIT: Duration = Duration::from_secs(20);
/// Headers by which an analyst tells the events of a log apart, and finds one that is missing.
const NEEDED: [&str; 4] = ["ce-id", "ce-type", "Vefa-Epoch", "Vefa-Position"];

/// An analyst, and what the server has refused it.
struct Analyst {
    client: Client,
    refused: UnboundedReceiver<String>,
}

impl Analyst {
    async fn connect(address: &str, tenant: &str, password: String) -> anyhow::Result<Self> {
        let (told, refused) = unbounded_channel();
        let client = ConnectOptions::new()
            .user_and_password(format!("analyst-{tenant}"), password)
            .event_callback(move |event| {
                if let Event::ServerError(error) = event {
                    // Nobody listens once the test is over.
                    let _told = told.send(error.to_string());
                }
                async {}
            })
            .connect(address)
            .await
            .with_context(|| format!("connecting as analyst of {tenant}"))?;
        Ok(Self { client, refused })
    }

    async fn subscribe(&self, subject: &str) -> anyhow::Result<Subscriber> {
        let subscriber = self.client.subscribe(subject.to_owned()).await?;
        // The server has read the subscription when it answers the ping that goes with this.
        self.client.flush().await?;
        Ok(subscriber)
    }

    /// Waits until the server has said that it refuses `what`.
    async fn is_refused(&mut self, what: &str) -> anyhow::Result<()> {
        let refused = timeout(LIMIT, self.refused.recv()).await;
        let refused = refused.with_context(|| format!("{what} is not refused"))?;
        let refused = refused.context("the connection ended")?.to_lowercase();
        ensure!(
            refused.contains(&format!("permissions violation for {what}").to_lowercase()),
            "{what} should be refused, and the server said: {refused}"
        );
        Ok(())
    }

    async fn publish(&self, subject: &str) -> anyhow::Result<()> {
        self.client.publish(subject.to_owned(), "".into()).await?;
        Ok(self.client.flush().await?)
    }
}

pub(super) async fn may_listen_and_no_more(
    project: &Project,
    data: &mut Data,
) -> anyhow::Result<()> {
    let address = project.nats_address()?;
    nobody_without_a_password(&address).await?;
    let password = |tenant| project.secret(&format!("analysts/{tenant}.password"));
    let mut analyst = Analyst::connect(&address, TENANT, password(TENANT)?).await?;
    let other = Analyst::connect(&address, OTHER_TENANT, password(OTHER_TENANT)?).await?;
    let mut own = analyst.subscribe(&format!("vefa.{TENANT}.>")).await?;
    let mut own_of_other = other.subscribe(&format!("vefa.{OTHER_TENANT}.>")).await?;
    let foreign = may_do_nothing_else(&mut analyst).await?;

    // The other tenant's first, so that it would have come by the time that one's own is there.
    let token = project.token(OTHER_TENANT)?;
    let mut others = [Clients::at(&project.addresses()?, Some(&token))?];
    send(&mut others, &requests::register(1, "of-other", None)).await?;
    expect(&mut own_of_other, OTHER_TENANT).await?;
    let mut clients = [data.clients(project)?];
    data.register(&mut clients).await?;
    let event = expect(&mut own, TENANT).await?;
    let headers = event.headers.context("an event without headers")?;
    for name in NEEDED {
        ensure!(headers.get(name).is_some(), "the header {name} is missing");
    }
    nothing_came(foreign)
}

/// Asks for all that an analyst of [`TENANT`] must not have. Returns the subscriptions, to which nothing may ever come.
async fn may_do_nothing_else(analyst: &mut Analyst) -> anyhow::Result<Vec<Subscriber>> {
    let mut foreign = Vec::new();
    for subject in [&format!("vefa.{OTHER_TENANT}.>"), "vefa.>", ">", "$JS.>"] {
        foreign.push(analyst.subscribe(subject).await?);
        analyst
            .is_refused(&format!("subscription to \"{subject}\""))
            .await?;
    }
    for subject in [
        &format!("vefa.{TENANT}.customers.p00.CustomerRegistered"),
        "$JS.API.STREAM.DELETE.CUSTOMERS",
        "$JS.API.STREAM.PURGE.CUSTOMERS",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.CONSUMER.CREATE.CUSTOMERS",
    ] {
        analyst.publish(subject).await?;
        analyst
            .is_refused(&format!("publish to \"{subject}\""))
            .await?;
    }
    Ok(foreign)
}

fn nothing_came(foreign: Vec<Subscriber>) -> anyhow::Result<()> {
    for mut subscriber in foreign {
        if let Some(Some(message)) = subscriber.next().now_or_never() {
            bail!("{} reached an analyst of {TENANT}", message.subject);
        }
    }
    Ok(())
}

/// Waits for the registration of a customer of this tenant; no event of another one comes before it.
async fn expect(subscriber: &mut Subscriber, tenant: &str) -> anyhow::Result<Message> {
    let reading = async {
        while let Some(message) = subscriber.next().await {
            let subject = message.subject.as_str();
            ensure!(
                subject.starts_with(&format!("vefa.{tenant}.")),
                "{subject} reached an analyst of {tenant}"
            );
            if subject.ends_with(".CustomerRegistered") {
                return Ok(message);
            }
        }
        bail!("the subscription ended")
    };
    timeout(LIMIT, reading)
        .await
        .with_context(|| format!("no event of {tenant} within {LIMIT:?}"))?
}

async fn nobody_without_a_password(address: &str) -> anyhow::Result<()> {
    let analyst = format!("analyst-{TENANT}");
    let wrong = ConnectOptions::new().user_and_password(analyst, "wrong".to_owned());
    for options in [ConnectOptions::new(), wrong] {
        match options.connect(address).await {
            Ok(_) => bail!("NATS lets in whoever comes"),
            Err(error) => ensure!(
                error.kind() == async_nats::ConnectErrorKind::AuthorizationViolation,
                "NATS should say that it lets nobody in, and said: {error}"
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream;
    use testing::{NatsProgram, NatsServer};

    use super::*;
    use crate::step::{command, run};

    /// Without containers: the users that deploy/init writes, in a server of the machine.
    #[tokio::test]
    async fn the_users_of_deploy_init_may_do_what_they_should_and_no_more() {
        let secrets = tempfile::tempdir().unwrap();
        let mut init = command("deploy/init", [TENANT, OTHER_TENANT]);
        init.env("VEFA_SECRETS", secrets.path());
        run(init).unwrap();
        let secret = |name: &str| {
            let text = std::fs::read_to_string(secrets.path().join(name)).unwrap();
            text.trim_end().to_owned()
        };
        let program = NatsProgram::find().unwrap().unwrap();
        let server = NatsServer::start_with(program, &secret("nats-users.conf")).unwrap();
        let address = server.url();
        nobody_without_a_password(&address).await.unwrap();

        let services = ConnectOptions::new()
            .user_and_password("vefa".to_owned(), secret("nats.password"))
            .connect(&address)
            .await
            .unwrap();
        let jetstream = jetstream::new(services);
        let stream = jetstream::stream::Config {
            name: "CUSTOMERS".to_owned(),
            subjects: vec!["vefa.*.customers.*.*".to_owned()],
            ..Default::default()
        };
        let stream = jetstream.create_stream(stream).await.unwrap();
        let password = secret(&format!("analysts/{TENANT}.password"));
        let mut analyst = Analyst::connect(&address, TENANT, password).await.unwrap();
        let mut own = analyst
            .subscribe(&format!("vefa.{TENANT}.>"))
            .await
            .unwrap();
        let foreign = may_do_nothing_else(&mut analyst).await.unwrap();
        for tenant in [OTHER_TENANT, TENANT] {
            let subject = format!("vefa.{tenant}.customers.p00.CustomerRegistered");
            let sent = jetstream.publish(subject, "".into()).await.unwrap();
            sent.await.unwrap();
        }
        expect(&mut own, TENANT).await.unwrap();
        nothing_came(foreign).unwrap();
        let info = stream.get_info().await.unwrap();
        assert_eq!(info.state.messages, 2, "what the analyst sent is not there");
    }
}
