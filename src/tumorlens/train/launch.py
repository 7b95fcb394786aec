"""Start a command again as several processes of this machine, one for each device."""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tumorlens.errors import TumorlensError
from tumorlens.train.ranks import LAUNCH, Ranks

_GRACE = 10  # seconds that ranks have to end by themselves


def ranks_wanted(devices: int | None, nodes: int | None) -> Ranks | None:
    """The ranks that this process is one of; None where it has yet to start them by `launch`.

    Args:
        devices: Asked for on each machine; as many as there are ranks if None.
        nodes: Asked for, machines; as many as there are if None.

    Raises:
        TumorlensError: Other ranks were started, machines are asked for that nothing started, or there are
            fewer GPUs.
    """
    here = Ranks.here()
    asked = (devices or here.devices, nodes or here.nodes)
    if here.world == 1 and asked[1] == 1:
        _check_gpus(asked[0])
        return here if asked[0] == 1 else None
    if asked == (here.devices, here.nodes):
        return here
    raise TumorlensError(
        f"expected {asked[0]} devices on each of {asked[1]} nodes, but {here.world} processes on "
        f"{here.nodes} were started; start as many by torchrun or srun, on every node"
    )


def _check_gpus(devices: int) -> None:
    gpus = torch.cuda.device_count()
    if gpus and devices > gpus:
        raise TumorlensError(f"--devices: expected at most the {gpus} GPUs of this machine, got {devices}")


def launch(devices: int, words: Sequence[str]) -> None:
    """Run ``tumorlens`` with these words once for each device, and wait for all.

    Where one ends badly, the others are ended.

    Raises:
        TumorlensError: A process was killed or broke.
        SystemExit: A process ended with a sentence of its own, or this one was terminated.
        KeyboardInterrupt: On Ctrl-C, once all have ended.
    """
    logging.disable()  # what the library says is said below; this process has nothing else to say
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # advice to developers, from each process
    with tempfile.TemporaryDirectory() as logs:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=devices,
            run_id=LAUNCH,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            shutdown_timeout=_GRACE,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "tumorlens", *words)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            _tell(rank, failure.exitcode, error)
        except SignalException as stop:
            if stop.sigval == signal.SIGINT:
                raise KeyboardInterrupt from stop
            raise SystemExit(128 + stop.sigval) from stop


def _tell(rank: int, code: int, error: ChildFailedError) -> None:
    if code == 2:  # it has said why
        raise SystemExit(code) from error
    how = f"was ended by signal {-code}" if code < 0 else "ended by an error that is told above"
    raise TumorlensError(
        f"the process of rank {rank} {how}; the others were ended, too; go on with --resume"
    ) from error


def was_launched() -> bool:
    """Whether `launch` started this process and speaks for it."""
    return os.environ.get("TORCHELASTIC_RUN_ID") == LAUNCH
