"""The processes that train a model together: which one this is, and how they agree."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeVar

import lightning as L  # noqa: N812 - the name that Lightning's own documentation uses
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from lightning.pytorch.callbacks import Callback
from torch import nn

from tumorlens.errors import TumorlensError

T = TypeVar("T")
LAUNCH = "tumorlens"  # the name of a launch by the command itself
# One that dies is noticed at once, by its broken connection; this is for a machine that only falls silent.
SILENCE = timedelta(minutes=15)
_WATCHED_FOR = 10.0  # seconds in which a launcher ends a rank that has lost another


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one model.

    Attributes:
        rank: Its number, from 0; number 0 leads: it alone writes and reports.
        world: How many there are, each with a device of its own.
        nodes: On how many machines, as many on each.
    """

    rank: int = 0
    world: int = 1
    nodes: int = 1

    @classmethod
    def here(cls) -> Self:
        """As torchrun or SLURM has started this process; one alone without them.

        Raises:
            TumorlensError: SLURM was asked in another way than Lightning understands.
        """
        if TorchElasticEnvironment.detect():
            started = TorchElasticEnvironment()
            nodes = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
            return cls(started.global_rank(), started.world_size(), nodes)
        if SLURMEnvironment.detect():
            try:
                job = SLURMEnvironment(auto_requeue=False)
            except RuntimeError as error:
                raise TumorlensError(f"SLURM: {error}") from error
            return cls(job.global_rank(), job.world_size(), int(os.environ.get("SLURM_NNODES", "1")))
        return cls()

    @property
    def leads(self) -> bool:
        """Whether this is number 0."""
        return self.rank == 0

    @property
    def devices(self) -> int:
        """How many there are on a machine."""
        return self.world // self.nodes

    def agree(self, decide: Callable[[], T]) -> T:
        """What the leader decides, on every rank.

        Raises:
            Exception: What the leader's decision raised, on the leader.
            SystemExit: It raised something, on the others, which have nothing to add.
        """
        if self.world == 1:
            return decide()
        decided: list[T] = []
        failure: Exception | None = None
        if self.leads:
            try:
                decided = [decide()]
            except Exception as error:  # raised below, once the others know
                failure = error
        decided = self._meeting().broadcast(decided)
        if failure is not None:
            raise failure
        if not decided:
            raise SystemExit(2)
        return decided[0]

    @contextlib.contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader does something before the others, so that they find it done."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.world > 1:
            self._meeting().barrier()

    @contextlib.contextmanager
    def in_contact(self) -> Iterator[None]:
        """Say in a sentence that another rank is gone.

        Raises:
            TumorlensError: It is.
        """
        try:
            yield
        except RuntimeError as error:
            if self.world == 1 or not _is_of_connections(error):
                raise
            if os.environ.get("TORCHELASTIC_RUN_ID") == LAUNCH:
                time.sleep(_WATCHED_FOR)  # the process that started this one knows which rank it was
                raise SystemExit(1) from error
            raise TumorlensError(
                f"rank {self.rank} of {self.world}: another rank ended or can't be reached; see what it "
                "said, then go on with --resume"
            ) from error

    def _meeting(self) -> L.Fabric:
        """Where ranks meet before and after training; joined once, and used by training as well."""
        for name in ("lightning.fabric", "lightning.pytorch"):
            logging.getLogger(name).setLevel(logging.ERROR)  # how it connects isn't for users
        fabric = L.Fabric(
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=DDPStrategy(timeout=SILENCE),
        )
        fabric.launch()
        return fabric


def _is_of_connections(error: RuntimeError) -> bool:
    words = str(error).lower()
    return isinstance(error, torch.distributed.DistError) or "gloo" in words or "connection" in words


class SameStatistics(Callback):
    """Averages the batch norms' statistics over the ranks before anything is measured or kept.

    Each rank gathers those of its own slices; without this, each would validate another network.
    """

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Before an epoch is validated."""
        _average_statistics(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Before an epoch's weights are kept; nothing is left to do where it was validated."""
        _average_statistics(trainer, pl_module)


def _average_statistics(trainer: L.Trainer, pl_module: L.LightningModule) -> None:
    statistics = [buffer for buffer in pl_module.buffers() if buffer.is_floating_point()]
    if trainer.world_size == 1 or not statistics:
        return
    together = nn.utils.parameters_to_vector(statistics)
    mean = trainer.strategy.reduce(together, reduce_op="mean")
    nn.utils.vector_to_parameters(torch.as_tensor(mean), statistics)
