"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.static import serve

urlpatterns = [
    path("", include("apps.posts.urls")),
    path("", include("apps.probes.urls")),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    # Pages that name no icon of their own, the admin's and JSON, make browsers ask for this one.
    path("favicon.ico", RedirectView.as_view(url=static("blog/mark.svg"))),
    # nginx answers these two before they get here. Django does so only for a site without nginx,
    # on the HTTP socket alone.
    path("static/<path:path>", serve, {"document_root": settings.STATIC_ROOT}),
    path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}),
]
