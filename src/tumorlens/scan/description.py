"""What a series' description says, in the words of English, German, French, Italian and Spanish radiology."""

import re
from dataclasses import dataclass

_START, _END = r"(?<![a-z0-9])", r"(?![a-z0-9])"


def _words(*alternatives: str) -> re.Pattern[str]:
    """Any of these as words of their own; ``_`` and ``-`` divide words as a space does."""
    return re.compile(f"{_START}(?:{'|'.join(alternatives)}){_END}")


_WITHOUT_CONTRAST = _words(
    r"pre(?! ?(?:op|surg|rt|treat))",  # a scan before an operation may well have contrast
    r"prae(?! ?op)",
    r"precontrast",
    r"nativ[aeo]?",
    r"native",
    r"unenh\w*",
    r"plain",
    r"basale?",
    r"(?:non?|vor|avant|before|prima)(?: d[ei]l?)? ?(?:con\w*|kontr\w*|gd|gado?\w*|km|mdc|inj\w*|enh\w*)",
    r"(?:without|w/?o|ohne|sans|senza|sin)(?! ?(?:fat|fs|sat|graisse))",
)
_WITHOUT_CONTRAST_SIGN = re.compile(rf"{_START}c-(?![a-z0-9+])|{_START}s/c{_END}")
_CONTRAST = _words(
    r"post(?! ?(?:op|fossa|surg|rt|treat|rad|proc))",
    r"postcontrast",
    r"gd(?: dtpa)?",
    r"gad",
    r"gado\w*",
    r"gbca",
    r"contr(?:ast\w*)?",
    r"kontrast\w*",
    r"n?km",
    r"n km",
    r"mdc",
    r"cm",
    r"civ",
    r"ce",
    r"cet1\w*|ct1\w*|c/c",
    r"inj\w*",
    r"enh(?:anced)?",
    r"t1w? ?ce?(?! ?(?:spine|wirbel))",
    r"t1w? ?gd",
    r"t1km",
    r"dotarem|clariscan|magnevist|omniscan|prohance|multihance|primovist|vueway|elucirem",
)
_CONTRAST_SIGN = re.compile(
    rf"\+ ?(?:ce?|gd|km|gado?|contrast\w*|mdc|inj\w*){_END}|{_START}c ?\+|t1w? ?\+(?!\w)"
)
_T1 = re.compile(rf"{_START}(?:ce ?|[cesw])?t1(?!rho|\d)")  # some makers put a letter for the mode in front
_T1_SEQUENCES = _words(r"mp ?rage\w*", r"f?spgr\w*", r"bravo", r"s?tfe", r"\w*flash\w*", r"vibe")
# Weightings and maps whose names mean the same with and without T1 beside them.
_NOT_T1 = _words(
    r"t2\w*",
    r"dwi\w*",
    r"diff\w*",
    r"e?adc\w*",
    r"b ?\d{3,4}",
    r"trace\w*",
    r"dti\w*",
    r"tensor",
    r"swi\w*|swan|hemo",
    r"perf\w*|pwi|dsc|p?c?asl|(?:rel|r)?cb[vf]|mtt|ttp|tmax",
    r"bold|f ?mri|ep2d\w*",
    r"\w*tof\w*|mra|mrv|\w*angio\w*|venog\w*",
    r"mip|minip",
    r"pd\w?|proton\w*",
    r"\w*localizer|loc|\w*scout\w*|survey\w*|pilot|3 ?plane\w*|smartbrain",
    r"calib\w*|ref ?scan|asset\w*|shim\w*",
    r"csi|svs|spectro\w*|spektro\w*",
    r"phase ?(?:contr\w*|map\w*|diff\w*|image\w*)|pha|pca?|field ?map\w*|b[01] ?map",
    r"ciss|fiesta",
    r"subs?|subtr\w*|subtrakt\w*|soustr\w*|sottr\w*|sustr\w*",
    r"t1 ?map\w*|map|maps|mapping",
)
# Inversion recovery: of T1 weighting where T1 is said, else of T2.
_INVERSION = _words(r"flair\w*", r"tirm\w*", r"stir\w*", r"dark ?fluid")
_DYNAMIC = _words(r"dyn\w*", r"dce\w*", r"twist", r"tricks", r"keyhole", r"4d")
_ELSEWHERE = _words(
    r"\w*spine\w*|spinal\w*|wirbel\w*|rachis|rachide|moelle|colonna|column\w*|myel\w*",
    r"cervi[cx]\w*|lumb\w*|thor\w*|dors\w*|sacr\w*|[hbl]ws",
    r"neck|hals|cou|collo|abdo\w*|pelvis|knee|liver|breast",
)


