"""Actors of Ray on this machine, called directly: several chunks of one video at a time, each with its share of GPUs.

They run where the worker runs that has the video's lease, because its files are there. Ray is started with the first
use and ends with this process; with RAY_ADDRESS a running one is used.
"""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from flows.executors import Beat, Item, Out
from workspace.errors import UserError
from workspace.redaction import keep_secret

_LOOK_S = 1.0  # between two signs of life of the lease


_idle: dict[tuple[int, float, int], list[Any]] = {}  # of this process: starting one costs seconds, and a GPU's memory


class RayExecutor:
    """A context manager: inside it the actors are its own. They stay for the next of the same kind, if all went well.

    actors: how many;  gpus: of each, also parts of one;  threads: CPU threads of each, None: a fair share
    UserError if Ray is not installed, or this machine has too few GPUs (Ray would wait for them for ever).
    """

    def __init__(self, actors: int, gpus: float, threads: int | None) -> None:
        self.size = actors
        self._gpus, self._threads = gpus, threads or max(1, len(os.sched_getaffinity(0)) // actors)
        self._actors: list[Any] = []

    def __enter__(self) -> Self:
        _started()
        self._actors = _idle.pop(self._kind, [])
        if not self._actors:
            self._actors = self._made()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            _idle[self._kind] = self._actors
        else:
            _kill(self._actors)  # they may be busy with what nobody wants any more
        self._actors = []

    @property
    def _kind(self) -> tuple[int, float, int]:
        return self.size, self._gpus, self._threads

    def _made(self) -> list[Any]:
        ray = _started()
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        for kind in list(_idle):  # they hold GPUs
            _kill(_idle.pop(kind))
        here = ray.get_runtime_context().get_node_id()
        there = next((node["Resources"].get("GPU", 0) for node in ray.nodes() if node["NodeID"] == here), 0)
        if self._gpus * self.size > there:
            raise UserError(
                f"{self.size} actors with {self._gpus:g} GPU(s) each do not fit on this machine, which has {there:g}.",
                "Lower executor.actors or executor.gpus_per_actor.",
            )
        actor = ray.remote(_Worker).options(
            num_cpus=0,
            num_gpus=self._gpus,
            max_restarts=2,
            max_task_retries=2,  # work is safe to repeat: what is done is there
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        )
        return [actor.remote(self._threads) for _ in range(self.size)]

    def run(self, work: Callable[[Item, Beat], Out], items: Sequence[Item], beat: Beat) -> Iterator[Out]:
        ray = _started()
        waiting = list(enumerate(items))[::-1]
        free = list(self._actors)
        running: dict[Any, tuple[int, Any]] = {}
        done: dict[int, Out] = {}
        given = 0
        while waiting or running or done:
            while waiting and free:
                number, item = waiting.pop()
                actor = free.pop()
                running[actor.do.remote(work, item)] = number, actor
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_S) if running else ([], [])
            for reference in ready:
                number, actor = running.pop(reference)
                free.append(actor)
                done[number] = _told(ray, reference)
            beat((given + len(done)) / len(items))
            while given in done:
                yield done.pop(given)
                given += 1


class _Worker:
    """Lives in a process of its own."""

    def __init__(self, threads: int) -> None:
        from propagation.devices import use_threads

        use_threads(threads)

    def do(self, work: Callable[[Item, Beat], Out], item: Item) -> tuple[bool, Out | Exception]:
        """What work gave, or the error that it raised, which Ray would wrap in one of its own."""
        try:
            return True, work(item, lambda _: None)
        except Exception as error:
            error.add_note(traceback.format_exc())  # where it was, for a bug
            return False, error


def _kill(actors: list[Any]) -> None:
    ray = _started()
    for actor in actors:
        ray.kill(actor)


def _told(ray: Any, reference: Any) -> Any:
    try:
        good, value = ray.get(reference)
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f"An actor of Ray died three times: {' '.join(str(error).split())[:200]}.",
            "Probably memory ran out: lower executor.actors.",
        ) from None
    if not good:
        raise value
    return value


def _started() -> Any:
    """The module, with Ray running in this process."""
    known = sys.modules.get("ray")
    if known is not None and known.is_initialized():
        return known
    settings: dict[str, Any] = {}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")
    if not os.environ.get("RAY_ADDRESS"):
        settings = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        if known is None:  # it looks once, when it is imported
            # its processes listen on every interface: who speaks to them must know a token, which lies in no file
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = keep_secret(secrets.token_hex(32))
    try:
        import ray

        ray.init(log_to_driver=False, configure_logging=False, **settings)
    except ImportError:
        raise UserError(
            "executor.name is ray, which is not installed.", "Run `pip install 'fewclicks[ray]'`, or set it to local."
        ) from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(f"Ray cannot be used: {' '.join(str(error).split())[:200]}.", "Is it running?") from None
    return ray
