from django.urls import path

from . import api, views

app_name = "posts"

urlpatterns = [
    path("", views.PostList.as_view(), name="list"),
    path("posts/new/", views.PostCreate.as_view(), name="new"),
    path("posts/<slug:slug>/", views.PostDetail.as_view(), name="detail"),
    path("api/posts/", api.post_list, name="api-list"),
    path("api/posts/<slug:slug>/", api.post_detail, name="api-detail"),
]
