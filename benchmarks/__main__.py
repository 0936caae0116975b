"""Run the benchmarks, print their tables, keep their JSON, rewrite docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from benchmarks import consensus, exact, footprint, kafka, kernel, readers, replay
from benchmarks.people import MissingDataError
from benchmarks.report import as_text, rewrite, save
from benchmarks.sizes import FULL, QUICK

BENCHMARKS = {
    "kernel": kernel.measure,
    "exact": exact.measure,
    "replay": replay.measure,
    "kafka": kafka.measure,
    "readers": readers.measure,
    "footprint": footprint.measure,
    "consensus": consensus.measure,
}
_HERE = Path(__file__).parent


def main() -> None:
    # So that files and children end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = _options()
    sizes = QUICK if options.quick else FULL
    is_complete = True
    for name in options.names or BENCHMARKS:
        start = time.monotonic()
        try:
            report = BENCHMARKS[name](sizes)
        except MissingDataError as error:
            print(f"\n{name} is left out: {error}", file=sys.stderr, flush=True)
            is_complete = False
            continue
        report.machine.load.append(round(os.getloadavg()[0], 2))
        save(report, options.results)
        print(f"\n{name} ({time.monotonic() - start:.0f} s)\n\n{as_text(report)}", flush=True)
    if options.page:
        rewrite(options.page, options.results)
    if not is_complete:
        sys.exit(1)


def _options() -> argparse.Namespace:
    """Figures of --quick mean nothing, so they go nowhere unless told."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS) + "; all by default"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does everything run?")
    parser.add_argument("--results", type=Path, metavar="DIR", help="where the JSON goes")
    parser.add_argument("--page", type=Path, metavar="FILE", help="the page to rewrite")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in BENCHMARKS]:
        parser.error(f"{unknown[0]} is no benchmark; there are {', '.join(BENCHMARKS)}")
    if not options.quick:
        options.page = options.page or _HERE.parent / "docs" / "benchmarks.md"
    kept = _HERE.parent / "build" / "benchmarks" if options.quick else _HERE / "results"
    options.results = options.results or kept
    return options


if __name__ == "__main__":
    main()
