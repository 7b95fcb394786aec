"""The run folder: everything that made a model, and the model.

RUN/run.json             format, versions, weights source, git commit, progress
RUN/recipe.yaml          the recipe with every default written out
RUN/split.json           file names on each side
RUN/metrics.csv          one row an epoch
RUN/best.safetensors     the weights of the best epoch, or the mean of those at the end of each phase
RUN/phase-N.safetensors  the weights at the end of each phase, where the recipe averages them
RUN/checkpoints/last.ckpt  what a resumed run starts from
RUN/tensorboard/         the same numbers for TensorBoard
"""

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from tumorlens import atomic
from tumorlens.dataset import TumorDataset
from tumorlens.errors import TumorlensError
from tumorlens.train.build import build_network
from tumorlens.train.recipe import AnalysisRecipe, Recipe
from tumorlens.train.recipe_file import dump_recipe, load_recipe
from tumorlens.train.split import Split
from tumorlens.version import __version__

RUN_FORMAT = 1
_PACKAGES = ("h5py", "lightning", "monai", "numpy", "pillow", "timm", "torch", "torchmetrics", "torchvision")


@dataclass(frozen=True)
class RunRecord:
    """What ``run.json`` holds.

    Attributes:
        format: Of the run folder.
        tumorlens: The package's version.
        task: ``segmentation`` or ``classification``.
        weights: Where the encoder's pretrained weights came from, and their SHA-256; None for a random start.
        packages: Versions of what trained it.
        python: Version of Python, and the platform.
        commit: Of the source checkout, with ``+changes`` where it had any; None for an installed package.
        slices: How many slices the dataset had.
        started: UTC.
        finished: UTC, or None while it isn't.
        best_epoch: The epoch (from 0) that ``best.safetensors`` is from.
        best_score: Its validation score; None without validation.
        ranks: How many processes trained it, each on a device of its own; the last of them where it was
            resumed on others.
        nodes: On how many machines.
        at_once: How many slices went through a device together at most; None for a rank's share of a step.
    """

    format: int
    tumorlens: str
    task: str
    weights: dict[str, str] | None
    packages: dict[str, str]
    python: str
    commit: str | None
    slices: int
    started: str
    finished: str | None = None
    best_epoch: int | None = None
    best_score: float | None = None
    ranks: int = 1
    nodes: int = 1
    at_once: int | None = None


