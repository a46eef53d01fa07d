//! Hooks: actions that a configuration asks for at turning points (uWSGI: `--hook-*`, `--exec-*`).
//!
//! Called by the process whose turning point it is: the master before it opens sockets, the zygote
//! around the import, each worker before it accepts. The first action that fails ends the phase with
//! an error; what follows from that is the caller's to decide.
#![forbid(unsafe_code)]

use crate::config::Config;
use crate::error::{Error, Result};

mod action;
mod perform;
mod wait;

pub use action::{Action, SignalDeed};

/// A turning point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The configuration was read.
    Asap,
    /// Before the process is jailed.
    PreJail,
    /// After the process was jailed.
    PostJail,
    /// Inside of the jail.
    InJail,
    /// Still root.
    AsRoot,
    /// No longer root.
    AsUser,
    /// The instance ends.
    AsUserAtexit,
    /// Before the app is loaded.
    PreApp,
    /// After the app was loaded.
    PostApp,
    /// A worker was forked.
    PostFork,
    /// A worker is about to accept.
    Accepting,
    /// The same, the first time.
    AcceptingOnce,
    /// Worker 1 is about to accept.
    Accepting1,
    /// The same, the first time.
    Accepting1Once,
    /// The workers serve.
    MasterStart,
}

impl Phase {
    /// Every phase.
    const ALL: [Self; 15] = [
        Self::Asap,
        Self::PreJail,
        Self::PostJail,
        Self::InJail,
        Self::AsRoot,
        Self::AsUser,
        Self::AsUserAtexit,
        Self::PreApp,
        Self::PostApp,
        Self::PostFork,
        Self::Accepting,
        Self::AcceptingOnce,
        Self::Accepting1,
        Self::Accepting1Once,
        Self::MasterStart,
    ];

    /// What the log calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asap => "asap",
            Self::PreJail => "pre-jail",
            Self::PostJail => "post-jail",
            Self::InJail => "in-jail",
            Self::AsRoot => "as root",
            Self::AsUser => "as user",
            Self::AsUserAtexit => "atexit",
            Self::PreApp => "pre app",
            Self::PostApp => "post app",
            Self::PostFork => "post-fork",
            Self::Accepting => "accepting",
            Self::AcceptingOnce => "accepting-once",
            Self::Accepting1 => "accepting1",
            Self::Accepting1Once => "accepting1-once",
            Self::MasterStart => "master-start",
        }
    }

    /// Its hooks and its commands: each the option's name and its values.
    fn settings(self, config: &Config) -> [(&'static str, &[String]); 2] {
        let hooks = &config.hooks;
        match self {
            Self::Asap => [("hook-asap", &hooks.hook_asap), ("exec-asap", &hooks.exec_asap)],
            Self::PreJail => [("hook-pre-jail", &hooks.hook_pre_jail), ("exec-pre-jail", &hooks.exec_pre_jail)],
            Self::PostJail => [("hook-post-jail", &hooks.hook_post_jail), ("exec-post-jail", &hooks.exec_post_jail)],
            Self::InJail => [("hook-in-jail", &hooks.hook_in_jail), ("exec-in-jail", &hooks.exec_in_jail)],
            Self::AsRoot => [("hook-as-root", &hooks.hook_as_root), ("exec-as-root", &hooks.exec_as_root)],
            Self::AsUser => [("hook-as-user", &hooks.hook_as_user), ("exec-as-user", &hooks.exec_as_user)],
            Self::AsUserAtexit => [
                ("hook-as-user-atexit", &hooks.hook_as_user_atexit),
                ("exec-as-user-atexit", &hooks.exec_as_user_atexit),
            ],
            Self::PreApp => [("hook-pre-app", &hooks.hook_pre_app), ("exec-pre-app", &hooks.exec_pre_app)],
            Self::PostApp => [("hook-post-app", &hooks.hook_post_app), ("exec-post-app", &hooks.exec_post_app)],
            Self::PostFork => [("hook-post-fork", &hooks.hook_post_fork), ("", &[])],
            Self::Accepting => [("hook-accepting", &hooks.hook_accepting), ("", &[])],
            Self::AcceptingOnce => [("hook-accepting-once", &hooks.hook_accepting_once), ("", &[])],
            Self::Accepting1 => [("hook-accepting1", &hooks.hook_accepting1), ("", &[])],
            Self::Accepting1Once => [("hook-accepting1-once", &hooks.hook_accepting1_once), ("", &[])],
            Self::MasterStart => [("hook-master-start", &hooks.hook_master_start), ("", &[])],
        }
    }

    /// What is to be done in this phase: hooks first, then commands, as uWSGI does. Fails with RW0701.
    pub fn hooks(self, config: &Config) -> Result<Vec<Hook>> {
        let [(hook, actions), (exec, commands)] = self.settings(config);
        let actions = actions.iter().map(|text| {
            let read = Hook::parse(text, self).map_err(|error| error.maybe_at(config.line_of(hook, text)))?;
            Ok(read.set_in(config, hook, text))
        });
        let commands = commands.iter().map(|text| Ok(Hook::command(text, self.as_str()).set_in(config, exec, text)));
        actions.chain(commands).collect()
    }

    /// Does what is to be done in this phase, here and now, waiting for commands.
    pub fn run(self, config: &Config) -> Result<()> {
        self.hooks(config)?.iter().try_for_each(Hook::run)
    }
}

