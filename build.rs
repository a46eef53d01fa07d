//! Lets the binary find, at run time, the very libpython it was linked to: without an rpath the
//! loader silently takes another libpython of the same version, with another prefix.

fn main() {
    pyo3_build_config::add_libpython_rpath_link_args();
    // Extension modules resolve Python's symbols through the executable where libpython is static.
    println!("cargo:rustc-link-arg-bins=-rdynamic");
}
