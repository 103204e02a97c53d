//! A numbered menu: what an entry does stands beside its title.

use super::Closed;
use super::screen::Screen;

type Action<'a> = Box<dyn Fn(&mut Screen) -> Result<(), Closed> + 'a>;

/// Entries in their order.
#[derive(Default)]
pub(super) struct Menu<'a> {
    entries: Vec<(&'static str, Action<'a>)>,
}

impl<'a> Menu<'a> {
    pub(super) fn add(
        &mut self,
        title: &'static str,
        action: impl Fn(&mut Screen) -> Result<(), Closed> + 'a,
    ) {
        self.entries.push((title, Box::new(action)));
    }

    /// Shows the menu once and does what is chosen; false if that is `last`, which leaves it.
    pub(super) fn run(&self, last: &str, screen: &mut Screen) -> Result<bool, Closed> {
        let entries: Vec<_> =
            self.entries.iter().map(|(title, action)| (*title, Some(action))).collect();
        match screen.choose(&entries, (last, None))? {
            None => Ok(true),
            Some(None) => Ok(false),
            Some(Some(action)) => action(screen).map(|()| true),
        }
    }
}
