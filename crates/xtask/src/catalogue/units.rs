//! Units of the fields that hold numbers. A name ends with its unit where there is one; the rest is listed here, so that a new number
//! cannot come without anybody having asked what it counts.

/// Units by the last words of a field's name.
const BY_ENDING: [(&str, &str); 18] = [
    ("minor", "minor units of the currency"),
    ("weeks", "weeks"),
    ("days", "days"),
    ("share", "share, 0 to 1"),
    ("version", "version, from 1"),
    ("score", "score, 1 to 5"),
    ("customers", "customers"),
    ("audience", "customers"),
    ("purchases", "purchases"),
    ("quantity", "pieces"),
    ("p_alive", "probability, 0 to 1"),
    ("draw", "in [0, 1)"),
    ("frequency_cut_points", "purchase days"),
    ("alpha", "weeks"),
    ("beta", "weeks"),
    ("gamma", "units of the currency"),
    ("log_likelihood", NONE),
    ("seed", NONE),
];

/// Parameters of the value models that have no unit.
const PARAMETERS: [&str; 6] = ["a", "b", "p", "q", "r", "s"];

/// What a number without a unit is said to be in.
const NONE: &str = "";

/// The unit of a number; `None` when nobody has said what it counts, `Some(None)` when it has no unit.
pub(super) fn of_number(name: &str) -> Option<Option<&'static str>> {
    if PARAMETERS.contains(&name) {
        return Some(None);
    }
    let ends_with = |ending: &str| {
        name.strip_suffix(ending)
            .is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    BY_ENDING
        .iter()
        .find(|(ending, _)| ends_with(ending))
        .map(|(_, unit)| Some(*unit).filter(|unit| *unit != NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_end_of_the_name_by_whole_words() {
        assert_eq!(of_number("horizon_weeks"), Some(Some("weeks")));
        assert_eq!(
            of_number("monetary_cut_points_minor"),
            Some(Some("minor units of the currency"))
        );
        assert_eq!(of_number("seed"), Some(None));
        assert_eq!(of_number("r"), Some(None));
        assert_eq!(of_number("yesterdays"), None);
        assert_eq!(of_number("retries"), None);
    }
}
