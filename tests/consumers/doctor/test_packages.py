from __future__ import annotations

import pytest

from consumers.doctor.packages import check_packages, judge_packages

NEEDED = [
    "duckdb<2.1,>=2.0",
    "kafka-python[crc32c,zstd]<3.1,>=3.0.12",
    "numpy>=2.2",
    "cleanlab<2.10,>=2.9; extra == 'cleanlab'",
]
HERE = {"duckdb": "2.0.0", "kafka-python": "3.0.12", "numpy": "2.4.6"}


def judged(versions, missing=()):
    """The one check of these versions."""
    (found,) = judge_packages("labelwatch 9", NEEDED, versions, missing)
    return found


def test_what_is_installed_here_is_right():
    """In a whole installation all is well, and the versions are named."""
    (found,) = check_packages()
    assert found.verdict == "ok", found.text
    assert "kafka-python 3.0." in found.text


@pytest.mark.parametrize(
    "versions",
    [
        HERE,
        HERE | {"duckdb": "2.0"},
        HERE | {"kafka-python": "3.0.13.post1"},
        HERE | {"numpy": "10.0"},
        HERE | {"cleanlab": "2.9.0"},
    ],
)
def test_versions_within_the_bounds(versions):
    """Versions are compared as numbers; what belongs to an extra may be absent."""
    found = judged(versions)
    assert (found.verdict, "cleanlab" in found.text) == ("ok", "cleanlab" in versions)


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (HERE | {"duckdb": "2.1.0"}, "duckdb 2.1.0 is installed, duckdb<2.1,>=2.0 is needed"),
        (HERE | {"kafka-python": "3.0.9"}, "kafka-python 3.0.9 is installed"),
        (HERE | {"cleanlab": "2.10.0"}, "cleanlab 2.10.0 is installed"),
        ({"duckdb": "2.0.0", "numpy": "2.4"}, "kafka-python is not installed"),
    ],
)
def test_other_versions_are_a_fault(versions, said):
    """A package that is missing or of another version ends with the exit code of the configuration."""
    found = judged(versions)
    assert (found.verdict, found.exit_code) == ("fault", 2)
    assert found.text.startswith(said)
    assert "install labelwatch with all its dependencies again" in found.text


def test_modules_that_the_client_works_without():
    """Without them Kafka is slow, or some topics cannot be read: a warning that says which."""
    found = judged(HERE, ["crc32c", "zstandard"])
    assert found.verdict == "warning"
    assert "without crc32c Kafka is read ten times slower" in found.text
    assert "zstd cannot be read" in found.text
