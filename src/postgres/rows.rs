//! Answers in the protocol's forms.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_pg::datatypes::arrow_schema_to_pg_fields;
use arrow_pg::encoder::{Encoder, encode_value};
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, future, stream};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{CopyEncoder, CopyTextOptions, DataRowEncoder, FieldFormat, FieldInfo, QueryResponse};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::copy::CopyData;
use pgwire::types::ToSqlText;
use postgres_types::{IsNull, ToSql};
use tokio::sync::watch;

use super::said;
use crate::desk::{Kind, Refusal, Rows};
use crate::query::{QueryError, with_types};

/// How `COPY` gives rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Postgres's own bytes.
    Binary,
    /// Lines.
    Text(CopyTextOptions),
    /// Comma separated values.
    Csv(Csv),
}

/// How comma separated values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Csv {
    /// What stands between values.
    pub(super) delimiter: char,
    /// What stands around a value that wants it.
    pub(super) quote: char,
    /// What stands before a quote within a value, and before itself.
    pub(super) escape: char,
    /// What stands for no value.
    pub(super) null: String,
    /// Whether the names of columns come first.
    pub(super) header: bool,
}

/// An answer as `COPY` gives it.
pub(super) struct Copied {
    pub(super) is_binary: bool,
    pub(super) columns: usize,
    /// What comes before the rows, and is none.
    pub(super) before: Option<CopyData>,
    pub(super) rows: BoxStream<'static, PgWireResult<CopyData>>,
}

/// What Postgres's own bytes begin with: a signature, no flags, no more of a header.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Most digits of a decimal number that the protocol's encoder writes.
const DECIMAL_DIGITS_MAX: u8 = 28;

/// Whether who asked wants no more of an answer.
pub(super) type Told = watch::Receiver<()>;

/// What is said to who has ended a question.
pub(super) fn ended() -> PgWireError {
    Refusal::new(Kind::Cancelled, "the query was ended by who asked").into()
}

/// The columns of an answer in types that the protocol has.
fn spelled(schema: &Schema) -> SchemaRef {
    let spell = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Int8 => DataType::Int16,
            DataType::Float16 => DataType::Float32,
            DataType::Decimal256(..) => DataType::Utf8,
            DataType::Decimal128(digits, _) if *digits > DECIMAL_DIGITS_MAX => DataType::Utf8,
            _ => return Arc::clone(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(kind))
    };
    Arc::new(Schema::new(schema.fields().iter().map(spell).collect::<Vec<_>>()))
}

/// The columns of an answer as the protocol tells them.
pub(super) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    fits(format, schema.fields().len())?;
    arrow_schema_to_pg_fields(&spelled(schema), format, None)
}

/// Whether forms are given for all of so many values.
pub(super) fn fits(format: &Format, count: usize) -> PgWireResult<()> {
    match format {
        Format::Individual(forms) if forms.len() != count => {
            Err(said("ERROR", "08P01", format!("{} forms are given for {count} values", forms.len())))
        }
        _ => Ok(()),
    }
}

/// The batches of an answer, of the types that are told.
fn batches(rows: Rows, told: Told) -> impl Stream<Item = PgWireResult<RecordBatch>> + Send {
    let schema = spelled(&rows.schema);
    stream::unfold(Some((Box::pin(rows.batches()), told, schema)), |under_way| async move {
        let (mut batches, mut told, schema) = under_way?;
        tokio::select! {
            next = batches.next() => match next? {
                Ok(batch) => {
                    let batch = with_types(&batch, &schema).map_err(|error| Refusal::from(QueryError::from(error)));
                    Some((batch.map_err(PgWireError::from), Some((batches, told, schema))))
                }
                Err(refusal) => Some((Err(refusal.into()), None)),
            },
            _ = told.changed() => Some((Err(ended()), None)),
        }
    })
}

/// A row of a batch.
fn row<E: Encoder>(encoder: &mut E, batch: &RecordBatch, row: usize, fields: &[FieldInfo]) -> PgWireResult<E::Item> {
    for ((column, field), to) in batch.columns().iter().zip(batch.schema_ref().fields()).zip(fields) {
        if column.is_null(row) {
            encoder.encode_field(&None::<String>, to)?;
            continue;
        }
        // What is wrong with a value is not told with the value.
        let formless =
            |_| said("ERROR", "0A000", format!("{} has values that this protocol has no form for", to.name()));
        encode_value(encoder, column, row, field, to).map_err(formless)?;
    }
    Ok(encoder.take_row())
}

