"""Settings of the blog, as a deployment has them.

What differs from one machine to the next comes from the environment:

BLOG_DATA             where the database, uploads and collected static files live (default: `data/`)
BLOG_SECRET_KEY       Django's secret key (default: made on the first run, kept in BLOG_DATA)
BLOG_HOSTS            comma-separated host names of the site (default: this machine only)
BLOG_TRUSTED_ORIGINS  comma-separated origins, needed behind a proxy that ends HTTPS
BLOG_REDIS            the Redis that Celery uses (default: `redis.sock` in BLOG_DATA)
BLOG_INSTANCE         this instance's name, shown by `/whoami/` and in the footer
"""

import os
import tempfile
from pathlib import Path

from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("BLOG_DATA") or BASE_DIR / "data").resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)


def env_list(name: str, default: str = "") -> list[str]:
    """The comma-separated values of an environment variable."""
    return [item.strip() for item in os.environ.get(name, default).split(",") if item.strip()]


def kept_secret_key(path: Path) -> str:
    """The key in `path`, made there on the first run.

    Several processes may start at once: each writes a whole file of its own, and `link` lets
    exactly one of them become `path`.
    """
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret_key-") as draft:
            draft.write(get_random_secret_key())
            draft.flush()
            try:
                os.link(draft.name, path)
            except FileExistsError:
                pass
    return path.read_text()


DEBUG = False
SECRET_KEY = os.environ.get("BLOG_SECRET_KEY") or kept_secret_key(DATA_DIR / "secret_key")
ALLOWED_HOSTS = env_list("BLOG_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_list("BLOG_TRUSTED_ORIGINS")
INSTANCE = os.environ.get("BLOG_INSTANCE", "blog")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "apps.posts",
    "apps.probes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "blog.urls"
WSGI_APPLICATION = "blog.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.probes.context.served_by",
            ],
        },
    },
]

# WAL lets readers go on while one writes; IMMEDIATE makes a writer queue for the lock at BEGIN,
# where the timeout applies, instead of failing halfway through its transaction.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "db.sqlite3",
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
CELERY_BROKER_URL = os.environ.get("BLOG_REDIS") or f"redis+socket://{DATA_DIR}/redis.sock"
CELERY_RESULT_BACKEND = CELERY_BROKER_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True  # it may come up before Redis does
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "posts:list"
LOGOUT_REDIRECT_URL = "posts:list"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

MEDIA_URL = "/media/"
MEDIA_ROOT = DATA_DIR / "media"
FILE_UPLOAD_PERMISSIONS = 0o644  # nginx may run as another user
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024  # form fields; uploaded files go to disk
POST_IMAGE_MAX_MB = 50  # below nginx's `client_max_body_size 75M`

# DEBUG is off, so Django would mail its errors and print nothing: send them to the server's log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
}
