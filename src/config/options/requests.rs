//! Requests: applications, their mountpoints, static files, what becomes of requests; rows that are built.
//!
//! Part of the option table, see `options`, which says what a row is.

use super::*;
use crate::proto::response::Edits;

options! {
    /// Requests: applications, their mountpoints, static files, what becomes of requests.
    pub struct Requests {}

    /// Python code that defines the application
    ["eval"] Text, Application, Rare, "0.2.0", Works
        => eval: Option<String> = None;

    /// gives a Python module another name: `name=module` or `name=/path.py`
    /// Done before the application is loaded; one that fails stops the start.
    ["pymodule-alias"] List, Application, Rare, "0.2.0", Works
        => pymodule_alias: Vec<String> = Vec::new();

    /// gives a Python module another name, after the modules that `import` names
    ["post-pymodule-alias"] List, Application, Rare, "0.2.0", Works
        => post_pymodule_alias: Vec<String> = Vec::new();

    /// imports a Python module, or runs a file, before the application is loaded
    /// With `lazy-apps` that is in each worker. One that fails is logged, and the start goes on.
    ["import" "pyimport" "py-import" "python-import"] List, Application, Common, "0.2.0", Works
        => import: Vec<String> = Vec::new();

    /// imports a Python module, or runs a file, before the workers are forked
    /// One that fails is logged, and the start goes on.
    ["shared-import" "shared-pyimport" "shared-py-import" "shared-python-import"] List, Application, Rare,
        "0.2.0", Works
        => shared_import: Vec<String> = Vec::new();

    /// what follows `uwsgi` in `sys.argv`, between blanks
    ["pyargv"] Text, Application, Common, "0.2.0", Works
        => pyargv: Option<String> = None;

    /// sets `sys.executable`
    ["py-executable" "py-sys-executable"] Text, Application, Rare, "0.2.0", Works
        => py_executable: Option<String> = None;

    /// Python's optimisation level: 1 leaves `assert` out, 2 docstrings too
    ["optimize", 'O'] within(0, 2), Application, Rare, "0.2.0", Works
        => optimize: u32 = 0;

    /// sends the head within `start_response`
    ["start_response-nodelay"] Switch, Application, Rare, "0.2.0", Works
        => start_response_nodelay: bool = false;

    /// takes no bytes object in place of an iterable
    ["wsgi-strict"] Switch, Application, Rare, "0.2.0", Works
        => wsgi_strict: bool = false;

    /// takes buffers other than bytes as parts of a response
    ["wsgi-accept-buffer" "wsgi-accept-buffers"] Switch, Application, Rare, "0.2.0", Works
        => wsgi_accept_buffer: bool = false;

    /// takes `wsgi.file_wrapper` away from the application
    ["wsgi-disable-file-wrapper"] Switch, Application, Common, "0.2.0", Works
        => wsgi_disable_file_wrapper: bool = false;

    /// does not log that a client went away while it was written to
    ["ignore-write-errors"] Switch, Requests, Common, "0.2.0", Works
        => ignore_write_errors: bool = false;

    /// raises write errors where a generator of the application stands, and logs none
    ["write-errors-exception-only"] Switch, Requests, Rare, "0.2.0", Works
        => write_errors_exception_only: bool = false;

    /// how many failed writes to a client are passed over before the application is told
    ["write-errors-tolerance"] COUNT, Requests, Rare, "0.2.0", Works
        => write_errors_tolerance: u64 = 0;

    /// does not raise in `write()` when a client went away
    ["disable-write-exception"] Switch, Requests, Common, "0.2.0", Works
        => disable_write_exception: bool = false;

    /// how many applications a worker may have
    ["max-apps"] NUMBER, Requests, Rare, "0.2.0",
        Accepted("there may be any number"), uwsgi "64";

    /// refuses bodies longer than this many bytes, with a 413; 0 takes any
    ["limit-post"] COUNT, Requests, Common, "0.2.0", Works
        => limit_post: u64 = 0;

    /// reads each body before the application is called; from this many bytes on into a file
    /// The application may then `seek` in `wsgi.input`. The file is in `TMPDIR` and has no name.
    ["post-buffering"] COUNT, Requests, Common, "0.2.0", Works
        => post_buffering: u64 = 0;

    /// how many bytes of a body are read at a time with `post-buffering`
    ["post-buffering-bufsize"] within(1, 1 << 30), Requests, Common, "0.2.0", Works, uwsgi "8192"
        => post_buffering_bufsize: usize = 65_536;

    /// answers requests that no application is mounted for with a 500
    ["no-default-app"] Switch, Requests, Common, "0.2.0", Works
        => no_default_app: bool = false;

    /// sets SCRIPT_NAME and PATH_INFO for mounted applications
    ["manage-script-name"] Switch, Requests, Common, "0.2.0", Works
        => manage_script_name: bool = false;

    /// does not choose the application by SCRIPT_NAME
    ["ignore-script-name"] Switch, Requests, Rare, "0.2.0", Works
        => ignore_script_name: bool = false;

    /// shows the traceback of an exception, and the request's variables, to the client
    ["catch-exceptions"] Switch, Requests, Common, "0.2.0", Works
        => catch_exceptions: bool = false;

    /// replaces a worker after a request in which the application raised
    /// The client gets a 500, other requests of the worker are finished, and the next worker serves first.
    ["reload-on-exception"] Switch, Reloading, Common, "0.2.0", Works
        => reload_on_exception: bool = false;

    /// the same for exceptions of a class: `ValueError`, `blog.errors.Broken`
    ["reload-on-exception-type"] List, Reloading, Common, "0.2.0", Works
        => reload_on_exception_type: Vec<String> = Vec::new();

    /// the same for exceptions that say exactly this
    ["reload-on-exception-value"] List, Reloading, Common, "0.2.0", Works
        => reload_on_exception_value: Vec<String> = Vec::new();

    /// the same for exceptions that read `ValueError: this`, or `ValueError('this')`
    ["reload-on-exception-repr"] List, Reloading, Common, "0.2.0", Works
        => reload_on_exception_repr: Vec<String> = Vec::new();

    /// serves an application below a path: `/path=module:callable`, `/path=file.py`
    /// SCRIPT_NAME decides which one is called, or PATH_INFO with `manage-script-name`. Requests that
    /// none is mounted for go to the application of `module` or `wsgi-file`, else to the first.
    ["mount" "worker-mount"] List, Requests, Common, "0.2.0", Works
        => mount: Vec<String> = Vec::new();

    /// adds a header to each response: `Name: value`
    ["add-header"] List, Requests, Common, "0.2.0", Works
        => add_header: Vec<String> = Vec::new();

    /// removes a header from each response of the application
    ["rem-header" "del-header"] List, Requests, Common, "0.2.0", Works
        => rem_header: Vec<String> = Vec::new();

    /// how many bytes the headers of a response may have
    ["response-headers-limit"] within(1, 1 << 24), Requests, Rare, "0.2.0", Works
        => response_headers_limit: usize = 65_536;
    /// serves a file of this directory where PATH_INFO names one
    ["check-static" "static-check"] List, StaticFiles, Common, "0.2.0", Works
        => check_static: Vec<String> = Vec::new();

    /// serves files of DOCUMENT_ROOT, as the front end sends it
    ["check-static-docroot"] Switch, StaticFiles, Rare, "0.2.0", Works
        => check_static_docroot: bool = false;

    /// serves the files of a directory below a path: `/static=/srv/static`
    /// The path is cut off before the file is looked for. Files that are not there are left to the application.
    ["static-map"] List, StaticFiles, Common, "0.2.0", Works
        => static_map: Vec<String> = Vec::new();

    /// the same, with the whole path looked up in the directory
    ["static-map2"] List, StaticFiles, Common, "0.2.0", Works
        => static_map2: Vec<String> = Vec::new();

    /// serves no files that end in this
    ["static-skip-ext"] List, StaticFiles, Common, "0.2.0", Works
        => static_skip_ext: Vec<String> = Vec::new();

    /// the file to serve for a directory
    ["static-index"] List, StaticFiles, Common, "0.2.0", Works
        => static_index: Vec<String> = Vec::new();

    /// serves links that lead into this directory
    ["static-safe"] List, StaticFiles, Common, "0.2.0", Works
        => static_safe: Vec<String> = Vec::new();

    /// remembers the paths of files for this many seconds
    ["static-cache-paths"] NUMBER, StaticFiles, Common, "0.2.0",
        Accepted("paths are looked up anew, which takes microseconds and shows changes at once");

    /// reads a file with types of files, in place of `/etc/mime.types`
    ["mimefile" "mime-file"] List, StaticFiles, Common, "0.2.0", Works
        => mimefile: Vec<String> = Vec::new();

    /// sets Expires for files of a type: `text/css=3600`
    ["static-expires-type"] List, StaticFiles, Common, "0.2.0", Works
        => static_expires_type: Vec<String> = Vec::new();

    /// the same, counted from the file's last change
    ["static-expires-type-mtime"] List, StaticFiles, Rare, "0.2.0", Works
        => static_expires_type_mtime: Vec<String> = Vec::new();

    /// sets Expires for files whose path matches: `\.css$ 3600`
    ["static-expires"] List, StaticFiles, Common, "0.2.0", Works
        => static_expires: Vec<String> = Vec::new();

    /// the same, counted from the file's last change
    ["static-expires-mtime"] List, StaticFiles, Rare, "0.2.0", Works
        => static_expires_mtime: Vec<String> = Vec::new();

    /// sets Expires for request URIs that match
    ["static-expires-uri"] List, StaticFiles, Common, "0.2.0", Works
        => static_expires_uri: Vec<String> = Vec::new();

    /// the same, counted from the file's last change
    ["static-expires-uri-mtime"] List, StaticFiles, Rare, "0.2.0", Works
        => static_expires_uri_mtime: Vec<String> = Vec::new();

    /// sets Expires where PATH_INFO matches
    ["static-expires-path-info"] List, StaticFiles, Rare, "0.2.0", Works
        => static_expires_path_info: Vec<String> = Vec::new();

    /// the same, counted from the file's last change
    ["static-expires-path-info-mtime"] List, StaticFiles, Rare, "0.2.0", Works
        => static_expires_path_info_mtime: Vec<String> = Vec::new();

    /// serves `file.br` or `file.gz` for files that match, to clients that take it
    ["static-gzip"] List, StaticFiles, Common, "0.2.0", Works
        => static_gzip: Vec<String> = Vec::new();

    /// serves `file.br` or `file.gz`, where there is one, to clients that take it
    ["static-gzip-all"] Switch, StaticFiles, Common, "0.2.0", Works
        => static_gzip_all: bool = false;

    /// the same for files of this directory
    ["static-gzip-dir" "static-gzip-prefix"] List, StaticFiles, Rare, "0.2.0", Works
        => static_gzip_dir: Vec<String> = Vec::new();

    /// the same for files that end in this
    ["static-gzip-ext" "static-gzip-suffix"] List, StaticFiles, Rare, "0.2.0", Works
        => static_gzip_ext: Vec<String> = Vec::new();

    /// serves parts of files
    ["honour-range"] Switch, StaticFiles, Common, "0.2.0", Works, uwsgi "off"
        => honour_range: bool = true;

    /// how many threads of each worker send files to slow clients
    /// Static files have one at least; with one, `wsgi.file_wrapper` leaves its files to it as well.
    ["offload-threads" "offload-thread"] within(0, 1024), StaticFiles, Common, "0.2.0", Works
        => offload_threads: usize = 0;

    /// has the front end send static files: `x-sendfile` or `x-accel-redirect`
    ["file-serve-mode" "fileserve-mode"] Text, StaticFiles, Common, "0.2.0", Works
        => file_serve_mode: Option<String> = None;
}

