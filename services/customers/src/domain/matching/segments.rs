//! Finding a word in spite of typing errors, by what is equal in an index.
//!
//! A word is cut into one segment more than the typing errors that it may have. Whatever the errors are, they leave one segment whole, and it stands
//! in the misspelt word near its own place (the pigeonhole principle: Li, Deng, Wang, Feng, "Pass-Join", PVLDB 5(3), 2011). So three rows for each
//! distinct word find all words with up to two errors, where the deletions of SymSpell would take about thirty.
//!
//! Two neighbours exchanged are one error (optimal string alignment: Damerau 1964), but touch two segments where they stand at a border. So
//! the word looked for is also taken with each pair of neighbours exchanged back, with one error less allowed.

use std::{collections::BTreeSet, ops::RangeInclusive};

use strsim::osa_distance;

use super::fold::WORD_CHARS_MAX;

/// How many typing errors a word of this length may have: fewer letters say less.
fn tolerance(chars: usize) -> usize {
    match chars {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// How many typing errors lie between what is looked for and a word; none where there are more than the word may have.
#[must_use]
pub(crate) fn typos(looked_for: &str, word: &str) -> Option<usize> {
    let errors = osa_distance(looked_for, word);
    (errors <= tolerance(word.chars().count())).then_some(errors)
}

/// The segments under which a word is found.
#[must_use]
pub(crate) fn segments(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let length = letters.len();
    places(length)
        .into_iter()
        .enumerate()
        .map(|(number, (start, end))| key(length, number, &letters[start..end]))
        .collect()
}

/// The segments of all words that may be meant.
#[must_use]
pub(crate) fn query_segments(looked_for: &str) -> BTreeSet<String> {
    let mut letters: Vec<char> = looked_for.chars().collect();
    let mut keys = BTreeSet::new();
    add(&mut keys, &letters, 0);
    for first in 1..letters.len() {
        letters.swap(first - 1, first);
        add(&mut keys, &letters, 1);
        letters.swap(first - 1, first);
    }
    keys
}

/// Adds the segments of all words that are at most as many errors away as they may have, less those that are `spent`.
fn add(keys: &mut BTreeSet<String>, letters: &[char], spent: usize) {
    let count = letters.len();
    for length in lengths(count) {
        let Some(errors) = tolerance(length).checked_sub(spent) else {
            continue;
        };
        if length.abs_diff(count) > errors {
            continue;
        }
        for (number, (start, end)) in places(length).into_iter().enumerate() {
            let chars = end - start;
            for moved in start.saturating_sub(errors)..=start + errors {
                if let Some(segment) = letters.get(moved..moved + chars) {
                    keys.insert(key(length, number, segment));
                }
            }
        }
    }
}

/// Lengths of words that may be meant by one of this length.
fn lengths(count: usize) -> RangeInclusive<usize> {
    count.saturating_sub(2).max(1)..=(count + 2).min(WORD_CHARS_MAX)
}

/// Where the segments of a word of this length begin and end.
fn places(length: usize) -> Vec<(usize, usize)> {
    let count = tolerance(length) + 1;
    (0..count)
        .map(|number| (number * length / count, (number + 1) * length / count))
        .collect()
}

fn key(length: usize, number: usize, segment: &[char]) -> String {
    let segment: String = segment.iter().collect();
    format!("{length}.{number}.{segment}")
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::Index};

    use super::*;

    fn finds(looked_for: &str, word: &str) -> bool {
        let keys = query_segments(looked_for);
        segments(word).iter().any(|segment| keys.contains(segment))
    }

    #[test]
    fn longer_words_may_have_more_errors() {
        assert_eq!(typos("ayse", "ayse"), Some(0));
        assert_eq!(typos("asye", "ayse"), Some(1));
        assert_eq!(typos("asey", "ayse"), None);
        assert_eq!(typos("yilmza", "yilmaz"), Some(1));
        assert_eq!(typos("ilmza", "yilmaz"), Some(2));
        assert_eq!(typos("al", "ay"), None);
    }

    #[test]
    fn a_word_has_one_segment_more_than_errors() {
        assert_eq!(segments("al"), ["2.0.al"]);
        assert_eq!(segments("ayse"), ["4.0.ay", "4.1.se"]);
        assert_eq!(segments("yilmaz"), ["6.0.yi", "6.1.lm", "6.2.az"]);
    }

    #[test]
    fn few_keys_are_asked_for() {
        let longest: String = ('a'..='z').chain('a'..='f').collect();
        assert!(query_segments("yilmaz").len() < 150);
        assert!(query_segments(&longest).len() < 700);
    }

    #[derive(Clone, Debug)]
    enum Error {
        Delete(Index),
        Insert(Index, char),
        Replace(Index, char),
        Exchange(Index),
    }

    /// Few letters, so that what is inserted often stands beside its like.
    fn letter() -> impl Strategy<Value = char> {
        prop::sample::select(vec!['a', 'b', 'c', 'y'])
    }

    fn error() -> impl Strategy<Value = Error> {
        prop_oneof![
            any::<Index>().prop_map(Error::Delete),
            (any::<Index>(), letter()).prop_map(|(at, letter)| Error::Insert(at, letter)),
            (any::<Index>(), letter()).prop_map(|(at, letter)| Error::Replace(at, letter)),
            any::<Index>().prop_map(Error::Exchange),
        ]
    }

    fn misspell(letters: &mut Vec<char>, error: &Error) {
        let count = letters.len();
        match error {
            Error::Delete(at) if count > 1 => {
                letters.remove(at.index(count));
            }
            Error::Insert(at, letter) => letters.insert(at.index(count + 1), *letter),
            Error::Replace(at, letter) => letters[at.index(count)] = *letter,
            Error::Exchange(at) if count > 1 => {
                let first = at.index(count - 1);
                letters.swap(first, first + 1);
            }
            Error::Delete(_) | Error::Exchange(_) => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn whatever_has_no_more_errors_than_allowed_is_found(
            letters in prop::collection::vec(letter(), 1..14),
            errors in prop::collection::vec(error(), 0..3),
        ) {
            let word: String = letters.iter().collect();
            let mut misspelt = letters;
            for error in &errors {
                misspell(&mut misspelt, error);
            }
            let looked_for: String = misspelt.iter().collect();
            if typos(&looked_for, &word).is_some() {
                prop_assert!(finds(&looked_for, &word), "{} for {}", looked_for, word);
            }
        }
    }
}
