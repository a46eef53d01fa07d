from django.urls import path

from . import views

app_name = "probes"

urlpatterns = [
    path("version/", views.version, name="version"),
    path("whoami/", views.whoami, name="whoami"),
    path("stream/", views.stream, name="stream"),
    path("download/<int:megabytes>/", views.download, name="download"),
]
