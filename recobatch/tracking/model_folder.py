"""One MLflow model folder with two flavors: raw ids to ratings in NumPy, and the Keras model itself where it is one.

    MLmodel, requirements.txt, python_env.yaml, conda.yaml, input_example.json
    served/                  factors.npz, users.parquet, items.parquet, rated.npz      mlflow.pyfunc
                             interest.npz, where the batch trained an interest model   recobatch score
                             calibration.npz: noise terms and intervals                 recobatch score
    data/                    model.keras, keras_module.txt                             mlflow.keras
    state/                   state.npz of a sampled model, up to 512 MiB
    measured/                measured.npz, test.npz: to measure a champion again beside one that is to replace it
    code/                    the loader, and a copy of the modules that serving needs

`mlflow.keras.save_model` can write only its own pyfunc flavor, which would need TensorFlow and take indices; so the
folder is laid out here as both loaders expect it (mlflow/keras/load.py and mlflow/pyfunc in MLflow 3.17). Nothing is
pickled.
"""

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from recobatch.model_folder import KERAS_FILE, STATE_FILE, ModelFolder
from recobatch.storage.durable import link_or_copy
from recobatch.storage.fingerprints import file_digest

SERVING_MODULES = ("__init__", "errors", "array_file", "factors", "vocabulary", "served")
"""What ``recobatch.served`` needs of this package; copies travel with the model."""
LOADER = "served_loader"
REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow")
"""What serving needs; the Keras flavor runs in the modeller's own environment and needs keras and tensorflow there."""


MEASURED = "measured"
"""Folder of ``MEASURED_FILES``."""
_MOST_STATE_BYTES = 1 << 29


def lay_out(folder: Path, model: ModelFolder) -> None:
    """Fill an empty ``folder`` with all but the MLmodel file, which names the run and is written on delivery."""
    for name in ("served", "code/recobatch_copy/recobatch"):
        (folder / name).mkdir(parents=True)
    for name, path in model.scored_files.items():
        link_or_copy(path, folder / "served" / name)
    if model.keras.exists():
        (folder / "data").mkdir()
        link_or_copy(model.keras, folder / "data" / KERAS_FILE)
        (folder / "data" / "keras_module.txt").write_text("keras")
    if _has_state(model):
        (folder / "state").mkdir()
        link_or_copy(model.state, folder / "state" / STATE_FILE)
    (folder / MEASURED).mkdir()
    for name, path in model.measured_files.items():
        link_or_copy(path, folder / MEASURED / name)
    _copy_code(folder / "code")
    _write_environment(folder)


def digests(model: ModelFolder) -> dict[str, str]:
    """Sha256 of every file that is checked before loading, by its name in the folder."""
    paths = model.scored_files | ({KERAS_FILE: model.keras} if model.keras.exists() else {})
    paths |= model.measured_files
    paths |= {STATE_FILE: model.state} if _has_state(model) else {}
    return {name: file_digest(path) for name, path in paths.items()}


def _has_state(model: ModelFolder) -> bool:
    return model.state.exists() and model.state.stat().st_size <= _MOST_STATE_BYTES


def write_mlmodel(folder: Path, *, run_id: str, model_id: str, location: str, sums: dict[str, str]) -> None:
    """Write the MLmodel file and the input example.

    Args:
        folder: As ``lay_out`` left it.
        run_id: The run that made the model.
        model_id: MLflow's id of the logged model.
        location: URI where its files are about to lie.
        sums: Sha256 of its files, recorded as metadata.
    """
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.models.utils import _save_example
    from mlflow.types import ColSpec, Schema, TensorSpec

    example = _example(folder / "served")
    columns = Schema([ColSpec(_column_type(example[name].dtype), name) for name in example.columns])
    ratings = Schema([TensorSpec(np.dtype(np.float32), (-1,), "prediction")])
    model = Model(
        artifact_path=location, run_id=run_id, model_id=model_id, model_uuid=model_id,
        signature=ModelSignature(columns, ratings), metadata={"sha256": sums},
    )  # fmt: skip
    model.add_flavor(
        "python_function", loader_module=LOADER, data="served", code="code",
        python_version=platform.python_version(), env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    )  # fmt: skip
    if (folder / "data").exists():
        model.add_flavor(
            "keras", data="data", keras_version=_version("keras"), keras_backend="tensorflow", save_exported_model=False
        )
    _save_example(model, example, str(folder))
    model.save(str(folder / "MLmodel"))


def _example(served_folder: Path) -> Any:  # noqa: ANN401 - a pandas frame
    """Up to three known pairs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = [pq.read_table(served_folder / f"{name}.parquet")["id"].slice(0, 3) for name in ("users", "items")]
    rows = min(map(len, ids))
    return pa.table({"user_id": ids[0][:rows], "item_id": ids[1][:rows]}).to_pandas()


def _column_type(dtype: Any) -> str:  # noqa: ANN401 - numpy or pandas
    return "long" if dtype.kind == "i" else "string"


def _copy_code(folder: Path) -> None:
    package = Path(__file__).parents[1]
    for module in SERVING_MODULES:
        copy = folder / "recobatch_copy" / "recobatch" / f"{module}.py"
        copy.write_bytes((package / f"{module}.py").read_bytes())
    (folder / f"{LOADER}.py").write_bytes((package / f"{LOADER}.py").read_bytes())


def _write_environment(folder: Path) -> None:
    pins = [f"{name}=={_version(name)}" for name in REQUIREMENTS]
    python = platform.python_version()
    (folder / "requirements.txt").write_text("".join(f"{pin}\n" for pin in pins))
    (folder / "python_env.yaml").write_text(
        f"python: {python}\nbuild_dependencies: []\ndependencies:\n- -r requirements.txt\n"
    )
    pip = "".join(f"  - {pin}\n" for pin in pins)
    (folder / "conda.yaml").write_text(
        f"name: mlflow-env\nchannels:\n- conda-forge\ndependencies:\n- python={python}\n- pip\n- pip:\n{pip}"
    )


def _version(package: str) -> str:
    return metadata.version(package)