@dataclass(frozen=True)
class Description:
    """What the words of a description stand for.

    Attributes:
        t1: T1 weighting.
        other: Another weighting, a map, a subtraction or a planning scan.
        contrast: Given (True), not given (False), or not said (None).
        dynamic: One of many quick scans after each other.
        elsewhere: Not of the head.
    """

    t1: bool
    other: bool
    contrast: bool | None
    dynamic: bool
    elsewhere: bool


def understood(text: str) -> Description:
    """What a description (a series', a protocol's and a sequence's, joined) says."""
    text = text.lower()
    words = re.sub(r"[\s_.,;:()\[\]*^=-]+", " ", text)
    signs = re.sub(r"[\s_.,;:()\[\]*^=]+", " ", text)  # where "c-" still ends in its sign
    named = bool(_T1.search(words))
    other = bool(_NOT_T1.search(words)) or (not named and bool(_INVERSION.search(words)))
    return Description(
        t1=not other and (named or bool(_T1_SEQUENCES.search(words))),
        other=other,
        contrast=_contrast(words, signs),
        dynamic=bool(_DYNAMIC.search(words)),
        elsewhere=bool(_ELSEWHERE.search(words)),
    )


def _contrast(words: str, signs: str) -> bool | None:
    if _WITHOUT_CONTRAST.search(words) or _WITHOUT_CONTRAST_SIGN.search(signs):
        return False
    if _CONTRAST.search(words) or _CONTRAST_SIGN.search(signs):
        return True
    return None


_NO_AGENT = _words(
    r"no(?:n|ne|t\w*|thing)?|kein\w*|nein|ohne|sans|senza|sin|without|nativ\w*|n/?a|0|aucun\w*|nessun\w*"
)


def names_agent(text: str) -> bool:
    """Whether a header's contrast agent is one, not a word for none."""
    words = re.sub(r"[\s_.,;:()*-]+", " ", text.lower()).strip()
    return bool(words) and not _NO_AGENT.match(words)


_HEAD = _words(
    r"head\w*|brain\w*|skull\w*|(?:intra)?cranial|crani\w*|pituitary|hypophysis|sella\w*|cereb\w*",
    r"neuro\w*|orbits?|iac",
    r"kopf|gehirn|sch[aä]del\w*|t[eê]te|cerveau|cr[aâ]ne|testa|cervello|cranio|cabeza|cerebro",
)
_OTHER_PARTS = _words(
    r"[clts]{0,2}spine|spinal cord|neck|chest|thorax|heart|cardiac|breasts?|abdomen|pelvis|liver|kidneys?",
    r"pancreas|prostate|uterus|bladder|rectum|hips?|knees?|ankles?|foot|feet|hands?|wrists?|elbows?|shoulders?",
    r"humerus|femur|thighs?|calf|legs?|arms?|extremity|(?:up|low)extremity|jaw|tmj",
)


def body_part(text: str) -> bool | None:
    """Whether a header's part of the body is the head (True) or not (False); None where it doesn't say."""
    words = text.lower()
    if _HEAD.search(words):
        return True
    return False if _OTHER_PARTS.search(words) else None
