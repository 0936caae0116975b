from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.explain import explain
from monitor.statistics.confident_joint import Collision
from tests.laws.world import World
from tests.oracle import UNIT, plain_suggestion, plain_verdict
from tests.strategies import CLASSES, streams


@given(streams(), st.sampled_from(Collision))
def test_an_explanation_comes_to_the_same_verdict(sents, collision):
    """From what the views show, the explanation suggests and flags what the monitor does."""
    world = World(CLASSES)
    for sent in sents:
        world.tell(sent)
    for rows in world.strata().values():
        verdict = plain_verdict(rows, len(CLASSES), collision)
        for row in rows:
            pred_probs = [units / UNIT for units in row.units]
            found = explain(CLASSES, pred_probs, verdict.thresholds, CLASSES[row.given], collision)
            suggested = plain_suggestion(row, verdict.thresholds, collision)
            assert found.suggested_label == (None if suggested is None else CLASSES[suggested])
            assert found.is_label_issue == (row.annotation_id in verdict.issues)
            assert len(found.is_confident) == len(CLASSES)
            assert CLASSES[row.given] in found.rule or suggested is None
