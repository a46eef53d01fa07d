//! Static files and internal routing: rows not built yet.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    StaticFiles, State::NotYet => {
        ["static-cache-paths-name"] Text, Rare;
        ["disable-sendfile"] Switch, Rare, "copies files instead of leaving that to the kernel";
    }
    Routing, State::NotYet => {
        ["pcre-jit"] Switch, Rare;
        ["route"] List, Common, "takes an action when PATH_INFO matches";
        ["route-host"] List, Common, "takes an action when the Host header matches";
        ["route-uri"] List, Common, "takes an action when the request's URI matches";
        ["route-qs"] List, Common, "takes an action when the query string matches";
        ["route-remote-addr"] List, Common, "takes an action when the client's address matches";
        ["route-user-agent"] List, Common, "takes an action when the User-Agent matches";
        ["route-remote-user"] List, Rare;
        ["route-referer"] List, Rare;
        ["route-label"] List, Rare, "names a place that routes may jump to";
        ["route-if"] List, Common, "takes an action when a condition holds";
        ["route-if-not"] List, Common, "takes an action when a condition does not hold";
        ["route-run"] List, Common, "takes an action on every request";
        ["final-route"] List, Common, "takes an action after the response when PATH_INFO matches";
        ["final-route-status"] List, Rare;
        ["final-route-host"] List, Rare;
        ["final-route-uri"] List, Rare;
        ["final-route-qs"] List, Rare;
        ["final-route-remote-addr"] List, Rare;
        ["final-route-user-agent"] List, Rare;
        ["final-route-remote-user"] List, Rare;
        ["final-route-referer"] List, Rare;
        ["final-route-label"] List, Rare;
        ["final-route-if"] List, Rare;
        ["final-route-if-not"] List, Rare;
        ["final-route-run"] List, Rare;
        ["error-route"] List, Common, "takes an action on error responses when PATH_INFO matches";
        ["error-route-status"] List, Rare;
        ["error-route-host"] List, Rare;
        ["error-route-uri"] List, Rare;
        ["error-route-qs"] List, Rare;
        ["error-route-remote-addr"] List, Rare;
        ["error-route-user-agent"] List, Rare;
        ["error-route-remote-user"] List, Rare;
        ["error-route-referer"] List, Rare;
        ["error-route-label"] List, Rare;
        ["error-route-if"] List, Rare;
        ["error-route-if-not"] List, Rare;
        ["error-route-run"] List, Rare;
        ["response-route"] List, Common, "takes an action before the response is sent when PATH_INFO matches";
        ["response-route-status"] List, Rare;
        ["response-route-host"] List, Rare;
        ["response-route-uri"] List, Rare;
        ["response-route-qs"] List, Rare;
        ["response-route-remote-addr"] List, Rare;
        ["response-route-user-agent"] List, Rare;
        ["response-route-remote-user"] List, Rare;
        ["response-route-referer"] List, Rare;
        ["response-route-label"] List, Rare;
        ["response-route-if"] List, Rare;
        ["response-route-if-not"] List, Rare;
        ["response-route-run"] List, Rare;
    }
}
