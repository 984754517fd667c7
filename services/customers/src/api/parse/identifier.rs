//! Identifiers.

use contracts::customers::v1 as pb;
use service::status::Violations;

use crate::{
    domain::identifier::{
        Email, External, GivenIdentifier, Identifier, IdentifierType, InvalidExternal, PhoneText,
        Tckn, Vkn,
    },
    wire,
};

/// An identifier at `path` of the request.
pub(in crate::api) fn identifier(
    violations: &mut Violations,
    path: &str,
    message: Option<&pb::Identifier>,
) -> Option<GivenIdentifier> {
    let Some(message) = message else {
        violations.add(path, "must be given");
        return None;
    };
    let Some(type_) = wire::parse_identifier_type(message.r#type) else {
        violations.add(
            format!("{path}.type"),
            "must be an e-mail address, a telephone number, a TCKN, a VKN or an external id",
        );
        return None;
    };
    let value_path = format!("{path}.value");
    let system_path = format!("{path}.system");
    let needs_no_system = type_ == IdentifierType::External || message.system.is_empty();
    violations.check(
        needs_no_system,
        &system_path,
        "must be empty but for external ids",
    );
    match type_ {
        IdentifierType::Email => {
            let email = violations.parsed(&value_path, Email::parse(&message.value))?;
            Some(GivenIdentifier::Complete(Identifier::Email(email)))
        }
        IdentifierType::Phone => {
            let text = violations.parsed(&value_path, PhoneText::parse(&message.value))?;
            if !text.is_international() {
                return Some(GivenIdentifier::NationalPhone(text));
            }
            let phone = violations.parsed(&value_path, text.in_country(None))?;
            Some(GivenIdentifier::Complete(Identifier::Phone(phone)))
        }
        IdentifierType::Tckn => {
            let tckn = violations.parsed(&value_path, Tckn::parse(&message.value))?;
            Some(GivenIdentifier::Complete(Identifier::Tckn(tckn)))
        }
        IdentifierType::Vkn => {
            let vkn = violations.parsed(&value_path, Vkn::parse(&message.value))?;
            Some(GivenIdentifier::Complete(Identifier::Vkn(vkn)))
        }
        IdentifierType::External => match External::parse(&message.system, &message.value) {
            Ok(external) => Some(GivenIdentifier::Complete(Identifier::External(external))),
            Err(error) => {
                let path = match &error {
                    InvalidExternal::System => system_path,
                    InvalidExternal::Value(_) => value_path,
                };
                violations.add(path, error.to_string());
                None
            }
        },
    }
}
