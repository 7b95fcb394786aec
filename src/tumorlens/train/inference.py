"""Trained runs as what the Analyzer asks."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorlens.dataset import TumorDataset
from tumorlens.dataset.prepared import prepare_dataset
from tumorlens.ensemble import Ensemble, Outputs
from tumorlens.familiarity import Familiarity
from tumorlens.judgement import Judgement
from tumorlens.train.recipe import AnalysisRecipe
from tumorlens.train.run import Run
from tumorlens.train.split import Side


class RunModel:
    """The best weights of a run, in PyTorch; see `tumorlens.ensemble.Model`."""

    def __init__(self, run: Run) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = run.load_network().to(self._device)
        self._network = network.to(memory_format=torch.channels_last)
        self._task = run.recipe.task
        self._size = run.recipe.size

    @property
    def size(self) -> int:
        """Width and height of the input in pixels."""
        return self._size

    def __call__(self, batch: NDArray[np.float32]) -> Outputs:
        """Run on a batch (n, 1, size, size) in [0, 1]."""
        with torch.inference_mode():
            given = self._network(torch.from_numpy(batch).to(self._device))
        if self._task == "joint":
            return Outputs(
                mask_logits=_array(given.mask_logits)[:, 0],
                class_logits=_array(given.class_logits),
                class_maps=_array(given.class_maps),
            )
        if self._task == "segmentation":
            return Outputs(mask_logits=_array(given)[:, 0])
        return Outputs(class_logits=_array(given))


def runs_ensemble(
    runs: Sequence[Run], familiarity: Familiarity | None = None, judgement: Judgement | None = None
) -> Ensemble:
    """What runs say together, used as the first one's recipe says, without calibration by default."""
    analysis = runs[0].recipe.analysis
    return Ensemble(
        [RunModel(run) for run in runs],
        judgement=analysis_judgement(analysis, judgement),
        flip=analysis.flip,
        center_crop=analysis.center_crop,
        familiarity=familiarity,
        name=", ".join(run.folder.name for run in runs),
    )


def analysis_judgement(analysis: AnalysisRecipe, judgement: Judgement | None = None) -> Judgement:
    """A judgement, without calibration by default, that uses the models as a recipe says."""
    limits = ("lowest_threshold", "smallest_part", "second_look", "third_look")
    return (judgement or Judgement()).model_copy(update={name: getattr(analysis, name) for name in limits})


def familiarity_of(run: Run, dataset: TumorDataset) -> Familiarity:
    """What the slices that a run was trained on look like."""
    prepared = prepare_dataset(dataset, run.recipe.size)
    return Familiarity.fit(np.asarray(prepared.images[run.split.positions(dataset, Side.TRAIN)]))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
