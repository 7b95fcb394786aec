"""A recipe means the same on several ranks and in parts: the same slices, the same numbers, the same end."""

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from tests.command_line import Tumorlens
from tests.train.process import start
from tests.train.ranks import start_ranks
from tests.train.tiny import FAST, joint_recipe, killed_after, tiny_recipe
from tumorlens.dataset import TumorDataset, open_dataset
from tumorlens.errors import TumorlensError
from tumorlens.train.build import build_network
from tumorlens.train.joint import JointModule
from tumorlens.train.module import TumorModule
from tumorlens.train.ranks import Ranks
from tumorlens.train.recipe_file import load_recipe
from tumorlens.train.run import Run
from tumorlens.train.share import Batch, Draw, ShareSampler, counts, parts_of, weighted
from tumorlens.train.trainer import make_module, train

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

CLOCK = ["seconds", "train_slices_per_second"]
# Five slices of twelve: the last step has two, and a rank has odd shares.
ODD = ("training.batch_size=5", "training.patience=99")


def silent(_: str) -> None:
    """Report nothing."""


def words(tiny: TumorDataset, out: Path, *overrides: str, more: tuple[str, ...] = ()) -> list[str]:
    sets = [word for override in [*FAST, *ODD, *overrides] for word in ("--set", override)]
    return ["train", "smoke", "--data", str(tiny.root), "--out", str(out), "--resume", *more, *sets]


def phases(*phases: str) -> str:
    return f"training.phases=[{', '.join(phases)}]"


def epochs(run: Path) -> int:
    metrics = run / "metrics.csv"
    return max(len(metrics.read_text().splitlines()) - 1, 0) if metrics.exists() else 0


def numbers(run: Path) -> pd.DataFrame:
    return Run(run).history().drop(columns=CLOCK)


def assert_same_run(one: Path, other: Path) -> None:
    pd.testing.assert_frame_equal(numbers(one), numbers(other), check_exact=True)
    assert (one / "best.safetensors").read_bytes() == (other / "best.safetensors").read_bytes()


class Fixed(list[Draw]):
    """An order that is the same in every epoch."""


@given(slices=st.integers(1, 40), batch_size=st.integers(1, 12), world=st.integers(1, 9))
def test_each_slice_counts_once_on_one_rank_and_all_ranks_work_alike(
    slices: int, batch_size: int, world: int
) -> None:
    order = Fixed(Draw(position, 0) for position in range(slices))
    shares = [list(ShareSampler(order, batch_size, rank, world)) for rank in range(world)]
    real = [
        draw.position
        for steps in shares
        for share in steps
        for draw in share.draws[: len(share.draws) - share.fillers]
    ]
    assert sorted(real) == list(range(slices))
    for step in zip(*shares, strict=True):
        assert len({len(share.draws) for share in step}) == 1
        assert all(share.draws for share in step)


def batch_of(generator: torch.Generator, counted: list[bool]) -> Batch:
    size = len(counted)
    return Batch(
        torch.rand(size, 1, 64, 64, generator=generator),
        (torch.rand(size, 1, 64, 64, generator=generator) > 0.99)
        & (torch.rand(size, 1, 1, 1, generator=generator) > 0.3),
        torch.randint(3, (size,), generator=generator),
        torch.rand(size, generator=generator) > 0.4,
        torch.tensor(counted),
    )


