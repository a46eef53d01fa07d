"""Configurations made to hurt: read or refused with a message, soon and in little memory."""

import os
import random
import resource
import subprocess
import time

import pytest

from config.generator import Generator

SECONDS = 5
MEGABYTES = 256
HEAD = b"[uwsgi]\nsocket = 127.0.0.1:0\nmodule = app\n"
LONG = 10_000_000
MUTATED = 300


def ended(rustwsgi, directory, *arguments):
    """The exit code and stderr of a run that may not take long, nor much memory."""
    with open(directory / "said", "wb") as said:
        process = subprocess.Popen(
            [rustwsgi.path, *arguments], cwd=directory, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said
        )
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.prlimit(process.pid, resource.RLIMIT_AS, (4 << 30, 4 << 30))
        started = time.monotonic()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    message = (directory / "said").read_bytes()
    assert process.returncode in (0, 1, 2), (process.returncode, message[:500])
    assert b"panicked" not in message, message[:2000]
    assert time.monotonic() - started < 4 * SECONDS
    return process.returncode, message, usage.ru_maxrss // 1024


def lines(*parts):
    return HEAD + b"".join(part + b"\n" for part in parts)


def deep(count):
    return [f"a{number} = %(a{number + 1})%(a{number + 1})".encode() for number in range(count)]


