import builtins
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.debian import program
from tests.pacs.conftest import KNOWN
from tests.pacs.orthanc import Orthanc, free_port
from tests.pacs.proxy import Answer, Asked, Proxy, serving
from tests.pacs.studies import write_study
from tumorlens.errors import TumorlensError
from tumorlens.pacs.access import Credentials
from tumorlens.pacs.entry import InstanceEntry, Query
from tumorlens.pacs.errors import PacsBusyError, PacsError, PacsUnreachableError
from tumorlens.pacs.server import PacsServer

JSON = {"Content-Type": "application/dicom+json"}
ALL = Query()


def client(stub: Proxy, **options: Any) -> PacsServer:
    return PacsServer(stub.url, KNOWN, retry_wait=0.001, **options)


def refused(stub: Proxy, answer: Answer | Callable[[Asked], Answer], kind: type[PacsError]) -> str:
    """What is said of an answer to a search; one line without a secret or a patient."""
    stub.instead = answer if callable(answer) else lambda _: answer
    with pytest.raises(kind) as error:
        client(stub).find_studies(Query(patient_id="PID-4711"))
    assert type(error.value) is kind
    said = str(error.value)
    assert "\n" not in said
    assert not any(secret in said for secret in (KNOWN.secret, KNOWN.user, "PID-4711"))
    return said


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(patient_id="A"), 2),
        (Query(patient_id="*"), 3),
        (Query(accession_number="7"), 1),
        (Query(date="20240302"), 1),
        (Query(date="20240301-20240302"), 2),
        (Query(date="20240302-"), 2),
        (Query(date="-20240301"), 1),
        (Query(modality="CT"), 0),
        (Query(modality="MR", patient_id="B"), 1),
        (Query(study_uid="1.2.3"), 0),
        (ALL, 3),
    ],
)
def test_studies_are_found_by_what_is_asked_for(
    orthanc: Orthanc, tmp_path: Path, query: Query, count: int
) -> None:
    asked = [("A", "20240301", "5"), ("A", "20240302", "6"), ("B", "20240303", "7")]
    for number, (patient, date, accession) in enumerate(asked):
        _, files = write_study(
            tmp_path / f"{number}",
            str(number),
            1,
            PatientID=patient,
            StudyDate=date,
            AccessionNumber=accession,
        )
        orthanc.add(files)
    server = PacsServer(orthanc.url, KNOWN)
    assert len(server.find_studies(query)) == count


def test_what_a_server_overlooks_in_a_search_is_left_out_here(stub: Proxy) -> None:
    def item(uid: str, patient: str) -> dict[str, Any]:
        return {"0020000D": {"vr": "UI", "Value": [uid]}, "00100020": {"vr": "LO", "Value": [patient]}}

    listed = json.dumps([item("1.2", "A"), item("1.3", "B"), item("1.4", "A1")]).encode()
    stub.instead = lambda asked: Answer(200, listed if "offset=0" in asked.path else b"[]", JSON)
    [study] = client(stub).find_studies(Query(patient_id="A"))
    assert study.uid == "1.2"


def test_a_listing_longer_than_a_page_comes_whole(orthanc: Orthanc, proxy: Proxy, tmp_path: Path) -> None:
    uids = set()
    for number in range(7):
        uid, files = write_study(tmp_path / f"{number}", str(number), 1)
        orthanc.add(files)
        uids.add(uid)
    found = PacsServer(proxy.url, KNOWN, page=3).find_studies(ALL)
    assert {each.uid for each in found} == uids
    assert len(found) == 7
    assert len(proxy.asked("GET")) == 4  # three, three, one, and none


def test_a_server_that_ignores_paging_is_asked_no_further(stub: Proxy) -> None:
    listed = [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(5)]
    stub.instead = lambda _: Answer(200, json.dumps(listed).encode(), JSON)
    assert len(client(stub, page=2).find_studies(ALL)) == 5
    assert len(stub.log) == 2


def test_a_wrong_password_is_said_once_and_not_tried_again(orthanc: Orthanc, proxy: Proxy) -> None:
    server = PacsServer(proxy.url, Credentials("reader", "wrong"))
    with pytest.raises(PacsError, match=r"HTTP 401.*--user and TUMORLENS_PACS_PASSWORD") as error:
        server.find_studies(ALL)
    assert "wrong" not in str(error.value)
    assert len(proxy.log) == 1


