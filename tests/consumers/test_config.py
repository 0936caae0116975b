"""One place of configuration: file, then environment, then flags; and no key is ever silent."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consumers.config import (
    HttpSettings,
    KafkaSettings,
    MetricsSettings,
    Settings,
    read_settings,
)
from consumers.config_text import as_toml
from consumers.errors import UsageError
from monitor.fields import CANONICAL
from tests.consumers.terminal import run_here

COMMANDS = (
    ("replay", "e.jsonl"),
    ("rebuild",),
    ("validate", "e.jsonl"),
    ("check-config",),
    ("sql", "FROM classes"),
    ("flags",),
    ("explain", "x"),
    ("export", "clean", "--to", "x.csv"),
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_paths = st.lists(st.text("abcäé_-x0", min_size=1), min_size=1, max_size=3).map(".".join)
_positive = st.integers(1, 2**62)
whole_settings = st.builds(
    Settings,
    store=_texts,
    classes=st.none() | st.lists(_texts, min_size=2, max_size=5, unique=True),
    collision=st.sampled_from([None, "cleanlab", "paper"]),
    tombstone_key=st.sampled_from([None, "example_id", "annotation_id"]),
    fields=st.none() | st.dictionaries(st.sampled_from(CANONICAL), _paths, max_size=4),
    batch_size_max=_positive,
    value_bytes_max=_positive,
    pending_max=_positive,
    unlabelled_max=_positive,
    memory_limit=st.sampled_from([None, "1GB", "512MB", "2 GiB"]),
    checkpoint_bytes=_positive,
    mirror_bytes_max=_positive,
    parity_every_s=st.floats(0, allow_nan=False),
)


def fault(*args, **options):
    """Why settings are refused."""
    with pytest.raises(UsageError) as refused:
        read_settings(*args, **options)
    return str(refused.value)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a configuration file into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="labelwatch.toml"):
        (tmp_path / name).write_text(text, "utf-8")
        return name

    return write


@given(whole_settings)
@example(Settings(classes=["\x7f", '"', "\\", "\n", "\x1b"]))
@example(Settings(parity_every_s=float("inf")))
@example(Settings(parity_every_s=1e22))
def test_what_check_config_prints_is_a_configuration(settings):
    """The settings in effect, printed, are a file that gives the same settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.toml")
        path.write_text(as_toml(settings), "utf-8", newline="")
        assert read_settings(str(path), {}, {}) == settings


def test_flags_beat_the_environment_which_beats_the_file(written):
    """Flags win over LABELWATCH_… variables, these over the file, and the file over the defaults."""
    written('store = "file"\nbatch_size_max = 1\npending_max = 1\ncollision = "paper"\n')
    environment = {
        "LABELWATCH_STORE": "environment",
        "LABELWATCH_BATCH_SIZE_MAX": "2",
        "HOME": "/",
    }
    found = read_settings(None, {"store": "flag", "classes": None}, environment)
    expected = Settings(store="flag", batch_size_max=2, pending_max=1, collision="paper")
    assert found == expected
    assert read_settings(None, {}, {}).store == "file"


def test_the_mapping_is_merged_field_by_field(written):
    """A variable for one field of the mapping leaves the others of the file as they are."""
    written('[fields]\nlabel = "a.b"\nannotator = "who"\n')
    found = read_settings(None, {}, {"LABELWATCH_FIELDS__LABEL": "c"})
    assert found.fields == {"label": "c", "annotator": "who"}


def test_the_file_is_found(written):
    """--config, then LABELWATCH_CONFIG, then labelwatch.toml in the working directory, then none."""
    assert read_settings(None, {}, {}) == Settings()
    for name in ("labelwatch.toml", "variable.toml", "flag.toml"):
        written(f'store = "{name}"\n', name)
    environment = {"LABELWATCH_CONFIG": "variable.toml"}
    assert read_settings("flag.toml", {}, environment).store == "flag.toml"
    assert read_settings(None, {}, environment).store == "variable.toml"
    assert read_settings(None, {}, {}).store == "labelwatch.toml"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("place", ["file", "environment"])
