"""The Analyzer: a scan in, a finding out.

It prepares the slices, asks the models, and makes what they say of a scan's slices one finding.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tumorlens.assemble import SliceOpinion, assemble, outlined
from tumorlens.bundle import Bundle, open_bundle
from tumorlens.ensemble import Ensemble, Opinion
from tumorlens.familiarity import Familiarity
from tumorlens.finding import Finding
from tumorlens.parallel import beside_others, in_order
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

    def warm(self) -> None:
        """Take now what memory analysing takes, and the time of the first use; for servers.

        Both ways of working count: a scan alone on all cores, and several beside each other.
        """
        self._ensemble.warm(_BATCH)
        with beside_others():
            self._ensemble.warm(_BATCH)

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
        slices = [(scan, index) for scan in scans for index in range(len(scan.slices))]
        chunks = [slices[at : at + _BATCH] for at in range(0, len(slices), _BATCH)]
        told: list[SliceOpinion] = []
        for part in in_order(self._look, chunks):
            told += part
            if report is not None:
                report(len(part))
        ends = list(itertools.accumulate(len(scan.slices) for scan in scans))
        parts = [told[end - len(scan.slices) : end] for scan, end in zip(scans, ends, strict=True)]

        def finding(known: tuple[Scan, list[SliceOpinion]]) -> Finding:
            scan, ensemble = known[0], self._ensemble
            smallest = min(ensemble.sizes)
            return assemble(
                *known,
                ensemble.judgement,
                strangeness=None
                if (familiarity := ensemble.familiarity) is None
                else lambda index: _strangeness(familiarity, prepare_image(scan.slices[index], smallest)),
                model=ensemble.name,
                largest_component=largest_component,
            )

        return list(in_order(finding, list(zip(scans, parts, strict=True))))

    def _look(self, slices: Sequence[tuple[Scan, int]]) -> list[SliceOpinion]:
        """What the models say of each slice: its scan and its index there."""
        pixels = [scan.slices[index] for scan, index in slices]
        inputs = {
            size: np.stack([prepare_image(each, size) for each in pixels])[:, None]
            for size in sorted(self._ensemble.sizes)
        }
        opinions = _one_by_one(self._ensemble(inputs), len(slices))
        smallest, familiarity = inputs[min(inputs)], self._ensemble.familiarity
        return [
            outlined(
                opinion,
                each.shape,
                self._ensemble.judgement,
                in_stack=scan.is_volume,
                strangeness=None
                if scan.is_volume or familiarity is None
                else _strangeness(familiarity, prepared),
            )
            for opinion, each, (prepared,), (scan, _) in zip(opinions, pixels, smallest, slices, strict=True)
        ]


def _strangeness(familiarity: Familiarity, prepared: NDArray[np.float32]) -> float:
    """How unlike the slices trained on a prepared slice looks.

    One slice at a time: for larger products OpenBLAS begins threads, which then wait for more by spinning.
    Beside others' work, four slices at a time took a third longer in all.
    """
    return float(familiarity(prepared[None])[0])


def _one_by_one(opinion: Opinion, count: int) -> Iterator[Opinion]:
    """A batch's opinion, slice by slice."""
    for index in range(count):
        part = slice(index, index + 1)
        yield Opinion(
            None if opinion.tumor_probability is None else opinion.tumor_probability[part],
            None if opinion.class_logits is None else opinion.class_logits[part],
            None if opinion.class_maps is None else opinion.class_maps[part],
        )
