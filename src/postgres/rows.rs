//! Answers in the protocol's forms.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encoder::{Encoder as _, encode_value};
use arrow_pg::row_encoder::RowEncoder;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, future, stream};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{
    CopyCsvOptions, CopyEncoder, CopyResponse, CopyTextOptions, DataRowEncoder, FieldFormat, FieldInfo, QueryResponse,
};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::copy::CopyData;
use tokio::sync::watch;

use super::said;
use crate::desk::{Kind, Refusal, Rows};

/// How `COPY` gives rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Postgres's own bytes.
    Binary,
    /// Lines.
    Text(CopyTextOptions),
    /// Comma separated values, after the names of columns if `header`.
    Csv {
        /// How they are written.
        options: CopyCsvOptions,
        /// Whether names of columns come first.
        header: bool,
    },
}

/// What Postgres's own bytes begin with: a signature, no flags, no more of a header.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Whether who asked wants no more of an answer.
pub(super) type Told = watch::Receiver<()>;

/// What is said to who has ended a question.
pub(super) fn ended() -> PgWireError {
    Refusal::new(Kind::Cancelled, "the query was ended by who asked").into()
}

fn batches(rows: Rows, told: Told) -> impl Stream<Item = PgWireResult<RecordBatch>> + Send {
    stream::unfold(Some((Box::pin(rows.batches()), told)), |under_way| async move {
        let (mut batches, mut told) = under_way?;
        tokio::select! {
            next = batches.next() => match next? {
                Ok(batch) => Some((Ok(batch), Some((batches, told)))),
                Err(refusal) => Some((Err(refusal.into()), None)),
            },
            _ = told.changed() => Some((Err(ended()), None)),
        }
    })
}

/// The rows of an answer.
pub(super) fn answer(rows: Rows, format: &Format, told: Told) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(arrow_schema_to_pg_fields(&rows.schema, format, None)?);
    let of_rows = Arc::clone(&fields);
    let rows = batches(rows, told).flat_map(move |batch| match batch {
        Ok(batch) => {
            let mut rows = RowEncoder::new(batch, Arc::clone(&of_rows));
            stream::iter(std::iter::from_fn(move || rows.next_row())).left_stream()
        }
        Err(error) => stream::once(future::ready(Err(error))).right_stream(),
    });
    Ok(QueryResponse::new(fields, rows))
}

/// The one column of what `SHOW` answers.
pub(super) fn shown_field(name: &str) -> Vec<FieldInfo> {
    vec![FieldInfo::new(name.to_owned(), None, None, Type::TEXT, FieldFormat::Text)]
}

/// One text.
pub(super) fn shown(name: &str, value: &str) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(shown_field(name));
    let mut row = DataRowEncoder::new(Arc::clone(&fields));
    row.encode_field(&value)?;
    let row = row.take_row();
    let mut response = QueryResponse::new(fields, stream::once(future::ready(Ok(row))));
    response.set_command_tag("SHOW");
    Ok(response)
}

/// The rows of an answer as `COPY` gives them.
pub(super) async fn copied(rows: Rows, form: Form, told: Told) -> PgWireResult<CopyResponse> {
    let is_binary = form == Form::Binary;
    let format = if is_binary { Format::UnifiedBinary } else { Format::UnifiedText };
    let fields = Arc::new(arrow_schema_to_pg_fields(&rows.schema, &format, None)?);
    let mut before = Vec::new();
    let mut encoder = match form {
        Form::Binary => CopyEncoder::new_binary(Arc::clone(&fields)),
        Form::Text(options) => CopyEncoder::new_text(Arc::clone(&fields), options),
        Form::Csv { options, header } => {
            if header {
                before.push(Ok(CopyData::new(names(&fields, &options)?)));
            }
            CopyEncoder::new_csv(Arc::clone(&fields), options)
        }
    };
    let columns = fields.len();
    let mut batches = Box::pin(batches(rows, told).fuse());
    // The encoder writes the header with the first row, so it has to be known whether there is one.
    let first = loop {
        match batches.next().await.transpose()? {
            Some(batch) if batch.num_rows() == 0 => {}
            first => break first,
        }
    };
    if is_binary && first.is_none() {
        before.push(Ok(CopyData::new(Bytes::from_static(BINARY_HEADER))));
    }
    let rows = stream::iter(first.map(Ok)).chain(batches).map(move |batch| {
        let rows = batch.map_or_else(|error| vec![Err(error)], |batch| encoded(&mut encoder, &batch, &fields));
        stream::iter(rows)
    });
    Ok(CopyResponse::new(i8::from(is_binary), columns, stream::iter(before).chain(rows.flatten())))
}

fn encoded(encoder: &mut CopyEncoder, batch: &RecordBatch, fields: &[FieldInfo]) -> Vec<PgWireResult<CopyData>> {
    let schema = batch.schema_ref();
    let mut row = |row: usize| {
        for ((column, field), to) in batch.columns().iter().zip(schema.fields()).zip(fields) {
            encode_value(encoder, column, row, field, to)?;
        }
        Ok(encoder.take_row())
    };
    (0..batch.num_rows()).map(&mut row).collect()
}

/// The names of columns as a row of comma separated values.
fn names(fields: &[FieldInfo], options: &CopyCsvOptions) -> PgWireResult<Bytes> {
    let byte = |text: &str| text.bytes().next().unwrap_or(b',');
    let mut writer = csv::WriterBuilder::new();
    writer.delimiter(byte(&options.delimiter)).quote(byte(&options.quote)).escape(byte(&options.escape));
    let mut writer = writer.double_quote(options.escape == options.quote).from_writer(Vec::new());
    let written = writer.write_record(fields.iter().map(FieldInfo::name));
    let written = written
        .map_err(std::io::Error::other)
        .and_then(|()| writer.into_inner().map_err(csv::IntoInnerError::into_error));
    written.map(Bytes::from).map_err(|error| said("ERROR", "XX000", error.to_string()))
}
