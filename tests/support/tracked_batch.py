"""A batch of two models in MLflow: their runs, registered versions and aliases."""

from tests.support.dataset import DATASET

MODELS = ("explicit_mf", "explicit_mf_bias")


def track_batch(tracker, model_files, batch_id="b1"):
    runs = {}
    for name in MODELS:
        run = tracker.start_run(
            batch_id=batch_id, model_name=name, params={"train": {"epochs": 3, "rate": 1e-3}}, dataset=DATASET
        )
        for epoch in (1, 2, 3):
            run.log_epoch(epoch, 1 / epoch, 1.5 / epoch)
        run.log_metrics({"test_mse": 0.9, "test_rmse": 0.95, "test_mae": 0.7, "train_seconds": 1.5})
        run.log_facts({"users": 4, "baseline_bias_mse": 0.95})
        run.log_text("layers", "model_summary.txt")
        run.log_model(model_files)
        runs[name] = run
    versions = {
        name: tracker.register(run, description=f"{name} of b1", tags={"batch_id": batch_id})
        for name, run in runs.items()
    }
    tracker.set_alias("champion", versions["explicit_mf_bias"])
    tracker.set_alias("challenger", versions["explicit_mf"])
    for run in runs.values():
        run.finish()
    return runs
