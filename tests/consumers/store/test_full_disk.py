from __future__ import annotations

import resource
import subprocess

import pytest

from tests.consumers.stored import difference, tables, write_jsonl
from tests.consumers.terminal import run_apart, run_here

EVENT = {"example_id": "x", "label": "a", "pred_probs": {"a": 0.5, "b": 0.5}}
LIMITS_KB = (0, 8, 100, 600, 1_200)
BULKY = {"BATCH_SIZE_MAX": 100, "CHECKPOINT_BYTES": 150_000}


@pytest.fixture(scope="module")
def bulky(tmp_path_factory):
    """A file of a few hundred long records, and what a store holds after it."""
    folder = tmp_path_factory.mktemp("bulky")
    events = [{**EVENT, "example_id": f"x{i}", "text": f"{i:x}" * 400} for i in range(1_000)]
    file = write_jsonl(folder / "e.jsonl", events)
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=folder, settings=BULKY)
    assert ended.exit_code == 0, ended.err
    return file, tables(folder / "s.duckdb")


def _full(ended):
    """Whether the disk was full, told in one line."""
    assert ended.exit_code in (0, 3), ended.err
    if ended.exit_code == 3:
        assert "othing is lost" in ended.fault, ended.err
        assert "make room" in ended.fault
    return ended.exit_code == 3


def test_no_file_may_grow(bulky, tmp_path):
    """At whatever size its files stop growing, a run ends with exit code 3 and goes on once they may."""
    file, known = bulky

    def limit(kilobytes):
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes << 10,) * 2)

    def replay(**options):
        return run_apart("replay", file, "--store", "s.duckdb", cwd=tmp_path, **options)

    settings = BULKY | {"MIRROR_BYTES_MAX": 0}
    ends = [replay(settings=settings, preexec_fn=limit(each)) for each in LIMITS_KB]
    assert sum(map(_full, ends)) >= len(LIMITS_KB) - 1, [end.err for end in ends]
    # In creating, in a commit, and in a checkpoint, which DuckDB does not survive.
    assert any("DuckDB stopped" in end.err for end in ends), [end.err for end in ends]
    assert any("last batch was not stored" in end.err for end in ends), [end.err for end in ends]
    assert replay(settings=BULKY).exit_code == 0
    assert difference(tables(tmp_path / "s.duckdb"), known) is None


@pytest.fixture
def small_disk(tmp_path):
    """Mounts a disk of so many kilobytes, or changes its size."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(kilobytes, options=""):
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k{options}", "tmpfs", str(disk)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk takes root")
        return disk

    yield mount
    subprocess.run(["umount", str(disk)], capture_output=True, check=False)


def test_a_full_disk(bulky, small_disk):
    """On a disk that is full, a run ends with exit code 3; with more room, the next one goes on."""
    file, known = bulky
    disk, faults = small_disk(4), 0
    for kilobytes in (4, 300, 1_000, 2_000):
        small_disk(kilobytes, ",remount")
        filler = disk / "filler"
        if kilobytes == 4:
            filler.write_bytes(b"x" * 4_096)
        ended = run_apart("replay", file, "--store", disk / "s.duckdb", cwd=disk, settings=BULKY)
        faults += _full(ended)
        filler.unlink(missing_ok=True)
    assert faults >= 3
    small_disk(60_000, ",remount")
    ended = run_here("replay", file, "--store", disk / "s.duckdb", cwd=disk, settings=BULKY)
    assert ended.exit_code == 0, ended.err
    assert difference(tables(disk / "s.duckdb"), known) is None
