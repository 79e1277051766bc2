"""The plainest possible ranking, to hold the fast one to."""


def best_unseen(predictions, rated, k):
    """Row, rank, item and prediction of the best ``k`` unrated items of every row; ties in the order of the items."""
    rows = []
    for user, (row, seen) in enumerate(zip(predictions, rated, strict=True)):
        unseen = [item for item in range(len(row)) if not seen[item]]
        unseen.sort(key=lambda item: (-row[item], item))
        rows += [(user, rank, item, row[item]) for rank, item in enumerate(unseen[:k], start=1)]
    return rows
