//! Which partitions can hold rows that a filter lets through.
//!
//! A filter that names columns of the partition only is worked out by the engine itself, over a
//! batch that has one row for each partition: what a cast or a function means is the same as for
//! rows. Of other filters that part is taken which must hold for the partition if the filter holds:
//! of an AND what is known of either side, of an OR what is known of both.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::columns::PARTITION;
use crate::folder::Partition;

/// Whether a filter is about the partition and nothing else.
pub(crate) fn is_of_partition(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && !filter.is_volatile() && columns.iter().all(|column| PARTITION.contains(&&*column.name))
}

/// What must be true of a partition that has a row for this filter, as far as that can be said.
pub(crate) fn implied(filter: &Expr) -> Option<Expr> {
    if is_of_partition(filter) {
        return Some(filter.clone());
    }
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
    match (op, implied(left), implied(right)) {
        (Operator::And, Some(left), Some(right)) => Some(left.and(right)),
        (Operator::And, left, right) => left.or(right),
        (Operator::Or, Some(left), Some(right)) => Some(left.or(right)),
        _ => None,
    }
}

/// The partitions that all these filters let through.
pub(crate) fn keep(
    state: &dyn Session,
    partitions: &BTreeSet<Partition>,
    filters: &[Expr],
) -> Result<BTreeSet<Partition>> {
    let Some(filter) = filters.iter().filter_map(implied).reduce(Expr::and) else { return Ok(partitions.clone()) };
    let batch = batch(partitions)?;
    let schema = DFSchema::try_from(batch.schema())?;
    let holds = state.create_physical_expr(unqualified(filter)?, &schema)?.evaluate(&batch)?;
    let holds = holds.into_array(batch.num_rows())?;
    let holds = holds.as_boolean();
    Ok(partitions
        .iter()
        .zip(holds)
        .filter(|(_, holds)| *holds == Some(true))
        .map(|(partition, _)| partition.clone())
        .collect())
}

/// Without the name of the table before the columns.
fn unqualified(filter: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let bare = |expr| match expr {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))),
        other => Ok(Transformed::no(other)),
    };
    Ok(filter.transform(bare)?.data)
}

/// A row for each partition.
fn batch(partitions: &BTreeSet<Partition>) -> Result<RecordBatch> {
    let fields = PARTITION.map(|name| Field::new(name, DataType::Utf8, true));
    let level = |at: usize| partitions.iter().map(move |partition| &*partition[at]);
    let columns = (0..PARTITION.len()).map(|at| Arc::new(StringArray::from_iter_values(level(at))) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns.collect())?)
}
