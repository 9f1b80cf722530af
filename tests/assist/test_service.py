"""The help server's answers: over HTTP as Label Studio asks, with real pictures from a folder."""

from __future__ import annotations

import copy
import json
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from assist.backends.registry import click_backend
from assist.robot import overlap
from assist.server import assist_app
from assist.service import Assist
from assist.snapping import Snapper
from connectors.label_studio.brush import decode_brush
from connectors.label_studio.click_log import ClickLog
from connectors.label_studio.labeling_config import labeling_config
from connectors.label_studio.regions import brush_region
from workspace.config import ClassConfig
from workspace.errors import UserError

H, W = 120, 160
LOGIN = ("fewclicks", "secret of the tests")
CLASSES = [ClassConfig(name="ground"), ClassConfig(name="thing")]
BOXES = """<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image" smart="true">
<Label value="thing"/></RectangleLabels></View>"""


class Pictures:
    """Stands for the Label Studio from which pictures come; counts how often it was asked."""

    def __init__(self) -> None:
        rows, columns = np.mgrid[:H, :W]
        self.disk = (rows - 60) ** 2 + (columns - 50) ** 2 < 30**2
        self.square = (abs(rows - 60) < 25) & (abs(columns - 125) < 20)
        both = (self.disk | self.square)[..., None]
        noise = np.random.default_rng(0).normal(0, 4, (H, W, 3))
        self.picture = np.clip(np.where(both, [200, 70, 60], [40, 90, 170]) + noise, 0, 255).astype(np.uint8)
        self.asked: list[Any] = []

    def fetch(self, address: Any) -> Any:
        self.asked.append(address)
        if address != "/data/upload/1/a.png":
            raise UserError("there is no such picture")
        return self.picture


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


@pytest.fixture
def client(pictures: Pictures, tiny_model: Path) -> TestClient:
    assist = Assist(pictures, click_backend("classic"), Snapper.of(tiny_model))  # type: ignore[arg-type]
    made = TestClient(assist_app(assist, *LOGIN))
    made.auth = LOGIN
    return made


def point(x: float, y: float, name: str, positive: bool = True, label: str = "thing") -> dict[str, Any]:
    value = {"x": 100 * x / W, "y": 100 * y / H, "width": 0.3, "labels": [label], "keypointlabels": [label]}
    region = {"id": name, "type": "keypointlabels", "from_name": "click", "to_name": "image", "value": value}
    return region | {"original_width": W, "original_height": H, "image_rotation": 0, "is_positive": positive}


