"""The figures of a split."""

import re
from dataclasses import replace

import numpy as np
import pytest

from recobatch.evaluation.baselines import baseline_errors
from recobatch.evaluation.drift import Spread
from recobatch.evaluation.split_report import SplitReport
from recobatch.interactions import Split
from recobatch.split import SplitOptions, split


@pytest.mark.parametrize("ratios", [(0.8, 0.2), (0.6, 0.2, 0.2)])
def test_a_split_is_measured_and_comes_back_from_disk_and_json(low_rank, tmp_path, ratios):
    parts = split(low_rank, SplitOptions(ratios=ratios))
    report = SplitReport.of(parts)
    assert sum(report.sizes.values()) == len(low_rank)
    assert len(report.sizes) == len(ratios)
    assert report.baselines == baseline_errors(train=parts.train, test=parts.test)
    assert report.ratings_spread.mean == pytest.approx(low_rank.rating.mean(dtype=np.float64))
    assert report.ratings_spread.sd == pytest.approx(low_rank.rating.std(dtype=np.float64))
    assert report.metrics().keys() == {"baseline_global_mean_mse", "baseline_bias_mse"}
    assert SplitReport.from_json(report.to_json()) == report
    parts.save(tmp_path)
    loaded = Split.load(tmp_path)
    assert {name: part.fingerprint for name, part in loaded.parts.items()} == {
        name: part.fingerprint for name, part in parts.parts.items()
    }


@pytest.mark.parametrize(
    ("method", "by", "words"),
    [
        ("stratified", "user", "are sorted by rating, so that the test part .* pass --set split.method=auto$"),
        ("chronological", "user", "are sorted by rating; they were divided by time$"),
        ("random", "user", "are sorted by rating; they were divided by a seeded shuffle$"),
        ("stratified", "all", None),
    ],
)
def test_the_order_of_the_file_is_said(method, by, words):
    report = SplitReport({}, {}, Spread(3.0, 1.0), method, "rating")
    assert SplitReport.from_json(report.to_json()) == report
    remark = report.remark(by)
    assert remark is None if words is None else re.search(words, remark)
    assert replace(report, sorted_by=None).remark(by) is None
