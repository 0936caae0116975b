"""The view `annotators`: everybody who labels, as counted by hand from the other views."""

from __future__ import annotations

import json
from collections import Counter
from statistics import median

import pytest

from tests.consumers.stored import query, write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here

WILD = ['say "hi"', "a\nb", "it's", "x" * 10_000, "\u202eevil"]


def probs(label, p=0.8):
    """Probabilities that favour a class."""
    return {name: p if name == label else (1 - p) / 2 for name in "abc"}


def event(example, label, true=None, **more):
    """A label for an example, of which the model says what is true."""
    return {"example_id": example, "label": label, "pred_probs": probs(true or label)} | more


def ordinary(count=60):
    """Labels by three good annotators, twenty of each class."""
    return [
        event(f"x{i}", "abc"[i % 3], annotator=name) for i in range(count) for name in ("u", "v")
    ]


def store_of(folder, events):
    """The store of these events."""
    file = write_jsonl(folder / "e.jsonl", events)
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=folder)
    assert ended.exit_code == 0, ended.err
    return folder / "s.duckdb"


def rows_of(store):
    """The rows of the view by annotator, each by the names of its columns."""
    names = [row[0] for row in query(store, "DESCRIBE annotators")]
    found = [dict(zip(names, row, strict=True)) for row in query(store, "FROM annotators")]
    assert len({row["annotator"] for row in found}) == len(found)
    return {row["annotator"]: row for row in found}


def close(value):
    """Equal but for the last bits; None is None."""
    return value if value is None else pytest.approx(value, abs=1e-12)


@pytest.fixture
def timed(tmp_path):
    """A busy stream, with times, lead times, gold and reviews."""
    return store_of(tmp_path, [_more(i, line) for i, line in enumerate(busy_stream(3, 400))])


def _more(i, line):
    """The event with more to it; a bad record as it is."""
    try:
        found = json.loads(line)
        found["annotated_at"] = 1_700_000_000 + 97 * i
    except (ValueError, TypeError):
        return line
    if "label" in found and i % 3:
        found["lead_time_s"] = float(i * i % 37)
    if "label" in found and i % 5 == 0:
        found |= {"is_gold": True, "expected_label": "a"}
    return found


def test_it_counts_what_the_other_views_show(timed):
    """Counts, agreement, confusions, pace, lead times and gold are those of the view `annotations`."""
    found = rows_of(timed)
    names = [
        *("annotator", "given_label", "consensus_label", "predicted_label", "is_label_issue"),
        *("is_consensus_issue", "lead_time_s", "time_us", "is_gold", "expected_label"),
    ]
    rows = query(
        timed,
        f"SELECT {', '.join(names)} FROM (SELECT *, epoch_us(annotated_at) AS time_us FROM annotations) "
        "JOIN examples USING (example_id)",
    )
    labels = [dict(zip(names, row, strict=True)) for row in rows]
    assert {each["annotator"] for each in labels} == found.keys()
    assert any(row["lead_time_s"] is not None for row in found.values())
    usual = median(r["lead_time_s"] for r in found.values() if r["lead_time_s"] is not None)
    for name, row in found.items():
        of = [each for each in labels if each["annotator"] == name]
        expected = expected_of(of, usual)
        assert {key: row[key] for key in expected} == {
            k: close(v) if isinstance(v, float) else v for k, v in expected.items()
        }


