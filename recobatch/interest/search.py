"""The search for the best interest model on held-out ratings."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import fmean

from recobatch.interest.candidates import FIRST_PENALTY, IALS, Choice, Trainer
from recobatch.interest.folds import Fold
from recobatch.interest.options import InterestOptions, Trial
from recobatch.interest_model import Confidence

_MOST_DOUBLINGS = 1
_MOST_DOUBLINGS_OF_MANY = 4
"""How often the penalty of EASE may be doubled or halved, the latter with many ratings. Without those held out, a small
data set asks for a far higher penalty than the whole of it: on a catalogue of 10,000 items with 100,000 ratings, 16
times that of the best model of all ratings, which is 20 % better. The best penalty itself differs little."""
_SHARES = (0.5, 1.0, 0.25, 2.0)
"""Of implicit ALS beside EASE, the most trusted first."""
DOUBT = 0.02
"""An earlier choice is taken if it is at most that share below the best: on few users a later one is often that much
better by chance, and the sum of both methods errs less often than the choice of the better one."""
MANY_RATINGS = 500_000
"""More held-in ratings than that may fill 64 factors, and choose any penalty."""


class Arena:
    """Measures choices on all folds, each once; the folds in threads."""

    def __init__(self, folds: Sequence[Fold], trainers: Sequence[Trainer]) -> None:
        self.folds, self.trainers = folds, trainers
        self.tried: dict[Choice, float] = {}

    def ndcg(self, choice: Choice) -> float:
        """Mean over the folds."""
        if choice not in self.tried:
            with ThreadPoolExecutor(len(self.folds)) as pool:
                found = pool.map(
                    lambda fold, trainer: fold.ndcg(trainer.train(choice).factors), self.folds, self.trainers
                )
                self.tried[choice] = fmean(found)
        return self.tried[choice]

    def best(self, choices: Iterable[Choice]) -> Choice:
        """The first of the best."""
        return max(choices, key=self.ndcg)


def search(
    folds: Sequence[Fold], trainers: Sequence[Trainer], confidences: Sequence[Confidence], options: InterestOptions
) -> tuple[Choice, tuple[Trial, ...]]:
    """Find the choice with the best mean NDCG: EASE's penalty and weights first, then iALS, then both added up.

    Args:
        folds: Held-out ratings, at least one.
        trainers: A trainer on the remaining ratings of each fold.
        confidences: Weights to try, the simplest first.
        options: Methods to try.

    Returns:
        The best choice, and everything that was tried.
    """
    arena = Arena(folds, trainers)
    finalists: list[Choice] = []
    confidence = confidences[0]
    if options.method != "ials":
        ease = _search_ease(arena, confidences)
        finalists, confidence = [ease], ease.confidence
    if options.method != "ease":
        ials = _search_ials(arena, confidence)
        if options.method == "ials":
            ials = arena.best([ials, *(replace(ials, confidence=each) for each in confidences)])
        sums = [replace(ease, ials=ials.ials, share=share) for share in _SHARES] if finalists else []
        finalists = [*sums, *finalists, ials]
    return _first_within_doubt(arena, finalists), tuple(
        Trial(str(choice), ndcg) for choice, ndcg in arena.tried.items()
    )


def _has_many(arena: Arena) -> bool:
    return len(arena.folds[0].fit) > MANY_RATINGS


def _first_within_doubt(arena: Arena, choices: Sequence[Choice]) -> Choice:
    bar = max(arena.ndcg(choice) for choice in choices) * (1 - DOUBT)
    return next(choice for choice in choices if arena.ndcg(choice) >= bar)


def _search_ease(arena: Arena, confidences: Sequence[Confidence]) -> Choice:
    """Double or halve the penalty as long as that helps; then other weights."""
    most = _MOST_DOUBLINGS_OF_MANY if _has_many(arena) else _MOST_DOUBLINGS
    found = first = Choice(confidences[0], FIRST_PENALTY)
    for factor in (2.0, 0.5):
        if found is first:
            for doublings in range(1, most + 1):
                following = replace(first, penalty=FIRST_PENALTY * factor**doublings)
                if arena.best([found, following]) is found:
                    break
                found = following
    return _first_within_doubt(arena, [found, *(replace(found, confidence=each) for each in confidences[1:])])


def _search_ials(arena: Arena, confidence: Confidence) -> Choice:
    """The kind first, then the number of factors: both methods added up depend little on the rest."""
    choices = {Choice(confidence, ials=each): each for each in IALS}
    kind = choices[arena.best(choices)]
    sizes = (kind.n_factors, 32, 64) if _has_many(arena) else (kind.n_factors, 32)
    return arena.best([Choice(confidence, ials=replace(kind, n_factors=size)) for size in sizes])
