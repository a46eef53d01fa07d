//! The environ of a request, and bytes objects filled in place: what has to be fast enough to ask
//! for Python's C interface itself.
//!
//! A front end sends the same variables in the same order, so each core keeps the environs of the
//! shapes it saw lately (a [`Shape`]: the names in order) and copies one, setting only the values
//! that changed. A shape seen for the first time is put together from names and values kept from
//! before. Every table is bounded, and the app always gets a dict of its own.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem::MaybeUninit;

use pyo3::exceptions::PyMemoryError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::proto::request::{Known, Request};

/// The most shapes a core keeps. Browsers behind one front end make a handful.
const SHAPES: usize = 16;
/// How many shapes that were seen once a core remembers.
const SEEN: usize = 64;
/// Requests with more variables are not worth a shape.
const SHAPE_VARS: usize = 128;
/// The most names kept outside of shapes.
const NAMES: usize = 512;
/// Longer names are not kept.
const NAME_LENGTH: usize = 64;
/// Longer values are made anew each time.
const VALUE_LENGTH: usize = 256;

/// Names that nearly every request has, interned as the constants in the app's code are.
const USUAL: &[&str] = &[
    "REQUEST_METHOD",
    "REQUEST_URI",
    "PATH_INFO",
    "QUERY_STRING",
    "SCRIPT_NAME",
    "SERVER_PROTOCOL",
    "SERVER_NAME",
    "SERVER_PORT",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_SCHEME",
    "DOCUMENT_ROOT",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTPS",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_AUTHORIZATION",
    "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION",
    "HTTP_CONTENT_LENGTH",
    "HTTP_CONTENT_TYPE",
    "HTTP_COOKIE",
    "HTTP_DNT",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_ORIGIN",
    "HTTP_PRAGMA",
    "HTTP_RANGE",
    "HTTP_REFERER",
    "HTTP_SEC_FETCH_DEST",
    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
    "HTTP_X_CSRFTOKEN",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_X_REQUESTED_WITH",
];

/// What makes the environs of one core.
pub(super) struct Environs {
    /// What every environ has, whatever the request.
    base: Py<PyDict>,
    shapes: Vec<Shape>,
    seen: [u64; SEEN],
    seen_at: usize,
    names: HashMap<Box<[u8]>, Entry, BuildHasherDefault<NameHasher>>,
}

/// An environ to be copied, and what it was made of.
struct Shape {
    /// The names, one behind the other.
    names: Vec<u8>,
    vars: Vec<ShapeVar>,
    https: bool,
    environ: Py<PyDict>,
}

struct ShapeVar {
    name_length: usize,
    /// `None` for a name that a front end may not set.
    key: Option<Py<PyString>>,
    /// The value in the shape's environ; `None` where that one was too long to keep.
    value: Option<Vec<u8>>,
}

/// A name, and the last value it had.
struct Entry {
    key: Option<Py<PyString>>,
    bytes: Vec<u8>,
    value: Option<Py<PyString>>,
}

impl Environs {
    /// `base` is what every environ has; it is not changed.
    pub(super) fn new(py: Python<'_>, base: Bound<'_, PyDict>) -> Self {
        let mut environs =
            Self { base: base.unbind(), shapes: Vec::new(), seen: [0; SEEN], seen_at: 0, names: HashMap::default() };
        environs.forget_names(py);
        environs
    }

