"""Pictures in a bucket: a real S3 protocol on this machine, links that Label Studio signs, a browser that follows."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import cv2
import httpx
import numpy as np
import pytest
from botocore.exceptions import ConnectionError
from moto.server import ThreadedMotoServer

from benchmarks.browser import SUBMIT, Page
from connectors.label_studio.annotator import LabelStudioAnnotator
from connectors.label_studio.assist_connection import AssistAddress
from connectors.label_studio.bucket_files import BucketFiles
from connectors.label_studio.bucket_links import BucketLinks
from connectors.label_studio.client import connected, request
from connectors.label_studio.importing import Importing
from connectors.label_studio.server import LabelStudioServer
from connectors.label_studio.tool import LabelStudioTool
from connectors.labeling_tool import Question
from tests.assist_fixture import PASSWORD, USER, serving
from workspace.config import ClassConfig
from workspace.errors import ToolUnavailable, UserError
from workspace.sample import Sample, question_key

H, W = 120, 160
CLASSES = ("road", "car", "sky")


def nothing() -> None:
    """before_write of a process that may always go on."""


CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["*"]}]}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """s3://NAME/a/b on a server of its own; credentials and endpoint as every AWS program finds them."""
    name = f"frames-{uuid.uuid4().hex[:8]}"
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for variable, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-sees",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(variable, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_bucket_cors(Bucket=name, CORSConfiguration=CORS)
    yield f"s3://{name}/a/b"
    server.stop()


@pytest.mark.label_studio
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.xdist_group("label_studio")
def test_pictures_come_from_the_bucket_by_signed_links(
    bucket: str,
    page: Page,
    make_label_studio_tool: Callable[..., LabelStudioTool],
    label_studio_server: LabelStudioServer,
) -> None:
    root = label_studio_server.workspace_root
    video = f"bucket-{uuid.uuid4().hex[:10]}"
    image = root / "videos" / video / "frames" / "000000.png"
    image.parent.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 255, (H, W, 3)).astype(np.uint8)
    cv2.imwrite(str(image), picture)
    ids = np.zeros((H, W), np.int32)
    ids[20:60, 30:90] = 7
    superpixels = image.with_name("ids.npy")
    np.save(superpixels, ids)
    questions = [
        Question(question_key(video, 1, sample), video, "B", 1, sample, image, H, W, None, "m", superpixels)
        for sample in (Sample(0), Sample(0, superpixel=("0a1b2c3d", 7)))
    ]
    keys = [question.key for question in questions]
    tool = make_label_studio_tool(CLASSES, storage=bucket)
    assert tool.push(questions, lambda: None) == 2
    name = bucket.split("/")[2]
    listed = boto3.client("s3").list_objects_v2(Bucket=name)["Contents"]
    sent = {item["Key"]: item["LastModified"] for item in listed}
    assert f"a/b/videos/{video}/frames/000000.png" in sent
    assert len(sent) == 2  # the frame, and the picture of the superpixel
    time.sleep(1.1)
    assert make_label_studio_tool(CLASSES, storage=bucket).push(questions, lambda: None) == 0
    again = boto3.client("s3").list_objects_v2(Bucket=name)["Contents"]
    assert {item["Key"]: item["LastModified"] for item in again} == sent

    api = {"base_url": label_studio_server.url, "headers": {"Authorization": f"Token {label_studio_server.token}"}}
    with httpx.Client(**api, timeout=60) as http:  # type: ignore[arg-type]
        project = tool.project_id()
        (row,) = http.get("/api/storages/s3/", params={"project": project}).json()
        assert (row["presign"], row["prefix"]) == (True, "a/b")
        (task,) = http.get("/api/tasks/", params={"project": project}).json()["tasks"]
        coded = base64.urlsafe_b64encode(f"{bucket}/videos/{video}/frames/000000.png".encode()).decode()
        link = http.get(f"/tasks/{task['id']}/resolve/", params={"fileuri": coded})
        assert link.status_code == 303
        assert httpx.get(link.headers["location"]).content == image.read_bytes()  # nothing but the link is needed
        assert httpx.get(f"{label_studio_server.url}/tasks/{task['id']}/resolve/?fileuri={coded}").status_code == 401

    check_help(bucket, make_label_studio_tool, label_studio_server, questions, task["id"])

    page.command("Page.navigate", url=f"{label_studio_server.url}/projects/{project}/data?task={task['id']}")
    page.wait_for(f"!!{SUBMIT} && document.querySelector('.konvajs-content canvas')?.width > 100")
    page.wait_for(f"[...document.querySelectorAll('img')].some(e => e.complete && e.naturalWidth === {W})")

    classes = tuple(ClassConfig(name=name) for name in CLASSES)
    for number in (tool.project_id(), tool.tiles_project_id()):
        assert number is not None
        person = LabelStudioAnnotator(label_studio_server.url, label_studio_server.token, number, classes)
        assert person.play(lambda question: np.where(ids == 7, np.uint8(1), np.uint8(2))) == 1
    answers = {answer.key: answer.mask for answer in tool.pull(keys)}
    np.testing.assert_array_equal(answers[keys[0]], np.where(ids == 7, 1, 2))
    np.testing.assert_array_equal(answers[keys[1]], np.where(ids == 7, 1, 255))


