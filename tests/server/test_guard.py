"""Who may ask, and what a client can't reach or learn."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.running import (
    NAMES,
    TOKEN,
    Gate,
    Running,
    assert_problem,
    finished,
    gated,
    picture,
    post,
    running,
    series,
)  # fmt: skip

GUARDED = ["/v1/models", "/v1/analyses/0", "/v1/nothing", "/metrics"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that asks for a token."""
    gate = Gate()
    gate.open.set()
    with running(tmp_path_factory.mktemp("locked") / "data", gated(gate), token=TOKEN) as server:
        yield server


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN]
)  # fmt: skip
def test_without_the_token_nothing_is_told(locked: Running, path: str, given: str | None) -> None:
    response = locked.client.get(path, headers={} if given is None else {"Authorization": given})
    told = assert_problem(response, 401, "token")
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert TOKEN not in str(told)


def test_a_token_that_is_no_text_is_a_wrong_one(locked: Running) -> None:
    assert_problem(locked.client.get("/v1/models", headers={"Authorization": b"Bearer \xff\xfe"}), 401)


def test_with_the_token_everything_is_answered(locked: Running, tmp_path: Path) -> None:
    known = {"Authorization": f"bearer  {TOKEN}"}
    assert locked.client.get("/v1/models", headers=known).status_code == 200
    assert locked.client.get("/metrics", headers=known).status_code == 200
    client = httpx.Client(base_url=locked.client.base_url, headers=known)
    assert post(client, picture(tmp_path / "a.png")).status_code == 201


def test_a_scan_without_the_token_is_never_written(locked: Running, tmp_path: Path) -> None:
    before = sorted(locked.data.rglob("*"))
    assert_problem(post(locked.client, picture(tmp_path / "a.png")), 401)
    assert sorted(locked.data.rglob("*")) == before


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/healthz", "/readyz", "/openapi.json"])
def test_the_page_itself_is_open(locked: Running, path: str) -> None:
    assert locked.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::1", "10.0.0.1"]
)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/healthz"])
def test_a_name_elsewhere_that_points_to_this_machine_is_refused(
    client: httpx.Client, host: str, path: str
) -> None:
    assert_problem(client.get(path, headers={"Host": host}), 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:8765"])
def test_this_machine_has_many_names(client: httpx.Client, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "http://["},
     {"Sec-Fetch-Site": "cross-site"}],
)  # fmt: skip
def test_another_sites_page_cant_send_scans(
    client: httpx.Client, headers: dict[str, str], tmp_path: Path
) -> None:
    files = {"files": ("a.png", picture(tmp_path / "a.png").read_bytes())}
    assert_problem(client.post("/v1/analyses", files=files, headers=headers), 403)
    assert_problem(client.get("/v1/models", headers=headers), 403)


def test_the_own_page_can(client: httpx.Client, tmp_path: Path) -> None:
    files = {"files": ("a.png", picture(tmp_path / "a.png").read_bytes())}
    own = {"Origin": str(client.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.post("/v1/analyses", files=files, headers=own).status_code == 201


def test_a_proxy_in_front_may_have_another_name(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()
    with running(tmp_path / "data", gated(gate), token=TOKEN, hosts=("Scans.example",)) as server:
        headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://scans.example"}
        assert server.client.get("/v1/models", headers=headers).status_code == 200
        assert (
            server.client.get("/v1/models", headers={**headers, "Host": "scans.example"}).status_code == 200
        )
        headers["Origin"] = "https://other.example"
        assert_problem(server.client.get("/v1/models", headers=headers), 403)


@pytest.mark.parametrize(
    "path", ["/", "/static/main.js", "/v1/models", "/nothing", "/v1/analyses/0", "/metrics"]
)
def test_every_answer_tells_browsers_to_be_careful(client: httpx.Client, path: str) -> None:
    headers = client.get(path, headers={"Origin": str(client.base_url).rstrip("/")}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control")]
    if not path.startswith(("/static", "/n")) and path != "/":
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    ["../../x.png", "/etc/passwd", "..\\..\\x.png", "C:\\x.png", "a/../../x.png", "\x00x.png", "x" * 3000, "",
     ".", "..", "con", "state.json", "%2e%2e%2fx", "<script>alert(1)</script>.png", "🧠.png",
     "a\r\nX-Evil: 1.png"],
)  # fmt: skip
def test_a_name_that_the_client_gives_is_never_a_path(real: Running, tmp_path: Path, name: str) -> None:
    outside = sorted(real.data.parent.iterdir())
    files = {"files": (name, picture(tmp_path / "a.png").read_bytes())}
    response = real.client.post("/v1/analyses", files=files)
    if response.status_code == 422:  # httpx sends an empty name as no file's
        return
    assert response.status_code == 201, response.text
    analysis = response.json()
    assert not any(letter in analysis["name"] for letter in "/\\\0\r\n")
    assert 0 < len(analysis["name"]) <= 100
    [folder] = real.data.glob(f"analyses/{analysis['id']}")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert [each for each in names if each not in ("upload/000001.png", "upload/000001")] == [
        "state.json",
        "upload",
    ]
    assert sorted(real.data.parent.iterdir()) == outside
    made = real.client.get(f"/v1/analyses/{analysis['id']}/files/overlay")
    assert made.status_code == 200
    assert "evil" not in {header.lower() for header in made.headers}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_nobody_else_on_this_machine_can_read_uploads(real: Running) -> None:
    assert stat.S_IMODE(real.data.stat().st_mode) == 0o700


def test_logs_tell_of_each_analysis_but_not_whose(
    real: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    [file, *_] = files = series(tmp_path / "Muster_Erika")
    done = finished(real.client, post(real.client, *files).json()["id"])
    broken = tmp_path / "Muster^Erika.dcm"
    broken.write_bytes(file.read_bytes()[:900])
    assert post(real.client, broken).status_code == 422
    lines = [record.getMessage() for record in caplog.records if record.name == "tumorlens.audit"]
    assert '"status": "done", "kind": "volume", "problem": null, "slices": 6' in lines[0]
    assert '"status": "failed"' in lines[1]
    told = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    assert not [name for name in NAMES if name in told]
    assert done["id"] not in told, "who reads the log can't ask for the result"
    assert str(real.data) not in told


def test_a_failure_that_nobody_foresaw_tells_and_logs_nothing_of_the_scan(
    real: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Muster^Erika")

    monkeypatch.setattr("tumorlens.server.results.view_of", fail)
    id_ = post(real.client, picture(tmp_path / "a.png")).json()["id"]
    told = assert_problem(real.client.get(f"/v1/analyses/{id_}/view"), 500)
    monkeypatch.setattr(real.service.model.analyzer, "analyze_batch", fail)
    monkeypatch.setattr(real.service.model.analyzer, "analyze", fail)
    told |= assert_problem(post(real.client, picture(tmp_path / "a.png")), 500)
    assert "Muster" not in str(told) + caplog.text
    assert "RuntimeError at test_guard.py" in caplog.text
