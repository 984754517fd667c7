//! Rows as a Parquet file: one row group, written column by column. Without Arrow, which would weigh more than all that writes here.

use std::{fs::File, sync::Arc};

use anyhow::{Context as _, Result};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type as SchemaType, TypePtr},
};

use super::{
    cell::Cell,
    layout::{Layout, Type},
};

/// Writes all rows. The file is complete, and not yet on disk, when this returns.
pub(super) fn write(file: &File, layout: &Layout, rows: &[Vec<Cell>]) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer = SerializedFileWriter::new(file, schema(layout)?, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (index, column) in layout.columns.iter().enumerate() {
        let mut out = group
            .next_column()?
            .with_context(|| format!("the schema lacks the column {}", column.name))?;
        let cells = rows.iter().filter_map(|row| row.get(index));
        match column.type_ {
            Type::Bool => put::<BoolType>(&mut out, cells, bool_of)?,
            Type::Int | Type::Unsigned | Type::Moment => put::<Int64Type>(&mut out, cells, int_of)?,
            Type::Double => put::<DoubleType>(&mut out, cells, double_of)?,
            Type::Text | Type::Json | Type::Bytes => {
                put::<ByteArrayType>(&mut out, cells, bytes_of)?
            }
        }
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

fn schema(layout: &Layout) -> Result<TypePtr> {
    let mut fields = Vec::new();
    for column in &layout.columns {
        let (physical, logical) = match column.type_ {
            Type::Bool => (Physical::BOOLEAN, None),
            Type::Int => (Physical::INT64, None),
            Type::Unsigned => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Type::Double => (Physical::DOUBLE, None),
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Type::Bytes => (Physical::BYTE_ARRAY, None),
            Type::Moment => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
        };
        let field = SchemaType::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        fields.push(Arc::new(field));
    }
    let schema = SchemaType::group_type_builder("event").with_fields(fields);
    Ok(Arc::new(schema.build()?))
}

/// Writes the values of a column, and which rows have one.
fn put<'a, T: DataType>(
    out: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = &'a Cell>,
    value: fn(&Cell) -> Option<T::T>,
) -> Result<()> {
    let mut values = Vec::new();
    let mut present = Vec::new();
    for cell in cells {
        let value = value(cell);
        present.push(i16::from(value.is_some()));
        values.extend(value);
    }
    out.typed::<T>()
        .write_batch(&values, Some(&present), None)?;
    Ok(())
}

fn bool_of(cell: &Cell) -> Option<bool> {
    if let Cell::Bool(value) = cell {
        Some(*value)
    } else {
        None
    }
}

fn double_of(cell: &Cell) -> Option<f64> {
    if let Cell::Double(value) = cell {
        Some(*value)
    } else {
        None
    }
}

fn int_of(cell: &Cell) -> Option<i64> {
    match cell {
        Cell::Int(value) | Cell::Moment(value) => Some(*value),
        // The same bits; that they are unsigned is in the schema.
        Cell::Unsigned(value) => Some(value.cast_signed()),
        Cell::Null | Cell::Bool(_) | Cell::Double(_) | Cell::Text(_) | Cell::Bytes(_) => None,
    }
}

fn bytes_of(cell: &Cell) -> Option<ByteArray> {
    match cell {
        Cell::Text(value) => Some(ByteArray::from(value.as_str())),
        Cell::Bytes(value) => Some(ByteArray::from(value.clone())),
        Cell::Null
        | Cell::Bool(_)
        | Cell::Int(_)
        | Cell::Unsigned(_)
        | Cell::Double(_)
        | Cell::Moment(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use contracts::{
        campaigns::v1::{CampaignCreated, GoalKind, Offer},
        common::v1::LoggedEvent,
    };
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::{Field, Row},
    };
    use prost::{Message as _, Name as _};
    use service::ServiceName;

    use super::*;
    use event_json::EventTypes;

    fn written(event: &LoggedEvent) -> Row {
        let types = EventTypes::published().unwrap();
        let layout = Layout::of(types.find(&event.r#type));
        let row = layout.row(ServiceName::Campaigns, event).unwrap();
        let file = tempfile::tempfile().unwrap();
        write(&file, &layout, &[row]).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        reader.get_row_iter(None).unwrap().next().unwrap().unwrap()
    }

    fn field<'a>(row: &'a Row, name: &str) -> &'a Field {
        let mut columns = row.get_column_iter();
        columns.find(|(column, _)| *column == name).unwrap().1
    }

    #[test]
    fn values_of_every_type_come_back() {
        let created = CampaignCreated {
            campaign_id: "c-1".to_owned(),
            goal: GoalKind::Loyalty.into(),
            offer: Some(Offer {
                name: "Teşekkürler".to_owned(),
                ..Offer::default()
            }),
            channel: 77,
            holdout_share: 0.25,
            seed: u64::MAX,
            ..CampaignCreated::default()
        };
        let row = written(&LoggedEvent {
            r#type: CampaignCreated::full_name(),
            payload: created.encode_to_vec().into(),
            occurred_time: Some(prost_types::Timestamp {
                seconds: -1,
                nanos: 5000,
            }),
            ..LoggedEvent::default()
        });
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(*field(&row, "seed"), Field::ULong(u64::MAX));
        assert_eq!(*field(&row, "holdout_share"), Field::Double(0.25));
        assert_eq!(*field(&row, "goal"), text("GOAL_KIND_LOYALTY"));
        assert_eq!(*field(&row, "channel"), text("77"));
        assert_eq!(*field(&row, "name"), text(""));
        assert_eq!(*field(&row, "offer"), text(r#"{"name":"Teşekkürler"}"#));
        assert_eq!(*field(&row, "event_time"), Field::TimestampMicros(-999_995));
        assert_eq!(*field(&row, "event_recorded_time"), Field::Null);
        assert_eq!(*field(&row, "event_actor"), Field::Null);
    }

    #[test]
    fn an_event_of_a_newer_type_has_its_bytes() {
        let row = written(&LoggedEvent {
            r#type: "vefa.campaigns.v9.Newer".to_owned(),
            payload: vec![1, 2, 255].into(),
            ..LoggedEvent::default()
        });
        let Field::Bytes(bytes) = field(&row, "payload") else {
            panic!("{row}");
        };
        assert_eq!(bytes.data(), [1, 2, 255]);
    }
}
