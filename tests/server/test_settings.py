"""What the server is told, and what it refuses to run with."""

import socket
import sys
from pathlib import Path

import pytest

from tests.command_line import Tumorlens, assert_refused
from tests.server.running import TOKEN, Running
from tumorlens.errors import TumorlensError
from tumorlens.server.settings import Settings, default_data, find_token, seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("45m", 2700), ("1.5H", 5400), (" 7 d ", 604800)]
)
def test_durations_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1h", "1w", "h", "1h30m", "NaN", "1e9", "9999999d"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(TumorlensError, match="expected a duration such as"):
        seconds(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "scanner.example"])  # noqa: S104 - refused
def test_others_reach_the_server_only_with_a_token(host: str) -> None:
    with pytest.raises(TumorlensError, match="expected a token to listen on"):
        Settings(host=host)
    assert not Settings.model_validate({"host": host, "token": TOKEN}).is_local


def test_a_proxy_in_front_needs_a_token_as_well() -> None:
    with pytest.raises(TumorlensError, match=r"scans\.example"):
        Settings(hosts=("scans.example",))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_this_machine_needs_none(host: str) -> None:
    assert Settings(host=host).is_local


@pytest.mark.parametrize("token", ["short", "x" * 15, "with spaces in between", "with-an-ümlaut-in-it"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(TumorlensError, match="at least 16") as caught:
        Settings.model_validate({"token": token})
    assert token not in str(caught.value)


def test_a_token_is_never_shown() -> None:
    assert TOKEN not in repr(Settings.model_validate({"token": TOKEN}))


def test_the_token_comes_from_a_file_or_else_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUMORLENS_TOKEN", raising=False)
    assert find_token(None) is None
    monkeypatch.setenv("TUMORLENS_TOKEN", f" {TOKEN}\n")
    from_environment = find_token(None)
    assert from_environment is not None
    assert from_environment.get_secret_value() == TOKEN
    (tmp_path / "token").write_text("another-token-of-a-file\nmore\n")
    from_file = find_token(tmp_path / "token")
    assert from_file is not None
    assert from_file.get_secret_value() == "another-token-of-a-file"
    (tmp_path / "empty").write_text("\n")
    for path in (tmp_path / "empty", tmp_path / "none", tmp_path):
        with pytest.raises(TumorlensError, match="expected a token in its first line"):
            find_token(path)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
def test_scans_lie_in_the_users_cache_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_data() == tmp_path / "tumorlens" / "server"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data() == tmp_path / ".cache" / "tumorlens" / "server"


def test_a_port_that_is_taken_is_refused_in_a_sentence(tumorlens: Tumorlens, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_refused(tumorlens("serve", "--port", port, "--data", tmp_path / "data"), str(port), "--port")


def test_other_mistakes_are_refused_in_a_sentence(
    tumorlens: Tumorlens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TUMORLENS_TOKEN", raising=False)
    data = ("--port", 0, "--data", tmp_path / "data")
    assert_refused(tumorlens("serve", *data, "--host", "0.0.0.0"), "token", "TUMORLENS_TOKEN")  # noqa: S104
    assert_refused(tumorlens("serve", *data, "--keep", "forever"), "duration")
    assert_refused(tumorlens("serve", *data, "--bundle", tmp_path), "found no bundle.json")
    assert_refused(tumorlens("serve", *data, "--token-file", tmp_path / "none"), "token")
    assert not (tmp_path / "data").exists()


def test_a_folder_with_other_things_in_it_is_left_alone(tumorlens: Tumorlens, tmp_path: Path) -> None:
    (tmp_path / "data" / "analyses").mkdir(parents=True)
    (tmp_path / "data" / "analyses" / "thesis.docx").write_text("years of work")
    assert_refused(tumorlens("serve", "--port", 0, "--data", tmp_path / "data"), "other files", "--data")
    assert (tmp_path / "data" / "analyses" / "thesis.docx").read_text() == "years of work"


def test_two_servers_dont_share_a_folder(tumorlens: Tumorlens, real: Running) -> None:
    assert_refused(tumorlens("serve", "--port", 0, "--data", real.data), "another one uses it")
