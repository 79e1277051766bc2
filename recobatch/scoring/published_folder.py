"""Where a look-up finds the current snapshot and the files of a model in it."""

import json
from pathlib import Path

from recobatch.errors import BadTable


def current_folder(root: Path) -> tuple[Path, str | None]:
    """The current snapshot, and its champion if no link names it.

    Resolved once, so that a concurrent publish does not affect a look-up.

    Raises:
        BadTable: If there is none, or its pointer cannot be read.
    """
    link, pointer = root / "current", root / "current.json"
    if link.is_dir():
        return link.resolve(), None
    if not pointer.is_file():
        raise BadTable(f"{root}: found no published table, expected one; publish with recobatch run, or pass --table")
    try:
        current = json.loads(pointer.read_bytes())
        return root / "versions" / Path(current["version"]).name, Path(current["champion"]).name
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadTable(
            f"{pointer}: found no readable pointer ({error}), expected JSON with version and champion; "
            f"point the table at a snapshot with recobatch rollback VERSION"
        ) from error


def model_folder(snapshot: Path, model: str | None) -> Path:
    """The folder of a model's predictions, or of its lists where nothing else was published.

    Args:
        snapshot: Folder of the snapshot.
        model: Name of the model; by default the one that the snapshot's own link names.

    Raises:
        BadTable: If the snapshot does not have the model.
    """
    if model is None:
        return (snapshot / "champion").resolve()
    main = snapshot / "table" if (snapshot / "table").is_dir() else snapshot / "top"
    known = sorted(folder.name.removeprefix("model=") for folder in main.glob("model=*"))
    if model not in known:
        shown = ", ".join(known[:5])
        raise BadTable(f"{snapshot}: found no model {model!r}, expected one of {shown}; pass one of them")
    return main / f"model={model}"
