"""Pictures in a bucket as browsers get them: Label Studio is asked, and answers with a link that it has signed."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from connectors.s3_access import s3_client, s3_session
from workspace.errors import UserError

SCHEME = "s3://"


def asked_at(task: int, address: str) -> str:
    """The path at which Label Studio is asked for the picture of a task at s3://bucket/key."""
    coded = base64.urlsafe_b64encode(address.encode()).decode()
    return f"/tasks/{task}/resolve/?fileuri={quote(coded)}"


def asked_for(path: Any) -> str | None:
    """The reverse of `asked_at`: the s3:// address; None for any other path."""
    if not isinstance(path, str) or not re.fullmatch(
        r"/tasks/\d{1,18}/resolve/\?fileuri=[A-Za-z0-9_=%-]{1,4000}", path
    ):
        return None
    try:
        address = base64.urlsafe_b64decode(parse_qs(urlsplit(path).query)["fileuri"][0]).decode()
    except (KeyError, ValueError, binascii.Error):
        return None
    return address if address.startswith(SCHEME) else None


@dataclass(frozen=True, slots=True)
class BucketLinks:
    """Which links lead into the project's bucket, and nowhere else.

    storage: s3://bucket/prefix, as label_studio.storage;  endpoint: the address of the S3 service
    """

    storage: str
    endpoint: str

    @classmethod
    def of(cls, storage: str) -> BucketLinks:
        """At the endpoint that AWS programs on this machine use. UserError without boto3."""
        setting = "label_studio.storage"
        return cls(storage, str(s3_client(s3_session(setting), storage, setting).meta.endpoint_url))

    def holds(self, address: str) -> bool:
        """Whether an s3:// address lies under `storage`."""
        steps = unquote(address).replace("\\", "/").split("/")
        return address.startswith(self.storage.rstrip("/") + "/") and ".." not in steps and "." not in steps

    def checked(self, link: str) -> str:
        """`link` itself; UserError if it leads anywhere but into the bucket. It is not named: whoever has it, has the
        picture."""
        bucket = urlsplit(self.storage).netloc
        try:
            parts, own = urlsplit(link), urlsplit(self.endpoint)
            port, own_port = parts.port, own.port
        except ValueError:
            raise _astray(self.storage) from None
        host, own_host = parts.hostname or "", own.hostname or ""
        if own_host.endswith(".amazonaws.com"):  # one bucket has several names there, with and without the region
            region = re.fullmatch(rf"(?:{re.escape(bucket)}\.)?s3(?:[.-][a-z0-9-]+){{0,2}}\.amazonaws\.com", host)
            there = region is not None and parts.scheme == "https" and port is None
        else:
            there = (parts.scheme, port) == (own.scheme, own_port) and host in (own_host, f"{bucket}.{own_host}")
        named = host.startswith(f"{bucket}.") or parts.path.startswith(f"/{bucket}/")
        if not (there and named) or parts.username is not None or parts.password is not None:
            raise _astray(self.storage)
        return link


def _astray(storage: str) -> UserError:
    return UserError(
        f"Label Studio's link to a picture does not lead to {storage}.",
        "AWS_ENDPOINT_URL must be the same here and where pictures are pushed.",
    )
