"""How much is measured: in full, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """One stream: how probabilities are written, with text and corrections or without, and how often."""

    form: str
    with_text: bool
    event_count: int
    run_count: int
    with_corrections: bool = True

    @property
    def name(self) -> str:
        text, no_corrections = " and text" * self.with_text, ", no corrections"
        return self.form + text + no_corrections * (not self.with_corrections)


@dataclass(frozen=True, slots=True)
class Sizes:
    """`kernel` maps K to the number of events; `long_count` is how far K=10 goes on after that.

    `crowd_size`: how many made-up images, None for real ones; `crowd_shares`: how much of that stream;
    `level_count`: how often people get other levels; `confusions` maps K to people and labels.
    """

    run_count: int
    batch_size: int
    kernel: dict[int, int]
    long_count: int
    replays: tuple[Plan, ...]
    topics: tuple[Plan, ...]
    footprint_counts: tuple[int, ...]
    follow_s: float
    follow_count: int
    speed_count: int
    crowd_size: int | None
    crowd_shares: tuple[float, ...]
    level_count: int
    confusions: dict[int, tuple[int, int]]


# K=1,000 ends at 100,000 events: its input is 0.8 GB as float64, and cleanlab needs that four times.
FULL = Sizes(
    run_count=5,
    batch_size=5_000,
    kernel={10: 1_000_000, 100: 1_000_000, 1_000: 100_000},
    long_count=10_000_000,
    replays=(
        Plan("list", with_text=False, event_count=200_000, run_count=5),
        Plan("map", with_text=False, event_count=200_000, run_count=5),
        Plan("list", with_text=True, event_count=200_000, run_count=5),
        Plan("list", with_text=False, event_count=1_000_000, run_count=5),
        Plan("map", with_text=False, event_count=1_000_000, run_count=3),
        Plan("list", with_text=True, event_count=1_000_000, run_count=3),
    ),
    topics=(
        # New examples are 96 of 100 events.
        Plan("list", with_text=False, event_count=1_050_000, run_count=5, with_corrections=False),
        Plan("list", with_text=False, event_count=1_000_000, run_count=3),
    ),
    footprint_counts=(1_000_000, 10_000_000),
    follow_s=60,
    follow_count=3,
    speed_count=400_000,
    crowd_size=None,
    crowd_shares=(0.1, 0.5, 1.0),
    level_count=3,
    confusions={10: (10_000, 500_000), 1_000: (1_000, 50_000)},
)
QUICK = Sizes(
    run_count=2,
    batch_size=200,
    kernel={10: 1_000, 100: 600, 1_000: 400},
    long_count=4_000,
    replays=(
        Plan("list", with_text=False, event_count=400, run_count=1),
        Plan("map", with_text=False, event_count=400, run_count=1),
        Plan("list", with_text=True, event_count=400, run_count=1),
    ),
    topics=(
        Plan("list", with_text=False, event_count=400, run_count=1, with_corrections=False),
        Plan("list", with_text=False, event_count=400, run_count=1),
    ),
    footprint_counts=(400,),
    follow_s=0.4,
    follow_count=1,
    speed_count=400,
    crowd_size=300,
    crowd_shares=(0.5, 1.0),
    level_count=2,
    confusions={10: (20, 400), 1_000: (20, 400)},
)
