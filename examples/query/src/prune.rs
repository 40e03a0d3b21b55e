//! Which partitions can hold rows that a filter lets through.
//!
//! A filter that names columns of the partition only is worked out by the engine itself, over a
//! batch that has one row for each partition: casts and functions mean the same as for
//! rows. Of other filters that part is taken which must hold for the partition if the filter holds:
//! of an AND the parts that hold of either side, of an OR the parts that hold of both.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch};
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

/// A condition that holds for each partition with a row for this filter, if one can be derived.
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
        .map(|(partition, _)| *partition)
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
    let fields = PARTITION.map(|name| Field::new(name, DataType::Int32, true));
    let level = |at: usize| partitions.iter().map(move |partition| partition[at]);
    let columns = (0..PARTITION.len()).map(|at| Arc::new(Int32Array::from_iter_values(level(at))) as ArrayRef);
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns.collect())?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::Int64Array;
    use datafusion::arrow::datatypes::Int32Type;
    use datafusion::datasource::MemTable;
    use datafusion::logical_expr::utils::split_conjunction_owned;
    use datafusion::prelude::SessionContext;
    use proptest::prelude::*;

    use super::*;

    fn context() -> SessionContext {
        let context = SessionContext::new();
        crate::functions::all().for_each(|function| context.register_udf(function));
        context
    }

    /// The partitions kept by a condition, as the engine hands it over: its parts that AND joins.
    fn kept(context: &SessionContext, condition: &str, partitions: &BTreeSet<Partition>) -> BTreeSet<Partition> {
        let state = context.state();
        let filter = state.create_logical_expr(condition, &schema()).unwrap();
        keep(&state, partitions, &split_conjunction_owned(filter)).unwrap()
    }

    fn schema() -> DFSchema {
        DFSchema::try_from(Schema::new(fields())).unwrap()
    }

    fn fields() -> Vec<Field> {
        let levels = PARTITION.map(|name| Field::new(name, DataType::Int32, true));
        levels.into_iter().chain([Field::new("events", DataType::Int64, true)]).collect()
    }

    /// The partitions that have a row for a condition, among three rows in each.
    fn truth(context: &SessionContext, condition: &str, partitions: &BTreeSet<Partition>) -> BTreeSet<Partition> {
        let three: Vec<&Partition> = partitions.iter().flat_map(|partition| [partition; 3]).collect();
        let level =
            |at: usize| Arc::new(Int32Array::from_iter_values(three.iter().map(|partition| partition[at]))) as ArrayRef;
        let events = three.iter().enumerate().map(|(row, _)| [Some(1), Some(9), None][row % 3]);
        let columns = (0..4).map(level).chain([Arc::new(Int64Array::from_iter(events)) as ArrayRef]);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields())), columns.collect()).unwrap();
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        context.deregister_table("t").unwrap();
        context.register_table("t", Arc::new(table)).unwrap();
        let sql = format!("SELECT DISTINCT {} FROM t WHERE {condition}", PARTITION.join(", "));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let batches = runtime.block_on(async { context.sql(&sql).await.unwrap().collect().await.unwrap() });
        let mut found = BTreeSet::new();
        for batch in batches {
            let level = |at: usize, row| batch.column(at).as_primitive::<Int32Type>().value(row);
            found.extend((0..batch.num_rows()).map(|row| std::array::from_fn(|at| level(at, row))));
        }
        found
    }

    #[test]
    fn of_an_or_both_sides_must_say_something() {
        let (context, schema) = (context(), schema());
        let implied = |condition: &str| {
            let filter = context.state().create_logical_expr(condition, &schema).unwrap();
            implied(&filter).map(|expr| expr.to_string())
        };
        assert_eq!(implied("partition_2 = 9 and events > 1").unwrap(), "partition_2 = Int64(9)");
        assert_eq!(implied("partition_2 = '09' or events > 1"), None);
        assert_eq!(implied("events > 1"), None);
        assert_eq!(implied("random() < cast(partition_2 as double)"), None);
        assert!(implied("(partition_2 = '09' and events > 1) or partition_2 = '10'").is_some());
        assert_eq!(implied("not (partition_2 = '09' and events > 1)"), None);
    }

    /// No list has a NULL: DataFusion 55 joins two lists of one column without a look at it, and returns rows that
    /// SQL does not (a kind of apache/datafusion#17681).
    fn atoms() -> impl Strategy<Value = String> {
        let comparison = || prop::sample::select(vec!["=", "<>", "<", ">=", "is distinct from"]);
        prop_oneof![
            (1..4_usize, comparison(), 0..13_u32)
                .prop_map(|(at, op, n)| format!("cast(partition_{at} as integer) {op} {n}")),
            (1..4_usize, comparison(), 0..13_u32).prop_map(|(at, op, n)| format!("partition_{at} {op} {n}")),
            (1..4_usize, 0..13_u32, 0..13_u32).prop_map(|(at, a, b)| format!("partition_{at} in ({a}, '{b:02}')")),
            (1..4_usize, 0..10_u32).prop_map(|(at, n)| format!("cast(partition_{at} as varchar) not like '%{n}'")),
            (0..13_u32).prop_map(|n| format!(
                "day(cast(concat_ws('-', partition_0, partition_1, partition_2) as date)) > {n}"
            )),
            (comparison(), 0..10_u32).prop_map(|(op, n)| format!("events {op} {n}")),
            (1..4_usize).prop_map(|at| format!("cast(partition_{at} as integer) = events")),
            Just("events is null".to_owned()),
            Just("partition_1 = null".to_owned()),
        ]
    }

    fn conditions() -> impl Strategy<Value = String> {
        atoms().prop_recursive(4, 24, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
                inner.prop_map(|a| format!("not ({a})")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

        #[test]
        fn no_partition_with_a_row_is_left_out(
            condition in conditions(),
            hours in prop::collection::btree_set((1..13, 1..13, 0..13), 1..12),
        ) {
            let partitions: BTreeSet<Partition> = hours.into_iter().map(|(month, day, hour)| [2018, month, day, hour]).collect();
            let context = context();
            let (kept, truth) = (kept(&context, &condition, &partitions), truth(&context, &condition, &partitions));
            prop_assert!(kept.is_superset(&truth), "{condition}: {truth:?} of {kept:?}");
            // A condition on the partition alone is exact: the engine does not look again.
            if !condition.contains("events") {
                prop_assert_eq!(kept, truth, "{}", condition);
            }
        }
    }
}