class Run:
    """A run folder that exists; make a new one with `Run.create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = self._read_record()
        self.recipe = load_recipe(str(folder / "recipe.yaml"))
        self.split = Split.read(folder / "split.json")

    @classmethod
    def create(
        cls, folder: Path, recipe: Recipe, split: Split, dataset: TumorDataset, weights: dict[str, str] | None
    ) -> "Run":
        """Start a run folder; ``run.json`` comes last, so that a folder without it isn't a run."""
        record = RunRecord(
            format=RUN_FORMAT,
            tumorlens=__version__,
            task=recipe.task,
            weights=weights,
            packages={name: metadata.version(name) for name in _PACKAGES},
            python=f"{platform.python_version()} on {platform.system()} {platform.machine()}",
            commit=_commit(),
            slices=len(dataset),
            started=_now(),
        )
        atomic.write_text(folder / "recipe.yaml", dump_recipe(recipe))
        split.write(folder / "split.json")
        atomic.write_text(folder / "run.json", _json(record))
        return cls(folder)

    @property
    def best_weights(self) -> Path:
        """The weights of the best epoch so far."""
        return self.folder / "best.safetensors"

    @property
    def last_checkpoint(self) -> Path:
        """The state after the last whole epoch."""
        return self.folder / "checkpoints" / "last.ckpt"

    @property
    def metrics(self) -> Path:
        """One row an epoch."""
        return self.folder / "metrics.csv"

    @property
    def is_finished(self) -> bool:
        """Whether training went to its end."""
        return self.record.finished is not None

    def finish(self, best_epoch: int, best_score: float | None) -> None:
        """Record that training went to its end."""
        self.record = replace(self.record, finished=_now(), best_epoch=best_epoch, best_score=best_score)
        atomic.write_text(self.folder / "run.json", _json(self.record))

    def train_on(self, ranks: int, nodes: int, at_once: int | None) -> None:
        """Record what trains it from now on."""
        record = replace(self.record, ranks=ranks, nodes=nodes, at_once=at_once)
        if record != self.record:
            self.record = record
            atomic.write_text(self.folder / "run.json", _json(record))

    def use_as(self, analysis: AnalysisRecipe) -> None:
        """Change how the trained model is used; its weights stay what they are."""
        if analysis != self.recipe.analysis:
            self.recipe = self.recipe.model_copy(update={"analysis": analysis})
            atomic.write_text(self.folder / "recipe.yaml", dump_recipe(self.recipe))

    def save_weights(self, network: nn.Module) -> None:
        """Write a network's weights as the best so far, whole or not at all."""
        self._save(self.best_weights, network.state_dict())

    def save_phase(self, number: int, network: nn.Module) -> None:
        """Write a network's weights as those at the end of a phase, counted from 1; whole or not at all."""
        self._save(self._phase_weights(number), network.state_dict())

    def average_phases(self) -> None:
        """Make the mean of the weights at the end of each phase the best ones; counters are the last's."""
        count = len(self.recipe.training.phases)
        phases = [safetensors.torch.load_file(self._phase_weights(number + 1)) for number in range(count)]
        mean = {
            name: torch.stack([phase[name] for phase in phases]).mean(0) if last.is_floating_point() else last
            for name, last in phases[-1].items()
        }
        self._save(self.best_weights, mean)

    def _phase_weights(self, number: int) -> Path:
        return self.folder / f"phase-{number}.safetensors"

    def _save(self, path: Path, state: Mapping[str, Tensor]) -> None:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        atomic.write_bytes(path, safetensors.torch.save(whole, {"task": self.recipe.task}))

    def load_network(self) -> nn.Module:
        """The network with its best weights, ready to predict.

        Raises:
            TumorlensError: The run has no weights yet, or they are damaged or not this recipe's.
        """
        if not self.best_weights.is_file():
            raise TumorlensError(f"{self.folder}: expected a trained run, but it has no best.safetensors yet")
        network = build_network(self.recipe, weights=None)
        try:
            network.load_state_dict(_load(self.best_weights))
        except (safetensors.SafetensorError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise TumorlensError(
                f"{self.best_weights}: expected the weights of its recipe, but {reason}"
            ) from error
        return network.eval()

    def history(self) -> pd.DataFrame:
        """One row an epoch: losses, scores, learning rate, seconds.

        Raises:
            TumorlensError: No epoch has ended yet, or the file is damaged.
        """
        try:
            return pd.read_csv(self.metrics)
        except (OSError, ValueError) as error:
            raise TumorlensError(f"{self.metrics}: expected one row an epoch, but {error}") from error

    def _read_record(self) -> RunRecord:
        path = self.folder / "run.json"
        try:
            values = json.loads(path.read_text())
            found = values["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TumorlensError(
                f"{self.folder}: expected a run folder of 'tumorlens train', found none ({path.name})"
            ) from error
        if found != RUN_FORMAT:
            raise TumorlensError(
                f"{self.folder}: expected a run of format {RUN_FORMAT}, got {found} (tumorlens "
                f"{values.get('tumorlens', 'unknown')}); use that version or train again"
            )
        try:
            return RunRecord(**values)
        except TypeError as error:
            raise TumorlensError(f"{path}: expected the record of a run, but {error}") from error


def weights_of(paths: Mapping[str, str] | None) -> str:
    """The weights source in words."""
    return paths["source"] if paths else "a random start"


def _load(path: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(path)


def _json(record: RunRecord) -> str:
    return json.dumps(asdict(record), indent=1) + "\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _commit() -> str | None:
    """The commit of the checkout that this module lies in."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        if not git("ls-files", Path(__file__).name):
            return None
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", "..") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
