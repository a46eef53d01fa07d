"""Inis drawn at random over the whole grammar, the same ones for the same seed.

A case is what lies in a directory, the environment and the command line. Used by
`test_differential.py`; knows neither of the two programs.
"""

import random
from dataclasses import dataclass, field

# A value refers to names further on, so that few lead back to themselves: on those uWSGI never ends.
NAMES = ["deep", "m", "Foo", "dir_name", "x.y", "base", "name", "site", "k-1", "b", "n", "a"]
NUMBERS = ["0", "1", "2", "7", "42", "-3", "007", "9999999999", "4x", "four", ""]
WORDS = ["app", "blog", "/srv/app", "a=b", "x y", "true", "off", "", "60 ; note", "'quoted'", "a\\b", "é", "127.0.0.1:0"]
VARIABLES = "vhVopdsnecx0123456789kjiugUGODSPCENXIJ"
NO_VARIABLES = "YmHMqwrylfaAzZ-. \t,/_)&"
SECTIONS = ["other", "web", "uwsgi", "two words", "a.b"]
SWITCHES = ["master", "vacuum", "die-on-term", "lazy-apps", "enable-threads", "single-interpreter", "need-app", "thunder-lock"]
COUNTS = ["processes", "workers", "threads", "harakiri", "buffer-size", "max-requests", "post-buffering", "listen"]
TEXTS = ["procname-prefix", "log-format", "pythonpath", "pp", "env", "module", "wsgi", "callable", "touch-reload"]
LAX_SWITCHES = ["", "true", "false", "off", "OFF", "no", "0", "1", "00", "banana", "false # x", "true ; y", "yes"]
CLOSERS = ["endif", "end-if", "endfor", "end-for", "end", "endif", "endfor"]
ENVIRONMENT = {
    "SITE": "blog", "SITE_ROOT": "/srv/blog", "EMPTY": "", "NUMBER": "6", "ODD": "%(a) $(SITE) %%", "NAME_OF": "SITE",
}
TEXT_FILES = {
    "one.txt": "first\n",
    "bare.txt": "no newline",
    "lines.txt": "alpha\nbeta gamma\n\n  delta  \nk=v\n",
    "crlf.txt": "alpha\r\nbeta\r\n",
    "void.txt": "",
    "many.txt": "up\n~down\n\n",
    "ph.txt": "%(a)-$(SITE)-@(one.txt)",
}


@dataclass
class Case:
    """What one run of either program finds."""

    files: dict[str, bytes]
    environment: dict[str, str]
    arguments: list[str]
    features: set[str] = field(default_factory=set)

    def text(self):
        """All of it, to be read by whoever looks at a difference."""
        parts = [f"$ {' '.join(self.arguments)}    {self.environment}"]
        parts += [f"--- {name}\n{content.decode(errors='backslashreplace')}" for name, content in self.files.items()
                  if name not in TEXT_FILES]
        return "\n".join(parts)


