//! From the command line to a dataflow that runs.

use std::any::Any;
use std::process::exit;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use events::columns::Columns;
use events::input::Source;
use events::setup;
use program::failure;
use program::say::say;
use timely::WorkerConfig;
use timely::communication::Hooks;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::probe::Handle;
use timely::execute::execute_from;
use timely::worker::Worker;

use crate::clockwork::Clockwork;
use crate::commit::commit;
use crate::message::Epoch;
use crate::network::{self, Greeting};
use crate::options::Run;
use crate::sessions::sessions;
use crate::settings::Settings;
use crate::source::{Amount, Amounts, messages};
use crate::state::{Folder, Resumed, When};

/// How a job has ended.
#[derive(Debug)]
pub enum Ended {
    /// All is done. What this process has read, and whether it began with the first line.
    Done { amount: Box<Amount>, is_whole: bool },
    /// An earlier run had done all.
    Before,
}

/// Runs a job to its end.
pub fn run(run: Run) -> Result<Ended> {
    let failed = |failure: events::failure::Failure| anyhow!(failure.message);
    let sources = setup::sources(&run.inputs);
    if sources.contains(&Source::Stdin) {
        bail!("standard input cannot be read again after a restart: give files");
    }
    setup::check(&run.fields, &sources).map_err(failed)?;
    let columns = rows::columns::session_columns(setup::columns(&run.fields, &sources).map_err(failed)?);
    setup::check_files(&sources, None).map_err(failed)?;
    run.rule.config().build()?; // a wrong setting is told before anything starts
    check_addresses(&run)?;
    let folder = Folder::new(&run.state);
    let (settings, newest) = (Settings::new(&run), folder.newest()?);
    let _only_this = settings.claim(&run, newest)?;
    if newest == Some(When::End) {
        return Ok(Ended::Before);
    }
    end_with_the_others();
    let (workers, others) = workers(&run, &settings)?;
    let amounts = Amounts::default();
    let job = Arc::new(Job { run, sources, columns, folder, amounts: amounts.clone() });
    let guards = execute_from(workers, others, WorkerConfig::default(), move |worker| job.start(worker))
        .map_err(|problem| anyhow!(problem))?;
    for result in guards.join() {
        result.map_err(|problem| anyhow!("a worker failed: {problem}"))?;
    }
    Ok(Ended::Done { amount: Box::new(amounts.take()), is_whole: newest.is_none() })
}

fn check_addresses(run: &Run) -> Result<()> {
    let Some(process) = run.process else { return Ok(()) };
    if process >= run.addresses.len() {
        bail!("--process {process} is not there: --addresses has {} (from 0)", run.addresses.len());
    }
    if let Some((_, twice)) =
        run.addresses.iter().enumerate().find(|(i, address)| run.addresses[..*i].contains(address))
    {
        bail!("--addresses has {twice} twice: each process needs one of its own");
    }
    Ok(())
}

/// The worker threads of this process, and the connections to those of the others.
fn workers(run: &Run, settings: &Settings) -> Result<(Vec<AllocatorBuilder>, Box<dyn Any + Send>)> {
    let hooks = Hooks::default();
    let threads = ProcessBuilder::new_typed_vector(run.workers, hooks.refill.clone(), hooks.spill.clone());
    let Some(process) = run.process else {
        return Ok((threads.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(())));
    };
    let greeting = Greeting { process, command: settings.command(run) };
    let streams = network::connect(&run.addresses, &greeting, run.connect_timeout)?;
    let (workers, guard) = initialize_networking_from_sockets(threads, streams, process, run.workers, hooks)
        .context("cannot use the connections")?;
    Ok((workers.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(guard)))
}

struct Job {
    run: Run,
    sources: Vec<Source>,
    columns: Columns,
    folder: Folder,
    amounts: Amounts,
}

impl Job {
    /// Builds the dataflow on one worker. Timely runs it to its end.
    fn start(&self, worker: &mut Worker) {
        let (run, index, peers) = (&self.run, worker.index(), worker.peers());
        let resumed = self.folder.resume(index, peers).unwrap_or_else(|error| stop(&error)).unwrap_or_default();
        let engine = self.engine(&resumed).unwrap_or_else(|error| stop(&error));
        let clockwork = Clockwork::new(run.out_of_order, run.epoch, run.checkpoint);
        worker.dataflow::<Epoch, _, _>(|scope| {
            let done = Handle::new();
            let messages =
                messages(scope, &self.sources, &run.fields, clockwork, &resumed, done.clone(), &self.amounts);
            let mut streams = sessions(messages, engine, resumed.progress.clone());
            streams.sessions = streams.sessions.probe_with(&done);
            commit(streams, self.folder.clone(), self.columns.clone());
        });
    }

    fn engine(&self, resumed: &Resumed) -> Result<stagger::Engine<String, String>> {
        let config = self.run.rule.config();
        Ok(match &resumed.engine {
            Some(snapshot) => config.restore(snapshot.clone())?,
            None => config.build()?,
        })
    }
}

/// The process ends with any thread of timely: the others would wait for it without end. When the connection to another
/// process is lost, timely panics on several threads. One sentence says it better.
fn end_with_the_others() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or_default();
        if name.starts_with("timely:recv") || name.starts_with("timely:send") {
            stop(&anyhow!("the connection to another process is lost: start all processes again"));
        }
        earlier(panic);
        if name.starts_with("timely:") {
            stop(&anyhow!("a worker failed; the state is as of the newest checkpoint"));
        }
    }));
}

/// Ends the process: the state on disk is whole at any time, and the other processes cannot go on without this one.
pub fn stop(error: &anyhow::Error) -> ! {
    say(format_args!("timely-sessions: {error:#}"));
    exit(failure::CANNOT.into())
}
