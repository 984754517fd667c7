//! Finds the events that cannot be applied, and applies the others.

use sqlx::PgConnection;

use super::{Fault, attempt, fault::tell, parked::Parked};
use crate::{
    broken,
    event::StoredEvent,
    projection::{Projection, ProjectionError},
};

/// How events are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As they come.
    Live,
    /// After they were parked.
    Replay,
    /// Rows alone.
    Derive,
}

/// How a batch was settled.
pub(super) struct Outcome<'a> {
    /// Events that were not applied, each with its error; an empty one for those that only wait behind another.
    pub(super) left: Vec<(&'a StoredEvent, String)>,
    /// The first event that is not known. Everything is to be taken back then.
    pub(super) unknown: Option<(usize, ProjectionError)>,
}

/// Applies events in order, halving what fails until the event is found at which it does. Its stream is added to `parked`, and what
/// comes behind it in its stream is left as well.
///
/// # Errors
/// When the world is at fault.
pub(super) async fn settle<'a, P: Projection>(
    projection: &P,
    mode: Mode,
    connection: &mut PgConnection,
    parked: &mut Parked,
    events: &'a [StoredEvent],
) -> Result<Outcome<'a>, ProjectionError> {
    let mut outcome = Outcome {
        left: Vec::new(),
        unknown: None,
    };
    let mut to_do = vec![(0, events.len())];
    while let Some((from, to)) = to_do.pop() {
        let (fresh, behind) = parked.split(&events[from..to]);
        if fresh.is_empty() {
            outcome.left.extend(behind);
            continue;
        }
        let Err(error) = attempt(projection, mode, connection, &fresh).await else {
            outcome.left.extend(behind);
            continue;
        };
        match Fault::of(&error) {
            Fault::World => return Err(error),
            Fault::Event | Fault::Unknown if to - from > 1 => {
                let middle = from.midpoint(to);
                to_do.push((middle, to));
                to_do.push((from, middle));
            }
            Fault::Event => {
                parked.add(&events[from]);
                outcome.left.push((&events[from], tell(&error)));
            }
            Fault::Unknown if broken::unknown() => {}
            Fault::Unknown => {
                outcome.unknown = Some((from, error));
                return Ok(outcome);
            }
        }
    }
    Ok(outcome)
}

/// The first event whose rows cannot be written, and why. Everything is to be taken back afterwards.
///
/// # Errors
/// When the world is at fault.
pub(crate) async fn first_fault<'a, P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    events: &'a [StoredEvent],
) -> Result<Option<(&'a StoredEvent, String)>, ProjectionError> {
    let mut parked = Parked::default();
    let settled = settle(projection, Mode::Derive, connection, &mut parked, events).await?;
    let unknown = settled
        .unknown
        .map(|(index, error)| (&events[index], tell(&error)));
    Ok(settled.left.into_iter().next().or(unknown))
}
