from __future__ import annotations

import re

from consumers.cli.demo import annotated_digits, run_demo


def test_the_demo_finds_most_planted_errors(tmp_path, capsys):
    """Of the planted errors most are found, and most of what is flagged is planted; annotators differ."""
    run_demo(str(tmp_path / "demo.duckdb"))
    shown = capsys.readouterr().out
    precision, recall = map(float, re.findall(r"(?:precision|recall) ([\d.]+)", shown))
    assert precision > 0.8
    assert recall > 0.7
    assert re.search(r"^eli +370 +75 +\d+ +\d+$", shown, re.MULTILINE)


def test_probabilities_of_the_demo_are_out_of_sample():
    """A model that had seen the planted errors would repeat them: it does not."""
    digits = annotated_digits()
    is_wrong = digits.given != digits.true
    predicted = digits.pred_probs.argmax(axis=1)
    assert (predicted[is_wrong] == digits.true[is_wrong]).mean() > 0.8
