"""The pages a reader sees, and the form an author writes in."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.generic import CreateView, DetailView, ListView

from .forms import CommentForm, PostForm
from .models import Post


class PostList(ListView):
    queryset = Post.objects.for_list()
    paginate_by = 7


class PostDetail(DetailView):
    """A post with its comments; a POST adds one."""

    queryset = Post.objects.select_related("author")

    def get_context_data(self, **kwargs) -> dict:
        kwargs.setdefault("form", CommentForm())
        kwargs["comments"] = self.object.comments.filter(visible=True)
        return super().get_context_data(**kwargs)

    def post(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        self.object = self.get_object()
        form = CommentForm(request.POST)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form), status=400)
        form.instance.post = self.object
        comment = form.save()
        return redirect(f"{self.object.get_absolute_url()}#comment-{comment.pk}")


class PostCreate(LoginRequiredMixin, CreateView):
    model = Post
    form_class = PostForm

    def form_valid(self, form: PostForm) -> HttpResponse:
        form.instance.author = self.request.user
        messages.success(self.request, "Published.")
        return super().form_valid(form)
