"""What radiology departments write into descriptions is understood as they mean it."""

import pytest

from tumorlens.scan.description import names_agent, understood

WITH_CONTRAST = """
T1 axial Gd | t1_mpr_tra_KM | AX T1 POST | T1 SE AX +C | SAG T1 GADO | T1W_3D_TFE_CE | 3D BRAVO C+
T1 post KM | T1 nach KM | t1_se_tra_nKM | T1 mit KM | t1_mprage_sag_p2_iso_KM | T1 +KM | T1 Kontrast
T1 apres injection | T1 inj | T1 EG 3D INJ | T1 GADO FS | T1 C+ | Ax T1 avec contraste
T1 mdc | T1 dopo mdc | T1 con mdc | SE T1 ASSIALE MDC | T1 con contraste | T1 axial c/c
T1 FS POST GAD | AX 3D SPGR POST | T1 +Gd | t1+c | T1+ | T1 enhanced | T1c | T1Gd | ce_T1 | cT1
AX T1 FLAIR +C | T1W SE (Gd-DTPA) | COR T1 SE POST | T1_CUBE_POST | T1 weighted post contrast | FSPGR 3D +GADO
eT1W_SE_CLEAR +C | T1 preop KM | AX T1 W/ CONTRAST | T1 no fatsat GD | T1 Gadovist | T1 POST-CONTRAST
"""
WITHOUT_CONTRAST = """
T1 pre | AX T1 PRE CONTRAST | T1 native | T1 nativ | T1 sans injection | T1 senza mdc | T1 ohne KM
T1 avant injection | T1 C- | AX T1 W/O | AX T1 WO CONTRAST | T1 non contrast | T1 noncon | T1 unenhanced
T1 basale | T1 sin contraste | Pre T1 | T1 (pre-Gd) | T1 no gad | T1 vor KM | T1 prae KM | T1 postop nativ
T1 without contrast | T1 axial s/c | T1 precontrast | T1 prima del mdc
"""
NOT_SAID = """
T1W SE | MPRAGE | t1_mprage_sag_p2_iso | t1_fl3d_tra | t1_vibe_fs_tra | T1 post fossa | T1W_IR | T1-weighted
t1_tirm_dark-fluid | T1 post-op | SAG 3D T1 MPRAGE | 3D SPGR | T1 sans fat sat
"""
NOT_T1 = """
T2 post | FLAIR + C | DWI b1000 | ADC | eADC | SUB T1 | T1 SUBTRACTION | t2_tse_tra | T2W_FLAIR
FLAIR post gad | ep2d_diff_3scan_trace_p2 | 3-plane loc | AAHead_Scout | localizer | CE-MRA | PD | SWI
SWI_mIP | relCBV | TOF_3D | DIFFUSION | Perfusion_Weighted | T1 MAP | T2* GRE | t2_tirm_cor | STIR | Survey
ASL | DTI | bold rest | fMRI finger | CISS | soustraction T1 | Field Map | Phase contrast
"""


def each(text: str) -> list[str]:
    return [name.strip() for line in text.strip().splitlines() for name in line.split("|")]


@pytest.mark.parametrize("text", each(WITH_CONTRAST))
def test_t1_with_contrast_is_understood(text: str) -> None:
    said = understood(text)
    assert said.t1
    assert said.contrast is True


@pytest.mark.parametrize("text", each(WITHOUT_CONTRAST))
def test_t1_without_contrast_is_understood(text: str) -> None:
    said = understood(text)
    assert said.t1
    assert said.contrast is False


@pytest.mark.parametrize("text", each(NOT_SAID))
def test_t1_of_which_nothing_is_said_is_understood(text: str) -> None:
    said = understood(text)
    assert said.t1
    assert said.contrast is None


@pytest.mark.parametrize("text", each(NOT_T1))
def test_another_weighting_or_a_map_is_understood(text: str) -> None:
    said = understood(text)
    assert said.other
    assert not said.t1


@pytest.mark.parametrize("text", ["Cor T1 dyn", "DCE", "t1_twist_dynamic"])
def test_a_dynamic_is_understood(text: str) -> None:
    assert understood(text).dynamic


@pytest.mark.parametrize(
    "text", ["T1 SPINE GD", "T1 C SPINE", "t1_tse_sag_HWS_KM", "T1 rachis lombaire", "T1 neck"]
)
def test_what_is_not_of_the_head_is_understood(text: str) -> None:
    assert understood(text).elsewhere


@pytest.mark.parametrize(
    "text", ["T1 cerveau gado", "T1 cervello mdc", "T1 Kopf KM", "T1 head", "T1 encefalo"]
)
def test_the_head_is_not_elsewhere(text: str) -> None:
    assert not understood(text).elsewhere


@pytest.mark.parametrize(
    "text", ["Gadovist", "8 ml Dotarem", "GADOLINIUM", "yes", "CONTRAST", "Normal dose Gd"]
)
def test_a_contrast_agent_is_named(text: str) -> None:
    assert names_agent(text)


@pytest.mark.parametrize(
    "text", ["", "NONE", "No", "no contrast", "ohne", "sans", "N/A", "0", "--", "nativ", "nessuno"]
)
def test_a_word_for_no_contrast_agent_names_none(text: str) -> None:
    assert not names_agent(text)
