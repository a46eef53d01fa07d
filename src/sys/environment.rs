//! The process's environment variables, changed where nothing else reads them.

use std::ffi::OsString;

/// Sets variables of this process, and removes those without a value. Called by a zygote before it
/// starts Python, and for hooks, by processes whose other threads, where there are any, leave the
/// environment alone.
pub fn change<'a>(variables: impl Iterator<Item = (&'a str, Option<&'a str>)>) {
    let possible = |name: &str| !name.is_empty() && !name.contains(['\0', '=']);
    for (name, value) in variables.filter(|(name, _)| possible(name)) {
        match value {
            // SAFETY: the caller sees to it that no other thread reads the environment meanwhile.
            Some(value) if !value.contains('\0') => unsafe { std::env::set_var(name, value) },
            Some(_) => {}
            // SAFETY: as above.
            None => unsafe { std::env::remove_var(name) },
        }
    }
}

/// Takes a variable out of the environment, so that no child finds it. Called by a master at its
/// start.
pub fn take(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: as above.
    unsafe { std::env::remove_var(name) };
    Some(value)
}
