"""The line for each request: the same requests, the same options, the same lines as uWSGI's."""

import re

import pytest

from support import uwsgi_client

# Two processes never agree on these.
VOLATILE = [
    (re.compile(r"\[pid: \d+\|"), "[pid: N|"),
    (re.compile(r"\[\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\]"), "[DATE]"),
    (re.compile(r"in \d+ (msecs|micros)"), r"in N \1"),
    (re.compile(r"usage: \d+ bytes/\d+MB"), "usage: N"),
    # uWSGI counts what happened to be left to send: 0 or 1, from run to run.
    (re.compile(r"\(\d switches"), "(N switches"),
]

FORMATS = {
    "apache": '%(addr) - %(user) [%(ltime)] "%(method) %(uri) %(proto)" %(status) %(size) "%(referer)" "%(uagent)"',
    "sizes": "%(rsize)+%(hsize)=%(size) of %(cl) in %(pktsize) %(vars) vars %(headers) headers",
    "outcome": "%(status) %(werr)%(rerr)%(ioerr) core %(core) worker %(wid) %(modifier1)/%(modifier2)",
    "memory-off": "%(vsz) %(rss) %(vszM) %(rssM)",
    "variables": "%(var.HTTP_HOST) %(var.QUERY_STRING) %(var.SERVER_PORT)",
    "absent-variable": "%(var.NO_SUCH) %(referer)",
    "app-variable": "%(shop) %(customer)",
    "metric": "%(metric.none)",
    "percent": "100% of %% %(method) %x",
    "unclosed": "%(uri",
    "adjoining": "%(method)%(method)%(proto)",
    "case": "%(URI) %(Method)",
    "plain": "a request",
    "json-like": '{"uri":"%(uri)","status":%(status)}',
    "quotes": '"%(uagent)" \'%(host)\'',
    "tabs": "%(method)\t%(uri)\t%(status)",
    "unicode": "→ %(uri) ←",
    "user": "(%(user))",
    "nobody": "%(user)|%(addr)",
    "empty-name": "%(uri) %(var.)",
}

OPTIONS = {
    "default": {},
    "log-micros": {"log-micros": "true"},
    "memory-report": {"memory-report": "true"},
    "log-x-forwarded-for": {"log-x-forwarded-for": "true"},
    "log-x-forwarded-for-in-a-format": {"log-x-forwarded-for": "true", "log-format": "%(addr) %(uri)"},
    "disable-logging": {"disable-logging": "true"},
    "log-zero": {"disable-logging": "true", "log-zero": "true"},
    "log-4xx": {"disable-logging": "true", "log-4xx": "true"},
    "log-5xx": {"disable-logging": "true", "log-5xx": "true"},
    "log-big": {"disable-logging": "true", "log-big": "1000"},
    "log-slow": {"disable-logging": "true", "log-slow": "60000"},
    "log-date": {"log-date": "%%Y"},
    "logdate-and-format": {"log-date": "<%%Y>", "log-format": "%(method) %(uri)"},
    "ftime": {"log-date": "year %%Y", "logformat-strftime": "true", "log-format": "%(ftime) %(uri)"},
}


@pytest.fixture
def logged(uwsgi, rustwsgi, workshop):
    """The request lines of the same requests under each of the two: theirs, ours."""

    def logged(**options):
        found = []
        for program in (uwsgi, rustwsgi):
            server = workshop.server(program, "statuses.py")
            address = server.directory / "site.sock"
            server.set(socket=address, **{key.replace("-", "_"): value for key, value in options.items()})
            server.start()
            mark = server.log.mark()
            for path, more in REQUESTS:
                uwsgi_client.request(str(address), path, **more)
            # One worker, one core: once it answers this, it has written all lines before.
            assert uwsgi_client.ping(str(address))
            lines = [steady(line) for line in server.log.lines(mark)]
            found.append([line for line in lines if not OWN.search(line)])
            server.kill()
        return found

    return logged


REQUESTS = [
    ("/200", {"query": "a=1&b=%20", "HTTP_USER_AGENT": 'Mozilla/5.0 "quoted"', "HTTP_REFERER": "http://example.org/"}),
    ("/200/big", {"REMOTE_USER": "bob"}),
    ("/204", {"HTTP_X_FORWARDED_FOR": "203.0.113.9, 198.51.100.1"}),
    ("/404", {}),
    ("/503", {}),
]


def steady(line):
    """A line without what changes from run to run."""
    for pattern, text in VOLATILE:
        line = pattern.sub(text, line)
    return line


# The server's own lines, which are not compared; uWSGI writes one for a ping.
OWN = re.compile(r"ready in|spawned|PING|^$")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_gives_the_same_lines(logged, name):
    theirs, ours = logged(**{"log-format": FORMATS[name]})

    assert len(theirs) == len(REQUESTS)
    # `ltime` is of the second in which the request began.
    assert [without_time(line) for line in ours] == [without_time(line) for line in theirs]


def without_time(line):
    """A line without Apache's time."""
    return re.sub(r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]", "[TIME]", line)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_the_lines_alike(logged, name):
    theirs, ours = logged(**OPTIONS[name])

    assert ours == theirs
