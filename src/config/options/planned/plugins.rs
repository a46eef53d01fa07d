//! What uWSGI has in plugins that stand alone, and other languages: rows not built.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Plugins, State::NotYet => {
        ["dlopen"] List, Rare, "loads a shared library";
        ["cgi"] List, Common, "runs CGI programs of a directory";
        ["cgi-map-helper"] List, Rare, "maps an ending to the program that runs it: `ext=program`";
        ["cgi-helper"] List, Rare, "maps an ending to the program that runs it: `ext=program`";
        ["cgi-from-docroot"] Switch, Rare, "looks for CGI programs in DOCUMENT_ROOT";
        ["cgi-buffer-size"] NUMBER, Rare, "how many bytes of a CGI program's answer are read at a time";
        ["cgi-timeout"] NUMBER, Rare, "how many seconds a CGI program may be silent";
        ["cgi-index"] List, Rare, "names the file that stands for a directory of CGI programs";
        ["cgi-allowed-ext"] List, Rare, "runs CGI programs with this ending only";
        ["cgi-unset"] List, Rare, "takes a variable out of the environment of CGI programs";
        ["cgi-loadlib"] List, Rare, "loads a shared library that runs scripts within the process";
        ["cgi-optimize" "cgi-optimized"] Switch, Rare, "starts CGI programs by vfork";
        ["cgi-path-info"] Switch, Rare, "takes what follows a CGI program's name for PATH_INFO";
        ["cgi-do-not-kill-on-error"] Switch, Rare, "does not kill a CGI program when the client is gone";
        ["cgi-async-max-attempts"] Switch, Rare, "how often a CGI program is waited for in asynchronous mode";
        ["cgi-close-stdin-on-eof"] Switch, Rare, "closes the program's stdin when the request body is at its end";
        ["cgi-safe"] List, Rare, "allows links that lead from the CGI directory to this one";
        ["dumbloop-modifier1"] NUMBER, Rare, "the kind of requests that the example loop is for";
        ["dumbloop-code"] Text, Rare, "the script that the example loop runs";
        ["dumbloop-function"] Text, Rare, "the function that the example loop runs";
        ["geoip-country"] Text, Rare, "the GeoIP database of countries";
        ["geoip-city"] Text, Rare, "the GeoIP database of cities";
        ["geoip-use-disk"] Switch, Rare, "leaves the GeoIP database on disk";
        ["glusterfs-mount"] List, Rare, "serves files of a GlusterFS volume below a path";
        ["glusterfs-timeout"] NUMBER, Rare, "how many seconds GlusterFS may take";
        ["notfound-log"] Switch, Rare, "logs requests that are answered with 404";
        ["pam"] Text, Rare, "authenticates by a PAM service at the start";
        ["pam-user"] Text, Rare, "the user that PAM authenticates";
        ["pty-socket"] Text, Rare, "offers a terminal of the instance at an address";
        ["pty-log"] Switch, Rare, "writes what the terminal shows to the log too";
        ["pty-input"] Switch, Rare, "takes what is typed into the terminal of the instance";
        ["pty-connect"] Text, Rare, "connects this terminal to an instance's";
        ["pty-uconnect"] Text, Rare, "connects this terminal to an instance's, by the uwsgi protocol";
        ["pty-no-isig"] Switch, Rare, "sends Ctrl-C and the like on instead of acting on them";
        ["pty-exec"] Text, Rare, "runs a command for each connection to the terminal";
        ["rados-mount"] List, Rare, "serves objects of a Ceph pool below a path";
        ["rados-timeout"] NUMBER, Rare, "how many seconds Ceph may take";
        ["symcall"] List, Rare, "answers requests with a C function";
        ["symcall-use-next"] Switch, Rare, "asks the next C function where one does not answer";
        ["symcall-register-rpc"] List, Rare, "offers a C function to remote calls: `name=function`";
        ["symcall-post-fork"] List, Rare, "calls a C function in each worker";
        ["webdav-mount"] List, Rare, "serves a directory by WebDAV below a path";
        ["webdav-css"] List, Rare, "names a style sheet for listings of WebDAV directories";
        ["webdav-javascript" "webdav-js"] List, Rare, "names a script for listings of WebDAV directories";
        ["webdav-class-directory"] Text, Rare, "the CSS class of directories in listings";
        ["webdav-div"] Text, Rare, "the id of the element that holds a listing";
        ["webdav-lock-cache"] Text, Rare, "keeps WebDAV locks in this cache";
        ["webdav-principal-base"] Text, Rare, "makes a principal of the user below this path";
        ["webdav-add-option"] List, Rare, "adds to the methods that WebDAV announces";
        ["webdav-add-prop"] List, Rare, "adds a property to every resource";
        ["webdav-add-collection-prop"] List, Rare, "adds a property to every collection";
        ["webdav-add-object-prop"] List, Rare, "adds a property to every file";
        ["webdav-add-prop-href"] List, Rare, "adds a property that is a link to every resource";
        ["webdav-add-collection-prop-href"] List, Rare, "adds a property that is a link to every collection";
        ["webdav-add-object-prop-href"] List, Rare, "adds a property that is a link to every file";
        ["webdav-add-prop-comp"] List, Rare, "adds a calendar component property to every resource";
        ["webdav-add-collection-prop-comp"] List, Rare, "adds a calendar component property to every collection";
        ["webdav-add-object-prop-comp"] List, Rare, "adds a calendar component property to every file";
        ["webdav-add-rtype-prop"] List, Rare, "adds a resource type to every resource";
        ["webdav-add-rtype-collection-prop"] List, Rare, "adds a resource type to every collection";
        ["webdav-add-rtype-object-prop"] List, Rare, "adds a resource type to every file";
        ["webdav-skip-prop"] List, Rare, "leaves a standard property out";
        ["xslt-docroot"] List, Rare, "transforms the XML files of a directory";
        ["xslt-ext"] List, Rare, "the ending of a style sheet beside its XML file";
        ["xslt-var"] List, Rare, "sets a variable of style sheets: `name=value`";
        ["xslt-stylesheet"] List, Rare, "the style sheet for XML files that have none";
        ["xslt-content-type"] Text, Rare, "the Content-Type of what was transformed";
    }
    Languages, State::OtherLanguage("Perl") => {
        ["coroae"] Text, Rare, "serves with Perl's Coro and AnyEvent, so many requests at a time";
        ["psgi"] Text, Common, "runs a Perl application";
        ["psgi-enable-psgix-io"] Switch, Rare, "offers `psgix.io` to Perl applications";
        ["perl-no-die-catch"] Switch, Rare, "leaves Perl's `die` alone";
        ["perl-local-lib"] Text, Rare, "the directory with Perl's local libraries";
        ["perl-version"] Switch, Rare, "prints the version of Perl";
        ["perl-args"] Text, Rare, "arguments for Perl, between blanks";
        ["perl-arg"] List, Rare, "one argument for Perl";
        ["perl-exec"] List, Rare, "runs a Perl script before the workers are forked";
        ["perl-exec-post-fork"] List, Rare, "runs a Perl script in each worker";
        ["perl-auto-reload"] NUMBER, Rare, "reloads when a Perl module changes, looking every so many seconds";
        ["perl-auto-reload-ignore"] List, Rare, "does not look at this Perl module";
        ["plshell"] OptionalText, Rare, "opens a Perl shell in a worker";
        ["plshell-oneshot"] Switch, Rare, "opens a Perl shell in a worker, once";
        ["perl-no-plack"] Switch, Rare, "does without Plack where it is there";
    }
    Languages, State::OtherLanguage("Ruby") => {
        ["fiber"] Switch, Rare, "serves with Ruby's fibers";
        ["rails"] Text, Rare, "runs a Rails application";
        ["rack"] Text, Common, "runs a Ruby application";
        ["ruby-gc-freq" "rb-gc-freq"] NUMBER, Rare, "collects Ruby's garbage after every so many requests";
        ["rb-lib" "ruby-lib"] List, Rare, "puts a directory on Ruby's path";
        ["rb-require" "ruby-require" "rbrequire" "rubyrequire" "require"] List, Rare, "loads a Ruby file";
        ["shared-rb-require" "shared-ruby-require" "shared-rbrequire" "shared-rubyrequire" "shared-require"] List, Rare, "loads a Ruby file before the workers are forked";
        ["gemset" "rvm"] Text, Rare, "the RVM gemset";
        ["rvm-path"] List, Rare, "a directory to look for RVM in";
        ["rbshell"] OptionalText, Rare, "opens a Ruby shell in a worker";
        ["rbshell-oneshot"] Switch, Rare, "opens a Ruby shell in a worker, once";
        ["rbthreads" "rb-threads" "rbthread" "rb-thread"] Switch, Rare, "serves with Ruby's threads";
    }
    Languages, State::OtherLanguage("Go") => {
        ["go-load" "gccgo-load"] List, Rare, "loads a Go library";
        ["go-args" "gccgo-args"] Text, Rare, "arguments for Go";
        ["goroutines"] Text, Rare, "serves with so many goroutines";
    }
    Languages, State::OtherLanguage("Java") => {
        ["jvm-main-class"] List, Rare, "runs the main method of a class";
        ["jvm-opt"] List, Rare, "an option for the Java machine";
        ["jvm-class"] List, Rare, "loads a class";
        ["jvm-classpath"] List, Rare, "adds to the path of classes";
        ["jwsgi"] Text, Rare, "runs a Java application";
    }
    Languages, State::OtherLanguage("Lua") => {
        ["lua"] Text, Rare, "runs a Lua application";
        ["lua-load"] List, Rare, "loads a Lua file";
        ["lua-shell"] Switch, Rare, "opens a Lua shell in a worker";
        ["luashell"] Switch, Rare, "opens a Lua shell in a worker";
        ["lua-gc-freq"] Switch, Rare, "collects Lua's garbage after every so many requests";
    }
    Languages, State::OtherLanguage(".NET") => {
        ["mono-app"] List, Rare, "runs an ASP.NET application";
        ["mono-gc-freq"] NUMBER, Rare, "collects Mono's garbage after every so many requests";
        ["mono-key"] List, Rare, "the variables that an application is found by";
        ["mono-version"] Text, Rare, "the version of the runtime";
        ["mono-config"] Text, Rare, "the configuration of Mono";
        ["mono-assembly"] Text, Rare, "the assembly that runs ASP.NET applications";
        ["mono-exec"] List, Rare, "runs an assembly before serving";
        ["mono-index"] List, Rare, "names the file that stands for a directory";
    }
    Languages, State::OtherLanguage("PHP") => {
        ["php-ini"] Text, Rare, "the php.ini to read";
        ["php-config"] Text, Rare, "the php.ini to read";
        ["php-ini-append" "php-config-append"] List, Rare, "a further php.ini to read";
        ["php-set"] List, Rare, "sets a value of php.ini: `name=value`";
        ["php-index"] List, Rare, "names the file that stands for a directory";
        ["php-docroot"] Text, Rare, "the directory of PHP files";
        ["php-allowed-docroot"] List, Rare, "runs PHP files below this directory only";
        ["php-allowed-ext"] List, Rare, "runs PHP files with this ending only";
        ["php-allowed-script"] List, Rare, "runs this PHP file only";
        ["php-server-software"] Text, Rare, "what PHP sees as SERVER_SOFTWARE";
        ["php-app"] Text, Common, "runs PHP";
        ["php-app-qs"] Text, Rare, "the query string for `php-app`";
        ["php-fallback"] Text, Rare, "the PHP file to run where there is none";
        ["php-fallback2"] Text, Rare, "the same, with SCRIPT_NAME set to it";
        ["php-fallback-qs"] Text, Rare, "the query string for `php-fallback`";
        ["php-app-bypass"] List, Rare, "does not run `php-app` for paths that match";
        ["php-var"] List, Rare, "sets a variable of $_SERVER: `name=value`";
        ["php-constant"] List, Rare, "defines a constant: `name=value`";
        ["php-dump-config"] Switch, Rare, "prints PHP's configuration";
        ["php-exec-before" "php-exec-begin"] List, Rare, "runs PHP code before each request";
        ["php-exec-after" "php-exec-end"] List, Rare, "runs PHP code after each request";
        ["php-sapi-name"] Text, Rare, "what PHP reports as its server interface";
    }
    Languages, State::OtherLanguage("PyPy") => {
        ["pypy-lib"] Text, Rare, "the library of PyPy";
        ["pypy-setup"] Text, Rare, "the script that sets PyPy up";
        ["pypy-home"] Text, Rare, "the directory of PyPy or of its virtual environment";
        ["pypy-wsgi"] Text, Rare, "the application's module, run by PyPy";
        ["pypy-wsgi-file"] Text, Rare, "the application's file, run by PyPy";
        ["pypy-ini-paste"] Text, Rare, "a paste configuration with the application and options";
        ["pypy-paste"] Text, Rare, "a paste configuration with the application";
        ["pypy-eval"] List, Rare, "runs Python code before the workers are forked";
        ["pypy-eval-post-fork"] List, Rare, "runs Python code in each worker";
        ["pypy-exec"] List, Rare, "runs a Python file before the workers are forked";
        ["pypy-exec-post-fork"] List, Rare, "runs a Python file in each worker";
        ["pypy-pp" "pypy-python-path" "pypy-pythonpath"] List, Rare, "puts a directory on PyPy's module path";
    }
    Languages, State::OtherLanguage("Clojure") => {
        ["ring-load" "clojure-load"] List, Rare, "loads a Clojure file";
        ["ring-app"] Text, Rare, "runs a Ring application";
    }
}
