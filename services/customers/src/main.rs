//! The customers service as a process of its own.

use service::{ServiceName, process};

fn main() -> anyhow::Result<()> {
    Ok(process::run(ServiceName::Customers, customers::serve)?)
}
