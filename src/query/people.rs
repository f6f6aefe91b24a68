//! How many people stand behind a group: an aggregate that knows "fewer than k" exactly in little memory.
//!
//! The one idea: of the people of a group only the k least hashes are kept. A union of two groups keeps the k least of both, so
//! that groups of groups are counted as exactly as groups of rows: whoever is in both is one person.
//!
//! Invariant: a state has fewer than k hashes if and only if fewer than k people are in it (two people of one hash of 64 bits count
//! as one: at most fewer are seen than there are, never more).
//!
//! Cost: a hash a row, and 8k bytes a group at the most.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, ListBuilder, UInt64Builder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use foldhash::fast::FixedState;

/// Seed of the hashes: they must be the same in all parts of a query.
const SEED: u64 = 0x5a4d_3000_c0de;

/// The people of a group, up to the first `least` of them: of tokens, or of what this aggregate gave of smaller groups.
pub(super) fn people(least: usize) -> AggregateUDF {
    AggregateUDF::from(People { least, signature: Signature::any(1, Volatility::Immutable) })
}

/// The type of what it gives.
fn kept_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::UInt64, true)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct People {
    least: usize,
    signature: Signature,
}

impl AggregateUDFImpl for People {
    fn name(&self) -> &'static str {
        "people"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(kept_type())
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Kept::new(self.least)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(args.name, kept_type(), true))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Kept::new(self.least)))
    }
}

/// The least hashes of each group, ascending.
#[derive(Debug)]
struct Kept {
    least: usize,
    groups: Vec<Vec<u64>>,
    hasher: FixedState,
}

impl Kept {
    fn new(least: usize) -> Self {
        Self { least, groups: Vec::new(), hasher: FixedState::with_seed(SEED) }
    }

    fn grow(&mut self, groups: usize) {
        if self.groups.len() < groups {
            self.groups.resize_with(groups, Vec::new);
        }
    }

    fn insert(&mut self, group: usize, hash: u64) {
        let kept = &mut self.groups[group];
        if kept.len() == self.least && kept.last().is_some_and(|&last| last <= hash) {
            return;
        }
        if let Err(at) = kept.binary_search(&hash) {
            kept.insert(at, hash);
            kept.truncate(self.least);
        }
    }

    /// Puts the people of rows into their groups.
    fn take(&mut self, values: &[ArrayRef], group_of: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let [values] = values else { return exec_err!("people takes one column") };
        if let Some(lists) = values.as_list_opt::<i32>() {
            let Some(hashes) = lists.values().as_primitive_opt::<UInt64Type>() else {
                return exec_err!("people takes tokens, or people");
            };
            let offsets = lists.value_offsets();
            // Offsets are not negative.
            let place = |offset: i32| usize::try_from(offset).unwrap_or_default();
            for row in (0..lists.len()).filter(|&row| lists.is_valid(row)) {
                let Some(group) = group_of(row) else { continue };
                for at in place(offsets[row])..place(offsets[row + 1]) {
                    self.insert(group, hashes.value(at));
                }
            }
            return Ok(());
        }
        let tokens = cast(values, &DataType::Utf8View)?;
        for (row, token) in tokens.as_string_view().iter().enumerate() {
            if let (Some(token), Some(group)) = (token, group_of(row)) {
                let hash = self.hasher.hash_one(token);
                self.insert(group, hash);
            }
        }
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> ArrayRef {
        let mut lists = ListBuilder::new(UInt64Builder::new());
        for kept in emit_to.take_needed(&mut self.groups) {
            lists.values().append_slice(&kept);
            lists.append(true);
        }
        Arc::new(lists.finish())
    }

    fn bytes(&self) -> usize {
        let kept = self.groups.iter().map(|kept| kept.capacity() * size_of::<u64>()).sum::<usize>();
        size_of::<Self>() + self.groups.capacity() * size_of::<Vec<u64>>() + kept
    }
}

fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for Kept {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.grow(groups);
        self.take(values, |row| counts(filter, row).then(|| group_indices[row]))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to)])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        GroupsAccumulator::update_batch(self, values, group_indices, None, groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut rows = Self::new(self.least);
        rows.grow(values.first().map_or(0, Array::len));
        rows.take(values, |row| counts(filter, row).then_some(row))?;
        Ok(vec![rows.emit(EmitTo::All)])
    }

    fn size(&self) -> usize {
        self.bytes()
    }
}

impl Accumulator for Kept {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.grow(1);
        self.take(values, |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.grow(1);
        let kept: Vec<ScalarValue> = self.groups[0].iter().map(|&hash| hash.into()).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&kept, &DataType::UInt64)))
    }

    fn size(&self) -> usize {
        self.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![Accumulator::evaluate(self)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        Accumulator::update_batch(self, states)
    }
}
