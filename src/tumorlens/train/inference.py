"""A trained run as a model of the Analyzer."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorlens.analyze import Outputs
from tumorlens.train.run import Run


class RunModel:
    """The best weights of a run, in PyTorch; see `tumorlens.analyze.Model`."""

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
                mask_logits=_array(given.mask_logits)[:, 0], class_logits=_array(given.class_logits)
            )
        if self._task == "segmentation":
            return Outputs(mask_logits=_array(given)[:, 0])
        return Outputs(class_logits=_array(given))


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.float().cpu().numpy()
