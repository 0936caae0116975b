"""The demo: scikit-learn's handwritten digits, labelled by simulated annotators with planted errors."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import numpy as np

from consumers.cli.output import show, tell
from consumers.cli.table import show_table
from consumers.config import Settings
from consumers.files import FileSource
from consumers.loop import Breaker, run
from consumers.stopping import Stopping
from consumers.store.read import Reader, Result
from consumers.wiring import open_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SEED = 7
_FOLDS = 5
_NEIGHBOURS = 15
ERROR_RATES = {"ann": 0.02, "bob": 0.04, "cai": 0.06, "dee": 0.10, "eli": 0.20}
"""Simulated annotators and the share of their labels that is wrong."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Annotated digits. Shape: (n,) each; `pred_probs` (n, 10), out of sample."""

    given: NDArray[np.int64]
    true: NDArray[np.int64]
    annotator: list[str]
    pred_probs: NDArray[np.float64]


def annotated_digits() -> Digits:
    """The digits with planted label errors, and probabilities of a model that was trained on those labels."""
    # These imports take seconds, and no other command needs them.
    from sklearn.datasets import load_digits  # noqa: PLC0415 - as above
    from sklearn.model_selection import cross_val_predict  # noqa: PLC0415 - as above
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - as above

    images, true = load_digits(return_X_y=True)
    rng = np.random.default_rng(_SEED)
    names = list(ERROR_RATES)
    who = rng.integers(len(names), size=true.size)
    is_wrong = rng.random(true.size) < np.array(list(ERROR_RATES.values()))[who]
    given = np.where(is_wrong, (true + rng.integers(1, 10, size=true.size)) % 10, true)
    model = KNeighborsClassifier(_NEIGHBOURS, weights="distance")
    pred_probs = cross_val_predict(model, images, given, cv=_FOLDS, method="predict_proba")
    return Digits(given, true, [names[i] for i in who], pred_probs)


def events(digits: Digits) -> Iterator[dict[str, object]]:
    """One event a digit, in the form that any producer would send."""
    for i, (given, annotator) in enumerate(zip(digits.given, digits.annotator, strict=True)):
        yield {
            "example_id": f"digit-{i}",
            "label": str(given),
            "annotator": annotator,
            "pred_probs": {str(k): float(p) for k, p in enumerate(digits.pred_probs[i])},
            "model_version": "k-nearest-neighbours",
        }


def run_demo(store: str | None) -> None:
    """Replay the annotated digits and print the flags with their precision and recall."""
    tell(
        "handwritten digits: training a model by cross-validation on labels with planted errors …"
    )
    digits = annotated_digits()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labelwatch-demo-")))
        file = folder / "digits.jsonl"
        file.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events(digits)))
        path = Path(store) if store else folder / "demo.duckdb"
        source = FileSource([str(file)], Settings().value_bytes_max)
        with open_line(Settings(store=str(path)), "labelwatch demo") as line:
            run(line, source, Breaker(is_armed=True), Stopping(), lambda _: None)
        source.close()
        with Reader(path) as reader:
            _report(reader, digits)
    if store:
        tell(f"ask on: labelwatch sql 'FROM classes' --store {store}")


def _report(reader: Reader, digits: Digits) -> None:
    found = reader.query(
        "SELECT example_id, annotator, given_label, suggested_label, label_score FROM label_issues"
    )
    number = [int(row[0].removeprefix("digit-")) for row in found.rows]
    is_wrong = digits.given != digits.true
    rows = [
        (*row, str(digits.true[i]), bool(is_wrong[i]))
        for row, i in zip(found.rows, number, strict=True)
    ]
    columns = [*found.columns, "true_label", "is_planted_error"]
    tell("the ten most suspect labels:")
    show(Result(columns, [*found.types, "VARCHAR", "BOOLEAN"], rows[:10]), "table")
    click.echo()
    table = []
    for name in sorted(ERROR_RATES):
        own = np.array([annotator == name for annotator in digits.annotator])
        flagged = [i for i in number if own[i]]
        hits = int(is_wrong[flagged].sum())
        table.append((name, int(own.sum()), int((own & is_wrong).sum()), len(flagged), hits))
    show_table(["annotator", "labels", "planted_errors", "flagged", "flagged_and_wrong"], table)
    hits = int(is_wrong[number].sum())
    click.echo(
        f"\n{digits.given.size:,} labels, {int(is_wrong.sum())} planted errors, {len(number)} flagged: "
        f"precision {hits / max(len(number), 1):.3f}, recall {hits / int(is_wrong.sum()):.3f}"
    )
