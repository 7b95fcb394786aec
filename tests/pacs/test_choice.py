from pathlib import Path

import pytest

from tests.pacs.orthanc import Orthanc
from tests.pacs.proxy import Answer, Asked, Proxy
from tests.pacs.studies import write_study
from tumorlens.errors import TumorlensError
from tumorlens.pacs.choice import choose_series
from tumorlens.pacs.errors import NothingSuitableError
from tumorlens.pacs.server import PacsServer

T1 = {"SeriesDescription": "t1_mprage +C", "SeriesNumber": 2}
FLAIR = {"SeriesDescription": "t2_flair_tra", "SeriesNumber": 1, "ContrastBolusAgent": ""}
SEG = {"Modality": "SEG", "SeriesDescription": "t1 +C segmentation", "SeriesNumber": 3}


def stored(orthanc: Orthanc, folder: Path, *series: dict[str, object]) -> str:
    """Store a study of several series; gives its UID."""
    study = ""
    for number, tags in enumerate(series):
        uid = f"1.2.9.{number}"
        study, files = write_study(folder / f"{number}", "1", 6, **{"SeriesInstanceUID": uid, **tags})
        orthanc.add(files)
    return study


def test_t1_with_contrast_is_chosen_by_its_header(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path
) -> None:
    study = stored(orthanc, folder, FLAIR, SEG, T1)
    series, reason = choose_series(server, study)
    assert series.description == "t1_mprage +C"
    assert reason is not None
    assert "a contrast agent in the header" in reason, "which no listing has"
    files = [each for each in proxy.log if "multipart/related" in each.headers["Accept"]]
    assert not files, "no pixels are fetched to choose"


@pytest.mark.parametrize("wanted", ["flair", "1", "1.2.9.0"])
def test_a_series_is_chosen_by_its_description_its_place_or_its_uid(
    orthanc: Orthanc, server: PacsServer, folder: Path, wanted: str
) -> None:
    study = stored(orthanc, folder, FLAIR, SEG, T1)
    series, _ = choose_series(server, study, wanted)
    assert series.uid == "1.2.9.0"


def test_a_series_that_isnt_there_is_said_with_those_that_are(
    orthanc: Orthanc, server: PacsServer, folder: Path
) -> None:
    study = stored(orthanc, folder, FLAIR, T1)
    with pytest.raises(TumorlensError, match=r"got none for 'dwi'.*1\) MR, t2_flair_tra"):
        choose_series(server, study, "dwi")


@pytest.mark.parametrize(
    ("series", "words"),
    [
        (({"Modality": "CT"}, SEG), "expected a study with an MR series, got series of: CT, SEG"),
        ((FLAIR,), "expected an MR series with T1 contrast, got 1 that don't look like one"),
    ],
)
def test_a_study_without_t1_has_nothing_suitable(
    orthanc: Orthanc, server: PacsServer, folder: Path, series: tuple[dict[str, object], ...], words: str
) -> None:
    study = stored(orthanc, folder, *series)
    with pytest.raises(NothingSuitableError, match=words):
        choose_series(server, study)


def test_a_study_that_is_unknown_there_has_nothing_suitable(server: PacsServer) -> None:
    with pytest.raises(NothingSuitableError, match="got series of: none"):
        choose_series(server, "1.2.3")


def test_a_server_that_hands_out_no_headers_is_judged_by_its_listing(
    orthanc: Orthanc, server: PacsServer, proxy: Proxy, folder: Path
) -> None:
    def no_headers(asked: Asked) -> Answer | None:
        return Answer(406) if asked.path.endswith("/metadata") else None

    study = stored(orthanc, folder, FLAIR, T1)
    proxy.instead = no_headers
    series, _ = choose_series(server, study)
    assert series.description == "t1_mprage +C"
