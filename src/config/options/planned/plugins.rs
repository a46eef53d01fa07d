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
        ["cgi-map-helper"] List, Rare;
        ["cgi-helper"] List, Rare;
        ["cgi-from-docroot"] Switch, Rare;
        ["cgi-buffer-size"] NUMBER, Rare;
        ["cgi-timeout"] NUMBER, Rare;
        ["cgi-index"] List, Rare;
        ["cgi-allowed-ext"] List, Rare;
        ["cgi-unset"] List, Rare;
        ["cgi-loadlib"] List, Rare;
        ["cgi-optimize" "cgi-optimized"] Switch, Rare;
        ["cgi-path-info"] Switch, Rare;
        ["cgi-do-not-kill-on-error"] Switch, Rare;
        ["cgi-async-max-attempts"] Switch, Rare;
        ["cgi-close-stdin-on-eof"] Switch, Rare;
        ["cgi-safe"] List, Rare;
        ["dumbloop-modifier1"] NUMBER, Rare;
        ["dumbloop-code"] Text, Rare;
        ["dumbloop-function"] Text, Rare;
        ["geoip-country"] Text, Rare;
        ["geoip-city"] Text, Rare;
        ["geoip-use-disk"] Switch, Rare;
        ["glusterfs-mount"] List, Rare;
        ["glusterfs-timeout"] NUMBER, Rare;
        ["notfound-log"] Switch, Rare;
        ["pam"] Text, Rare;
        ["pam-user"] Text, Rare;
        ["pty-socket"] Text, Rare;
        ["pty-log"] Switch, Rare;
        ["pty-input"] Switch, Rare;
        ["pty-connect"] Text, Rare;
        ["pty-uconnect"] Text, Rare;
        ["pty-no-isig"] Switch, Rare;
        ["pty-exec"] Text, Rare;
        ["rados-mount"] List, Rare;
        ["rados-timeout"] NUMBER, Rare;
        ["symcall"] List, Rare, "answers requests with a C function";
        ["symcall-use-next"] Switch, Rare;
        ["symcall-register-rpc"] List, Rare;
        ["symcall-post-fork"] List, Rare;
        ["webdav-mount"] List, Rare;
        ["webdav-css"] List, Rare;
        ["webdav-javascript" "webdav-js"] List, Rare;
        ["webdav-class-directory"] Text, Rare;
        ["webdav-div"] Text, Rare;
        ["webdav-lock-cache"] Text, Rare;
        ["webdav-principal-base"] Text, Rare;
        ["webdav-add-option"] List, Rare;
        ["webdav-add-prop"] List, Rare;
        ["webdav-add-collection-prop"] List, Rare;
        ["webdav-add-object-prop"] List, Rare;
        ["webdav-add-prop-href"] List, Rare;
        ["webdav-add-collection-prop-href"] List, Rare;
        ["webdav-add-object-prop-href"] List, Rare;
        ["webdav-add-prop-comp"] List, Rare;
        ["webdav-add-collection-prop-comp"] List, Rare;
        ["webdav-add-object-prop-comp"] List, Rare;
        ["webdav-add-rtype-prop"] List, Rare;
        ["webdav-add-rtype-collection-prop"] List, Rare;
        ["webdav-add-rtype-object-prop"] List, Rare;
        ["webdav-skip-prop"] List, Rare;
        ["xslt-docroot"] List, Rare;
        ["xslt-ext"] List, Rare;
        ["xslt-var"] List, Rare;
        ["xslt-stylesheet"] List, Rare;
        ["xslt-content-type"] Text, Rare;
    }
    Languages, State::OtherLanguage("Perl") => {
        ["coroae"] Text, Rare;
        ["psgi"] Text, Common, "runs a Perl application";
        ["psgi-enable-psgix-io"] Switch, Rare;
        ["perl-no-die-catch"] Switch, Rare;
        ["perl-local-lib"] Text, Rare;
        ["perl-version"] Switch, Rare;
        ["perl-args"] Text, Rare;
        ["perl-arg"] List, Rare;
        ["perl-exec"] List, Rare;
        ["perl-exec-post-fork"] List, Rare;
        ["perl-auto-reload"] NUMBER, Rare;
        ["perl-auto-reload-ignore"] List, Rare;
        ["plshell"] OptionalText, Rare;
        ["plshell-oneshot"] Switch, Rare;
        ["perl-no-plack"] Switch, Rare;
    }
    Languages, State::OtherLanguage("Ruby") => {
        ["fiber"] Switch, Rare;
        ["rails"] Text, Rare, "runs a Rails application";
        ["rack"] Text, Common, "runs a Ruby application";
        ["ruby-gc-freq" "rb-gc-freq"] NUMBER, Rare;
        ["rb-lib" "ruby-lib"] List, Rare;
        ["rb-require" "ruby-require" "rbrequire" "rubyrequire" "require"] List, Rare;
        ["shared-rb-require" "shared-ruby-require" "shared-rbrequire" "shared-rubyrequire" "shared-require"] List, Rare;
        ["gemset" "rvm"] Text, Rare;
        ["rvm-path"] List, Rare;
        ["rbshell"] OptionalText, Rare;
        ["rbshell-oneshot"] Switch, Rare;
        ["rbthreads" "rb-threads" "rbthread" "rb-thread"] Switch, Rare;
    }
    Languages, State::OtherLanguage("Go") => {
        ["go-load" "gccgo-load"] List, Rare;
        ["go-args" "gccgo-args"] Text, Rare;
        ["goroutines"] Text, Rare;
    }
    Languages, State::OtherLanguage("Java") => {
        ["jvm-main-class"] List, Rare;
        ["jvm-opt"] List, Rare;
        ["jvm-class"] List, Rare;
        ["jvm-classpath"] List, Rare;
        ["jwsgi"] Text, Rare;
    }
    Languages, State::OtherLanguage("Lua") => {
        ["lua"] Text, Rare, "runs a Lua application";
        ["lua-load"] List, Rare;
        ["lua-shell"] Switch, Rare;
        ["luashell"] Switch, Rare;
        ["lua-gc-freq"] Switch, Rare;
    }
    Languages, State::OtherLanguage(".NET") => {
        ["mono-app"] List, Rare;
        ["mono-gc-freq"] NUMBER, Rare;
        ["mono-key"] List, Rare;
        ["mono-version"] Text, Rare;
        ["mono-config"] Text, Rare;
        ["mono-assembly"] Text, Rare;
        ["mono-exec"] List, Rare;
        ["mono-index"] List, Rare;
    }
    Languages, State::OtherLanguage("PHP") => {
        ["php-ini"] Text, Rare;
        ["php-config"] Text, Rare;
        ["php-ini-append" "php-config-append"] List, Rare;
        ["php-set"] List, Rare;
        ["php-index"] List, Rare;
        ["php-docroot"] Text, Rare;
        ["php-allowed-docroot"] List, Rare;
        ["php-allowed-ext"] List, Rare;
        ["php-allowed-script"] List, Rare;
        ["php-server-software"] Text, Rare;
        ["php-app"] Text, Common, "runs PHP";
        ["php-app-qs"] Text, Rare;
        ["php-fallback"] Text, Rare;
        ["php-fallback2"] Text, Rare;
        ["php-fallback-qs"] Text, Rare;
        ["php-app-bypass"] List, Rare;
        ["php-var"] List, Rare;
        ["php-constant"] List, Rare;
        ["php-dump-config"] Switch, Rare;
        ["php-exec-before" "php-exec-begin"] List, Rare;
        ["php-exec-after" "php-exec-end"] List, Rare;
        ["php-sapi-name"] Text, Rare;
    }
    Languages, State::OtherLanguage("PyPy") => {
        ["pypy-lib"] Text, Rare;
        ["pypy-setup"] Text, Rare;
        ["pypy-home"] Text, Rare;
        ["pypy-wsgi"] Text, Rare;
        ["pypy-wsgi-file"] Text, Rare;
        ["pypy-ini-paste"] Text, Rare;
        ["pypy-paste"] Text, Rare;
        ["pypy-eval"] List, Rare;
        ["pypy-eval-post-fork"] List, Rare;
        ["pypy-exec"] List, Rare;
        ["pypy-exec-post-fork"] List, Rare;
        ["pypy-pp" "pypy-python-path" "pypy-pythonpath"] List, Rare;
    }
    Languages, State::OtherLanguage("Clojure") => {
        ["ring-load" "clojure-load"] List, Rare;
        ["ring-app"] Text, Rare;
    }
}
