"""Pictures in an S3 bucket, which browsers load from there through links that Label Studio signs."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.label_studio.client import request
from connectors.label_studio.importing import Importing
from connectors.s3_access import s3_client, s3_errors, s3_session
from workspace.errors import UserError
from workspace.redaction import keep_secret

_SETTING = "label_studio.storage"
LINK_MINUTES = 60  # how long a browser may use a link that Label Studio has signed


class BucketFiles:
    """storage: s3://bucket/prefix;  workspace_root: a picture's key is the prefix and its path from there.

    Pictures are sent when they are first needed, several at a time, and never change. Credentials, region and endpoint
    come from where every AWS program takes them (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, a role); keys that
    are no role's are handed to Label Studio, which signs with them.
    """

    def __init__(self, storage: str, workspace_root: Path) -> None:
        parts = urlsplit(storage)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")
        self._base = f"s3://{self._bucket}/{self._prefix}/" if self._prefix else f"s3://{self._bucket}/"
        self._root = workspace_root.resolve()
        self._there: dict[str, set[str]] = {}  # folder -> keys that the bucket is known to hold
        self._delivered: set[int] = set()  # projects that are known to have a storage row

    def address(self, image: Path) -> str:
        """UserError for a picture outside the workspace."""
        try:
            place = image.resolve().relative_to(self._root)
        except ValueError:
            raise UserError(f"{image} is not under {self._root}, so it has no place in {self._base}.") from None
        return self._base + place.as_posix()

    def path(self, address: str) -> Path:
        """The picture at an address, which may have come back from the server: UserError if it leads elsewhere."""
        if not address.startswith(self._base):
            raise UserError(f"{address[:200]} does not lie in {self._base}.")
        image = (self._root / address.removeprefix(self._base)).resolve()
        self.address(image)
        return image

    def serve(self, client: Any, importing: Importing, address: str, before_write: Callable[[], None]) -> None:
        """The picture into the bucket, before the next import, and a source storage of the project that signs links."""
        with s3_errors(self._base, _SETTING):
            missing = self._is_missing(address)
        if missing:
            image = self.path(address)
            before_write()
            importing.do_first(lambda: self._send(address, image))
        if importing.project not in self._delivered:
            self._connect(client, importing.project, before_write)
            self._delivered.add(importing.project)

    def _is_missing(self, address: str) -> bool:
        """Whether the bucket is not known to hold the picture; still so while it is on its way."""
        key = self._key(address)
        folder = key.rpartition("/")[0] + "/"
        if folder not in self._there:
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=folder, Delimiter="/"
            )
            self._there[folder] = {item["Key"] for page in pages for item in page.get("Contents", ())}
        return key not in self._there[folder]

    def _send(self, address: str, image: Path) -> None:
        """In a thread of its own, like any number of others: boto3's clients may be shared."""
        key = self._key(address)
        kind = mimetypes.guess_type(image.name)[0] or "application/octet-stream"
        with s3_errors(self._base, _SETTING):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=image.read_bytes(), ContentType=kind)
        self._there[key.rpartition("/")[0] + "/"].add(key)

    def _key(self, address: str) -> str:
        return address.removeprefix(f"s3://{self._bucket}/")

    def _connect(self, client: Any, project: int, before_write: Callable[[], None]) -> None:
        import json

        rows = request(client, "GET", "api/storages/s3/", params={"project": project}) or []
        if any(row.get("bucket") == self._bucket and (row.get("prefix") or "") == self._prefix for row in rows):
            return
        row = {
            "project": project,
            "title": "fewclicks frames",
            "bucket": self._bucket,
            "prefix": self._prefix or None,
            "use_blob_urls": True,
            "presign": True,
            "presign_ttl": LINK_MINUTES,
            **self._access(),
        }
        before_write()
        request(client, "POST", "api/storages/s3/", json.dumps(row).encode())

    def _access(self) -> dict[str, str]:
        """What Label Studio needs to sign: region, endpoint where it is not Amazon's, and keys that last."""
        found: dict[str, str] = {"region_name": self._s3.meta.region_name}
        endpoint = str(self._s3.meta.endpoint_url)
        if not (urlsplit(endpoint).hostname or "").endswith(".amazonaws.com"):
            found["s3_endpoint"] = endpoint
        credentials = self._session.get_credentials()
        if credentials is not None and not credentials.token:  # those of a role end within hours
            found["aws_access_key_id"] = credentials.access_key
            found["aws_secret_access_key"] = keep_secret(credentials.secret_key)
        return {name: value for name, value in found.items() if value}

    @cached_property
    def _session(self) -> Any:
        return s3_session(_SETTING)

    @cached_property
    def _s3(self) -> Any:
        return s3_client(self._session, self._base, _SETTING)