BAD = {
    "includes-itself": lines(b"include = %p"),
    "includes-itself-twice": lines(b"ini = %p", b"ini = %p", b"ini = :uwsgi"),
    "includes-its-section": lines(b"ini = :other") + b"[other]\nini = :uwsgi\n",
    "inherits-itself": lines(b"inherit = %p"),
    "for-bomb": lines(b"for-times = 2000000000", b"env = A%(_)=%(_)", b"endfor ="),
    "for-bomb-of-values": lines(b"for-times = 100000", b"env = A%(_)=" + b"x" * 10_000, b"endfor ="),
    "for-bomb-of-includes": lines(b"for-times = 1000000", b"include = %p", b"endfor ="),
    "for-bomb-of-glob": lines(b"for-glob = /*/*/*/*/*", b"env = A=%(_)", b"endfor ="),
    "for-over-endless": lines(b"for-readline = /dev/zero", b"env = A=%(_)", b"endfor ="),
    "contents-endless": lines(b"procname-prefix = @(/dev/zero)"),
    "contents-of-itself": lines(b"procname-prefix = @(uwsgi.ini)"),
    "include-endless": lines(b"include = /dev/zero.ini", b"ini = /dev/zero"),
    "billion-laughs": lines(*deep(64), b"a64 = ha", b"procname-prefix = %(a0)"),
    "placeholder-circle": lines(b"a = %(b)", b"b = x%(a)y", b"procname-prefix = x%(a)"),
    "placeholder-of-itself": lines(b"a = x%(a)%(a)", b"procname-prefix = %(a)"),
    "open-placeholders": lines(b"procname-prefix = " + b"%(" * 100_000),
    "open-variables": lines(b"procname-prefix = " + b"$(" * 100_000),
    "open-contents": lines(b"procname-prefix = " + b"@(" * 100_000),
    "closed-placeholders": lines(b"a = x", b"procname-prefix = " + b"%(" * 20_000 + b"a" + b")" * 20_000),
    "many-placeholders": lines(b"a = x", b"procname-prefix = " + b"-%(a)" * 20_000),
    "many-parentheses": lines(b"procname-prefix = %(" + b"(" * 100_000),
    "arithmetic": lines(b"n = 9223372036854775807", b"procname-prefix = x%(n + n)%(n * n)%(n ++)%(n / 0)%(0 - n - 2)"),
    "arithmetic-long": lines(b"procname-prefix = x%(" + b"1 + " * 100_000 + b"1)"),
    "arithmetic-division": lines(b"m = -9223372036854775808", b"n = -1", b"procname-prefix = x%(m / n)"),
    "long-value": lines(b"procname-prefix = " + b"x" * LONG),
    "long-key": lines(b"k" * LONG + b" = 1"),
    "long-section": b"[" + b"s" * LONG + b"]\n" + HEAD,
    "long-line-without-end": HEAD + b"x" * LONG,
    "long-blanks": HEAD + b" " * LONG + b"\n",
    "many-lines": HEAD + b"a = 1\n" * 200_000,
    "many-keys": HEAD + b"".join(b"key-%d = 1\n" % number for number in range(50_000)),
    "many-misspelt": HEAD + b"procesess = 1\n" * 20_000,
    "many-sections": b"".join(b"[s%d]\n" % number for number in range(100_000)) + HEAD,
    "nul": lines(b"procname-prefix = a\0b", b"\0", b"\0 = \0"),
    "nothing-but-nul": b"\0" * 100_000,
    "percent-nul": lines(b"procname-prefix = a%\0b%"),
    "not-utf8": lines(bytes(range(1, 256)).replace(b"\n", b"")),
    "odd-brackets": b"[\n[]\n]\n[[]]\n[uwsgi\n" + HEAD,
    "equals": lines(b"=" * 100_000, b"= =", b"=a"),
    "if-hostname-match": lines(b"if-hostname-match = (a*)*b", b"env = A=1", b"endif ="),
    "regex-bomb": lines(b"if-hostname-match = " + b"(" * 5_000 + b")" * 5_000, b"env = A=1", b"endif ="),
    "logic-never-closed": lines(b"for = a b", *[b"env = A=%(_)"] * 50_000),
    "numbers": lines(b"processes = 99999999999999999999999999999999", b"harakiri = -99999999999999999999999"),
    "set-circle": lines(b"set = a=%(a)x", b"set-ph = a=%(a)y"),
    "declared-circle": lines(b"declare-option = again=again=$1", b"again = 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_no_trouble(rustwsgi, workshop, name):
    directory = workshop.directory()
    (directory / "uwsgi.ini").write_bytes(BAD[name])

    code, message, megabytes = ended(rustwsgi, directory, "--show-config", "--ini", "uwsgi.ini")

    assert megabytes < MEGABYTES, f"{megabytes} MB"
    assert len(message) < 20_000_000
    assert code == 0 or message.startswith((b"error[", b"warning["))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bomb.yaml", "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 8)}]\n" for n in range(12)) + "uwsgi: {env: *m}\n"),
        ("deep.yaml", "uwsgi: " + "[" * 50_000),
        ("deep.json", '{"uwsgi": ' + "[" * 200_000),
        ("deep.xml", "<uwsgi>" + "<a>" * 100_000),
        ("bomb.xml", '<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa">' + "".join(
            f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(12)) + "]><uwsgi><env>&m;</env></uwsgi>"),
        ("file.xml", '<!DOCTYPE u [<!ENTITY a SYSTEM "file:///etc/passwd">]><uwsgi><env>&a;</env></uwsgi>'),
        ("deep.toml", "uwsgi = " + "[" * 100_000),
    ],
    ids=lambda value: value if value.count(".") == 1 and len(value) < 12 else "",
)
def test_other_formats_are_no_trouble(rustwsgi, workshop, name, text):
    directory = workshop.directory()
    (directory / name).write_text(text)

    _, message, megabytes = ended(rustwsgi, directory, "--show-config", name)

    assert megabytes < MEGABYTES, f"{megabytes} MB"
    assert message.startswith((b"error[", b"warning["))
    assert b"root:" not in message


def test_damaged_files_are_no_trouble(rustwsgi, workshop):
    directory = workshop.directory()
    for number in range(MUTATED):
        draw = random.Random(number)
        case = Generator(number).case()
        for name, content in case.files.items():
            text = bytearray(content)
            for _ in range(draw.randrange(12)):
                place = draw.randrange(len(text) + 1)
                text[place : place + draw.randrange(3)] = draw.choice([b"", b"%", b"%(", b")", b"\0", b"\xff", b"=", b"\n", b"[", b"$(", b"@("])
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(text)
        ended(rustwsgi, directory, *case.arguments, "--show-config")


@pytest.mark.parametrize("text", ["workers = " + "(" * 100_000, "a = 'x'\n" + "a = a + a\n" * 64 + "bind = a\n", "bind = '" + "x" * 900_000])
def test_a_hostile_gunicorn_file_is_no_trouble(rustwsgi, workshop, text):
    directory = workshop.directory()
    (directory / "gunicorn.conf.py").write_text(text)

    code, _, megabytes = ended(rustwsgi, directory, "convert", "gunicorn.conf.py")

    assert code == 0 and megabytes < MEGABYTES
