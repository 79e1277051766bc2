"""Keras models trained in a process of its own, which imports TensorFlow while this one does other things.

It trains one model after another, as this process would: TensorFlow's random state goes from one to the next. The
process, ``serve`` at the other end of a pipe, ends with that, and so with this process, however that ends. Imports no
TensorFlow.
"""

import importlib
import subprocess  # nosec B404
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, Pipe
from typing import Any

from recobatch.errors import RecobatchError
from recobatch.model_folder import ModelFolder
from recobatch.models import find_model
from recobatch.models.native_log import import_tensorflow
from recobatch.training.fit import Fitted, OnEpoch, TrainingInputs, keras_trained_by

_GRACE = 5.0
"""Seconds in which the process may end by itself."""


@dataclass(frozen=True)
class _Epoch:
    """What ``OnEpoch`` takes."""

    epoch: int
    loss: float
    val_loss: float
    figures: dict[str, float]


@contextmanager
def keras_process() -> Iterator[None]:
    """Start the process; ``recobatch.training.fit.fitter`` trains Keras models there, until the block ends.

    Without effect where TensorFlow is imported already: then there is no import to wait for.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    with keras_trained_by(KerasProcess()):
        yield


class KerasProcess:
    """A ``recobatch.training.fit.KerasTrainer``, for one thread."""

    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        self._process = subprocess.Popen(  # nosec B603
            # Not by -m: what is pickled by a module called __main__ can only be read by that.
            [sys.executable, "-P", "-c", f"from {__name__} import serve; serve({theirs.fileno()})"],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C reaches the whole group of a terminal: it is this process that decides
        )
        theirs.close()
        self.pid = self._process.pid
        self._is_ready = False

    def wait_until_ready(self) -> None:
        """Return once TensorFlow is imported there."""
        if not self._is_ready:
            self._is_ready = True
            self._raised(self._receive())

    def fit(self, name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
        """See ``recobatch.training.fit.Fit``."""
        self.wait_until_ready()
        try:
            self._send((name, inputs, folder))
            while isinstance(answer := self._receive(), _Epoch):
                if on_epoch is not None:
                    on_epoch(answer.epoch, answer.loss, answer.val_loss, **answer.figures)
        except BaseException:
            self._process.terminate()  # it would go on with this model, which nobody waits for
            raise
        fitted: Fitted = self._raised(answer)
        return fitted

    def _send(self, request: object) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise self._ended() from None

    def _receive(self) -> Any:  # noqa: ANN401 - what ``serve`` sends
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended() from None

    @staticmethod
    def _raised(answer: Any) -> Any:  # noqa: ANN401
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ended(self) -> RecobatchError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        code = self._process.returncode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        return RecobatchError(
            f"training: found that the process of the Keras models ended {how}, expected it to train them; give the "
            f"run more memory if the system ended it, then run again"
        )

    def end(self) -> None:
        """End the process, in the middle of a training too; harmless when it has ended already."""
        self._process.terminate()
        self._process.wait()
        self._pipe.close()


def _fit_here(name: str, inputs: TrainingInputs, folder: ModelFolder | None, on_epoch: OnEpoch | None) -> Fitted:
    fitted: Fitted = importlib.import_module(find_model(name).fit).fit(name, inputs, folder, on_epoch)
    return fitted


def serve(descriptor: int) -> None:
    """Be the process: train what is asked for, until the other end of the pipe is closed."""
    pipe = Connection(descriptor)

    def on_epoch(epoch: int, loss: float, val_loss: float, **figures: float) -> None:
        pipe.send(_Epoch(epoch, loss, val_loss, figures))

    with suppress(EOFError, ConnectionError):
        pipe.send(_outcome(_import_all))
        while True:
            name, inputs, folder = pipe.recv()
            pipe.send(_outcome(partial(_fit_here, name, inputs, folder, on_epoch)))


def _import_all() -> None:
    import_tensorflow()
    for module in ("recobatch.training.engine", "recobatch.training.keras_fit"):
        importlib.import_module(module)


def _outcome(work: Callable[[], Any]) -> Any:  # noqa: ANN401
    """What it returns, or the exception that it raises: one that nobody expects has its traceback as a note."""
    try:
        return work()
    except ConnectionError:  # nobody listens any more
        raise
    except RecobatchError as error:
        return error
    except Exception as error:  # noqa: BLE001 - raised in the other process
        error.add_note("".join(traceback.format_exception(error)))
        return error
