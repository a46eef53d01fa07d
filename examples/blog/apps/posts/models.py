"""Posts and the comments under them."""

import math

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files import File
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

WORDS_PER_MINUTE = 220
RESERVED_SLUGS = {"new"}  # /posts/new/ is the form


def validate_image_size(image: File) -> None:
    if image.size > settings.POST_IMAGE_MAX_MB * 1024 * 1024:
        raise ValidationError(f"An image may have up to {settings.POST_IMAGE_MAX_MB} MB.")


class PostQuerySet(models.QuerySet):
    def for_list(self) -> "PostQuerySet":
        """Newest first, with author and `comment_count`, in one query."""
        visible = models.Count("comments", filter=models.Q(comments__visible=True))
        # Meta.ordering does not apply to a query that groups.
        return (
            self.select_related("author")
            .annotate(comment_count=visible)
            .order_by(*Post._meta.ordering)
        )


class Post(models.Model):
    title = models.CharField(max_length=120)
    slug = models.SlugField(max_length=140, unique=True, editable=False)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="posts")
    summary = models.CharField(max_length=240, help_text="One or two sentences for the front page.")
    body = models.TextField(
        help_text="A blank line starts a paragraph, ## a heading; four spaces indent code."
    )
    image = models.ImageField(upload_to="posts/%Y/%m", validators=[validate_image_size])
    published = models.DateTimeField(default=timezone.now, db_index=True)

    objects = PostQuerySet.as_manager()

    class Meta:
        ordering = ["-published", "-pk"]

    def __str__(self) -> str:
        return self.title

    def save(self, *args, **kwargs) -> None:
        if not self.slug:
            self.slug = self._free_slug()
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("posts:detail", args=[self.slug])

    @property
    def minutes(self) -> int:
        """How long reading takes, at least one minute."""
        return max(1, math.ceil(len(self.body.split()) / WORDS_PER_MINUTE))

    def _free_slug(self) -> str:
        stem = slugify(self.title)[:120] or "post"
        slug, number = stem, 1
        while slug in RESERVED_SLUGS or Post.objects.filter(slug=slug).exists():
            number += 1
            slug = f"{stem}-{number}"
        return slug


class Comment(models.Model):
    post = models.ForeignKey(Post, models.CASCADE, related_name="comments")
    name = models.CharField(max_length=60)
    text = models.TextField("comment", max_length=2000)
    created = models.DateTimeField(default=timezone.now)
    visible = models.BooleanField(default=True)

    class Meta:
        ordering = ["created", "pk"]

    def __str__(self) -> str:
        return f"{self.name} on {self.post}"
