"""What is done in the background, by Celery's workers."""

from celery import shared_task

from blog import celery as _  # noqa: F401  makes the blog's Celery the one that tasks belong to
from blog.version import VERSION

from .models import Post


@shared_task
def count_words() -> dict[str, int | str]:
    """Counts the words of every post; says with which version of the code."""
    words = sum(len(body.split()) for body in Post.objects.values_list("body", flat=True))
    return {"posts": Post.objects.count(), "words": words, "version": VERSION}
