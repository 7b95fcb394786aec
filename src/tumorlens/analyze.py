"""The Analyzer: a scan in, a finding out.

It prepares the slices, asks the models, undoes the preparation and judges what was said.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.bundle import Bundle, open_bundle
from tumorlens.ensemble import Ensemble, Opinion
from tumorlens.finding import Finding
from tumorlens.parallel import in_order
from tumorlens.preprocess import prepare_image, restore_map
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

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

    def analyze(self, scan: Scan) -> Finding:
        """Outline and name the tumor on every slice of a scan."""
        return self.analyze_batch([scan])[0]

    def analyze_batch(self, scans: Sequence[Scan]) -> list[Finding]:
        """The findings of several scans, in their order; faster than one by one."""
        slices = [pixels for scan in scans for pixels in scan.pixels]
        chunks = [slices[at : at + _BATCH] for at in range(0, len(slices), _BATCH)]
        ends = list(itertools.accumulate(len(scan.pixels) for scan in scans))
        looks = list(in_order(self._look, chunks))
        opinions = [opinion for look, _ in looks for opinion in look]
        strangeness = [strange for _, look in looks for strange in look]
        parts = [slice(end - len(scan.pixels), end) for scan, end in zip(scans, ends, strict=True)]
        told = [(scan, opinions[part], strangeness[part]) for scan, part in zip(scans, parts, strict=True)]
        return list(in_order(lambda known: self._finding(*known), told))

    def _look(self, slices: Sequence[NDArray[np.generic]]) -> tuple[list[Opinion], list[float]]:
        """What the models say of each slice, and how strange each looks."""
        ensemble = self._ensemble
        inputs = {
            size: np.stack([prepare_image(pixels, size) for pixels in slices])[:, None]
            for size in sorted(ensemble.sizes)
        }
        known = ensemble.familiarity
        strangeness = [] if known is None else known(next(iter(inputs.values()))[:, 0]).tolist()
        return list(_one_by_one(ensemble(inputs), len(slices))), strangeness

    def _finding(self, scan: Scan, opinions: Sequence[Opinion], strangeness: Sequence[float]) -> Finding:
        judgement = self._ensemble.judgement
        rows, columns = scan.pixels.shape[1:]
        coarse = [opinion.tumor_probability for opinion in opinions if opinion.tumor_probability is not None]
        tumor = _restored(coarse, (rows, columns))
        mask = None
        if tumor is not None:
            mask = tumor >= judgement.thresholds(np.concatenate(coarse))[:, None, None]
        logits = [opinion.class_logits for opinion in opinions if opinion.class_logits is not None]
        strange = float(np.mean(strangeness)) if strangeness else None
        probabilities = None
        heatmap = None
        if logits:
            mean = judgement.probabilities(np.concatenate(logits)).mean(axis=0)
            probabilities = {tumor_type: float(mean[tumor_type.class_index]) for tumor_type in TumorType}
            named = int(mean.argmax())
            evidence = [_evidence(opinion, named) for opinion in opinions]
            heatmap = _restored(evidence, (rows, columns), peaks_between=True)
        return Finding(
            scan=scan,
            mask=mask,
            probabilities=probabilities,
            tumor_probability=tumor,
            heatmap=None if heatmap is None else _to_its_strongest(heatmap),
            confidence=None if probabilities is None else judgement.confidence(probabilities),
            strangeness=strange,
            warnings=judgement.warnings(tumor, mask, probabilities, strange),
            model=self._ensemble.name,
        )


def _one_by_one(opinion: Opinion, count: int) -> Iterator[Opinion]:
    """A batch's opinion, slice by slice."""
    for index in range(count):
        part = slice(index, index + 1)
        yield Opinion(
            None if opinion.tumor_probability is None else opinion.tumor_probability[part],
            None if opinion.class_logits is None else opinion.class_logits[part],
            None if opinion.class_maps is None else opinion.class_maps[part],
        )


def _evidence(opinion: Opinion, named: int) -> NDArray[np.float32] | None:
    """What each position of a slice adds to the named type's lead over the mean of all types.

    Softmax sees nothing but differences of logits, so this, and no single map, is what spoke for the name.
    """
    maps = opinion.class_maps
    return None if maps is None else maps[:, named] - maps.mean(axis=1)


def _restored(
    maps: Sequence[NDArray[np.float32] | None], shape: tuple[int, int], *, peaks_between: bool = False
) -> NDArray[np.float32] | None:
    """Maps (1, size, size) of a scan's slices in its own pixels, (slices, *shape)."""
    given = [restore_map(part[0], shape, peaks_between=peaks_between) for part in maps if part is not None]
    return np.stack(given) if given else None


def _to_its_strongest(heatmap: NDArray[np.float32]) -> NDArray[np.float32]:
    """What spoke for the name, in [0, 1]; what spoke against it is 0."""
    strongest = heatmap.max()
    return np.clip(heatmap / strongest, 0, 1) if strongest > 0 else np.zeros_like(heatmap)
