"""What every page knows about the process that made it."""

import os
import threading

from django.conf import settings
from django.http import HttpRequest


def served_by(_request: HttpRequest | None = None) -> dict[str, object]:
    return {
        "instance": settings.INSTANCE,
        "pid": os.getpid(),
        "thread": threading.current_thread().name,
    }
