//! What is listened on, what is served, what becomes of a request: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use super::super::NUMBER;
use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Sockets, State::NotYet => {
        ["suwsgi-socket"] List, Rare, "listens for uwsgi packets under TLS";
        ["ssl-socket"] List, Rare;
        ["http-socket-modifier1"] NUMBER, Rare, "the first modifier of requests that come over `http-socket`";
        ["http-socket-modifier2"] NUMBER, Rare, "the second modifier of requests that come over `http-socket`";
        ["https-socket"] List, Common, "listens for HTTPS; `address,certificate,key`";
        ["https-socket-modifier1"] NUMBER, Rare;
        ["https-socket-modifier2"] NUMBER, Rare;
        ["fastcgi-nph-socket"] List, Rare, "listens for FastCGI and answers with whole HTTP responses";
        ["fastcgi-modifier1"] NUMBER, Rare;
        ["fastcgi-modifier2"] NUMBER, Rare;
        ["scgi-modifier1"] NUMBER, Rare;
        ["scgi-modifier2"] NUMBER, Rare;
        ["raw-socket"] List, Rare, "listens and hands connections over as they are";
        ["raw-modifier1"] NUMBER, Rare;
        ["raw-modifier2"] NUMBER, Rare;
        ["puwsgi-socket"] List, Rare;
        ["shared-socket"] List, Common, "opens a socket that several options may then refer to by number";
        ["undeferred-shared-socket"] List, Rare, "opens a shared socket before privileges are dropped";
        ["map-socket"] List, Rare, "serves a socket in the workers that are named";
        ["so-send-timeout" "socket-send-timeout" "so-write-timeout" "socket-write-timeout"] Switch, Rare, "how many seconds a write to a client may take";
        ["shutdown-sockets"] Switch, Rare, "ends connections that wait when the instance stops";
        ["ssl-verbose"] Switch, Rare;
        ["ssl-verify-depth"] OptionalText, Rare;
        ["ssl-sessions-use-cache" "ssl-session-use-cache"] OptionalText, Rare;
        ["ssl-sessions-timeout" "ssl-session-timeout"] NUMBER, Rare;
        ["sni"] Text, Rare;
        ["sni-dir"] Text, Rare;
        ["sni-dir-ciphers"] Text, Rare;
        ["ssl-enable3" "ssl-enable-sslv3"] Switch, Rare;
        ["ssl-enable-tlsv1"] Switch, Rare;
        ["ssl-option"] Switch, Rare;
        ["sni-regexp"] Text, Rare;
        ["ssl-tmp-dir"] Text, Rare;
        ["tcp-fast-open" "tcp-fastopen"] NUMBER, Rare, "takes data with the first packet of a TCP connection";
        ["tcp-fast-open-client" "tcp-fastopen-client"] Switch, Rare;
        ["zerg"] List, Rare, "takes the sockets of a zerg server in place of own ones";
        ["zerg-fallback"] Switch, Rare, "opens own sockets when the zerg server is not there";
        ["zerg-server"] Text, Rare, "offers the sockets to other instances over this UNIX socket";
    }
    Application, State::NotYet => {
        ["test", 'J'] Text, Rare;
        ["py-programname" "py-program-name"] Text, Rare, "the program name that Python is told";
        ["pecan"] Text, Rare, "loads a Pecan configuration";
        ["paste"] Text, Common, "loads the application from a PasteDeploy URI";
        ["paste-logger"] Switch, Common, "sets up logging from the PasteDeploy file";
        ["web3"] Text, Rare;
        ["pump"] Text, Rare;
        ["wsgi-lite"] Text, Rare, "loads an application of the WSGI lite interface";
        ["ini-paste"] Text, Common, "loads a PasteDeploy file that holds this configuration too";
        ["ini-paste-logged"] Text, Common, "the same, and sets up logging from it";
        ["no-site"] Switch, Rare, "keeps Python's `site` module from being loaded";
        ["pyshell"] OptionalText, Common, "opens a Python shell instead of serving";
        ["pyshell-oneshot"] OptionalText, Rare, "opens a Python shell once";
        ["python"] Text, Rare;
        ["py"] Text, Rare;
        ["pyrun"] Text, Common, "runs a Python script in place of serving";
        ["py-tracebacker"] Text, Common, "shows the Python stacks of a worker over a UNIX socket";
        ["python-version"] Switch, Rare, "shows the version of Python";
        ["python-raw"] Text, Rare;
        ["py-sharedarea"] List, Rare;
        ["python-worker-override"] Text, Rare, "runs a Python script in place of the worker's loop";
    }
    Requests, State::NotYet => {
        ["max-vars", 'v'] NUMBER, Rare, "how many variables a request may have";
        ["cgi-mode", 'c'] Switch, Rare;
        ["body-read-warning"] NUMBER, Rare, "warns when more than this many megabytes of a body are read";
        ["upload-progress"] Text, Common, "writes the progress of uploads to files in a directory";
        ["exception-handler"] List, Common, "hands exceptions to a handler";
        ["vhost"] Switch, Common, "serves a virtual environment and application for each host";
        ["vhost-host"] Switch, Rare;
        ["error-page-403"] List, Rare, "the page for a response of status 403";
        ["error-page-404"] List, Rare, "the page for a response of status 404";
        ["error-page-500"] List, Rare, "the page for a response of status 500";
        ["websockets-ping-freq" "websocket-ping-freq"] NUMBER, Rare, "how many seconds lie between two pings on a WebSocket";
        ["websockets-pong-tolerance" "websocket-pong-tolerance"] NUMBER, Rare;
        ["websockets-max-size" "websocket-max-size"] NUMBER, Rare, "how many kilobytes a WebSocket message may have";
        ["chunked-input-limit"] NUMBER, Common, "how many bytes a chunk of a chunked body may have";
        ["chunked-input-timeout"] NUMBER, Common, "how many seconds to wait for a chunk of a body";
        ["collect-header" "response-header-collect"] List, Common, "keeps a response header as a variable";
        ["pull-header"] List, Common, "keeps a response header as a variable and removes it";
        ["allowed-modifiers"] Text, Rare;
        ["remap-modifier"] Text, Rare;
    }
}
