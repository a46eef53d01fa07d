//! The binary: all it does is call the library.

fn main() {
    rustwsgi::sys::title::prepare();
    std::process::exit(rustwsgi::cli::run(std::env::args_os()));
}
