"""`manage.py seed`: the demo user and a front page full of posts."""

import zlib
from datetime import timedelta
from pathlib import Path

from django.contrib.auth import get_user_model
from django.core.files.base import ContentFile
from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from django.utils import timezone

from apps.posts.models import Comment, Post
from apps.posts.pictures import landscape

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


class Command(BaseCommand):
    help = "Adds the demo user and the sample posts; what is already there stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="demo")
        parser.add_argument("--password", default="quiet-deploy")

    def handle(self, *args, username: str, password: str, **options) -> None:
        author = self.demo_user(username, password)
        samples = sorted(SAMPLES.glob("*.txt"))
        added = sum(self.sample_post(path, author, age) for age, path in enumerate(samples))
        self.stdout.write(f"{added} posts added, {Post.objects.count()} in all; sign in as `{username}`")

    def demo_user(self, username: str, password: str):
        users = get_user_model().objects
        user = users.filter(username=username).first()
        return user or users.create_superuser(username, password=password, first_name="Demo")

    @transaction.atomic
    def sample_post(self, path: Path, author, age: int) -> bool:
        """Adds the post in `path`: `Key: value` lines, the text, then `-- name: comment` lines."""
        head, _, text = path.read_text(encoding="utf-8").partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        if Post.objects.filter(title=fields["Title"]).exists():
            return False

        body, *comments = text.rstrip().split("\n-- ")
        published = timezone.now() - timedelta(days=9 * age, hours=5 * age + 1)
        post = Post(
            title=fields["Title"],
            summary=fields["Summary"],
            author=author,
            body=body.rstrip(),
            published=published,
        )
        picture = landscape(fields["Picture"], seed=zlib.crc32(path.name.encode()))
        post.image.save(f"{path.stem}.png", ContentFile(picture))
        for number, line in enumerate(comments, 1):
            name, words = line.split(": ", 1)
            created = published + timedelta(minutes=17 * number)
            Comment.objects.create(post=post, name=name, text=words.strip(), created=created)
        return True
