import hashlib
import os
import tempfile
from pathlib import Path

from django.test import SimpleTestCase, override_settings

from blog.version import VERSION

from .samples import KEPT_FILES, MEGABYTE, megabyte, sample_file


class ProbeTest(SimpleTestCase):
    def test_version_and_whoami(self) -> None:
        self.assertEqual(self.client.get("/version/").content.decode(), f"{VERSION}\n")
        with override_settings(INSTANCE="east-1"):
            answer = self.client.get("/whoami/").json()
        self.assertEqual((answer["pid"], answer["instance"]), (os.getpid(), "east-1"))

    def test_stream_is_numbered_and_bounded(self) -> None:
        answer = self.client.get("/stream/?lines=3")
        self.assertEqual(list(answer), [b"line 1\n", b"line 2\n", b"line 3\n"])
        for query in ("lines=10001", "lines=-1", "lines=x", "delay=2.1", "delay=-1", "delay=nan"):
            self.assertEqual(self.client.get(f"/stream/?{query}").status_code, 400, query)


class DownloadTest(SimpleTestCase):
    def setUp(self) -> None:
        data = tempfile.TemporaryDirectory()
        self.addCleanup(data.cleanup)
        self.data = Path(data.name)

    def test_download_is_what_the_checksum_says(self) -> None:
        with override_settings(DATA_DIR=self.data):
            answer = self.client.get("/download/2/")
            body = b"".join(answer)
        self.assertEqual(answer["Content-Length"], str(2 * MEGABYTE))
        expected = hashlib.sha256(megabyte(0) + megabyte(1))
        self.assertEqual(hashlib.sha256(body).digest(), expected.digest())
        self.assertEqual(self.client.get("/download/101/").status_code, 404)

    def test_visitors_cannot_fill_the_disk(self) -> None:
        for size in range(1, KEPT_FILES + 3):
            sample_file(self.data, size).close()
        self.assertEqual(len(list(self.data.iterdir())), KEPT_FILES)
