"""The pages of the hand-made project, as a program sees them: right numbers, nothing hostile, nothing written."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from dashboard.access import COOKIE, is_local, read_token
from dashboard.project import open_projects
from dashboard.server import dashboard_app
from workspace.colors import class_colors
from workspace.errors import UserError
from workspace.layout import Layout

TOKEN = "0123456789abcdef-token"
VIDEO = "/p/street-1/clip-0123456789"
MODEL = "b" * 16
PAGES = ["/", VIDEO, f"{VIDEO}/player", "/p/street-1/other-0123456789", "/p/street-1/other-0123456789/player"]


@pytest.fixture(scope="module")
def client(street: Layout) -> Iterator[TestClient]:
    projects = open_projects([street.root, street.root])  # the same twice is shown once
    assert [project.slug for project in projects] == ["street-1"]
    with TestClient(dashboard_app(projects, None, "127.0.0.1"), base_url="http://127.0.0.1:1") as http:
        yield http
    projects[0].facts.close()


def test_pages_show_the_numbers_and_escape_every_name(client: TestClient) -> None:
    for url in PAGES:
        page = client.get(url)
        assert page.status_code == 200, url
        assert "<script>alert" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "http" not in re.sub(r"data-player=.*", "", page.text).replace(
            "http-equiv", ""
        )  # nothing from elsewhere
    overview, video = client.get("/").text, client.get(VIDEO).text
    for text in ("50.0 %", "300", "37.5 %", "80.0 %", "75.0 %", "10 s", "no memory"):
        assert text in overview, text
        assert text in video, text
    assert "modelled on true masks" in video
    assert "really counted: 120 on 1 answers" in video
    assert "known after 3 rounds" in video
    assert ">retried<" in video


def test_charts_are_figures_that_plotly_accepts(client: TestClient) -> None:
    seen = 0
    for url in PAGES:
        for figure in re.findall(r"data-figure='([^']*)'", client.get(url).text):
            go.Figure(json.loads(figure.replace("&#39;", "'")))  # it refuses unknown names and wrong values
            seen += 1
    assert seen == 6


def test_filters_keep_what_they_say(client: TestClient) -> None:
    assert "other-0123456789" not in client.get("/?video=clip").text.split("<h2>Videos</h2>")[1]
    assert "No video matches" in client.get("/?video=nothing").text
    one_day = client.get("/?from=2026-01-02&to=2026-01-02").text
    assert re.search(r'clicks spent</span><span class="value">100<', one_day)
    assert client.get("/?project=street-1&sort=saved&page=2").status_code == 200
    for wrong in ("from=soon", "from=2026-02-30", "project=other", "sort=1", "page=-1", "page=x"):
        answer = client.get(f"/?{wrong}")
        assert answer.status_code == 404, wrong
        assert "Traceback" not in answer.text


def test_pictures_are_those_of_the_workspace(client: TestClient, street: Layout) -> None:
    mask = Image.open(io.BytesIO(client.get(f"{VIDEO}/masks/{MODEL}/3/640").content)).convert("RGBA")
    rgba = np.asarray(mask)
    colors = class_colors(street.config().project.classes)
    assert rgba.shape == (24, 32, 4)
    assert rgba[5, 2].tolist() == [*colors[1].tolist(), 255]
    assert rgba[5, 20].tolist() == [*colors[0].tolist(), 255]
    assert rgba[0, 0, 3] == 0  # unknown
    frame = client.get(f"{VIDEO}/frames/-/3/160")
    assert frame.headers["cache-control"].endswith("immutable")
    assert abs(int(np.asarray(Image.open(io.BytesIO(frame.content)))[0, 0, 0]) - 90) <= 2
    heat = np.asarray(Image.open(io.BytesIO(client.get(f"{VIDEO}/heat/{MODEL}/3/160").content)).convert("RGBA"))
    assert heat.shape == (24, 32, 4)
    assert (heat[:, :, 3] == 230).all()  # one half for each of two classes is the most there is to doubt
    assert client.get(f"{VIDEO}/samples/{MODEL}/3/160").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/masks/../3/160", "/masks/..%2F..%2Flabels/3/160", f"/masks/{'c' * 16}/3/160", f"/masks/{MODEL}/8/160",
        f"/masks/{MODEL}/-1/160", f"/masks/{MODEL}/3/161", f"/files/{MODEL}/3/160", f"/heat/{'a' * 16}/3/160",
        "/frames/-/99999999/160", "/nothing",
    ],
)  # fmt: skip
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"{VIDEO}{path}").status_code in (404, 422)


@pytest.mark.parametrize(
    "url", ["/p/street-1/nobody", "/p/none/clip-0123456789", "/static/../server.py", "/static/x", "/docs", "/x"]
)
def test_what_is_not_there_is_told(client: TestClient, url: str) -> None:
    assert client.get(url).status_code == 404


def test_only_reading_and_only_from_this_machine(client: TestClient) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert client.request(method, "/").status_code == 405
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"Host": "localhost:8090"}).status_code == 200
    assert client.get("/static/plotly.js").content[:400].count(b"plotly")
    assert client.get("/position").json() == {"street-1": 17}


def test_elsewhere_a_token_is_asked_for_and_leaves_the_address(street: Layout) -> None:
    (project,) = open_projects([street.root])
    with TestClient(
        dashboard_app([project], TOKEN, "0.0.0.0"), base_url="http://there", follow_redirects=False
    ) as http:
        for url in (*PAGES, "/metrics", "/static/dashboard.js", f"{VIDEO}/frames/-/0/160"):
            assert http.get(url).status_code == 401, url
        assert http.get("/?token=wrong-0123456789").status_code == 401
        moved = http.get(f"/?video=x&token={TOKEN}")
        assert (moved.status_code, moved.headers["location"]) == (303, "/?video=x")
        assert "httponly" in moved.headers["set-cookie"].lower()
        assert http.get(f"http://there//evil.example/?token={TOKEN}").headers["location"] == "/evil.example/"
        assert http.cookies[COOKIE] == TOKEN
        assert http.get("/").status_code == 200
        http.cookies.clear()
        assert http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    project.facts.close()


def test_tokens_come_from_safe_places(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o644)
    with pytest.raises(UserError, match="Others may read"):
        read_token("127.0.0.1", file, None)
    file.chmod(0o600)
    assert read_token("0.0.0.0", file, None) == TOKEN
    assert read_token("127.0.0.1", None, None) is None
    with pytest.raises(UserError, match="needs a token"):
        read_token("0.0.0.0", None, "")
    with pytest.raises(UserError, match="5 characters"):
        read_token("127.0.0.1", None, "short")
    with pytest.raises(UserError, match="cannot be read"):
        read_token("127.0.0.1", tmp_path / "none", None)
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "x")] == [True] * 3 + [
        False
    ] * 3
