//! The process's environment variables, changed before anything else reads them.

use std::ffi::OsString;

/// Sets variables of this process. Called by a zygote before it starts Python.
pub fn set<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in
        variables.filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'))
    {
        // SAFETY: the caller has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
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
