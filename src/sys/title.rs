//! What `ps` shows for a process: the bytes of its command line, written over.
//!
//! Linux shows the memory where the kernel once put the arguments. The kernel's other name for a
//! process, 15 bytes long, is left alone: it is what `killall rustwsgi` looks at.

use std::sync::OnceLock;

/// Where the arguments and, behind them, the environment stand in this process's memory.
#[derive(Clone, Copy, Debug)]
struct Area {
    start: usize,
    length: usize,
}

static AREA: OnceLock<Option<Area>> = OnceLock::new();

/// Makes room for titles. Called once, at the start of `main`: it moves the environment out of the
/// bytes that titles will use, and nothing may have kept a pointer into it.
pub fn prepare() {
    AREA.get_or_init(|| {
        let area = area()?;
        let copy: Vec<_> = std::env::vars_os().collect();
        for (name, value) in copy {
            // SAFETY: the process has one thread. Setting a variable to its own value gives it new
            // memory, which is the point.
            unsafe { std::env::set_var(name, value) };
        }
        Some(area)
    });
}

/// Sets the title; cut where the original command line and environment were shorter.
pub fn set(title: &str) {
    let Some(Some(area)) = AREA.get() else { return };
    let bytes = title.as_bytes();
    // The last byte stays 0: the kernel takes what stands there for the end.
    let used = bytes.len().min(area.length - 1);
    // SAFETY: the area is this process's argument and environment strings: mapped, writable, and
    // since `prepare` used by nobody (Rust's and Python's arguments are copies).
    unsafe {
        let start = area.start as *mut u8;
        start.copy_from_nonoverlapping(bytes.as_ptr(), used);
        start.add(used).write_bytes(0, area.length - used);
    }
}

/// Reads the area's bounds from /proc/self/stat (fields 48 to 51: arg_start … env_end).
fn area() -> Option<Area> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<usize>().ok();
    let (start, arguments_end, environment, end) = (field(48)?, field(49)?, field(50)?, field(51)?);
    let end = if environment == arguments_end { end } else { arguments_end };
    (start != 0 && end > start + 1).then_some(Area { start, length: end - start })
}
