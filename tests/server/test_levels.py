"""Values of any source as 16 bits, and harmless names."""

from pathlib import Path

import numpy as np
import pytest

from tumorlens import Finding, Scan
from tumorlens.server.labels import clean, for_client, label, neutral
from tumorlens.server.levels import levels_of


def finding(pixels: object, mask: object = None) -> Finding:
    return Finding(Scan(np.asarray(pixels), Path("scan")), mask, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", ">u2", ">i2", "u4", "i4", "i8"])
def test_whole_numbers_come_back_as_they_are(kind: str) -> None:
    low, high = max(np.iinfo(kind).min, -20_000), min(np.iinfo(kind).max, 40_000)
    pixels = np.linspace(low, high, 400).astype(kind).reshape(2, 10, 20)
    levels = levels_of(finding(pixels))
    for each in pixels:
        assert np.array_equal(levels.stored(each) * levels.slope + levels.intercept, each.astype(float))
        assert levels.stored(each).dtype == "<u2"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1e-30, 1e-30), (-1e38, 3e38), (5e8, 5e8 + 1e6)])
def test_other_numbers_come_back_to_a_65535th(low: float, high: float) -> None:
    pixels = np.linspace(low, high, 400).reshape(1, 20, 20)
    levels = levels_of(finding(pixels))
    back = levels.stored(pixels[0]).astype(float) * levels.slope + levels.intercept
    assert np.abs(back / 2 - pixels[0] / 2).max() <= levels.slope * 0.51
    assert levels.stored(pixels[0]).max() == 65535


def test_numbers_of_64_bits_that_differ_little_stay_apart() -> None:
    pixels = np.arange(400, dtype=np.int64).reshape(1, 20, 20) - 10**9
    levels = levels_of(finding(pixels))
    assert np.array_equal(levels.stored(pixels[0]), np.arange(400).reshape(20, 20))


def test_a_few_bright_pixels_dont_make_all_others_dark() -> None:
    pixels = np.tile(np.arange(1000, dtype=np.uint16), (1, 100, 1))
    pixels[0, 0, :5] = 60_000
    levels = levels_of(finding(pixels))
    assert levels.window.high < 1000
    assert dict(levels.presets)["Full range"].high == 60_000
    assert "Around the tumor" not in dict(levels.presets)


def test_a_window_is_offered_for_the_tumor_and_what_is_around_it() -> None:
    pixels = np.zeros((1, 100, 100), np.uint16)
    pixels[0, 40:60, 40:60] = np.arange(500, 520)
    pixels[0, :10] = 3000
    mask = np.zeros(pixels.shape, np.bool_)
    mask[0, 40:60, 40:60] = True
    window = dict(levels_of(finding(pixels, mask)).presets)["Around the tumor"]
    assert (window.low, window.high) == (0, 519)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a/b/c.png", "c.png"),
        ("a\\b\\c.png", "c.png"),
        ("../..", ""),
        ("a\x00\r\n\x1b[31m.png", "a [31m.png"),
        ("x" * 300 + ".nii.gz", "x" * 93 + ".nii.gz"),
        (".hidden", "hidden"),
        ("e\u0301.png", "é.png"),
        ("\ud800.png", "png"),
        ("\u202egnp.exe", "gnp.exe"),
    ],
)
def test_names_of_clients_become_one_line(name: str, expected: str) -> None:
    assert clean(name) == expected


def test_several_files_are_called_by_the_folder_they_share() -> None:
    assert label(["study/a/1", "study/b/2"]) == "study"
    assert label(["1", "2"]) == "2 files"
    assert label(["a/1", "b/2"]) == "2 files"
    assert label(["../1", "../2"]) == "2 files"
    assert label([""]) == "scan"


def test_sentences_for_clients_have_no_paths_of_this_machine() -> None:
    upload = Path("/data/analyses/0/upload")
    assert neutral("Erika.nii.gz") == "scan.nii.gz"
    file = upload / "000001.png"
    assert for_client(f"{file}: expected a whole PNG", file, "scan.png") == "scan.png: expected a whole PNG"
    assert for_client("000001.png: too large", file, "scan.png") == "scan.png: too large"
    told = for_client(
        f"{upload}: found none (2 can't be used, such as {upload}/000002: cut short)", upload, "scan"
    )
    assert told == "scan: found none (2 can't be used, such as file 2: cut short)"
    inside = for_client(f"{file.name}: 000003-Muster_Erika.dcm: is cut short", file, "scan.zip")
    assert inside == "scan.zip: file 4: is cut short"
