"""What was found on a scan, as plain data in the scan's own geometry."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tumorlens.finding.maps import SliceMaps
from tumorlens.finding.measure import Diameters, largest_diameters
from tumorlens.finding.warning import FindingWarning
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tumorlens.finding.write import Format, WriteOptions


@dataclass(frozen=True)
class Confidence:
    """How sure the name is, in a word, and what the word has been worth.

    Attributes:
        word: ``high``, ``moderate`` or ``low``.
        probability: Of the named type, calibrated.
        accuracy: How often slices with this word were named rightly, by models that hadn't seen their
            patients; None where it wasn't measured.
        slices: On how many slices that was measured.
    """

    word: str
    probability: float
    accuracy: float | None
    slices: int

    def __str__(self) -> str:
        if self.accuracy is None:
            return f"{self.word} confidence"
        return f"{self.word} confidence (right in {self.accuracy:.1%} of {self.slices} slices)"


@dataclass(frozen=True)
class Finding:
    """The outline and the type of a tumor.

    Attributes:
        scan: What was analysed.
        mask: (slices, rows, columns) of the scan, True on the tumor; None where no model outlined.
        probabilities: Of each tumor type, calibrated, summing to 1; None where no model named.
        tumor_probability: Slices of (rows, columns) in [0, 1], each pixel's; None where no model outlined.
        heatmap: Slices of (rows, columns) in [0, 1], what spoke for the named type, 1 at its strongest; None
            where no model tells.
        confidence: In the name; None where no model named.
        strangeness: How unlike the slices trained on it looks (`tumorlens.familiarity`), the median of the
            slices that show the tumor, or of all; None where that wasn't asked.
        warnings: What a reader should know before trusting this.
        model: Name of what found it.
    """

    scan: Scan
    mask: NDArray[np.bool_] | None
    probabilities: dict[TumorType, float] | None
    tumor_probability: SliceMaps | NDArray[np.float32] | None = None
    heatmap: SliceMaps | NDArray[np.float32] | None = None
    confidence: Confidence | None = None
    strangeness: float | None = None
    warnings: tuple[FindingWarning, ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        for name in ("mask", "tumor_probability", "heatmap"):
            values = getattr(self, name)
            if values is not None and values.shape != self.scan.shape:
                raise ValueError(
                    f"expected a {name} of the scan's shape {self.scan.shape}, got {values.shape}"
                )

    def write(
        self,
        out: Path | str,
        formats: "Iterable[Format | str] | None" = None,
        *,
        name: str | None = None,
        options: "WriteOptions | None" = None,
    ) -> list[Path]:
        """Write it as files; by default an overlay, a JSON and an HTML report.

        Args:
            out: The folder; made if missing.
            formats: Which; see `tumorlens.finding.write.Format`.
            name: What the files' names begin with; the source's own name by default, unless that tells whose
                scan it is.
            options: How.

        Returns:
            The files.

        Raises:
            TumorlensError: A format isn't known, or a DICOM format is asked of what didn't come as DICOM.
            OSError: A file can't be written.
        """
        from tumorlens.finding.privacy import public_stem
        from tumorlens.finding.write import DEFAULT_FORMATS, write_finding

        chosen = DEFAULT_FORMATS if formats is None else formats
        return write_finding(self, Path(out), name or public_stem(self.scan), chosen, options)

    @property
    def tumor_type(self) -> TumorType | None:
        """The likeliest type, or None where no model named."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @cached_property
    def tumor_pixels(self) -> tuple[int, ...] | None:
        """How many pixels are outlined on each slice; None where no model outlined."""
        if self.mask is None:
            return None
        return tuple(int(np.count_nonzero(each)) for each in self.mask)

    @property
    def tumor_slices(self) -> tuple[int, ...]:
        """The slices on which something is outlined, from 0."""
        return tuple(index for index, count in enumerate(self.tumor_pixels or ()) if count)

    @property
    def key_slice(self) -> int:
        """The slice with the largest outline; the middle one without any."""
        counts = self.tumor_pixels
        if counts is None or not any(counts):
            return len(self.scan.slices) // 2
        return int(np.argmax(counts))

    @property
    def area_mm2(self) -> float | None:
        """The largest outlined area of a slice in mm², or None without an outline or a spacing."""
        if self.tumor_pixels is None or self.scan.spacing is None:
            return None
        return max(self.tumor_pixels) * self.scan.spacing[0] * self.scan.spacing[1]

    @property
    def volume_mm3(self) -> float | None:
        """The outlined volume in mm³; None for a single slice, without an outline or a spacing."""
        if self.tumor_pixels is None or self.scan.voxel_mm3 is None or not self.scan.is_volume:
            return None
        return sum(self.tumor_pixels) * self.scan.voxel_mm3

    @cached_property
    def diameters(self) -> Diameters | None:
        """The two largest diameters in a slice; None without an outline or a spacing."""
        if self.mask is None or self.scan.spacing is None:
            return None
        return largest_diameters(self.mask, self.scan.spacing)
