"""Measurements: each against an anchor taken in the same run, each kept as JSON in results/."""
