//! Records of a CSV file. `csv-core` parses; what is ours is the bound on a record's length, and the line on which it begins.

use std::io;

use csv_core::{ReadRecordResult, Reader};

use super::{Input, LINE_BYTES_MAX, Line, too_long};
use crate::import::{fields::Column, rejection::Rejection};

/// Most fields of a record; further ones make it too long.
const FIELDS_MAX: usize = 256;

pub(in crate::import) struct Records {
    input: Input,
    parser: Reader,
    /// Of what comes next.
    line: u64,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A record as it stands in the file.
pub(super) struct Record {
    pub(super) line: u64,
    /// None when it is too long.
    pub(super) values: Option<Vec<Vec<u8>>>,
}

impl Records {
    pub(super) fn new(input: Input) -> Self {
        Self {
            input,
            parser: Reader::new(),
            line: 1,
            bytes: vec![0; LINE_BYTES_MAX],
            ends: vec![0; FIELDS_MAX],
        }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        self.skip_line_ends()?;
        let line = self.line;
        let (mut length, mut fields, mut fits) = (0, 0, true);
        loop {
            let available = self.input.fill_buf()?;
            let (result, read, written, ended) = self.parser.read_record(
                available,
                &mut self.bytes[length..],
                &mut self.ends[fields..],
            );
            self.line += newlines(&available[..read]);
            self.input.consume(read);
            length += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    // The rest of it is read to find its end, and forgotten.
                    (length, fields, fits) = (0, 0, false);
                }
                ReadRecordResult::Record => {
                    let values = fits.then(|| self.values(fields));
                    return Ok(Some(Record { line, values }));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn values(&self, fields: usize) -> Vec<Vec<u8>> {
        let mut begin = 0;
        let ends = self.ends[..fields].iter();
        ends.map(|end| {
            let value = self.bytes[begin..*end].to_vec();
            begin = *end;
            value
        })
        .collect()
    }

    /// Empty lines, and the second half of the end of the line before, are no part of a record: it begins where its first field does.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let available = self.input.fill_buf()?;
            let ends = available
                .iter()
                .take_while(|byte| matches!(byte, b'\r' | b'\n'))
                .count();
            if ends == 0 {
                return Ok(());
            }
            self.line += newlines(&available[..ends]);
            self.input.consume(ends);
        }
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

impl Record {
    pub(super) fn into_line(self, columns: &[Column]) -> Line {
        let content = match self.values {
            None => Err(vec![too_long()]),
            Some(values) if values.len() != columns.len() => {
                let (has, needs) = (values.len(), columns.len());
                let message = format!("has {has} fields, and the header {needs}");
                Err(vec![Rejection::line("FIELD_COUNT", &message)])
            }
            Some(values) => texts(values, columns),
        };
        Line {
            number: self.line,
            content,
        }
    }
}

fn texts(
    values: Vec<Vec<u8>>,
    columns: &[Column],
) -> Result<Vec<(Column, String)>, Vec<Rejection>> {
    let mut fields = Vec::with_capacity(values.len());
    let mut wrong = Vec::new();
    for (column, value) in columns.iter().zip(values) {
        match String::from_utf8(value) {
            Ok(value) => fields.push((column.clone(), value)),
            Err(_) => wrong.push(
                Rejection::line("INVALID_UTF8", "is not UTF-8").of_column(&column.to_string()),
            ),
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
    use std::io::{BufReader, Cursor};

    use super::*;

    /// Lines and values of the records, read through a buffer of some size.
    fn records(text: &[u8], buffer_bytes: usize) -> Vec<(u64, Option<Vec<String>>)> {
        let input = BufReader::with_capacity(buffer_bytes, Cursor::new(text.to_vec()));
        let input = super::super::without_bom(Box::new(input)).unwrap();
        let mut records = Records::new(input);
        let mut found = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let texts = record.values.map(|values| {
                let texts = values.into_iter();
                texts
                    .map(|value| String::from_utf8_lossy(&value).into_owned())
                    .collect()
            });
            found.push((record.line, texts));
        }
        found
    }

    fn of(line: u64, values: &[&str]) -> (u64, Option<Vec<String>>) {
        let values = values.iter().map(ToString::to_string);
        (line, Some(values.collect()))
    }

    #[test]
    fn knows_the_line_on_which_each_record_begins() {
        let text = "\u{feff}a,b\r\n1,2\r\n\r\n\"x\r\ny\",\"say \"\"so\"\"\"\r\n3,4";
        let expected = [
            of(1, &["a", "b"]),
            of(2, &["1", "2"]),
            of(4, &["x\r\ny", "say \"so\""]),
            of(6, &["3", "4"]),
        ];
        for buffer_bytes in [3, 4, 7, 8192] {
            assert_eq!(records(text.as_bytes(), buffer_bytes), expected);
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_passed_over_and_the_next_one_read() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        let many = ",".repeat(FIELDS_MAX);
        let text = format!("a,b\n{long},1\n2,3\n{many}\n4,5\n");
        let expected = [
            of(1, &["a", "b"]),
            (2, None),
            of(3, &["2", "3"]),
            (4, None),
            of(5, &["4", "5"]),
        ];
        assert_eq!(records(text.as_bytes(), 8192), expected);
    }

    #[test]
    fn a_quote_that_is_not_closed_takes_no_more_memory_than_a_line_may() {
        let text = format!("a,b\n\"1,2\n{}", "3,4\n".repeat(LINE_BYTES_MAX));
        assert_eq!(
            records(text.as_bytes(), 8192),
            [of(1, &["a", "b"]), (2, None)]
        );
    }
}
