//! The engine with the tables of a folder and the views of the article.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use chrono::{DateTime, NaiveDate, Utc};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParser, Statement};
use events::columns::Columns;

use crate::options::{AGGREGATED, Alias, Options};
use crate::reads::Reads;
use crate::table::Files;
use crate::{columns, folder, functions, sentence};

/// Views over the article's table. The first two are the article's own.
pub(crate) const VIEWS: [(&str, &str); 3] = [
    ("clicks_today", include_str!("../sql/clicks_today.sql")),
    ("clicks_month", include_str!("../sql/clicks_month.sql")),
    ("sessions", include_str!("../sql/sessions.sql")),
];

/// The table of `kinesis` that does not hold sessions.
pub(crate) const ERRORS: &str = "errors";

pub(crate) struct Engine {
    context: SessionContext,
    /// The present, as a query sees it.
    now: DateTime<Utc>,
    reads: Reads,
    /// Names of tables and views.
    tables: Vec<String>,
}

/// The result of a query.
pub(crate) struct Rows {
    pub(crate) columns: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl Engine {
    /// Finds the tables and their columns.
    pub(crate) fn open(folder: &Path, options: &Options, today: NaiveDate) -> Result<Self> {
        let context = SessionContext::new_with_config(SessionConfig::new().with_information_schema(true));
        functions::all().for_each(|function| context.register_udf(function));
        let found = folder::tables(folder)?;
        let mut names: Vec<String> = found.iter().map(|table| table.name.clone()).collect();
        let aliases = aliases(&options.table, &names)?;
        let reads = Reads::default();
        let keys = Columns::declared(&options.key).map_err(|error| anyhow!("--key: {error}"))?;
        for table in found {
            let columns = columns::of(&table, &keys)?;
            let more = aliases.iter().filter(|alias| alias.table == table.name).map(|alias| alias.name.clone());
            let all: Vec<String> = std::iter::once(table.name.clone()).chain(more).collect();
            let files = Arc::new(Files { table, columns, reads: reads.clone() });
            for name in all {
                context.register_table(&*name, Arc::clone(&files) as _)?;
            }
        }
        names.extend(aliases.into_iter().map(|alias| alias.name));
        let now = today.and_time(Utc::now().time()).and_utc();
        Ok(Self { context, now, reads, tables: names })
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The statements of a text.
    pub(crate) fn statements(&self, sql: &str) -> Result<VecDeque<Statement>> {
        let statements = DFParser::parse_sql(sql).map_err(|error| self.sentence(&error))?;
        if statements.is_empty() {
            bail!("there is no statement in the SQL: write one, such as SELECT count(*) FROM {AGGREGATED}");
        }
        Ok(statements)
    }

    /// The views whose tables are there, unless a table has the name of the view.
    pub(crate) async fn create_views(&mut self) -> Result<()> {
        if !self.has(AGGREGATED) {
            return Ok(());
        }
        for (name, sql) in VIEWS {
            if self.has(name) {
                continue;
            }
            for statement in self.statements(sql)? {
                self.run(statement).await.with_context(|| format!("cannot create the view {name}"))?;
            }
            self.tables.push(name.to_owned());
        }
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.tables.iter().any(|table| table == name)
    }

    /// The rows of a query; none of a statement that creates a view.
    pub(crate) async fn run(&self, statement: Statement) -> Result<Option<Rows>> {
        let mut state = self.context.state();
        state.execution_props_mut().query_execution_start_time = Some(self.now);
        let plan = state.statement_to_plan(statement).await.map_err(|error| self.sentence(&error))?;
        let rows = match plan {
            plan @ LogicalPlan::Ddl(DdlStatement::CreateView(_)) => {
                self.context.execute_logical_plan(plan).await.map(|_| None)
            }
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_) => {
                bail!("nothing is written here: ask with SELECT, or CREATE VIEW for the statements that follow")
            }
            plan => rows(&state, &plan).await.map(Some),
        };
        Ok(rows.map_err(|error| self.sentence(&error))?)
    }

    fn sentence(&self, error: &DataFusionError) -> sentence::Sentence {
        let mut tables = self.tables.clone();
        tables.sort();
        sentence::of(error, &tables)
    }
}

async fn rows(state: &SessionState, plan: &LogicalPlan) -> Result<Rows, DataFusionError> {
    let plan = state.create_physical_plan(plan).await?;
    let columns = plan.schema();
    Ok(Rows { columns, batches: collect(plan, state.task_ctx()).await? })
}

/// Second names: those asked for, and the article's for a table of sessions that is the only one.
fn aliases(asked: &[Alias], tables: &[String]) -> Result<Vec<Alias>> {
    let mut aliases: Vec<Alias> = Vec::new();
    let there_are = || tables.join(", ");
    for alias in asked {
        let Alias { name, table } = alias;
        if !tables.contains(table) {
            bail!("--table: there is no table `{table}`: there are {}", there_are());
        }
        if name == table {
            continue;
        }
        if tables.contains(name) || aliases.iter().any(|other| other.name == *name) {
            bail!("--table: there are two tables `{name}`: give {table} another name");
        }
        aliases.push(alias.clone());
    }
    let is_known = |name: &str| tables.iter().chain(aliases.iter().map(|alias| &alias.name)).any(|known| known == name);
    if !is_known(AGGREGATED) {
        let mut sessions = tables.iter().filter(|table| *table != ERRORS);
        if let (Some(table), None) = (sessions.next(), sessions.next()) {
            aliases.push(Alias { name: AGGREGATED.to_owned(), table: table.clone() });
        }
    }
    Ok(aliases)
}
