"""No setting is a number that is not finite."""

import pytest

from flows.settings.load import load_settings
from flows.settings.tree import walk_fields
from recobatch.errors import BadSettings

NUMBERS = [key for key, field in walk_fields() if "float" in str(field.annotation)]
LISTS = {"split.ratios": "{},0.5", "ingest.rating_range": "{},9"}


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("key", NUMBERS)
def test_is_refused_in_one_line_that_names_it(key, value):
    with pytest.raises(BadSettings, match=rf"^{key}(\.0)?: found .*expected"):
        load_settings({}, [f"{key}={LISTS.get(key, '{}').format(value)}"], environment={})


@pytest.mark.parametrize("name", ["a/b", "a:b", " ", ".", ".."])
def test_a_name_that_mlflow_refuses_is_refused_at_once(name):
    with pytest.raises(BadSettings, match=r"tracking\.registered_model: found .*expected a name without / and :"):
        load_settings({}, [f"tracking.registered_model={name}"], environment={})
