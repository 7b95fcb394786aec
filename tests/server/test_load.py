"""Too much, too slow, too long, cut off: the server goes on, and nothing of it stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import httpx
import numpy as np
import pytest

from tests.bundle.small import write_small
from tests.server.running import (
    Gate,
    Running,
    assert_problem,
    finished,
    gated,
    picture,
    post,
    process,
    running,
    series,
    until,
)  # fmt: skip
from tumorlens.server.analysis import Analysis
from tumorlens.server.job import Job
from tumorlens.server.labels import for_client
from tumorlens.server.lanes import Lanes


@contextmanager
def waiting(server: Running, *paths: Path, count: int = 1) -> Iterator[None]:
    """Clients that wait for an answer meanwhile."""
    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(post, server.client, *paths) for _ in range(count)]
        yield
        for answer in answers:
            assert answer.result(30).status_code in (201, 202)


def _sent(
    client: socket.socket, block: bytes, times: int, *, meanwhile: Callable[[], None] = lambda: None
) -> int:
    """How many bytes a client gets rid of before the server leaves it."""
    for count in range(times):
        meanwhile()
        try:
            client.sendall(block)
        except OSError:
            return count * len(block)
    return times * len(block)


def folders(data: Path) -> list[str]:
    """The analyses on the disk."""
    return sorted(path.name for path in (data / "analyses").iterdir())


def connected(server: Running, head: str) -> socket.socket:
    """A client of its own that has sent the beginning of a request."""
    url = server.client.base_url
    client = socket.create_connection((url.host, url.port or 80), timeout=10)
    client.sendall(head.encode())
    return client


def one_each(server: Running, path: Path) -> list[httpx.Response]:
    """Give either worker a slice to look at."""
    answers = []
    for _ in range(2):
        answers.append(post(server.client, path))
        until(lambda: len(server.service.lanes) == 0)
    return answers


def test_a_full_queue_says_when_to_come_back(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    with running(tmp_path / "data", gated(gate), queue_length=2, patience=0.1) as server:
        accepted = one_each(server, one)
        accepted += [post(server.client, one) for _ in range(2)]
        refused = post(server.client, one)
        assert_problem(refused, 429, "wait")
        assert int(refused.headers["retry-after"]) >= 1
        assert_problem(server.client.get("/readyz"), 429)
        assert [each.status_code for each in accepted] == [202] * 4
        assert len(folders(server.data)) == 4
        gate.open.set()
        ends = [finished(server.client, each.json()["id"]) for each in accepted]
        assert [each["status"] for each in ends] == ["done"] * 4
        assert post(server.client, one).status_code in (201, 202)


def test_slices_that_wait_are_looked_at_together(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    with running(tmp_path / "data", gated(gate), patience=0.05) as server:
        accepted = one_each(server, one)
        accepted += [post(server.client, one) for _ in range(8)]
        gate.open.set()
        assert {finished(server.client, each.json()["id"])["status"] for each in accepted} == {"done"}
        numbers = server.client.get("/metrics").text
        assert 'tumorlens_batch_slices_bucket{le="3.0"} 2.0' in numbers
        assert "tumorlens_batch_slices_count 4.0" in numbers  # 1, 1, 4, 4
        assert "tumorlens_batch_slices_sum 10.0" in numbers


def test_a_bad_slice_among_good_ones_fails_alone(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    bad = tmp_path / "bad.png"
    bad.write_bytes(one.read_bytes()[:300])
    with running(tmp_path / "data", gated(gate), patience=0.05) as server:
        ids = [post(server.client, path).json()["id"] for path in (one, one, one, bad, one)]
        gate.open.set()
        ends = [finished(server.client, id_)["status"] for id_ in ids]
        assert ends == ["done", "done", "done", "failed", "done"]


def test_a_volume_lets_slices_pass(tmp_path: Path) -> None:
    gate, files = Gate(), series(tmp_path / "dicom")
    with running(tmp_path / "data", gated(gate)) as server:
        first, second = (post(server.client, *files).json()["id"] for _ in range(2))
        assert gate.came.wait(10)
        assert server.client.get(f"/v1/analyses/{second}").json()["status"] == "queued"
        with waiting(server, picture(tmp_path / "a.png")):
            gate.open.set()
        assert finished(server.client, first)["status"] == "done"
        assert finished(server.client, second)["status"] == "done"


def test_a_running_analysis_can_be_cancelled_and_erased(tmp_path: Path) -> None:
    gate, files = Gate(), series(tmp_path / "dicom", 40)
    with running(tmp_path / "data", gated(gate)) as server:
        one, two, three = (post(server.client, *files).json()["id"] for _ in range(3))
        assert gate.came.wait(10)
        assert_problem(server.client.get(f"/v1/analyses/{one}/view"), 409, "finished")
        assert server.client.post(f"/v1/analyses/{one}/cancel").json()["status"] == "cancelled"
        assert server.client.delete(f"/v1/analyses/{two}").status_code == 204
        assert_problem(server.client.get(f"/v1/analyses/{two}"), 404)
        gate.open.set()
        assert finished(server.client, three)["status"] == "done"
        assert server.client.get(f"/v1/analyses/{one}").json()["status"] == "cancelled"
        assert_problem(server.client.get(f"/v1/analyses/{one}/files/json"), 409, "cancelled")
        assert gate.looked < 80, "what was cancelled isn't looked at to its end"
        assert folders(server.data) == sorted([one, three])


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    gate = Gate()
    with running(tmp_path / "data", gated(gate), time_limit=1, clean_every=0.1) as server:
        id_ = post(server.client, *series(tmp_path / "dicom", 12)).json()["id"]
        told = finished(server.client, id_)
        assert told["status"] == "failed"
        assert "more than 1 s" in told["problem"]["detail"]
        assert_problem(post(server.client, picture(tmp_path / "a.png")), 422, "more than 1 s")
        gate.open.set()
        until(lambda: post(server.client, picture(tmp_path / "a.png")).status_code == 201)
        assert server.client.get(f"/v1/analyses/{id_}").json() == told


def test_what_has_expired_is_erased(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()
    with running(tmp_path / "data", gated(gate), keep=1, clean_every=0.1) as server:
        id_ = post(server.client, picture(tmp_path / "a.png")).json()["id"]
        until(lambda: not folders(server.data))
        assert_problem(server.client.get(f"/v1/analyses/{id_}"), 404)
        assert server.service.findings.size == 0


def test_half_an_upload_leaves_nothing(tmp_path: Path) -> None:
    gate = Gate()
    head = (
        "POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    with running(tmp_path / "data", gated(gate)) as server:
        with closing(connected(server, head)) as client:
            client.sendall(b"x" * 4_000_000)
            until(lambda: folders(server.data))
        until(lambda: not folders(server.data))
        until(lambda: server.service.uploads == 0)


def test_slow_clients_are_left_while_others_are_served(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    gate.open.set()
    heads = [
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        "",
        (
            "POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        ),
    ]
    with running(tmp_path / "data", gated(gate), idle=0.7, most_connections=50) as server:
        slow = [connected(server, head) for head in heads for _ in range(30)]
        began = time.monotonic()

        def served() -> None:
            assert post(server.client, one).status_code == 201

        for client in slow[60:64]:  # a byte now and then doesn't help
            _sent(client, b"x", 500, meanwhile=served)
        assert time.monotonic() - began < 10
        for client in slow:
            client.settimeout(5)
            try:
                ends = client.recv(4096)
            except ConnectionError:
                ends = b""
            assert ends == b"" or ends.startswith(b"HTTP/1.1 408")
            client.close()
        assert post(server.client, one).status_code == 201


def test_a_client_that_doesnt_read_is_left(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()
    with running(tmp_path / "data", gated(gate), idle=0.3, bodies=30_000_000) as server:
        id_ = post(server.client, picture(tmp_path / "large.png", 2048)).json()["id"]
        head = f"GET /v1/analyses/{id_}/view/slices/0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        deaf = [connected(server, head) for _ in range(3)]
        assert server.client.get(f"/v1/analyses/{id_}/view/slices/0").status_code == 200, (
            "others have their turn"
        )
        until(lambda: server.extras.reserved == 0)
        for client in deaf:
            client.close()


def test_a_body_without_an_end_is_refused_by_its_size(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()

    def blocks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(3000):
            yield b"x" * 1000

    with running(tmp_path / "data", gated(gate), largest_upload=100_000) as server:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        response = server.client.post("/v1/analyses", content=blocks(), headers=headers)
        assert_problem(response, 413, "at most")
        files = {"files": ("a.png", b"x" * 3_000_000)}
        assert_problem(server.client.post("/v1/analyses", files=files), 413, "at most")
        assert_problem(server.client.post("/v1/analyses/0/series", content=b"x" * 100_000), 413)
        assert not folders(server.data)


def test_a_full_disk_is_told_and_nothing_half_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    gate.open.set()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with running(tmp_path / "data", gated(gate)) as server:
        for target in ("write", "begin"):
            with monkeypatch.context() as patch:
                patch.setattr(server.service.store, target, full)
                assert_problem(post(server.client, one), 507, "disk")
        with monkeypatch.context() as patch:
            patch.setattr(server.service.store, "has_room", lambda _: False)
            assert_problem(post(server.client, one), 507, "disk is full")
        gate.open.clear()
        with monkeypatch.context() as patch:
            patch.setattr(server.service.store, "write", full)
            assert_problem(post(server.client, *series(tmp_path / "dicom")), 507, "disk")
        assert not folders(server.data)
        gate.open.set()
        assert post(server.client, one).status_code == 201


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    with running(tmp_path / "data", gated(gate), most_files=3) as server:
        assert_problem(post(server.client, *[one] * 4), 413, "at most 3 files")
        assert not folders(server.data)


def test_a_head_without_an_end_is_cut_off(real: Running) -> None:
    with closing(connected(real, "GET / HTTP/1.1\r\nHost: localhost\r\n")) as client:
        assert _sent(client, b"X-More: " + b"x" * 4000 + b"\r\n", 100_000) < 20_000_000


def test_an_archive_that_bursts_is_refused_and_gone(real: Running, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", b"\0" * 300_000_000)
    assert_problem(post(real.client, bomb), 422, "scan.zip: expected at most 4 GB unpacked and 200 times")
    until(lambda: not list((real.data / "temporary").iterdir()))


def test_ten_thousand_files_in_an_archive_keep_nobody_waiting(real: Running, tmp_path: Path) -> None:
    many = tmp_path / "many.zip"
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(10_000):
            archive.writestr(f"{number}.txt", b"no scan")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, real.client, many)
        began = time.monotonic()
        assert post(real.client, picture(tmp_path / "a.png")).status_code == 201
        assert time.monotonic() - began < 10
        end = answer.result(30)
    if end.status_code == 202:
        assert "found none in it" in finished(real.client, end.json()["id"])["problem"]["detail"]
    else:
        assert_problem(end, 422, "found none in it")


def test_a_picture_that_claims_a_gigapixel_is_refused_unread(real: Running, tmp_path: Path) -> None:
    whole = bytearray(picture(tmp_path / "a.png").read_bytes())
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    import zlib

    whole[29:33] = zlib.crc32(bytes(whole[12:29])).to_bytes(4, "big")
    (tmp_path / "huge.png").write_bytes(bytes(whole))
    assert_problem(post(real.client, tmp_path / "huge.png"), 422, "8192 pixels a side")


def test_an_ended_server_interrupts_what_runs_and_keeps_what_is_done(tmp_path: Path) -> None:
    gate = Gate()
    gate.open.set()
    data = tmp_path / "data"
    with running(data, gated(gate)) as server:
        done = post(server.client, picture(tmp_path / "a.png")).json()
        gate.open.clear()
        gate.came.clear()
        id_ = post(server.client, *series(tmp_path / "dicom")).json()["id"]
        pool = ThreadPoolExecutor(1)
        follower = httpx.Client(base_url=server.client.base_url, timeout=30)
        heard = threading.Event()
        end = pool.submit(finished, follower, id_, heard)
        assert gate.came.wait(10)
        assert heard.wait(10)
    assert end.result(30)["status"] == "interrupted", "who followed it was told"
    follower.close()
    pool.shutdown()
    gate.open.set()
    with running(data, gated(gate)) as server:
        assert server.client.get(f"/v1/analyses/{done['id']}").json() == done
        assert server.client.get(f"/v1/analyses/{id_}").json()["status"] == "interrupted"
        again = server.client.post(f"/v1/analyses/{id_}/series", json={"series": "1"}).json()
        assert finished(server.client, again["id"])["status"] == "done"


def test_a_killed_server_starts_again_with_what_was_done(tmp_path: Path) -> None:
    write_small(tmp_path / "bundle")
    data = tmp_path / "data"
    words = ("--bundle", str(tmp_path / "bundle"))
    with process(data, *words) as (killed, address), httpx.Client(base_url=address, timeout=30) as client:
        done = post(client, picture(tmp_path / "a.png")).json()
        volume = np.random.default_rng(0).integers(0, 999, (700, 128, 128)).astype(np.uint16)
        big = nifti(tmp_path / "big.nii", volume)
        answers = [post(client, big) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [202] * 3, [answer.text for answer in answers]
        running_ = [answer.json()["id"] for answer in answers]
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)
    half = data / "analyses" / ("f" * 32) / "upload"
    half.mkdir(parents=True)
    (half / "000001.png").write_bytes(b"half")
    (data / "temporary" / "left").mkdir()
    with process(data, *words) as (ended, address), httpx.Client(base_url=address, timeout=30) as client:
        assert client.get(f"/v1/analyses/{done['id']}").json() == done
        assert client.get(f"/v1/analyses/{done['id']}/files/overlay").status_code == 200
        ends = [client.get(f"/v1/analyses/{id_}").json() for id_ in running_]
        assert {each["status"] for each in ends} <= {"done", "interrupted"}
        assert ends[-1]["status"] == "interrupted"
        assert ends[-1]["problem"]["type"] == "/problems/interrupted"
        assert folders(data) == sorted([done["id"], *running_])
        until(lambda: not list((data / "temporary").iterdir()))  # emptied once an answer is sent
        ended.send_signal(signal.SIGINT)
        assert ended.wait(15) == 0
    log = (tmp_path / "data.log").read_text()
    assert "Traceback" not in log
    assert "can't be read" not in log
    audit = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert audit[0]["status"] == "done"


def test_another_series_that_fails_before_its_answer_is_sent_is_there_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    gate.open.set()
    with running(tmp_path / "data", gated(gate)) as server:
        scan = finished(server.client, post(server.client, *series(tmp_path / "scan")).json()["id"])
        make_known = server.service.make_known

        def late(job: Job) -> Analysis:
            for _ in range(1000):
                if job.analysis.is_final:
                    break
                time.sleep(0.01)
            return make_known(job)

        monkeypatch.setattr(server.service, "make_known", late)
        told = server.client.post(f"/v1/analyses/{scan['id']}/series", json={"series": "7"})
        assert told.status_code == 202
        assert told.json()["status"] == "failed"
        assert server.client.get(told.headers["Location"]).json() == told.json()


def nifti(path: Path, volume: object) -> Path:
    """A volume as NIfTI."""
    import nibabel

    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)  # type: ignore[attr-defined]
    return path


def test_without_httptools_it_serves_as_well(tmp_path: Path) -> None:
    write_small(tmp_path / "bundle")
    (tmp_path / "httptools.py").write_text("raise ImportError")
    words = ("--bundle", str(tmp_path / "bundle"))
    with (
        process(tmp_path / "data", *words, PYTHONPATH=str(tmp_path)) as (_, address),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        for _ in range(3):
            assert post(client, picture(tmp_path / "a.png")).status_code == 201
        assert client.get("/v1/models", headers={"Host": "evil.example"}).status_code == 403


def test_another_model_doesnt_tell_what_the_first_one_found(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    gate.open.set()
    with running(tmp_path / "data", gated(gate)) as server:
        done = post(server.client, one).json()
    other = gated(gate)
    object.__setattr__(other, "key", "other")
    with running(tmp_path / "data", other) as server:
        assert server.client.get(f"/v1/analyses/{done['id']}").json() == done
        assert_problem(server.client.get(f"/v1/analyses/{done['id']}/view"), 409, "Another model")


def test_threads_and_files_dont_grow_with_requests(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    gate.open.set()
    with running(tmp_path / "data", gated(gate)) as server:
        for _ in range(20):
            post(server.client, one)
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - links to no files
        for _ in range(60):
            post(server.client, one)
        assert threading.active_count() <= before[0] + 8
        assert len(os.listdir("/proc/self/fd")) <= before[1] + 2  # noqa: PTH208


def test_a_head_without_an_end_is_cut_off_also_while_an_answer_waits(real: Running) -> None:
    """The client doesn't read, so that an answer can't be sent."""
    ask = b"GET /static/samples/pituitary.mat HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with closing(connected(real, "")) as client:
        client.sendall(ask * 60)
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        assert _sent(client, b"X-More: " + b"x" * 4000 + b"\r\n", 100_000) < 20_000_000


def test_who_asks_whether_it_is_ready_is_not_counted_as_refused(tmp_path: Path) -> None:
    gate, one = Gate(), picture(tmp_path / "a.png")
    with running(tmp_path / "data", gated(gate), queue_length=1, patience=0.05) as server:
        one_each(server, one)
        post(server.client, one)
        for _ in range(3):
            assert_problem(server.client.get("/readyz"), 429)
        assert "tumorlens_refused_total 0.0" in server.client.get("/metrics").text
        assert_problem(post(server.client, one), 429)
        assert "tumorlens_refused_total 1.0" in server.client.get("/metrics").text
        gate.open.set()


def test_a_slice_that_turns_out_to_be_a_volume_keeps_others_waiting() -> None:
    """Who looked at it as a slice ends that after another has begun with it as a volume."""
    lanes = Lanes(most=9)
    first, second = (cast("Job", SimpleNamespace(is_volume=False, created=number)) for number in range(2))
    lanes.add(first)
    assert lanes.take() == [first]
    first.is_volume = second.is_volume = True
    lanes.add(first, again=True)
    lanes.add(second)
    assert lanes.take() == [first]
    lanes.done(None)
    later = threading.Thread(target=lanes.take, daemon=True)
    later.start()
    later.join(0.2)
    assert later.is_alive(), "one volume at a time"
    lanes.done(first)
    later.join(10)
    assert not later.is_alive()


def test_who_follows_analyses_leaves_connections_to_others(tmp_path: Path) -> None:
    gate = Gate()
    with running(tmp_path / "data", gated(gate), most_connections=8) as server, ExitStack() as open_:
        id_ = post(server.client, *series(tmp_path / "dicom")).json()["id"]
        streams: list[Iterator[str]] = []
        for _ in range(4):
            client = open_.enter_context(httpx.Client(base_url=server.client.base_url, timeout=30))
            stream = open_.enter_context(client.stream("GET", f"/v1/analyses/{id_}/events"))
            streams.append(stream.iter_lines())  # one that is let go ends its connection
            assert next(streams[-1]).startswith("event: ")
        assert_problem(server.client.get(f"/v1/analyses/{id_}/events"), 429, "4 clients follow analyses")
        assert server.client.get("/healthz").text == "ok\n"
        open_.close()
        until(lambda: server.service._followers == 0)
        gate.open.set()
        assert finished(server.client, id_)["status"] == "done"


def test_a_second_ctrl_c_ends_a_server_even_where_a_thread_hangs(tmp_path: Path) -> None:
    run = (
        "import signal, sys, time\n"
        "from tumorlens.server.extras import Extras\n"
        "Extras.close = lambda self: time.sleep(300)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.argv = ['tumorlens', 'serve', '--port', '0', '--data', {str(tmp_path / 'data')!r}]\n"
        "from tumorlens.__main__ import main\nmain()"
    )
    words = [sys.executable, "-u", "-c", run]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            while "http://" not in server.stdout.readline():
                assert server.poll() is None
            server.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                server.wait(2)
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            server.kill()


def test_a_reader_s_numbers_are_no_files(tmp_path: Path) -> None:
    words = "x is cut short (stored_eof = 125397), see 000007.png"
    assert for_client(words, tmp_path / "x", "x") == "x is cut short (stored_eof = 125397), see file 7"
