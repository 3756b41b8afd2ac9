"""Ray as what runs the model of a capture, on one machine or on many."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptscope.hooks._examples import Examples
from conceptscope.hooks._model import HookedModel
from conceptscope.hooks._optional import optional
from conceptscope.hooks._ray_replica import Replica
from conceptscope.hooks._ray_workers import Crew, Workers
from conceptscope.hooks._rows import check_size
from conceptscope.hooks._shard import Settings
from conceptscope.hooks._store import Store

_REMEDY = 'pip install "conceptscope[ray]", or leave engine= out'

Write = Callable[[int, Examples, int], None]
"""Has a shard written: its number, its examples, and the number of the first one."""


@dataclass(frozen=True)
class RayEngine:
    """Workers of a Ray cluster, each with a replica of the model: ``capture(..., store=..., engine=...)``.

    Needs ``pip install "conceptscope[ray]"``. The cluster that this process is connected to is used, or else
    the one at ``address``, or else one is started here and stopped again. The folder of the store must be on
    a disk that all machines of the cluster share. Interventions and hooks on the model act in the workers.

    workers: at most so many; None is as many as fit on the cluster.
    gpus_per_worker, cpus_per_worker: what Ray keeps for each; None is a GPU where the cluster has any.
    address: of a cluster, as in ``ray.init``.
    retries: how often a shard is done again after the worker that did it has died.

    Raises:
        ValueError: a number that is negative, or none where one is needed.
    """

    workers: int | None = None
    gpus_per_worker: float | None = None
    cpus_per_worker: float = 1
    address: str | None = None
    retries: int = 3

    def __post_init__(self) -> None:
        if self.workers is not None:
            check_size("workers", self.workers)
        for name in ("gpus_per_worker", "cpus_per_worker", "retries"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must not be negative, got {value!r}")

    @contextmanager
    def writer(
        self, store: Store, model: HookedModel, settings: Settings, done: Callable[[int], Any]
    ) -> Iterator[Write]:
        """What has shards written by workers, which are started with the first one and gone at the end.

        After an error that comes from outside, what was handed out is still finished; after Ctrl-C it is not.

        Raises:
            ImportError: Ray is not installed.
            OSError, RuntimeError, TypeError, ValueError: what the workers say.
        """
        with ExitStack() as stack:
            begun: list[Workers] = []

            def write(number: int, data: Examples, first: int) -> None:
                if not begun:
                    begun.append(self._begin(stack, store, model, settings, done))
                begun[0].write(number, data, first)

            try:
                yield write
            except Exception:
                _finish(begun)
                raise
            _finish(begun)

    def _begin(
        self,
        stack: ExitStack,
        store: Store,
        model: HookedModel,
        settings: Settings,
        done: Callable[[int], Any],
    ) -> Workers:
        replica = Replica.of(model)
        ray = stack.enter_context(_connected(self.address))
        crew = self._crew(ray.cluster_resources())
        stack.enter_context(store.shared())
        workers = Workers(ray, crew, store, model, replica, settings, done)
        stack.callback(workers.stop)
        return workers

    def _crew(self, there: Mapping[str, float]) -> Crew:
        """As many workers as were asked for, or as there is room for."""
        cpus, gpus = there.get("CPU", 0.0), there.get("GPU", 0.0)
        wanted = float(gpus >= 1) if self.gpus_per_worker is None else self.gpus_per_worker
        fit = [int(total / each) for total, each in ((cpus, self.cpus_per_worker), (gpus, wanted)) if each]
        if fit and min(fit) < 1:
            raise ValueError(
                f"a worker needs {self.cpus_per_worker:g} CPUs and {wanted:g} GPUs, and the Ray cluster has "
                f"{cpus:g} and {gpus:g}: set cpus_per_worker and gpus_per_worker of the RayEngine"
            )
        size = self.workers or min(fit, default=1)
        return Crew(size, self.cpus_per_worker, wanted, self.retries)


def read_engine(engine: Any, store: str | Path | None) -> RayEngine | None:
    """The engine that is meant; None is this process.

    Raises:
        ImportError: Ray is not installed.
        TypeError: it is none.
        ValueError: an unknown name, or no store to write to.
    """
    if engine is None:
        return None
    if isinstance(engine, str) and engine != "ray":
        raise ValueError(f"engine must be 'ray' or a RayEngine, got {engine!r}; leave it out to run here")
    if not isinstance(engine, str | RayEngine):
        raise TypeError(f"engine must be 'ray' or a RayEngine, got {type(engine).__name__}")
    if store is None:
        raise ValueError("Ray's workers write to a store: give store=folder, or leave engine= out")
    optional("ray", _REMEDY)
    return RayEngine() if isinstance(engine, str) else engine


def _finish(begun: list[Workers]) -> None:
    for workers in begun:
        workers.finish()


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to a cluster; what was started for it is stopped again."""
    ray = optional("ray", _REMEDY)
    if ray.is_initialized():
        yield ray
        return
    with _unchanged():
        try:
            ray.init(address, include_dashboard=False, configure_logging=False, log_to_driver=False)
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _unchanged() -> Iterator[None]:
    """Keep Ray's notices from the console, and give the process its own answer to SIGTERM back."""
    logger = logging.getLogger("ray")
    level, answer = logger.level, signal.getsignal(signal.SIGTERM)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, answer)
