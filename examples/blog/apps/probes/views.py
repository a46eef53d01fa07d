"""Small views that show what the server in front of them does: which process answers, whether a
reload took, how a stream and a large file travel."""

import time
from collections.abc import Iterator

from django.conf import settings
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from blog.version import VERSION

from .context import served_by
from .samples import sample_file

MAX_STREAM_LINES = 10_000
MAX_STREAM_SECONDS = 20  # a stream holds a thread, and must end before `harakiri = 30` ends it
MAX_DOWNLOAD_MB = 100


@never_cache
@require_safe
def version(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{VERSION}\n", content_type="text/plain")


@never_cache
@require_safe
def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse(served_by())


@never_cache
@require_safe
def stream(request: HttpRequest) -> HttpResponse:
    """`?lines=10&delay=0.2`: that many numbered lines, that many seconds apart."""
    try:
        lines = int(request.GET.get("lines", 10))
        delay = float(request.GET.get("delay", 0))
    except ValueError:
        return HttpResponseBadRequest("lines and delay are numbers\n", content_type="text/plain")
    # A NaN compares false with everything, so ask what is allowed, not what is not.
    if not (0 <= lines <= MAX_STREAM_LINES and 0 <= delay and lines * delay <= MAX_STREAM_SECONDS):
        return HttpResponseBadRequest(
            f"at most {MAX_STREAM_LINES} lines in {MAX_STREAM_SECONDS} seconds\n",
            content_type="text/plain",
        )
    response = StreamingHttpResponse(_numbered_lines(lines, delay), content_type="text/plain")
    response["X-Accel-Buffering"] = "no"  # nginx: hand on each line as it comes
    return response


def _numbered_lines(lines: int, delay: float) -> Iterator[str]:
    for number in range(1, lines + 1):
        yield f"line {number}\n"
        if delay and number < lines:
            time.sleep(delay)


@require_safe
def download(request: HttpRequest, megabytes: int) -> FileResponse:
    """A file of 1 to 100 MB; `FileResponse` hands it to the server's `wsgi.file_wrapper`."""
    if not 1 <= megabytes <= MAX_DOWNLOAD_MB:
        raise Http404(f"from 1 to {MAX_DOWNLOAD_MB} megabytes")
    sample = sample_file(settings.DATA_DIR / "downloads", megabytes)
    return FileResponse(sample, as_attachment=True, filename=f"sample-{megabytes}.bin")
