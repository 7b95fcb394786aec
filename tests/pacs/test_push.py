import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.dicom_files import write_series
from tests.pacs.orthanc import Orthanc, free_port
from tests.pacs.proxy import Answer, Asked, Proxy
from tests.pacs.studies import quick_analysis, write_study
from tumorlens.pacs.errors import PacsUnreachableError
from tumorlens.pacs.push import push
from tumorlens.pacs.server import PacsServer


def results(folder: Path) -> list[Path]:
    """A segmentation and a report."""
    write_study(folder / "scan")
    for path in (folder / "scan").iterdir():
        path.rename(path.with_suffix(".dcm"))
    return list(quick_analysis(folder / "scan", folder))


class Refusing:
    """Refuses to store, so many times, and passes on everything else."""

    def __init__(self, status: int, reason: int | None, times: int = 1000) -> None:
        failed = {"00081197": {"vr": "US", "Value": [reason]}, "00081155": {"vr": "UI", "Value": ["1.2"]}}
        body = {"00081198": {"vr": "SQ", "Value": [failed]}}
        kind = {"Content-Type": "application/dicom+json"}
        content = b"" if reason is None else json.dumps(body).encode()
        self._answer = Answer(status, content, kind if content else {})
        self._left = times

    def __call__(self, asked: Asked) -> Answer | None:
        if asked.method != "POST" or not self._left:
            return None
        self._left -= 1
        return self._answer


def test_what_is_pushed_is_there_afterwards(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    files = results(tmp_path)
    assert [(each.stored, each.words) for each in push(server, files)] == [(True, "stored")] * 2
    for path, modality in zip(files, ("SEG", "SR"), strict=True):
        [uid] = orthanc.instances(modality)
        assert orthanc.file(uid) == path.read_bytes()


def test_what_is_there_already_isnt_sent_again(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    files = results(tmp_path)
    push(server, files)
    proxy.log.clear()
    assert [(each.stored, each.words) for each in push(server, files)] == [(True, "there already")] * 2
    assert proxy.asked("POST") == []


def test_a_busy_server_gets_the_files_a_little_later(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.instead = Refusing(503, None, times=2)
    assert all(each.stored for each in push(server, results(tmp_path)))
    assert len(orthanc.instances("SEG")) == len(orthanc.instances("SR")) == 1


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (409, 0xA700, r"out of space or other resources \(reason A700\)"),
        (409, 0x0122, r"doesn't store this kind of object \(reason 0122\)"),
        (202, 0xC123, r"can't understand it \(reason C123\)"),
        (200, 0x1234, "reason 1234"),
        (409, None, "HTTP 409"),
        (403, None, "this user may not do that"),
        (503, None, "HTTP 503"),
        (200, None, "took it but doesn't list it"),
    ],
)
def test_a_refusal_is_told_with_its_reason(
    orthanc: Orthanc,
    server: PacsServer,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    reason: int | None,
    words: str,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    proxy.instead = Refusing(status, reason)
    [first, second] = push(server, results(tmp_path))
    assert not first.stored
    assert not second.stored
    assert re.search(words, first.words), first.words
    assert "\n" not in first.words
    assert orthanc.instances("SEG") == []


def test_one_bad_file_doesnt_stop_the_rest(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"no DICOM")
    outcomes = push(server, [bad, tmp_path / "missing.dcm", *results(tmp_path)])
    assert [each.stored for each in outcomes] == [False, False, True, True]
    assert "expected a DICOM file" in outcomes[0].words


def test_a_refusal_of_what_is_there_in_spite_of_it_counts_as_stored(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    """As some servers do when an answer was lost and the same is sent once more."""
    files = results(tmp_path)

    def stores_and_refuses(asked: Asked, answer: Answer) -> Answer:
        return Refusing(409, 0x0111)(asked) or answer

    proxy.change = stores_and_refuses
    assert [each.stored for each in push(server, files)] == [True, True]


def test_a_server_that_isnt_there_ends_it_at_once(tmp_path: Path) -> None:
    server = PacsServer(f"http://127.0.0.1:{free_port()}/dicom-web", retry_wait=0.001)
    with pytest.raises(PacsUnreachableError):
        push(server, results(tmp_path))


def test_large_files_arrive_whole_with_their_length_said(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, tmp_path: Path
) -> None:
    values = np.random.default_rng(1).integers(0, 4000, (1, 1200, 1200), dtype=np.uint16)
    [path] = write_series(tmp_path / "large", values)
    assert push(server, [path])[0].stored
    [sent] = proxy.asked("POST")
    assert int(sent.headers["Content-Length"]) > path.stat().st_size
    [uid] = orthanc.instances("MR")
    assert orthanc.file(uid) == path.read_bytes()
