"""The OpenAPI document is complete and true: what it says is what is answered."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.consumers.http.web import WAIT_S


@pytest.fixture(scope="module")
def document(busy):
    """The document."""
    return busy.get("/api/openapi.json").json


def test_every_endpoint_is_described(document):
    """The document names every path, and is OpenAPI 3.1."""
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) >= {
        "/livez", "/healthz", "/readyz", "/api/explain/{example_id}", "/api/events",
        "/api/openapi.json", "/api/label-issues", "/api/classes.csv", "/api/dead-letters.json",
    }  # fmt: skip


def test_every_reference_leads_somewhere(document):
    """What an operation refers to is there, and what is there is described in words."""
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"].endswith("."), path
            for answer in operation["responses"].values():
                name = answer.get("$ref", "").removeprefix("#/components/responses/")
                assert not name or name in document["components"]["responses"]


@pytest.fixture(scope="module")
def schema(busy):
    """The document, as schemathesis reads it."""
    return schemathesis.openapi.from_url(f"{busy.url}/api/openapi.json")


bounded = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def validate(case):
    """Ask, and compare the answer with the document."""
    # No schema can say which texts were handed out as a place in a list.
    is_made_up = "next" in (case.query or {})
    # Nor which texts are queries, which objects events.
    is_made_up |= case.operation.path in {"/sql", "/api/events"}
    excluded = [CHECKS.get_one("positive_data_acceptance")] if is_made_up else []
    case.call_and_validate(timeout=WAIT_S, excluded_checks=excluded)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_are_as_described(schema, mode):
    """Whatever is asked, well or badly, is answered as the document says, and never with a bug."""
    count = 0
    for found in schema.exclude(path="/api/events").get_all_operations():
        try:
            strategy = found.ok().as_strategy(generation_mode=mode)
            bounded(given(strategy)(validate))()
        except Unsatisfiable:  # nothing can be asked wrongly
            assert mode is GenerationMode.NEGATIVE
        else:
            count += 1
    assert count > 10


def test_answers_of_a_store_with_rows_are_as_described(busy, schema):
    """The rows, and an explanation, are as described too, where there are any."""
    issue = busy.get("/api/label-issues").json["rows"][0]
    operation = schema["/api/explain/{example_id}"]["GET"]
    case = operation.Case(path_parameters={"example_id": issue["example_id"]})
    answer = case.call_and_validate(timeout=WAIT_S)
    assert answer.json()["annotations"]
    assert answer.json()["consensus"]["votes"]
    for name in ("label-issues", "classes", "precision", "duplicates", "offsets", "dead-letters"):
        case = schema[f"/api/{name}"]["GET"].Case(query={"limit": 1_000})
        answer = case.call_and_validate(timeout=WAIT_S)
        assert answer.json()["rows"]
