//! What stands above a declaration in the protos.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;

/// The comments of all files, by file and by the path of what they stand above.
pub(super) struct Comments(HashMap<(String, Vec<i32>), String>);

/// Where a file's package stands in its descriptor.
const PACKAGE: [i32; 1] = [2];

impl Comments {
    pub(super) fn of(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.files() {
            let described = file.file_descriptor_proto().source_code_info.iter();
            for location in described.flat_map(|info| &info.location) {
                if let Some(comment) = &location.leading_comments {
                    let place = (file.name().to_owned(), location.path.clone());
                    comments.insert(place, comment.clone());
                }
            }
        }
        Self(comments)
    }

    /// The comment as it stands; empty where there is none.
    pub(super) fn at(&self, file: &str, path: &[i32]) -> &str {
        self.0
            .get(&(file.to_owned(), path.to_vec()))
            .map_or("", String::as_str)
    }

    /// What is said of a file as a whole.
    pub(super) fn of_package(&self, file: &str) -> &str {
        self.at(file, &PACKAGE)
    }
}

/// A comment in one line.
pub(super) fn line(comment: &str) -> String {
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the comment above an event says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) happened: String,
    pub(super) sent: String,
    pub(super) stream: String,
    pub(super) guaranteed: String,
}

/// The parts of an event's comment: what happened, then a paragraph for each of these.
const SENT: &str = "Sent: ";
const STREAM: &str = "Stream: ";
const GUARANTEED: &str = "Guaranteed: ";

impl Told {
    /// `Err` names the first part that is missing.
    pub(super) fn parse(comment: &str) -> Result<Self, &'static str> {
        let mut parts = HashMap::from([("", String::new())]);
        let mut part = "";
        for line in comment.lines().map(str::trim) {
            let label = [SENT, STREAM, GUARANTEED]
                .into_iter()
                .find(|label| line.starts_with(label));
            part = label.unwrap_or(part);
            let text = line.strip_prefix(part).unwrap_or(line);
            let so_far = parts.entry(part).or_default();
            so_far.push(' ');
            so_far.push_str(text);
        }
        let mut take = |label: &'static str, missing| {
            let text = parts.remove(label).map(|text| line(&text));
            text.filter(|text| !text.is_empty()).ok_or(missing)
        };
        Ok(Self {
            happened: take("", "what happened")?,
            sent: take(SENT, "a paragraph `Sent: `")?,
            stream: take(STREAM, "a paragraph `Stream: `")?,
            guaranteed: take(GUARANTEED, "a paragraph `Guaranteed: `")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMENT: &str = " Something\n happened.\n\n Sent: when it\n does.\n\n Stream: its own.\n\n Guaranteed: once.\n";

    #[test]
    fn an_events_comment_has_four_parts() {
        let told = Told {
            happened: "Something happened.".to_owned(),
            sent: "when it does.".to_owned(),
            stream: "its own.".to_owned(),
            guaranteed: "once.".to_owned(),
        };
        assert_eq!(Told::parse(COMMENT), Ok(told));
    }

    #[test]
    fn a_part_that_is_missing_is_named() {
        assert_eq!(Told::parse(""), Err("what happened"));
        let without = COMMENT.replace("Stream: its own.", "");
        assert_eq!(Told::parse(&without), Err("a paragraph `Stream: `"));
        let empty = COMMENT.replace("Guaranteed: once.", "Guaranteed: ");
        assert_eq!(Told::parse(&empty), Err("a paragraph `Guaranteed: `"));
    }
}
