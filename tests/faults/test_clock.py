"""A clock that was set back confuses neither retention nor roll-back."""

from datetime import UTC, datetime, timedelta

from recobatch.table import PredictionTable, staging
from tests.faults.numbered import check_whole, inputs_of, publish_number, read_number


class Yesterday(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - timedelta(days=1)


def test_clock_set_back_a_day(three, folder, monkeypatch):
    monkeypatch.setattr(staging, "datetime", Yesterday)
    publish_number(three, inputs_of(folder, 4), 4)
    table = PredictionTable(three)
    assert datetime.fromisoformat(table.current().manifest.created) < datetime.now(UTC) - timedelta(hours=20)
    assert check_whole(three) == [2, 3, 4]
    assert read_number(three) == 4
    monkeypatch.undo()
    publish_number(three, inputs_of(folder, 5), 5)
    assert check_whole(three) == [3, 4, 5]
    assert table.rollback().version == "v4", "the one published before, not the one with the next later clock"
    assert table.retain(1) == ["v3"]
    assert check_whole(three) == [4, 5]
