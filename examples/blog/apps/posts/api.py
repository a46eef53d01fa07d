"""The posts as JSON."""

from django.core.paginator import Paginator
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from .models import Post

PAGE_SIZE = 20


@require_safe
def post_list(request: HttpRequest) -> JsonResponse:
    page = Paginator(Post.objects.for_list(), PAGE_SIZE).get_page(request.GET.get("page"))
    return JsonResponse(
        {
            "count": page.paginator.count,
            "page": page.number,
            "pages": page.paginator.num_pages,
            "posts": [_summary(post) | {"comments": post.comment_count} for post in page],
        }
    )


@require_safe
def post_detail(request: HttpRequest, slug: str) -> JsonResponse:
    post = get_object_or_404(Post.objects.select_related("author"), slug=slug)
    comments = post.comments.filter(visible=True).values("name", "text", "created")
    return JsonResponse(_summary(post) | {"body": post.body, "comments": list(comments)})


def _summary(post: Post) -> dict:
    return {
        "title": post.title,
        "slug": post.slug,
        "url": post.get_absolute_url(),
        "author": post.author.get_username(),
        "summary": post.summary,
        "image": post.image.url,
        "published": post.published,
    }
