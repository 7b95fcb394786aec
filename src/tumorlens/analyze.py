"""The Analyzer: a scan in, a finding out.

It prepares the slices, asks the models, and makes what they say of a scan's slices one finding.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.assemble import SliceOpinion, assemble
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.ensemble import Ensemble, Opinion
from tumorlens.finding import Finding
from tumorlens.parallel import in_order
from tumorlens.preprocess import prepare_image
from tumorlens.scan import Scan

_BATCH = 4  # slices; more at once leave the processor's caches and are slower


class Analyzer:
    """Turns scans into findings. Loaded once, called many times, from any thread.

    Args:
        source: A bundle, the path of one, or models of your own; by default the bundle that comes with the
            package.

    Raises:
        TumorlensError: The bundle is damaged, too new or not there.
    """

    def __init__(self, source: Ensemble | Bundle | Path | str | None = None) -> None:
        if isinstance(source, Ensemble):
            self._ensemble = source
        else:
            bundle = source if isinstance(source, Bundle) else open_bundle(source)
            self._ensemble = bundle.load()

    @property
    def name(self) -> str | None:
        """What the models are called together."""
        return self._ensemble.name

    def analyze(
        self, scan: Scan, *, largest_component: bool = False, report: Callable[[int], None] | None = None
    ) -> Finding:
        """Outline and name the tumor on every slice of a scan.

        Args:
            scan: One slice or a stack.
            largest_component: Whether to keep nothing but the largest connected part of the outline.
            report: Told how many slices were looked at since it was last told.
        """
        return self._findings([scan], largest_component=largest_component, report=report)[0]

    def analyze_batch(self, scans: Sequence[Scan]) -> list[Finding]:
        """The findings of several scans, in their order; faster than one by one."""
        return self._findings(scans)

    def _findings(
        self,
        scans: Sequence[Scan],
        *,
        largest_component: bool = False,
        report: Callable[[int], None] | None = None,
    ) -> list[Finding]:
        slices = [pixels for scan in scans for pixels in scan.pixels]
        chunks = [slices[at : at + _BATCH] for at in range(0, len(slices), _BATCH)]
        told: list[SliceOpinion] = []
        for part in in_order(self._look, chunks):
            told += part
            if report is not None:
                report(len(part))
        ends = list(itertools.accumulate(len(scan.pixels) for scan in scans))
        parts = [told[end - len(scan.pixels) : end] for scan, end in zip(scans, ends, strict=True)]

        def finding(known: tuple[Scan, list[SliceOpinion]]) -> Finding:
            judgement, name = self._ensemble.judgement, self._ensemble.name
            return assemble(*known, judgement, model=name, largest_component=largest_component)

        return list(in_order(finding, list(zip(scans, parts, strict=True))))

    def _look(self, slices: Sequence[NDArray[np.generic]]) -> list[SliceOpinion]:
        """What the models say of each slice, and how strange each looks."""
        ensemble = self._ensemble
        inputs = {
            size: np.stack([prepare_image(pixels, size) for pixels in slices])[:, None]
            for size in sorted(ensemble.sizes)
        }
        known = ensemble.familiarity
        strange: list[float | None] = [None] * len(slices)
        if known is not None:  # one by one, which stays within the processor's caches
            strange = [float(known(each)[0]) for each in next(iter(inputs.values()))]
        opinions = _one_by_one(ensemble(inputs), len(slices))
        return [SliceOpinion(*pair) for pair in zip(opinions, strange, strict=True)]


def _one_by_one(opinion: Opinion, count: int) -> Iterator[Opinion]:
    """A batch's opinion, slice by slice."""
    for index in range(count):
        part = slice(index, index + 1)
        yield Opinion(
            None if opinion.tumor_probability is None else opinion.tumor_probability[part],
            None if opinion.class_logits is None else opinion.class_logits[part],
            None if opinion.class_maps is None else opinion.class_maps[part],
        )
