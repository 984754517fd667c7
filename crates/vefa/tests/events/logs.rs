//! What the logs and NATS have, beside the services.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::ground::{Ground, TENANT};

/// By service and partition: positions with event ids, in the order in which they came.
pub(crate) type Order = BTreeMap<(String, u64), Vec<(u64, String)>>;

pub(crate) fn total(order: &Order) -> usize {
    order.values().map(Vec::len).sum()
}

pub(crate) fn order_of(lines: &[Value]) -> Order {
    let mut order = Order::new();
    for line in lines {
        let service = line["service"].as_str().unwrap().to_owned();
        let partition = line["partition"].as_u64().unwrap();
        let position = line["position"].as_u64().unwrap();
        let id = line["id"].as_str().unwrap().to_owned();
        order
            .entry((service, partition))
            .or_default()
            .push((position, id));
    }
    order
}

impl Ground {
    /// What the logs have of a tenant: by service and partition, positions with ids, in order.
    pub(crate) async fn logged(&self, tenant: &str) -> Order {
        let mut order = Order::new();
        for (name, database) in &self.databases {
            let pool = PgPool::connect(database.url()).await.unwrap();
            let rows: Vec<(i16, i64, Uuid)> = sqlx::query_as(
                "select partition, position, event_id from event where tenant = $1 order by partition, position",
            )
            .bind(tenant)
            .fetch_all(&pool)
            .await
            .unwrap();
            pool.close().await;
            for (partition, position, id) in rows {
                let place = ((*name).to_owned(), u64::try_from(partition).unwrap());
                let event = (u64::try_from(position).unwrap(), id.to_string());
                order.entry(place).or_default().push(event);
            }
        }
        order
    }

    /// Publishes an event of interactions as the relay would.
    pub(crate) async fn publish(&self, position: i64) {
        let pool = PgPool::connect(self.databases["interactions"].url())
            .await
            .unwrap();
        let (partition, stream, version, id, type_, payload): (i16, Uuid, i64, Uuid, String, Vec<u8>) = sqlx::query_as(
            "select partition, stream_id, version, event_id, type, payload from event where position = $1",
        )
        .bind(position)
        .fetch_one(&pool)
        .await
        .unwrap();
        pool.close().await;
        let mut headers = async_nats::HeaderMap::new();
        for (name, value) in [
            ("ce-id", id.to_string()),
            ("ce-type", type_.clone()),
            ("ce-time", "2026-01-01T00:00:00Z".to_owned()),
            ("ce-dataschema", format!("{type_}#v1")),
            ("Vefa-Epoch", "1".to_owned()),
            ("Vefa-Position", position.to_string()),
            ("Vefa-Stream", stream.to_string()),
            ("Vefa-Version", version.to_string()),
            ("Vefa-Recorded", "2026-01-01T00:00:00Z".to_owned()),
        ] {
            headers.insert(name, value);
        }
        let password = std::fs::read_to_string(self.secret("nats.password")).unwrap();
        let client = async_nats::ConnectOptions::new()
            .user_and_password("vefa".to_owned(), password.trim().to_owned())
            .connect(self.nats.url())
            .await
            .unwrap();
        let subject = format!("vefa.{TENANT}.interactions.p{partition:02}.PurchaseRecorded");
        client
            .publish_with_headers(subject, headers, payload.into())
            .await
            .unwrap();
        client.flush().await.unwrap();
    }

    pub(crate) async fn execute(&self, service: &str, statement: &'static str) {
        let pool = PgPool::connect(self.databases[service].url())
            .await
            .unwrap();
        sqlx::query(statement).execute(&pool).await.unwrap();
        pool.close().await;
    }

    pub(crate) async fn epoch(&self, service: &str) -> i32 {
        let pool = PgPool::connect(self.databases[service].url())
            .await
            .unwrap();
        let epoch = sqlx::query_scalar("select epoch from log_epoch")
            .fetch_one(&pool)
            .await
            .unwrap();
        pool.close().await;
        epoch
    }
}
