//! The terminal while the view is on it: keys, and drawing now and then.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio_util::sync::CancellationToken;

use super::view::View;
use crate::status::{Now, Status};

const EVERY: Duration = Duration::from_millis(100);

/// The terminal, given back as it was when this goes.
struct Screen {
    terminal: DefaultTerminal,
    /// Something panicked, here or in another task: `ratatui` has given the terminal back, for the
    /// message to be seen, and nothing must be drawn over that.
    is_broken: CancellationToken,
}

impl Screen {
    fn new() -> Result<Self> {
        let terminal = ratatui::try_init().context("cannot draw on this terminal: use --plain")?;
        let is_broken = CancellationToken::new();
        let (breaks, give_back) = (is_broken.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            breaks.cancel();
            give_back(panic);
        }));
        Ok(Self { terminal, is_broken })
    }

    fn draw(&mut self, view: &View, now: &Now) -> Result<()> {
        if !self.is_broken.is_cancelled() {
            self.terminal.draw(|frame| view.draw(frame, now)).context("cannot draw on the terminal")?;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if !self.is_broken.is_cancelled() {
            ratatui::restore();
        }
    }
}

/// Draws until the demonstration has ended. `q` and Ctrl-C ask for that, a second time end it at once.
pub(crate) async fn run(
    mut view: View,
    status: &Status,
    began: Instant,
    stop: &CancellationToken,
    ended: &CancellationToken,
) -> Result<()> {
    let mut screen = Screen::new()?;
    loop {
        if is_asked_to_end()? {
            if stop.is_cancelled() {
                drop(screen);
                std::process::exit(130);
            }
            stop.cancel();
        }
        let now = status.now();
        view.observe(&now, began.elapsed(), stop.is_cancelled());
        screen.draw(&view, &now)?;
        if ended.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return Ok(());
        }
    }
}

/// Reads the keys that were pressed.
fn is_asked_to_end() -> Result<bool> {
    let mut is_asked = false;
    let failed = "cannot read the keyboard";
    while event::poll(Duration::ZERO).context(failed)? {
        if let Event::Key(key) = event::read().context(failed)? {
            is_asked |= key.kind == KeyEventKind::Press && ends(key);
        }
    }
    Ok(is_asked)
}

fn ends(key: KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) || (is_control && key.code == KeyCode::Char('c'))
}
