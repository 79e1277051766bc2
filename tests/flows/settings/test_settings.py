"""One tree of settings, from four sources."""

from operator import attrgetter

import pytest

from flows.settings.load import load_settings
from flows.settings.tree import Settings, all_keys, is_nullable, walk_fields
from recobatch.errors import BadSettings


@pytest.fixture
def load(tmp_path):
    toml = tmp_path / "recobatch.toml"

    def load(given=None, assignments=(), *, environment=None, text=None):
        if text is not None:
            toml.write_text(text)
        return load_settings(given, assignments, environment=environment or {}, toml=toml)

    return load


def test_the_defaults_are_the_notebook(load):
    settings = load()
    assert settings == Settings()
    assert (settings.train.batch_size, settings.train.epochs, settings.model.keras_factors) == (32, 5, 40)
    assert settings.gate.baseline == "global_mean"


def test_later_sources_win(load):
    text = "[train]\nepochs = 2\nbatch_size = 64\nlearning_rate = 0.1\n"
    environment = {"RECOBATCH_TRAIN__EPOCHS": "3", "RECOBATCH_TRAIN__BATCH_SIZE": "128", "HOME": "/"}
    settings = load({"seed": 9}, ["train.epochs=4", "seed=1"], environment=environment, text=text)
    assert (settings.train.epochs, settings.train.batch_size, settings.train.learning_rate) == (4, 128, 0.1)
    assert settings.seed == 9


def test_a_preset_lies_below_every_explicit_setting(load):
    tuned = load({"preset": "tuned"})
    assert tuned.gate.baseline == "bias"
    assert tuned.train != Settings().train
    assert load({"preset": "tuned"}, ["train.epochs=1", "gate.baseline=none"]).train.epochs == 1


def test_values_take_the_type_of_their_field(load):
    settings = load(
        None,
        [
            "ingest.rating_range=1,10", "split.ratios=0.7,0.1,0.2", "models=explicit_mf", "table.path=2024", "top.k=0",
            "data.user_column=who, when", "data.delimiter=,",
        ],
    )  # fmt: skip
    assert settings.ingest.rating_range == (1.0, 10.0)
    assert settings.split.ratios == (0.7, 0.1, 0.2)
    assert settings.models == ("explicit_mf",)
    assert str(settings.table.path) == "2024"
    assert settings.top.k == 0
    assert (settings.data.user_column, settings.data.delimiter) == ("who, when", ","), "a comma of a text stays"


def test_null_unsets(load):
    assert load(None, ["ingest.rating_range=null"], text="[ingest]\nrating_range = [1, 5]").ingest.rating_range is None


NULLABLE = [key for key, field in walk_fields() if is_nullable(field)]


@pytest.mark.parametrize("key", NULLABLE)
@pytest.mark.parametrize("source", ["toml", "environment", "--set", "parameters"])
def test_null_has_one_spelling_in_every_source(load, source, key):
    section, _, name = key.partition(".")
    settings = load(
        {"preset": "tuned"} | ({section: {name: "null"}} if source == "parameters" else {}),
        [f"{key}=null"] if source == "--set" else [],
        environment={f"RECOBATCH_{section}__{name}".upper(): "null"} if source == "environment" else {},
        text=f'[{section}]\n{name} = "null"\n' if source == "toml" else None,
    )
    assert attrgetter(key)(settings) is None


def test_null_of_a_flow_s_parameter_survives_the_preset(monkeypatch, tmp_path):
    from flows.job import effective_settings

    monkeypatch.chdir(tmp_path)
    for null in ("null", None):
        given = Settings.model_validate({"preset": "tuned", "train": {"patience": null}, "drift": {"users_gone": null}})
        settings = effective_settings(given)
        assert (settings.train.patience, settings.drift.users_gone) == (None, None)


