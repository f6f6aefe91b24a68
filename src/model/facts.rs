//! The eleven tables as typed rows and as columns of them.
//!
//! The one idea: a table is declared once; the macro writes the row (for people to read and for the slow evaluator) and the
//! struct of arrays (for the kernels). Tokens are interned, enumerations are bytes, an open end is
//! [`Timestamp::NEVER`], a temperature not taken is NaN (which is below every fever limit).
//!
//! Invariant: a row here is valid in the sense of SPEC 1; whoever makes one has checked it.

use std::ops::Range;

use rayon::prelude::*;

use super::chunked::Chunked;
use super::enums::{
    Admission, CaseKind, DocType, EnumSet, Level, Outcome, QuarantineKind, ReviewState, Setting, Symptom, TestResult,
};
use super::flat::{Element, Flat, Keep, Visitor};
use super::ids::{LabelId, Origin, PersonId, PlaceId, Region};
use super::optional::Optional;
use super::time::Timestamp;
use crate::limits::ROWS_PER_TASK;

macro_rules! tables {
    ($($(#[$doc:meta])* $columns:ident of $row:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)?
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $row {
            /// Key of the row, unique in its table.
            pub id: u64,
            $($(#[$field_doc])* pub $field: $type,)+
        }

        #[doc = concat!("Columns of [`", stringify!($row), "`], all of one length.")]
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $columns {
            /// Key of each row.
            pub id: Chunked<u64>,
            $($(#[$field_doc])* pub $field: Chunked<<$type as Keep>::Kept>,)+
        }

        impl TableColumns for $columns {
            type Row = $row;

            fn ids(&self) -> &Chunked<u64> {
                &self.id
            }

            fn row(&self, row: usize) -> $row {
                $row { id: self.id[row], $($field: Keep::of(self.$field[row]),)+ }
            }

            fn push(&mut self, row: $row) {
                self.id.push(row.id);
                $(self.$field.push(row.$field.keep());)+
            }

            fn set(&mut self, at: usize, row: $row) {
                self.id[at] = row.id;
                $(self.$field[at] = row.$field.keep();)+
            }

            fn truncate(&mut self, rows: usize) {
                self.id.truncate(rows);
                $(self.$field.truncate(rows);)+
            }

            fn open(&mut self, rows: usize, filler: $row) -> usize {
                $(self.$field.open(rows, filler.$field.keep());)+
                self.id.open(rows, filler.id)
            }

            fn copy_rows(&mut self, from: Range<usize>, to: usize) {
                copy_rows(&mut self.id, from.clone(), to);
                $(copy_rows(&mut self.$field, from.clone(), to);)+
            }

            fn insert_row(&mut self, rows: Range<usize>, at: usize, row: $row) {
                insert_row(&mut self.id, rows.clone(), at, row.id);
                $(insert_row(&mut self.$field, rows.clone(), at, row.$field.keep());)+
            }

            fn remove_row(&mut self, rows: Range<usize>, at: usize) {
                remove_row(&mut self.id, rows.clone(), at);
                $(remove_row(&mut self.$field, rows.clone(), at);)+
            }

            fn append(&mut self, other: &mut Self) {
                append(self.id.base_mut(), other.id.base_mut());
                $(append(self.$field.base_mut(), other.$field.base_mut());)+
            }

            fn reserve(&mut self, rows: usize) {
                self.id.base_mut().edit(|ids| ids.reserve_exact(rows));
                $(self.$field.base_mut().edit(|values| values.reserve_exact(rows));)+
            }

            fn retain(&mut self, keep: &[bool]) {
                retain(&mut self.id, keep);
                $(retain(&mut self.$field, keep);)+
            }

            fn scatter(&mut self, cluster_of: &[u16], begins: &[u32]) {
                let Self { id, $($field),+ } = self;
                rayon::scope(|scope| {
                    scope.spawn(|_| scatter(id.base_mut(), cluster_of, begins));
                    $(scope.spawn(|_| scatter($field.base_mut(), cluster_of, begins));)+
                });
            }

            fn permute(&mut self, order: &[u32]) {
                gather(&mut self.id, order);
                $(gather(&mut self.$field, order);)+
            }

            fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error> {
                visitor.chunked("id", &mut self.id)?;
                $(visitor.chunked(stringify!($field), &mut self.$field)?;)+
                Ok(())
            }

            fn write_columns(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.id.base().bytes());
                $(bytes.extend_from_slice(self.$field.base().bytes());)+
            }

            fn is_even(&self) -> bool {
                true $(&& self.$field.len() == self.id.len())+
            }
        }
    )+};
}

/// What every table's columns can do.
pub trait TableColumns: Default + Send + Sync {
    /// The row type.
    type Row: Copy + std::fmt::Debug + Send;

    /// Keys of the rows.
    fn ids(&self) -> &Chunked<u64>;
    /// One row. Panics when out of range.
    fn row(&self, row: usize) -> Self::Row;
    /// Adds a row at the end.
    fn push(&mut self, row: Self::Row);
    /// Replaces a row. Panics when out of range.
    fn set(&mut self, at: usize, row: Self::Row);
    /// Gives so many rows behind all others, back to back, and where they begin: [`Chunked::open`].
    fn open(&mut self, rows: usize, filler: Self::Row) -> usize;
    /// Copies rows to others, which were opened.
    fn copy_rows(&mut self, from: Range<usize>, to: usize);
    /// Puts a row in at a place of a range, behind which one row is free; those behind it move on.
    fn insert_row(&mut self, rows: Range<usize>, at: usize, row: Self::Row);
    /// Takes the row at a place of a range out; those behind it move up.
    fn remove_row(&mut self, rows: Range<usize>, at: usize);
    /// Leaves only so many rows, the first.
    fn truncate(&mut self, rows: usize);
    /// Moves all rows of `other` to the end of this one.
    fn append(&mut self, other: &mut Self);
    /// Makes room for `rows` more, exactly.
    fn reserve(&mut self, rows: usize);
    /// Leaves only the rows for which `keep` holds, in their order.
    fn retain(&mut self, keep: &[bool]);
    /// Brings the rows of each cluster together, in their order: `cluster_of` says each row's, `begins` where the clusters begin.
    /// Columns are done side by side; peak memory is a column more a thread.
    fn scatter(&mut self, cluster_of: &[u16], begins: &[u32]);
    /// Replaces the rows by those numbered in `order`, in that order: `new[i] = old[order[i]]`. Peak memory is one column more.
    fn permute(&mut self, order: &[u32]);
    /// Shows every column to a visitor, `id` first.
    ///
    /// # Errors
    /// The visitor's first.
    fn visit<V: Visitor>(&mut self, visitor: &mut V) -> Result<(), V::Error>;
    /// Appends the bytes of every column, in the order in which [`Self::visit`] shows them.
    fn write_columns(&self, bytes: &mut Vec<u8>);
    /// Whether all columns are of one length.
    fn is_even(&self) -> bool;

    /// Number of rows, those included that stand for nothing.
    fn len(&self) -> usize {
        self.ids().len()
    }
    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.ids().is_empty()
    }
    /// All rows in order.
    fn rows(&self) -> impl Iterator<Item = Self::Row> {
        (0..self.len()).map(|row| self.row(row))
    }
}

fn append<T: Element>(column: &mut Flat<T>, other: &mut Flat<T>) {
    let mut more = std::mem::take(other).into_vec();
    column.edit(|values| values.append(&mut more));
}

fn retain<T: Element>(column: &mut Chunked<T>, keep: &[bool]) {
    *column = column.iter().zip(keep).filter(|&(_, &keep)| keep).map(|(&value, _)| value).collect();
}

/// Copies values to rows that were opened for them.
pub fn copy_rows<T: Element>(column: &mut Chunked<T>, from: Range<usize>, to: usize) {
    let values = column[from].to_vec();
    column.slice_mut(to..to + values.len()).copy_from_slice(&values);
}

/// Puts a value in at a place of a range, behind which one row is free; those behind it move on.
pub fn insert_row<T: Element>(column: &mut Chunked<T>, rows: Range<usize>, at: usize, value: T) {
    let values = column.slice_mut(rows.start..rows.end + 1);
    let at = at - rows.start;
    values.copy_within(at..rows.len(), at + 1);
    values[at] = value;
}

/// Takes the value at a place of a range out; those behind it move up.
pub fn remove_row<T: Element>(column: &mut Chunked<T>, rows: Range<usize>, at: usize) {
    let at = at - rows.start;
    column.slice_mut(rows).copy_within(at + 1.., at);
}

fn scatter<T: Element>(column: &mut Flat<T>, cluster_of: &[u16], begins: &[u32]) {
    let Some(&first) = column.first() else { return };
    let mut next = begins.to_vec();
    let mut scattered = vec![first; column.len()];
    for (&value, &cluster) in column.iter().zip(cluster_of) {
        let slot = &mut next[usize::from(cluster)];
        scattered[*slot as usize] = value;
        *slot += 1;
    }
    *column = scattered.into();
}

fn gather<T: Element>(column: &mut Chunked<T>, order: &[u32]) {
    let value = |&row: &u32| column[row as usize];
    *column = if order.len() <= ROWS_PER_TASK {
        order.iter().map(value).collect()
    } else {
        order.par_iter().map(value).collect()
    };
}

tables! {
    /// A person's declaration (申报).
    Declarations of Declaration {
        /// Who declares.
        person: PersonId,
        /// When.
        declared_at: Timestamp,
        /// Document shown.
        doc_type: DocType,
        /// Where the person lives.
        residence: Region,
        /// Where the person came from, if from elsewhere.
        came_from: Option<Region>,
        /// When the person arrived from there.
        arrived_at: Option<Timestamp>,
        /// Symptoms declared.
        symptoms: EnumSet<Symptom>,
        /// Other flags declared.
        admissions: EnumSet<Admission>,
        /// Employer.
        enterprise: Option<LabelId>,
        /// Where the row came from: a refused modification is reported with it.
        origin: Origin,
    }
    /// A daily health report (健康打卡).
    Checkins of Checkin {
        /// Who reports.
        person: PersonId,
        /// When.
        reported_at: Timestamp,
        /// Temperature in degrees Celsius, NaN if not taken.
        temperature_c: f64,
        /// Symptoms reported.
        symptoms: EnumSet<Symptom>,
        /// Employer, if it answers for the report.
        enterprise: Option<LabelId>,
    }
    /// A case.
    Cases of Case {
        /// The patient.
        person: PersonId,
        /// Suspected or confirmed.
        kind: CaseKind,
        /// Onset of symptoms.
        onset_at: Option<Timestamp>,
        /// When the case became known.
        reported_at: Timestamp,
        /// When the patient was isolated, `NEVER` if not.
        isolated_at: Timestamp,
        /// How the case ended, if it has.
        outcome: Option<Outcome>,
        /// When it ended, `NEVER` exactly if it has not.
        outcome_at: Timestamp,
    }
    /// A quarantine.
    Quarantines of Quarantine {
        /// Who is in quarantine.
        person: PersonId,
        /// Centralised or at home.
        kind: QuarantineKind,
        /// Begin.
        started_at: Timestamp,
        /// End, `NEVER` if open.
        ended_at: Timestamp,
    }
    /// A contact of two persons.
    Contacts of Contact {
        /// One of the two.
        person_a: PersonId,
        /// The other.
        person_b: PersonId,
        /// Begin.
        started_at: Timestamp,
        /// Length in seconds, above 0.
        duration_s: u32,
        /// Where.
        setting: Setting,
    }
    /// A stay of a person in a region and, if known, in one place.
    Stays of Stay {
        /// Who.
        person: PersonId,
        /// Region.
        region: Region,
        /// Place in it.
        place: Option<PlaceId>,
        /// Begin.
        entered_at: Timestamp,
        /// End, `NEVER` if open.
        left_at: Timestamp,
        /// Row of the seat, in a vehicle.
        row: Option<u16>,
    }
    /// A listing of a region at a level of risk.
    RiskAreas of RiskArea {
        /// Region.
        region: Region,
        /// Level.
        level: Level,
        /// Begin.
        listed_at: Timestamp,
        /// End, `NEVER` if open.
        delisted_at: Timestamp,
    }
    /// A nucleic acid test (核酸检测).
    Tests of Test {
        /// Who.
        person: PersonId,
        /// When the sample was taken.
        sampled_at: Timestamp,
        /// When the result was known, not before the sample.
        resulted_at: Timestamp,
        /// Result.
        result: TestResult,
    }
    /// An entry of the white list.
    Whitelist of WhitelistEntry {
        /// Who.
        person: PersonId,
        /// Begin.
        from_at: Timestamp,
        /// End, `NEVER` if open.
        until_at: Timestamp,
        /// Why.
        reason: LabelId,
    }
    /// A false or concealed declaration found (谎报瞒报).
    Findings of Finding {
        /// Who.
        person: PersonId,
        /// When it was found.
        found_at: Timestamp,
        /// When it was lifted, `NEVER` if not.
        lifted_at: Timestamp,
    }
    /// A review (复核) that a person asked for.
    Reviews of Review {
        /// Who.
        person: PersonId,
        /// District whose task force decides.
        district: Region,
        /// When it was filed.
        filed_at: Timestamp,
        /// State.
        state: ReviewState,
        /// When it was decided, `NEVER` if it is not.
        decided_at: Timestamp,
    }
}

impl Contact {
    /// End of the contact.
    #[must_use]
    pub const fn ended_at(&self) -> Timestamp {
        end_of(self.started_at, self.duration_s)
    }
}

impl Contacts {
    /// End of the contact in a row. Cost: two columns. Panics when out of range.
    #[must_use]
    pub fn ended_at(&self, row: usize) -> Timestamp {
        end_of(self.started_at[row], self.duration_s[row])
    }
}

const fn end_of(started_at: Timestamp, duration_s: u32) -> Timestamp {
    started_at.plus_micros(duration_s as i64 * super::time::MICROS_PER_SECOND)
}

/// What co-presence asks of a stay, in one piece: the stays at a place are of many persons.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct PlaceStay {
    /// Who.
    pub person: PersonId,
    /// Row of the seat, in a vehicle.
    pub row: Optional<u16>,
    /// Begin.
    pub entered_at: Timestamp,
    /// End, `NEVER` if open.
    pub left_at: Timestamp,
}

/// All eleven tables of one set of facts.
///
/// Ids are unique in each table; the order of rows has no meaning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// 申报
    pub declarations: Declarations,
    /// 健康打卡
    pub checkins: Checkins,
    /// Cases.
    pub cases: Cases,
    /// Quarantines.
    pub quarantines: Quarantines,
    /// Contacts.
    pub contacts: Contacts,
    /// Stays.
    pub stays: Stays,
    /// Levels of regions.
    pub risk_areas: RiskAreas,
    /// 核酸检测
    pub tests: Tests,
    /// White list.
    pub whitelist: Whitelist,
    /// 谎报瞒报
    pub findings: Findings,
    /// 复核
    pub reviews: Reviews,
}

impl Tables {
    /// Number of rows in all tables.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.declarations.len()
            + self.checkins.len()
            + self.cases.len()
            + self.quarantines.len()
            + self.contacts.len()
            + self.stays.len()
            + self.risk_areas.len()
            + self.tests.len()
            + self.whitelist.len()
            + self.findings.len()
            + self.reviews.len()
    }
}
