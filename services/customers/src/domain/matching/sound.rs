//! How a word sounds, coarsely: what is often written for the same name gives the same text.
//!
//! Soundex (Russell, US patent 1,261,167, 1918) with classes for Turkish in place of those for English: a consonant at the end of a word or before
//! another loses its voice and is written either way (b/p, c/ç, d/t, g/k: Göksel and Kerslake, "Turkish", 2005, 2.1), so Mehmed is
//! Mehmet and Recep is Receb. Vowels, h and y are weak and often left out behind the first letter.

/// The sound of a folded word; empty for one without letters of the Latin alphabet.
#[must_use]
pub(crate) fn sound(word: &str) -> String {
    let mut sounds = String::new();
    let mut last = None;
    for (number, letter) in word.chars().enumerate() {
        let class = class_of(letter);
        match class {
            Some(class) => {
                if last != Some(class) {
                    sounds.push(class);
                }
                last = Some(class);
            }
            // A weak letter at the beginning is heard, whichever it is.
            None if number == 0 && is_weak(letter) => sounds.push('a'),
            // A double letter is one sound, but not with a vowel between.
            None => last = None,
        }
    }
    sounds
}

fn is_weak(letter: char) -> bool {
    letter.is_ascii_lowercase()
}

fn class_of(letter: char) -> Option<char> {
    Some(match letter {
        'b' | 'p' => 'p',
        'c' | 'j' => 'c',
        'd' | 't' => 't',
        'f' | 'v' | 'w' => 'v',
        'g' | 'k' | 'q' | 'x' => 'k',
        's' | 'z' => 's',
        'l' | 'm' | 'n' | 'r' => letter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_either_way_sounds_the_same() {
        for (one, other) in [
            ("mehmet", "mehmed"),
            ("recep", "receb"),
            ("murat", "murad"),
            ("mehmet", "memmet"),
            ("ayse", "aise"),
            ("yilmaz", "ylmaz"),
            ("huseyin", "husein"),
            ("vural", "wural"),
        ] {
            assert_eq!(sound(one), sound(other), "{one}, {other}");
        }
    }

    #[test]
    fn other_names_sound_otherwise() {
        for (one, other) in [
            ("mehmet", "ahmet"),
            ("ali", "veli"),
            ("kaya", "kara"),
            ("ayse", "fatma"),
        ] {
            assert_ne!(sound(one), sound(other), "{one}, {other}");
        }
    }

    #[test]
    fn what_has_no_latin_letters_has_no_sound() {
        assert_eq!(sound("李"), "");
        assert_eq!(sound(""), "");
        assert_eq!(sound("42"), "");
    }
}
