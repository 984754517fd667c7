//! Names folded for comparison: without case, without accents, as words.

use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

use crate::domain::{Name, profile::Profile};

/// Words of a name that are looked at; the rest is not searched.
const WORDS_MAX: usize = 8;
/// Letters of a word that are looked at.
pub(super) const WORD_CHARS_MAX: usize = 32;

/// The words of a name, folded, in their order. Names that differ only in case or accents have the same words.
///
/// The four i of Turkish (i, İ, ı, I) are one letter here: which of them a capital I stands for depends on the language of who wrote it, and
/// a search cannot know that. So `ISIL`, `ışıl` and `Isil` are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NameWords(Vec<String>);

impl NameWords {
    /// The words of a text.
    #[must_use]
    pub(crate) fn of(text: &str) -> Self {
        let mut all = Self::all_of(text);
        all.0.truncate(WORDS_MAX);
        all
    }

    /// All words of a text, however many they are.
    #[must_use]
    pub(crate) fn all_of(text: &str) -> Self {
        let folded = fold(text);
        let words = folded.split(|letter: char| !letter.is_alphanumeric());
        let words = words.filter(|word| !word.is_empty());
        Self(
            words
                .map(|word| word.chars().take(WORD_CHARS_MAX).collect())
                .collect(),
        )
    }

    /// The words of all names of a profile.
    #[must_use]
    pub(crate) fn of_profile(profile: &Profile) -> Self {
        let names = [
            &profile.given_name,
            &profile.family_name,
            &profile.legal_name,
        ];
        let mut all: Vec<String> = names
            .into_iter()
            .flatten()
            .flat_map(|name| Self::of(name.as_str()).0)
            .collect();
        all.truncate(WORDS_MAX);
        Self(all)
    }

    /// The words of one name, none of one that is not there.
    #[must_use]
    pub(crate) fn of_name(name: Option<&Name>) -> Self {
        name.map(|name| Self::of(name.as_str())).unwrap_or_default()
    }

    /// All words of several texts.
    #[must_use]
    pub(crate) fn of_names<'a>(names: impl Iterator<Item = &'a Name>) -> Self {
        Self(
            names
                .flat_map(|name| Self::all_of(name.as_str()).0)
                .collect(),
        )
    }

    /// The words.
    #[must_use]
    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The words as one text.
    #[must_use]
    pub(crate) fn joined(&self) -> String {
        self.0.join(" ")
    }

    /// The name begun at each of its words in turn, every word with a space behind it: `ayse nur `, `nur ayse `. Whatever word is looked for
    /// stands at the beginning of one of them, so that an ordered index finds it, and the others stand behind it.
    #[must_use]
    pub(crate) fn rotations(&self) -> Vec<String> {
        let mut all: Vec<String> = (0..self.0.len())
            .map(|first| {
                let (before, from) = self.0.split_at(first);
                let mut rotation = String::new();
                for word in from.iter().chain(before) {
                    rotation.push_str(word);
                    rotation.push(' ');
                }
                rotation
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Lowercase without accents. Compatibility forms (ﬁ, full width) become the plain ones, and an apostrophe joins what it stands between.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let lower = text.nfkd().flat_map(char::to_lowercase);
    // What becomes lowercase can have an accent of its own: İ gives i and a dot.
    for letter in lower.nfkd().filter(|letter| !is_combining_mark(*letter)) {
        match letter {
            'ı' => folded.push('i'),
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'þ' => folded.push_str("th"),
            '\'' | '’' | '‘' | 'ʼ' | '`' => {}
            letter => folded.push(letter),
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(text: &str) -> String {
        NameWords::of(text).joined()
    }

    #[test]
    fn case_and_accents_make_no_difference() {
        for text in [
            "ayse",
            "AYSE",
            "ayşe",
            "AYŞE",
            " Ayşe ",
            "Ay\u{15f}e",
            "Ays\u{327}e",
        ] {
            assert_eq!(joined(text), "ayse", "{text}");
        }
        assert_eq!(joined("Çağrı ÖZGÜR Âlî"), "cagri ozgur ali");
        assert_eq!(joined("Straße Łódź Ærø Ðorđe"), "strasse lodz aero dorde");
    }

    #[test]
    fn the_four_turkish_i_are_one_letter() {
        for text in ["ışıl", "IŞIL", "Isil", "İŞİL", "işil"] {
            assert_eq!(joined(text), "isil", "{text}");
        }
    }

    #[test]
    fn words_end_where_letters_end_but_not_at_an_apostrophe() {
        assert_eq!(
            NameWords::of("O'Neill-Şahin, A.Ş. (2)").0,
            ["oneill", "sahin", "a", "s", "2"]
        );
        assert_eq!(NameWords::of(" -- ").0, Vec::<String>::new());
    }

    #[test]
    fn long_names_are_cut() {
        let long = format!("{} {}", "ğ".repeat(100), "x ".repeat(20));
        let words = NameWords::of(&long);
        assert_eq!(words.0.len(), WORDS_MAX);
        assert_eq!(words.0[0], "g".repeat(WORD_CHARS_MAX));
    }

    #[test]
    fn a_rotation_begins_with_each_word() {
        assert_eq!(
            NameWords::of("Ayşe Nur Yılmaz").rotations(),
            ["ayse nur yilmaz ", "nur yilmaz ayse ", "yilmaz ayse nur "]
        );
        assert_eq!(NameWords::of("Duran Duran").rotations(), ["duran duran "]);
    }

    /// Letters of Turkish in both cases, those of others, and what stands between words.
    fn texts() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[a-zA-Zçğıöşüâîû ÇĞİÖŞÜÂÎÛßØé'.-]{0,24}").unwrap()
    }

    /// As Turkish writes it.
    fn turkish_upper(text: &str) -> String {
        text.replace('i', "İ").replace('ı', "I").to_uppercase()
    }

    fn turkish_lower(text: &str) -> String {
        text.replace('I', "ı").replace('İ', "i").to_lowercase()
    }

    proptest! {
        #[test]
        fn no_casing_of_any_language_changes_the_words(text in texts()) {
            let words = NameWords::of(&text);
            for cased in [text.to_lowercase(), text.to_uppercase(), turkish_lower(&text), turkish_upper(&text)] {
                prop_assert_eq!(NameWords::of(&cased), words.clone(), "{}", cased);
            }
        }

        #[test]
        fn folding_what_is_folded_changes_nothing(text in any::<String>()) {
            let words = NameWords::of(&text);
            prop_assert_eq!(NameWords::of(&words.joined()), words);
        }

        #[test]
        fn every_word_begins_a_rotation(text in texts()) {
            let words = NameWords::of(&text);
            let rotations = words.rotations();
            for word in words.as_slice() {
                let begun = format!("{word} ");
                prop_assert!(rotations.iter().any(|rotation| rotation.starts_with(&begun)));
            }
        }
    }
}
