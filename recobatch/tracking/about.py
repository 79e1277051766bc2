"""What a run in MLflow says of itself: its description, and the code that made it."""

import getpass
from functools import cache
from importlib import metadata
from pathlib import Path

from recobatch.tracking.options import DatasetInfo


def run_tags(batch_id: str, model_name: str, dataset: DatasetInfo) -> dict[str, str]:
    """Tags of a run; those that begin with ``mlflow.`` are shown by MLflow's pages at places of their own."""
    version = metadata.version("recobatch")
    sizes = f"{dataset.n_ratings:,} ratings, {dataset.n_users:,} users, {dataset.n_items:,} items"
    note = f"`{model_name}` on {dataset.name} ({sizes}). Batch `{batch_id}` of recobatch {version}."
    commit = git_commit(Path(__file__).parents[2])
    return {
        "batch_id": batch_id, "model": model_name, "recobatch.version": version, "mlflow.user": user_name(),
        "mlflow.source.name": "recobatch", "mlflow.source.type": "JOB",
        "mlflow.note.content": note,
        **({"mlflow.source.git.commit": commit} if commit else {}),
    }  # fmt: skip


@cache
def git_commit(checkout: Path) -> str | None:
    """The commit that a checkout is at, read from its files; None where there is none, as in a container."""
    folder = checkout / ".git"
    try:
        head = (folder / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (loose := folder / name).exists():
            return loose.read_text(encoding="utf-8").strip()
        packed = (folder / "packed-refs").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def user_name() -> str:
    """Of the operating system."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
