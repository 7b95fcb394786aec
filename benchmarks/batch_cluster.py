"""`tumorlens batch` on a Ray cluster of two nodes (two raylets on this machine), one taken away meanwhile.

    python benchmarks/batch_cluster.py [--scans 400]

Real slices of tests/data under other names. The rows are compared with those of one machine's engine.
"""

import argparse
import os
import tempfile
from pathlib import Path

from batch_kills import rows
from batch_scaling import links

from tumorlens.batch import BatchOptions, Engine, run_batch
from tumorlens.batch.progress import Progress
from tumorlens.batch.report import ChunkReport

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_BACKEND_LOG_LEVEL"] = "fatal"
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on this machine alone

from ray.cluster_utils import Cluster


class Remover:
    """A watcher that takes a node away when so many scans are done.

    Args:
        cluster: Of two nodes.
        node: Of them.
        after: Scans.
    """

    def __init__(self, cluster: Cluster, node: object, after: int) -> None:
        self._cluster, self._node, self._after = cluster, node, after
        self.at: int | None = None

    def changed(self, progress: Progress, report: ChunkReport | None) -> None:
        """See `Watcher`."""
        if self.at is None and progress.scans >= self._after:
            self.at = progress.scans
            self._cluster.remove_node(self._node, allow_graceful=False)
            print(f"a node is taken away after {self.at} scans", flush=True)

    def ended(self, progress: Progress, words: str) -> None:
        """See `Watcher`."""
        print(f"{words}: {progress}", flush=True)


def main() -> None:
    """Run both engines, compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--scans", type=int, default=400)
    count = parser.parse_args().scans
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "archive")
        links(archive, count)
        run_batch(str(archive), f"{folder}/local", BatchOptions(chunk=8))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            node = cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            options = BatchOptions(chunk=8, engine=Engine.RAY, workers=2, address=cluster.address)
            remover = Remover(cluster, node, after=count // 4)
            summary = run_batch(str(archive), f"{folder}/ray", options, [remover])
        finally:
            cluster.shutdown()
        assert remover.at is not None, "no node was taken away"
        assert summary.scans == count
        assert rows(Path(folder, "ray")) == rows(Path(folder, "local"))
        print(f"{count} rows, each once, the same as of one machine")


if __name__ == "__main__":
    main()
