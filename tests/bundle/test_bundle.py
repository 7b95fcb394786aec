"""A bundle opens as it was written, or not at all."""

import errno
import io
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bundle.small import (
    FAMILIARITY,
    GRAPH,
    SIZE,
    familiarity,
    graph_model,
    put_together,
    small_files,
    small_manifest,
    write_small,
)
from tumorlens import atomic
from tumorlens.bundle import Bundle, default_bundle, open_bundle
from tumorlens.bundle.manifest import Graph, Output
from tumorlens.bundle.write import arrays_bytes, check_name, member, write_bundle
from tumorlens.errors import TumorlensError

MEMBERS = [GRAPH, FAMILIARITY]
FILES = [*MEMBERS, "bundle.json"]


def refusal(use: Callable[[], object]) -> str:
    with pytest.raises(TumorlensError) as caught:
        use()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(folder: Path) -> object:
    return open_bundle(folder).load()


def test_what_was_written_opens_as_it_was(small: Bundle) -> None:
    assert open_bundle(small.folder) == small
    assert open_bundle(str(small.folder)).manifest == small_manifest(small_files())
    assert sorted(path.name for path in small.folder.iterdir()) == sorted(FILES)
    assert [path.name for path in small.folder.parent.iterdir()] == ["small"]


def test_a_loaded_bundle_says_what_its_manifest_says(tmp_path: Path) -> None:
    ensemble = write_small(tmp_path / "b", flip=True, name="of mine").load()
    assert ensemble.name == "of mine"
    assert (ensemble.flip, ensemble.center_crop) == (True, 1)
    cropping = write_small(tmp_path / "c", flip=True, center_crop=0.75).load()
    assert (cropping.flip, cropping.center_crop) == (True, 0.75)
    assert ensemble.sizes == {SIZE}
    assert ensemble.judgement == open_bundle(tmp_path / "b").manifest.judgement
    batch = np.random.default_rng(1).random((3, 1, SIZE, SIZE), np.float32)
    opinion = ensemble({SIZE: batch})
    assert opinion.tumor_probability == pytest.approx(1 / (1 + np.exp(-40 * (batch[:, 0] - 0.5))), abs=1e-5)
    assert ensemble.familiarity is not None
    assert ensemble.familiarity(batch[:, 0]) == pytest.approx(familiarity()(batch[:, 0]))


def test_a_bundle_needs_no_familiarity(tmp_path: Path) -> None:
    files = small_files()
    manifest = small_manifest(files, familiarity=None)
    assert write_bundle(tmp_path / "b", manifest, {GRAPH: files[GRAPH]}).load().familiarity is None


# --- Damaged ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("place", [0, 0.1, 0.5, 0.9, 1])
def test_one_changed_byte_is_noticed(name: str, place: float, copied: Path) -> None:
    data = bytearray((copied / name).read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x01
    (copied / name).write_bytes(data)
    assert f"{name}: expected the SHA-256" in refusal(lambda: load(copied))
    assert f"{name}: expected the SHA-256" in refusal(open_bundle(copied).verify)


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("cut", [1, 100, 10**9])
def test_a_member_cut_short_is_noticed(name: str, cut: int, copied: Path) -> None:
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[: max(len(data) - cut, 0)])
    assert f"expected {len(data)} bytes, got {max(len(data) - cut, 0)}" in refusal(lambda: load(copied))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_with_something_appended_is_noticed(name: str, copied: Path) -> None:
    (copied / name).write_bytes((copied / name).read_bytes() + b"\0")
    assert "bytes, got" in refusal(lambda: load(copied))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, copied: Path) -> None:
    (copied / name).unlink()
    assert name in refusal(lambda: load(copied))


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_file_s_place_is_refused(name: str, copied: Path) -> None:
    (copied / name).unlink()
    (copied / name).mkdir()
    assert name in refusal(lambda: load(copied))


def test_swapped_members_are_noticed(copied: Path) -> None:
    contents = [(copied / name).read_bytes() for name in MEMBERS]
    for name, data in zip(MEMBERS, reversed(contents), strict=True):
        (copied / name).write_bytes(data)
    assert "expected" in refusal(lambda: load(copied))
    swapped = {GRAPH: contents[1], FAMILIARITY: contents[0]}
    assert "expected a graph" in refusal(lambda: load(put_together(copied / "hashes fit", swapped)))


@pytest.mark.parametrize("place", ["absent", "a file", "empty"])
def test_what_is_no_bundle_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a file").write_text("")
    assert "expected a bundle of 'tumorlens export'" in refusal(lambda: open_bundle(tmp_path / place))


def test_a_bundle_is_only_read_when_it_is_loaded(copied: Path) -> None:
    for name in MEMBERS:
        (copied / name).unlink()
    assert open_bundle(copied).manifest.name == "small"