def test_what_cannot_be_null_says_so(load):
    assert {"train.patience", "drift.error_rise", "data.user_column"} <= set(NULLABLE)
    assert load({"data": {"ratings": "null"}}).data.ratings == "null"
    with pytest.raises(BadSettings, match=r"train\.epochs: found 'null', expected:.*integer"):
        load(text='[train]\nepochs = "null"')


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"assignments": ["train.epoch=3"]},
            r"--set: found the unknown setting train\.epoch.*did you mean train\.epochs",
        ),
        (
            {"environment": {"RECOBATCH_TRIAN__EPOCHS": "3"}},
            r"environment: found the unknown setting trian, .*did you mean train\?",
        ),
        ({"text": "[train]\nepoch = 3"}, r"recobatch\.toml: found the unknown setting train\.epoch"),
        ({"text": "train ="}, r"recobatch\.toml: found no valid TOML"),
        ({"assignments": ["epochs"]}, r"found 'epochs', expected section\.key=value"),
        ({"assignments": ["train=3"]}, r"found train='3', expected a key below it"),
        ({"assignments": ["train.epochs=-1"]}, r"train\.epochs: found '-1', expected:.*greater than or equal to 1"),
        ({"assignments": ["train.epochs=many"]}, r"train\.epochs: found 'many'"),
        ({"assignments": ["split.ratios=0.5,0.6"]}, r"split\.ratios: found .*add up to 1"),
        ({"assignments": ["models=svd"]}, r"models: .*found the model 'svd', expected some of explicit_mf"),
        ({"given": {"preset": "newest"}}, r"preset: found 'newest'"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(load, arguments, words):
    with pytest.raises(BadSettings, match=words) as caught:
        load(**arguments)
    assert "\n" not in str(caught.value)


def test_settings_survive_json_as_prefect_sends_them():
    settings = load_settings({"preset": "tuned"}, environment={})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_every_key_is_listed():
    keys = all_keys()
    assert "train.epochs" in keys
    assert len(keys) == len(set(keys))


def test_a_flow_given_some_settings_reads_the_rest_where_it_runs(monkeypatch, tmp_path):
    from flows.job import effective_settings

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOBATCH_TRAIN__EPOCHS", "7")
    monkeypatch.setenv("RECOBATCH_SEED", "3")
    monkeypatch.setenv("RECOBATCH_HOME", "/a/folder")
    given = Settings.model_validate({"seed": 9, "train": {"batch_size": 64}})
    settings = effective_settings(given)
    assert (settings.seed, settings.train.batch_size, settings.train.epochs) == (9, 64, 7)


SECRET = {
    "RECOBATCH_DATA__RATINGS": "https://ann:hu,sh@host/a.csv?sig=hush",
    "RECOBATCH_TRACKING__URI": "https://hush@host",
}


@pytest.mark.parametrize(
    "arguments",
    [
        {"given": {"data": {"ratings": "https://ann:hush@host/a.csv"}}},
        {"assignments": ["data.ratings=https://host/a.csv?sig=hush"]},
        {"text": '[tracking]\nuri = "postgresql://ann:hush@host/db"'},
        {"given": {"tracking": {"uri": "https://host?token=hush"}}, "environment": SECRET},
    ],
)
def test_a_password_stands_in_the_environment_alone(load, arguments):
    with pytest.raises(BadSettings, match=r"found a password or signature .*variable RECOBATCH_") as caught:
        load(**arguments)
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_are_stored_without_passwords_and_the_environment_puts_them_back(load):
    from fastapi.encoders import jsonable_encoder

    settings = load(environment=SECRET)
    assert [settings.data.ratings, settings.tracking.uri] == list(SECRET.values())
    stored = jsonable_encoder(settings)  # as Prefect does
    assert "hush" not in str(stored) + settings.model_dump_json()
    assert [stored["data"]["ratings"], stored["tracking"]["uri"]] == ["https://host/a.csv", "https://host"]
    assert load(stored, environment=SECRET) == settings
    assert load(settings.model_dump(exclude_unset=True), environment=SECRET) == settings
    assert load(stored | {"data": {"ratings": "other.csv"}}, environment=SECRET).data.ratings == "other.csv"


@pytest.mark.parametrize(
    "assignment", ["data=https://ann:hush@host", "https://ann:hush@host", "preset=https://ann:hush@host"]
)
def test_a_password_in_the_wrong_place_is_not_repeated(load, assignment):
    with pytest.raises(BadSettings, match="https://host") as caught:
        load(None, [assignment])
    assert "hush" not in str(caught.value)


def test_variables_of_other_programs_are_no_settings(load):
    foreign = {"RECOBATCH_SERVICE_HOST": "10.0.0.1", "RECOBATCH_PORT_8080_TCP": "tcp://10.0.0.1:8080"}
    assert load(environment=foreign | {"RECOBATCH_SEED": "3"}) == load({"seed": 3})
