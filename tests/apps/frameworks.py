"""The same few pages in Django, Flask and Bottle: HTML, JSON, forms, uploads, cookies, files, streams, errors."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = os.path.join(HERE, "download.bin")
if not os.path.exists(FILE):
    with open(FILE, "wb") as out:
        out.write(bytes(range(256)) * 2000)


def in_django():
    """The pages in Django."""
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def html(request):
        return HttpResponse("<p>Grüße</p>")

    def answer(request):
        return JsonResponse({"query": request.GET.dict(), "scheme": request.scheme, "path": request.path})

    def form(request):
        upload = request.FILES.get("upload")
        return JsonResponse({"fields": request.POST.dict(), "upload": upload and len(upload.read())})

    def cookies(request):
        response = HttpResponse("cookies")
        response.set_cookie("a", "1")
        response.set_cookie("b", "zwei")
        return response

    def download(request):
        return FileResponse(open(FILE, "rb"), as_attachment=True, filename="download.bin")

    def stream(request):
        return StreamingHttpResponse((f"part {number}\n" for number in range(5)), content_type="text/plain")

    def empty(request):
        return HttpResponse(status=204)

    def fail(request):
        raise ValueError("on purpose")

    settings.configure(
        SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], DEBUG=False, USE_TZ=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
        LOGGING_CONFIG=None,
    )
    globals()["urlpatterns"] = [
        path("html", html), path("json", answer), path("form", form), path("cookies", cookies),
        path("download", download), path("stream", stream), path("empty", empty), path("fail", fail),
    ]
    return get_wsgi_application()


def in_flask():
    """The pages in Flask."""
    from flask import Flask, Response, jsonify, request, send_file

    app = Flask("site")

    @app.get("/html")
    def html():
        return "<p>Grüße</p>"

    @app.get("/json")
    def answer():
        return jsonify(query=request.args.to_dict(), scheme=request.scheme, path=request.path)

    @app.post("/form")
    def form():
        upload = request.files.get("upload")
        return jsonify(fields=request.form.to_dict(), upload=upload and len(upload.read()))

    @app.get("/cookies")
    def cookies():
        response = Response("cookies")
        response.set_cookie("a", "1")
        response.set_cookie("b", "zwei")
        return response

    @app.get("/download")
    def download():
        return send_file(FILE, as_attachment=True)

    @app.get("/stream")
    def stream():
        return Response((f"part {number}\n" for number in range(5)), mimetype="text/plain")

    @app.get("/empty")
    def empty():
        return "", 204

    @app.get("/fail")
    def fail():
        raise ValueError("on purpose")

    return app


def in_bottle():
    """The pages in Bottle."""
    import bottle

    app = bottle.Bottle()

    @app.get("/html")
    def html():
        return "<p>Grüße</p>"

    @app.get("/json")
    def answer():
        request = bottle.request
        return {"query": dict(request.query), "scheme": request.urlparts.scheme, "path": request.path}

    @app.post("/form")
    def form():
        upload = bottle.request.files.get("upload")
        return {"fields": dict(bottle.request.forms), "upload": upload and len(upload.file.read())}

    @app.get("/cookies")
    def cookies():
        bottle.response.set_cookie("a", "1")
        bottle.response.set_cookie("b", "zwei")
        return "cookies"

    @app.get("/download")
    def download():
        return bottle.static_file("download.bin", root=HERE, download=True)

    @app.get("/stream")
    def stream():
        bottle.response.content_type = "text/plain"
        return (f"part {number}\n".encode() for number in range(5))

    @app.get("/empty")
    def empty():
        return bottle.HTTPResponse(status=204)

    @app.get("/fail")
    def fail():
        raise ValueError("on purpose")

    return app
