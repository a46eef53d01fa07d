"""What a uwsgi packet means, in as few lines as possible: the parser that ours is compared with.

Written from the protocol's description and docs/differences.md, not from the Rust.
"""

METHODS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"DELE", b"OPTI", b"PATC", b"PRI ")
SINGLE = (b"REQUEST_METHOD", b"PATH_INFO", b"SCRIPT_NAME", b"CONTENT_LENGTH")


class Refused(Exception):
    """The packet gets a status; the app is not called."""


class Incomplete(Exception):
    """More bytes have to come."""


def parse(data, buffer_size=65535):
    """The variables, later ones winning, and the body of a packet after which the client closes; None for a ping."""
    if len(data) < 4:
        raise Incomplete
    if data[:4] in METHODS or data[:2] == b"\x16\x03":
        raise Refused("another protocol")
    modifier1, size = data[0], data[1] + 256 * data[2]
    if modifier1 == 100:
        return None
    if modifier1 not in (0, 30) or size == 0:
        raise Refused("modifier or empty")
    if size > buffer_size:
        raise Refused("too large")
    block, body = data[4 : 4 + size], data[4 + size :]
    if len(block) < size:
        raise Incomplete
    variables = {}
    while block:
        key, block = taken(block)
        if not key or any(byte in key for byte in (0, 10, 13)):
            raise Refused("name")
        value, block = taken(block)
        if key in SINGLE and variables.get(key, value) != value:
            raise Refused("contradiction")
        variables[key] = value
    length = variables.get(b"CONTENT_LENGTH", b"")
    if len(length) > 18 or not all(48 <= byte <= 57 for byte in length):
        raise Refused("length")
    return variables, body, int(length or 0)


def taken(block):
    """The string at the block's start, and what follows it."""
    if len(block) < 2:
        raise Refused("lengths")
    end = 2 + block[0] + 256 * block[1]
    if end > len(block):
        raise Refused("lengths")
    return block[2:end], block[end:]
