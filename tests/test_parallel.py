"""Work is spread over cores, its results keep their order, and few of them wait."""

import math
import threading
import time
from pathlib import Path

import pytest

from tumorlens.parallel import beside_others, cpu_quota, in_order, processors, threads_for_a_call


def test_results_come_in_the_order_of_the_items_whatever_finishes_first() -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.05 if number == 0 else 0)
        return number * number

    assert list(in_order(slow_at_first, range(20))) == [number * number for number in range(20)]


def test_one_item_stays_in_the_calling_thread() -> None:
    [thread] = in_order(lambda _: threading.current_thread(), [0])
    assert thread is threading.current_thread()


def test_several_items_are_worked_on_at_once() -> None:
    if processors() < 2:
        pytest.skip("expected two cores, this machine has one")
    both = threading.Barrier(2)
    assert list(in_order(lambda _: both.wait(5) >= 0, [0, 1])) == [True, True]


def test_nothing_begins_long_before_its_result_is_wanted() -> None:
    begun: list[int] = []
    results = in_order(lambda number: begun.append(number), range(1000))
    next(results)
    time.sleep(0.1)
    assert len(begun) <= 2 * processors() + 1
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert len(begun) <= 2 * processors() + 1


def test_what_a_function_raises_arrives_at_its_item_and_ends_the_rest() -> None:
    begun: list[int] = []

    def fails_at_three(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise OSError("full")
        return number

    results = in_order(fails_at_three, range(1000))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="full"):
        next(results)
    assert len(begun) < 20


def test_no_items_give_no_results() -> None:
    assert list(in_order(lambda item: item, [])) == []


def test_a_call_has_all_cores_but_one_of_many_only_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorlens.parallel.processors", lambda: 3)
    assert list(in_order(lambda _: threads_for_a_call(), [0])) == [3]
    assert set(in_order(lambda _: threads_for_a_call(), range(20))) == {1}
    with beside_others():
        assert threads_for_a_call() == 1
        with beside_others():
            pass
        assert threads_for_a_call() == 1
    assert threads_for_a_call() == 3


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "max 100000\n"}, 0.5),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "200000 100000\n"}, 2),
        ("4:cpu,cpuacct:/j\n0::/\n", {"cpu,cpuacct/j/cpu.cfs_quota_us": "250000\n"}, math.inf),
        (
            "4:cpu,cpuacct:/j\n",
            {"cpu,cpuacct/j/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/j/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "4:cpu,cpuacct:/j\n",
            {"cpu,cpuacct/j/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/j/cpu.cfs_period_us": "100000\n"},
            math.inf,
        ),
        ("0::/../../x\n", {"x/cpu.max": "100000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "nonsense\n"}, math.inf),
        ("0::/\n", {}, math.inf),
    ],
)
def test_control_groups_limit_the_cores(
    membership: str, files: dict[str, str], cores: float, tmp_path: Path
) -> None:
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cpu_quota(tmp_path / "membership", tmp_path / "root") == cores


def test_there_is_always_a_whole_core_and_never_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorlens.parallel.os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    for quota, cores in ((0.2, 1), (1.5, 2), (8.1, 8), (math.inf, 8)):
        monkeypatch.setattr("tumorlens.parallel._quota", lambda quota=quota: quota)
        assert processors() == cores


def test_a_thread_beside_others_takes_no_further_threads() -> None:
    with beside_others():
        threads = set(in_order(lambda _: threading.get_ident(), range(20)))
    assert threads == {threading.get_ident()}