def box(left: float, top: float, right: float, bottom: float, name: str = "b") -> dict[str, Any]:
    value = {
        "x": 100 * left / W,
        "y": 100 * top / H,
        "width": 100 * (right - left) / W,
        "height": 100 * (bottom - top) / H,
        "rotation": 0,
        "rectanglelabels": ["thing"],
    }
    return {"id": name, "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value}


def request(*regions: dict[str, Any], config: str | None = None, **task: Any) -> dict[str, Any]:
    return {
        "tasks": [{"id": 7, "data": {"image": "/data/upload/1/a.png"}} | task],
        "project": "3.1",
        "label_config": config or labeling_config(CLASSES, assist=True),
        "params": {"login": None, "password": None, "context": {"result": list(regions)}},
    }


def answer(client: TestClient, body: Any) -> list[dict[str, Any]]:
    got = client.post("/predict", json=body)
    assert got.status_code == 200, got.text
    (one,) = got.json()["results"]
    return one["result"]


def mask_of(region: dict[str, Any]) -> Any:
    return decode_brush(region["value"]["rle"], H, W)


def test_clicks_become_one_brush_region_with_the_id_of_the_last_click(client: TestClient, pictures: Pictures) -> None:
    (region,) = answer(client, request(point(50, 60, "k1")))
    assert (region["id"], region["from_name"], region["type"]) == ("k1", "brush", "brushlabels")
    assert region["value"]["brushlabels"] == ["thing"]
    assert overlap(mask_of(region), pictures.disk.astype(np.uint8)) > 0.9
    (region,) = answer(client, request(point(50, 60, "k1"), point(125, 60, "k2")))
    assert region["id"] == "k2"
    assert overlap(mask_of(region), (pictures.disk | pictures.square).astype(np.uint8)) > 0.85
    (region,) = answer(client, request(point(50, 60, "k1"), point(125, 60, "k2"), point(120, 60, "k3", False)))
    assert not mask_of(region)[60, 120]
    assert mask_of(region)[60, 50]
    assert pictures.asked == ["/data/upload/1/a.png"]  # looked at once


def test_how_an_annotation_was_clicked_is_written_down_when_it_is_submitted(pictures: Pictures, tmp_path: Path) -> None:
    file = tmp_path / "clicks.jsonl"
    client = TestClient(assist_app(Assist(pictures, click_backend("classic"), click_file=file), *LOGIN))  # type: ignore[arg-type]
    client.auth = LOGIN
    answer(client, request(point(50, 60, "k1")))
    answer(client, request(point(50, 60, "k1"), point(125, 60, "k2")))
    annotation = {"id": 3, "task": 7, "created_at": "2026-01-02T03:04:05Z"}
    for action in ("TASKS_CREATED", "ANNOTATION_CREATED", "ANNOTATION_CREATED"):
        assert client.post("/webhook", json={"action": action, "annotation": annotation}).status_code == 200
    (sequence,) = ClickLog(file).of(7, annotation)
    assert [(round(c.x * W), round(c.y * H), c.positive) for c in sequence] == [(50, 60, True), (125, 60, True)]
    share = float(pictures.disk.mean())
    assert sequence[0].changed == sequence[0].area == pytest.approx(share, rel=0.1)
    assert sequence[1].area > 1.3 * share


def test_clicks_of_another_label_are_not_of_the_group(client: TestClient, pictures: Pictures) -> None:
    (region,) = answer(client, request(point(125, 60, "g", label="ground"), point(50, 60, "k")))
    assert not mask_of(region)[60, 125]


def test_beside_what_is_painted_already_only_the_new_part_is_answered(client: TestClient, pictures: Pictures) -> None:
    shown = [brush_region("class1", "thing", pictures.disk)]
    (region,) = answer(client, request(point(125, 60, "k"), predictions=[{"id": 1, "result": shown}]))
    assert overlap(mask_of(region), pictures.square.astype(np.uint8)) > 0.85
    assert not (mask_of(region) & pictures.disk).any()
    half = pictures.disk & (np.arange(W) < 50)
    shown = [brush_region("class1", "thing", half)]
    (region,) = answer(client, request(point(65, 60, "k"), predictions=[{"id": 1, "result": shown}]))
    assert overlap(mask_of(region) | half, pictures.disk.astype(np.uint8)) > 0.85


def test_a_box_of_another_project_stays_a_box_and_only_the_last_one_is_answered(client: TestClient) -> None:
    (region,) = answer(client, request(box(100, 30, 150, 90, "old"), box(18, 28, 84, 94, "new"), config=BOXES))
    assert (region["id"], region["type"], region["from_name"]) == ("new", "rectanglelabels", "box")
    value = region["value"]
    assert 0 <= value["x"] < value["x"] + value["width"] <= 100
    assert 0 <= value["y"] < value["y"] + value["height"] <= 100
    assert 0 <= region["score"] <= 1
    assert region["meta"]["text"][0].startswith("snap-compact-")


def test_a_box_in_a_project_that_paints_becomes_a_mask(client: TestClient, pictures: Pictures) -> None:
    both = BOXES.replace('smart="true"', 'smart="true" smartOnly="true"').replace(
        "</View>", '<BrushLabels name="brush" toName="image"><Label value="thing"/></BrushLabels></View>'
    )
    (region,) = answer(client, request(box(18, 28, 84, 94), config=both))
    assert region["type"] == "brushlabels"
    assert overlap(mask_of(region), pictures.disk.astype(np.uint8)) > 0.85


def test_nothing_drawn_is_no_prediction(client: TestClient) -> None:
    body = request()
    body["params"]["context"] = None
    assert client.post("/predict", json=body).json() == {"results": []}


def broken() -> list[Any]:
    good = request(point(50, 60, "k"))
    changes: list[tuple[list[Any], Any]] = [
        (["tasks"], []),
        (["tasks", 0, "data"], None),
        (["tasks", 0, "data", "image"], "http://169.254.169.254/"),
        (["label_config"], "<View"),
        (["label_config"], '<!DOCTYPE x [<!ENTITY e "e">]><View>&e;</View>'),
        (["label_config"], "<View/>"),
        (["params", "context", "result"], {"a": 1}),
        (["params", "context", "result", 0], "k"),
        (["params", "context", "result", 0, "value"], None),
        (["params", "context", "result", 0, "value", "x"], "NaN"),
        (["params", "context", "result", 0, "value", "x"], 1e9),
        (["params", "context", "result", 0, "value", "keypointlabels"], []),
        (["params", "context", "result", 0, "value", "keypointlabels"], ["no such class"]),
        (["params", "context", "result", 0, "type"], "ellipselabels"),
        (["params", "context", "result", 0, "image_rotation"], 90),
        (["params", "context", "result", 0, "is_positive"], False),
        (["params", "context", "result", 0, "id"], None),
    ]
    bodies = []
    for path, value in changes:
        body = copy.deepcopy(good)
        place: Any = body
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        bodies.append(body)
    bodies.append(request(box(50, 50, 50, 50), config=BOXES))
    return bodies


@pytest.mark.parametrize("body", broken())
def test_what_cannot_be_helped_is_an_empty_answer_and_a_line_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, body: Any
) -> None:
    with caplog.at_level(logging.WARNING):
        assert answer(client, body) == []
    assert "No help with" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_bug_in_a_backend_is_logged_whole_and_answers_nothing(
    pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        version = "broken"

        def look(self, image: Any) -> Any:
            raise RuntimeError("out of order")

    client = TestClient(assist_app(Assist(pictures, Broken()), *LOGIN))  # type: ignore[arg-type]
    client.auth = LOGIN
    assert answer(client, request(point(50, 60, "k"))) == []
    assert "out of order" in caplog.text
    assert "Traceback" in caplog.text


def test_only_health_is_for_everybody(client: TestClient) -> None:
    assert client.get("/versions").json() == {"versions": ["classic-1"]}
    assert client.post("/setup", json={"access_token": "t"}).json() == {"model_version": "classic-1"}
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).status_code == 200
    assert client.post("/predict", content=b"{").status_code == 400
    assert client.post("/predict", json=[1]).json() == {"results": []}
    for login in (None, ("fewclicks", "wrong"), ("", LOGIN[1])):
        client.auth = login
        assert client.get("/health").json() == {"status": "UP"}
        for method, path in (("GET", "/versions"), ("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook")):
            assert client.request(method, path, json={}).status_code == 401, path
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert client.get(path).status_code == 404


def test_a_request_that_is_too_large_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assist.server._MOST_BYTES", 1000)
    body = json.dumps(request(point(50, 60, "k"))).encode()
    assert len(body) > 1000
    assert client.post("/predict", content=body).status_code == 413


def test_several_annotators_at_once_get_the_answers_that_one_gets(client: TestClient) -> None:
    bodies = [request(point(x, 60, f"k{x}")) for x in (40, 50, 60, 120, 125, 130)]
    alone = [answer(client, body) for body in bodies]
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = answer(client, bodies[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(bodies))] == alone
