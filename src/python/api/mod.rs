//! The module `uwsgi`, as applications and agents import it.
//!
//! The zygote and each worker say with [`Place`] who they are before the app is imported; a core says
//! with [`Desk`] which request its thread serves. One file per noun: facts, process, request, lock.
//! What uWSGI's module has and this one lacks stands in `surface`, with the sentence that asking for it
//! raises. Knows no sockets and no messages: what reaches the master goes through [`Place::ask`].

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use nix::unistd::Pid;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::wire::Wire;
use super::{Gil, attach, traceback};
use crate::config::Config;
use crate::net::exchange::Exchange;
use crate::proto::request::{Body, Request};
use crate::scoreboard::Scoreboard;

mod decorators;
mod facts;
mod lock;
mod process;
mod request;
pub mod surface;

/// What an app may ask of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// uWSGI: `uwsgi.reload()`.
    Reload,
    /// uWSGI: `uwsgi.stop()`.
    Stop,
}

/// Who this process is.
pub struct Place {
    /// The configuration of its generation.
    pub config: Arc<Config>,
    /// Its generation, from 1.
    pub generation: u64,
    /// Its generation's scoreboard.
    pub board: Scoreboard,
    /// The master.
    pub master: Pid,
    /// The worker's number and its cell; `None` in the zygote.
    pub worker: Option<(usize, usize)>,
    /// The descriptors of the listeners, and how many connections wait on each.
    pub sockets: Vec<(i32, Waiting)>,
    /// Reaches the master; false where it can't.
    pub ask: Box<dyn Fn(Ask) -> bool + Send + Sync>,
}

/// Counts the connections that wait on a listener; `None` where the kernel does not tell.
pub type Waiting = Box<dyn Fn() -> Option<u64> + Send + Sync>;

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("generation", &self.generation).field("worker", &self.worker).finish()
    }
}

static PLACE: RwLock<Option<Arc<Place>>> = RwLock::new(None);

/// The request that this thread serves.
struct Current {
    number: usize,
    wire: Wire,
    serving: bool,
    content_length: u64,
    extras: Extras,
}

/// What the app wants its request's line in the log to have.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Names and values (uWSGI: `uwsgi.set_logvar`).
    pub vars: Vec<(Vec<u8>, Vec<u8>)>,
    /// A line is wanted whatever the configuration says (uWSGI: `uwsgi.log_this_request`).
    pub forced: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
}

impl Place {
    /// Makes this process known to the module, which is put into `sys.modules` where it is not there
    /// yet. Called before the app is imported, and again in each worker.
    pub fn take(self) {
        let place = Arc::new(self);
        *PLACE.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&place));
        attach(|gil| quietly(gil.py, facts::publish(gil.py, &place)));
    }

    fn here() -> PyResult<Arc<Self>> {
        let place = PLACE.read().unwrap_or_else(PoisonError::into_inner).clone();
        place.ok_or_else(|| PyRuntimeError::new_err("this process is not a server's"))
    }

    /// The worker's number; 0 in the zygote.
    fn id(&self) -> usize {
        self.worker.map_or(0, |(id, _)| id)
    }
}

/// Calls the hook that the app assigned for after the fork (uWSGI: `uwsgi.post_fork_hook`), also where
/// this worker has imported the app itself.
pub fn forked() {
    attach(|gil| quietly(gil.py, call_hook(gil.py, "post_fork_hook")));
}

/// Calls the hook that the app assigned for the end of the process (uWSGI: `uwsgi.atexit`).
pub(super) fn ending(py: Python<'_>) -> PyResult<()> {
    call_hook(py, "atexit")
}

fn call_hook(py: Python<'_>, name: &str) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let module = modules.call_method1("get", ("uwsgi",))?;
    if module.is_none() {
        return Ok(());
    }
    match module.getattr("__dict__")?.call_method1("get", (name,))? {
        hook if hook.is_none() => Ok(()),
        hook => hook.call0().map(drop),
    }
}

fn quietly(py: Python<'_>, done: PyResult<()>) {
    if let Err(error) = done {
        traceback::log(&traceback::text(py, &error));
    }
}

/// What a core's thread keeps so that the module knows its request.
#[derive(Debug)]
pub struct Desk {
    /// uWSGI: `uwsgi.after_req_hook`, looked up once, when the app is loaded.
    hook: Option<Py<PyAny>>,
}

impl Desk {
    /// For the calling thread, which serves as core `number` over `exchange`.
    pub fn new(gil: &Gil<'_>, number: usize, exchange: Arc<Mutex<Exchange>>) -> Self {
        let current =
            Current { number, wire: Wire::new(exchange), serving: false, content_length: 0, extras: Extras::default() };
        CURRENT.with_borrow_mut(|slot| *slot = Some(current));
        let module = gil.py.import("uwsgi").and_then(|module| module.dict().call_method1("get", ("after_req_hook",)));
        let hook = module.ok().filter(|hook| !hook.is_none()).map(Bound::unbind);
        Self { hook }
    }

    /// A request begins on this thread.
    pub fn begin(&self, request: &Request) {
        let length = match request.body {
            Body::Length(length) | Body::Records(length) => length,
            Body::Chunked => 0,
        };
        CURRENT.with_borrow_mut(|slot| {
            if let Some(current) = slot {
                (current.serving, current.content_length) = (true, length);
            }
        });
    }

    /// The app has answered.
    pub fn end(&self, gil: &Gil<'_>) {
        if let Some(hook) = &self.hook {
            quietly(gil.py, hook.call0(gil.py).map(drop));
        }
        CURRENT.with_borrow_mut(|slot| {
            if let Some(current) = slot {
                current.serving = false;
            }
        });
    }
}

impl Extras {
    /// Takes what the request of this thread left for its line.
    pub fn take() -> Self {
        CURRENT.with_borrow_mut(|slot| match slot {
            Some(current) if current.extras.forced || !current.extras.vars.is_empty() => {
                std::mem::take(&mut current.extras)
            }
            _ => Self::default(),
        })
    }
}

impl Current {
    /// Runs `f` with the request of this thread; raises where there is none.
    fn with<R>(f: impl FnOnce(&mut Self) -> R) -> PyResult<R> {
        CURRENT.with_borrow_mut(|slot| match slot {
            Some(current) if current.serving => Ok(f(current)),
            _ => Err(PyRuntimeError::new_err("this thread serves no request")),
        })
    }

    fn wire() -> PyResult<Wire> {
        Self::with(|current| current.wire.clone())
    }
}