# --- Tampered with, hashes and all ------------------------------------------------------------------------


class Trap:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir.__globals__["os"].mkdir, (str(self.folder),)


def _npz(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _zip(compression: int = zipfile.ZIP_DEFLATED, **entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _huge_npy() -> bytes:
    """The header of an array that no memory holds."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (2**50,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _broken_stream() -> bytes:
    data = bytearray(_zip(mean=_npy(np.arange(4000, dtype=np.float32))))
    data[200:400] = b"\xff" * 200
    return bytes(data)


STRANGE_ARRAYS: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"no arrays at all",
    "one array alone": lambda: _npy(np.zeros(3, np.float32)),
    "half an archive": lambda: arrays_bytes(familiarity().arrays())[:5000],
    "the head of an archive": lambda: b"PK\x03\x04",
    "a broken stream": _broken_stream,
    "an array too large": lambda: _zip(**dict.fromkeys(familiarity().arrays(), _huge_npy())),
    "an entry without a header": lambda: _zip(**dict.fromkeys(familiarity().arrays(), b"")),
    "no arrays": lambda: _npz(),
    "a missing array": lambda: _npz(**{k: v for k, v in familiarity().arrays().items() if k != "axes"}),
    "another shape": lambda: _npz(**{k: v[:-1] for k, v in familiarity().arrays().items()}),
    "no dimension": lambda: _npz(**dict.fromkeys(familiarity().arrays(), np.float32(1))),
    "NaN": lambda: _npz(**{k: v * np.float32("nan") for k, v in familiarity().arrays().items()}),
    "whole numbers": lambda: _npz(**{k: v.astype(int) for k, v in familiarity().arrays().items()}),
    "words": lambda: _npz(**{k: v.astype(str) for k, v in familiarity().arrays().items()}),
}


@pytest.mark.parametrize("what", STRANGE_ARRAYS)
def test_strange_arrays_are_refused(what: str, tmp_path: Path) -> None:
    folder = put_together(tmp_path / "b", small_files(familiar=STRANGE_ARRAYS[what]()))
    assert "familiarity" in refusal(lambda: load(folder))


def test_a_pickled_object_is_refused_and_does_not_run(tmp_path: Path) -> None:
    objects = np.array([Trap(tmp_path / "sprung")], object)
    contents = [_npz(mean=objects), _npz(**{**familiarity().arrays(), "more": objects})]
    contents.append(pickle.dumps(Trap(tmp_path / "sprung")))
    for number, content in enumerate(contents):
        folder = put_together(tmp_path / str(number), small_files(familiar=content))
        assert "expected arrays without objects" in refusal(lambda folder=folder: load(folder))
        assert not (tmp_path / "sprung").exists()
    pickle.loads(contents[-1])  # noqa: S301 - or else the trap is none
    assert (tmp_path / "sprung").exists()


def test_a_graph_of_another_size_is_refused(tmp_path: Path) -> None:
    data = graph_model(64).SerializeToString()
    folder = put_together(tmp_path / "b", small_files(graph=data))
    assert "expected the input image (n, 1, 32, 32)" in refusal(lambda: load(folder))


def test_a_link_to_other_bytes_is_noticed(copied: Path, tmp_path: Path) -> None:
    data = (copied / GRAPH).read_bytes()
    (tmp_path / "elsewhere").write_bytes(data[:-1] + b"\0")
    (copied / GRAPH).unlink()
    (copied / GRAPH).symlink_to(tmp_path / "elsewhere")
    assert "expected the SHA-256" in refusal(lambda: load(copied))
    (copied / GRAPH).unlink()
    (copied / GRAPH).symlink_to("/dev/zero")
    assert "bytes, got" in refusal(lambda: load(copied))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_to_the_manifest_gives_one_line_or_a_bundle(
    data: st.DataObject, small: Bundle, tmp_path: Path
) -> None:
    text = bytearray((small.folder / "bundle.json").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        if not text:
            break
        at = data.draw(st.integers(0, len(text) - 1))
        kind = data.draw(st.sampled_from(["cut", "flip", "insert", "drop"]))
        if kind == "cut":
            del text[at + 1 :]
        elif kind == "flip":
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "insert":
            text[at:at] = data.draw(
                st.sampled_from([b"{", b"]", b'"', b"NaN", b"-", b"9", b"\xff", b"\\n", b"\n"])
            )
        else:
            del text[at : at + 3]
    (tmp_path / "bundle.json").write_bytes(text)
    try:
        assert isinstance(open_bundle(tmp_path), Bundle)
    except TumorlensError as error:
        assert str(error).isprintable()  # noqa: PT017 - damage may also leave a valid manifest


# --- Writing ----------------------------------------------------------------------------------------------


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_bundle_goes_into_a_new_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "new", "deeper/and/deeper"):
        assert write_small(tmp_path / place).folder == tmp_path / place
    assert left_in(tmp_path / "empty") == sorted(FILES)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("whole")
    assert "expected a new or empty folder" in refusal(lambda: write_small(tmp_path / "b"))
    (tmp_path / "file").write_text("whole")
    assert "expected a new or empty folder" in refusal(lambda: write_small(tmp_path / "file"))
    assert left_in(tmp_path) == ["b", "file", "thesis.tex"]
    assert (tmp_path / "file").read_text() == (tmp_path / "b" / "thesis.tex").read_text() == "whole"


def test_the_current_folder_is_no_place_for_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (".", "../" + tmp_path.name):
        assert "got the current one" in refusal(lambda name=name: write_small(Path(name)))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_full_disk_leaves_nothing_behind(nth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, count = atomic.write_bytes, 0

    def full(path: Path, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == nth:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        honest(path, data)

    monkeypatch.setattr(atomic, "write_bytes", full)
    (tmp_path / "empty").mkdir()
    for place in ("new", "empty"):
        count = 0
        with pytest.raises(OSError, match="No space left"):
            write_small(tmp_path / place)
        assert left_in(tmp_path) == ["empty"]


@pytest.mark.parametrize("mistake", ["a file too few", "another file", "a bad graph"])
def test_what_cannot_be_used_is_not_left_behind(mistake: str, tmp_path: Path) -> None:
    files = small_files(graph=b"junk" if mistake == "a bad graph" else None)
    manifest = small_manifest(files)
    if mistake == "a file too few":
        del files[FAMILIARITY]
    elif mistake == "another file":
        files[GRAPH] = files[GRAPH] + b"\0"
    refusal(lambda: write_bundle(tmp_path / "b", manifest, files))
    assert left_in(tmp_path) == []


def test_a_bundle_that_is_moved_still_opens(copied: Path, tmp_path: Path) -> None:
    moved = Path(shutil.move(copied, tmp_path / "elsewhere"))
    open_bundle(moved).verify()


@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines", "\x1b[2J", "a\x7f"])
def test_a_name_that_takes_no_line_is_refused(name: str) -> None:
    assert "expected a name of 1 to 100 printable characters" in refusal(lambda: check_name(name))
    check_name("Größe 3 (fp16)")


# --- The default ------------------------------------------------------------------------------------------


def test_without_a_bundle_installed_the_default_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tumorlens.bundle import bundle

    monkeypatch.setattr(bundle, "_DEFAULT", tmp_path)
    default_bundle.cache_clear()
    assert "found none in this installation" in refusal(open_bundle)


def test_the_default_is_the_bundle_in_the_package(small: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorlens.bundle import bundle

    monkeypatch.setattr(bundle, "_DEFAULT", small.folder)
    default_bundle.cache_clear()
    assert open_bundle() == small
    assert open_bundle() is open_bundle(None)
    default_bundle.cache_clear()


def test_a_graph_may_tell_one_thing_only(tmp_path: Path) -> None:
    files = small_files()
    graph = Graph(
        **member(GRAPH, files[GRAPH]).model_dump(), outputs=(Output.MASK_LOGITS,), recipe={"task": "x"}
    )
    ensemble = write_bundle(tmp_path / "b", small_manifest(files, graphs=(graph,)), files).load()
    opinion = ensemble({SIZE: np.zeros((1, 1, SIZE, SIZE), np.float32)})
    assert opinion.class_logits is None
    assert opinion.tumor_probability is not None


# --- The model card ---------------------------------------------------------------------------------------

CARD = "model-card.md"


def with_card(folder: Path, data: bytes) -> Path:
    return put_together(folder, {**small_files(), CARD: data}, card=member(CARD, data))


def test_a_bundle_hands_out_its_model_card(tmp_path: Path) -> None:
    bundle = open_bundle(with_card(tmp_path / "bundle", "# Für die Forschung\n".encode()))
    bundle.verify()
    assert bundle.card() == "# Für die Forschung\n"
    assert write_small(tmp_path / "none").card() is None


def test_an_altered_model_card_is_refused(tmp_path: Path) -> None:
    folder = with_card(tmp_path / "bundle", b"# Never a diagnosis\n")
    (folder / CARD).write_bytes(b"# Surely a diagnosis")
    with pytest.raises(TumorlensError, match=r"model-card.md: expected the SHA-256"):
        open_bundle(folder).verify()


def test_a_model_card_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TumorlensError, match=r"model-card.md: expected text in UTF-8"):
        open_bundle(with_card(tmp_path / "bundle", b"\xff\xfe\xff")).verify()
