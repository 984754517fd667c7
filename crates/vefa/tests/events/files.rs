//! An export, read back.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use parquet::{
    file::reader::{FileReader as _, SerializedFileReader},
    record::{Field, Row},
};

use crate::logs::Order;

/// The files of an export by their path in it, in order of their names.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for type_ in fs::read_dir(directory).unwrap() {
        let type_ = type_.unwrap().path();
        if !type_.is_dir() {
            continue;
        }
        for day in fs::read_dir(&type_).unwrap() {
            for file in fs::read_dir(day.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), path.clone());
            }
        }
    }
    found
}

pub(crate) fn rows(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(Result::unwrap).collect()
}

pub(crate) fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
    let mut columns = row.get_column_iter();
    let found = columns.find(|(column, _)| column.as_str() == name);
    found.unwrap_or_else(|| panic!("no column {name}")).1
}

pub(crate) fn text(row: &Row, name: &str) -> String {
    let Field::Str(text) = field(row, name) else {
        panic!("{name} of {row} is no text");
    };
    text.clone()
}

pub(crate) fn number(row: &Row, name: &str) -> u64 {
    let Field::Long(number) = field(row, name) else {
        panic!("{name} of {row} is no number");
    };
    u64::try_from(*number).unwrap()
}

/// All rows of all files. A row that is there twice is there twice here.
pub(crate) fn order(directory: &Path) -> Order {
    let mut order = Order::new();
    for file in files(directory).values() {
        for row in rows(file) {
            let place = (text(&row, "event_service"), number(&row, "event_partition"));
            let event = (number(&row, "event_position"), text(&row, "event_id"));
            order.entry(place).or_default().push(event);
        }
    }
    for events in order.values_mut() {
        events.sort();
    }
    order
}
