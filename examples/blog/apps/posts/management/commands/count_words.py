"""`manage.py count_words`: asks Celery's workers, and shows what they answer."""

import json

from django.core.management.base import BaseCommand

from apps.posts.tasks import count_words


class Command(BaseCommand):
    help = "Counts the words of all posts in the background."

    def handle(self, **options) -> None:
        self.stdout.write(json.dumps(count_words.delay().get(timeout=30)))
