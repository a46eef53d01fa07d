//! The codes of all messages, each with its page of `docs/errors.md` and `--explain`.
//!
//! A code never changes its meaning and is never used again. Rooms name a code where they know the
//! facts; `config::render` makes the pages. A page says what it means, why it is so, what to do.

use serde::{Deserialize, Serialize};

/// Whose fault a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer sent something that can't be served.
    Client,
    /// The application or its dependencies.
    App,
    /// The configuration: a file, the command line, the environment.
    Config,
    /// The machine: ports, permissions, memory.
    Machine,
    /// rustwsgi itself.
    Us,
}

impl Fault {
    /// What to look at.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::App => "the application",
            Self::Config => "the configuration",
            Self::Machine => "the machine",
            Self::Us => "rustwsgi itself",
        }
    }
}

/// Makes the [`Code`] enum and its tables from one list, so that a code is described once.
macro_rules! codes {
    ($($name:ident = $text:literal, $fault:ident, $title:literal, $page:literal $(, $example:literal)?;)*) => {
        /// The stable code of a message. A code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as printed, such as `RW0102`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// What the code stands for, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Whose fault it is.
            pub fn fault(self) -> Fault {
                match self { $(Code::$name => Fault::$fault,)* }
            }

            /// Lines of a configuration or a shell that show it, where lines say more than words.
            pub fn example(self) -> Option<&'static str> {
                match self { $(Code::$name => [$($example,)? ""].first().copied().filter(|lines| !lines.is_empty()),)* }
            }

            /// What it means and what to do, a few sentences.
            pub fn page(self) -> &'static str {
                match self { $(Code::$name => $page,)* }
            }
        }
    };
}

