"""Pictures come from one Label Studio and from nowhere else, whatever a task's data says."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from connectors.label_studio import image_source
from connectors.label_studio.bucket_links import BucketLinks, asked_at, asked_for
from connectors.label_studio.image_source import ImageSource, decoded, own_address
from workspace.errors import UserError

URL = "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "address",
    [
        "/data/local-files/?d=videos/a%20b/000001.jpg",
        "/data/upload/3/1234-f.jpg",
        f"{URL}/data/upload/3/1234-f.jpg",
    ],
)
def test_the_server_s_own_pictures(address: str) -> None:
    assert own_address(URL, address) == URL + address.removeprefix(URL)


def test_a_server_below_a_path() -> None:
    assert own_address("https://a.org/ls/", "/data/upload/1/f.jpg") == "https://a.org/ls/data/upload/1/f.jpg"
    assert own_address("https://a.org/ls", "/ls/data/upload/1/f.jpg") == "https://a.org/ls/data/upload/1/f.jpg"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:8081/data/upload/1/f.jpg",
        "https://127.0.0.1:8080/data/upload/1/f.jpg",
        "//evil.org/data/upload/1/f.jpg",
        "/\\evil.org/data/upload/f.jpg",
        "http://127.0.0.1:8080@evil.org/data/upload/f.jpg",
        "http://me@127.0.0.1:8080/data/upload/f.jpg",
        "file:///etc/passwd",
        "/api/users/",
        "/data/upload/../../api/token",
        "/data/upload/%2e%2e/%2e%2e/api/token",
        "/data/upload/%252e%252e/api",
        "/data/uploads",
        "/data/upload/1/f.jpg\r\nHost: evil.org",
        "data:image/png;base64,AAAA",
        "s3://bucket/key",
        "http://[",
        "",
        None,
        7,
        ["/data/upload/1/f.jpg"],
        "/data/upload/" + "a" * 5000,
    ],
)
def test_any_other_address_is_refused(address: object) -> None:
    with pytest.raises(UserError, match="does not come from Label Studio"):
        own_address(URL, address)


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (10, 20, 30)).save(buffer, "PNG")
    return buffer.getvalue()


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        status, body = {"good.png": (200, png(5, 4)), "big.png": (200, bytes(5000))}.get(name, (404, b""))
        if name == "away.png":
            status = 302
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/data/upload/1/good.png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.seen.append((self.path, self.headers.get("Authorization")))  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pages)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetched_with_the_token_redirects_and_sizes_refused(
    pages: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    with ImageSource(f"http://127.0.0.1:{pages.server_port}", token) as source:
        picture = source.fetch("/data/upload/1/good.png")
        assert picture.shape == (4, 5, 3)
        assert picture[0, 0].tolist() == [10, 20, 30]
        assert pages.seen == [("/data/upload/1/good.png", f"Token {token}")]  # type: ignore[attr-defined]
        with pytest.raises(UserError, match="is 302"):
            source.fetch("/data/upload/1/away.png")
        with pytest.raises(UserError, match="is 404"):
            source.fetch("/data/upload/1/none.png")
        with pytest.raises(UserError, match="is no picture"):
            source.fetch("/data/upload/1/big.png")
        monkeypatch.setattr(image_source, "MOST_BYTES", 1000)
        with pytest.raises(UserError, match="more than"):
            source.fetch("/data/upload/1/big.png")
        assert len(pages.seen) == 5  # type: ignore[attr-defined]


def test_too_many_pixels_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_source, "MOST_PIXELS", 99)
    assert decoded(png(9, 11), "a").shape == (11, 9, 3)
    with pytest.raises(UserError, match="10x10 pixels, which is too many"):
        decoded(png(10, 10), "a")


def test_a_photo_is_turned_as_browsers_turn_it() -> None:
    image, buffer = Image.new("RGB", (6, 3)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image.save(buffer, "JPEG", exif=exif)
    assert decoded(buffer.getvalue(), "a").shape == (6, 3, 3)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg/>", png(3, 3)[:-30], b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_is_no_picture_is_named(data: bytes) -> None:
    with pytest.raises(UserError, match="'x' is no picture"):
        decoded(data, "x")


def test_pixels_are_rgb() -> None:
    assert decoded(png(2, 2), "x").dtype == np.uint8


class _Bucket(BaseHTTPRequestHandler):
    """A server of pictures to which another one leads on; it notes who sent what with it."""

    def do_GET(self) -> None:
        body = png(7, 3)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.seen.append((self.path, self.headers.get("Authorization")))  # type: ignore[attr-defined]

    def log_message(self, *arguments: object) -> None:
        pass


class _Signing(_Bucket):
    """Label Studio, which answers with a link."""

    def do_GET(self) -> None:
        self.send_response(303)
        self.send_header("Location", self.server.link)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_picture_in_the_bucket_comes_by_the_signed_link_without_the_token_and_nothing_else_does() -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    wanted = asked_at(7, "s3://frames/a/videos/v/0 1.png")
    with listening(_Bucket) as bucket, listening(_Signing) as signing:
        bucket.seen = []  # type: ignore[attr-defined]
        endpoint = f"http://127.0.0.1:{bucket.server_port}"
        signing.link = f"{endpoint}/frames/a/videos/v/0%201.png?sig=x"  # type: ignore[attr-defined]
        url = f"http://127.0.0.1:{signing.server_port}"
        with ImageSource(url, token, BucketLinks("s3://frames/a", endpoint)) as source:
            assert source.fetch(wanted).shape == (3, 7, 3)
            for elsewhere in ("s3://frames/b/0.png", "s3://other/a/0.png", "s3://frames/a/../b/0.png"):
                with pytest.raises(UserError, match=r"not in the project's label_studio\.storage"):
                    source.fetch(asked_at(7, elsewhere))
            signing.link = f"{endpoint}/other/a/videos/v/0.png?sig=secret"  # type: ignore[attr-defined]
            with pytest.raises(UserError, match="does not lead to s3://frames/a") as refused:
                source.fetch(wanted)
            assert "secret" not in str(refused.value)
            with pytest.raises(UserError, match=r"good\.png' is 303"):
                source.fetch("/data/upload/1/good.png")  # Label Studio's own pictures lead nowhere
        with ImageSource(url, token) as source, pytest.raises(UserError, match="is not in the project's"):
            source.fetch(wanted)
        assert bucket.seen == [("/frames/a/videos/v/0%201.png?sig=x", None)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "link", "right"),
    [
        ("https://s3.eu-central-1.amazonaws.com", "https://frames.s3.amazonaws.com/a/0.png?X=1", True),
        ("https://s3.amazonaws.com", "https://frames.s3.eu-central-1.amazonaws.com/a/0.png", True),
        ("https://s3.amazonaws.com", "https://s3.eu-central-1.amazonaws.com/frames/a/0.png", True),
        ("https://s3.amazonaws.com", "https://s3.dualstack.eu-central-1.amazonaws.com/frames/a/0.png", True),
        ("https://s3.amazonaws.com", "http://frames.s3.amazonaws.com/a/0.png", False),
        ("https://s3.amazonaws.com", "https://other.s3.amazonaws.com/a/0.png", False),
        ("https://s3.amazonaws.com", "https://s3.amazonaws.com/other/a/0.png", False),
        ("https://s3.amazonaws.com", "https://frames.s3.amazonaws.com.evil.org/a/0.png", False),
        ("https://s3.amazonaws.com", "https://frames.s3.amazonaws.com:8443/a/0.png", False),
        ("https://s3.amazonaws.com", "https://169.254.169.254/latest/meta-data", False),
        ("http://minio:9000", "http://minio:9000/frames/a/0.png", True),
        ("http://minio:9000", "http://frames.minio:9000/a/0.png", True),
        ("http://minio:9000", "http://minio:9001/frames/a/0.png", False),
        ("http://minio:9000", "http://minio:9000/frames2/a/0.png", False),
        ("http://minio:9000", "http://me@minio:9000/frames/a/0.png", False),
        ("http://minio:9000", "file:///frames/a/0.png", False),
        ("http://minio:9000", "http://minio:port/frames/a", False),
    ],
)
def test_a_link_leads_into_the_bucket_or_is_refused(endpoint: str, link: str, right: bool) -> None:
    links = BucketLinks("s3://frames/a", endpoint)
    if right:
        assert links.checked(link) == link
    else:
        with pytest.raises(UserError, match="does not lead to"):
            links.checked(link)


def test_what_is_asked_for_at_a_path_is_found_again() -> None:
    for address in ("s3://frames/a/0.png", "s3://frames/a/ä ö+/?&=.png"):
        assert asked_for(asked_at(12, address)) == address
    for other in ("/tasks/1/resolve/?fileuri=!!", "/tasks/x/resolve/?fileuri=YQ==", "/data/upload/1/a.png", None, 7,
                  asked_at(1, "gs://frames/0.png"), asked_at(1, "s3://a/0.png") + "&next=1"):  # fmt: skip
        assert asked_for(other) is None
