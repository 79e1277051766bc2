"""From ratings to better settings: nothing is registered, scored or published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.job import closing, open_services
from flows.results.notification import job_flow
from flows.settings.given import GivenSettings
from flows.settings.load import load_settings
from flows.settings.sources import TOML_NAME
from flows.tasks.ingest import ingest_ratings
from flows.tasks.side_tables import with_side_tables
from flows.tasks.split import split_ratings
from flows.tasks.studies import open_studies
from flows.tasks.tune import search_model, tuned_models, write_together
from recobatch.models.search_space import Value
from recobatch.storage.durable import explained, write_file
from recobatch.tuning import Budget, merged_toml, settings_together


@job_flow("tune-models")
def tune_models(
    settings: GivenSettings = GivenSettings(),  # noqa: B008 - it is frozen
    models: tuple[str, ...] = (),
    budget: str = "60s",
    study: str | None = None,
    apply: bool = False,
    fresh: bool = False,
) -> dict[str, Any]:
    """Search for better settings of models on held-out training ratings.

    Args:
        settings: What this run has other than recobatch.toml; the search begins with the whole of them.
        models: Models to tune, each with a search of its own; by default all of the settings.
        budget: Of each search: a duration or a number of trials.
        study: Name by which a search is resumed; for one model only.
        apply: Whether to write the settings that were found into recobatch.toml.
        fresh: Redo every stage, and begin the studies again.
    """
    limit = Budget.parse(budget)
    services = open_services(settings, fresh=fresh)
    with closing(services):
        names = tuned_models(services.settings, models)
        ratings = with_side_tables(services, ingest_ratings(services))
        parts = split_ratings(services, ratings)
        with open_studies(services, names, ratings, parts, study) as studies:
            found = [
                search_model.with_options(name=f"tune {name}")(services, name, studies, limit) for name in names
            ]  # fmt: skip
            together = settings_together([each.result for each in found])
            toml = write_together(services, found, together)
        applied = _apply(services.root / TOML_NAME, together) if apply and together else None
    return {
        "batch_id": services.new_batch_id, "status": "tuned", "seconds": services.stages.seconds,
        "budget": str(limit), "models": {each.result.model: each.to_dict() for each in found},
        "settings": together, "toml": toml, "applied": applied,
    }  # fmt: skip


def _apply(path: Path, settings: Mapping[str, Value]) -> str:
    """Write the settings that were found into the project's file; those it has for other things stay.

    Raises:
        BadSettings: If the file cannot take them.
    """
    with explained("read the settings", path, outcome="nothing was written"):
        text = path.read_text(encoding="utf-8") if path.exists() else ""
    merged = merged_toml(text, settings, name=str(path))
    with explained("write the settings", path, outcome="nothing was written"):
        write_file(path, merged.encode())
    load_settings(toml=path)
    return str(path)