class Generator:
    """Draws cases; `Generator(7).case()` is the same on every machine."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.features = set()
        self.files = {}
        self.depth = 0
        self.level = 0

    def case(self):
        """One case."""
        self.files = {name: text.encode() for name, text in TEXT_FILES.items()}
        name = self.pick(["main.ini", "main.ini", "conf/site.prod.ini", "u.ini"])
        section = self.pick(["", "", "", "", *SECTIONS])
        self.files[name] = self.file(section or "uwsgi")
        asked = f"{name}:{section}" if section else name
        environment = dict(ENVIRONMENT)
        if self.chance(0.1):
            self.features.add("environment")
            key = self.pick(["UWSGI_PROCESSES", "UWSGI_A", "UWSGI_BASE", "UWSGI_K_1", "UWSGI_MASTER", "UWSGI_LOG_FORMAT"])
            environment[key] = self.value()
        arguments = self.pick([["--ini", asked], ["--ini", asked], [f"--ini={asked}"], [asked] if not section or self.chance(0.05) else ["--ini", asked]])
        for _ in range(self.pick([0, 0, 0, 1, 2])):
            self.features.add("command line")
            option = self.pick([
                ["-p", self.pick(NUMBERS[:5])], ["--set-ph", f"{self.name()}={self.pick(WORDS)}"],
                ["--set", f"{self.name()}={self.value()}"], ["-M"], ["--threads=2"], ["--env", f"CLI={self.value()}"],
                ["--max-requests", "5"], ["--vacuum"], ["-S", f"{self.name()}=%({self.known()})"],
            ])
            arguments = arguments + option if self.chance(0.5) else option + arguments
        return Case(self.files, environment, arguments, self.features)

    def pick(self, choices):
        return self.random.choice(choices)

    def chance(self, share):
        return self.random.random() < share

    def name(self):
        """A name to define."""
        self.level = self.random.randrange(len(NAMES))
        return NAMES[self.level]

    def known(self):
        """A name to refer to in the value of the last one."""
        if self.chance(0.01):
            return self.pick(NAMES)
        return self.pick(NAMES[self.level + 1 :] or ["no-such"])

    def file(self, section):
        """One file whose `section` has most of the lines."""
        lines = []
        if self.chance(0.1):
            lines += self.pick([["stray = 1"], ["; top"], ["", "# top"]])
        lines += self.header(section)
        for _ in range(self.random.randint(2, 12)):
            lines += self.lines()
        if self.chance(0.25):
            other = self.pick(SECTIONS)
            self.features.add("sections")
            lines += self.header(other) + [line for _ in range(3) for line in self.lines()]
            if self.chance(0.4):
                lines += self.header(section) + self.lines()
        end = self.pick(["\n", "\n", "\n", "\r\n"])
        if end == "\r\n":
            self.features.add("crlf")
        text = end.join(lines) + self.pick([end, end, ""])
        return text.encode()

    def header(self, section):
        if self.chance(0.03):
            self.features.add("odd header")
            return [self.pick([f"[{section}] ; note", f"[{section}", f"[{section}]]", f"[ {section} ]"])]
        return [self.pick([f"[{section}]", f"[{section}]", f"  [{section}]\t"])]

    def lines(self):
        """One thing an author could write, as lines."""
        kinds = [
            (20, self.plain), (10, self.option), (12, self.placeholder), (5, self.variable), (5, self.arithmetic),
            (4, self.surroundings), (4, self.contents), (4, self.comment), (3, self.bare), (4, self.set), (8, self.loop),
            (8, self.condition), (4, self.include), (1, self.strict), (1, self.inherit), (2, self.odd),
        ]
        kind = self.random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        self.features.add(kind.__name__)
        return kind()

    def assign(self, key, value):
        return self.pick(["{} = {}", "{} = {}", "{} = {}", "{}={}", "  {}\t=  {}  ", "{} ={}"]).format(key, value)

    def value(self):
        """Something to stand behind a `=`, often with something to replace in it."""
        parts = []
        for _ in range(self.pick([1, 1, 1, 2, 3])):
            parts.append(self.random.choices([
                self.pick(WORDS), self.pick(NUMBERS), f"%({self.known()})", f"$({self.pick(list(ENVIRONMENT))})",
                f"@({self.pick(list(TEXT_FILES))})", f"%{self.pick(VARIABLES)}", "%%",
            ], [8, 4, 6, 2, 1, 2, 0.5])[0])
        return self.pick(["", "", "/", "-", " "]).join(parts)

    def plain(self):
        return [self.assign(self.name(), self.value())]

    def option(self):
        """An option that both have; sometimes with a value that only looks right."""
        if self.chance(0.4):
            return [self.assign(self.pick(SWITCHES), self.pick(LAX_SWITCHES))]
        if self.chance(0.5):
            return [self.assign(self.pick(COUNTS), self.pick(["1", "2", "4x", "60 ; note", "3 # x", "%(n)", "5", "+2", " 8"]))]
        key = self.pick(TEXTS)
        return [self.assign(key, f"KEY={self.value()}" if key == "env" else f"t{self.value()}")]

    def placeholder(self):
        key, one, two = self.name(), self.known(), self.known()
        return [self.assign(key, self.pick([
            f"%({one})", f"%({one})/%({two})", f"%(no-such)", f"x%({one})y%(no-such)z", f"%(%({one}))", f"%({one}%({two}))",
            f"%({one}", "%(", "%()", f"%( {one} )", f"$(X_%({one}))", f"%({one})%%({two})", f"%%({one})", f"(%({one}))",
            f"%({one}))", f"%((%({one})))", f"%(_)", f"%(k-{self.pick('012')})", f"%(processes)", "100%",
        ]))]

    def variable(self):
        if self.chance(0.7):
            return [self.assign(self.name(), f"{self.pick(WORDS)}%{self.pick(VARIABLES)}{self.pick(['', '/x', '%' + self.pick(VARIABLES)])}")]
        self.features.add("no variable")
        lines = [self.assign(self.name(), f"w{self.pick(['%', '%%%'])}{self.pick(NO_VARIABLES)}{self.pick(['', 'x', ' y'])}")]
        if self.chance(0.2):
            self.features.add("percent at the end of a line")
            lines = [f"{self.name()} = w%", self.assign(self.name(), "next")]
        if self.chance(0.2):
            lines = [f"p%{self.pick(VARIABLES)} = 1"]
        return lines

    def arithmetic(self):
        key, one, two, number = self.name(), self.known(), self.known(), self.pick(["1", "3", "0", "-2", "10"])
        lines = [self.assign(one, self.pick(["2", "7", "0", "-4", "12x", "abc", "1000000000"]))] if self.chance(0.6) else []
        return lines + [self.assign(key, self.pick([
            f"%({one} + {number})", f"%({one} - {two})", f"%({one} * {number})", f"%({one} / {number})", f"%({one} ++)",
            f"%({one} --)", f"%({one} {two})", f"%({one} {two} + {number})", f"%({one} + {number} * 2)", f"%({one}+{number})",
            f"%({one}  +  {number})", f"%({number} + {number})", f"%(no-such + 1)", f"%(no-such {one})", f"%({one} +)",
            f"%(%k * 2)", f"%(%({one}) + 1)", f"x%({one} + 1)y", f"%({one} % 3)", f"%({one} ++ ++)", f"%({one} + {two} + {two})",
        ]))]

    def surroundings(self):
        name = self.pick([*ENVIRONMENT, "NO_SUCH", "A_PATH_%(a)"])
        return [self.assign(self.name(), self.pick([f"$({name})", f"x$({name})y$(SITE)", f"$({name}", "$()", f"$( {name} )", f"$$({name})",
                                                    "$($(NAME_OF))"]))]

    def contents(self):
        name = self.pick([*TEXT_FILES, "no-such.txt"])
        forms = [f"@({name})", f"x@({name})", "@(", f"@({name}"] if name != "no-such.txt" else [f"x@({name})y"]
        return [self.assign(self.name(), self.pick(forms))]

    def comment(self):
        return [self.pick(["; note", "# note", "   ; a = b", "\t#x", "", "   ", ";", "; %(a) %Y"])]

    def bare(self):
        return [self.pick([self.pick(SWITCHES), self.name(), f"  {self.name()}  ", f"{self.name()}: value", f"{self.name()} ="])]

    def set(self):
        return [self.assign(self.pick(["set", "set-placeholder", "set-ph"]),
                            self.pick(["{}={}", "{}={}", "{} = {}"]).format(self.pick([*NAMES, "processes", "master"]) if self.chance(0.3)
                                                                            else self.name(), self.value()))]

    def body(self):
        body = []
        for _ in range(self.pick([1, 1, 2, 3, 0])):
            body += self.pick([
                lambda: [self.assign(self.name(), "%(_)")],
                lambda: [self.assign(self.name(), f"x%(_)-%({self.known()})-%(_)")],
                lambda: [self.assign("env", "V%(_)=%(_)")],
                self.plain, self.bare, self.comment, self.option, self.arithmetic,
                lambda: [self.assign("n%(_)", "%(_)")],
                lambda: [self.assign("set-ph", "p%(_)=%(_)")],
                lambda: [self.assign(self.name(), "%(_ + 1)")],
            ])()
        return body

    def closed(self, opening):
        close = self.pick(CLOSERS)
        if self.chance(0.03):
            self.features.add("logic not closed")
            return [opening, *self.body()]
        if self.chance(0.02):
            self.features.add("logic in logic")
            return [opening, "if-env = SITE", *self.body(), close]
        return [opening, *self.body(), self.pick([close, f"{close} =", f"  {close} = x"])]

    def loop(self):
        kind, value = self.pick([
            ("for", "x y z"), ("for", "one"), ("for", ""), ("for", "a  b"), ("for", "%(a) b"), ("for", "1,2 3"), ("for", "$(SITE) q"),
            ("for-times", "3"), ("for-times", "0"), ("for-times", "-1"), ("for-times", "2x"), ("for-times", "abc"), ("for-times", "%k"),
            ("for-glob", "*.txt"), ("for-glob", "no-such-*"), ("for-glob", "b*"), ("for-glob", "con*"), ("for-glob", "[ob]*.txt"),
            ("for-readline", "lines.txt"), ("for-readline", "crlf.txt"), ("for-readline", "void.txt"), ("for-readline", "no-such.txt"),
            ("for-readline", "bare.txt"),
        ])
        return self.closed(self.assign(kind, value))

    def condition(self):
        no, name = self.pick(["", "", "not-"]), self.name()
        kind, value = self.pick([
            ("env", "SITE"), ("env", "SITE=blog"), ("env", "SITE=x"), ("env", "NO_SUCH"), ("env", "EMPTY"), ("env", "EMPTY="),
            ("opt", name), ("opt", f"{name}=app"), ("opt", f"{name}="), ("opt", "master=true"), ("opt", "no-such"), ("opt", "ini"),
            ("exists", "one.txt"), ("exists", "no-such"), ("exists", "."), ("file", "one.txt"), ("file", "."), ("file", "no-such"),
            ("dir", "."), ("dir", "one.txt"), ("dir", "/tmp"), ("directory", "/tmp"), ("reload", ""), ("hostname", "no-such-host"),
            ("hostname", "%h"), ("exists", "%p"), ("plugin", "no-such"), ("plugin", "python"), ("exists", ""), ("env", ""),
            ("opt", f"{name}=%(a)"), ("exists", "%(a)"), ("env", "A=B=C"),
        ])
        if kind == "directory":
            no = ""
        key = f"if-{no}{kind}"
        if not no and kind in ("env", "exists", "dir", "plugin") and self.chance(0.2):
            key = f"if{kind}"
        return self.closed(self.assign(key, value))

    def include(self):
        if self.depth > 2:
            return self.plain()
        if self.chance(0.25):
            return [self.assign("ini", f":{self.pick(SECTIONS)}")]
        self.depth += 1
        name = self.pick(["inc.ini", "conf/more.ini", "inc/x.y.ini"])
        section = self.pick(["", "", *SECTIONS])
        if name not in self.files:
            self.files[name] = b""
            self.files[name] = self.file(section or "uwsgi")
        self.depth -= 1
        where = self.pick(["", "", "./", "%v/"])
        if section and not self.chance(0.03):
            return [self.assign("ini", f"{where}{name}:{section}")]
        return [self.assign(self.pick(["ini", "include"]), f"{where}{name}" + (f":{section}" if section else ""))]

    def strict(self):
        return ["strict = true"] if self.chance(0.3) else self.plain()

    def inherit(self):
        if "child.ini" not in self.files:
            self.files["child.ini"] = b"[uwsgi]\nchild = %(a) $(SITE) %n %s\nbase = child\n"
        return [self.assign(self.name(), "child"), self.assign("inherit", self.pick(["child.ini", f"%({self.known()}).ini", "%(site).ini"]))]

    def odd(self):
        return self.pick([
            [f"= {self.pick(WORDS)}"], ["=="], [f"{self.name()} = = x"], [f"{self.name()} == x"], ["]"], ["[]"], ["x]y = 1"],
            [f"{self.name()} = a\tb"], [f"{self.name()}\x0b= \x0c1"], [f"{self.name()} = {'long' * 300}"], [f"{self.name()} += 1"],
            ["\xa0nbsp = 1"], [f"{self.name()} : 1"], ['"a" = "b"'], ["  = = "], ["a b c = 1"], ["Processes = 9"],
        ])