def test_a_token_is_sent_as_a_bearer(stub: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a .netrc file knows a password for that host."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    stub.instead = lambda _: Answer(200, b"[]", JSON)
    PacsServer(stub.url, Credentials("", "abc.def")).find_studies(ALL)
    assert stub.log[0].headers["Authorization"] == "Bearer abc.def"


def test_busy_answers_are_waited_out(stub: Proxy) -> None:
    answers = [Answer(503), Answer(429), Answer(500), Answer(200, b"[]", JSON)]
    stub.instead = lambda _: answers.pop(0)
    assert client(stub).find_studies(ALL) == []
    assert len(stub.log) == 4


def test_a_server_that_stays_busy_is_given_up_after_a_few_attempts(stub: Proxy) -> None:
    assert "HTTP 503" in refused(stub, Answer(503), PacsBusyError)
    assert len(stub.log) == 4


def test_a_server_that_is_not_there_is_said_to_be_so() -> None:
    server = PacsServer(f"http://127.0.0.1:{free_port()}/dicom-web", KNOWN, retry_wait=0.001)
    with pytest.raises(PacsUnreachableError, match="the connection failed or broke off"):
        server.find_studies(ALL)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}),
            "expected an answer by the DICOM",
        ),
        (Answer(200, b'{"0020000D": ', JSON), "expected an answer by the DICOMweb standard"),
        (Answer(200, b"[" * 200_000, JSON), "expected an answer by the DICOMweb standard"),
        (Answer(200, b'["PID-4711"]', JSON), "expected a list in DICOM JSON"),
        (Answer(200, b"17", JSON), "expected a"),
        (Answer(404, b"PID-4711"), r"HTTP 404.*which often ends with /dicom-web"),
        (Answer(403), "this user may not do that"),
        (Answer(400, b"bad PID-4711"), "HTTP 400"),
        (Answer(302, b"", {"Location": "https://elsewhere.example.org/"}), "sent us on to another host"),
        (Answer(200, b"[" + b" " * (33 << 20) + b"]", JSON), "an answer of at most 32 MB, got more"),
    ],
)
def test_a_hostile_or_strange_answer_becomes_one_line(stub: Proxy, answer: Answer, words: str) -> None:
    said = refused(stub, answer, PacsError)
    assert re.search(words, said), said
    assert len(stub.log) == 1


def test_a_broken_answer_is_asked_for_again(stub: Proxy) -> None:
    answers = [Answer(200, b"[", JSON, announced=2), Answer(200, b"[]", JSON)]
    stub.instead = lambda _: answers.pop(0)
    assert client(stub).find_studies(ALL) == []


def test_entries_without_a_proper_uid_are_passed_over(stub: Proxy) -> None:
    """Or a UID could lead to another path of the server."""
    listed = [
        {"0020000D": {"vr": "UI", "Value": ["1.2/../../admin"]}},
        {"0020000D": {"vr": "UI"}},
        {"0020000D": "1.2"},
        {
            "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
            "00080061": {"Value": 5},
            "00201208": {"Value": [None]},
        },
    ]
    stub.instead = lambda _: Answer(200, json.dumps(listed).encode(), JSON)
    [study] = client(stub).find_studies(ALL)
    assert (study.uid, study.modalities, study.instances) == ("1.2.3", (), None)


def test_images_are_counted_where_a_server_doesnt_say_how_many(stub: Proxy) -> None:
    uid = "0020000D", "0020000E", "00080018"

    def answer(asked: Asked) -> Answer:
        level = asked.path.split("?")[0].count("/") // 2 - 1
        count = {0: 1, 1: 2, 2: 3}[level] if "offset=0" in asked.path else 0
        items = [{uid[level]: {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(count)]
        return Answer(200, json.dumps(items).encode(), JSON)

    stub.instead = answer
    server = client(stub)
    [study] = server.find_studies(ALL)
    assert server.count_instances(study) == 6


def test_an_instance_of_a_series_that_is_unknown_there_is_simply_missing(stub: Proxy) -> None:
    stub.instead = lambda _: Answer(404)
    assert not client(stub).has(InstanceEntry("1.2", "1.3", "1.4"))


def test_the_proxy_of_the_environment_never_sees_plain_http(
    orthanc: Orthanc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert PacsServer(orthanc.url, KNOWN, attempts=1).find_studies(ALL) == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by nobody, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    where = ["-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key", "-out", folder / "cert"]
    subprocess.run([program("openssl"), *request.split(), *where], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both


def test_tls_is_verified_by_the_authority_given(orthanc: Orthanc, certificate: Path) -> None:
    authority = certificate.with_name("cert")
    with serving(Proxy(orthanc.port), certificate) as encrypted:
        assert PacsServer(encrypted.url, KNOWN, ca=authority).find_studies(ALL) == []
        with pytest.raises(PacsError, match=r"expected a certificate that can be verified.*--ca"):
            PacsServer(encrypted.url, KNOWN).find_studies(ALL)
        assert all(each.headers["Authorization"] for each in encrypted.log)
        assert len(encrypted.log) == 1, "nothing was sent to a server that isn't trusted"


def test_no_variable_of_the_environment_switches_the_check_off(
    orthanc: Orthanc, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import certifi

    monkeypatch.setenv("CURL_CA_BUNDLE", "")
    with serving(Proxy(orthanc.port), certificate) as encrypted:
        with pytest.raises(PacsError, match="expected a certificate"):
            PacsServer(encrypted.url, KNOWN).find_studies(ALL)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
        authority = shutil.copy(certificate.with_name("cert"), tmp_path)
        assert PacsServer(encrypted.url, KNOWN, ca=Path(authority)).find_studies(ALL) == []


def test_an_authority_that_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("hello")
    for file, words in (
        (tmp_path / "ca", "expected a certificate in PEM"),
        (tmp_path / "no", "can't be read"),
    ):
        with pytest.raises(TumorlensError, match=words):
            PacsServer("https://pacs.example.org/", ca=file)


def test_without_its_library_the_line_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "dicomweb_client":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TumorlensError, match=r"pip install 'tumorlens\[pacs\]'"):
        PacsServer("https://pacs.example.org/")
