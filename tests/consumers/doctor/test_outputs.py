from __future__ import annotations

import pytest

from consumers.doctor.outputs import judge_output
from consumers.kafka.outputs import OutputFacts


@pytest.mark.parametrize(
    ("facts", "verdict", "said"),
    [
        (OutputFacts(2, may_write=True), "ok", "s: 2 partitions; may be written to"),
        (OutputFacts(2, may_write=None), "ok", "this broker does not tell"),
        (OutputFacts(2, may_write=False), "warning", "s: writing to it is not allowed"),
        (OutputFacts(0, may_write=True, trouble="T"), "warning", "s: T, says the broker"),
    ],
)
def test_what_is_said_of_an_output_topic(facts, verdict, said):
    """Only a missing topic ends a run; what else is wrong is a warning that names the setting."""
    found = judge_output("t", "s", facts)
    assert (found.name, found.verdict, said in found.text) == ("output t", verdict, True)
