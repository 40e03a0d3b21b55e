//! Rows for the eye, as CSV and as JSON lines. Times are in UTC, with a Z.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use anyhow::Result;
use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::json::WriterBuilder;
use datafusion::arrow::json::writer::LineDelimited;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_options;

use crate::engine::Rows;
use crate::options::Format;

/// Of times without a zone, which are in UTC here. Those with a zone show it on their own.
const TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";

pub(crate) fn write(format: Format, rows: &Rows, out: &mut impl Write) -> Result<()> {
    let mut out = BufWriter::new(out);
    match format {
        Format::Table => table(rows, &mut out)?,
        Format::Csv => csv(rows, &mut out)?,
        Format::Json => json(rows, &mut out)?,
    }
    Ok(out.flush()?)
}

fn options<'a>() -> FormatOptions<'a> {
    FormatOptions::new().with_timestamp_format(Some(TIME)).with_datetime_format(Some(TIME))
}

fn table(rows: &Rows, out: &mut impl Write) -> Result<()> {
    let header = RecordBatch::new_empty(Arc::clone(&rows.columns));
    let batches: Vec<RecordBatch> = std::iter::once(header).chain(rows.batches.iter().cloned()).collect();
    let table = pretty_format_batches_with_options(&batches, &options().with_null("NULL"))?.to_string();
    writeln!(out, "{table}")?;
    let count: usize = rows.batches.iter().map(RecordBatch::num_rows).sum();
    writeln!(out, "{count} {}", if count == 1 { "row" } else { "rows" })?;
    Ok(())
}

fn csv(rows: &Rows, out: &mut impl Write) -> Result<()> {
    let names = rows.columns.fields().iter().map(|field| cell(field.name()));
    writeln!(out, "{}", names.collect::<Vec<_>>().join(","))?;
    let options = options();
    for batch in &rows.batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().zip(batch.columns()).map(|(formatter, column)| match column.is_null(row) {
                true => Ok(String::new()),
                false => Ok(cell(&formatter.value(row).try_to_string()?)),
            });
            writeln!(out, "{}", cells.collect::<Result<Vec<_>>>()?.join(","))?;
        }
    }
    Ok(())
}

/// In quotes where that is needed, and where it is empty, which without them would be a NULL.
fn cell(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

fn json(rows: &Rows, out: &mut impl Write) -> Result<()> {
    for batch in &rows.batches {
        let options = WriterBuilder::new().with_explicit_nulls(true);
        let options = options.with_timestamp_format(TIME.to_owned()).with_datetime_format(TIME.to_owned());
        let mut lines = options.build::<_, LineDelimited>(Vec::new());
        lines.write(batch)?;
        lines.finish()?;
        out.write_all(&lines.into_inner())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn written(format: Format) -> String {
        let times = || TimestampMicrosecondArray::from(vec![Some(1_543_534_510_123_456), None]);
        let columns: [(&str, ArrayRef); 4] = [
            ("number", Arc::new(Int64Array::from(vec![Some(7), None]))),
            ("a \"text\"", Arc::new(StringArray::from(vec![Some(""), None]))),
            ("utc", Arc::new(times().with_timezone("UTC"))),
            ("local", Arc::new(times())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = Rows { columns: batch.schema(), batches: vec![batch] };
        let mut out = Vec::new();
        write(format, &rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_null_is_told_from_an_empty_text_and_times_end_with_z() {
        let csv = "number,\"a \"\"text\"\"\",utc,local\n\
                   7,\"\",2018-11-29T23:35:10.123456Z,2018-11-29T23:35:10.123456Z\n\
                   ,,,\n";
        assert_eq!(written(Format::Csv), csv);
        let json = "{\"number\":7,\"a \\\"text\\\"\":\"\",\"utc\":\"2018-11-29T23:35:10.123456Z\",\"local\":\"2018-11-29T23:35:10.123456Z\"}\n\
                    {\"number\":null,\"a \\\"text\\\"\":null,\"utc\":null,\"local\":null}\n";
        assert_eq!(written(Format::Json), json);
        let table = "\
            +--------+----------+-----------------------------+-----------------------------+\n\
            | number | a \"text\" | utc                         | local                       |\n\
            +--------+----------+-----------------------------+-----------------------------+\n\
            | 7      |          | 2018-11-29T23:35:10.123456Z | 2018-11-29T23:35:10.123456Z |\n\
            | NULL   | NULL     | NULL                        | NULL                        |\n\
            +--------+----------+-----------------------------+-----------------------------+\n\
            2 rows\n";
        assert_eq!(written(Format::Table), table);
    }

    #[test]
    fn of_no_rows_the_columns_are_shown() {
        let columns =
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap().schema();
        let written = |format| {
            let mut out = Vec::new();
            write(format, &Rows { columns: Arc::clone(&columns), batches: Vec::new() }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(Format::Csv), "n\n");
        assert_eq!(written(Format::Json), "");
        assert_eq!(written(Format::Table), "+---+\n| n |\n+---+\n+---+\n0 rows\n");
    }
}
