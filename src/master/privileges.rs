//! Who the processes are, and what they may: the master's part of it.
//!
//! In this order: [`change_at_once`] while nothing is open yet (uWSGI: `--immediate-uid`), then
//! [`enclose`] when the instance is where it will live, each zygote for itself (see
//! `zygote::confinement`), and when the sockets are open [`Master::drop_privileges`]. A zygote of
//! a later reload is forked from a master that is root no more, and has nothing left to give up;
//! where it would need root, the master stays root.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid};

use super::Master;
use crate::config::{Config, Warning, suggest};
use crate::error::{Code, Error, Result};
use crate::python::{self, Venv};
use crate::sys::capability::Capabilities;
use crate::sys::isolation::{self, Namespaces};
use crate::sys::limit::{self, Limit};
use crate::sys::user::{self, Identity};

/// The permissions of a new control group (uWSGI: `--cgroup-dir-mode`).
const CGROUP_MODE: u32 = 0o700;

/// Finds users, groups, capabilities and namespaces that do not exist, and what takes root.
pub fn check(config: &Config) -> Result<()> {
    let identity = identity(config)?;
    namespaces(config)?;
    let own = &config.privileges;
    if user::is_root() {
        if identity.uid.is_some() && identity.gid.is_none() {
            tracing::warn!("the processes keep root's group: `uid` is no user with a group, set `gid`");
        }
        return Ok(());
    }
    let shut_in =
        [("chroot", own.chroot.is_some()), ("cap", !own.cap.is_empty()), ("unshare", !own.unshare.is_empty())];
    if let Some((option, _)) = shut_in.into_iter().find(|(_, given)| *given) {
        return Err(Error::new(Code::NotPermitted, format!("`{option}` takes root"))
            .maybe_at(config.origin(option))
            .hint("start as root, with `uid` and `gid`, or take the line out"));
    }
    let ignored = [("uid", config.uid.is_some()), ("gid", config.gid.is_some()), ("add-gid", !own.add_gid.is_empty())];
    let ignored: Vec<String> =
        ignored.into_iter().filter(|(_, given)| *given).map(|(option, _)| format!("`{option}`")).collect();
    if !ignored.is_empty() {
        // uWSGI ignores them too, without a word.
        tracing::warn!("ignored, because not started as root: {}", ignored.join(", "));
    }
    Ok(())
}

/// Becomes another user before anything is opened (uWSGI: `--immediate-uid`, `--immediate-gid`).
pub fn change_at_once(config: &Config) -> Result<()> {
    let own = &config.privileges;
    let gid = own.immediate_gid.as_deref().map(|name| known_group(config, "immediate-gid", name)).transpose()?;
    let uid = own.immediate_uid.as_deref().map(|name| known_user(config, "immediate-uid", name)).transpose()?;
    if gid.is_none() && uid.is_none() {
        return Ok(());
    }
    let groups = gid.map(|_| Vec::new());
    let at_once = Identity { uid, gid, groups, capabilities: None };
    at_once.assume().map_err(|error| {
        let option = if uid.is_some() { "immediate-uid" } else { "immediate-gid" };
        Error::new(Code::NotPermitted, format!("cannot change user: {error}")).maybe_at(config.origin(option))
    })
}

/// What the whole instance lives in: control group, namespaces, priority, open files. Once, at the
/// start; every process inherits it.
pub fn enclose(config: &Config) -> Result<()> {
    for group in &config.privileges.cgroup {
        join_cgroup(config, Path::new(group))?;
    }
    if let Some(namespaces) = namespaces(config)? {
        namespaces.unshare().map_err(|error| {
            Error::new(Code::IsolationRefused, format!("cannot unshare namespaces: {error}"))
                .maybe_at(config.origin("unshare"))
        })?;
        tracing::info!("namespaces of its own: {}", config.privileges.unshare.join(", "));
    }
    if config.privileges.never_swap
        && user::is_root()
        && let Err(error) = Limit::LockedMemory.set(limit::UNLIMITED)
    {
        refused(config, "never-swap", &error);
    }
    if config.privileges.prio != 0 {
        match limit::nice(config.privileges.prio) {
            Ok(()) => tracing::info!("scheduler priority set to {}", config.privileges.prio),
            Err(error) => refused(config, "prio", &error),
        }
    }
    if config.privileges.max_fd > 0
        && let Err(error) = Limit::Files.set(config.privileges.max_fd)
    {
        refused(config, "max-fd", &error);
    }
    Ok(())
}

