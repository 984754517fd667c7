//! Customers by number: each is made from its number alone, so that a question about one needs no list of them. A few names are borne by
//! many and many by few, as in life.

use contracts::customers::v1::{
    CustomerKind, Identifier, IdentifierType, Profile, RegisterCustomerRequest,
};
use prost_types::Timestamp;
use uuid::Uuid;

/// Turkish names, the most frequent first.
const GIVEN: [&str; 40] = [
    "Mehmet",
    "Fatma",
    "Mustafa",
    "Ayşe",
    "Ahmet",
    "Emine",
    "Ali",
    "Hatice",
    "Hüseyin",
    "Zeynep",
    "Hasan",
    "Elif",
    "İbrahim",
    "Meryem",
    "İsmail",
    "Şerife",
    "Osman",
    "Zehra",
    "Yusuf",
    "Sultan",
    "Murat",
    "Hanife",
    "Ömer",
    "Merve",
    "Ramazan",
    "Havva",
    "Halil",
    "Zeliha",
    "Süleyman",
    "Esra",
    "Abdullah",
    "Fadime",
    "Mahmut",
    "Özlem",
    "Recep",
    "Hacer",
    "Salih",
    "Yasemin",
    "Işıl",
    "Çağrı",
];
const FAMILY: [&str; 40] = [
    "Yılmaz",
    "Kaya",
    "Demir",
    "Çelik",
    "Şahin",
    "Yıldız",
    "Yıldırım",
    "Öztürk",
    "Aydın",
    "Özdemir",
    "Arslan",
    "Doğan",
    "Kılıç",
    "Aslan",
    "Çetin",
    "Kara",
    "Koç",
    "Kurt",
    "Özkan",
    "Şimşek",
    "Polat",
    "Korkmaz",
    "Çakır",
    "Erdoğan",
    "Yavuz",
    "Can",
    "Acar",
    "Şen",
    "Aktaş",
    "Güler",
    "Yalçın",
    "Güneş",
    "Bozkurt",
    "Bulut",
    "Keskin",
    "Ünal",
    "Turan",
    "Gül",
    "Özer",
    "Işık",
];
const SYLLABLES: [&str; 32] = [
    "ak", "al", "bay", "ber", "bul", "can", "çel", "dem", "der", "doğ", "er", "gün", "gür", "han",
    "ka", "kan", "kar", "koç", "kut", "men", "nur", "oğ", "öz", "pek", "sar", "soy", "şen", "taş",
    "tek", "tür", "ün", "yıl",
];

/// 2024-01-01, and how long customers have come since.
const EPOCH_S: i64 = 1_704_067_200;
const SPAN_S: u64 = 2 * 365 * 86_400;

/// A number drawn for `n`, another one for each purpose (splitmix64: Steele, Lea, Flood 2014).
pub(super) fn drawn(n: u64, purpose: u64) -> u64 {
    let mut z = n
        .wrapping_add(purpose << 48)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub(super) fn id(n: u64) -> Uuid {
    Uuid::from_u64_pair(drawn(n, 1), n)
}

/// One of a list, the first of them some six times in a hundred and the last once: with the shares below, the most frequent given name is borne by two of a hundred
/// customers and the most frequent family name by one.
fn frequent(of: &[&'static str], drawn: u64) -> &'static str {
    let share = |rank: usize| 1.0 / (rank + 10) as f64;
    let all: f64 = (0..of.len()).map(share).sum();
    let mut left = (drawn % 1_000_000) as f64 / 1e6 * all;
    for (rank, name) in of.iter().enumerate() {
        left -= share(rank);
        if left < 0.0 {
            return name;
        }
    }
    of[0]
}

fn composed(syllables: usize, mut drawn: u64) -> String {
    let mut name = String::new();
    for _ in 0..syllables {
        name.push_str(SYLLABLES[(drawn % 32) as usize]);
        drawn /= 32;
    }
    name
}

fn given(n: u64) -> String {
    match drawn(n, 2) % 10 {
        0..=2 => frequent(&GIVEN, drawn(n, 3)).to_owned(),
        _ => composed(2, drawn(n, 3)),
    }
}

/// Three of twenty bear one of the frequent names, the others one of some 30,000.
fn family(n: u64) -> String {
    match drawn(n, 4) % 20 {
        0..=2 => frequent(&FAMILY, drawn(n, 5)).to_owned(),
        _ => composed(3, drawn(n, 5)),
    }
}

pub(super) fn registration(n: u64) -> RegisterCustomerRequest {
    let country = if drawn(n, 6).is_multiple_of(20) {
        "DE"
    } else {
        "TR"
    };
    let email = Identifier {
        r#type: IdentifierType::Email.into(),
        value: format!("c{n}@example.com"),
        system: String::new(),
    };
    RegisterCustomerRequest {
        customer_id: id(n).to_string(),
        kind: CustomerKind::Person.into(),
        profile: Some(Profile {
            given_name: given(n),
            family_name: family(n),
            locale: "tr-TR".to_owned(),
            country_code: country.to_owned(),
            ..Profile::default()
        }),
        // An address is a stream of its own; of each tenth customer it is known.
        identifiers: n.is_multiple_of(10).then_some(email).into_iter().collect(),
        registered_time: Some(Timestamp {
            seconds: registered_s(n),
            nanos: 0,
        }),
        ..RegisterCustomerRequest::default()
    }
}

fn registered_s(n: u64) -> i64 {
    EPOCH_S + i64::try_from(drawn(n, 7) % SPAN_S).unwrap_or_default()
}

/// When the customer was registered, as a filter has it.
pub(super) fn registered(n: u64) -> Timestamp {
    Timestamp {
        seconds: registered_s(n),
        nanos: 0,
    }
}

/// What somebody types of a customer's name: two to four letters of the one, and often some of the other.
pub(super) fn beginning_of(n: u64) -> String {
    let how = drawn(n, 8);
    let letters = |name: String, count: u64| -> String {
        name.chars()
            .take(usize::try_from(count).unwrap_or_default())
            .collect()
    };
    let first = letters(family(n), 2 + how % 3);
    match how / 3 % 3 {
        0 => first,
        1 => format!("{} {first}", letters(given(n), 3)),
        _ => format!("{} {first}", given(n)),
    }
}

/// The name with two neighbouring letters exchanged in one of the two.
pub(super) fn misspelt(n: u64) -> String {
    let how = drawn(n, 8);
    let mut letters: Vec<char> = family(n).chars().collect();
    let at = usize::try_from(how).unwrap_or_default() % (letters.len() - 1);
    letters.swap(at, at + 1);
    let family: String = letters.into_iter().collect();
    if how.is_multiple_of(2) {
        family
    } else {
        format!("{} {family}", given(n))
    }
}
