"""Pictures that are no T1 contrast-enhanced brain slice, for the benchmarks.

Nothing is downloaded: the pictures come with
``pip install scikit-image scikit-learn pydicom pydicom-data nilearn`` and
``pip install --no-deps dipy pywavelets``. No choice in any design was made by the kinds marked *new*.
"""

import importlib.util
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tumorlens.preprocess import prepare_image, to_unit_range

INSTALL = (
    "pip install scikit-image scikit-learn pydicom pydicom-data nilearn, then pip install --no-deps dipy "
    "pywavelets"
)
Picture = NDArray[np.generic]
Change = Callable[[NDArray[np.float32], np.random.Generator], Picture]
NEW = " (*new*)"


# --- Pictures from packages -------------------------------------------------------------------------------


def package_folder(name: str, *below: str) -> Path:
    """A folder inside an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{name}: not installed; {INSTALL}")
    return Path(next(iter(spec.submodule_search_locations))).joinpath(*below)


def gray(pixels: NDArray[Any]) -> Picture:
    """A picture's luminance, (rows, columns)."""
    if pixels.ndim == 2:
        return pixels
    return np.asarray(pixels[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114])


def gray_file(path: Path) -> Picture:
    """A picture file's luminance, (rows, columns)."""
    return gray(np.asarray(Image.open(path).convert("RGB")))


def crops(picture: Picture, random: np.random.Generator, n: int) -> Iterator[Picture]:
    """The picture and ``n`` square cuttings between a quarter and two thirds of its smaller side."""
    yield picture
    for _ in range(n):
        side = max(int(min(picture.shape) * random.uniform(0.25, 0.67)), 8)
        top, left = (int(random.integers(0, length - side + 1)) for length in picture.shape)
        yield picture[top : top + side, left : left + side]


def photographs(random: np.random.Generator) -> dict[str, list[Picture]]:
    """Bundled photographs and cuttings of them; every other file served the design."""
    folder = package_folder("skimage", "data")
    files = [path for path in sorted(folder.iterdir()) if path.suffix in {".png", ".jpg"}]
    files = [path for path in files if not path.stem.startswith(("phantom", "chessboard"))]
    seen = [gray_file(path) for path in files[::2]]
    files = files[1::2] + sorted(package_folder("sklearn", "datasets", "images").glob("*.jpg"))
    new = [gray_file(path) for path in files]
    new += [np.load(package_folder("pywt", "data") / f"{name}.npz")["data"] for name in ("aero", "ascent")]
    faces = np.load(folder / "lfw_subset.npy")[:24]
    return {
        "photographs": [crop for picture in seen for crop in crops(picture, random, 5)],
        f"photographs, others{NEW}": [crop for picture in new for crop in crops(picture, random, 5)],
        f"faces, 25 pixels{NEW}": list(faces),
    }


def distinct(pictures: list[Picture]) -> list[Picture]:
    """Without those that look the same as an earlier one: test files come in many encodings."""
    kept: list[Picture] = []
    seen: list[NDArray[np.float32]] = []
    for picture in pictures:
        prepared = prepare_image(picture, 64)
        if all(np.abs(prepared - other).mean() > 0.01 for other in seen):
            kept.append(picture)
            seen.append(prepared)
    return kept


def dicom_pictures(frames: int = 12) -> dict[str, list[Picture]]:
    """Every file of pydicom's that decodes; up to ``frames`` frames of each."""
    folders = {
        f"pydicom's files{NEW}": package_folder("pydicom", "data"),
        f"pydicom-data's files{NEW}": package_folder("data_store", "data"),
    }
    import pydicom

    found: dict[str, list[Picture]] = {}
    for kind, folder in folders.items():
        pictures: list[Picture] = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            try:
                record = pydicom.dcmread(path, force=True)
                pixels = record.pixel_array
            except Exception:  # noqa: S112 - whatever doesn't decode is no picture
                continue
            colour = int(record.get("SamplesPerPixel", 1)) == 3
            stack = pixels if pixels.ndim == (4 if colour else 3) else pixels[None]
            picks = np.unique(np.linspace(0, len(stack) - 1, frames).round().astype(int))
            pictures += [gray(stack[pick]) for pick in picks]
        found[kind] = distinct(pictures)
    return found


