"""Models of the user's own, by the import path of their builder."""

import sys
import textwrap

import pytest

from flows.settings.load import load_settings
from flows.tasks.fingerprints import shaping_settings
from recobatch.errors import BadSettings
from recobatch.models import ModelOptions, build_model, check_model, find_model, source_digest

pytestmark = pytest.mark.slow

SIZES = {"n_users": 7, "n_items": 5, "min_rating": 1, "max_rating": 5, "options": ModelOptions(n_factors=3), "seed": 1}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the project folder; its name, which no other test has."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr("recobatch.models.registry._imported", {})
    name = f"models_of_{tmp_path.name}".replace("-", "_")

    def write(body):
        (tmp_path / f"{name}.py").write_text(f"import keras\n{textwrap.dedent(body)}")
        sys.modules.pop(name, None)
        return name

    return write


GOOD = """
    from recobatch.models.explicit_mf import build as explicit_mf

    def build(**given):
        return explicit_mf(**given)

    other = build
"""


def test_a_builder_in_the_project_folder_is_a_model(module):
    name = module(GOOD)
    assert build_model(f"{name}:build", **SIZES).name == "ExplicitMF"
    check_model(f"{name}:other")
    assert (find_model(f"{name}:build").name, find_model(f"{name}:other").name) == (name, f"{name}_other")
    assert build_model(name, **SIZES).count_params() == (7 + 5) * 3, "from then on by its name, too"
    assert str(sys.path).count(name) == 0


def test_settings_name_it_and_tables_have_a_plain_name():
    settings = load_settings(assignments=["models=explicit_mf_bias,my_pkg.models:build"], environment={})
    assert settings.models == ("explicit_mf_bias", "my_pkg.models:build")
    assert settings.model_names == ("explicit_mf_bias", "my_pkg_models")
    assert type(settings).model_validate_json(settings.model_dump_json()) == settings


def test_another_code_is_another_training(module):
    name = module(GOOD)
    settings = load_settings(assignments=[f"models={name}:build"], environment={})
    before = shaping_settings(settings, name)
    assert shaping_settings(settings, name) == before
    module(GOOD + "\n    # changed\n")
    assert shaping_settings(settings, name)["model_code"] != before["model_code"]
    assert source_digest("explicit_mf") is None
    assert "model_code" not in shaping_settings(settings, "explicit_mf")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def build(**_): return None", "builds NoneType, expected a Keras model"),
        (
            "def build(**_): return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])",
            "whose model 'sequential.*' does not end in the factor form, expected Dot of a user's",
        ),
        ("def build(**_): return keras.Sequential()", "does not end in the factor form"),
        (
            "def build(n_users): return None",
            r"raised TypeError \(.*\), expected a function build\(\*, n_users, n_items",
        ),
        ("built = None", "found '.*:build' and no function build in"),
        ("import no_such_package", "and no module no_such_package, expected one in the project folder or installed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(module, body, words):
    name = module(body)
    with pytest.raises(BadSettings, match=words) as caught:
        check_model(f"{name}:build")
    assert "\n" not in str(caught.value)


def test_two_paths_of_one_name_are_refused(module):
    find_model("a.b:build")
    with pytest.raises(BadSettings, match=r"found 'a_b:build' and 'a\.b:build', expected models whose names differ"):
        find_model("a_b:build")
    with pytest.raises(BadSettings, match="found 'explicit_mf:build' and 'ExplicitMF'"):
        find_model("explicit_mf:build")
    assert source_digest("nowhere_at_all.models:build") is None


@pytest.mark.parametrize("name", ["svd", "a.b:", ":build", "a b:c", "a:b:c", "os;x:y"])
def test_what_is_neither_is_refused_where_it_is_set(name):
    with pytest.raises(BadSettings, match=r"or an import path such as mypkg\.models:build"):
        load_settings(assignments=[f"models={name}"], environment={})