    /// The environ of `request`, a dict of its own.
    pub(super) fn build<'py>(
        &mut self,
        py: Python<'py>,
        request: &Request,
        input: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let https = is_https(request);
        let environ = match self.shapes.iter().position(|shape| shape.matches(request)) {
            Some(index) => {
                // The shape in use stands first: the search usually ends where it starts.
                self.shapes[..=index].rotate_right(1);
                self.shapes[0].fill(py, request, https)?
            }
            None => self.put_together(py, request, https)?,
        };
        environ.set_item(intern!(py, "wsgi.input"), input)?;
        Ok(environ)
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.shapes.len(), self.names.len())
    }

    fn put_together<'py>(&mut self, py: Python<'py>, request: &Request, https: bool) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.base.bind(py).copy()?;
        if https {
            environ.set_item(intern!(py, "wsgi.url_scheme"), intern!(py, "https"))?;
        }
        let mut expected = environ.len();
        let mut hash = NameHasher::default();
        for (name, bytes) in request.vars() {
            hash.write(name);
            hash.write_usize(name.len());
            let (key, value) = self.pair(py, name, bytes);
            if let Some(key) = key {
                environ.set_item(key, value)?;
                expected += usize::from(name != b"SCRIPT_NAME");
            }
        }
        // Of equal names the last one counts, which positions can't express.
        if environ.len() == expected && request.len() <= SHAPE_VARS && self.was_seen(hash.finish()) {
            self.keep(py, request, https, &environ)?;
        }
        Ok(environ)
    }

    /// The name and the value as Python strings; no name for one that a front end may not set.
    fn pair<'py>(
        &mut self,
        py: Python<'py>,
        name: &[u8],
        bytes: &[u8],
    ) -> (Option<Bound<'py, PyString>>, Bound<'py, PyString>) {
        if name.len() > NAME_LENGTH {
            return (key(py, name), latin1(py, bytes));
        }
        if !self.names.contains_key(name) {
            if self.names.len() >= NAMES {
                self.forget_names(py);
            }
            let key = key(py, name).map(Bound::unbind);
            self.names.insert(name.into(), Entry { key, bytes: Vec::new(), value: None });
        }
        let Some(entry) = self.names.get_mut(name) else {
            return (key(py, name), latin1(py, bytes));
        };
        let key = entry.key.as_ref().map(|key| key.bind(py).clone());
        if let Some(value) = &entry.value
            && entry.bytes == bytes
        {
            return (key, value.bind(py).clone());
        }
        let value = latin1(py, bytes);
        if bytes.len() <= VALUE_LENGTH {
            entry.bytes.clear();
            entry.bytes.extend_from_slice(bytes);
            entry.value = Some(value.clone().unbind());
        }
        (key, value)
    }

    /// Leaves only the usual names: a client that makes up names gets no further than this.
    fn forget_names(&mut self, py: Python<'_>) {
        self.names.clear();
        for name in USUAL {
            let key = Some(PyString::intern(py, name).unbind());
            self.names.insert(name.as_bytes().into(), Entry { key, bytes: Vec::new(), value: None });
        }
    }

    /// Whether a shape comes for the second time: only then is it worth keeping.
    fn was_seen(&mut self, hash: u64) -> bool {
        let seen = self.seen.contains(&hash);
        if !seen {
            self.seen[self.seen_at] = hash;
            self.seen_at = (self.seen_at + 1) % SEEN;
        }
        seen
    }

    fn keep(&mut self, py: Python<'_>, request: &Request, https: bool, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        let template = environ.copy()?;
        let (mut names, mut vars) = (Vec::new(), Vec::with_capacity(request.len()));
        for (name, bytes) in request.vars() {
            let key = self.pair(py, name, bytes).0;
            let value = (bytes.len() <= VALUE_LENGTH).then(|| bytes.to_vec());
            if let (Some(key), None) = (&key, &value) {
                template.set_item(key, intern!(py, ""))?;
            }
            names.extend_from_slice(name);
            vars.push(ShapeVar { name_length: name.len(), key: key.map(Bound::unbind), value });
        }
        if self.shapes.len() >= SHAPES {
            self.shapes.pop();
        }
        self.shapes.insert(0, Shape { names, vars, https, environ: template.unbind() });
        Ok(())
    }
}

impl Shape {
    fn matches(&self, request: &Request) -> bool {
        if self.vars.len() != request.len() {
            return false;
        }
        let mut names = &self.names[..];
        self.vars.iter().zip(request.vars()).all(|(var, (name, _))| {
            let (known, rest) = names.split_at(var.name_length);
            names = rest;
            is_same(known, name)
        })
    }

    fn fill<'py>(&mut self, py: Python<'py>, request: &Request, https: bool) -> PyResult<Bound<'py, PyDict>> {
        let template = self.environ.bind(py);
        let mut long = false;
        for (var, (_, bytes)) in self.vars.iter_mut().zip(request.vars()) {
            if bytes.len() > VALUE_LENGTH {
                long = true;
            } else if !var.value.as_ref().is_some_and(|value| is_same(value, bytes))
                && let Some(key) = &var.key
            {
                // Forgotten first: should setting it fail, nothing claims that it is there.
                let mut kept = var.value.take().unwrap_or_default();
                template.set_item(key, latin1(py, bytes))?;
                kept.clear();
                kept.extend_from_slice(bytes);
                var.value = Some(kept);
            }
        }
        if self.https != https {
            let scheme = if https { intern!(py, "https") } else { intern!(py, "http") };
            template.set_item(intern!(py, "wsgi.url_scheme"), scheme)?;
            self.https = https;
        }
        let environ = template.copy()?;
        if long {
            for (var, (_, bytes)) in self.vars.iter().zip(request.vars()) {
                if bytes.len() > VALUE_LENGTH
                    && let Some(key) = &var.key
                {
                    environ.set_item(key, latin1(py, bytes))?;
                }
            }
        }
        Ok(environ)
    }
}

/// Whether two pieces of a head are equal. They are short and mostly are: a call of `memcmp` for
/// each would take longer than all the comparing.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (mut ones, mut others) = (one.chunks_exact(8), other.chunks_exact(8));
    let words = (&mut ones).zip(&mut others).all(|(one, other)| word::<8>(one) == word::<8>(other));
    let (one, other) = (ones.remainder(), others.remainder());
    words
        && if one.len() < 4 {
            one.iter().zip(other).all(|(one, other)| one == other)
        } else {
            // The two halves may overlap.
            let last = one.len() - 4;
            word::<4>(one) == word::<4>(other) && word::<4>(&one[last..]) == word::<4>(&other[last..])
        }
}

#[inline]
fn word<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    bytes.first_chunk()
}

