"""A server that speaks S3, on this machine, with one bucket."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

_VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-sees",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_bucket(_s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """s3://NAME; credentials and endpoint as every AWS program finds them, for programs that the test starts too."""
    import boto3

    for variable, value in (_VARIABLES | {"AWS_ENDPOINT_URL": _s3_server}).items():
        monkeypatch.setenv(variable, value)
    name = f"videos-{os.getpid()}"
    client = boto3.client("s3")
    if name not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return f"s3://{name}"
