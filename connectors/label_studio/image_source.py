"""The pictures of tasks, fetched as a browser would get them: from one Label Studio and the project's bucket alone."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from connectors.label_studio.bucket_links import BucketLinks, asked_for
from connectors.label_studio.client import connected, is_loopback
from workspace.errors import UserError

MOST_BYTES = 64 * 2**20
MOST_PIXELS = 100_000_000
_TIMEOUT_S = 20.0
_ADDRESSES = ("/data/local-files/", "/data/upload/")  # what Label Studio itself delivers
_LEADS_ON = (302, 303, 307)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")


class ImageSource:
    """url, api_key: the server, and a personal or legacy access token, which is sent to that server only.

    bucket: where the project's pictures lie, if in a bucket
    """

    def __init__(self, url: str, api_key: str, bucket: BucketLinks | None = None) -> None:
        self.url = url.rstrip("/")
        self._api_key, self._bucket = api_key, bucket
        # a redirect might lead anywhere, inside the network too: none is followed but into the bucket
        self._http = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=not is_loopback(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def fetch(self, address: Any) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of the picture at an address out of a task's data, turned as a browser shows it.

        UserError for an address that is not one of Label Studio's own or in the bucket, an answer that is no picture,
        too many bytes (MOST_BYTES) or too many pixels (MOST_PIXELS); ToolUnavailable if the server does not answer.
        """
        in_bucket = asked_for(address)
        if in_bucket is None:
            wanted = own_address(self.url, address)
        elif self._bucket is None or not self._bucket.holds(in_bucket):
            raise UserError(f"The picture {in_bucket[:200]!r} is not in the project's label_studio.storage.")
        else:
            wanted = self.url + address
        with connected(self.url, self._api_key) as client:
            data = self._answer(wanted, client._client_wrapper.get_headers(), address, in_bucket is not None)
            if isinstance(data, str):
                assert self._bucket is not None
                data = self._answer(self._bucket.checked(data), {}, address, False)
                assert not isinstance(data, str)
        return decoded(bytes(data), str(address))

    def _answer(self, wanted: str, headers: Mapping[str, str], name: Any, may_lead_on: bool) -> bytearray | str:
        """The bytes at an address, or, where it may lead on, the address to which it leads."""
        with self._http.stream("GET", wanted, headers=dict(headers)) as answer:
            if may_lead_on and answer.status_code in _LEADS_ON and "location" in answer.headers:
                return str(answer.headers["location"])
            if answer.status_code != 200:
                raise UserError(f"The answer for the picture {str(name)[:200]!r} is {answer.status_code}.")
            data = bytearray()
            for part in answer.iter_bytes():
                data += part
                if len(data) > MOST_BYTES:
                    raise UserError(f"The picture {str(name)[:200]!r} has more than {MOST_BYTES // 2**20} MiB.")
            return data


def own_address(url: str, address: Any) -> str:
    """The full address of a picture that the Label Studio at `url` delivers itself; UserError for any other.

    address: a path such as /data/local-files/?d=a.jpg, or the same with that server's scheme, host and port.
    """
    refused = UserError(
        f"The picture {str(address)[:200]!r} does not come from Label Studio at {url}.",
        "Helped are pictures that Label Studio delivers itself: local files and uploads.",
    )
    if not isinstance(address, str) or len(address) > 4000 or re.search(r"[\x00-\x20\x7f\\]", address):
        raise refused
    try:
        parts, own = urlsplit(address), urlsplit(url)
        same = (parts.scheme, parts.hostname, parts.port) == (own.scheme, own.hostname, own.port)
    except ValueError:
        raise refused from None
    relative = not parts.scheme and not parts.netloc and not address.startswith("//")
    if not relative and (not same or parts.username is not None or parts.password is not None):
        raise refused
    base = own.path.rstrip("/")
    path = parts.path[len(base) :] if base and parts.path.startswith(base + "/") else parts.path
    steps = unquote(path).replace("\\", "/").split("/")
    if not path.startswith(_ADDRESSES) or ".." in steps or "." in steps or "%" in unquote(path):
        raise refused
    query = f"?{parts.query}" if parts.query else ""
    return f"{own.scheme}://{own.netloc}{base}{path}{query}"


def decoded(data: bytes, name: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB; its size is checked before it takes memory. UserError for anything that is no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise UserError(f"The picture {name!r} has {width}x{height} pixels, which is too many.")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"), np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(f"{name!r} is no picture: {' '.join(str(error).split())[:200]}.") from None
