use proptest::prelude::*;

use super::{email::InvalidEmail, *};

fn email(text: &str) -> String {
    Email::parse(text).unwrap().as_str().to_owned()
}

fn phone(text: &str) -> Result<Phone, InvalidPhone> {
    PhoneText::parse(text)?.in_country(None)
}

fn country(code: &str) -> Country {
    Country::parse(code).unwrap()
}

#[test]
fn emails_that_differ_in_case_or_script_of_the_domain_are_equal() {
    assert_eq!(
        email(" Ayse.YILMAZ+x@Example.COM "),
        "ayse.yilmaz+x@example.com"
    );
    assert_eq!(email("a@MÜNCHEN.de"), "a@xn--mnchen-3ya.de");
    assert_eq!(email("a@XN--MNCHEN-3YA.de"), "a@xn--mnchen-3ya.de");
    // The Kelvin sign is a k to a domain (UTS 46).
    assert_eq!(email("a@\u{212a}.com"), "a@k.com");
}

#[test]
fn refuses_what_is_no_email() {
    let long = format!("{}@example.com", "a".repeat(65));
    for (text, error) in [
        ("", InvalidEmail::NoDomain),
        ("ayse", InvalidEmail::NoDomain),
        ("@example.com", InvalidEmail::LocalPart),
        ("a b@example.com", InvalidEmail::LocalPart),
        ("a@b@example.com", InvalidEmail::LocalPart),
        (".a@example.com", InvalidEmail::LocalPart),
        ("a..b@example.com", InvalidEmail::LocalPart),
        ("\"a\"@example.com", InvalidEmail::LocalPart),
        ("şükrü@example.com", InvalidEmail::LocalPart),
        ("a@", InvalidEmail::Domain),
        ("a@localhost", InvalidEmail::Domain),
        ("a@example.com.", InvalidEmail::Domain),
        ("a@-example.com", InvalidEmail::Domain),
        ("a@exa_mple.com", InvalidEmail::Domain),
        ("a@127.0.0.1", InvalidEmail::Domain),
        ("a@[127.0.0.1]", InvalidEmail::Domain),
        ("a@b\n.com", InvalidEmail::Domain),
        (&long, InvalidEmail::TooLong),
        (&format!("a@{}", "b".repeat(100_000)), InvalidEmail::TooLong),
    ] {
        assert_eq!(Email::parse(text).err(), Some(error), "{text:?}");
    }
}

#[test]
fn a_number_is_the_same_however_it_is_written() {
    for text in [
        "+90 532 123 45 67",
        "+90(532)123-45-67",
        " +905321234567",
        "\u{ff0b}90 532 123 45 67",
    ] {
        assert_eq!(phone(text).unwrap().as_str(), "+905321234567", "{text:?}");
    }
    for text in ["0532 123 45 67", "532 123 45 67", "(0532) 1234567"] {
        let found = PhoneText::parse(text)
            .unwrap()
            .in_country(Some(&country("TR")))
            .unwrap();
        assert_eq!(found.as_str(), "+905321234567", "{text:?}");
    }
    // The international form means the same from everywhere.
    let found = PhoneText::parse("+49 30 123456")
        .unwrap()
        .in_country(Some(&country("TR")))
        .unwrap();
    assert_eq!(found.as_str(), "+4930123456");
}

#[test]
fn a_national_number_needs_a_country() {
    assert_eq!(
        phone("0532 123 45 67").err(),
        Some(InvalidPhone::CountryNeeded)
    );
    let text = PhoneText::parse("0532 123 45 67").unwrap();
    assert_eq!(
        text.in_country(Some(&country("AQ"))).err(),
        Some(InvalidPhone::CountryNeeded)
    );
}

