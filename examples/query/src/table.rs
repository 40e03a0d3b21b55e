//! A table of files for the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use crate::folder::{DataFile, Partition, Table};
use crate::reads::Reads;
use crate::sentence::Sentence;
use crate::{prune, read};

/// A table, its columns known.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) table: Table,
    pub(crate) columns: SchemaRef,
    pub(crate) reads: Reads,
}

#[async_trait]
impl TableProvider for Files {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match prune::implied(filter) {
            _ if prune::is_of_partition(filter) => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = match projection {
            Some(columns) => Arc::new(self.columns.project(columns)?),
            None => self.schema(),
        };
        let all: BTreeSet<Partition> = self.table.files.iter().map(|file| file.partition).collect();
        self.reads.asked(&self.table.name, self.table.files.len(), all.last().map_or_else(String::new, day));
        let kept = prune::keep(state, &all, filters)?;
        let files: Vec<&DataFile> = self.table.files.iter().filter(|file| kept.contains(&file.partition)).collect();
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(columns)));
        }
        let shares = state.config().target_partitions().clamp(1, files.len());
        let share = |number| {
            let files = files.iter().skip(number).step_by(shares).map(|file| (*file).clone()).collect();
            let (table, columns, reads) = (self.table.name.clone(), Arc::clone(&columns), self.reads.clone());
            Arc::new(Share { table, files, columns, reads }) as Arc<dyn PartitionStream>
        };
        let shares = (0..shares).map(share).collect();
        Ok(Arc::new(StreamingTableExec::try_new(columns, shares, None, [], false, None)?))
    }
}

fn day(partition: &Partition) -> String {
    let [year, month, day, _] = partition;
    format!("{year:04}-{month:02}-{day:02}")
}

/// Files that are read one after the other.
#[derive(Debug)]
struct Share {
    table: String,
    files: Vec<DataFile>,
    columns: SchemaRef,
    reads: Reads,
}

impl PartitionStream for Share {
    fn schema(&self) -> &SchemaRef {
        &self.columns
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&self.columns), 2);
        let (table, columns, reads) = (self.table.clone(), Arc::clone(&self.columns), self.reads.clone());
        let (files, rows) = (self.files.clone(), stream.tx());
        stream.spawn_blocking(move || {
            for file in files {
                let mut is_wanted = true;
                reads.opened(&table, &file.path);
                let read = read::rows(&file, &columns, |batch| {
                    is_wanted = rows.blocking_send(Ok(batch)).is_ok();
                    is_wanted
                });
                read.map_err(|error| Sentence(format!("{error:#}")))?;
                if !is_wanted {
                    break;
                }
            }
            Ok(())
        });
        stream.build()
    }
}
