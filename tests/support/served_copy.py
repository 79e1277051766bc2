"""A registered model in a Python process where recobatch is not installed: the copy that travels with it predicts."""

import json
import os
import subprocess
import sys
from typing import Any

PREDICT = """
import sys, json, pathlib
sys.path = [entry for entry in sys.path if not pathlib.Path(entry, "recobatch").is_dir()]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in type(finder).__module__]
import mlflow, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
predictions = model.predict(pandas.DataFrame(json.loads(sys.argv[2]))).tolist()
import recobatch.served
print(json.dumps({
    "predictions": predictions, "code": recobatch.served.__file__,
    "heavy": sorted(sys.modules.keys() & {"tensorflow", "keras", "torch"}),
}))
"""


def predict_without_recobatch(model_uri: str, pairs: dict[str, list[Any]], **environment: str) -> list[float]:
    """Predict pairs of raw ids, given as columns, and check that the copied code did it without TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, model_uri, json.dumps(pairs)],
        capture_output=True, text=True, cwd="/",
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["heavy"] == []
    assert "recobatch_copy" in answer["code"]
    return answer["predictions"]