def volume_slices(volume: NDArray[Any], n: int) -> list[Picture]:
    """``n`` slices along each axis of a volume in RAS order, upright, from its inner 60%."""
    return [
        np.rot90(np.take(volume, int(share * volume.shape[axis]), axis))
        for axis in range(3)
        for share in np.linspace(0.2, 0.8, n)
    ]


def brain_volumes() -> dict[str, list[Picture]]:
    """The MNI152 template (no contrast agent, no skull) and diffusion scans of dipy's and nibabel's."""
    templates = package_folder("nilearn", "datasets", "data")
    diffusion = package_folder("dipy", "data", "files")
    nibabel_tests = package_folder("nibabel", "tests", "data")
    import nibabel

    def volume(path: Path) -> NDArray[Any]:
        image = nibabel.load(path)
        assert isinstance(image, nibabel.Nifti1Image)
        data = np.asarray(image.dataobj)
        return data.reshape(*data.shape[:3], -1)[..., 0]

    t1, gray_matter, white_matter = (
        volume(templates / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz")
        for tissue in ("t1", "gm", "wm")
    )
    files = [diffusion / f"{name}.nii.gz" for name in ("S0_10slices", "test_piesno", "ascm_out_test")]
    stacks = [volume(path) for path in [*files, nibabel_tests / "example4d.nii.gz"]]
    return {
        f"MNI152 T1 template{NEW}": volume_slices(t1, 20),
        f"MNI152 gray and white matter{NEW}": volume_slices(gray_matter, 10)
        + volume_slices(white_matter, 10),
        f"diffusion MRI of the brain{NEW}": [
            np.rot90(stack[:, :, row]) for stack in stacks for row in range(stack.shape[2])
        ],
    }


# --- Pictures drawn here ----------------------------------------------------------------------------------


def smoothed(picture: NDArray[np.floating], sigma: float) -> NDArray[np.float32]:
    """Blurred by about ``sigma`` pixels, by shrinking and growing: Pillow's own blur is for 8 bits only."""
    image = Image.fromarray(picture.astype(np.float32))
    width, height = (max(int(length / max(sigma, 1)), 1) for length in image.size)
    shrunk = image.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(shrunk.resize(image.size, Image.Resampling.BICUBIC), np.float32)


def noises(random: np.random.Generator) -> dict[str, list[Picture]]:
    """Noise without any object in it."""
    white: list[Picture] = [random.normal(size=(256, 256)) for _ in range(10)]
    white += [random.random((256, 256)) for _ in range(10)]
    clouds: list[Picture] = [
        smoothed(random.normal(size=(256, 256)), sigma) for sigma in (2, 4, 8, 16, 32, 64) for _ in range(6)
    ]
    salted: list[Picture] = [random.random((256, 256)) < share for share in np.linspace(0.002, 0.5, 12)]
    return {"noise": [*white, *(pixels.astype(np.float32) for pixels in salted)], "clouds": clouds}


def ellipses(random: np.random.Generator, n: int, head: bool) -> Picture:
    """``n`` random ellipses in flat gray; inside one large ellipse if ``head``."""
    image = Image.new("L", (256, 256), 0)
    draw = ImageDraw.Draw(image)
    if head:
        draw.ellipse((40, 20, 216, 236), fill=200)
        draw.ellipse((52, 32, 204, 224), fill=90)
    for _ in range(n):
        x, y = random.integers(60, 180, 2)
        a, b = random.integers(6, 50, 2)
        draw.ellipse((x - a, y - b, x + a, y + b), fill=int(random.integers(0, 256)))
    return np.asarray(image)


def page_of_text(random: np.random.Generator) -> Picture:
    """Lines of random letters, dark on light or light on dark."""
    light = bool(random.integers(2))
    image = Image.new("L", (256, 256), 255 if light else 0)
    draw = ImageDraw.Draw(image)
    for top in range(8, 250, int(random.integers(14, 40))):
        letters = "".join(chr(97 + code) for code in random.integers(0, 26, 30))
        draw.text((8, top), letters, fill=0 if light else 255, font_size=float(random.integers(9, 28)))
    return np.asarray(image)


def drawings(random: np.random.Generator) -> dict[str, list[Picture]]:
    """Patterns, text and phantoms."""
    ramp = np.linspace(0, 1, 256)
    y, x = np.meshgrid(ramp - 0.5, ramp - 0.5, indexing="ij")
    turns = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    patterns: list[Picture] = [np.full((256, 256), 7), *(np.cos(t) * x + np.sin(t) * y for t in turns)]
    patterns += [np.exp(-(x**2 + y**2) / width**2) for width in (0.05, 0.1, 0.2, 0.3, 0.5)]
    patterns += [np.sign(np.sin(x * k) * np.sin(y * k)) for k in (10.0, 20.0, 40.0, 90.0)]
    patterns += [np.sin(k * (np.cos(t) * x + np.sin(t) * y)) for k in (15.0, 60.0) for t in turns[:4]]
    patterns += [(x**2 + y**2 < radius**2).astype(float) for radius in (0.1, 0.2, 0.3, 0.4, 0.48)]
    shepp_logan = gray_file(package_folder("skimage", "data", "phantom.png"))
    phantoms = [shepp_logan, *(ellipses(random, int(n), True) for n in random.integers(0, 9, 20))]
    loose = [ellipses(random, int(n), False) for n in random.integers(1, 12, 12)]
    return {
        "patterns": patterns,
        "text": [page_of_text(random) for _ in range(24)],
        "ellipses and phantoms": [*phantoms, *loose],
    }


# --- Pictures made from real slices -----------------------------------------------------------------------


def head_of(unit: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The head on a slice in [0, 1]: what is bright after a wide blur."""
    wide = smoothed(unit, unit.shape[0] / 50)
    return np.asarray(wide > 0.3 * np.percentile(wide, 80))


def scaled(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scaled so that the brain's gray, the median within the head, is at 0.4."""
    return np.asarray(unit * (0.4 / max(float(np.median(unit[head_of(unit)])), 0.02)), np.float32)


def remapped(unit: NDArray[np.float32], knots: Sequence[tuple[float, float]]) -> Picture:
    """Gray values through a broken line from T1's (air 0, fluid 0.2, brain 0.4, fat 1) to others."""
    before, after = zip(*knots, strict=True)
    return np.asarray(np.interp(scaled(unit), before, after))


def t2_like(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """Fluid bright, white matter darker than gray, bone and air dark, fat middling."""
    level = random.uniform(0.35, 0.5)
    knots = [(0, 0), (0.08, 0.02), (0.16, 0.95), (0.3, 0.65), (0.45, level), (0.8, 0.5), (1.5, 0.7)]
    return remapped(unit, knots) * head_of(unit)


def flair_like(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """Fluid dark, brain bright and reversed, fat suppressed."""
    level = random.uniform(0.55, 0.75)
    knots = [(0, 0), (0.12, 0.03), (0.25, 0.1), (0.34, 0.9), (0.5, level), (0.7, 0.35), (1.5, 0.15)]
    return remapped(unit, knots)


def ct_like(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """A bright ring of bone, brain nearly flat inside it, a faint scalp."""
    from scipy import ndimage

    values = resized(scaled(unit), 256)
    depth = ndimage.distance_transform_edt(ndimage.binary_fill_holes(resized(1.0 * head_of(unit), 256) > 0.5))
    thickness = random.uniform(4, 7)
    flat = random.uniform(0.2, 0.45) + 0.1 * (values.clip(0, 1) - 0.4)
    picture = np.select([depth == 0, depth < 5, depth < 5 + thickness], [0, 0.25, 1], flat)
    return picture + random.normal(0, 0.01, picture.shape)


def shuffled(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """4 x 4 tiles in random order."""
    side = unit.shape[0] // 4
    tiles = [
        unit[r : r + side, c : c + side] for r in range(0, 4 * side, side) for c in range(0, 4 * side, side)
    ]
    order = random.permutation(16)
    return np.block([[tiles[order[4 * row + column]] for column in range(4)] for row in range(4)])


def quadrant(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """One quarter of the head's bounding box, which then fills the picture."""
    box = head_box(unit)
    middle = [(box[0] + box[1]) // 2, (box[2] + box[3]) // 2]
    rows = slice(box[0], middle[0]) if random.integers(2) else slice(middle[0], box[1])
    columns = slice(box[2], middle[1]) if random.integers(2) else slice(middle[1], box[3])
    return unit[rows, columns]


def head_box(unit: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """First row, end row, first column, end column of the head."""
    head = head_of(unit)
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def noisy(unit: NDArray[np.float32], random: np.random.Generator) -> Picture:
    """Rician noise as strong as the brain is bright."""
    level = 0.4 * float(np.median(unit[head_of(unit)])) * random.uniform(1, 2.5)
    noise = random.normal(0, level, (2, *unit.shape))
    return np.asarray(np.hypot(unit + noise[0], noise[1]))


ALTERED: dict[str, Change] = {
    "slices turned by 90°": lambda unit, _: np.rot90(unit),
    "slices turned by 180°": lambda unit, _: np.rot90(unit, 2),
    "slices turned by 270°": lambda unit, _: np.rot90(unit, 3),
    "slices upside down": lambda unit, _: unit[::-1],
    "slices inverted": lambda unit, _: 1 - unit,
    "slices blurred": lambda unit, random: smoothed(unit, unit.shape[0] / random.uniform(16, 28)),
    "slices with heavy noise": noisy,
    "quarters of slices": quadrant,
    "slices with shuffled tiles": shuffled,
    "two slices side by side": lambda unit, _: np.hstack([unit, unit]),
    "T2-like slices": t2_like,
    "FLAIR-like slices": flair_like,
    "CT-like slices": ct_like,
}


def jpeg(unit: NDArray[np.float32], quality: int) -> Picture:
    """Through an 8-bit JPEG."""
    memory = io.BytesIO()
    Image.fromarray((unit * 255).astype(np.uint8)).save(memory, "JPEG", quality=quality)
    return np.asarray(Image.open(memory))


def moved(unit: NDArray[np.float32], zoom: float = 1, right: float = 0, down: float = 0) -> Picture:
    """Enlarged about the middle and shifted, by shares of the width."""
    n = unit.shape[0]
    start = n * (1 - 1 / zoom) / 2
    matrix = (1 / zoom, 0, start - right * n, 0, 1 / zoom, start - down * n)
    image = Image.fromarray(unit).transform(
        unit.shape, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    return np.asarray(image)


def turned(unit: NDArray[np.float32], degrees: float) -> Picture:
    """Turned about the middle."""
    return np.asarray(Image.fromarray(unit).rotate(degrees, Image.Resampling.BILINEAR))


def cropped(unit: NDArray[np.float32]) -> Picture:
    """Cut tightly to the head."""
    box = head_box(unit)
    return unit[box[0] : box[1], box[2] : box[3]]


def resized(unit: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """Resampled to ``side`` pixels."""
    image = Image.fromarray(unit.astype(np.float32))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.float32)


HARMLESS: dict[str, Change] = {
    "unchanged": lambda unit, _: unit,
    "mirrored": lambda unit, _: unit[:, ::-1],
    "JPEG, quality 50": lambda unit, _: jpeg(unit, 50),
    "256 pixels": lambda unit, _: resized(unit, 256),
    "gamma 0.7": lambda unit, _: unit**0.7,
    "gamma 1.4": lambda unit, _: unit**1.4,
    "window to the 99.5th percentile": lambda unit, _: unit.clip(0, np.percentile(unit, 99.5)),
    "shift by 5%": lambda unit, random: moved(unit, 1, *random.choice([-0.05, 0.05], 2)),
    "turn by ±10°": lambda unit, random: turned(unit, float(random.choice([-10, 10]))),
    "zoom 0.85": lambda unit, _: moved(unit, 0.85),
    "zoom 1.15": lambda unit, _: moved(unit, 1.15),
    "cropped to the head": lambda unit, _: cropped(unit),
}


def changed(slices: Sequence[Picture], changes: dict[str, Change], seed: int = 0) -> dict[str, list[Picture]]:
    """Every change made to every slice."""
    random = np.random.default_rng(seed)
    units = [to_unit_range(pixels) for pixels in slices]
    return {kind: [change(unit, random) for unit in units] for kind, change in changes.items()}


def strange_pictures(slices: Sequence[Picture], seed: int = 0) -> dict[str, list[Picture]]:
    """All kinds of pictures that are no T1 contrast-enhanced brain slice.

    Args:
        slices: Real slices, (rows, columns) each, from which some kinds are made.
        seed: For whatever is drawn at random.

    Returns:
        By kind, pictures (rows, columns) of any size, type and range.
    """
    return changed(slices, ALTERED, seed) | other_pictures(seed)


def other_pictures(seed: int = 0) -> dict[str, list[Picture]]:
    """The kinds of `strange_pictures` that aren't made from real slices."""
    random = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # test files are deliberately odd
        return noises(random) | drawings(random) | photographs(random) | dicom_pictures() | brain_volumes()
