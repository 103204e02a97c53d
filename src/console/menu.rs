//! A numbered menu: what an entry does stands beside its title.

use super::Ended;
use super::screen::Screen;

type Action<'a> = Box<dyn Fn(&mut Screen) -> Result<(), Ended> + 'a>;

/// Entries in their order.
#[derive(Default)]
pub(super) struct Menu<'a> {
    entries: Vec<(&'static str, Action<'a>)>,
}

impl<'a> Menu<'a> {
    pub(super) fn add(
        &mut self,
        title: &'static str,
        action: impl Fn(&mut Screen) -> Result<(), Ended> + 'a,
    ) {
        self.entries.push((title, Box::new(action)));
    }

    /// Shows the menu once and does what is chosen; false if that is `last`, which leaves it.
    pub(super) fn run(&self, last: &str, screen: &mut Screen) -> Result<bool, Ended> {
        let entries: Vec<_> =
            self.entries.iter().map(|(title, action)| (*title, Some(action))).collect();
        match screen.choose(&entries, (last, None))? {
            None => Ok(true),
            Some(None) => Ok(false),
            Some(Some(action)) => match action(screen) {
                Ok(()) | Err(Ended::Cancelled) => Ok(true),
                Err(Ended::Failed(why)) => screen.tell(&why).map(|()| true),
                Err(Ended::Closed) => Err(Ended::Closed),
            },
        }
    }
}