#[test]
fn refuses_what_is_no_phone_number() {
    let long = format!("+{}", "1".repeat(99));
    for text in [
        "",
        "+",
        "call me",
        "+90 532",
        "+999 123 456 789",
        "+90 532 123 45 67 89 01",
        &long,
    ] {
        assert_eq!(
            phone(text).err(),
            Some(InvalidPhone::NotANumber),
            "{text:?}"
        );
    }
    assert_eq!(
        phone("+90 532 123 45 67 ext. 5").err(),
        Some(InvalidPhone::Extension)
    );
}

#[test]
fn an_external_id_keeps_its_case_and_its_system_does_not() {
    let external = External::parse(" CRM-1 ", " Abc/17 ").unwrap();
    assert_eq!((external.system(), external.value()), ("crm-1", "Abc/17"));
    for system in ["", "-crm", "a b", "müşteri", "a\0", &"a".repeat(65)] {
        assert_eq!(
            External::parse(system, "1").err(),
            Some(InvalidExternal::System),
            "{system:?}"
        );
    }
    for value in ["", "a\tb", &"a".repeat(129)] {
        assert!(
            matches!(
                External::parse("crm", value),
                Err(InvalidExternal::Value(_))
            ),
            "{value:?}"
        );
    }
}

#[test]
fn an_identifier_does_not_show_in_debug_output() {
    let identifier = Identifier::Email(Email::parse("ayse@example.com").unwrap());
    assert_eq!(format!("{identifier:?}"), "Identifier(Email, ..)");
}

proptest! {
    #[test]
    fn a_normalised_email_is_its_own_normal_form(
        local in "[A-Za-z0-9+_-]{1,20}(\\.[A-Za-z0-9]{1,10})?",
        domain in "[A-Za-z0-9çğıöşüİÇ]{1,20}\\.[a-zA-Z]{2,10}",
    ) {
        let email = Email::parse(&format!(" {local}@{domain} ")).unwrap();
        prop_assert!(email.as_str().is_ascii());
        prop_assert!(Email::parse(email.as_str()) == Ok(email.clone()));
        let capitals = format!("{}@{domain}", local.to_ascii_uppercase());
        let parsed = Email::parse(&capitals).unwrap();
        prop_assert_eq!(parsed.as_str(), email.as_str());
    }

    #[test]
    fn whatever_a_parser_takes_is_its_own_normal_form(text in "\\PC{0,60}", at in "[a-z+0-9.]{1,9}@[\\PC]{1,20}") {
        for text in [text, at] {
            if let Ok(email) = Email::parse(&text) {
                prop_assert!(Email::parse(email.as_str()) == Ok(email.clone()));
            }
            if let Ok(found) = phone(&text) {
                prop_assert!(phone(found.as_str()) == Ok(found));
            }
            if let Ok(external) = External::parse("crm", &text) {
                prop_assert!(External::parse(external.system(), external.value()) == Ok(external));
            }
        }
    }

    #[test]
    fn a_mobile_number_has_one_form_from_home_and_abroad(digits in "53[0-9]{8}", zero in "0?", gap in "[ .-]?") {
        let (prefix, rest) = digits.split_at(3);
        let home = PhoneText::parse(&format!("{zero}{prefix}{gap}{rest}")).unwrap();
        let home = home.in_country(Some(&country("TR"))).unwrap();
        prop_assert_eq!(home.as_str(), format!("+90{digits}"));
        let abroad = phone(&format!("+90{gap}{prefix}{gap}{rest}")).unwrap();
        prop_assert!(abroad == home);
        prop_assert!(phone(home.as_str()).unwrap() == home);
    }

    #[test]
    fn a_normalised_number_is_its_own_normal_form_in_every_country(
        country_code in prop::sample::select(vec!["DE", "US", "IT", "GB", "FR", "JP", "BR", "AU", "GA", "SM", "AR", "MX"]),
        digits in "[0-9]{6,12}",
    ) {
        if let Ok(found) = PhoneText::parse(&digits).unwrap().in_country(Some(&country(country_code))) {
            prop_assert!(found.as_str().starts_with('+') && found.as_str().len() <= 16);
            prop_assert!(phone(found.as_str()) == Ok(found));
        }
    }
}
