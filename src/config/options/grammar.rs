//! The configuration language itself: blocks, placeholders, further files.
//!
//! Part of the option table, see `options`. A row is: the names and the one-letter form, the kind of
//! value, the rank and, unless the kind says it all, the description.

use crate::config::option::{Group, Kind::*, OptionDef, Rank::*, State};

planned! {
    Configuration, State::Works => {
        ["xml" "xmlconfig", 'x'] File, Common, "reads an XML configuration file";
        ["config"] File, Common, "reads a configuration file in any of the formats";
        ["set", 'S'] List, Common, "sets an option or a placeholder: `name=value`";
        ["set-placeholder"] List, Common, "sets a placeholder: `name=value`";
        ["set-ph"] List, Common, "sets a placeholder: `name=value`";
        ["declare-option"] List, Rare, "makes an option of several others";
        ["declare-option2"] List, Rare, "makes an option of several others, expanded later";
        ["for"] Logic, Common, "repeats the following lines for each word, which is `%(_)`";
        ["for-glob"] Logic, Common, "repeats the following lines for each file that matches, which is `%(_)`";
        ["for-times"] Logic, Common, "repeats the following lines so many times, with the number in `%(_)`";
        ["for-readline"] Logic, Common, "repeats the following lines for each line of a file, which is `%(_)`";
        ["endfor"] OptionalText, Common, "ends `for`";
        ["end-for"] OptionalText, Common, "ends `for`";
        ["if-opt"] Logic, Common, "reads the following lines when an option is set, to a value or at all";
        ["if-not-opt"] Logic, Common, "reads the following lines when an option is not set";
        ["if-env" "ifenv"] Logic, Common, "reads the following lines when a variable is set, to a value or at all";
        ["if-not-env"] Logic, Common, "reads the following lines when a variable is not set";
        ["if-reload"] Switch, Common, "reads the following lines on a reload";
        ["if-not-reload"] Switch, Common, "reads the following lines on a start";
        ["if-hostname"] Logic, Common, "reads the following lines on the machine of this name";
        ["if-not-hostname"] Logic, Common, "reads the following lines on other machines";
        ["if-hostname-match"] Logic, Common, "reads the following lines on machines whose name matches";
        ["if-not-hostname-match"] Logic, Common, "reads the following lines on machines whose name does not match";
        ["if-exists" "ifexists"] Logic, Common, "reads the following lines when a path exists";
        ["if-not-exists"] Logic, Common, "reads the following lines when a path does not exist";
        ["if-plugin" "ifplugin"] Logic, Common, "reads the following lines when a plugin is there";
        ["if-not-plugin"] Logic, Common, "reads the following lines when a plugin is not there";
        ["if-file"] Logic, Common, "reads the following lines when a file exists";
        ["if-not-file"] Logic, Common, "reads the following lines when a file does not exist";
        ["if-dir" "ifdir" "if-directory"] Logic, Common, "reads the following lines when a directory exists";
        ["if-not-dir"] Logic, Common, "reads the following lines when a directory does not exist";
        ["endif"] OptionalText, Common, "ends `if`";
        ["end-if"] OptionalText, Common, "ends `if`";
        ["blacklist"] Text, Rare, "refuses these options until `end-blacklist`";
        ["end-blacklist"] Switch, Rare, "ends `blacklist`";
        ["whitelist"] Text, Rare, "takes no other options until `end-whitelist`";
        ["end-whitelist"] Switch, Rare, "ends `whitelist`";
        ["inherit"] File, Common, "reads a further configuration file when everything else was read";
        ["yaml" "yml", 'y'] File, Common, "reads a YAML configuration file";
        ["json" "js", 'j'] File, Common, "reads a JSON configuration file";
    }
    Configuration, State::NotYet => {
        ["ldap"] File, Rare, "reads the configuration from an LDAP directory";
        ["ldap-schema"] Switch, Rare, "prints the LDAP schema";
        ["ldap-schema-ldif"] Switch, Rare, "prints the LDAP schema as LDIF";
        ["sqlite3"] File, Rare, "reads the configuration from an SQLite database";
        ["sqlite"] File, Rare, "reads the configuration from an SQLite database";
    }
}
