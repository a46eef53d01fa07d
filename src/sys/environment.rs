//! The process's environment variables, set before anything reads them.

/// Sets variables of this process. Called by a zygote before it starts Python.
pub fn set<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in
        variables.filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'))
    {
        // SAFETY: the caller has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}
