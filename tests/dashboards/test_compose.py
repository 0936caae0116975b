"""docker-compose.yml and the Dockerfile, as far as that can be said without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.dashboards.composed import COMPOSE, DOCKERFILE, PANELS, ROOT, services, settings, stack
from tests.kafka.java import POM
from tests.metrics.prometheus import tool

SERVICES = services()
OURS = {"labelwatch", "producer"}
LONG_RUNNING = {"kafka", "labelwatch", "prometheus", "grafana"}
GRAFANA = ROOT / "dashboards" / "grafana"


def locked(name):
    """The versions that a lock names."""
    return dict(
        re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    )


def mounts(service):
    """Where in a container a file or folder of ours is: there → here."""
    found = (each.split(":") for each in SERVICES[service]["volumes"])
    return {there: ROOT / here for here, there, *_ in found if here.startswith("./")}


def test_docker_reads_it():
    """`docker compose config` has nothing to say; only where the client has compose."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("no docker compose here; the other tests read the file themselves")
    command = [docker, "compose", "--file", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_little(name):
    """No capabilities, no new privileges; a read-only root but for Kafka's; ports on this machine only."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "cap_add", "user"} & set(service)
    assert service.get("read_only", False) == (name not in {"kafka", "topic"})
    assert ("/tmp" in service.get("tmpfs", [])) == service.get("read_only", False)
    assert all(each.startswith("127.0.0.1:") for each in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name):
    """Each image is ours, or has a version."""
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"labelwatch:local|[\w/]+:v?\d+\.\d+\.\d+", image)
    assert ("build" in SERVICES[name]) == (name in OURS)


def test_kafka_is_the_one_that_is_tested():
    """The image has the version of the broker in the tests."""
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>(.*)<", POM.read_text())
    for name in ("kafka", "topic"):
        assert SERVICES[name]["image"] == f"apache/kafka:{version[1]}"


def test_everything_comes_back():
    """What runs for long is checked and started again; what ends well stays ended."""
    for name, service in SERVICES.items():
        is_long = name in LONG_RUNNING
        assert service["restart"] == ("unless-stopped" if is_long else "on-failure")
        is_checked = name == "labelwatch" or "test" in service.get("healthcheck", {})
        assert is_checked == is_long
    assert SERVICES["producer"]["healthcheck"] == {"disable": True}
    assert "HEALTHCHECK" in DOCKERFILE


def test_waiting_makes_no_circle():
    """Who waits, waits for something that can come: healthy where it is checked, ended where it ends."""
    done = set()
    while len(done) < len(SERVICES):
        ready = {n for n, s in SERVICES.items() if set(s.get("depends_on", {})) <= done} - done
        assert ready
        done |= ready
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            is_long = name in LONG_RUNNING
            wanted = "service_healthy" if is_long else "service_completed_successfully"
            assert how == {"condition": wanted}


def test_state_is_in_volumes():
    """Each volume is used once, and labelwatch's store is in its own."""
    named = [
        each.partition(":")[0]
        for service in SERVICES.values()
        for each in service.get("volumes", [])
        if not each.startswith("./")
    ]
    assert sorted(named) == sorted(stack()["volumes"])
    assert "labelwatch:/data" in SERVICES["labelwatch"]["volumes"]
    assert Path(settings("LABELWATCH_STORE")).parent == Path("/data")


def test_one_token_for_both():
    """Whatever token is set, Prometheus has that of labelwatch."""
    for token in ({}, {"LABELWATCH_TOKEN": "other"}):
        found = services(**token)
        ours = found["labelwatch"]["environment"]["LABELWATCH_HTTP__TOKEN"]
        assert ours == found["prometheus"]["environment"]["LABELWATCH_TOKEN"]
        assert ours == token.get("LABELWATCH_TOKEN", "demo")


def test_promtool_reads_the_configuration(tmp_path):
    """`promtool check config` has nothing to say, once the token is there."""
    token = tmp_path / "token"
    token.write_text("demo")
    text = (ROOT / "dashboards/prometheus/prometheus.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/tmp/token", str(token)))
    command = [tool("promtool"), "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert mounts("prometheus") == {
        "/etc/prometheus/prometheus.yml": ROOT / "dashboards/prometheus/prometheus.yml"
    }


def test_grafana_finds_what_it_is_given():
    """Provisioning names folders and hosts that are there in the container."""
    found = mounts("grafana")
    assert all(here.exists() for here in found.values())
    (source,) = yaml.safe_load(
        (GRAFANA / "provisioning/datasources/prometheus.yaml").read_text("utf-8")
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert (source["type"], source["editable"]) == (PANELS[0]["datasource"]["type"], False)
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning/dashboards/labelwatch.yaml").read_text("utf-8")
    )["providers"]
    folder = provider["options"]["path"]
    assert found[folder] == GRAFANA / "dashboards"
    home = Path(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (found[str(home.parent)] / home.name).exists()
    for kind in ("datasources", "dashboards"):
        assert f"/etc/grafana/provisioning/{kind}" in found


def test_the_image_has_what_labelwatch_needs():
    """Its lock has each dependency, in the version of the tests, and what builds labelwatch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["build"]
    image, everything = locked("requirements-image.lock"), locked("requirements.lock")
    assert {Requirement(each).name for each in wanted} <= set(image)
    assert image.items() <= everything.items()


def test_what_builds_stays_behind():
    """What is uninstalled is nothing that labelwatch needs."""
    (removed,) = re.findall(r"pip uninstall --yes (.*)$", DOCKERFILE, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {Requirement(each).name for each in project["project"]["dependencies"]}
    assert not names & set(removed.split())
    assert {"hatchling", "pip"} <= set(removed.split())


def test_docker_sees_only_what_it_copies():
    """.dockerignore lets in exactly what the Dockerfile copies, and all of that exists."""
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in copies for name in line.split()}
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_the_image_runs_as_nobody_in_particular():
    """Its last stage is not root, keeps its state in /data, and starts labelwatch itself: signals arrive."""
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert "\nWORKDIR /data\n" in last
    assert '\nENTRYPOINT ["labelwatch"]\n' in last