def expected_of(labels, usual):
    """A row of the view, counted slowly."""
    count = len(labels)
    spent = [each["lead_time_s"] for each in labels if each["lead_time_s"] is not None]
    gold = [e for e in labels if e["is_gold"] and e["expected_label"] is not None]
    by_class = {}
    for each in labels:
        by_class.setdefault(each["given_label"], []).append(each["is_consensus_issue"])
    worst = sorted((-sum(v) / len(v), -len(v), k) for k, v in by_class.items() if any(v))
    pairs = Counter(
        (each["given_label"], each["consensus_label"])
        for each in labels
        if each["given_label"] != each["consensus_label"]
    )
    top = sorted((-n, *pair) for pair, n in pairs.items())
    hours = Counter(each["time_us"] // 3_600_000_000 for each in labels if each["time_us"])
    recent = [n for hour, n in hours.items() if hour > max(hours) - 24]
    return {
        "annotation_count": count,
        "label_issue_count": sum(each["is_label_issue"] for each in labels),
        "consensus_issue_count": sum(each["is_consensus_issue"] for each in labels),
        "agreement_with_consensus": sum(e["given_label"] == e["consensus_label"] for e in labels)
        / count,
        "agreement_with_model": sum(e["given_label"] == e["predicted_label"] for e in labels)
        / count,
        "worst_class": worst[0][2] if worst else None,
        "confused_given": top[0][1] if top else None,
        "confused_with": top[0][2] if top else None,
        "labels_per_hour": sum(recent) / len(recent) if recent else None,
        "lead_time_s": float(median(spent)) if spent else None,
        "too_fast_share": sum(s < usual / 3 for s in spent) / len(spent) if spent else None,
        "gold_count": len(gold),
        "gold_accuracy": sum(e["given_label"] == e["expected_label"] for e in gold) / len(gold)
        if gold
        else None,
    }


def test_rates_are_those_of_the_monitor(timed):
    """Error rate, interval and quality are what was rated at the end of the input."""
    rated = query(
        timed,
        "SELECT name, error_rate, error_rate_low, error_rate_high, annotator_quality, annotation_count, "
        "consensus_issue_count FROM store.annotator_rating JOIN store.annotator USING (annotator)",
    )
    found = rows_of(timed)
    assert {row[0] for row in rated} == found.keys()
    for name, rate, low, high, quality, count, issues in rated:
        row = found[name]
        assert row["error_rate_low"] < row["error_rate"] < row["error_rate_high"]
        assert (rate, low, high, quality) == (
            row["error_rate"],
            row["error_rate_low"],
            row["error_rate_high"],
            row["annotator_quality"],
        )
        assert (count, issues) == (row["annotation_count"], row["consensus_issue_count"])


def test_one_annotator_who_is_never_named(tmp_path):
    """Labels without an annotator are one row, unknown; where nothing was sent, nothing is said."""
    store = store_of(tmp_path, [event(f"x{i}", "abc"[i % 3]) for i in range(30)])
    (row,) = rows_of(store).values()
    assert row["annotator"] == "unknown"
    assert row["annotation_count"] == 30
    assert row["agreement_with_consensus"] == row["agreement_with_model"] == 1.0
    nothing = [
        *("worst_class", "confused_given", "confused_with", "labels_per_hour", "lead_time_s"),
        *("too_fast_share", "gold_accuracy", "confirmed_share"),
    ]
    assert [row[key] for key in nothing] == [None] * len(nothing)
    assert (row["gold_count"], row["review_count"]) == (0, 0)
    assert query(store, "SELECT max(ingested_at) FROM annotations") == [(row["last_seen_at"],)]


def test_three_labels_say_little(tmp_path):
    """Three wrong labels do not make the worst annotator for sure: the interval says so."""
    events = ordinary()
    events += [event(f"x{i}", "abc"[i % 3], annotator="often") for i in range(60, 120)]
    events += [event(f"y{i}", "b", "a", annotator="often") for i in range(60)]
    events += [event(f"z{i}", "b", "a", annotator="new") for i in range(3)]
    found = rows_of(store_of(tmp_path, events))
    new, often = found["new"], found["often"]
    assert new["consensus_issue_count"] == 3
    assert new["error_rate"] < 1
    width = {name: row["error_rate_high"] - row["error_rate_low"] for name, row in found.items()}
    assert width["new"] > 2 * width["often"]
    assert often["worst_class"] == "b"
    assert (often["confused_given"], often["confused_with"]) == ("b", "a")


def test_all_labels_are_equal(tmp_path):
    """A stream of one class has annotators without errors, and no infinities."""
    store = store_of(tmp_path, [event(f"x{i}", "a", annotator=f"w{i % 4}") for i in range(40)])
    for row in rows_of(store).values():
        assert row["worst_class"] is None
        assert 0 < row["error_rate_low"] < row["error_rate"] < row["error_rate_high"] < 0.5


def test_gold_that_contradicts_itself(tmp_path):
    """Each answer is compared with what came with it."""
    events = ordinary()
    for name, label, expected in (("g", "a", "a"), ("h", "a", "b"), ("i", "b", "b")):
        events.append(
            event("q", label, "a", annotator=name, is_gold=True, expected_label=expected)
        )
    events.append(event("q2", "a", annotator="g", is_gold=True))
    events.append(event("q3", "a", annotator="g", expected_label="b"))
    found = rows_of(store_of(tmp_path, events))
    assert [found[name]["gold_accuracy"] for name in "ghi"] == [1.0, 0.0, 1.0]
    assert found["g"]["gold_count"] == 1
    assert found["u"]["gold_count"] == 0


def test_one_person_labels_an_example_twice(tmp_path):
    """With two ids these are two labels, and both count."""
    events = [*ordinary(), event("x0", "b", "a", annotator="u", annotation_id="again")]
    found = rows_of(store_of(tmp_path, events))
    assert found["u"]["annotation_count"] == 61
    assert found["u"]["consensus_issue_count"] == 1


def test_names_that_are_awkward(tmp_path):
    """Quotes, newlines and ten thousand characters come back as they are."""
    events = [event(f"x{i}", "abc"[i % 3], annotator=WILD[i % 5]) for i in range(60)]
    assert rows_of(store_of(tmp_path, events)).keys() == set(WILD)


def test_a_hundred_thousand_annotators(tmp_path):
    """Everybody has a row and a rating, however many there are."""
    events = [event(f"x{i // 4}", "abc"[i // 4 % 3], annotator=f"w{i}") for i in range(100_000)]
    store = store_of(tmp_path, events)
    assert query(
        store,
        "SELECT count(*), sum(annotation_count), count(error_rate), max(error_rate_high) < 0.5 "
        "FROM annotators",
    ) == [(100_000, 100_000, 100_000, True)]


def test_labels_that_are_gone(tmp_path):
    """Who has no live label has no row; a label that moves to another annotator counts there."""
    events = [
        *ordinary(),
        event("d", "a", annotator="gone"),
        {"type": "deletion", "example_id": "d"},
        event("m", "a", annotator="before", annotation_id="m"),
        event("m", "a", annotator="after", annotation_id="m"),
        {"example_id": "pending", "label": "a", "annotator": "waits"},
    ]
    found = rows_of(store_of(tmp_path, events))
    assert found.keys() == {"u", "v", "after"}


def test_reviews_of_flags(tmp_path):
    """Of labels that were ever flagged, the newest review of each counts, however it names the label."""

    def wrong(name, i):
        return event(f"{name}{i}", "b", "a", annotator=name, annotation_id=f"id-{name}{i}")

    def review(example, outcome, **more):
        return {"type": "review", "example_id": example, "outcome": outcome} | more

    events = [
        *ordinary(),
        *(wrong(name, i) for name in ("p", "q") for i in range(4)),
        review("p0", "rejected"),
        review("p1", "fixed", label="a", annotation_id="id-p1"),
        review("p2", "rejected", annotator="p"),
        review("p2", "accepted", annotator="p"),
        review("p3", "rejected", annotator="somebody else"),
        review("q0", "accepted", annotation_id="id-q0"),
        review("q1", "rejected", annotation_id="another"),
        # No flag, so nothing to confirm.
        review("x0", "rejected"),
    ]
    found = rows_of(store_of(tmp_path, events))
    assert (found["p"]["review_count"], found["p"]["confirmed_share"]) == (3, pytest.approx(2 / 3))
    assert (found["q"]["review_count"], found["q"]["confirmed_share"]) == (1, 0.0)
    assert (found["u"]["review_count"], found["u"]["confirmed_share"]) == (0, None)


def test_the_worst_first_on_the_command_line(tmp_path):
    """`labelwatch annotators` sorts the view as asked; programs get all columns, people the main ones."""
    events = [*ordinary(), *(event(f"y{i}", "b", "a", annotator="bad") for i in range(30))]
    store = store_of(tmp_path, events)

    def ask(*args):
        ended = run_here("annotators", "--store", store, *args, cwd=tmp_path)
        assert ended.exit_code == 0, ended.err
        return ended

    rows = json.loads(ask("--format", "json").out)
    assert rows[0]["annotator"] == "bad"
    assert list(rows[0]) == [row[0] for row in query(store, "DESCRIBE annotators")]
    by_name = json.loads(ask("--format", "json", "--sort", "annotator").out)
    assert [row["annotator"] for row in by_name] == ["bad", "u", "v"]
    ended = ask("--format", "csv", "--limit", "1")
    assert len(ended.out.splitlines()) == 2
    assert "1 of 3 annotators" in ended.err
    assert "error_rate" in ask("--format", "table").out
    assert run_here("annotators", "--store", store, "--sort", "x", cwd=tmp_path).exit_code == 2