/// The name as a Python string; `None` where it would pass for something the server says.
fn key<'py>(py: Python<'py>, name: &[u8]) -> Option<Bound<'py, PyString>> {
    let reserved = name.starts_with(b"wsgi.") || name.starts_with(b"uwsgi.");
    (!reserved).then(|| latin1(py, name))
}

/// What `wsgi.url_scheme` is. uWSGI's rules, but never anything else than `http` and `https`: the
/// front end's `UWSGI_SCHEME`, else the header `X-Forwarded-Proto`, else `HTTPS` and
/// `X-Forwarded-Ssl` that are on.
fn is_https(request: &Request) -> bool {
    for known in [Known::UwsgiScheme, Known::HttpXForwardedProto] {
        let Some(value) = request.known(known) else { continue };
        let first = value.split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        if first.eq_ignore_ascii_case(b"https") {
            return true;
        }
        if first.eq_ignore_ascii_case(b"http") {
            return false;
        }
    }
    [Known::Https, Known::HttpXForwardedSsl].into_iter().any(|known| {
        request.known(known).is_some_and(|value| {
            value.first() == Some(&b'1') || value.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"on"))
        })
    })
}

/// Bytes as the `str` of PEP 3333: each byte one character.
pub(super) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    // SAFETY: pointer and length are of one slice, and the GIL is held. The call returns a new
    // reference to a str or null with MemoryError set, which `from_owned_ptr` turns into a panic
    // that `Core::serve` catches: nothing can be served without memory for a string.
    unsafe {
        let text = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t, std::ptr::null());
        Bound::from_owned_ptr(py, text).cast_into_unchecked()
    }
}

/// Whether there are exactly `count` references to an object.
pub(super) fn has_references<T>(object: &Py<T>, _: Python<'_>, count: ffi::Py_ssize_t) -> bool {
    // SAFETY: the pointer is of a live object, and the GIL keeps its count from changing.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) == count }
}

/// The inside of a bytes object that is being filled.
pub(super) struct Space<'a> {
    bytes: &'a mut [MaybeUninit<u8>],
    at: usize,
}

impl Space<'_> {
    /// Bytes still to be filled.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes to fill, at most `most`; [`Space::advance`] says how many of them were.
    /// Zeroed here, piece by piece: memory is touched as the body comes in, not when a client
    /// announces it.
    pub(super) fn next(&mut self, most: usize) -> &mut [u8] {
        let end = self.at + most.min(self.left());
        let piece = &mut self.bytes[self.at..end];
        piece.fill(MaybeUninit::new(0));
        // SAFETY: every element was initialised in the line above, and `MaybeUninit<u8>` has the
        // layout of `u8`.
        unsafe { std::slice::from_raw_parts_mut(piece.as_mut_ptr().cast::<u8>(), piece.len()) }
    }

    /// Counts `count` bytes of the piece as filled.
    pub(super) fn advance(&mut self, count: usize) {
        self.at += count.min(self.left());
    }
}

/// A bytes object of at most `size` bytes, filled in place by `fill`; shorter where it fills less.
pub(super) fn bytes_filled<'py>(
    py: Python<'py>,
    size: usize,
    fill: impl FnOnce(&mut Space<'_>) -> PyResult<()>,
) -> PyResult<Bound<'py, PyBytes>> {
    if size == 0 {
        return Ok(PyBytes::new(py, b""));
    }
    let length = ffi::Py_ssize_t::try_from(size).map_err(|_| PyMemoryError::new_err("body too large for memory"))?;
    // SAFETY: the GIL is held; a null pointer asks for uninitialised contents. The result is a new
    // reference or null with an exception set.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), length)) }?;
    // SAFETY: the object is a bytes object of `length` bytes (one-byte ones may be shared, but
    // those come from non-null contents only) that nobody else has seen; writing to its buffer is
    // allowed until somebody has (C API, PyBytes_FromStringAndSize).
    let bytes = unsafe {
        let start = ffi::PyBytes_AsString(object.as_ptr()).cast::<MaybeUninit<u8>>();
        std::slice::from_raw_parts_mut(start, size)
    };
    let mut space = Space { bytes, at: 0 };
    fill(&mut space)?;
    let filled = space.at;
    if filled < size {
        // SAFETY: `Space` only counts bytes that it initialised itself.
        let part = unsafe { std::slice::from_raw_parts(space.bytes.as_ptr().cast::<u8>(), filled) };
        return Ok(PyBytes::new(py, part));
    }
    // SAFETY: made by PyBytes_FromStringAndSize above.
    Ok(unsafe { object.cast_into_unchecked() })
}

/// FNV-1a: names are short, and the tables it serves are too small to be flooded.
struct NameHasher(u64);

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn pieces_of_every_length_compare() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..text.len() {
            let piece = &text[..length];
            assert!(is_same(piece, &text.clone()[..length]));
            assert!(!is_same(piece, &text[..=length]));
            for changed in 0..length {
                let mut other = piece.to_vec();
                other[changed] ^= 0x80;
                assert!(!is_same(piece, &other), "{length} {changed}");
            }
        }
    }
}
