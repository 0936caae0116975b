"""Thinks. Arrays and values in, values out: no I/O, clock, chance or logging.

An event meets the modules in this order: decode (bytes → event), validate (events → arrays), pipeline
(ids, writes), ledger (what is alive), detectors (what is suspect). Below them lie the statistics.
"""
