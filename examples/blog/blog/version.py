"""What `/version/` answers. Edit it, reload the server, and see the new code serve."""

VERSION = "1.0"
