"""CPU, memory, disk and network of the machine while a run is open, for MLflow's tab of system metrics.

MLflow's own monitor sends its samples past the outbox and waits for a server; its collectors are used alone.
"""

from collections.abc import Callable, Mapping
from threading import Event, Thread

PREFIX = "system/"
"""Of the names of system metrics, by which MLflow's pages recognise them."""


class SystemMetrics:
    """Samples the machine at even intervals in a thread of its own."""

    def __init__(self, seconds: float, log: Callable[[Mapping[str, float], int], None]) -> None:
        """Begin at once.

        Args:
            seconds: Between two samples.
            log: Takes the figures by their names in MLflow, and the number of the sample from 0.
        """
        self._seconds, self._log, self._stopped = seconds, log, Event()
        self._thread = Thread(target=self._sample, name="system-metrics", daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        # Imported late: psutil and MLflow, which only a run that wants them loads here.
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        monitors, step = (CPUMonitor(), DiskMonitor(), NetworkMonitor()), 0
        while True:
            found: dict[str, float] = {}
            for monitor in monitors:
                monitor.collect_metrics()
                found |= monitor.aggregate_metrics()
                monitor.clear_metrics()
            self._log({f"{PREFIX}{name}": value for name, value in found.items()}, step)
            step += 1
            if self._stopped.wait(self._seconds):
                return

    def stop(self) -> None:
        """End after the sample that is being taken."""
        self._stopped.set()
        self._thread.join()
