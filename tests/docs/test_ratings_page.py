"""The page about ratings says what the tests prove, kind by kind."""

from recobatch.quarantine import Reason
from tests.support.bad_ratings import REFUSED
from tests.support.odd_ratings import ACCEPTED
from tests.support.paths import REPO


def table_after(heading):
    page = (REPO / "docs" / "ratings.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ", 1) for line in section.splitlines() if line.startswith("|")]
    return dict(rows[2:])


def test_everything_refused_is_on_the_page_in_its_own_words():
    assert table_after("Refused") == {kind: words for kind, (_, _, words) in REFUSED.items()}


def test_everything_the_page_calls_taken_is_tested():
    taken = table_after("Odd, and taken as it was meant")
    assert len(taken) > 30
    assert set(taken) <= set(ACCEPTED)


def test_the_reasons_are_those_of_the_quarantine():
    reasons = {name.strip("`") for name in table_after("Quarantined rows")}
    assert reasons == {each.label for each in Reason if each}
