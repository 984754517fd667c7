//! JSON objects, one on each line.

use std::{fmt, io};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{Input, LINE_BYTES_MAX, Line, too_long};
use crate::import::{
    fields::{Column, KNOWN},
    rejection::Rejection,
};

pub(in crate::import) struct Objects {
    input: Input,
    /// Of what was read last.
    line: u64,
}

impl Objects {
    pub(super) fn new(input: Input) -> Self {
        Self { input, line: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let Some(text) = self.read_line()? else {
                return Ok(None);
            };
            let content = match &text {
                None => Err(vec![too_long()]),
                Some(text) if text.trim_ascii().is_empty() => continue,
                Some(text) => fields(text),
            };
            return Ok(Some(Line {
                number: self.line,
                content,
            }));
        }
    }

    /// The next line without its end; none at the end of the file, and within it nothing of a line that is too long.
    fn read_line(&mut self) -> io::Result<Option<Option<Vec<u8>>>> {
        let (mut text, mut fits, mut any) = (Vec::new(), true, false);
        loop {
            let available = self.input.fill_buf()?;
            if available.is_empty() {
                break;
            }
            any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            fits = fits && text.len() + part.len() <= LINE_BYTES_MAX;
            if fits {
                text.extend_from_slice(part);
            }
            let read = end.map_or(available.len(), |end| end + 1);
            self.input.consume(read);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.line += 1;
        Ok(Some(fits.then_some(text)))
    }
}

/// The members of an object in their order; a name that stands twice is there twice.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reads;
        impl<'de> Visitor<'de> for Reads {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reads)
    }
}

fn fields(text: &[u8]) -> Result<Vec<(Column, String)>, Vec<Rejection>> {
    let text = std::str::from_utf8(text)
        .map_err(|_| vec![Rejection::line("INVALID_UTF8", "is not UTF-8")])?;
    let Members(members) = serde_json::from_str(text).map_err(|error| {
        // Its own words may repeat what the line says.
        let message = format!("is no JSON object, at character {}", error.column());
        vec![Rejection::line("INVALID_JSON", &message)]
    })?;
    let mut fields: Vec<(Column, String)> = Vec::new();
    let mut wrong = Vec::new();
    for (name, value) in members {
        let mut reject = |reason, message: &str| {
            wrong.push(Rejection::line(reason, message).of_column(&name));
        };
        let Some(column) = Column::parse(&name) else {
            reject(
                "UNKNOWN_COLUMN",
                &format!("is not known; known are {KNOWN}"),
            );
            continue;
        };
        match value {
            _ if fields.iter().any(|(other, _)| *other == column) => {
                reject("FIELD_VIOLATIONS", "stands twice");
            }
            Value::Null => {}
            Value::String(value) => fields.push((column, value)),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                reject("FIELD_VIOLATIONS", "must be a text");
            }
        }
    }
    if wrong.is_empty() {
        Ok(fields)
    } else {
        Err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(text: &[u8]) -> Vec<Line> {
        let mut objects = Objects::new(Box::new(Cursor::new(text.to_vec())));
        let mut lines = Vec::new();
        while let Some(line) = objects.next().unwrap() {
            lines.push(line);
        }
        lines
    }

    #[test]
    fn reads_what_can_be_read_and_says_of_the_rest_what_is_wrong() {
        let long = format!(r#"{{"given_name":"{}"}}"#, "x".repeat(LINE_BYTES_MAX));
        let text = [
            b"{\"kind\":\"person\",\"email\":null}\r".as_slice(),
            b"",
            br#"{"kind":"person","kind":"business","shoe":"42","phone":5}"#,
            long.as_bytes(),
            b"{\"kind\":\"\xff\"}",
            b"[1]",
        ]
        .join(&b'\n');
        let lines = read(&text);
        assert_eq!(
            lines[0].content,
            Ok(vec![(Column::Kind, "person".to_owned())])
        );
        let wrong: Vec<(u64, String)> = lines[1..]
            .iter()
            .flat_map(|line| {
                let wrong = line.content.as_ref().unwrap_err().iter();
                wrong.map(|one| (line.number, format!("{}:{}", one.column, one.reason)))
            })
            .collect();
        let expected = [
            (3, "kind:FIELD_VIOLATIONS"),
            (3, "shoe:UNKNOWN_COLUMN"),
            (3, "phone:FIELD_VIOLATIONS"),
            (4, ":LINE_TOO_LONG"),
            (5, ":INVALID_UTF8"),
            (6, ":INVALID_JSON"),
        ]
        .map(|(line, what)| (line, what.to_owned()));
        assert_eq!(wrong, expected);
    }
}
