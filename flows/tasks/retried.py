"""Tasks that read from elsewhere: what may not recur is tried again."""

from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from recobatch.errors import RatingsUnreachable, RecobatchError


def _is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failure may not recur: what was refused on purpose stays refused."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, RatingsUnreachable) or not isinstance(error, RecobatchError)


RETRIED: dict[str, Any] = {
    "retries": 2, "retry_delay_seconds": [1, 5], "retry_condition_fn": _is_transient, "cache_policy": NO_CACHE,
}  # fmt: skip
"""Options of such a task: two more attempts, after a second and after five."""
