//! Where the sessions go: to the files that are written, and to the report.

use events::columns::Columns;
use events::failure::Outcome;
use events::zones::AnyZone;
use program::growing::Growing;
use program::stdout;
use rows::columns::files_columns;
use rows::lines::{Lines, More, MoreKind};

use crate::early::{Early, EarlyEvent};
use crate::facts::Kept;
#[cfg(feature = "parquet")]
use crate::folders::Folders;
use crate::options::{Options, OutputFormat};
use crate::output::{Form, Output, Rows};
use crate::report::Report;
use crate::side::{EventsFile, JsonLines};
use crate::strategy;
use crate::text::Summary;
use crate::unused::Unused;
use crate::visits::Visits;
use crate::writing::{Out, Writing};

pub(crate) struct Results<O: Kept> {
    writing: Option<Writing<O>>,
    pub(crate) report: Option<Report>,
    /// Where events are written before their session closes.
    pub(crate) early: Option<Early>,
    pub(crate) is_on_terminal: bool,
}

impl<O: Kept> Results<O> {
    /// Begins the outputs. `visits`: how many sessions each key had in earlier runs.
    pub(crate) fn new(
        options: &Options,
        inputs: &[String],
        columns: &Columns,
        visits: Option<Visits>,
    ) -> Outcome<Self> {
        let mut results = Self { writing: None, report: None, early: None, is_on_terminal: false };
        results.early = options.writes_events_early().then(Early::default);
        let visits = visits.or_else(|| options.results.visit_number.then(Visits::default));
        let mut files = Files { sessions: None, events: None, visits };
        if options.shows_report() {
            let zone = options.strategy.zone.unwrap_or(AnyZone::UTC);
            results.report = Some(Report::new(strategy::words(options), columns.key.clone(), zone));
        } else {
            let (sessions, is_on_terminal) = session_files(options, columns)?;
            (files.sessions, results.is_on_terminal) = (Some(sessions), is_on_terminal);
        }
        if let Some(path) = &options.results.events {
            let (inputs, columns, revisions) = (inputs.to_vec(), columns.clone(), options.has_revisions());
            files.events = Some(EventsFile { file: JsonLines::create(path)?, inputs, columns, revisions });
        }
        if files.sessions.is_some() || files.events.is_some() {
            results.writing = Some(Writing::start(files, options.streams()));
        }
        Ok(results)
    }

    /// Takes a session that has closed.
    #[inline]
    pub(crate) fn session(&mut self, mut session: Summary<O>) {
        if let Some(early) = self.early.as_mut().filter(|_| !session.is_update()) {
            early.close(&mut session);
        }
        if let Some(report) = &mut self.report {
            report.session(&session);
        }
        if let Some(writing) = &mut self.writing {
            writing.add(Out::Session(session));
        }
    }

    /// Takes an event of a session that is open.
    pub(crate) fn event(&mut self, event: EarlyEvent) {
        if let Some(writing) = &mut self.writing {
            writing.add(Out::Event(event));
        }
    }

    /// Whether everything could be written. The library's callback cannot return it.
    #[inline]
    pub(crate) fn check(&mut self) -> Outcome<()> {
        match &mut self.writing {
            Some(writing) if writing.has_failed() => writing.finish().map(drop),
            _ => Ok(()),
        }
    }

    /// Passes waiting rows on, since the input pauses.
    pub(crate) fn pause(&mut self) -> Outcome<()> {
        if let Some(writing) = &mut self.writing {
            writing.hand_over();
        }
        self.check()
    }

    /// Completes the files, which are to be placed, and shows the report.
    pub(crate) fn finish(self, unused: &Unused, is_bundled: bool) -> Outcome<Finished> {
        let files = self.writing.map_or(Ok(Finished::default()), |mut writing| writing.finish())?;
        if let Some(report) = self.report {
            let text = report.text(unused) + if is_bundled { TRY_YOUR_OWN } else { "" };
            stdout::write(text)?;
        }
        Ok(files)
    }
}

/// What sessions are written as, and whether that is seen on a terminal.
fn session_files(options: &Options, columns: &Columns) -> Outcome<(SessionFiles, bool)> {
    match options.output_format() {
        OutputFormat::Csv => rows(options, columns, Form::Csv),
        OutputFormat::Jsonl => rows(options, columns, Form::Jsonl),
        OutputFormat::KinesisSql => rows(options, columns, Form::KinesisSql),
        OutputFormat::Parquet => Ok((folders(options, columns)?, false)),
    }
}