codes! {
    UnknownOption = "RW0101", Config, "an option that does not exist",
        "The name is no option of rustwsgi and none of uWSGI. Like uWSGI, rustwsgi keeps it as a placeholder that other \
         values may use as `%(name)`; what it was meant to set is not set. Most are slips of the pen, such as `vaccum` or \
         `process`: correct the name. With `strict = true` it is an error. A name that some value uses is never reported.",
        "; no such option\n\
         vaccum = true\n\
         ; what was meant\n\
         vacuum = true";
    OptionMisused = "RW0102", Config, "an option used in a way that can't work",
        "The option exists, but not where or how it is used here: an option of the command line in a file, for instance. \
         The message says what became of it. Take the line out, or move it to where it belongs.",
        "; in a file: ignored\n\
         stop = /run/blog.pid\n\
         rustwsgi --stop /run/blog.pid";
    BadValue = "RW0103", Config, "a value the option does not take",
        "The value can't be read as what the option takes: a number, permissions, `NAME=value`. `rustwsgi --explain OPTION` \
         says what it takes.",
        "; refused\n\
         processes = four\n\
         processes = 4";
    OptionNotBuilt = "RW0104", Config, "an option of uWSGI that rustwsgi does not have yet",
        "uWSGI has the option, rustwsgi does not have what it does. The start is refused, because a server that leaves out \
         what its configuration asks for is not what was asked for. Take the line out if you can do without, follow the \
         hint if there is one, or set `tolerate-unsupported = true`: then it is a warning.",
        "rustwsgi --check uwsgi.ini              # tells every such option at once\n\
         rustwsgi --tolerate-unsupported --ini uwsgi.ini";
    BadCommandLine = "RW0105", Config, "a command line that can't be read",
        "A word of the command line is no option, an option lacks its value, or a beginning fits several options. \
         `rustwsgi --help` lists the options.",
        "rustwsgi --proc 4                       # --processes, --procname, …?\n\
         rustwsgi --processes 4";
    LaxValue = "RW0106", Config, "a value that is read as something else than it says",
        "uWSGI reads numbers up to the first letter (`4x` is 4, `four` is 0) and every switch that does not say `false`, \
         `off`, `no` or `0` as on. rustwsgi reads the same and says so. Write what it was read as, or what you meant.",
        "; on, because it is not exactly `false`\n\
         master = false # off\n\
         ; 60, and a warning\n\
         harakiri = 60 seconds";
    OutOfRange = "RW0107", Config, "a number the option can't work with",
        "Nothing can be served with zero processes, and no time is negative. uWSGI refuses or misbehaves. Take the line \
         out for the default, or write a number within the limits that the message names.",
        "; refused\n\
         processes = 0\n\
         ; refused: 0 is off\n\
         harakiri = -1";
    Clamped = "RW0108", Config, "a number that is more than fits",
        "The number is more than the protocol or the kernel has room for, and the largest that fits was taken, as uWSGI does. \
         Write that number.",
        "; read as 65535\n\
         buffer-size = 65536\n\
         buffer-size = 65535";
    OtherLanguage = "RW0109", Config, "an option for another language",
        "The option belongs to PHP, Perl, Ruby or another language that uWSGI can run in the same server. rustwsgi runs \
         Python. Serve the other application with a server of its own, and let the front end share the paths out.",
        "; Perl: refused\n\
         psgi = app.pl";
    NoSection = "RW0110", Config, "the configuration file lacks the section",
        "Options stand in a section, `[uwsgi]` unless the file is named as `file.ini:section`. uWSGI warns and starts \
         without any of them. Correct the heading, or name the section that there is.",
        "; in uwsgi.ini\n\
         [uwsig]\n\
         rustwsgi --ini uwsgi.ini:production     # another section than [uwsgi]";
    ConfigUnreadable = "RW0111", Config, "the configuration file can't be read",
        "The file is not there, may not be read, or has an ending that says nothing about how it is written. Files are \
         looked for where rustwsgi was started, also those that another file includes.",
        "; looked for where rustwsgi was started\n\
         include = common.ini\n\
         ; beside this file\n\
         include = %dcommon.ini";
    BadConfigFile = "RW0112", Config, "the configuration file can't be parsed",
        "A line or a structure of the file makes no sense in its format. The message names the line.",
        "if-env = DEBUG\n\
         ; blocks can't stand in blocks\n\
         for = a b\n\
         endfor =";
    StrayPercent = "RW0113", Config, "a percent sign that stands for nothing",
        "`%` and a letter stand for a fact such as the file's directory, `%d`. uWSGI drops `%` and the letter where they \
         stand for nothing, even the end of the line. A percent sign is written `%%`.",
        "; %Y, %m and %d are variables of uWSGI\n\
         log-date = %Y-%m-%d\n\
         log-date = %%Y-%%m-%%d";
    Unresolved = "RW0114", Config, "a variable that is not in the environment",
        "`$(NAME)` is replaced by the environment variable, and stays as it is where there is none, as in uWSGI. What `env =` \
         sets is for the application and not seen by `$(NAME)`. Export the variable before the start. `${NAME}` and \
         `${NAME:-default}` are a shell's and are never replaced.",
        "; stays as it is without SITE\n\
         chdir = $(SITE)/app\n\
         SITE=/srv rustwsgi --ini uwsgi.ini";
    CommentInValue = "RW0115", Config, "a comment behind a value",
        "Comments have a line of their own; behind a value they are part of it. A number is read up to the comment, a switch \
         is on whatever it says, and a string keeps it. Put the comment on the line above.",
        "; all of it is the path\n\
         chdir = /srv/blog # the site\n\
         ; the site\n\
         chdir = /srv/blog";
    QuotedValue = "RW0116", Config, "quotes that are part of the value",
        "ini files have no quotes: they belong to the value, so that a quoted module or path is not found. Take them away.",
        "; the quotes are looked for too\n\
         module = \"blog.wsgi\"\n\
         module = blog.wsgi";
    Overruled = "RW0117", Config, "an option of the command line that a file overrules",
        "A file that is named without `--ini` is read after all options, and one that is named behind an option comes after \
         it; the last value wins. uWSGI does the same and does not say so. Name the file first, with `--ini`.",
        "rustwsgi --processes 4 uwsgi.ini        # the file is read last\n\
         rustwsgi --ini uwsgi.ini --processes 4  # 4";
    HostUnknown = "RW0118", Config, "a host without an address",
        "`resolve = name=host` sets a placeholder to the host's IPv4 address when the configuration is read, and the \
         system's resolver knows none. Correct the name, or see whether the network was there at the start.",
        "resolve = db=db.example.com\n\
         env = DB_HOST=%(db)";
    ExitAsked = "RW0119", Config, "a configuration that ends the start",
        "`exit` ends the start where it is read, with its value as the exit code; it usually stands behind an `if-…`. Take \
         it out, or see to what the condition asks for.",
        "if-not-env = SECRET_KEY\n\
         exit = 1\n\
         endif =";
    NothingToServe = "RW0120", Config, "no socket to serve on",
        "The configuration names neither `socket` nor `http-socket`.",
        "; behind nginx: uwsgi_pass 127.0.0.1:3031;\n\
         socket = 127.0.0.1:3031\n\
         ; for a browser\n\
         http-socket = 127.0.0.1:8000";
    NoApp = "RW0121", Config, "no application named",
        "The configuration names neither `module` nor `wsgi-file`, and `need-app` is on. `need-app = false` starts without \
         an application and answers every request with a 500, as uWSGI does.",
        "chdir = /srv/blog\n\
         module = blog.wsgi:application";
    MasterOff = "RW0122", Config, "a master that was switched off",
        "There always is a master: it respawns, reloads and counts. `master = false` changes nothing and can be taken out.",
        "; changes nothing\n\
         master = false";
    PluginAbsent = "RW0123", Config, "a plugin that rustwsgi does not have",
        "What rustwsgi can do is built in, and there are no plugins to load. As uWSGI does for `plugins`, the start goes on; \
         options of that plugin are then refused one by one. `need-plugin` refuses the start.",
        "; `python3` is built in, `php` is not there\n\
         plugins = python3,php";
    TooLarge = "RW0124", Config, "a configuration that is too large",
        "Files, settings and the depth of includes have limits, so that no configuration makes a start hang or takes all memory: \
         16 MB a file, 64 MB read in all, 100,000 settings of 24 MB together, 64 files inside each other. A loop or a value that \
         holds itself twice gets there quickly; the message says where.";
    SocketTwice = "RW0130", Config, "an address that is named twice",
        "The address is opened once. Take one of the lines out.",
        "socket = :3031\n\
         ; the same again\n\
         socket = :3031";
    SocketTwoProtocols = "RW0131", Config, "an address that should speak two protocols",
        "A socket speaks the uwsgi protocol or HTTP, not both. Give one of them another port.",
        "socket = :8000\n\
         ; another port, such as :8001\n\
         http-socket = :8000";
    ModuleAndFile = "RW0132", Config, "two options that name the application",
        "`module` comes first, and `wsgi-file` is not read. Keep the one you mean.",
        "module = blog.wsgi\n\
         ; not read\n\
         wsgi-file = wsgi.py";
    NothingToDo = "RW0133", Config, "an option that has nothing to act on",
        "The option changes something that this configuration does not have, such as the permissions of UNIX sockets where \
         there are none. Take it out, or add what it is for.",
        "socket = :3031\n\
         ; a port has no permissions\n\
         chmod-socket = 660";
    Contradiction = "RW0134", Config, "options that contradict each other",
        "Two options ask for different things, and one of them wins. The message says which. Keep the one you mean.",
        "module = blog:app\n\
         ; not read: the module names `app`\n\
         callable = application";
    SetTwice = "RW0135", Config, "an option that is set twice",
        "The option has one value, and the file sets it twice to different ones. The last counts, as under uWSGI, which says \
         nothing. Keep the line you mean. What an included file or a block such as `if-env` replaces is not reported.",
        "processes = 2\n\
         ; the same option: 4 counts\n\
         workers = 4";
    ModuleIsPath = "RW0140", Config, "a module that looks like a path",
        "`module` takes a module's name, `blog.wsgi`, not a file's. Use `wsgi-file` for a file, or write the name with dots \
         and without `.py`.",
        "module = blog/wsgi.py\n\
         ; or wsgi-file = blog/wsgi.py\n\
         module = blog.wsgi";
    ModuleNotFound = "RW0201", App, "the application's module was not found",
        "Python looked for the module in the directories that the message lists. Usually `chdir` or `pythonpath` is missing, \
         or names the directory above or below. Write the directory that holds the first part of the module's name.",
        "; the directory that holds `blog/wsgi.py`\n\
         chdir = /srv/blog\n\
         module = blog.wsgi";
    PackageMissing = "RW0202", App, "the application imports a package that is not installed",
        "The application was found, and something it imports was not. Install it in the virtual environment that `home` \
         names, or correct `home`.",
        "/srv/blog/venv/bin/pip install django\n\
         home = /srv/blog/venv";
    NotAVirtualenv = "RW0203", Config, "`home` is not a virtual environment",
        "A virtual environment is a directory with a `pyvenv.cfg`. Correct the path, or make one: `python3 -m venv PATH`.",
        "python3 -m venv /srv/blog/venv\n\
         home = /srv/blog/venv";
    ForeignVirtualenv = "RW0204", Config, "the virtual environment belongs to another Python",
        "rustwsgi embeds one Python, and packages are made for one. Make the environment with the version that the message \
         names, or use a rustwsgi that was built with the other.";
    CallableMissing = "RW0210", App, "the module lacks the callable",
        "The module was imported, and has nothing of that name. `application` is the default; write `module = blog:app` or \
         `callable = app`.",
        "; Flask's usual name\n\
         module = blog:app";
    NotWsgi = "RW0211", App, "the callable is not a WSGI application",
        "A WSGI application is called with `environ` and `start_response`. An ASGI application has another interface, and a \
         factory has to be called: `module = blog:create_app()`.",
        "; ASGI\n\
         module = blog.asgi\n\
         ; WSGI\n\
         module = blog.wsgi\n\
         ; a factory\n\
         module = blog:create_app()";
    ImportRaised = "RW0212", App, "the application raised while it was imported",
        "The traceback shows where. Nothing is served, or the old code goes on serving; `need-app = false` serves 500s instead.";
    ThreadsAnyway = "RW0214", Config, "threads that run although they are switched off",
        "The application's own threads always run here, so `enable-threads = false` changes nothing. Under uWSGI they would stand still \
         between requests. Take the line out.";
    ImportDied = "RW0215", App, "the process that imports the application died",
        "A crash in a C extension, or a call of `os._exit`, while the application was imported. The master is not harmed.";
    ImportTimeout = "RW0216", App, "the application took longer than startup-timeout to import",
        "Something in the import waits, often for a database or a network. Raise `startup-timeout`, or let it wait later.",
        "startup-timeout = 120";
    WorkersDie = "RW0217", App, "workers die before they serve",
        "The application is imported, but the workers end right after the fork. The log has their last words.";
    AddressInUse = "RW0301", Machine, "the address is in use",
        "Another process listens there, often another instance of the same site. Stop it, or take another address.",
        "rustwsgi --stop /run/blog.pid  # if it is this site\n\
         ss -ltnp 'sport = :3031'       # who it is";
    BindRefused = "RW0302", Machine, "the address can't be bound",
        "The system refused it: a port below 1024 without the right to it, a directory that may not be written, an address \
         that the machine does not have.",
        "install -d -o www-data /run/blog\n\
         socket = /run/blog/blog.sock";
    SocketClosed = "RW0303", Config, "a socket that the web server may not be able to open",
        "To connect to a UNIX socket takes the right to write to it, and nginx mostly runs as a user of its own. Without that right \
         its log says `Permission denied` and the browser gets a 502. Name a group that both are in, or open the socket to all.",
        "chmod-socket = 660\n\
         chown-socket = blog:www-data";
    NoSuchUser = "RW0304", Config, "no such user or group",
        "The name is not in the system's user database. Correct it, or make the user first.",
        "uid = www-data\n\
         gid = www-data";
    NotPermitted = "RW0305", Machine, "the system does not permit it",
        "Only root may change users and groups. Start as root, or take `uid` and `gid` out.";
    BadAddress = "RW0306", Config, "an address that can't be understood",
        "An address is `host:port`, `:port`, `[::1]:port`, a path, or `@name` for an abstract socket.",
        "socket = 127.0.0.1:3031\n\
         socket = /run/blog.sock\n\
         socket = @blog";
    PathTooLong = "RW0307", Config, "the path of a UNIX socket is too long",
        "The kernel takes 107 bytes. uWSGI cuts the path silently, and the front end looks in vain. Use a shorter one, \
         such as `/run/blog.sock`.",
        "socket = /run/blog.sock";
    BadDescriptor = "RW0308", Config, "a descriptor that is no listening socket",
        "Sockets can be handed over at the start, by systemd (`LISTEN_FDS`) or as `fd://N`: listening stream sockets, from \
         descriptor 3 on. A `.socket` unit has `ListenStream=` and no `Accept=yes`. A descriptor that is named first in a \
         reload is too late: that takes a restart.";
    PortWithoutColon = "RW0309", Config, "a port without its colon",
        "An address without a colon is the path of a UNIX socket: `http-socket = 8000` makes a socket file named `8000`, and \
         nothing listens on the port. uWSGI does the same and says nothing. Write `:8000`, or `127.0.0.1:8000`.",
        "; a file\n\
         http-socket = 8000\n\
         ; a port\n\
         http-socket = :8000";
    DirectoryMissing = "RW0310", Config, "a directory that is not there",
        "A relative path starts where rustwsgi was started, or in `chdir` once that is reached. Correct the path, or make \
         the directory.",
        "; the directory of the file that says so\n\
         chdir = %d";
    FileMissing = "RW0311", Config, "a file that is not there",
        "A relative path starts in `chdir`, or where rustwsgi was started. Correct the path.",
        "; beside the file that says so\n\
         wsgi-file = %dblog/wsgi.py";
    QueueCut = "RW0312", Machine, "a listen queue that is longer than the kernel allows",
        "`listen` is how many connections may wait to be accepted on a socket. The kernel cuts it to net.core.somaxconn; uWSGI refuses \
         to start there. rustwsgi starts with what there is. Raise the limit, in a container with `--sysctl`, or ask for less.",
        "sysctl -w net.core.somaxconn=1024";
    HttpOnUwsgi = "RW0401", Client, "HTTP on a socket that speaks the uwsgi protocol",
        "A browser, a health check or a `proxy_pass` of nginx came to a socket that is for `uwsgi_pass`. The client got a 400. Give \
         HTTP its own socket.",
        "; for a browser\n\
         http-socket = :8000\n\
         ; for uwsgi_pass\n\
         socket = 127.0.0.1:3031";
    HeadTooLarge = "RW0402", Client, "a request head that is larger than buffer-size",
        "The headers and variables of the request are more than `buffer-size` bytes, mostly because of its cookies or a long URL. The \
         client got a 431. Raise it if such requests are meant to be served; 65535 is the most.",
        "buffer-size = 32768";
    WorkersUnchanged = "RW0410", Config, "the number of workers can't be changed as asked",
        "There are never more workers than `processes` says and never fewer than `cheaper`, or one. The message has the \
         numbers. A reload with other limits changes them.";
    OutOfReach = "RW0420", Config, "something that the user may not read",
        "The application runs as the user and group that the message names, and they may not read what it needs, or not \
         enter a directory above it. The message names the first one that is closed. Open it, give it to the group, or move \
         the site to where others may read, such as /srv.";
    LeftBehind = "RW0421", Config, "a file that the user may not remove",
        "`vacuum` removes files when the instance ends, as the user that it runs as by then, and that user may not write to \
         the directory. Put the file into a directory of the user's, or set `master-as-root = true`.";
    LimitRefused = "RW0422", Machine, "a limit that the system refuses",
        "Limits and priorities can be lowered by everybody, and raised by root only. The start goes on without, as uWSGI's \
         does. Start as root, or have the service manager set it: `LimitNOFILE=`, `Nice=`.";
    IsolationRefused = "RW0423", Machine, "an isolation that the system refuses",
        "A new root directory, a namespace, a control group or capabilities were asked for and can't be had, so nothing is \
         started: an application that runs less shut in than it should is not what was asked for. The message has the reason.";
    ThreadAtFork = "RW0430", App, "a thread that ends with the fork",
        "The application started it while it was imported. Workers are forked from that process, and only the thread that forks \
         lives on, so in the workers it does not run, and a lock that it held stays held. Start it in `os.register_at_fork`, \
         at the first request, or set `lazy-apps = true`.";
    ConnectionAtFork = "RW0431", App, "a connection that all workers share",
        "The application connected while it was imported, and every worker has the same socket: answers reach the wrong one. \
         Close it at the end of the import, open it in `os.register_at_fork` or at the first request, or set `lazy-apps = true`.";
    FileAtFork = "RW0432", App, "an open file that all workers share",
        "The application opened it while it was imported. All workers share one place in it, so reads and writes of one move the \
         others', and the locks of an SQLite database are lost. Open it after the fork, or set `lazy-apps = true`. Files opened \
         for appending and files that are closed again are no trouble.";
    LockAtFork = "RW0433", App, "a lock that is held for ever",
        "It was held when the application was imported, mostly by a thread. In the workers it stays held, and whoever waits \
         for it waits for ever. Start the thread after the fork, or set `lazy-apps = true`.";
    PidfileHeld = "RW0501", Config, "another instance holds the pid file",
        "The master of a running instance keeps a lock on its pid file. Stop it, reload it, or use another file.",
        "rustwsgi --reload /run/blog.pid\n\
         rustwsgi --stop /run/blog.pid";
    NotRunning = "RW0502", Config, "the pid file names no running instance",
        "No rustwsgi holds the lock on the file, so nothing was signalled. The instance has ended, or runs in another \
         container.";
    PidfileBad = "RW0503", Config, "the pid file can't be used",
        "It can't be read or written, or is no regular file. The message has the reason.";
    ReloadFailed = "RW0504", App, "the reload failed and the old code goes on serving",
        "The message has the reason. Nothing has changed: correct it and reload again.";
    StartFailed = "RW0505", App, "the instance did not come up",
        "The message or the log has the reason.";
    TimedOut = "RW0506", Machine, "the wait was longer than allowed",
        "The command stopped waiting; what it asked for may still happen. `--timeout` sets how long it waits.",
        "rustwsgi --reload /run/blog.pid --timeout 120";
    FifoUnusable = "RW0510", Machine, "the master FIFO can't be made",
        "The directory has to be there and writable for the user that the master runs as, and nothing but a FIFO may stand \
         in its place.";
    UpgradeRefused = "RW0511", Machine, "the new program can't take the place of the one that runs",
        "The program's file was replaced, and a reload would go on with the new one in the same process. The new one is tried out first: \
         it did not start, or it is of a version that can't take over. The old code goes on serving; a stop and a start use the new \
         program.";
    LogUnusable = "RW0601", Machine, "the log file can't be opened",
        "The directory has to be there, and the user that rustwsgi runs as has to be allowed to write to it.",
        "install -d -o www-data /var/log/blog\n\
         logto = /var/log/blog/uwsgi.log";
    BadHook = "RW0701", Config, "a hook that can't be read",
        "A hook is `ACTION:ARGUMENTS`, such as `exec:manage.py migrate` or `mkdir:/run/blog`; `hook-touch` has the file in front of \
         it. The actions stand in docs/daemons.md. uWSGI finds such a mistake when the hook's turn comes; rustwsgi before it starts \
         or reloads anything.";
    HookFailed = "RW0702", Machine, "a hook failed",
        "The command exited with another code than 0, or the system refused the action. A start ends here, a reload is given up and \
         the old code goes on serving. `safeexec:COMMAND` runs a command whose exit code does not matter.";
    BadDaemon = "RW0703", Config, "a daemon that can't be read",
        "`attach-daemon2` takes `cmd=COMMAND,KEY=VALUE,…`, `smart-attach-daemon` a pid file and a command. A comma that belongs to a \
         value is written `\\,`, or the value stands in double quotes.";
    BadCron = "RW0704", Config, "a cron that can't be read",
        "`cron` takes five numbers and a command: minute, hour, day, month, weekday. -1 is any, -15 every fifteenth. `cron2` takes \
         `minute=0,hour=4 COMMAND`.";
    System = "RW0900", Machine, "a system call failed",
        "The message has what was tried and what the system said.";
    Internal = "RW0999", Us, "something in rustwsgi that should not happen",
        "A mistake of ours. What led to it and the log help to find it.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut seen = std::collections::HashSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} stands twice", code.as_str());
            assert!(code.as_str().starts_with("RW") && code.as_str().len() == 6);
            assert!(!code.title().ends_with('.'));
            assert!(code.page().ends_with('.'), "{}", code.as_str());
            assert!(code.example().is_none_or(|lines| !lines.ends_with('\n')), "{}", code.as_str());
        }
        assert!(Code::ALL.is_sorted_by_key(|code| code.as_str()));
    }
}
