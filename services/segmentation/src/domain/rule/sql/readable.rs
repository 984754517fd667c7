//! Values as a person reads them, for an explanation.

use super::super::expr::{Expr, Type};
use super::{Rep, Translator};

/// The years 1 to 9999, in microseconds since 1970.
const SHOWN_MICROS_MIN: i64 = -62_135_596_800_000_000;
const SHOWN_MICROS_MAX: i64 = 253_402_300_799_999_999;

impl Translator {
    /// The value as text for a person to read; null where it is missing.
    pub(in super::super) fn readable(&mut self, expr: &Expr) -> String {
        let sql = self.translate(expr);
        let moment = |timestamptz: &str| {
            format!(
                "to_char({timestamptz} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
            )
        };
        match (expr.ty, sql.rep) {
            (Type::Timestamp, Rep::Timestamptz) => moment(&sql.text),
            (Type::Timestamp, _) => {
                let shown = moment(&format!(
                    "('1970-01-01T00:00:00Z'::timestamptz + {}::float8 * interval '1 microsecond')",
                    sql.text
                ));
                format!(
                    "case when {} between {SHOWN_MICROS_MIN} and {SHOWN_MICROS_MAX} then {shown} else {}::text end",
                    sql.text, sql.text
                )
            }
            (Type::Duration, _) => format!("trim_scale({} / 1000000)::text || 's'", sql.text),
            (_, Rep::Numeric | Rep::Days) => {
                format!("trim_scale(round({}, 9))::text", sql.numeric())
            }
            (Type::Bool | Type::Int | Type::Double | Type::String, _) => {
                format!("{}::text", sql.text)
            }
        }
    }
}