@given(size=st.integers(1, 20), filled=st.booleans(), at_once=st.integers(1, 25))
def test_parts_hold_the_slices_that_count_and_are_small_enough(size: int, filled: bool, at_once: int) -> None:
    counted = [True] * (size - filled) + [False] * filled
    batch = batch_of(torch.Generator().manual_seed(0), counted)
    parts = parts_of(batch, at_once)
    assert len(parts) == -(-size // at_once)
    assert max(len(part.image) for part in parts) <= at_once
    kept = [part.image[part.counted] if part.counted is not None else part.image for part in parts]
    assert torch.equal(torch.cat(kept), batch.image[batch.counted])
    for part in parts:
        assert part.counted is None or part.counted.all() or len(part.image) == 1


def plain_joint_module(folder: Path) -> TumorModule:
    """Without batch norm and dropout, which look at what is together in a part."""
    module = make_module(joint_recipe(folder, "model.dropout=0"), None, 1)
    assert isinstance(module, JointModule)
    return module.eval()


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("at_once", [None, 1, 2, 4])
def test_shares_and_parts_give_the_gradient_of_one_big_batch(
    world: int, at_once: int | None, tmp_path: Path
) -> None:
    """Also where only some slices teach a type and only some show a tumor."""
    module = plain_joint_module(tmp_path)
    whole = batch_of(torch.Generator().manual_seed(1), [True] * 7)
    module.loss_and_score(whole)[0].backward()
    expected = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    order = Fixed(Draw(position, 0) for position in range(7))
    shares = []
    for rank in range(world):
        [share] = ShareSampler(order, 7, rank, world)
        at = torch.tensor([draw.position for draw in share.draws])
        size = len(at)
        shares.append(
            Batch(*(column[at] for column in whole[:4]), counted=torch.arange(size) < size - share.fillers)
        )
    total = sum((counts(share) for share in shares), torch.zeros(3))
    for share in shares:
        parts, _ = weighted(parts_of(share, at_once), world, lambda _: total)
        for part in parts:
            (module.loss_and_score(part)[0] / world).backward()  # as the ranks' gradients are averaged
    for name, parameter in module.named_parameters():
        if name in expected:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-6)


def without_batch_norm(network: nn.Module, phase: object) -> None:
    """In `freeze`'s place: batch norms, which see only a part of a step, keep what they begin with."""
    del phase
    network.eval()


def test_a_run_in_parts_equals_one_of_whole_steps(
    tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorlens.train.module.freeze", without_batch_norm)
    recipe = tiny_recipe(*ODD, phases("{epochs: 2, learning_rate: 0.001}"))
    whole = train(recipe, tiny, tmp_path / "whole", report=silent)
    parts = train(recipe, tiny, tmp_path / "parts", report=silent, at_once=2)
    assert (whole.record.at_once, parts.record.at_once) == (None, 2)
    assert_alike(parts.folder, whole.folder, 1e-5)


def assert_alike(one: Path, other: Path, within: float) -> None:
    np.testing.assert_allclose(numbers(one), numbers(other), rtol=0, atol=within)
    weights, others = (safetensors.torch.load_file(run / "best.safetensors") for run in (one, other))
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, rtol=0, atol=10 * within)