/// Whom the configuration asks to become. Without `gid` the user's own group is taken: root's is
/// left behind with root (uWSGI keeps it).
pub fn identity(config: &Config) -> Result<Identity> {
    let own = &config.privileges;
    let uid = config.uid.as_deref().map(|name| known_user(config, "uid", name)).transpose()?;
    let gid = config.gid.as_deref().map(|name| known_group(config, "gid", name)).transpose()?;
    let added = own.add_gid.iter().map(|name| known_group(config, "add-gid", name)).collect::<Result<Vec<Gid>>>()?;
    let user = uid.and_then(|uid| user::user(&uid.to_string()));
    let gid = gid.or_else(|| user.as_ref().map(|user| user.gid));
    let groups = match (gid, &user) {
        (None, _) => (!added.is_empty() && uid.is_some()).then_some(added),
        (Some(gid), Some(user)) if !own.no_initgroups => {
            let mut groups =
                user::groups(user, gid).map_err(|error| Error::system("cannot read the user's groups", error))?;
            groups.extend(added);
            Some(groups)
        }
        (Some(_), _) => Some(added),
    };
    let mut kept = Capabilities::default();
    for name in &own.cap {
        if !kept.add(name) {
            let mut error = Error::new(Code::BadValue, format!("no capability `{name}`"));
            if let Some(near) = suggest::nearest(name, Capabilities::names()).first() {
                error = error.hint(format!("cap = {near}"));
            }
            return Err(error.maybe_at(config.origin("cap")).part(name.as_str()));
        }
    }
    Ok(Identity { uid, gid, groups, capabilities: (!own.cap.is_empty()).then_some(kept) })
}

/// The Python environment; `None` where it is inside of a jail, and the zygote looks for it there.
pub fn visible_venv(config: &Config, directory: &Path, program: &Path) -> Result<Option<Venv>> {
    match config.privileges.chroot {
        Some(_) => Ok(None),
        None => python::find_venv(config, directory, program).map(Some),
    }
}

/// Options of this kind that only a start can apply, and whether they have changed.
pub fn fixed_at_start(old: &Config, new: &Config) -> impl Iterator<Item = (&'static str, bool)> + use<> {
    let (old, new) = (&old.privileges, &new.privileges);
    [
        ("unshare", old.unshare != new.unshare),
        ("cgroup", old.cgroup != new.cgroup),
        ("cgroup-opt", old.cgroup_opt != new.cgroup_opt),
        ("immediate-uid", old.immediate_uid != new.immediate_uid),
        ("immediate-gid", old.immediate_gid != new.immediate_gid),
        ("master-as-root", old.master_as_root != new.master_as_root),
        ("prio", old.prio != new.prio),
    ]
    .into_iter()
}

/// The user of this name or number, as `option` gives it.
pub fn known_user(config: &Config, option: &str, name: &str) -> Result<Uid> {
    user::uid(name).ok_or_else(|| unknown(config, option, "user", name, "/etc/passwd"))
}

/// The group of this name or number, as `option` gives it.
pub fn known_group(config: &Config, option: &str, name: &str) -> Result<Gid> {
    user::gid(name).ok_or_else(|| unknown(config, option, "group", name, "/etc/group"))
}

fn unknown(config: &Config, option: &str, kind: &str, name: &str, table: &str) -> Error {
    let error = Error::new(Code::NoSuchUser, format!("no {kind} `{name}`")).maybe_at(config.origin(option)).part(name);
    let table = fs::read_to_string(table).unwrap_or_default();
    let names = table.lines().filter_map(|line| line.split(':').next());
    match (suggest::nearest(name, names).first(), kind, option) {
        (Some(near), _, "uid" | "gid" | "add-gid" | "immediate-uid" | "immediate-gid") => {
            error.hint(format!("{option} = {near}"))
        }
        (Some(near), ..) => error.hint(format!("did you mean `{near}`?")),
        (None, "user", _) => error.hint(format!("useradd --system --user-group --no-create-home {name}")),
        (None, ..) => error.hint(format!("groupadd --system {name}")),
    }
}