/// The rows of an answer, which were told to be of these columns if anything was told.
pub(super) fn answer(
    rows: Rows,
    described: Option<&Schema>,
    format: &Format,
    told: Told,
) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(fields(&rows.schema, format)?);
    if let Some(described) = described {
        let kinds = |fields: &[FieldInfo]| fields.iter().map(|field| field.datatype().clone()).collect::<Vec<_>>();
        if kinds(&self::fields(described, format)?) != kinds(&fields) {
            let why = "with these values the answer is of other types than it was told to be: cast the values";
            return Err(said("ERROR", "42804", why));
        }
    }
    let of_rows = Arc::clone(&fields);
    let rows = batches(rows, told).flat_map(move |batch| match batch {
        Ok(batch) => {
            let (mut encoder, fields) = (DataRowEncoder::new(Arc::clone(&of_rows)), Arc::clone(&of_rows));
            let rows = (0..batch.num_rows()).map(move |at| row(&mut encoder, &batch, at, &fields));
            stream::iter(rows).left_stream()
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
pub(super) async fn copied(rows: Rows, form: Form, told: Told) -> PgWireResult<Copied> {
    let is_binary = form == Form::Binary;
    let format = if is_binary { Format::UnifiedBinary } else { Format::UnifiedText };
    let fields = fields(&rows.schema, &format)?;
    let columns = fields.len();
    let mut batches = Box::pin(batches(rows, told).fuse());
    // The encoder writes the header with the first row, so it has to be known whether there is one.
    let first = loop {
        match batches.next().await.transpose()? {
            Some(batch) if batch.num_rows() == 0 => {}
            first => break first,
        }
    };
    let before = match &form {
        Form::Binary if first.is_none() => Some(Bytes::from_static(BINARY_HEADER)),
        Form::Csv(csv) if csv.header => Some(csv.line(fields.iter().map(|field| Some(Cow::Borrowed(field.name()))))),
        _ => None,
    };
    let batches = stream::iter(first.map(Ok)).chain(batches);
    let rows = match form {
        Form::Binary => {
            in_form(batches, CopyEncoder::new_binary(Arc::new(fields.clone())), fields, |data| data).boxed()
        }
        Form::Text(options) => {
            in_form(batches, CopyEncoder::new_text(Arc::new(fields.clone()), options), fields, |data| data).boxed()
        }
        Form::Csv(csv) => {
            let line = move |texts: Vec<Option<Vec<u8>>>| {
                let texts = texts.iter().map(|text| text.as_deref().map(String::from_utf8_lossy));
                CopyData::new(csv.line(texts))
            };
            in_form(batches, Texts::default(), fields, line).boxed()
        }
    };
    Ok(Copied { is_binary, columns, before: before.map(CopyData::new), rows })
}

/// Rows as they are encoded, and then given a form.
fn in_form<E: Encoder + Send>(
    batches: impl Stream<Item = PgWireResult<RecordBatch>> + Send,
    mut encoder: E,
    fields: Vec<FieldInfo>,
    form: impl Fn(E::Item) -> CopyData + Send,
) -> impl Stream<Item = PgWireResult<CopyData>> + Send {
    let rows = batches.map(move |batch| match batch {
        Ok(batch) => (0..batch.num_rows()).map(|at| row(&mut encoder, &batch, at, &fields).map(&form)).collect(),
        Err(error) => vec![Err(error)],
    });
    rows.flat_map(stream::iter)
}

/// Values as texts.
#[derive(Default)]
struct Texts(Vec<Option<Vec<u8>>>);

impl Encoder for Texts {
    type Item = Vec<Option<Vec<u8>>>;

    fn encode_field<T: ToSql + ToSqlText>(&mut self, value: &T, field: &FieldInfo) -> PgWireResult<()> {
        let mut text = BytesMut::new();
        let is_null = value.to_sql_text(field.datatype(), &mut text, field.format_options());
        let is_null = is_null.map_err(PgWireError::ApiError)?;
        self.0.push(matches!(is_null, IsNull::No).then(|| text.to_vec()));
        Ok(())
    }

    fn take_row(&mut self) -> Self::Item {
        std::mem::take(&mut self.0)
    }
}

impl Csv {
    /// A line of values. One that reads as no value, or has signs of the form in it, is quoted.
    fn line<'a>(&self, texts: impl Iterator<Item = Option<Cow<'a, str>>>) -> Bytes {
        let mut line = String::new();
        for (at, text) in texts.enumerate() {
            if at > 0 {
                line.push(self.delimiter);
            }
            let Some(text) = text else {
                line.push_str(&self.null);
                continue;
            };
            let is_sign = |sign: char| sign == self.delimiter || sign == self.quote || matches!(sign, '\n' | '\r');
            if *text != *self.null && !text.contains(is_sign) {
                line.push_str(&text);
                continue;
            }
            line.push(self.quote);
            for sign in text.chars() {
                if sign == self.quote || sign == self.escape {
                    line.push(self.escape);
                }
                line.push(sign);
            }
            line.push(self.quote);
        }
        line.push('\n');
        line.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comma_separated_values_tell_no_value_from_an_empty_one() {
        let csv = |escape, null: &str| Csv { delimiter: ',', quote: '"', escape, null: null.to_owned(), header: false };
        let texts = || [Some("a"), Some(""), None, Some("x,\"y\\"), Some("NA"), Some("two\nlines")];
        let line = |csv: Csv| csv.line(texts().into_iter().map(|text| text.map(Cow::Borrowed)));
        assert_eq!(line(csv('"', "")), "a,\"\",,\"x,\"\"y\\\",NA,\"two\nlines\"\n");
        assert_eq!(line(csv('\\', "NA")), "a,,NA,\"x,\\\"y\\\\\",\"NA\",\"two\nlines\"\n");
    }
}
