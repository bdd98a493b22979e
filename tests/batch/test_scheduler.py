"""Which worker gets which task, and what is done about deaths, lateness and being called off."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.batch.cancel import Cancelled, CancelToken
from avis_cli.batch.scheduler import (
    LOST_NODES,
    LOST_STARTS,
    Event,
    Finished,
    Limits,
    Lost,
    Raised,
    Ready,
    Scheduler,
    Settled,
)
from avis_cli.errors import ClusterError

Answer = Callable[[int, Any], Sequence[tuple[float, Event]]]


class Pool:
    """Workers that answer as they are told; ``now``: the clock, which waiting advances."""

    def __init__(self, workers: int, answer: Answer, *, ready: bool = True) -> None:
        self.now = 0.0
        self.submitted: list[tuple[int, Any]] = []
        self.killed: list[int] = []
        self.given_up: list[int] = []
        self.busy: set[int] = set()
        self.up: set[int] = set()
        self._answer = answer
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Event]] = []
        if ready:
            for worker in range(workers):
                self.comes(0, Ready(worker, f"node{worker}"))

    def comes(self, after: float, event: Event) -> None:
        self._coming.append((self.now + after, next(self._order), event))

    def submit(self, worker: int, task: Any) -> None:
        assert worker in self.up - self.busy, "a worker was given a task that cannot do it"
        self.busy.add(worker)
        self.submitted.append((worker, task))
        for after, event in self._answer(worker, task):
            self.comes(after, event)

    def wait(self, seconds: float) -> list[Event]:
        assert seconds >= 0
        due = sorted(entry for entry in self._coming if entry[0] <= self.now + seconds)[:1]
        if not due:
            self.now += seconds
            return []
        self._coming.remove(due[0])
        self.now = max(self.now, due[0][0])
        event = due[0][2]
        if isinstance(event, Ready):
            self.up.add(event.worker)
        else:
            self.busy.discard(event.worker)
        if isinstance(event, Lost):
            self.up.discard(event.worker)
        return [event]

    def kill(self, worker: int) -> None:
        self.killed.append(worker)
        self._coming = [entry for entry in self._coming if entry[2].worker != worker]
        self.comes(0, Lost(worker, "killed"))
        self.comes(1, Ready(worker, f"node{worker}"))

    def give_up(self, worker: int) -> None:
        self.given_up.append(worker)

    def close(self) -> None: ...


class Watcher:
    def __init__(self) -> None:
        self.begun: list[tuple[Any, int, str]] = []
        self.lost_ones: list[tuple[Any, int, str, str]] = []
        self.ends: list[Settled] = []

    def began(self, task: Any, attempt: int, node: str) -> None:
        self.begun.append((task, attempt, node))

    def lost(self, task: Any, attempt: int, node: str, cause: str) -> None:
        self.lost_ones.append((task, attempt, node, cause))

    def settled(self, settled: Settled) -> None:
        self.ends.append(settled)

    def ended(self) -> dict[Any, str]:
        assert len({one.task for one in self.ends}) == len(self.ends), "a task was settled twice"
        return {one.task: one.end for one in self.ends}


def run(pool: Pool, tasks: Sequence[Any], workers: int, limits: Limits | None = None) -> Watcher:
    watcher = Watcher()
    scheduler = Scheduler(pool, workers, limits or Limits(), watcher, lambda: pool.now)
    scheduler.run(tasks, CancelToken(), CancelToken())
    assert not scheduler.running
    return watcher


def takes(seconds: float) -> Answer:
    return lambda worker, task: [(seconds, Finished(worker, f"{task}!"))]


def dies(worker: int, cause: str = "died", after: float = 1, *, with_node: bool = False) -> list[tuple[float, Event]]:
    return [(after, Lost(worker, cause, with_node)), (after + 1, Ready(worker, f"node{worker}"))]


def test_every_task_is_done_once_in_order_on_workers_as_they_are_free() -> None:
    pool = Pool(2, takes(1))
    watcher = run(pool, "abcde", 2)
    assert pool.submitted == [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (0, "e")]
    assert [(one.task, one.end, one.value) for one in watcher.ends] == [(name, "done", f"{name}!") for name in "abcde"]
    assert all((one.seconds, one.attempts) == (1, 1) for one in watcher.ends)
    assert watcher.begun[1] == ("b", 1, "node1")
    assert pool.now == 3


def test_workers_are_used_as_they_come() -> None:
    pool = Pool(2, takes(10), ready=False)
    pool.comes(5, Ready(1, "late"))
    pool.comes(7, Ready(0, "later"))
    watcher = run(pool, "abc", 2)
    assert watcher.begun == [("a", 1, "late"), ("b", 1, "later"), ("c", 1, "late")]


def test_what_is_lost_with_a_worker_is_done_again_and_then_given_up() -> None:
    def answer(worker: int, task: str) -> Sequence[tuple[float, Event]]:
        return dies(worker, "no memory") if task == "poison" else takes(1)(worker, task)

    watcher = run(Pool(2, answer), ["a", "poison", "b", "c"], 2, Limits(retries=2))
    assert watcher.ended() == {"a": "done", "b": "done", "c": "done", "poison": "quarantined"}
    end = next(one for one in watcher.ends if one.task == "poison")
    assert (end.attempts, end.cause, end.value) == (3, "no memory", None)
    assert [(task, attempt) for task, attempt, _, _ in watcher.lost_ones] == [("poison", 1), ("poison", 2)]
    assert [attempt for task, attempt, _ in watcher.begun if task == "poison"] == [1, 2, 3]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_it_is_tried_as_often_as_told(retries: int) -> None:
    pool = Pool(1, lambda worker, task: dies(worker))
    watcher = run(pool, ["a"], 1, Limits(retries))
    assert len(pool.submitted) == retries + 1 == watcher.ends[0].attempts


def test_machines_that_go_away_are_no_fault_of_their_tasks() -> None:
    losses = iter(range(5))

    def answer(worker: int, task: str) -> Sequence[tuple[float, Event]]:
        return takes(1)(worker, task) if next(losses, None) is None else dies(worker, with_node=True)

    watcher = run(Pool(1, answer), ["a"], 1, Limits(retries=0))
    assert watcher.ended() == {"a": "done"}
    assert watcher.ends[0].attempts == 6


def test_a_task_under_which_machine_after_machine_goes_is_given_up() -> None:
    pool = Pool(1, lambda worker, task: dies(worker, with_node=True))
    assert run(pool, ["a"], 1).ended() == {"a": "quarantined"}
    assert len(pool.submitted) == LOST_NODES + 1


def test_an_exception_fails_its_task_alone() -> None:
    error = ValueError("odd")

    def answer(worker: int, task: str) -> Sequence[tuple[float, Event]]:
        return [(1, Raised(worker, error))] if task == "b" else takes(1)(worker, task)

    pool = Pool(1, answer)
    watcher = run(pool, "abc", 1)
    assert watcher.ended() == {"a": "done", "b": "failed", "c": "done"}
    assert watcher.ends[1].error is error
    assert watcher.ends[1].cause == "odd"
    assert len(pool.submitted) == 3


def test_a_task_that_takes_too_long_is_ended_and_not_tried_again() -> None:
    def answer(worker: int, task: str) -> Sequence[tuple[float, Event]]:
        return [] if task == "hangs" else takes(3)(worker, task)

    pool = Pool(1, answer)
    watcher = run(pool, ["a", "hangs", "b"], 1, Limits(timeout=5))
    assert watcher.ended() == {"a": "done", "hangs": "timed out", "b": "done"}
    assert pool.killed == [0]
    late = watcher.ends[1]
    assert late.seconds == 5
    assert late.cause == "took longer than 5 s"
    assert [task for _, task in pool.submitted] == ["a", "hangs", "b"]


def test_the_deadline_of_a_task_is_not_that_of_the_next_on_its_worker() -> None:
    pool = Pool(1, takes(4))
    assert set(run(pool, "abcdef", 1, Limits(timeout=5)).ended().values()) == {"done"}
    assert not pool.killed


def test_a_task_that_ends_while_it_is_being_killed_counts_and_its_worker_rests() -> None:
    pool = Pool(2, lambda worker, task: [] if task == "late" else takes(1)(worker, task))

    def too_late(worker: int) -> None:
        pool.comes(0, Finished(worker, "just so"))
        pool.comes(0.2, Lost(worker, "killed"))
        pool.comes(1, Ready(worker))

    pool.kill = too_late  # type: ignore[method-assign]
    watcher = run(pool, ["late", *"abcdefghij"], 2, Limits(timeout=5))
    assert watcher.ended()["late"] == "done"
    assert set(watcher.ended().values()) == {"done"}
    assert not watcher.lost_ones


def test_a_worker_that_dies_idle_is_not_given_tasks_until_it_is_back() -> None:
    attempts = iter([[(1.0, Lost(0, "died"))]])
    pool = Pool(2, lambda worker, task: next(attempts, None) or takes(1)(worker, task))
    pool.comes(0.5, Lost(1, "gone"))
    pool.comes(4, Ready(1, "again"))
    watcher = run(pool, ["a"], 2)
    assert watcher.begun == [("a", 1, "node0"), ("a", 2, "again")]
    assert pool.now == 5


def test_workers_that_never_get_ready_are_given_up_and_the_last_one_ends_the_run() -> None:
    pool = Pool(2, takes(1), ready=False)
    for number in range(LOST_STARTS):
        pool.comes(number, Lost(0, "no memory"))
        pool.comes(number + 20, Lost(1, "no disk"))
    with pytest.raises(ClusterError, match="5 times before it was ready: no disk"):
        run(pool, "ab", 2)
    assert pool.given_up == [0, 1]


def test_one_worker_that_never_gets_ready_leaves_the_work_to_the_others() -> None:
    pool = Pool(1, takes(1))
    for number in range(LOST_STARTS):
        pool.comes(number / 10, Lost(1, "no memory"))
    assert run(pool, "ab", 2).ended() == {"a": "done", "b": "done"}
    assert pool.given_up == [1]


def test_a_start_that_works_forgets_the_earlier_ones() -> None:
    pool = Pool(1, lambda worker, task: dies(worker), ready=False)
    for _ in range(LOST_STARTS - 1):
        pool.comes(0, Lost(0, "no memory"))
    pool.comes(1, Ready(0))
    assert run(pool, "a", 1, Limits(retries=LOST_STARTS)).ended() == {"a": "quarantined"}


def test_draining_finishes_what_runs_and_begins_nothing() -> None:
    pool, watcher, drain = Pool(2, takes(3)), Watcher(), CancelToken()
    pool.submit = _after(pool.submit, 2, drain.cancel)  # type: ignore[method-assign, assignment]
    Scheduler(pool, 2, Limits(), watcher, lambda: pool.now).run("abcde", CancelToken(), drain)
    assert watcher.ended() == {"a": "done", "b": "done"}


def test_draining_tries_nothing_again() -> None:
    pool, watcher, drain = Pool(1, lambda worker, task: dies(worker)), Watcher(), CancelToken()
    pool.submit = _after(pool.submit, 1, drain.cancel)  # type: ignore[method-assign, assignment]
    Scheduler(pool, 1, Limits(), watcher, lambda: pool.now).run("ab", CancelToken(), drain)
    assert len(pool.submitted) == 1
    assert not watcher.ends


def test_a_cancelled_run_ends_at_once() -> None:
    pool, watcher, cancel = Pool(2, takes(3)), Watcher(), CancelToken()
    pool.submit = _after(pool.submit, 2, cancel.cancel)  # type: ignore[method-assign, assignment]
    with pytest.raises(Cancelled):
        Scheduler(pool, 2, Limits(), watcher, lambda: pool.now).run("abcde", cancel, CancelToken())
    assert not watcher.ends


def _after(submit: Callable[[int, Any], None], times: int, then: Callable[[], None]) -> Callable[[int, Any], None]:
    calls: deque[None] = deque()

    def counted(worker: int, task: Any) -> None:
        submit(worker, task)
        calls.append(None)
        if len(calls) == times:
            then()

    return counted


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 4),
    st.lists(st.lists(st.sampled_from(["done", "raised", "died", "node", "hangs"]), min_size=1), max_size=12),
    st.integers(0, 2),
)
def test_whatever_happens_every_task_comes_to_one_end(workers: int, fates: list[list[str]], retries: int) -> None:
    left = {number: deque(fate) for number, fate in enumerate(fates)}

    def answer(worker: int, task: int) -> Sequence[tuple[float, Event]]:
        fate = left[task].popleft() if left[task] else "done"
        if fate in ("died", "node"):
            return dies(worker, with_node=fate == "node")
        return {"done": takes(2)(worker, task), "raised": [(1.0, Raised(worker, ValueError("x")))], "hangs": []}[fate]

    ended = run(Pool(workers, answer), range(len(fates)), workers, Limits(retries, 5.0)).ended()
    assert sorted(ended) == list(range(len(fates)))
    for number, fate in enumerate(fates):
        assert ended[number] == _expected(fate, retries)


def _expected(fate: list[str], retries: int) -> str:
    deaths = nodes = 0
    for one in [*fate, "done"]:
        deaths, nodes = deaths + (one == "died"), nodes + (one == "node")
        if one not in ("died", "node"):
            return {"done": "done", "raised": "failed", "hangs": "timed out"}[one]
        if deaths > retries or nodes > LOST_NODES:
            return "quarantined"
    raise AssertionError
