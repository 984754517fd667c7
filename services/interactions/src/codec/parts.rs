//! What the events and the API have in common: lines, kinds, channels, directions.

use contracts::interactions::v1 as pb;

use crate::domain::{
    lines::Line,
    purchase::PurchaseKind,
    touchpoint::{Direction, TouchpointChannel},
};

/// A line as it was recorded or sent; nothing is checked.
pub(crate) fn line(line: pb::PurchaseLine) -> Line {
    Line {
        sku: line.sku,
        category: line.category,
        quantity: line.quantity,
        amount_minor: line.amount_minor,
        margin_minor: line.margin_minor,
    }
}

pub(crate) fn line_message(line: &Line) -> pb::PurchaseLine {
    pb::PurchaseLine {
        sku: line.sku.clone(),
        category: line.category.clone(),
        quantity: line.quantity,
        amount_minor: line.amount_minor,
        margin_minor: line.margin_minor,
    }
}

/// `None` when not given or not known.
pub(crate) fn purchase_kind(kind: i32) -> Option<PurchaseKind> {
    match pb::PurchaseKind::try_from(kind).ok()? {
        pb::PurchaseKind::Unspecified => None,
        pb::PurchaseKind::Purchase => Some(PurchaseKind::Purchase),
        pb::PurchaseKind::Return => Some(PurchaseKind::Return),
    }
}

pub(crate) fn purchase_kind_message(kind: PurchaseKind) -> pb::PurchaseKind {
    match kind {
        PurchaseKind::Purchase => pb::PurchaseKind::Purchase,
        PurchaseKind::Return => pb::PurchaseKind::Return,
    }
}

/// `None` when not given or not known.
pub(crate) fn channel(channel: i32) -> Option<TouchpointChannel> {
    Some(match pb::TouchpointChannel::try_from(channel).ok()? {
        pb::TouchpointChannel::Unspecified => return None,
        pb::TouchpointChannel::Letter => TouchpointChannel::Letter,
        pb::TouchpointChannel::Report => TouchpointChannel::Report,
        pb::TouchpointChannel::Email => TouchpointChannel::Email,
        pb::TouchpointChannel::Message => TouchpointChannel::Message,
        pb::TouchpointChannel::Call => TouchpointChannel::Call,
        pb::TouchpointChannel::Meeting => TouchpointChannel::Meeting,
        pb::TouchpointChannel::Visit => TouchpointChannel::Visit,
        pb::TouchpointChannel::Shop => TouchpointChannel::Shop,
        pb::TouchpointChannel::Web => TouchpointChannel::Web,
        pb::TouchpointChannel::Social => TouchpointChannel::Social,
        pb::TouchpointChannel::Review => TouchpointChannel::Review,
    })
}

pub(crate) fn channel_message(channel: TouchpointChannel) -> pb::TouchpointChannel {
    match channel {
        TouchpointChannel::Letter => pb::TouchpointChannel::Letter,
        TouchpointChannel::Report => pb::TouchpointChannel::Report,
        TouchpointChannel::Email => pb::TouchpointChannel::Email,
        TouchpointChannel::Message => pb::TouchpointChannel::Message,
        TouchpointChannel::Call => pb::TouchpointChannel::Call,
        TouchpointChannel::Meeting => pb::TouchpointChannel::Meeting,
        TouchpointChannel::Visit => pb::TouchpointChannel::Visit,
        TouchpointChannel::Shop => pb::TouchpointChannel::Shop,
        TouchpointChannel::Web => pb::TouchpointChannel::Web,
        TouchpointChannel::Social => pb::TouchpointChannel::Social,
        TouchpointChannel::Review => pb::TouchpointChannel::Review,
    }
}

/// `None` when not given or not known.
pub(crate) fn direction(direction: i32) -> Option<Direction> {
    match pb::Direction::try_from(direction).ok()? {
        pb::Direction::Unspecified => None,
        pb::Direction::Inbound => Some(Direction::Inbound),
        pb::Direction::Outbound => Some(Direction::Outbound),
    }
}

pub(crate) fn direction_message(direction: Direction) -> pb::Direction {
    match direction {
        Direction::Inbound => pb::Direction::Inbound,
        Direction::Outbound => pb::Direction::Outbound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_contract_comes_back_and_no_other() {
        for n in 1..=11 {
            assert_eq!(
                channel(n).map(|channel| channel_message(channel) as i32),
                Some(n)
            );
        }
        for n in 1..=2 {
            assert_eq!(
                direction(n).map(|direction| direction_message(direction) as i32),
                Some(n)
            );
            assert_eq!(
                purchase_kind(n).map(|kind| purchase_kind_message(kind) as i32),
                Some(n)
            );
        }
        for n in [-1, 0, 12] {
            assert_eq!(
                (channel(n), direction(n), purchase_kind(n)),
                (None, None, None)
            );
        }
    }
}
