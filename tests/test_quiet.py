"""Called from Python, nothing is reported to anyone, and TensorFlow is silent about GPUs that are not there."""

import os
import subprocess
import sys

import pytest

_BUILD = (
    "from recobatch.models import ModelOptions, build_model\n"
    "build_model('explicit_mf', n_users=3, n_items=2, min_rating=1, max_rating=5, options=ModelOptions(), seed=0)"
)
_TELEMETRY = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "MLFLOW_DISABLE_TELEMETRY")
_TENSORFLOW = ("TF_CPP_MIN_LOG_LEVEL", "CUDA_VISIBLE_DEVICES")


@pytest.mark.process
def test_what_others_write_meanwhile_is_not_lost():
    code = (
        "import os, sys\nfrom recobatch.models.native_log import _held_back\n"
        "with _held_back(): os.write(2, b'I0000 00:00:1.2 3 a.cc:1] native\\nours\\n')\n"
        "try:\n  with _held_back(): os.write(2, b'E0000 why\\n'); raise ImportError\nexcept ImportError: pass"
    )
    assert python(code).stderr == "ours\nE0000 why\n"


def python(code, **environment):
    bare = {name: value for name, value in os.environ.items() if name not in _TELEMETRY + _TENSORFLOW}
    return subprocess.run(
        [sys.executable, "-c", code], env=bare | environment, capture_output=True, text=True, check=True
    )


@pytest.mark.long
@pytest.mark.process
def test_building_a_model_prints_nothing():
    assert python(_BUILD).stderr == ""


@pytest.mark.process
def test_importing_the_flows_switches_telemetry_off_and_leaves_what_is_set():
    show = f"import os, flows; print([os.environ[name] for name in {_TELEMETRY}])"
    assert python(show).stdout.strip() == "['1', 'false', 'true']"
    assert python(show, DO_NOT_TRACK="0").stdout.strip() == "['0', 'false', 'true']"
