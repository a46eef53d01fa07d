//! Numbers about workers that have to fit each other.
//!
//! Called by `check`. What uWSGI refuses is refused, what it cuts is cut and said.

use crate::config::{Config, Findings, Lifetimes};
use crate::error::{Code, Error};

impl Config {
    /// Finds limits that can't be kept.
    pub(super) fn check_lifetimes(&mut self, findings: &mut Findings) {
        let (processes, lifetimes) = (self.processes, &self.lifetimes);
        if lifetimes.cheaper > 0 && lifetimes.cheaper >= processes {
            let message = format!("`cheaper = {}` has to be lower than `processes = {processes}`", lifetimes.cheaper);
            let error = Error::new(Code::OutOfRange, message).maybe_at(self.origin("cheaper"));
            findings.fail(error.part(lifetimes.cheaper.to_string()).hint(format!("processes = {}", 2 * processes)));
        }
        let (min, max) = (self.min_worker_lifetime, lifetimes.max_worker_lifetime);
        if max > 0 && min >= max {
            let message = format!("`min-worker-lifetime = {min}` has to be lower than `max-worker-lifetime = {max}`");
            findings.fail(Error::new(Code::OutOfRange, message).maybe_at(self.origin("max-worker-lifetime")));
        }
        if let Some(name) = &lifetimes.cheaper_algo
            && !Lifetimes::CHEAPER_ALGORITHMS.contains(&name.as_str())
        {
            let message = format!("there is no algorithm `{name}`, and `spare` takes its place");
            let error = Error::new(Code::LaxValue, message).maybe_at(self.origin("cheaper-algo")).part(name.as_str());
            findings.warn(error.hint(format!("there are {}", Lifetimes::CHEAPER_ALGORITHMS.join(", "))));
        }
        let initial = lifetimes.cheaper_initial;
        if lifetimes.cheaper > 0 && initial > processes {
            let message =
                format!("`cheaper-initial = {initial}` is read as {processes}: there are no more `processes`");
            let error = Error::new(Code::Clamped, message).maybe_at(self.origin("cheaper-initial"));
            findings.warn(error.part(initial.to_string()));
            self.lifetimes.cheaper_initial = processes;
        }
        for option in ["cheaper-initial", "cheaper-algo", "cheaper-step", "cheaper-overload", "cheaper-idle"] {
            if self.lifetimes.cheaper == 0
                && let Some(setting) = self.origin(option)
            {
                let message = format!("`{}` has no effect without `cheaper`", setting.key);
                findings.warn(Error::new(Code::NothingToDo, message).at(setting).part(setting.key.as_str()));
            }
        }
    }
}