/// Finds every mistake in a hook before the first one is done.
pub fn check(config: &Config) -> Result<()> {
    for phase in Phase::ALL {
        phase.hooks(config)?;
    }
    touched(config).map(|_| ())
}

/// What is to be done when files are touched: the file, as written, and the hook.
pub fn touched(config: &Config) -> Result<Vec<(String, Hook)>> {
    let pair = |option: &str, text: &str| {
        text.trim_start()
            .split_once(' ')
            .map(|(file, rest)| (file.to_owned(), rest.trim_start().to_owned()))
            .ok_or_else(|| {
                Error::new(crate::error::Code::BadHook, format!("`{option}` takes a file and what to do, not `{text}`"))
                    .maybe_at(config.line_of(option, text))
            })
    };
    let hooks = config.hooks.hook_touch.iter().map(|text| {
        let (file, action) = pair("hook-touch", text)?;
        let hook = Hook::parse_for(&action, "touch", false)
            .map_err(|error| error.maybe_at(config.line_of("hook-touch", text)))?;
        Ok((file, hook.set_in(config, "hook-touch", text)))
    });
    let commands = config.hooks.touch_exec.iter().map(|text| {
        let (file, command) = pair("touch-exec", text)?;
        Ok((file, Hook::command(&command, "touch").set_in(config, "touch-exec", text)))
    });
    hooks.chain(commands).collect()
}

/// One action of one phase.
#[derive(Clone, Debug)]
pub struct Hook {
    /// How the log names it; `None` for one whose arguments are nobody's business (`!` in front).
    shown: Option<String>,
    action: Action,
    phase: &'static str,
    /// Where it was set.
    at: Option<String>,
    /// What `env` sets, for commands.
    environment: Vec<String>,
}

impl Hook {
    fn parse(text: &str, phase: Phase) -> Result<Self> {
        Self::parse_for(text, phase.as_str(), phase == Phase::MasterStart)
    }

    fn parse_for(text: &str, phase: &'static str, may_set_signals: bool) -> Result<Self> {
        let (hidden, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let action = Action::parse(text, may_set_signals)?;
        Ok(Self { shown: (!hidden).then(|| text.to_owned()), action, phase, at: None, environment: Vec::new() })
    }

    fn command(text: &str, phase: &'static str) -> Self {
        let (shown, action) = (Some(text.to_owned()), Action::Exec(text.to_owned()));
        Self { shown, action, phase, at: None, environment: Vec::new() }
    }

    /// The hook with what its configuration knows: the line it stands in, and what `env` sets.
    fn set_in(self, config: &Config, option: &str, text: &str) -> Self {
        let at = config.line_of(option, text).map(ToString::to_string);
        Self { at, environment: config.env.clone(), ..self }
    }

    /// What it does.
    pub fn action(&self) -> &Action {
        &self.action
    }

    /// How the log names it.
    pub fn name(&self) -> String {
        match &self.shown {
            Some(shown) => shown.clone(),
            None => format!("{}:…", self.action.name()),
        }
    }

    /// Says that its turn has come.
    pub fn announce(&self) {
        tracing::info!("running \"{}\" ({})...", self.name(), self.phase);
    }

    /// Does it, waiting for it. Fails with RW0702.
    pub fn run(&self) -> Result<()> {
        self.announce();
        self.action.perform(&self.environment).map_err(|reason| {
            Error::new(
                crate::error::Code::HookFailed,
                format!("the hook `{}` ({}) failed: {reason}", self.name(), self.phase),
            )
            .maybe_at(self.at.as_ref())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_behind_an_exclamation_mark_stay_secret() {
        let hook = Hook::parse("!exec:login --password x", Phase::Asap).unwrap();
        assert_eq!(hook.name(), "exec:…");
        assert_eq!(Hook::parse("exec:true", Phase::Asap).unwrap().name(), "exec:true");
        let error = Hook::parse("!exec:echo secret; exit 4", Phase::Asap).unwrap().run().unwrap_err();
        assert_eq!(error.message, "the hook `exec:…` (asap) failed: it exited with code 4");
    }

    #[test]
    fn hooks_come_before_commands_and_touches_have_files() {
        let mut config = Config::default();
        config.hooks.exec_asap = vec!["true".into()];
        config.hooks.hook_asap = vec!["print:one".into(), "print:two".into()];
        let names: Vec<String> = Phase::Asap.hooks(&config).unwrap().iter().map(Hook::name).collect();
        assert_eq!(names, ["print:one", "print:two", "true"]);
        config.hooks.hook_touch = vec!["/srv/x  print:seen".into()];
        let (file, hook) = touched(&config).unwrap().remove(0);
        assert_eq!((file.as_str(), hook.name().as_str()), ("/srv/x", "print:seen"));
        config.hooks.hook_touch = vec!["/srv/x".into()];
        assert!(check(&config).is_err());
    }
}