def plain_run(root: str, out: str, *sets: str) -> None:
    """What a rank does: train without batch norm, noting the slices that count."""
    seen: dict[str, list[str]] = {"train": [], "validation": []}
    honest = TumorModule._logged

    def noting(self: TumorModule, side: str, part: Batch, whole: torch.Tensor) -> torch.Tensor:
        real = part.image if part.counted is None else part.image[part.counted]
        seen[side] += [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in real]
        return honest(self, side, part, whole)

    ranks, dataset = Ranks.here(), open_dataset(Path(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TumorModule, "_logged", noting)
        patch.setattr("tumorlens.train.module.freeze", without_batch_norm)
        recipe = load_recipe("smoke", [*FAST, *ODD, *sets])
        train(recipe, dataset, Path(out), report=silent, ranks=ranks, resume=True)
    Path(f"{out}-{ranks.rank}.json").write_text(json.dumps(seen))


STILL = phases("{epochs: 1, learning_rate: 1.0e-12}")
MOVING = phases("{epochs: 4, learning_rate: 0.003}")
LONG = phases(
    "{epochs: 2, learning_rate: 0.003, trainable: last-block}",
    "{epochs: 10, learning_rate: 0.003, schedule: cosine}",
)


def noting_statistics(root: str, out: str, *sets: str) -> None:
    """What a rank does: train as ever, noting the network that each validation looks at."""
    seen: list[str] = []
    honest = TumorModule.validation_step

    def noting(self: TumorModule, batch: Batch, batch_idx: int) -> None:
        whole = torch.cat([tensor.flatten().float() for tensor in self.network.state_dict().values()])
        seen.append(hashlib.sha256(whole.numpy().tobytes()).hexdigest())
        honest(self, batch, batch_idx)

    ranks, dataset = Ranks.here(), open_dataset(Path(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TumorModule, "validation_step", noting)
        recipe = load_recipe("smoke", [*FAST, *ODD, *sets])
        train(recipe, dataset, Path(out), report=silent, ranks=ranks, at_once=2)
    Path(f"{out}-{ranks.rank}.json").write_text(json.dumps(seen))


def test_ranks_validate_one_network(tiny: TumorDataset, tmp_path: Path) -> None:
    """Also in parts and with something frozen."""
    frozen = phases("{epochs: 1, learning_rate: 0.003, trainable: head}", "{epochs: 2, learning_rate: 0.003}")
    start_ranks(tmp_path, 2, tiny.root, tmp_path / "run", frozen, function=noting_statistics).done()
    first, second = (json.loads((tmp_path / f"run-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert len(set(first)) == 3


@pytest.fixture(scope="module")
def together(tiny: TumorDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs by two ranks without batch norm, ``still`` and ``moving``, and by the command, ``command``."""
    folder = tmp_path_factory.mktemp("together")
    root = tiny.root
    start_ranks(folder, 2, root, folder / "still", STILL, function=plain_run).done()
    start_ranks(folder, 2, root, folder / "moving", MOVING, function=plain_run).done()
    start_ranks(folder, 2, *words(tiny, folder / "command", LONG)).done()
    return folder


def test_two_ranks_measure_what_one_measures(together: Path, tiny: TumorDataset, tmp_path: Path) -> None:
    """Of a step's five slices one rank has two, the other three; of the last validation step's one, none."""
    plain_run(str(tiny.root), str(tmp_path / "still"), STILL)
    assert_alike(together / "still", tmp_path / "still", 1e-6)
    assert (Run(together / "still").record.ranks, Run(tmp_path / "still").record.ranks) == (2, 1)


def test_each_slice_counts_once_over_both_ranks(together: Path, tiny: TumorDataset, tmp_path: Path) -> None:
    plain_run(str(tiny.root), str(tmp_path / "still"), STILL)
    alone = json.loads((tmp_path / "still-0.json").read_text())
    first, second = (json.loads((together / f"still-{rank}.json").read_text()) for rank in (0, 1))
    for side, slices in (("train", 12), ("validation", 6)):
        assert len(alone[side]) == slices
        assert Counter(first[side] + second[side]) == Counter(alone[side])
        assert min(len(first[side]), len(second[side])) > 0


def test_two_ranks_learn_what_one_learns(together: Path, tiny: TumorDataset, tmp_path: Path) -> None:
    plain_run(str(tiny.root), str(tmp_path / "moving"), MOVING)
    assert_alike(together / "moving", tmp_path / "moving", 1e-4)


def test_with_batch_norm_the_loss_curve_is_the_same_within_noise(
    together: Path, tiny: TumorDataset, tmp_path: Path
) -> None:
    """Batch norms of a rank see its own slices, two or three here instead of five."""
    alone = train(tiny_recipe(*ODD, LONG), tiny, tmp_path / "alone", report=silent)
    one, two = numbers(alone.folder)["train_loss"], numbers(together / "command")["train_loss"]
    assert one.iloc[-1] < one.iloc[0] - 0.05
    assert abs(one - two).max() < 0.05


def test_a_run_goes_on_with_another_number_of_ranks(
    together: Path, tiny: TumorDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one rank to two and back, the same as by two all the time."""
    folder = tmp_path / "run"
    recipe = tiny_recipe(*ODD, MOVING)
    with monkeypatch.context() as patch:
        patch.setattr("tumorlens.train.module.freeze", without_batch_norm)
        with pytest.raises(RuntimeError, match="killed"):
            train(recipe, tiny, folder, report=killed_after(1))
        ranks = start_ranks(tmp_path, 2, tiny.root, folder, MOVING, function=plain_run)
        ranks.wait_until(lambda: epochs(folder) >= 2)
        ranks.kill(0)
        ranks.kill(1)
        ranks.finish()
        assert Run(folder).record.ranks == 2
        train(recipe, tiny, folder, report=silent, resume=True)
    assert Run(folder).record.ranks == 1
    assert_alike(folder, together / "moving", 1e-4)


def test_ranks_killed_at_any_moment_end_as_uninterrupted_ones(
    together: Path, tiny: TumorDataset, tmp_path: Path
) -> None:
    """One rank is killed; the other ends by itself, in a sentence."""
    draw = random.Random(11)  # noqa: S311 - nothing is encrypted with it
    epoch = Run(together / "command").history()["seconds"].median()
    folder = tmp_path / "run"
    for killed in (1, 0):
        done = epochs(folder)
        ranks = start_ranks(tmp_path, 2, *words(tiny, folder, LONG))
        ranks.wait_until(lambda done=done: epochs(folder) > done)  # type: ignore[misc]
        time.sleep(draw.uniform(0, 1.5) * epoch)
        ranks.kill(killed)
        codes = ranks.finish(20)
        assert codes[killed] == -signal.SIGKILL
        assert codes[1 - killed] == 2
        said = ranks.said(1 - killed)
        assert "Traceback" not in said
        [line] = [line for line in said.splitlines() if line.startswith("tumorlens: ")]
        assert "another rank ended or can't be reached" in line
        assert not Run(folder).is_finished
    start_ranks(tmp_path, 2, *words(tiny, folder, LONG)).done()
    assert_same_run(folder, together / "command")
    assert not list(folder.rglob("*.partial"))


def test_a_mistake_is_told_once_by_the_rank_that_leads(tiny: TumorDataset, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("")
    ranks = start_ranks(tmp_path, 2, *words(tiny, tmp_path / "run"))
    assert ranks.finish() == [2, 2]
    assert "expected a new or empty folder, found other files" in ranks.said(0)
    assert ranks.said(1) == ""


def children_of(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux shows them")
def test_the_command_starts_a_rank_for_each_device_and_all_end_together(
    tiny: TumorDataset, tmp_path: Path
) -> None:
    """By Ctrl-C in a line, then, gone on with, by the death of one."""
    folder = tmp_path / "run"
    endless = (phases("{epochs: 500, learning_rate: 0.003}"), "training.patience=500")
    said = "tumorlens: interrupted; what was finished is whole\n"
    for stop, code in ((signal.SIGINT, 130), (signal.SIGKILL, 2)):
        started = start(tmp_path, *words(tiny, folder, *endless, more=("--devices", "2")))
        done = epochs(folder)
        started.wait_until(lambda done=done: epochs(folder) > done)  # type: ignore[misc]
        pid = started.process.pid or 0
        ranks = [
            child for child in children_of(pid) if b"tumorlens" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        assert len(ranks) == 2
        os.kill(pid if stop == signal.SIGINT else ranks[1], stop)
        assert started.finish() == code
        assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)
        words_of_stop = said if stop == signal.SIGINT else "the process of rank 1 was ended by signal 9"
        assert words_of_stop in started.err.read_text()
        assert len(started.err.read_text().splitlines()) == 1
        assert not Run(folder).is_finished


@pytest.mark.parametrize(
    ("environment", "options", "named"),
    [
        ({}, ["--nodes", "2"], "1 processes on 1 were started; start as many by torchrun or srun"),
        ({"WORLD_SIZE": "4"}, ["--devices", "2"], "expected 2 devices on each of 1 nodes, but 4 processes"),
    ],
)
def test_ranks_that_were_not_started_are_asked_for(
    environment: dict[str, str], options: list[str], named: str, tiny: TumorDataset, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, tumorlens: Tumorlens,
) -> None:  # fmt: skip
    if environment:
        for name, value in {
            "TORCHELASTIC_RUN_ID": "x",
            "RANK": "0",
            "LOCAL_RANK": "0",
            **environment,
        }.items():
            monkeypatch.setenv(name, value)
    code, _, err = tumorlens(*words(tiny, tmp_path / "run", more=tuple(options)))
    assert code == 2
    assert named in err
    assert not (tmp_path / "run").exists()


def test_slurm_tells_a_rank_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SLURM_NTASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
        "SLURM_NNODES": "2", "SLURM_JOB_NAME": "tumors", "SLURM_JOB_ID": "7", "SLURM_NTASKS_PER_NODE": "4",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert Ranks.here() == Ranks(rank=5, world=8, nodes=2)
    assert Ranks.here().devices == 4
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE")
    with pytest.raises(TumorlensError, match="ntasks-per-node"):
        Ranks.here()


def test_batch_norms_over_gpus_keep_their_activations() -> None:
    """An encoder's batch norms have their activation within; Lightning's own change would lose it."""
    network = build_network(tiny_recipe("model.encoder=tf_efficientnet_lite0"), None).eval()
    slices = torch.rand(2, 1, 64, 64)
    before = network(slices)
    changed = convert_sync_batchnorm(network)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in changed.modules())
    assert torch.equal(changed(slices), before)
