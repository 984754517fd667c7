use super::*;
use crate::domain::{
    Name,
    address::{Address, AddressType},
};

fn name_of(text: &str) -> Option<Name> {
    (!text.is_empty()).then(|| Name::parse(text).unwrap())
}

fn person(given: &str, family: &str) -> Party {
    Party::new(Kind::Person, &profile(given, family))
}

fn profile(given: &str, family: &str) -> Profile {
    Profile {
        given_name: name_of(given),
        family_name: name_of(family),
        country: Some(Country::parse("TR").unwrap()),
        ..Profile::default()
    }
}

fn born(date: &str) -> Party {
    let profile = Profile {
        birth_date: BirthDate::from_stored(date),
        ..profile("Ayşe", "Yılmaz")
    };
    Party::new(Kind::Person, &profile)
}

fn living_at(line: &str, postal_code: &str) -> Party {
    let address = |line, postal_code| Address {
        type_: AddressType::Any,
        lines: name_of(line).into_iter().collect(),
        locality: name_of("Kadıköy"),
        administrative_area: None,
        postal_code: name_of(postal_code),
        country: Country::parse("TR").unwrap(),
    };
    let addresses = [
        address("Atatürk Bulvarı 190", "06680"),
        address(line, postal_code),
    ];
    let profile = Profile {
        addresses: Addresses::of(addresses[usize::from(line.starts_with("Moda"))..].to_vec()),
        ..profile("Ayşe", "Yılmaz")
    };
    Party::new(Kind::Person, &profile)
}

fn score(one: &Party, two: &Party) -> f64 {
    one.likeness(two, false, 1).unwrap().score
}

/// Winkler 1990, as its author publishes it (table 2 of the Census Bureau's report RR91/9, to three digits).
#[test]
fn the_similarity_is_the_published_one() {
    for (one, two, published) in [
        ("shackleford", "shackelford", 0.982),
        ("dunningham", "cunnigham", 0.896),
        ("martha", "marhta", 0.961),
        ("jones", "johnson", 0.832),
        ("dixon", "dicksonx", 0.813),
    ] {
        let found = jaro_winkler(one, two);
        assert!((found - published).abs() < 0.000_6, "{one}, {two}: {found}");
    }
}

#[test]
fn the_score_falls_with_every_difference() {
    let ayse = person("Ayşe", "Yılmaz");
    let scores = [
        score(&ayse, &person("AYSE", "YILMAZ")),
        score(&ayse, &person("Ayşe", "Yılmez")),
        score(&ayse, &person("Fatma", "Yılmaz")),
        score(&ayse, &person("Fatma", "Kaya")),
    ];
    assert!(scores.is_sorted_by(|one, two| one > two), "{scores:?}");
    assert!(scores[0] > 0.9 && scores[2] < 0.1, "{scores:?}");
}

#[test]
fn names_in_the_wrong_fields_agree() {
    let found = person("Ayşe", "Yılmaz")
        .likeness(&person("Yılmaz", "Ayşe"), false, 1)
        .unwrap();
    assert!(found.score > 0.9, "{found:?}");
    assert_eq!(found.reasons[0].agreement, Agreement::Same);
}

#[test]
fn a_name_that_many_bear_says_little() {
    let mehmet = person("Mehmet", "Yılmaz");
    let rare = mehmet.likeness(&mehmet, false, 1).unwrap().score;
    let common = mehmet.likeness(&mehmet, false, 300).unwrap().score;
    assert!(rare > 0.9 && common < 0.2, "{rare}, {common}");
}

#[test]
fn an_identifier_in_common_weighs_more_than_another_spelling_of_the_name() {
    let mehmet = person("Mehmet", "Yılmaz");
    let found = mehmet
        .likeness(&person("Memed", "Yılmaz"), true, 1)
        .unwrap();
    assert!(found.score > 0.99, "{found:?}");
    assert_eq!(found.reasons[0].compared, Compared::Identifiers);
}

#[test]
fn what_sounds_alike_is_told() {
    let found = person("Recep", "Wural")
        .likeness(&person("Receb", "Vural"), false, 1)
        .unwrap();
    let family = found
        .reasons
        .iter()
        .find(|reason| reason.compared == Compared::FamilyName)
        .unwrap();
    assert_eq!(family.agreement, Agreement::SoundsAlike);
}

#[test]
fn a_person_is_no_business() {
    let person = person("Ayşe", "Yılmaz");
    let business = Party::new(Kind::Business, &Profile::default());
    assert_eq!(person.likeness(&business, true, 1), None);
}

#[test]
fn what_is_not_known_says_nothing() {
    let found = person("Ayşe", "Yılmaz")
        .likeness(&person("Ayşe", ""), false, 1)
        .unwrap();
    let compared: Vec<_> = found.reasons.iter().map(|reason| reason.compared).collect();
    assert_eq!(compared, [Compared::GivenName, Compared::Country]);
}

#[test]
fn the_date_of_birth_tells_namesakes_apart() {
    let one = born("1990-05-12");
    let namesakes = person("Ayşe", "Yılmaz");
    let scores = [
        score(&one, &born("1990-05-12")),
        score(&one, &born("1990-12-05")),
        score(&one, &namesakes),
        score(&one, &born("1961-08-30")),
    ];
    assert!(scores.is_sorted_by(|one, two| one > two), "{scores:?}");
    assert!(scores[0] > 0.999 && scores[3] < 0.5, "{scores:?}");
}

#[test]
fn of_several_addresses_the_two_that_agree_best_count() {
    let compared = |one: &Party, two: &Party| {
        let likeness = one.likeness(two, false, 1).unwrap();
        let mut reasons = likeness.reasons.into_iter();
        let reason = reasons.find(|reason| reason.compared == Compared::Addresses);
        reason.unwrap().agreement
    };
    let moda = living_at("Moda Cad. 7", "34710");
    let two_addresses = living_at("Bahariye Cad. 12", "34710");
    for (other, agreement) in [
        (living_at("MODA CAD. 7", "34710"), Agreement::Same),
        (living_at("Moda Cad. 17", "34710"), Agreement::Similar),
        (two_addresses, Agreement::Different),
    ] {
        assert_eq!(compared(&moda, &other), agreement, "{other:?}");
    }
    let ataturk = living_at("Atatürk Bulvarı 190", "06680");
    assert_eq!(compared(&ataturk, &living_at("x", "1")), Agreement::Same);
}
