//! Whoever gives the services something to record.

use contracts::{
    customers::v1::{
        ChangeLifecycleStageRequest, CustomerKind, Identifier, IdentifierType, LifecycleStage,
        Profile, RegisterCustomerRequest, customers_service_client::CustomersServiceClient,
    },
    interactions::v1::{
        Purchase, PurchaseKind, PurchaseLine, RecordPurchaseRequest,
        interactions_service_client::InteractionsServiceClient,
    },
};
use prost_types::Timestamp;
use tonic::{Request, metadata::MetadataValue, transport::Channel};

/// Calls the services.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) token: String,
    pub(crate) customers: Channel,
    pub(crate) interactions: Channel,
}

impl Writer {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let bearer: MetadataValue<_> = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        request
    }

    /// A customer with an external identifier, said to be active, so that no purchase moves it: four events in two partitions.
    pub(crate) async fn register(&self, n: u32) -> String {
        let request = RegisterCustomerRequest {
            request_id: format!("register-{n}"),
            kind: CustomerKind::Person.into(),
            profile: Some(Profile {
                given_name: format!("Given {n}"),
                ..Profile::default()
            }),
            identifiers: vec![Identifier {
                r#type: IdentifierType::External.into(),
                value: format!("shop-{n}"),
                system: "shop".to_owned(),
            }],
            ..RegisterCustomerRequest::default()
        };
        let mut client = CustomersServiceClient::new(self.customers.clone());
        let answer = client
            .register_customer(self.request(request))
            .await
            .unwrap();
        let customer_id = answer.into_inner().customer_id;
        let request = ChangeLifecycleStageRequest {
            customer_id: customer_id.clone(),
            stage: LifecycleStage::Active.into(),
            ..ChangeLifecycleStageRequest::default()
        };
        client
            .change_lifecycle_stage(self.request(request))
            .await
            .unwrap();
        customer_id
    }

    pub(crate) async fn purchase(&self, customer_id: &str, n: u32) {
        let request = RecordPurchaseRequest {
            purchase: Some(Purchase {
                source: "till".to_owned(),
                source_id: format!("{customer_id}-{n}"),
                customer_id: customer_id.to_owned(),
                kind: PurchaseKind::Purchase.into(),
                occurred_time: Some(Timestamp {
                    seconds: 1_767_225_600 + i64::from(n),
                    nanos: 250_000_000,
                }),
                currency_code: "EUR".to_owned(),
                lines: vec![PurchaseLine {
                    sku: "A-1".to_owned(),
                    category: "shoes".to_owned(),
                    quantity: 1,
                    amount_minor: 100 + i64::from(n),
                    margin_minor: None,
                }],
                channel: "web".to_owned(),
                backfill: false,
            }),
        };
        let mut client = InteractionsServiceClient::new(self.interactions.clone());
        client.record_purchase(self.request(request)).await.unwrap();
    }

    /// Customers with purchases; their ids.
    pub(crate) async fn customers(&self, from: u32, customers: u32, purchases: u32) -> Vec<String> {
        let mut ids = Vec::new();
        for n in from..from + customers {
            let id = self.register(n).await;
            for purchase in 0..purchases {
                self.purchase(&id, purchase).await;
            }
            ids.push(id);
        }
        ids
    }
}