impl Requests {
    /// Whether an application is named here, beside `module` and `wsgi-file`.
    pub fn names_an_app(&self) -> bool {
        self.eval.is_some() || !self.mount.is_empty()
    }

    /// The patterns of `static-expires` and its kin, with the option each stands under.
    pub fn expiries(&self) -> [(&'static str, &[String]); 6] {
        [
            ("static-expires", &self.static_expires),
            ("static-expires-mtime", &self.static_expires_mtime),
            ("static-expires-uri", &self.static_expires_uri),
            ("static-expires-uri-mtime", &self.static_expires_uri_mtime),
            ("static-expires-path-info", &self.static_expires_path_info),
            ("static-expires-path-info-mtime", &self.static_expires_path_info_mtime),
        ]
    }

    /// What `add-header` and `rem-header` make of every response. What can't be sent is left out:
    /// [`Requests::bad_header`] finds it before.
    pub fn edits(&self) -> Edits {
        let mut edits = Edits::default();
        for header in &self.add_header {
            if let Some((name, value)) = header.split_once(':') {
                let _ = edits.add(name.trim().as_bytes(), value.trim().as_bytes());
            }
        }
        self.rem_header.iter().for_each(|name| edits.remove(name.trim().as_bytes()));
        edits
    }

    /// The first value of `add-header` that can't be sent, and why.
    pub fn bad_header(&self) -> Option<(&str, String)> {
        self.add_header.iter().find_map(|header| {
            let Some((name, value)) = header.split_once(':') else {
                return Some((header.as_str(), "it takes `Name: value`".to_owned()));
            };
            let added = Edits::default().add(name.trim().as_bytes(), value.trim().as_bytes());
            added.err().map(|error| (header.as_str(), error.to_string()))
        })
    }
}