/// The namespaces that `unshare` names.
fn namespaces(config: &Config) -> Result<Option<Namespaces>> {
    let mut all = Namespaces::none();
    for name in &config.privileges.unshare {
        let Some(one) = isolation::namespace(name) else {
            let error = Error::new(Code::BadValue, format!("no namespace `{name}` to unshare"));
            let error = match name.as_str() {
                "pid" | "user" => {
                    Error::new(Code::BadValue, format!("`{name}` can't be unshared by the instance itself"))
                        .hint(format!("start it as `unshare --{name} --fork rustwsgi …`, or in a container"))
                }
                _ => match suggest::nearest(name, isolation::NAMES.into_iter()).first() {
                    Some(near) => error.hint(format!("unshare = {near}")),
                    None => error.fact(format!("there are {}", isolation::NAMES.join(", "))),
                },
            };
            return Err(error.maybe_at(config.origin("unshare")).part(name.as_str()));
        };
        all = all.and(one);
    }
    Ok((!config.privileges.unshare.is_empty()).then_some(all))
}

/// Makes a control group where it is missing, sets it up and moves this process into it. Version 1
/// calls its file `tasks`.
fn join_cgroup(config: &Config, group: &Path) -> Result<()> {
    let failed = |what: String, error: std::io::Error| {
        Error::new(Code::IsolationRefused, format!("{what}: {error}")).maybe_at(config.origin("cgroup"))
    };
    let mode = config.privileges.cgroup_dir_mode.unwrap_or(CGROUP_MODE);
    match fs::create_dir(group) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(format!("cannot make the control group `{}`", group.display()), error)),
    }
    fs::set_permissions(group, fs::Permissions::from_mode(mode))
        .map_err(|error| failed(format!("cannot set the mode of `{}`", group.display()), error))?;
    // Set up before it is joined: a limit then holds from the first moment on.
    for setting in &config.privileges.cgroup_opt {
        let Some((name, value)) = setting.split_once(['=', ':']) else {
            return Err(Error::new(Code::BadValue, format!("`cgroup-opt = {setting}` sets nothing"))
                .maybe_at(config.origin("cgroup-opt"))
                .hint("cgroup-opt = memory.max=512M"));
        };
        // Several groups take the same settings, and not each has the file: uWSGI goes on as well.
        if let Err(error) = fs::write(group.join(name), format!("{value}\n")) {
            refused(config, "cgroup-opt", &std::io::Error::other(format!("`{}/{name}`: {error}", group.display())));
        }
    }
    let file = ["cgroup.procs", "tasks"].map(|name| group.join(name)).into_iter().find(|path| path.exists());
    let Some(file) = file else {
        let error = std::io::Error::other("it has no `cgroup.procs`");
        return Err(failed(format!("`{}` is no control group", group.display()), error));
    };
    fs::write(&file, std::process::id().to_string())
        .map_err(|error| failed(format!("cannot join the control group `{}`", group.display()), error))?;
    tracing::info!("in the control group {}", group.display());
    Ok(())
}

fn refused(config: &Config, option: &str, error: &std::io::Error) {
    let refused = Error::new(Code::LimitRefused, format!("`{option}` is not in force: {error}"));
    tracing::warn!("{}", Warning::from(refused.maybe_at(config.origin(option))));
}

/// Why the master stays root; `None` where it needs it no more.
fn reason_to_stay_root(config: &Config) -> Option<&'static str> {
    let own = &config.privileges;
    [
        ("master-as-root", own.master_as_root),
        ("chroot", own.chroot.is_some()),
        ("drop-after-apps", own.drop_after_apps),
        ("drop-after-init", own.drop_after_init),
    ]
    .into_iter()
    .find_map(|(option, given)| given.then_some(option))
}

impl Master {
    /// Gives root up, once the sockets are open.
    pub(super) fn drop_privileges(&self) -> Result<()> {
        let Some(config) = self.coming().map(|coming| &coming.config) else { return Ok(()) };
        let identity = identity(config)?;
        if !user::is_root() || !identity.is_another() {
            return confine(config);
        }
        if let Some(reason) = reason_to_stay_root(config) {
            tracing::info!("the master stays root (`{reason}`)");
            return Ok(());
        }
        identity.assume().map_err(|error| Error::new(Code::NotPermitted, format!("cannot change user: {error}")))?;
        tracing::info!("running as uid {} gid {}", nix::unistd::getuid(), nix::unistd::getgid());
        confine(config)
    }
}

fn confine(config: &Config) -> Result<()> {
    match config.privileges.no_new_privs {
        true => prctl::set_no_new_privs().map_err(|error| Error::system("cannot set no-new-privs", error)),
        false => Ok(()),
    }
}
