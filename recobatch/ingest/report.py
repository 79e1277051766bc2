"""What an ingest found, and where it left it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class IngestReport:
    """Counts and files of one ingest."""

    rows: int
    """Records in the file."""
    ratings: int
    """Clean ratings among them."""
    quarantined: int
    """Quarantined records; ``ratings + quarantined == rows``."""
    reasons: dict[str, int]
    """Number of quarantined records by reason."""
    ratings_path: Path
    quarantine_path: Path | None
    """None where nothing was quarantined."""
    columns: dict[str, str]
    """Name of the file's column by role: user, item, rating, time."""
    rating_min: float
    rating_max: float
    fingerprint: str
    """Sha256 of the clean ratings in order; independent of the file format."""
    text_ids: Mapping[str, str] = field(default_factory=dict)
    """Role → the first id that is no integer, with its place; of columns that have such ids."""

    def to_json(self) -> dict[str, Any]:
        """JSON values; of the files only their names, because the folder that holds them may be renamed."""
        names = {"ratings_path": self.ratings_path.name, "quarantine_path": None}
        if self.quarantine_path is not None:
            names["quarantine_path"] = self.quarantine_path.name
        return {**dataclasses.asdict(self), **names}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], folder: Path) -> Self:
        """Inverse of ``to_json``; ``folder`` holds the files."""
        quarantine = values["quarantine_path"]
        paths = {"ratings_path": folder / values["ratings_path"], "quarantine_path": quarantine and folder / quarantine}
        return cls(**{**values, **paths})
