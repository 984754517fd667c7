//! The purchase history that the demo imports: `data/cdnow_sample.txt`, described in `data/README.md`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, bail};
use time::Date;
use time::macros::format_description;

use crate::workspace;

const FILE: &str = "data/cdnow_sample.txt";

/// One line of the file: what a customer bought in one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Number of the line, from 1. Lines may be equal to the letter, so nothing else tells orders apart.
    pub(crate) line: u32,
    /// Id of the customer in the full data set.
    pub(crate) customer: String,
    pub(crate) day: Date,
    /// CDs bought.
    pub(crate) quantity: i64,
    /// Cents.
    pub(crate) amount_minor: i64,
}

/// All orders, in the file's order: by customer, then by day.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) rows: Vec<Row>,
}

impl History {
    /// Reads the file; fails on the first line that is not as described.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let text = fs::read_to_string(workspace::root().join(FILE))
            .with_context(|| format!("reading {FILE}"))?;
        Self::parse(&text).with_context(|| format!("reading {FILE}"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let rows = text
            .lines()
            .zip(1_u32..)
            .map(|(text, line)| Row::parse(text, line).with_context(|| format!("line {line}")))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { rows })
    }

    /// Every customer with the day of the first purchase, ordered by id.
    pub(crate) fn customers(&self) -> BTreeMap<&str, Date> {
        let mut first_days = BTreeMap::new();
        for row in &self.rows {
            let first = first_days.entry(row.customer.as_str()).or_insert(row.day);
            *first = row.day.min(*first);
        }
        first_days
    }
}

impl Row {
    fn parse(text: &str, line: u32) -> anyhow::Result<Self> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [customer, _id_in_the_sample, day, quantity, dollars] = fields[..] else {
            bail!("five fields are expected, {} found", fields.len());
        };
        Ok(Self {
            line,
            customer: customer.to_owned(),
            day: Date::parse(day, format_description!("[year][month][day]"))
                .with_context(|| format!("the day {day:?}"))?,
            quantity: quantity
                .parse()
                .with_context(|| format!("the number of CDs {quantity:?}"))?,
            amount_minor: cents(dollars).with_context(|| format!("the amount {dollars:?}"))?,
        })
    }
}

/// Exactly: no binary fraction is involved.
fn cents(dollars: &str) -> Option<i64> {
    let (whole, fraction) = dollars.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if fraction.len() != 2 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let fraction: i64 = fraction.parse().ok()?;
    whole.checked_mul(100)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use time::macros::date;

    use super::*;

    #[test]
    fn the_file_is_the_published_sample() {
        let history = History::read().unwrap();
        let rows = &history.rows;
        let days: BTreeSet<_> = rows.iter().map(|row| (&row.customer, row.day)).collect();
        assert_eq!(rows.len(), 6_919);
        assert_eq!(history.customers().len(), 2_357);
        assert_eq!(days.len(), 6_696);
        assert_eq!(
            rows.iter().map(|row| row.amount_minor).sum::<i64>(),
            24_409_194
        );
        assert_eq!(rows.iter().filter(|row| row.amount_minor == 0).count(), 8);
        assert!(rows.iter().all(|row| row.quantity > 0));
    }

    #[test]
    fn reads_a_line_exactly() {
        let row = Row::parse(" 00004 0001 19970101  2   29.33\r", 1).unwrap();
        let expected = Row {
            line: 1,
            customer: "00004".to_owned(),
            day: date!(1997 - 01 - 01),
            quantity: 2,
            amount_minor: 2_933,
        };
        assert_eq!(row, expected);
    }

    #[test]
    fn a_customer_is_known_from_the_first_day_whatever_the_order_of_lines() {
        let text = "1 1 19970301 1 1.00\n1 1 19970201 1 1.00\n";
        let history = History::parse(text).unwrap();
        assert_eq!(history.customers()["1"], date!(1997 - 02 - 01));
    }

    #[test]
    fn refuses_amounts_that_are_not_dollars_and_cents() {
        assert_eq!(cents("0.00"), Some(0));
        assert_eq!(cents("506.97"), Some(50_697));
        for text in [
            "1",
            "1.5",
            "1.234",
            "-1.00",
            "+1.00",
            ".50",
            "1.x0",
            "99999999999999999.00",
        ] {
            assert_eq!(cents(text), None, "{text}");
        }
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let error = History::parse("1 1 19970101 1 1.00\n1 1 19970132 1 1.00\n").unwrap_err();
        assert_eq!(error.to_string(), "line 2");
    }
}
