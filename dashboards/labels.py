"""Panels about labels and about those who give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.metrics import definitions as d
from dashboards.panels import bars, buckets, coloured, graph, number, rate, series

if TYPE_CHECKING:
    from dashboards.panels import Panel

_SHOWN_MAX = 15
_ANNOTATIONS_MIN = 20
"""Annotations below which an annotator's share says nothing."""


def errors() -> list[Panel]:
    """How many labels are wrong, and of which class."""
    raised, given = rate(d.LABEL_FLAGS, by="label"), rate(d.ANNOTATIONS, by="label")
    return [
        graph(
            "Wrong labels",
            {
                "estimated": f"max({series(d.ERROR_RATIO)})",
                "suspect now": f"sum({series(d.LABEL_ISSUES)}) / sum({series(d.ANNOTATIONS_LIVE)})",
            },
            "percentunit",
            "Share of all live annotations. Estimated: by the calibrated joint; it does not say which ones. "
            "Suspect now: those that are listed as label issues.",
        ),
        graph(
            "Label issues that stand",
            {
                "confident learning, {{instance}}": series(d.LABEL_ISSUES),
                "consensus, {{instance}}": series(d.CONSENSUS_ISSUES),
            },
            "short",
            "Annotations whose label is suspect now: by confident learning, and those that the model and all "
            "labels of the example together speak against. Corrections make them fewer.",
        ),
        graph(
            "Flags raised, changed and cleared",
            {"{{action}}": rate(d.FINDINGS, 'kind="label_issue"', by="action")},
            "cps",
            "Changes of label issues a second. Many at once: a model or a guideline has changed.",
        ),
        graph(
            "Suspect share by class",
            {"{{label}}": f"topk({_SHOWN_MAX}, {raised} / ({given} > 0))"},
            "percentunit",
            "Label issues raised for an annotation of the class that came. Above 100 % where a "
            "threshold has moved and older annotations became suspect with it.",
        ),
        graph(
            "Annotations by class",
            {"{{label}}": f"topk({_SHOWN_MAX}, {given})"},
            "cps",
            "Annotations accepted a second, by given label.",
        ),
        graph(
            "Class thresholds",
            {"{{label}}": series(d.CLASS_THRESHOLD)},
            "percentunit",
            "Mean self-confidence of each class. It falls where labels or the model become worse.",
        ),
    ]


def changes() -> list[Panel]:
    """How sure the model was, and what people did about it."""
    confirmed, reviewed = (
        f"sum by (method) (increase({series(d.FLAG_REVIEWS, *condition)}[1d]))"
        for condition in (('outcome="confirmed"',), ())
    )
    return [
        buckets(
            "Label quality",
            d.LABEL_QUALITY,
            "percentunit",
            "Self-confidence of annotations as they were judged: the model's probability of the given label.",
        ),
        graph(
            "Labels taken back",
            {"{{cause}}": rate(d.RETRACTIONS, by="cause")},
            "cps",
            "Labels that were corrected (update) or deleted, a second.",
        ),
        graph(
            "Reviews",
            {"{{outcome}}": rate(d.REVIEWS, by="outcome")},
            "cps",
            "Reviews of labels a second, by what they found.",
        ),
        graph(
            "Precision of flags",
            {"{{method}}": f"{confirmed} / ({reviewed} > 0)"},
            "percentunit",
            "Share of the flagged labels reviewed in the last day that were found to be wrong.",
        ),
    ]


def annotators() -> list[Panel]:
    """Who labels, and whose labels are suspect. 100 have series of their own."""
    flags, given = (
        f"sum by (annotator) (increase({series(each)}[$__range]))"
        for each in (d.ANNOTATOR_FLAGS, d.ANNOTATOR_ANNOTATIONS)
    )
    return [
        bars(
            "Suspect share by annotator",
            "{{annotator}}",
            f"topk({_SHOWN_MAX}, {flags} / ({given} >= {_ANNOTATIONS_MIN}))",
            "Label issues raised for an annotation, in the time shown; annotators with "
            f"{_ANNOTATIONS_MIN} annotations or more. Hard examples count, too: look before you judge.",
        ),
        bars(
            "Error rate by annotator",
            "{{annotator}}",
            f"topk({_SHOWN_MAX}, max by (annotator) ({series(d.ANNOTATOR_ERROR_RATIO)}))",
            "Estimated share of wrong labels as of now, drawn towards everybody's where labels are few. "
            "The interval is in SQL.",
        ),
        graph(
            "Annotations by annotator",
            {
                "{{annotator}}": f"topk({_SHOWN_MAX}, {rate(d.ANNOTATOR_ANNOTATIONS, by='annotator')})"
            },
            "cps",
            "Annotations accepted a second. __other__ holds those beyond 100 annotators.",
        ),
        number(
            "Annotators active",
            f"sum({series(d.ANNOTATORS_ACTIVE)})",
            "short",
            "Annotators heard of in the last 24 hours.",
        ),
        coloured(
            number(
                "Hidden in __other__",
                f"sum(increase({series(d.ANNOTATOR_OVERFLOW)}[$__range]))",
                "short",
                "Annotations in the time shown whose annotator has no series. The whole table is in SQL.",
            ).decimals(0),
            warning=1,
        ),
    ]


def duplicates() -> list[Panel]:
    """Examples with the same content."""
    return [
        graph(
            title,
            {"{{action}}": rate(d.FINDINGS, f'kind="{kind}"', by="action")},
            "cps",
            f"Changes a second of the flag of examples with the same content as another{what}.",
        ).span(12)
        for title, kind, what in (
            ("Duplicates", "exact_duplicate", ""),
            ("Duplicates with conflicting labels", "conflicting_labels", ", labelled otherwise"),
        )
    ]
