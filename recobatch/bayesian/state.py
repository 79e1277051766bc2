"""What is kept of a fit, of bounded size: thinned samples for closed-form updates, and the last state of each chain."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from recobatch.array_file import open_arrays, save_arrays
from recobatch.bayesian.chain import Chain, Problem
from recobatch.bayesian.digests import rating_digests
from recobatch.errors import BadInput
from recobatch.factors import FactorModel
from recobatch.features import Features
from recobatch.interactions import EncodedInteractions

MOST_BYTES = 1 << 27
"""Size that the thinned samples stay below where four of them fit."""
_MOST_SAMPLES = 24
_FEWEST_SAMPLES = 4
_SIDES = ("users", "items")

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class BayesianState:
    """Samples and chains; every array is plain, float32 or float64."""

    samples: tuple[Arrays, ...]
    """Thinned: ``alpha``, and for each side the weights and precisions; of the items ``item_vectors`` too."""
    chains: tuple[Arrays, ...]
    """The last state of each chain, as ``Chain.to_arrays``."""
    item_factors: np.ndarray
    """Of the fit's ``FactorModel``: users' vectors are projected onto it."""
    item_bias: np.ndarray
    centre: float
    scale: float
    rating_range: tuple[float, float]
    users: Features | None = None
    """Side features of the fit's users, where they are kept for updates."""
    items: Features | None = None
    """Side features of the fit's items, likewise."""
    digests: np.ndarray | None = None
    """``rating_digests`` of the fit's ratings, likewise: tells whose ratings have changed since."""

    def with_inputs(self, ratings: EncodedInteractions, users: Features | None, items: Features | None) -> Self:
        """The state with what updates need of the fit's ratings and features."""
        return replace(self, users=users, items=items, digests=rating_digests(ratings))

    @property
    def n_factors(self) -> int:
        return int(self.chains[0]["user_vectors"].shape[1]) - 1

    def check(self, problem: Problem) -> None:
        """Refuse ratings or features that are not of the fit.

        Raises:
            BadInput: If the numbers of users, items or features differ.
        """
        chain = self.chains[0]
        for noun, rows, designs in (
            ("user", problem.users, problem.user_designs), ("item", problem.items, problem.item_designs)
        ):  # fmt: skip
            found = (rows.n_rows, *(design.n_features for design in designs))
            expected = [len(chain[f"{noun}_vectors"])]
            while f"{noun}_weights_{len(expected) - 1}" in chain:
                expected.append(len(chain[f"{noun}_weights_{len(expected) - 1}"]))
            if found != tuple(expected):
                raise BadInput(
                    f"bayesian_mf: found {found[0]:,} {noun}s with blocks of {found[1:]} features, expected "
                    f"{expected[0]:,} with {tuple(expected[1:])} as in the fit; pass the same side tables"
                )

    def rescaled(self, arrays: Arrays, problem: Problem) -> dict[str, np.ndarray]:
        """A chain's state in the units of another problem's standardised ratings."""
        ratio, shift = self.scale / problem.scale, (self.centre - problem.centre) / problem.scale
        out = dict(arrays)
        out["alpha"] = arrays["alpha"] / ratio**2
        for name in arrays.keys() - {"alpha", "user_noise", "item_noise"}:
            factor = np.full(self.n_factors + 1, ratio)
            if name.startswith("user"):  # of a product, the whole change of scale is put on the items' factors
                factor[:-1] = 1
            out[name] = (arrays[name] * factor ** (-2.0 if "precision" in name else 1.0)).astype(arrays[name].dtype)
        out["item_vectors"] = out["item_vectors"].copy()
        out["item_vectors"][:, -1] += np.float32(shift)
        out["item_weights_0"] = out["item_weights_0"].copy()
        out["item_weights_0"][:, -1] += np.float32(shift)
        return out

    def save(self, path: Path) -> None:
        """Write an ``.npz`` of plain arrays."""
        arrays: dict[str, np.ndarray] = {
            "item_factors": self.item_factors, "item_bias": self.item_bias,
            "scalars": np.array([self.centre, self.scale, *self.rating_range]),
            "sizes": np.array([len(self.samples), len(self.chains)]),
        }  # fmt: skip
        if self.digests is not None:
            arrays["digests"] = self.digests
        for side, features in zip(_SIDES, (self.users, self.items), strict=True):
            if features is not None:
                arrays |= {f"{side}/{name}": each for name, each in features.to_arrays().items()}
        for kind, parts in (("sample", self.samples), ("chain", self.chains)):
            arrays |= {f"{kind}/{at}/{name}": each for at, part in enumerate(parts) for name, each in part.items()}
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Inverse of ``save``.

        Raises:
            BadTable: If the file cannot be read.
        """
        with open_arrays(path, "state") as arrays:
            centre, scale, low, high = arrays["scalars"].tolist()
            n_samples, n_chains = arrays["sizes"].tolist()
            samples = tuple(_part(arrays, f"sample/{at}/") for at in range(n_samples))
            chains = tuple(_part(arrays, f"chain/{at}/") for at in range(n_chains))
            users, items = (
                Features.from_arrays(part) if (part := _part(arrays, f"{side}/")) else None for side in _SIDES
            )
            return cls(
                samples, chains, arrays["item_factors"], arrays["item_bias"], centre, scale, (low, high), users, items,
                arrays.get("digests"),
            )  # fmt: skip


def _part(arrays: Arrays, prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}


@dataclass(eq=False)
class Snapshots:
    """Thins samples of the chains while they run, evenly over all sweeps, to a bounded number of bytes."""

    n_sweeps: int
    """Sweeps of all chains together."""
    problem: Problem
    dims: int
    samples: list[dict[str, np.ndarray]] = field(default_factory=list)
    _offered: int = 0

    def __post_init__(self) -> None:
        rows = self.problem.items.n_rows + sum(
            design.n_features for design in (*self.problem.user_designs, *self.problem.item_designs)
        )
        fitting = MOST_BYTES // (4 * rows * self.dims)
        number = min(_MOST_SAMPLES, max(_FEWEST_SAMPLES, fitting))
        self._every = max(1, int(self.n_sweeps * 5 / 6) // number)
        self._most = number

    def offer(self, chain: Chain, items: np.ndarray) -> None:
        """Keep the chain's parameters if it is time, with the items' vectors that belong to them."""
        self._offered += 1
        if self._offered % self._every or len(self.samples) == self._most:
            return
        arrays = chain.to_arrays()
        del arrays["user_vectors"], arrays["user_noise"]
        self.samples.append(arrays | {"item_vectors": items})

    def state(self, chains: list[dict[str, np.ndarray]], factors: FactorModel, problem: Problem) -> BayesianState:
        samples = self.samples or [
            {name: each for name, each in chains[-1].items() if name not in {"user_vectors", "user_noise"}}
        ]
        return BayesianState(
            tuple(samples), tuple(chains), factors.item_factors, factors.item_bias, problem.centre, problem.scale,
            (factors.min_rating, factors.max_rating),
        )  # fmt: skip
