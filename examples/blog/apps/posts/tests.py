import io
import tempfile
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client, SimpleTestCase, TestCase, override_settings
from django.urls import reverse
from PIL import Image

from .models import Comment, Post
from .templatetags.prose import prose


def png(width: int = 4, height: int = 3) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#b3451b").save(file, "PNG")
    return file.getvalue()


class BlogCase(TestCase):
    def setUp(self) -> None:
        media = tempfile.TemporaryDirectory()
        self.addCleanup(media.cleanup)
        self.enterContext(override_settings(MEDIA_ROOT=media.name))
        self.author = get_user_model().objects.create_user("author", password="a-long-password")

    def make_post(self, title: str = "Hello", **fields) -> Post:
        image = SimpleUploadedFile("hill.png", png())
        fields = {"summary": "Short.", "body": "Long.", "image": image} | fields
        return Post.objects.create(title=title, author=self.author, **fields)


class ReadingTest(BlogCase):
    def test_front_page_lists_newest_first_and_pages(self) -> None:
        for number in range(9):
            self.make_post(f"Post {number}")
        first = self.client.get("/")
        self.assertEqual([post.title for post in first.context["page_obj"]][:2], ["Post 8", "Post 7"])
        self.assertContains(first, "Page 1 of 2")
        self.assertContains(self.client.get("/?page=2"), "Post 0")

    def test_titles_share_no_address(self) -> None:
        slugs = [self.make_post(title).slug for title in ("Hello", "Hello", "New", "...")]
        self.assertEqual(slugs, ["hello", "hello-2", "new-2", "post"])

    def test_unknown_post_is_404(self) -> None:
        self.assertContains(self.client.get("/posts/nope/"), "Nothing here", status_code=404)

    def test_api(self) -> None:
        post = self.make_post()
        Comment.objects.create(post=post, name="A", text="seen")
        Comment.objects.create(post=post, name="B", text="hidden", visible=False)
        listing = self.client.get("/api/posts/").json()
        self.assertEqual(listing["count"], 1)
        self.assertEqual(listing["posts"][0]["comments"], 1)
        self.assertTrue(listing["posts"][0]["image"].startswith("/media/posts/"))
        detail = self.client.get("/api/posts/hello/").json()
        self.assertEqual([comment["text"] for comment in detail["comments"]], ["seen"])


class CommentTest(BlogCase):
    def test_comment_is_kept_and_escaped(self) -> None:
        post = self.make_post()
        data = {"name": "Eve", "text": "<script>alert(1)</script>"}
        answer = self.client.post(post.get_absolute_url(), data, follow=True)
        self.assertContains(answer, "&lt;script&gt;alert(1)")
        self.assertEqual(post.comments.get().name, "Eve")

    def test_empty_comment_is_refused(self) -> None:
        post = self.make_post()
        answer = self.client.post(post.get_absolute_url(), {"name": "", "text": ""})
        self.assertContains(answer, "required", status_code=400)
        self.assertFalse(post.comments.exists())

    def test_form_without_token_is_refused(self) -> None:
        post = self.make_post()
        strict = Client(enforce_csrf_checks=True)
        answer = strict.post(post.get_absolute_url(), {"name": "Eve", "text": "x"})
        self.assertEqual(answer.status_code, 403)


class WritingTest(BlogCase):
    def publish(self, image: SimpleUploadedFile):
        data = {"title": "Fresh", "summary": "Short.", "body": "Long.", "image": image}
        return self.client.post(reverse("posts:new"), data)

    def test_visitors_are_asked_to_sign_in(self) -> None:
        self.assertRedirects(self.client.get("/posts/new/"), "/login/?next=/posts/new/")

    def test_image_is_stored_byte_for_byte(self) -> None:
        self.client.force_login(self.author)
        picture = png(40, 30)
        self.assertRedirects(self.publish(SimpleUploadedFile("p.png", picture)), "/posts/fresh/")
        stored = Path(settings.MEDIA_ROOT, Post.objects.get().image.name)
        self.assertEqual(stored.read_bytes(), picture)

    def test_only_images_of_bounded_size_are_taken(self) -> None:
        self.client.force_login(self.author)
        answer = self.publish(SimpleUploadedFile("p.png", b"not a picture"))
        self.assertContains(answer, "valid image")
        with override_settings(POST_IMAGE_MAX_MB=0):
            self.assertContains(self.publish(SimpleUploadedFile("p.png", png())), "up to 0 MB")
        self.assertFalse(Post.objects.exists())


class SeedTest(BlogCase):
    def test_seed_twice_adds_once(self) -> None:
        for _ in range(2):
            call_command("seed", stdout=io.StringIO())
        self.assertEqual(Post.objects.count(), 7)
        self.assertTrue(self.client.login(username="demo", password="quiet-deploy"))
        self.assertContains(self.client.get("/admin/"), "Behind the scenes")
        for post in Post.objects.all():
            self.assertEqual(self.client.get(post.get_absolute_url()).status_code, 200)


class ProseTest(SimpleTestCase):
    def test_blocks(self) -> None:
        text = "## Head\n\nOne\ntwo `<b>`.\r\n\r\n    if x:\n        y < 1\n"
        self.assertEqual(
            prose(text),
            "<h2>Head</h2>\n<p>One\ntwo <code>&lt;b&gt;</code>.</p>\n"
            "<pre><code>if x:\n    y &lt; 1</code></pre>",
        )
