"""What runs in each of Ray's workers: a replica of the model, which captures shard after shard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from conceptscope.hooks._examples import Examples
from conceptscope.hooks._manifest import Columns, Shard
from conceptscope.hooks._ray_replica import Replica
from conceptscope.hooks._shard import Settings, capture_shard, placed
from conceptscope.hooks._store import Written, join_store, write_shard


@dataclass(frozen=True, eq=False)
class Task:
    """A shard to capture: its number, its examples, its place and the columns of those before it."""

    number: int
    data: Examples
    shard: Shard
    columns: Columns

    @property
    def first(self) -> int:
        """The number of its first example."""
        return self.shard.examples[0]


class Worker:
    """Captures shards of one store.

    It begins with `load`, not with arguments: an error in a constructor would look like a death.
    """

    def load(self, replica: Replica, folder: Path, settings: Settings, on_gpu: bool) -> None:
        """Join the store, and put the model together.

        Raises:
            ValueError: the folder is not to be seen from here, or the model cannot be made here.
        """
        self._lock = join_store(folder)
        self._folder, self._settings = folder, settings
        self._model = replica.model(torch.device("cuda" if on_gpu else "cpu"))

    def capture(self, task: Task) -> Written:
        """Capture a shard, and write it where it belongs.

        Raises:
            OSError: it cannot be written.
            TypeError, ValueError: what `capture_shard` and `write_shard` say.
        """
        with placed(task.first, task.data):
            found = capture_shard(self._model, task.data, self._settings, first=task.first)
        return write_shard(self._folder, task.shard, task.data, found, task.columns)
