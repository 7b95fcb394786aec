from pathlib import Path

import pytest

from tumorlens.errors import TumorlensError
from tumorlens.pacs.access import Credentials, address, find_credentials
from tumorlens.pacs.server import PacsServer


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_plain_http_to_this_machine_is_allowed(host: str) -> None:
    assert address(f"http://{host}:8042/dicom-web/").url == f"http://{host}:8042/dicom-web"


@pytest.mark.parametrize("host", ["pacs.example.org", "10.0.0.5", "127.0.0.1.example.org", "[2001:db8::1]"])
def test_plain_http_to_another_machine_is_refused_unless_asked_for(host: str) -> None:
    with pytest.raises(TumorlensError, match=r"expected an https address, got http.*--insecure-http"):
        PacsServer(f"http://{host}/dicom-web")
    assert PacsServer(f"http://{host}/dicom-web", insecure_http=True).name == f"http://{host}"
    assert PacsServer(f"https://{host}/dicom-web").name == f"https://{host}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pacs.example.org",
        "ftp://pacs",
        "https://",
        "https://pacs:port/",
        "https://p/a?b=1",
        "file:///etc",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(TumorlensError, match=r"expected the address|expected an address"):
        address(url)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(TumorlensError, match="without a user in it") as refused:
        address("https://me:hush@pacs.example.org/")
    assert "hush" not in str(refused.value)


def test_a_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    from_variable = find_credentials("me", None, {"TUMORLENS_PACS_PASSWORD": "hush"})
    file = tmp_path / "password"
    file.write_text("hush\n")
    assert from_variable == find_credentials("me", file, {}) == Credentials("me", "hush")
    assert "hush" not in repr(from_variable)


def test_a_token_is_used_where_no_user_is_named() -> None:
    variables = {"TUMORLENS_PACS_TOKEN": "abc.def\n", "TUMORLENS_PACS_PASSWORD": "hush"}
    assert find_credentials(None, None, variables) == Credentials("", "abc.def")
    assert find_credentials("me", None, variables) == Credentials("me", "hush")
    assert find_credentials(None, None, {}) is None


@pytest.mark.parametrize(
    ("user", "variables", "words"),
    [
        ("me", {}, "expected the password of --user in .*TUMORLENS_PACS_PASSWORD"),
        ("m:e", {"TUMORLENS_PACS_PASSWORD": "hush"}, "without a colon"),
        (None, {"TUMORLENS_PACS_TOKEN": "a\nb"}, "printable ASCII"),
        (None, {"TUMORLENS_PACS_TOKEN": "ü"}, "printable ASCII"),
    ],
)
def test_credentials_that_cant_be_used_are_refused(
    user: str | None, variables: dict[str, str], words: str
) -> None:
    with pytest.raises(TumorlensError, match=words):
        find_credentials(user, None, variables)


def test_a_password_file_without_a_password_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for file, words in ((empty, "in the first line"), (tmp_path / "none", "a readable file")):
        with pytest.raises(TumorlensError, match=words):
            find_credentials("me", file, {})