def test_an_unknown_key_is_refused_with_a_suggestion(place, command, written, tmp_path):
    """Every command refuses a key that is no setting, and says which one was meant."""
    written('{"example_id":"x","label":"a"}\n', "e.jsonl")
    if place == "file":
        written("batch_size = 5\n")
    settings = {"BATCH_SIZE": 5} if place == "environment" else {}
    ended = run_here(*command, cwd=tmp_path, settings=settings)
    assert ended.exit_code == 2, ended
    assert ended.out == ""
    assert "batch_size is no setting; did you mean batch_size_max?" in ended.fault
    assert not list(tmp_path.glob("*.duckdb*"))


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_a_misspelt_setting_is_named(name):
    """A setting with a letter missing is recognised."""
    text = fault(None, {}, {f"LABELWATCH_{name[:-1].upper()}": "1"})
    assert f"did you mean {name}?" in text


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"store": 5}, ("store: ", "str")),
        ({"store": ""}, ("store: ",)),
        ({"classes": "ab"}, ("classes: ", "array")),
        ({"classes": ["a"]}, ("classes: ", "2")),
        ({"classes": ["a", 5]}, ("classes[1]: ", "str")),
        ({"classes": ["a", ""]}, ("classes[1]: ",)),
        ({"classes": ["a", "b", "a"]}, ("classes: 'a' is listed twice; list each class once",)),
        ({"collision": "argmax"}, ("collision: ", "argmax")),
        ({"tombstone_key": "key"}, ("tombstone_key: ", "key")),
        ({"fields": "label"}, ("fields: ",)),
        ({"fields": {"label": 5}}, ("fields", "str")),
        ({"fields": {"labl": "y"}}, ('fields: "labl" is not a field', "did you mean label?")),
        ({"fields": {"label": "a..b"}}, ("fields.label: ", "empty step")),
        ({"batch_size_max": 0}, ("batch_size_max: ", ">= 1")),
        ({"batch_size_max": "many"}, ("batch_size_max: ", "int")),
        ({"batch_size_max": 1.5}, ("batch_size_max: ", "int")),
        ({"value_bytes_max": -1}, ("value_bytes_max: ",)),
        ({"pending_max": True}, ("pending_max: ",)),
        ({"memory_limit": "much"}, ("memory_limit: 'much'", "512MB")),
        ({"parity_every_s": -1}, ("parity_every_s: ",)),
        ({"parity_every_s": float("nan")}, ("parity_every_s: ",)),
        (
            {"kafka": {"topics": ["s", "t"], "findings_topic": "t"}},
            ("kafka.findings_topic: t is read too", "name another topic"),
        ),
        (
            {"kafka": {"topics": ["t"], "dead_letters_topic": "t"}},
            ("kafka.dead_letters_topic: t is read too", "name another topic"),
        ),
        (
            {"kafka": {"findings_topic": "t", "dead_letters_topic": "t"}},
            ("kafka.dead_letters_topic: t is the findings_topic", "name another topic"),
        ),
        (
            {"kafka": {"findings_topic": "t", "next_labels_topic": "t"}},
            ("kafka.next_labels_topic: t is the findings_topic", "name another topic"),
        ),
        (
            {"kafka": {"next_labels_every_s": 0}},
            ("kafka.next_labels_every_s: ",),
        ),
        ({"store": "\udcff"}, ("store: ", "UTF-8")),
        ({"classes": ["\udcff", "b"]}, ("classes: ", "UTF-8")),
    ],
)
def test_a_wrong_value_is_named(values, parts):
    """A value of the wrong type or out of range is told in one line that begins with its key."""
    text = fault(None, values, {})
    assert text.startswith(parts[0])
    assert all(part in text for part in parts)
    assert len(text.splitlines()) == 1
    assert text.count("fields: ") <= 1


@pytest.mark.parametrize("text", ["batch_size_max = ", "= 5", "\x00", 'store = "a"\nstore = "b"'])
def test_what_is_no_toml(text, written, tmp_path):
    """A file that is no TOML is named with the place of the fault."""
    ended = run_here("check-config", written(text, "c.toml"), cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.fault.startswith("c.toml: is no TOML: ")


def test_a_file_that_cannot_be_read(written, tmp_path):
    """A missing file, a folder and bytes that are no text are told apart."""
    (tmp_path / "latin.toml").write_bytes(b'store = "\xe9"')
    for name, part in ((".", "directory"), ("nope.toml", "No such file"), ("latin.toml", "TOML")):
        ended = run_here("check-config", name, cwd=tmp_path)
        assert ended.exit_code == 2
        assert ended.fault.startswith(f"{name}: ")
        assert part in ended.fault


def test_the_mapping_from_the_environment_names_its_field():
    """LABELWATCH_FIELDS alone says nothing."""
    assert "LABELWATCH_FIELDS__LABEL" in fault(None, {}, {"LABELWATCH_FIELDS": "y"})


def test_every_setting_is_explained():
    """Each setting has a default, and is printed by check-config."""
    printed = as_toml(Settings())
    for field in chain.from_iterable(
        map(msgspec.structs.fields, (Settings, KafkaSettings, HttpSettings, MetricsSettings))
    ):
        assert not field.required
        shown = (f"{field.name} = ", f"# {field.name} is not set", f"[{field.name}]")
        assert any(each in printed for each in shown), field.name


def test_check_config_prints_what_is_in_effect(written, tmp_path):
    """What check-config prints takes file and environment into account."""
    written('classes = ["b", "a"]\n[fields]\nlabel = "y"\n', "c.toml")
    ended = run_here("check-config", "c.toml", cwd=tmp_path, settings={"COLLISION": "paper"})
    assert ended.exit_code == 0
    written(ended.out, "d.toml")
    expected = Settings(classes=["b", "a"], fields={"label": "y"}, collision="paper")
    assert read_settings("d.toml", {}, {}) == expected


def test_hashed_annotators_need_a_salt():
    """Without a salt a hash of a name is as good as the name, so it is refused; the salt is never shown."""
    text = fault(None, {}, {"LABELWATCH_METRICS__ANNOTATORS": "hashed"})
    assert text.startswith("metrics.salt: ")
    variables = {"LABELWATCH_METRICS__ANNOTATORS": "hashed", "LABELWATCH_METRICS__SALT": "s3cret"}
    found = read_settings(None, {}, variables)
    assert found.metrics == MetricsSettings(annotators="hashed", salt="s3cret")
    assert "s3cret" not in as_toml(found)
