"""docker-compose.yml, the Dockerfile and the dashboard as those read them who use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
DASHBOARD = json.loads(
    (ROOT / "dashboards/grafana/dashboards/labelwatch-overview.json").read_text("utf-8")
)
PANELS = [each for each in DASHBOARD["panels"] if each["type"] != "row"]
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\})")


def stack(**variables):
    """The whole file, with these variables set."""
    return _filled(yaml.safe_load(COMPOSE.read_text("utf-8")), variables)


def services(**variables):
    """The services, with these variables set."""
    return stack(**variables)["services"]


def health_check():
    """The command of the image's health check."""
    return json.loads(re.search(r"^HEALTHCHECK[^[]*(\[.*\])$", DOCKERFILE, re.MULTILINE)[1])


def settings(name):
    """What the image sets in the environment: the lines ENV of its last stage."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    return re.search(rf"^ENV .*\b{name}=(\S+)", last, re.MULTILINE)[1]


def _filled(value, variables):
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value(found, variables), value)
    return value


def _value(found, variables):
    return found[1] or variables.get(found[2], found[3])
