"""Private and undocumented parts of MLflow that tracking uses; a test holds them to the version they were checked on.

Besides these names: the layout of a folder with two flavors (recobatch.tracking.model_folder), the attribute
``RunData._metric_objs`` (recobatch.tracking.delivery), and the tags ``mlflow.experimentKind`` and
``mlflow.modelVersions``, which MLflow's pages read.
"""

CHECKED_VERSION = "3.17"
"""Major and minor."""

INTERNALS: dict[str, tuple[str, ...]] = {
    "mlflow.models.utils._save_example": ("mlflow_model", "input_example", "path"),
    "mlflow.store.db.utils._initialize_tables": ("engine",),
    "mlflow.entities.RunData": ("metrics", "params", "tags"),
    "mlflow.entities.LoggedModelOutput": ("model_id", "step"),
    "mlflow.MlflowClient.create_logged_model": (
        "self",
        "experiment_id",
        "name",
        "source_run_id",
        "tags",
        "params",
        "model_type",
    ),
    "mlflow.MlflowClient.log_outputs": ("self", "run_id", "models"),
    "mlflow.MlflowClient.log_model_artifacts": ("self", "model_id", "local_dir", "artifact_path"),
    "mlflow.MlflowClient.finalize_logged_model": ("self", "model_id", "status"),
    "mlflow.system_metrics.metrics.cpu_monitor.CPUMonitor": (),
    "mlflow.system_metrics.metrics.disk_monitor.DiskMonitor": (),
    "mlflow.system_metrics.metrics.network_monitor.NetworkMonitor": (),
}
"""Dotted name → names of its parameters."""
