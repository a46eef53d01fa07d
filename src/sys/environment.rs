//! The process's environment variables, set where nothing else reads them.

/// Sets variables of this process. Called by a zygote before it starts Python, and for hooks, by
/// processes whose other threads, where there are any, leave the environment alone.
pub fn set<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in
        variables.filter(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'))
    {
        // SAFETY: the caller sees to it that no other thread reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}
