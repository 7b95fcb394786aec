"""Names and texts of a scan say what it is and not whose."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from tests.finding.made import IDENTITY, dicom_scan
from tumorlens.finding.privacy import REMOVED, public_name, public_place, public_stem, public_text
from tumorlens.scan import Scan
from tumorlens.scan.origin import Identity

SEPARATORS = st.sampled_from(["", " ", "_", "-", "^", ".", ", ", "--", "%20"])


def named(source: str, identity: Identity = IDENTITY) -> Scan:
    return dicom_scan(1, source=source, identity=identity)


def dataset(**tags: object) -> Dataset:
    made = Dataset()
    for keyword, value in tags.items():
        setattr(made, keyword, value)
    return made


# --- File names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "Muster.dcm", "erika_t1.dcm", "t1-MUSTER^ERIKA.dcm", "m u s t e r.dcm", "xMusterx.dcm", "Mu_ster.dcm",
        "pid4711.dcm", "PID_4711.dcm", "ACC99.dcm", "scan acc-99 b.dcm",
        "19640812.dcm", "1964-08-12.dcm", "12.08.1964.dcm", "12-08-1964.dcm", "08-12-1964.dcm", "640812.dcm",
        "20240301101500.dcm", "01.03.2024.dcm", "03-01-2024.dcm", "1.3.2024.dcm", "t1 1 Mar 2024.dcm",
        "12.8.64.dcm", "8-12-64.dcm", "64.8.12.dcm",
        "1.2.826.0.1.3680043.8.498.11.dcm",
        "1.2.826.0.1.3680043.8.498.12_0001.dcm", "1.3.6.1.4.1.5962.1.1.dcm",
    ],
)  # fmt: skip
def test_a_name_that_tells_whose_it_is_becomes_neutral(name: str) -> None:
    assert public_name(named(name)) == "scan.dcm"


@pytest.mark.parametrize(
    "name", ["IM00001.dcm", "t1_tra.dcm", "must.dcm", "4711.dcm", "slice 64.dcm", "2024.dcm"]
)
def test_a_name_that_tells_nothing_stays(name: str) -> None:
    assert public_name(named(name)) == name


@pytest.mark.parametrize("ending", [".dcm", ".IMA", ".nii.gz", ".zip", "", ".tar"])
def test_only_the_ending_of_a_kind_of_file_is_kept(ending: str) -> None:
    kept = "" if ending == ".tar" else ending
    assert public_name(named("Muster" + ending)) == "scan" + kept
    assert public_name(named("a" + ending)) == "a" + ending


@pytest.mark.parametrize("name", ["t1.Muster", "study.4711PID4711", "1.2.826.0.1.3680043.8.498.11"])
def test_an_ending_that_tells_whose_it_is_goes_too(name: str) -> None:
    assert public_name(named(name)) == "scan"


def test_a_source_that_names_nobody_keeps_its_name() -> None:
    scan = Scan(np.ones((1, 2, 2)), Path("Muster_Erika.png"))
    assert public_name(scan) == "Muster_Erika.png"
    assert public_stem(scan) == "Muster_Erika"
    assert public_place(Path("Muster/Erika"), scan) == Path("Muster/Erika")


def test_parts_of_two_letters_are_looked_for_together_only() -> None:
    identity = Identity(patient_name="Li^Bo")
    assert public_name(named("liver_bone.dcm", identity)) == "liver_bone.dcm"
    for name in ("li_bo.dcm", "BoLi.dcm", "Li^Bo.dcm"):
        assert public_name(named(name, identity)) == "scan.dcm"


def test_numbers_of_two_signs_are_not_looked_for() -> None:
    identity = Identity(patient_id="12", accession_number="-7-")
    assert public_name(named("IM1207.dcm", identity)) == "IM1207.dcm"


@pytest.mark.parametrize("name", ["0004711.dcm", "4711.dcm"])
def test_zeros_in_front_of_a_number_hide_nothing(name: str) -> None:
    assert public_name(named(name, Identity(patient_id="0004711"))) == "scan.dcm"


@pytest.mark.parametrize("patient", ["Müller^Zoë", "Mueller^Zoe", "MULLER^ZOE"])
@pytest.mark.parametrize("name", ["müller.dcm", "Mueller.dcm", "muller.dcm", "ZOË.dcm", "mu\u0308ller.dcm"])
def test_accents_hide_nothing(patient: str, name: str) -> None:
    assert public_name(named(name, Identity(patient_name=patient))) == "scan.dcm"


@pytest.mark.parametrize("name", ["王小东.dcm", "王.dcm", "wang.dcm"])
def test_a_name_in_signs_is_found_by_each_of_its_forms(name: str) -> None:
    assert public_name(named(name, Identity(patient_name="Wang^XiaoDong=王^小东"))) == "scan.dcm"


@pytest.mark.parametrize(
    ("keyword", "value", "name"),
    [
        ("SOPInstanceUID", "2.25.301", "2.25.301.dcm"),
        ("AcquisitionDateTime", "20231224080000.0", "24.12.2023.dcm"),
        ("SeriesDate", "20231224", "20231224.dcm"),
        ("OtherPatientIDs", "OLD-5", "old5.dcm"),
        ("PatientBirthName", "Vormals", "vormals.dcm"),
        ("OtherPatientIDs", ["OLD-5", "OLD-66"], "old66.dcm"),
        ("StudyID", "SID-99887766", "SID-99887766_t1.dcm"),
        ("ReferringPhysicianName", "Schmidt^A", "t1 schmidt.dcm"),
        ("OtherPatientIDsSequence", [dataset(PatientID="HOSP-556677")], "HOSP-556677_t1.dcm"),
        ("RequestAttributesSequence", [dataset(AccessionNumber="ORD-31337")], "ord31337.dcm"),
    ],
)
def test_what_else_a_header_tells_is_looked_for(keyword: str, value: str, name: str) -> None:
    scan = named(name)
    assert public_name(scan) == name
    header = Dataset()
    setattr(header, keyword, value)
    assert scan.origin is not None
    origin = dataclasses.replace(scan.origin, headers=(header,))
    assert public_name(dataclasses.replace(scan, origin=origin)) == "scan.dcm"


def test_a_name_in_utf_8_that_is_said_to_be_latin_1_is_found() -> None:
    identity = dataclasses.replace(IDENTITY, patient_name="Müller^Jörg".encode().decode("latin-1"))
    for name in ("Müller_t1.dcm", "Mueller_t1.dcm", "t1-jorg.dcm"):
        assert public_name(named(name, identity)) == "scan.dcm"


def test_a_header_with_a_value_that_makes_no_sense_hides_the_rest_all_the_same() -> None:
    scan = named("Muster.dcm")
    header = dataset(StudyID="1")
    header[0x00101005] = RawDataElement(BaseTag(0x00101005), "SS", 3, b"abc", 0, False, True)
    assert scan.origin is not None
    origin = dataclasses.replace(scan.origin, headers=(header,))
    assert public_name(dataclasses.replace(scan, origin=origin)) == "scan.dcm"


# --- Places of results ------------------------------------------------------------------------------------


def test_every_part_of_a_place_that_tells_whose_it_is_becomes_neutral() -> None:
    place = public_place(Path("study/Muster_Erika/t1"), named("a.dcm"))
    assert place.parts[::2] == ("study", "t1")
    assert place.parts[1].startswith("scan-")


def test_results_of_different_scans_never_share_a_neutral_place() -> None:
    one, other = named("PID-4711.dcm"), named("PID-4711.dcm")
    assert public_stem(one) == public_stem(other)
    changed = one.pixels.copy()
    changed[0, 0, 0] += 1
    other = dataclasses.replace(one, slices=changed)
    assert public_stem(one) != public_stem(other)
    assert public_stem(one) == public_place(Path("PID-4711"), one).name


def test_a_stem_is_the_name_without_its_ending() -> None:
    assert public_stem(named("t1.nii.gz")) == "t1"
    assert public_stem(named("v1.2")) == "v1.2"


# --- Texts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MR, t1_se_tra +C, axial, 24 slices", "MR, t1_se_tra +C, axial, 24 slices"),
        ("MR, Erika Muster t1, axial", f"MR, {REMOVED} t1, axial"),
        ("t1_muster_tra +C", f"{REMOVED} +C"),
        ("Erika, t1, Muster", f"{REMOVED}, t1, {REMOVED}"),
        ("t1 PID 4711 +C", f"t1 {REMOVED} +C"),
        ("t1 of 01. 03. 2024, axial", f"t1 of {REMOVED}, axial"),
        ("asked for by --series 1.2.826.0.1.3680043.8.498.12", f"asked for by --series {REMOVED}"),
        ("1.3.12.2.1107.5.2.6.24119", REMOVED),
        ("", ""),
    ],
)
def test_words_that_tell_whose_it_is_are_removed(text: str, expected: str) -> None:
    assert public_text(text, named("a")) == expected


def test_no_text_stays_none() -> None:
    assert public_text(None, named("a")) is None


NAMES = st.text("abcdefghijklmnopqrstuvwxyzäöüßéø", min_size=3, max_size=9)


@given(
    first=NAMES,
    last=NAMES,
    number=st.text("0123456789ABCX-", min_size=3, max_size=10).filter(
        lambda text: sum(map(str.isalnum, text)) >= 5
    ),
    birth=st.dates(),
    upper=st.booleans(),
    data=st.data(),
)
def test_however_it_is_written_a_name_number_or_date_is_found(
    first: str, last: str, number: str, birth: object, upper: bool, data: st.DataObject
) -> None:
    year, month, day = str(birth).split("-")
    identity = Identity(patient_name=f"{last}^{first}", patient_id=number, birth_date=year + month + day)
    between = data.draw(SEPARATORS)
    secret = data.draw(
        st.sampled_from([first, last, number, between.join((last, first)), year + month + day])
        | st.sampled_from([(year, month, day), (day, month, year), (month, day, year)]).map(
            lambda parts: data.draw(st.sampled_from(["-", ".", "_", "/", " "])).join(parts)
        )
    )
    secret = secret.upper() if upper else secret
    scan = named(f"t1_{secret}.dcm".replace("/", "-"), identity)
    assert public_name(scan) == "scan.dcm"
    text = public_text(f"MR, t1 {secret} +C", scan)
    assert text is not None
    assert secret not in text.replace(REMOVED, "")
    assert REMOVED in text
