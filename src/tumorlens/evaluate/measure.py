"""An Analyzer let loose on slices whose truth is known: the very path that a user's scan takes."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from tumorlens.analyze import Analyzer
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.evaluate.classification import evaluate_classification
from tumorlens.evaluate.report import Evaluation
from tumorlens.evaluate.segmentation import SegmentationCase, evaluate_segmentation
from tumorlens.evaluate.trust import TrustCase, evaluate_trust
from tumorlens.finding import Finding
from tumorlens.scan import Scan
from tumorlens.tumor_type import TumorType

Progress = Callable[[Iterable[list[int]]], Iterable[list[int]]]
_BATCH = 16


def measure(
    analyzer: Analyzer, dataset: TumorDataset, positions: list[int], progress: Progress = iter
) -> dict[str, Evaluation]:
    """Analyse slices and judge what is found, with intervals over patients.

    Masks are scored in the slices' own pixels, after the way back from the models' input size.

    Args:
        analyzer: What to judge.
        dataset: Holds the slices and their truth.
        positions: Of the slices in the dataset.
        progress: Wraps the batches, to show how far it is.

    Returns:
        By task: ``segmentation`` where a model outlines, ``classification`` and ``trust`` where one names.

    Raises:
        TumorlensError: There are no slices.
    """
    if not positions:
        raise TumorlensError("expected slices to measure on, found none; check which folds were selected")
    judged = _Judged(analyzer, dataset)
    cases = judged.look(progress([positions[at : at + _BATCH] for at in range(0, len(positions), _BATCH)]))
    first = next(cases)
    evaluations: dict[str, Evaluation] = {}
    if first is None:
        for _ in cases:
            pass
    else:
        outlined = (case for part in ((first,), cases) for case in part if case is not None)
        evaluations["segmentation"] = evaluate_segmentation(outlined)
    if judged.probabilities:
        entries = [dataset.entries[position] for position in positions]
        evaluations["classification"] = evaluate_classification(entries, np.array(judged.probabilities))
        evaluations["trust"] = evaluate_trust(judged.trust)
    return evaluations


def findings(analyzer: Analyzer, dataset: TumorDataset, positions: list[int]) -> list[Finding]:
    """What an analyzer finds on slices of a dataset."""
    scans = []
    for position in positions:
        entry = dataset.entries[position]
        spacing = (entry.spacing, entry.spacing)
        scans.append(Scan(dataset.image(position)[None], Path(entry.file), spacing))
    return analyzer.analyze_batch(scans)


class _Judged:
    """Keeps of each finding what is small, and hands on its mask."""

    def __init__(self, analyzer: Analyzer, dataset: TumorDataset) -> None:
        self._analyzer = analyzer
        self._dataset = dataset
        self.probabilities: list[list[float]] = []
        self.trust: list[TrustCase] = []

    def look(self, batches: Iterable[list[int]]) -> Iterator[SegmentationCase | None]:
        """A case for each slice; None where no model outlines."""
        for batch in batches:
            found = findings(self._analyzer, self._dataset, batch)
            for position, finding in zip(batch, found, strict=True):
                yield self._case(position, finding)

    def _case(self, position: int, finding: Finding) -> SegmentationCase | None:
        entry, true = self._dataset.entries[position], self._dataset.mask(position)
        if finding.probabilities is not None:
            self.probabilities.append([finding.probabilities[tumor] for tumor in TumorType])
            about = {"file": entry.file, "patient": entry.patient, "label": entry.label, "fold": entry.fold}
            self.trust.append(TrustCase.of(finding, true, **about))  # type: ignore[arg-type]
        if finding.mask is None:
            return None
        return SegmentationCase(
            file=entry.file,
            patient=entry.patient,
            label=entry.label,
            spacing_mm=entry.spacing,
            true=true,
            predicted=finding.mask[0],
            fold=entry.fold,
        )
