"""What is sent to a monitor that somebody looks at."""

from __future__ import annotations

DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAA"
    "AABJRU5ErkJggg=="
)


def event(number, label, suggested="cat", **more):
    """An annotation; suspect where its label is not the suggested one."""
    probs = {name: 0.9 if name == suggested else 0.05 for name in ("cat", "dog", "cow")}
    made = {"example_id": f"x{number}", "label": label, "annotator": "ann", "pred_probs": probs}
    return made | more


def lines():
    """Labels of three classes, some of them suspect, duplicates and dead letters."""
    names = ("cat", "dog", "cow")
    right = [event(i, names[i % 3], names[i % 3]) for i in range(120)]
    wrong = [
        event(1_000 + i, names[i % 3], names[(i + 1) % 3], annotator="bob", uri=DOT)
        for i in range(45)
    ]
    same = [event(2_000 + i, ("cat", "dog")[i], "cat", text="the same") for i in range(2)]
    link = event(3_000, "dog", "cat", uri="https://example.org/3000.png")
    return [*right, *wrong, *same, link, b"{", b'{"example_id": "y"}']
