//! The CDNOW sample, on which the published figures rest, for the tests of the models.

use time::{Date, Month};

use super::{Purchase, Spend, Summary, Triple, summarise};

const ROWS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../data/cdnow_sample.txt"
));

/// 1997-09-30, after 39 weeks.
pub(super) fn calibration_end_day() -> i32 {
    julian_day("19970930")
}

/// 1998-06-30, the last day of the data.
pub(super) fn last_day() -> i32 {
    julian_day("19980630")
}

/// Everyone's purchases, a customer after another, in the order of the file.
pub(super) fn histories() -> Vec<Vec<Purchase>> {
    let rows: Vec<(&str, Purchase)> = ROWS.lines().map(parse).collect();
    rows.chunk_by(|a, b| a.0 == b.0)
        .map(|rows| rows.iter().map(|(_, purchase)| *purchase).collect())
        .collect()
}

/// Everyone's history up to the end of calibration.
pub(super) fn summaries() -> Vec<Summary> {
    histories()
        .iter()
        .map(|history| summarise(history, calibration_end_day()).unwrap())
        .collect()
}

/// What the purchase models are fitted to.
pub(super) fn triples() -> Vec<Triple> {
    summaries().iter().map(|summary| summary.triple).collect()
}

/// What the Gamma-Gamma model is fitted to, in dollars.
pub(super) fn spends() -> Vec<Spend> {
    summaries()
        .iter()
        .filter_map(|summary| summary.spend(100.0).ok())
        .collect()
}

fn parse(row: &str) -> (&str, Purchase) {
    let columns: Vec<&str> = row.split_whitespace().collect();
    let [customer, _, date, _, dollars] = columns[..] else {
        panic!("five columns, not {row:?}");
    };
    let amount_minor = dollars.replace('.', "").parse().unwrap();
    let day = julian_day(date);
    (customer, Purchase { day, amount_minor })
}

fn julian_day(yyyymmdd: &str) -> i32 {
    let number: i32 = yyyymmdd.parse().unwrap();
    let month = Month::try_from(u8::try_from(number / 100 % 100).unwrap()).unwrap();
    Date::from_calendar_date(number / 10_000, month, u8::try_from(number % 100).unwrap())
        .unwrap()
        .to_julian_day()
}
