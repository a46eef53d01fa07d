//! How the cores of a worker share its work, and what that means for the GIL.
//!
//! One function, [`Sharing::next`], stands between a core and its next request; another policy
//! (a leader that alone accepts for apps that only compute, say) is another arm of it. Knows
//! nothing of sockets.

use std::ops::ControlFlow;

use super::serve::{CoreLoop, Step};
use crate::python::Gil;

/// The policy of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// There is one core: it keeps the GIL through system calls that do not block, because giving
    /// it up and taking it again costs as much as half of them.
    Alone,
    /// Each core accepts and reads by itself, without the GIL, and takes it once a request. The
    /// best for apps that wait, and no loss for those that compute.
    Equals,
}

impl Sharing {
    /// The policy for a worker of so many cores.
    pub fn of(cores: usize) -> Self {
        if cores > 1 { Self::Equals } else { Self::Alone }
    }

    /// Connections that a core may be told of at once: it must not sit on what another could do.
    pub fn events(self) -> usize {
        match self {
            Self::Alone => 16,
            Self::Equals => 1,
        }
    }

    /// Brings a core to its next request: continues when there is one, breaks when the core is to
    /// end.
    pub fn next(self, gil: &Gil<'_>, core: &mut CoreLoop<'_>) -> ControlFlow<()> {
        match self {
            Self::Alone => loop {
                match core.advance() {
                    Step::Serve => return ControlFlow::Continue(()),
                    Step::Done => return ControlFlow::Break(()),
                    Step::Block => gil.release(|| core.block()),
                }
            },
            Self::Equals => gil.release(|| {
                loop {
                    match core.advance() {
                        Step::Serve => return ControlFlow::Continue(()),
                        Step::Done => return ControlFlow::Break(()),
                        Step::Block => core.block(),
                    }
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_core_takes_several_events_and_keeps_the_gil() {
        assert_eq!((Sharing::of(0), Sharing::of(1), Sharing::of(2)), (Sharing::Alone, Sharing::Alone, Sharing::Equals));
        assert!(Sharing::Alone.events() > 1);
        assert_eq!(Sharing::Equals.events(), 1);
    }
}
