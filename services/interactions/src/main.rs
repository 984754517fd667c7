//! The interactions service as a process of its own.

use service::{ServiceName, process};

fn main() -> anyhow::Result<()> {
    Ok(process::run(
        ServiceName::Interactions,
        interactions::serve,
    )?)
}
