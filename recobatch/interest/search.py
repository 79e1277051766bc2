"""The search for the best interest model on held-out ratings."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import fmean
from typing import TypeVar

from recobatch.evaluation.baselines import popularity_model
from recobatch.interest.candidates import (
    FIRST_PENALTY,
    IALS,
    MANY_RATINGS,
    Choice,
    Trainer,
    in_sizes,
)
from recobatch.interest.folds import Fold
from recobatch.interest.options import InterestOptions, Trial
from recobatch.interest_model import Confidence

_T = TypeVar("_T")
_MOST_DOUBLINGS = 4
"""How often the penalty of EASE may be doubled or halved with many ratings; with few, once, and only for a gain above
``DOUBT``, unless lists are hardly better than popularity. Without what is held out, a small data set asks for a far
higher penalty than the whole of it: on a catalogue of 10,000 items with 100,000 ratings, 16 times that of the best
model of all ratings, which is 20 % better."""
DOUBT = 0.03
"""Another penalty, and other weights, are taken if they are better by more than that share: on few users they are often
that much better by chance."""
_HARDLY_BETTER, _FAR = 1.5, (4, 16)
"""EASE that reaches less than that many times the NDCG of popularity may take these multiples of the first penalty."""
_HANDICAPS = {1.0: 0.0, 0.5: 0.005, 2.0: 0.005}
"""Share of implicit ALS beside EASE → by how much its lists must be better, as a share of their NDCG."""
ALONE = 0.0075
"""The same for one method, or one size of implicit ALS: sums are the safer choice, since what one method misses the
other often finds."""
HOPELESS = 0.08
"""A choice that is worse than the best by more than that share on the first fold is not measured on the others. Above
every doubt and handicap, so that it could not have been taken."""


class Arena:
    """Measures choices on all folds, each once; the folds after the first in threads."""

    def __init__(self, folds: Sequence[Fold], trainers: Sequence[Trainer]) -> None:
        self.folds, self.trainers = folds, trainers
        self.tried: dict[Choice, float] = {}
        self._leader = (0.0, 0.0)
        """NDCG of the best choice on the first fold: there, and the mean over the folds."""

    def ndcg(self, choice: Choice) -> float:
        """Mean over the folds; of a choice that is hopeless on the first, what the best one's mean makes likely."""
        if choice not in self.tried:
            self.tried[choice] = self._measure(choice)
        return self.tried[choice]

    def _measure(self, choice: Choice) -> float:
        def measure(fold: Fold, trainer: Trainer) -> float:
            return fold.ndcg(trainer.train(choice).factors)

        first = measure(self.folds[0], self.trainers[0])
        best, mean = self._leader
        if first < best * (1 - HOPELESS):
            return first * mean / best
        found = fmean([first, *self.on_folds(measure, slice(1, None))])
        if first > best:
            self._leader = first, found
        return found

    def popularity(self) -> float:
        """Mean over the folds of the NDCG of lists by popularity."""
        return fmean(fold.ndcg(popularity_model(fold.fit)) for fold in self.folds)

    def on_folds(self, measure: Callable[[Fold, Trainer], _T], which: slice) -> list[_T]:
        """Call ``measure`` with some of the folds and their trainers, in threads."""
        with ThreadPoolExecutor(len(self.folds)) as pool:
            return list(pool.map(measure, self.folds[which], self.trainers[which]))

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Everything that was tried, in that order."""
        return tuple(Trial(str(choice), ndcg) for choice, ndcg in self.tried.items())

    def best(self, choices: Iterable[Choice]) -> Choice:
        """The first of the best."""
        return max(choices, key=self.ndcg)


def search(arena: Arena, confidences: Sequence[Confidence], options: InterestOptions) -> Choice:
    """Find the choice with the best mean NDCG: EASE's penalty and weights first, then iALS, then both added up.

    Args:
        arena: Held-out ratings, at least one, and trainers on the remaining ones.
        confidences: Weights to try, the simplest first.
        options: Methods to try.
    """
    if options.method == "ials":
        ials = _search_ials(arena, confidences[0])
        return arena.best([ials, *(replace(ials, confidence=each) for each in confidences)])
    ease = _search_ease(arena, confidences)
    return ease if options.method == "ease" else _add_up(arena, ease, _search_ials(arena, ease.confidence))


def _add_up(arena: Arena, ease: Choice, ials: Choice) -> Choice:
    """The sum of both with the best share, or one of them, or implicit ALS in the first of its sizes."""
    finalists = {replace(ease, ials=ials.ials, share=share): handicap for share, handicap in _HANDICAPS.items()}
    finalists |= dict.fromkeys((ease, ials, replace(ials, ials=ials.ials[:1])), ALONE)
    return max(finalists, key=lambda choice: arena.ndcg(choice) * (1 - finalists[choice]))


def _has_many(arena: Arena) -> bool:
    return len(arena.folds[0].fit) > MANY_RATINGS


def _first_within_doubt(arena: Arena, choices: Sequence[Choice]) -> Choice:
    bar = max(arena.ndcg(choice) for choice in choices) * (1 - DOUBT)
    return next(choice for choice in choices if arena.ndcg(choice) >= bar)


def _search_ease(arena: Arena, confidences: Sequence[Confidence]) -> Choice:
    """The penalty first, then other weights."""
    first = Choice(confidences[0], FIRST_PENALTY)
    if _has_many(arena):
        found = _climb(arena, first)
    else:
        found = _first_within_doubt(
            arena, [first, *(replace(first, penalty=FIRST_PENALTY * step) for step in (2, 0.5))]
        )
        if (found.penalty or 0) > FIRST_PENALTY:
            found = _strengthen(arena, found)
    return _first_within_doubt(arena, [found, *(replace(found, confidence=each) for each in confidences[1:])])


def _strengthen(arena: Arena, found: Choice) -> Choice:
    """Far higher penalties where lists are hardly better than popularity, as long as each gains more than a doubt."""
    if arena.ndcg(found) > _HARDLY_BETTER * arena.popularity():
        return found
    for step in _FAR:
        following = replace(found, penalty=FIRST_PENALTY * step)
        if arena.ndcg(following) <= arena.ndcg(found) * (1 + DOUBT):
            break
        found = following
    return found


def _climb(arena: Arena, first: Choice) -> Choice:
    """Double or halve the penalty as long as that helps."""
    found = first
    for factor in (2.0, 0.5):
        for doublings in range(1, _MOST_DOUBLINGS + 1) if found is first else ():
            following = replace(first, penalty=FIRST_PENALTY * factor**doublings)
            if arena.best([found, following]) is found:
                break
            found = following
    return found


def _search_ials(arena: Arena, confidence: Confidence) -> Choice:
    """The kind of penalty and the weight of unobserved pairs, in a size that trains fast."""
    choices = {Choice(confidence, ials=(each,)): each for each in IALS}
    kind = choices[arena.best(choices)]
    return Choice(confidence, ials=in_sizes(kind))
