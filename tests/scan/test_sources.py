"""What a user's files and folders mean: one source a scan, in the place where it lies."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from tests.dicom_files import write_series
from tumorlens.errors import TumorlensError
from tumorlens.scan import read_scan
from tumorlens.scan.sources import Source, find_sources


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path, format="PNG")
    return path


def volume(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)), path)
    return path


def series(folder: Path, **tags: object) -> list[Path]:
    return write_series(folder, np.arange(3 * 64, dtype=np.int16).reshape(3, 8, 8), **tags)


def places(sources: list[Source]) -> list[str]:
    return [source.place.as_posix() for source in sources]


def test_a_file_is_a_source_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("nothing to see")
    sources = find_sources([tmp_path / "note.txt", tmp_path / "absent.png"])
    assert places(sources) == ["note", "absent"]


@pytest.mark.parametrize(
    ("name", "place"), [("a.nii.gz", "a"), ("a.b.png", "a.b"), ("a", "a"), ("A.NII.GZ", "A")]
)
def test_a_place_has_the_name_without_its_ending(tmp_path: Path, name: str, place: str) -> None:
    assert places(find_sources([tmp_path / name])) == [place]


def test_a_folder_s_tree_is_kept(tmp_path: Path) -> None:
    picture(tmp_path / "b" / "two.png")
    picture(tmp_path / "one.png")
    volume(tmp_path / "b" / "c" / "three.nii.gz")
    (tmp_path / "b" / "note.txt").write_text("x")
    picture(tmp_path / ".hidden" / "four.png")
    assert places(find_sources([tmp_path])) == ["b/c/three", "b/two", "one"]


def test_the_dicom_files_of_a_study_are_one_source_in_the_folder_that_holds_them_all(tmp_path: Path) -> None:
    series(tmp_path / "anna" / "s1", StudyInstanceUID="1.2.1")
    series(tmp_path / "anna" / "s2", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.3.2")
    series(tmp_path / "ben", StudyInstanceUID="1.2.2")
    sources = find_sources([tmp_path])
    assert places(sources) == ["anna", "ben"]
    assert [len(source.files) for source in sources] == [6, 3]
    assert sources[1].read().pixels.shape == (3, 8, 8)
    assert sources[1].read().source == tmp_path / "ben"


def test_a_folder_of_one_series_is_called_after_itself(tmp_path: Path) -> None:
    series(tmp_path / "head")
    assert places(find_sources([tmp_path / "head"])) == ["head"]


def test_two_studies_in_one_folder_get_places_of_their_own(tmp_path: Path) -> None:
    for number in (1, 2):
        for file in series(tmp_path / "in" / f"{number}", StudyInstanceUID=f"1.2.{number}"):
            shutil.move(file, tmp_path / "in" / f"{number}-{file.name}")
        (tmp_path / "in" / f"{number}").rmdir()
    assert places(find_sources([tmp_path / "in"])) == ["in", "in-2"]


def test_files_of_one_stem_are_told_apart_by_their_endings(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.tif")
    picture(tmp_path / "b.png")
    assert places(find_sources([tmp_path])) == ["a-png", "a-tif", "b"]


def test_files_of_one_name_are_numbered(tmp_path: Path) -> None:
    files = [picture(tmp_path / folder / "a.png") for folder in ("x", "y")]
    assert len(set(places(find_sources(files)))) == 2


def test_results_are_not_looked_at_again(tmp_path: Path) -> None:
    picture(tmp_path / "one.png")
    picture(tmp_path / "out" / "one-overlay.png")
    assert places(find_sources([tmp_path], leave_out=tmp_path / "out")) == ["one"]
    assert len(find_sources([tmp_path])) == 2


def test_a_file_that_is_a_scan_by_its_name_alone_comes_last_and_says_what_is_wrong(tmp_path: Path) -> None:
    picture(tmp_path / "z.png")
    for name in ("a.nii", "b.mat", "c.dcm", "d.zip"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "e.txt").write_text("no scan")
    first, *others = find_sources([tmp_path])
    assert first.place.name == "z"
    assert places(others) == ["a", "b", "c", "d"]
    for source in others:
        with pytest.raises(TumorlensError, match=r": expected .*, got an empty file$"):
            source.read()


def test_a_damaged_file_beside_a_study_s_own_goes_with_it_and_is_told(tmp_path: Path) -> None:
    series(tmp_path / "one", StudyInstanceUID="1.2.1")
    series(tmp_path / "two", StudyInstanceUID="1.2.2")
    (tmp_path / "one" / "cut.dcm").write_bytes(b"cut")
    one, two, cut = find_sources([tmp_path])
    assert (one.read().unreadable, two.read().unreadable) == (1, 0)
    with pytest.raises(TumorlensError, match=r"cut\.dcm: expected a DICOM file, got something else$"):
        cut.read()


@pytest.mark.parametrize("way", [".", "..", "../here"])
def test_the_current_folder_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    series(tmp_path / "here")
    (tmp_path / "here" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "here" / ("below" if way == ".." else ""))
    [source] = find_sources([Path(way)])
    assert (source.path.name, source.place) == ("here", Path("here"))
    assert read_scan(way).source.name == "here"


def test_a_folder_without_scans_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(TumorlensError, match=r"expected a folder with scans .* found none"):
        find_sources([tmp_path])


def test_an_unreadable_file_in_a_folder_is_a_source_that_will_say_why(tmp_path: Path) -> None:
    (tmp_path / "one.png").symlink_to(tmp_path / "absent.png")
    [source] = find_sources([tmp_path])
    with pytest.raises(TumorlensError, match="No such file"):
        source.read()


def test_a_fingerprint_changes_with_content_and_place_and_with_nothing_else(tmp_path: Path) -> None:
    one, other = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    first = Source(one, Path("a")).fingerprint
    assert Source(one, Path("x")).fingerprint == first
    assert Source(other, Path("a")).fingerprint != first
    one.write_bytes(one.read_bytes() + b"\0")
    assert Source(one, Path("a")).fingerprint != first
    assert Source(tmp_path / "absent", Path("a")).fingerprint
