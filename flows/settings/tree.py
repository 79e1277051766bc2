"""The frozen tree of every setting."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

from flows.settings.secrets import redact
from flows.settings.sections import (
    DataSettings,
    LogSettings,
    NotifySettings,
    Section,
    TableSettings,
    TopSettings,
    WorkSettings,
)
from recobatch.evaluation.drift import DriftOptions
from recobatch.evaluation.gate import GateOptions
from recobatch.evaluation.rankings import EvaluationOptions
from recobatch.ingest import IngestOptions
from recobatch.interest.options import InterestOptions
from recobatch.models import MODEL_NAMES, ModelOptions, find_model, is_import_path
from recobatch.scoring.predictions import ScoreOptions
from recobatch.split import SplitOptions
from recobatch.tracking import TrackingOptions
from recobatch.training.choice import ChampionOptions
from recobatch.training.recipe import Recipe

UNSET = object()
"""What ``rewrite`` leaves out."""
INTEREST = "interest"
"""Name of the model of interest in MLflow; no other model has it."""


class Settings(Section):
    """Every setting of the job."""

    preset: Literal["best", "notebook", "tuned"] = Field(default="best", description="Recipe to start from")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of everything random")
    models: tuple[str, ...] = Field(
        default=MODEL_NAMES,
        min_length=1,
        description="Models to train and compare: names, or import paths such as ``mypkg.models:build``",
    )
    engine: Literal["threads", "dask"] = Field(
        default="threads", description="Who scores shards: threads of this process, or Dask's workers"
    )
    data: DataSettings = DataSettings()
    ingest: IngestOptions = IngestOptions()
    split: SplitOptions = SplitOptions()
    model: ModelOptions = ModelOptions()
    train: Recipe = Recipe()
    champion: ChampionOptions = ChampionOptions()
    interest: InterestOptions = InterestOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    gate: GateOptions = GateOptions()
    drift: DriftOptions = DriftOptions()
    score: ScoreOptions = ScoreOptions()
    top: TopSettings = TopSettings()
    table: TableSettings = TableSettings()
    tracking: TrackingOptions = TrackingOptions()
    work: WorkSettings = WorkSettings()
    log: LogSettings = LogSettings()
    notify: NotifySettings = NotifySettings()

    @model_validator(mode="before")
    @classmethod
    def _nulls(cls, tree: object) -> object:
        """The text ``null`` unsets a setting, whichever source it comes from: TOML has no other way to say it."""
        return rewrite(tree, cls, _null_as_none) if isinstance(tree, Mapping) else tree

    @field_validator("models", mode="before")
    @classmethod
    def _known_models(cls, value: object) -> object:
        names = (value,) if isinstance(value, str) else value
        for name in names if isinstance(names, list | tuple) else ():
            if name not in MODEL_NAMES and not is_import_path(str(name)):
                raise ValueError(
                    f"found the model {name!r}, expected some of {', '.join(MODEL_NAMES)}, or an import path such as "
                    f"mypkg.models:build"
                )
            # From here on, this process knows an import path by its name.
            if find_model(name).name == INTEREST:
                raise ValueError(f"found a model named {INTEREST!r}, expected another name; that of a function in it")
        return names

    @model_validator(mode="after")
    def _ranks_by_what_is_trained(self) -> Self:
        if self.interest.method == "none" and self.top.rank_by in ("interest", "product"):
            raise ValueError(
                f"top.rank_by={self.top.rank_by} needs a model of interest; set interest.method=best, or "
                f"top.rank_by=prediction"
            )
        return self

    @model_validator(mode="after")
    def _publishes_something(self) -> Self:
        if self.score.pairs == "top" and self.top.k == 0:
            raise ValueError("score.pairs=top needs lists; set top.k above 0, or score.pairs=all")
        return self

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models' names in tables, reports and MLflow: an import path has the name that ``find_model`` gives it."""
        return tuple(find_model(name).name for name in self.models)

    @model_serializer(mode="wrap", when_used="json")
    def _without_secrets(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As Prefect stores the settings with every flow run: no address holds a password."""
        return redact(serialize(self))


def rewrite(tree: Mapping[str, Any], model: type[BaseModel], change: Callable[[Any, FieldInfo], Any]) -> dict[str, Any]:
    """A tree of settings with what ``change`` makes of each value.

    Args:
        tree: Values by section and name. Unknown names stay as they are, for the validation to refuse.
        model: Its fields.
        change: From a value and its field to another value, or to ``UNSET``, which leaves the setting out.
    """
    found = {}
    for key, value in tree.items():
        field = model.model_fields.get(key)
        section = None if field is None else field.annotation
        if field is None:
            found[key] = value
        elif isinstance(value, Mapping) and isinstance(section, type) and issubclass(section, BaseModel):
            found[key] = rewrite(value, section, change)
        elif (changed := change(value, field)) is not UNSET:
            found[key] = changed
    return found


def _null_as_none(value: object, field: FieldInfo) -> object:
    """None for the text ``null`` of a setting that may be None; elsewhere it is a text like any other."""
    return None if value == "null" and is_nullable(field) else value


def is_nullable(field: FieldInfo) -> bool:
    """Whether a setting may be None."""
    return type(None) in get_args(field.annotation)


def walk_fields(model: type[BaseModel] = Settings, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting as ``section.key`` with its field, in the order of the tree."""
    for key, field in model.model_fields.items():
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel):
            yield from walk_fields(below, f"{path}{key}.")
        else:
            yield f"{path}{key}", field


def all_keys() -> list[str]:
    """Every setting as ``section.key``."""
    return [key for key, _ in walk_fields()]
