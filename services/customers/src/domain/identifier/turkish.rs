//! National numbers of Türkiye, told from mistyped ones by their check digits.

/// Not a national number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidNumber {
    /// Other characters, or another number of them.
    #[error("must have {digits} digits{}", if *.digits == 11 { ", the first not 0" } else { "" })]
    Shape {
        /// Digits that it has.
        digits: usize,
    },
    /// A digit is wrong, or two have changed places.
    #[error("has wrong check digits")]
    CheckDigits,
}

/// Identity number of a person (T.C. kimlik numarası).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tckn(String);

impl Tckn {
    /// Parses 11 digits; white space around and between them is left out.
    ///
    /// The tenth digit is seven times the sum of the first, third, fifth, seventh and ninth less the sum of the second, fourth, sixth and eighth,
    /// the eleventh the sum of the first ten, both modulo 10 (Nüfus ve Vatandaşlık İşleri Genel Müdürlüğü).
    ///
    /// # Errors
    /// When it has another shape, or its check digits are wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidNumber> {
        let digits = digits::<11>(text)?;
        if digits[0] == 0 {
            return Err(InvalidNumber::Shape { digits: 11 });
        }
        let odd: i32 = digits[..9].iter().step_by(2).sum();
        let even: i32 = digits[1..8].iter().step_by(2).sum();
        let tenth = (7 * odd - even).rem_euclid(10);
        let eleventh = digits[..10].iter().sum::<i32>() % 10;
        if (digits[9], digits[10]) != (tenth, eleventh) {
            return Err(InvalidNumber::CheckDigits);
        }
        Ok(Self(text_of(&digits)))
    }

    /// Takes back what was parsed once and stored.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Tax number (vergi kimlik numarası).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Vkn(String);

impl Vkn {
    /// Parses 10 digits; white space around and between them is left out.
    ///
    /// Each of the first nine digits, counted from 9 down to 1, is taken with its count modulo 10, then times two to the power of its count modulo 9,
    /// where 9 stays 9; the tenth complements their sum to a multiple of 10 (Gelir İdaresi Başkanlığı).
    ///
    /// # Errors
    /// When it has another shape, or its check digit is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidNumber> {
        let digits = digits::<10>(text)?;
        let weighed = digits[..9]
            .iter()
            .zip((1..=9_u32).rev())
            .map(|(digit, count)| {
                let moved = (digit + count.cast_signed()) % 10;
                match moved {
                    9 => 9,
                    moved => moved * 2_i32.pow(count) % 9,
                }
            });
        let check = (10 - weighed.sum::<i32>() % 10) % 10;
        if digits[9] != check {
            return Err(InvalidNumber::CheckDigits);
        }
        Ok(Self(text_of(&digits)))
    }

    /// Takes back what was parsed once and stored.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The digits.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn digits<const COUNT: usize>(text: &str) -> Result<[i32; COUNT], InvalidNumber> {
    let digits: Option<Vec<i32>> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(10).map(u32::cast_signed))
        .collect();
    digits
        .and_then(|digits| digits.try_into().ok())
        .ok_or(InvalidNumber::Shape { digits: COUNT })
}

fn text_of(digits: &[i32]) -> String {
    digits.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers that pass, worked out by hand from the published rules.
    const TCKN: [&str; 2] = ["10000000146", "11111111110"];
    const VKN: [&str; 2] = ["1234567890", "4540536920"];

    #[test]
    fn takes_numbers_whose_check_digits_are_right() {
        for text in TCKN {
            assert_eq!(Tckn::parse(text).unwrap().as_str(), text);
        }
        for text in VKN {
            assert_eq!(Vkn::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Tckn::parse(" 100 000 001 46 ").unwrap().as_str(), TCKN[0]);
    }

    #[test]
    fn refuses_what_is_no_number() {
        let shape = |digits| Some(InvalidNumber::Shape { digits });
        for text in [
            "",
            "1000000014",
            "100000001466",
            "1000000014x",
            "01000000146",
            "1000000014٦",
        ] {
            assert_eq!(Tckn::parse(text).err(), shape(11), "{text}");
        }
        for text in ["", "123456789", "12345678900", "12345-7890"] {
            assert_eq!(Vkn::parse(text).err(), shape(10), "{text}");
        }
    }

    /// A number with one digit changed to another.
    fn mistyped(text: &str, place: usize, by: u32) -> String {
        let changed = |(at, character): (usize, char)| match character.to_digit(10) {
            Some(digit) if at == place => (digit + by) % 10,
            Some(digit) => digit,
            None => panic!("{text} is a number"),
        };
        let digits = text.chars().enumerate().map(changed);
        digits.map(|digit| digit.to_string()).collect()
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_always_found_in_an_identity_number(place in 1_usize..11, by in 1_u32..10) {
            for text in TCKN {
                let wrong = mistyped(text, place, by);
                prop_assert_eq!(Tckn::parse(&wrong).err(), Some(InvalidNumber::CheckDigits));
            }
        }

        #[test]
        fn a_wrong_check_digit_is_always_found_in_a_tax_number(by in 1_u32..10) {
            for text in VKN {
                let wrong = mistyped(text, 9, by);
                prop_assert_eq!(Vkn::parse(&wrong).err(), Some(InvalidNumber::CheckDigits));
            }
        }

        #[test]
        fn what_is_parsed_parses_to_itself(number in 0_u64..10_000_000_000) {
            let text = format!("{number:010}");
            if let Ok(vkn) = Vkn::parse(&text) {
                prop_assert_eq!(vkn.as_str(), text.as_str());
            }
        }
    }
}
