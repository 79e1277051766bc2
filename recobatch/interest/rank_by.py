"""What a list is best ranked by, measured on held-out ratings."""

from collections.abc import Mapping, Sequence

from recobatch.evaluation.baselines import popularity_model
from recobatch.factors import FactorModel
from recobatch.interest.folds import Fold
from recobatch.interest_model import InterestModel
from recobatch.scoring.ranker import RankBy, Ranker

DOUBT = 0.02
"""Interest alone may be that much worse: on few users the others are that often better by chance."""
_ORDER: tuple[RankBy, ...] = ("interest", "product", "prediction")


def measure_rank_by(fold: Fold, rating: FactorModel, interest: InterestModel) -> dict[str, float]:
    """NDCG of lists ranked by prediction, interest, both, and popularity.

    Args:
        fold: Ratings held out from both models.
        rating: Rating model that was trained without the held-out ratings.
        interest: Likewise.

    Returns:
        NDCG by name; ``product`` is absent if the rating model has no rating range.
    """
    ranges = rating.max_rating > rating.min_rating
    ways = [way for way in _ORDER if way != "product" or ranges]
    figures = {way: fold.ndcg(Ranker.of(rating, interest.factors, way)) for way in ways}
    return figures | {"popularity": fold.ndcg(popularity_model(fold.fit))}


def choose_rank_by(figures: Mapping[str, float]) -> RankBy:
    """The way to rank with the highest figure; interest alone if it is at most ``DOUBT`` below.

    Args:
        figures: NDCG by name, as ``measure_rank_by`` returns it; other names are ignored.
    """
    return choose_model_and_way([figures])[1]


def choose_model_and_way(figures: Sequence[Mapping[str, float]]) -> tuple[int, RankBy]:
    """The interest model and the way to rank with the highest figure; the first model's interest alone as above.

    Args:
        figures: As ``measure_rank_by`` returns them, of each interest model.

    Returns:
        Place in ``figures``, and way.
    """
    found = {(number, way): each[way] for number, each in enumerate(figures) for way in _ORDER if way in each}
    best = max(found, key=lambda key: found[key])
    return (0, "interest") if found[0, "interest"] >= found[best] * (1 - DOUBT) else best
