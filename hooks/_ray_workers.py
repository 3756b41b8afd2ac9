"""Workers of a Ray cluster that write the shards of a store."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conceptscope.hooks._examples import Examples
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._ray_replica import Replica
from conceptscope.hooks._ray_worker import Task, Worker
from conceptscope.hooks._shard import Settings, placed, shard_rows
from conceptscope.hooks._store import Store, Written

_AHEAD = 4
"""Shards for each worker that may wait for an earlier one to be committed."""


@dataclass(frozen=True)
class Crew:
    """How many workers there may be, what each is given, and how often one may die at the same shard."""

    size: int
    cpus: float
    gpus: float
    retries: int


class Workers:
    """Hands shards to workers, and commits what they wrote in the order of the shards.

    A worker is started when there is work for it, and replaced when it dies. done: told of examples that are
    in the store.
    """

    def __init__(
        self,
        ray: Any,
        crew: Crew,
        store: Store,
        model: HookedModel,
        replica: Replica,
        settings: Settings,
        done: Callable[[int], Any],
    ) -> None:
        self._ray, self._crew, self._store = ray, crew, store
        self._model, self._settings, self._done = model, settings, done
        self._replica = ray.put(replica)
        self._class = ray.remote(Worker).options(
            num_cpus=crew.cpus, num_gpus=crew.gpus, max_restarts=0, scheduling_strategy="SPREAD"
        )
        self._busy: dict[Any, tuple[Any, Task | None]] = {}  # with no task while it loads the model
        self._idle: list[Any] = []
        self._waiting: deque[Task] = deque()
        self._order: deque[int] = deque()
        self._finished: dict[int, Written | Exception] = {}
        self._deaths: Counter[int | None] = Counter()

    def write(self, number: int, data: Examples, first: int) -> None:
        """Have a shard written by a worker, some time; shards come in their order.

        Raises:
            OSError, TypeError, ValueError: what a capture here says, of this shard or of one before.
            RuntimeError: workers died too often at a shard, or while they loaded the model.
        """
        with placed(first, data):
            n_rows = shard_rows(self._model, data, self._settings)
        shard = self._store.place(number, data, n_rows)
        self._waiting.append(Task(number, data, shard, self._store.columns))
        self._order.append(number)
        self._step(wait=False)
        while self._outstanding > self._crew.size or len(self._order) > _AHEAD * self._crew.size:
            self._step()

    def finish(self) -> None:
        """Wait for what was handed out.

        Raises:
            OSError, RuntimeError, TypeError, ValueError: as `write`.
        """
        while self._order:
            self._step()

    def stop(self) -> None:
        """End all workers, whatever they do."""
        for worker in [*self._idle, *(worker for worker, _ in self._busy.values())]:
            self._ray.kill(worker)

    @property
    def _outstanding(self) -> int:
        return len(self._waiting) + sum(task is not None for _, task in self._busy.values())

    def _hand_out(self) -> None:
        while self._waiting and self._idle:
            worker, task = self._idle.pop(), self._waiting.popleft()
            self._busy[worker.capture.remote(task)] = (worker, task)
        while len(self._busy) + len(self._idle) < min(self._outstanding, self._crew.size):
            worker = self._class.remote()
            loaded = worker.load.remote(
                self._replica, self._store.folder.absolute(), self._settings, self._crew.gpus > 0
            )
            self._busy[loaded] = (worker, None)

    def _step(self, wait: bool = True) -> None:
        """Take in what a worker says, wait for it if need be, and go on from there."""
        try:
            for said in self._ray.wait(list(self._busy))[0] if wait else []:
                self._receive(said, *self._busy.pop(said))
            self._hand_out()
            self._commit()
        except Exception:
            self._order.clear()
            raise

    def _receive(self, said: Any, worker: Any, task: Task | None) -> None:
        errors = self._ray.exceptions
        try:
            result = self._ray.get(said)
        except errors.RayTaskError as error:
            result = error.cause if isinstance(error.cause, Exception) else RuntimeError(str(error))
        except errors.RayError as error:
            self._ray.kill(worker)
            return self._died(task, error)
        self._idle.append(worker)
        if task is not None:
            self._finished[task.number] = result
        elif isinstance(result, Exception):
            raise result
        else:
            del self._deaths[None]

    def _died(self, task: Task | None, error: Exception) -> None:
        number = None if task is None else task.number
        self._deaths[number] += 1
        if self._deaths[number] <= self._crew.retries:
            if task is not None:
                self._waiting.appendleft(task)
            return
        died = f"{self._deaths[number]} of Ray's workers died one after another"
        if task is None:
            raise RuntimeError(
                f"{died} while they loaded {self._model.name}: there may be too little memory for "
                f"{self._crew.size} workers"
            ) from error
        last = task.first + len(task.data) - 1
        self._finished[task.number] = RuntimeError(
            f"{died} at the examples {task.first} to {last} (counted from 0): give a smaller batch_size if "
            "memory was short, or leave these examples out; what comes before them is in the store"
        )

    def _commit(self) -> None:
        while self._order and self._order[0] in self._finished:
            result = self._finished.pop(self._order[0])
            if isinstance(result, Exception):
                raise result
            self._store.commit(self._order.popleft(), result)
            first, end = result.shard.examples
            self._done(end - first)