def check_help(
    bucket: str,
    make_tool: Callable[..., LabelStudioTool],
    server: LabelStudioServer,
    questions: list[Question],
    task: int,
) -> None:
    """A click in a picture of the bucket is answered, as Label Studio's page asks; not where the bucket is another."""
    value = {"x": 50.0, "y": 50.0, "width": 0.3, "labels": ["car"], "keypointlabels": ["car"]}
    click = {"id": "k", "from_name": "click", "to_name": "image", "type": "keypointlabels", "value": value}
    links = BucketLinks.of(bucket)
    for allowed, answers in ((links, 1), (replace(links, storage="s3://another/a/b"), 0)):
        with serving(server, bucket=allowed) as url:
            tool = make_tool(CLASSES, storage=bucket, assist=AssistAddress(url, USER, PASSWORD))
            tool.push(questions, lambda: None)
            with connected(server.url, server.token) as client:
                (backend,) = client.ml.list(project=tool.project_id())
                body = json.dumps({"task": task, "context": {"result": [click]}}).encode()
                found = request(client, "POST", f"api/ml/{backend.id}/interactive-annotating", body)
            regions = found["data"]["result"]
            assert [region["type"] for region in regions] == ["brushlabels"] * answers
    make_tool(CLASSES, storage=bucket).push(questions, lambda: None)  # and no help any more


class Recorded(Importing):
    """Writes down what the bucket held when tasks were imported, instead of importing them."""

    def __init__(self, keys_there: Callable[[], set[str]]) -> None:
        super().__init__(None, 1, 1, nothing, batch=20)
        self._keys_there = keys_there
        self.imports: list[tuple[set[str], set[str]]] = []

    def _import(self, tasks: Any) -> None:
        self.imports.append(({key for key, _ in tasks}, self._keys_there()))


def test_pictures_are_sent_several_at_a_time_and_before_their_tasks(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = BucketFiles(bucket, tmp_path)
    files._delivered.add(1)
    name, count, lock = bucket.split("/")[2], 50, threading.Lock()
    under_way: list[int] = [0, 0]  # now, at most
    real = files._s3.put_object

    def slow(**fields: Any) -> Any:
        with lock:
            under_way[0] += 1
            under_way[1] = max(under_way)
        time.sleep(0.05)  # as far away as a bucket usually is
        try:
            if fields["Key"] in refused:
                raise ConnectionError(error="cut off")
            return real(**fields)
        finally:
            with lock:
                under_way[0] -= 1

    monkeypatch.setattr(files._s3, "put_object", slow)
    images = [tmp_path / "v" / f"{number}.jpg" for number in range(count)]
    images[0].parent.mkdir()
    for number, image in enumerate(images):
        image.write_bytes(bytes([number]) * 100)
    refused = {"a/b/v/30.jpg"}

    def there() -> set[str]:
        pages = boto3.client("s3").list_objects_v2(Bucket=name).get("Contents", ())
        return {item["Key"].rpartition("/")[2] for item in pages}

    def push() -> Recorded:
        with Recorded(there) as importing:
            for image in images:
                files.serve(None, importing, files.address(image), nothing)
                importing.add(image.name, 1, {})
            importing.finish()
        return importing

    with pytest.raises(ToolUnavailable, match="cut off"):
        push()
    assert 2 <= under_way[1] <= 8
    refused.clear()
    began = len(there())
    imports = push().imports
    assert 20 <= began < count
    assert [len(keys) for keys, _ in imports] == [20, 20, 10]
    assert all(keys <= held for keys, held in imports)
    body = boto3.client("s3").get_object(Bucket=name, Key="a/b/v/30.jpg")["Body"].read()
    assert body == images[30].read_bytes()


def test_addresses_and_paths(tmp_path: Any) -> None:
    files = BucketFiles("s3://frames/a/", tmp_path)
    image = tmp_path / "videos" / "v" / "0.jpg"
    assert files.address(image) == "s3://frames/a/videos/v/0.jpg"
    assert files.path(files.address(image)) == image
    for elsewhere in ("s3://frames/a/../../etc/passwd", "s3://other/a/videos/v/0.jpg", "/etc/passwd"):
        with pytest.raises(UserError):
            files.path(elsewhere)
    with pytest.raises(UserError, match="is not under"):
        files.address(tmp_path.parent / "0.jpg")


def test_a_bucket_that_is_not_there_or_does_not_answer_is_told_in_one_line(
    bucket: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"s3://elsewhere/a/ refused a request \(NoSuchBucket\)"):
        BucketFiles("s3://elsewhere/a", tmp_path).serve(None, None, "s3://elsewhere/a/0.jpg", nothing)  # type: ignore[arg-type]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ToolUnavailable, match="does not answer"):
        BucketFiles(bucket, tmp_path).serve(None, None, f"{bucket}/0.jpg", nothing)  # type: ignore[arg-type]
