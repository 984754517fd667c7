//! Why a line is not taken, as it is written for whoever repairs it. Never repeats what the line says.

use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::fields::{Column, Registration};

/// One thing that is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rejection {
    /// The column, or the part of the request where it is no single one; empty where it is the whole line.
    pub(super) column: String,
    /// The gRPC code.
    pub(super) code: String,
    /// What a program can act on.
    pub(super) reason: String,
    /// The same in words.
    pub(super) message: String,
}

impl Rejection {
    /// A field that cannot be put into a request.
    pub(super) fn field(column: &Column, message: &str) -> Self {
        Self::line("FIELD_VIOLATIONS", message).of_column(&column.to_string())
    }

    /// A line that cannot be read.
    pub(super) fn line(reason: &str, message: &str) -> Self {
        Self {
            column: String::new(),
            code: code_name(Code::InvalidArgument),
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn of_column(self, column: &str) -> Self {
        Self {
            column: column.to_owned(),
            ..self
        }
    }

    /// What the service has against a registration.
    pub(super) fn all_of(status: &Status, registration: &Registration) -> Vec<Self> {
        let reason = status
            .get_details_error_info()
            .map_or_else(String::new, |info| info.reason);
        let code = code_name(status.code());
        if let Some(bad) = status.get_details_bad_request() {
            let violations = bad.field_violations.into_iter();
            return violations
                .map(|violation| Self {
                    column: registration.column_of(&violation.field),
                    code: code.clone(),
                    reason: reason.clone(),
                    message: violation.description,
                })
                .collect();
        }
        let resource = status.get_details_resource_info();
        let (column, message) = match reason.as_str() {
            "IDENTIFIER_TAKEN" => (
                resource.map_or_else(String::new, |one| {
                    registration.column_of(&one.resource_name)
                }),
                "another customer has it, or another line of this file",
            ),
            "CUSTOMER_EXISTS" if registration.request.customer_id.is_empty() => (
                String::new(),
                "a line of this number was imported under this name, longer ago than request ids are kept, so that nobody can tell whether \
                 it said the same",
            ),
            "CUSTOMER_EXISTS" => ("customer_id".to_owned(), "another customer has it"),
            "REQUEST_ID_REUSED_WITH_OTHER_CONTENT" => (
                String::new(),
                "a line of this number was imported under this name and said something else; a file of its own needs a --name of its own",
            ),
            _ => (String::new(), status.message()),
        };
        vec![Self {
            column,
            code,
            reason,
            message: message.to_owned(),
        }]
    }
}

/// `ALREADY_EXISTS`, as gRPC writes it.
pub(super) fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_written_as_grpc_writes_them() {
        assert_eq!(code_name(Code::AlreadyExists), "ALREADY_EXISTS");
        assert_eq!(code_name(Code::Ok), "OK");
    }
}
