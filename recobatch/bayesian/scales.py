"""Moves along the scale of a block's weights, with their precision: what the two draws in turn explore too slowly.

Most weights of a large block follow their prior, so a precision drawn given the weights hardly moves. Here weights and
precision move together, so that the prior of the weights does not change (Yu and Meng, "To center or not to center:
that is not the question", JCGS 20(3), 2011: ancillarity-sufficiency interweaving).
"""

import numpy as np

from recobatch.bayesian.priors import Priors

_ROUNDS = 8
_SMALLEST_STEP = 0.01


def draw_scales(
    pull: np.ndarray, curvature: np.ndarray, precision: np.ndarray, rng: np.random.Generator, priors: Priors
) -> np.ndarray:
    """Factors t by which to multiply the columns of the weights; the precisions are then divided by ``t²``.

    The log likelihood of t is ``pull · t - t' curvature t / 2``. Metropolis steps in ``log t``, column by column.

    Args:
        pull: Shape ``(d,)``.
        curvature: Shape ``(d, d)``.
        precision: Precisions of the weights before, shape ``(d,)``.
        rng: Source of randomness.
        priors: Prior of the precisions.
    """
    d = len(pull)
    scale = np.ones(d)
    steps = _SMALLEST_STEP ** rng.random((_ROUNDS, d)) * rng.standard_normal((_ROUNDS, d))
    thresholds = -rng.standard_exponential((_ROUNDS, d))
    for step, threshold in zip(steps, thresholds, strict=True):
        for c in range(d):
            before, after = scale[c], scale[c] * np.exp(step[c])
            others = pull[c] - curvature[c] @ scale + curvature[c, c] * before
            gain = others * (after - before) - curvature[c, c] * (after**2 - before**2) / 2
            gain -= 2 * priors.shape * step[c]
            gain -= priors.rate * precision[c] * (after**-2 - before**-2)
            if gain > threshold[c]:
                scale[c] = after
    return scale
