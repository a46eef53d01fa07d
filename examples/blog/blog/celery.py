"""Celery for the blog: `celery -A blog.celery worker`, with Redis in between.

Only what works in the background imports this: the site itself runs without Celery and Redis.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "blog.settings")

app = Celery("blog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["apps.posts"])
