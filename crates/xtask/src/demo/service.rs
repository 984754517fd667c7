//! The four services by name.

use serde::Serialize;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Customers,
    Interactions,
    Segmentation,
    Campaigns,
}

impl Service {
    /// In the order in which facts flow.
    pub(crate) const ALL: [Self; 4] = [
        Self::Customers,
        Self::Interactions,
        Self::Segmentation,
        Self::Campaigns,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Interactions => "interactions",
            Self::Segmentation => "segmentation",
            Self::Campaigns => "campaigns",
        }
    }

    /// Full name of the API in the protos.
    pub(crate) fn api(self) -> &'static str {
        match self {
            Self::Customers => "vefa.customers.v1.CustomersService",
            Self::Interactions => "vefa.interactions.v1.InteractionsService",
            Self::Segmentation => "vefa.segmentation.v1.SegmentationService",
            Self::Campaigns => "vefa.campaigns.v1.CampaignsService",
        }
    }
}

/// One value for each service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PerService<T> {
    pub(crate) customers: T,
    pub(crate) interactions: T,
    pub(crate) segmentation: T,
    pub(crate) campaigns: T,
}

impl<T> PerService<T> {
    /// Asks `value` for each; the first error ends it.
    pub(crate) fn try_new<E>(mut value: impl FnMut(Service) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            customers: value(Service::Customers)?,
            interactions: value(Service::Interactions)?,
            segmentation: value(Service::Segmentation)?,
            campaigns: value(Service::Campaigns)?,
        })
    }

    pub(crate) fn of(&self, service: Service) -> &T {
        match service {
            Service::Customers => &self.customers,
            Service::Interactions => &self.interactions,
            Service::Segmentation => &self.segmentation,
            Service::Campaigns => &self.campaigns,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Service, &T)> {
        Service::ALL
            .into_iter()
            .map(|service| (service, self.of(service)))
    }
}
