//! Identifiers compared more loosely than a claim compares them: what two customers may share though each is the only owner of its own.

use crate::domain::identifier::{Email, Identifier};

/// Digits of a number that count: national and international form end in the same ten.
const DIGITS_MAX: usize = 10;
/// Fewer say nothing: a customer number of a shop is no telephone number.
const DIGITS_MIN: usize = 7;

/// The texts that an identifier gives; another that gives one of them may mean the same. Of another system's id, which may be anything, it is
/// the e-mail address or the number that it looks like.
///
/// An e-mail address gives itself without what stands behind a `+` (RFC 5233), and without dots at Google, who do not look at them. A number
/// gives its last ten digits, so that `0532 123 45 67` is `+905321234567`.
#[must_use]
pub(crate) fn loose_keys(identifier: &Identifier) -> Vec<String> {
    let key = match identifier {
        Identifier::Email(email) => Some(mailbox(email.as_str())),
        Identifier::Phone(_) | Identifier::Tckn(_) | Identifier::Vkn(_) => {
            digits(identifier.value())
        }
        Identifier::External(external) => match Email::parse(external.value()) {
            Ok(email) => Some(mailbox(email.as_str())),
            Err(_) => number(external.value()),
        },
    };
    key.into_iter().collect()
}

fn mailbox(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let local = match local.split_once('+') {
        Some((local, _)) if !local.is_empty() => local,
        Some(_) | None => local,
    };
    if matches!(domain, "gmail.com" | "googlemail.com") {
        format!("@{}@gmail.com", local.replace('.', ""))
    } else {
        format!("@{local}@{domain}")
    }
}

/// The digits of a text that has nothing else but what one writes between them.
fn number(text: &str) -> Option<String> {
    let is_number = text
        .chars()
        .all(|letter| letter.is_ascii_digit() || " +-.()/".contains(letter));
    is_number.then(|| digits(text)).flatten()
}

fn digits(text: &str) -> Option<String> {
    let all: String = text.chars().filter(char::is_ascii_digit).collect();
    let significant = all.trim_start_matches('0');
    let last = &significant[significant.len().saturating_sub(DIGITS_MAX)..];
    (last.len() >= DIGITS_MIN).then(|| last.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identifier::External;

    fn email(text: &str) -> Vec<String> {
        loose_keys(&Identifier::Email(Email::parse(text).unwrap()))
    }

    fn external(text: &str) -> Vec<String> {
        loose_keys(&Identifier::External(External::parse("crm", text).unwrap()))
    }

    fn phone(text: &str) -> Vec<String> {
        loose_keys(&Identifier::from_stored(
            crate::domain::identifier::IdentifierType::Phone,
            text.to_owned(),
            String::new(),
        ))
    }

    #[test]
    fn an_address_with_a_tag_is_the_address() {
        assert_eq!(email("ayse+shop@example.com"), email("Ayse@example.com"));
        assert_eq!(email("a.y.se@googlemail.com"), email("ayse@gmail.com"));
        assert_ne!(email("a.yse@example.com"), email("ayse@example.com"));
        assert_ne!(email("ayse@example.com"), email("ayse@example.org"));
        assert_ne!(email("+a@example.com"), email("+b@example.com"));
    }

    #[test]
    fn a_number_is_the_same_in_national_form() {
        for text in ["0532 123 45 67", "(532) 123-45-67", "00905321234567"] {
            assert_eq!(external(text), phone("+905321234567"), "{text}");
        }
        assert_eq!(external("ayse@example.com"), email("ayse@example.com"));
    }

    #[test]
    fn an_id_that_looks_like_nothing_is_shared_with_nobody() {
        for text in ["A-17", "123456", "0000001", "A5321234567"] {
            assert_eq!(external(text), Vec::<String>::new(), "{text}");
        }
    }
}