#[cfg(feature = "parquet")]
fn folders(options: &Options, columns: &Columns) -> Outcome<SessionFiles> {
    let output = options.results.output.as_deref().unwrap_or(std::path::Path::new(""));
    Ok(SessionFiles::Folders(Box::new(Folders::create(output, columns.clone(), further(options).collect())?)))
}

#[cfg(not(feature = "parquet"))]
fn folders(_: &Options, _: &Columns) -> Outcome<SessionFiles> {
    Err(events::failure::Failure::usage(
        "this `files` is built without Parquet: build it again with `--features parquet`, as in \
         `cargo run --release -p files --features parquet -- …`",
    ))
}

/// The further columns.
fn further(options: &Options) -> impl Iterator<Item = (String, MoreKind)> + use<> {
    let visit = options.results.visit_number.then(|| ("visit".to_owned(), MoreKind::Count));
    let measures = &options.results.measures;
    visit.into_iter().chain(measures.columns().into_iter().zip(measures.kinds()).collect::<Vec<_>>())
}

/// The rows of one file, and whether they go to a terminal.
fn rows(options: &Options, columns: &Columns, form: Form) -> Outcome<(SessionFiles, bool)> {
    let to = Output::create(options.results.output.as_deref())?;
    let is_on_terminal = to.is_terminal();
    let more: Vec<String> = further(options).map(|(name, _)| name).collect();
    let columns = files_columns(columns.clone(), &more);
    let lines = Lines::new(columns, options.has_revisions(), more);
    let rows = Rows::new(to, form, lines);
    Ok((SessionFiles::Rows(Box::new(rows)), is_on_terminal))
}

/// What sessions are written as.
enum SessionFiles {
    Rows(Box<Rows>),
    #[cfg(feature = "parquet")]
    Folders(Box<Folders>),
}

/// The files that each session is written to.
pub(crate) struct Files {
    sessions: Option<SessionFiles>,
    events: Option<EventsFile>,
    visits: Option<Visits>,
}

/// The rest of [`Files`] when all is written.
#[derive(Default)]
pub(crate) struct Finished {
    /// To be placed.
    pub(crate) files: Vec<Growing>,
    pub(crate) visits: Option<Visits>,
}

impl Files {
    pub(crate) fn write<O: Kept>(&mut self, session: &mut Summary<O>) -> Outcome<()> {
        let id = session.id();
        let with_visit: Vec<More>;
        let more = match self.visits.as_mut().map(|visits| visits.next(&session.key)) {
            None => session.aggregate.cells(),
            Some(visit) => {
                with_visit = [&[More::Count(visit)], session.aggregate.cells()].concat();
                &with_visit
            }
        };
        match &mut self.sessions {
            Some(SessionFiles::Rows(rows)) => rows.write(session, id, more)?,
            #[cfg(feature = "parquet")]
            Some(SessionFiles::Folders(folders)) => folders.write(session, id, more)?,
            None => {}
        }
        if let Some(events) = &mut self.events {
            events.write(session, id)?;
        }
        Ok(())
    }

    pub(crate) fn write_event(&mut self, event: &EarlyEvent) -> Outcome<()> {
        self.events.as_mut().map_or(Ok(()), |events| events.write_early(event))
    }

    /// Writes waiting rows, if others see the output.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        if let Some(SessionFiles::Rows(rows)) = &mut self.sessions {
            rows.flush()?;
        }
        self.events.iter_mut().try_for_each(|events| events.file.flush())
    }

    /// Completes the files, which are to be placed.
    pub(crate) fn finish(self) -> Outcome<Finished> {
        let sessions = match self.sessions {
            Some(SessionFiles::Rows(rows)) => rows.finish()?,
            #[cfg(feature = "parquet")]
            Some(SessionFiles::Folders(folders)) => Some(folders.finish()?),
            None => None,
        };
        let events = self.events.map(|events| events.file.finish()).transpose()?;
        Ok(Finished { files: sessions.into_iter().chain(events).collect(), visits: self.visits })
    }
}

const TRY_YOUR_OWN: &str = r#"
These clicks were made up by the program `generate` (see examples/data/README.md). Now try your own:
  a web server log (or .gz, or several)
    cargo run --release -p files -- /var/log/nginx/access.log --report
  the work on any git repository: sessions with breaks of less than two hours
    git log --format='{"who":"%ae","when":"%aI","what":"%f"}' |
      cargo run --release -p files -- - --key who --time when --value what --gap 2h --report
  rows instead of a report: --output sessions.csv in place of --report; all options: --help
"#;
