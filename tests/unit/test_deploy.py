"""The manifests and compose file keep their promises: hardened, known settings, time and memory that fit."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from dam_connector.cli import main as connector
from dam_connector.settings import GENERATED_SECRETS, Settings
from dam_connector.usecases.metrics import PREFIX
from dam_connector.web.metrics import TOKEN_VARIABLE
from worker.__main__ import main as worker

ROOT = Path(__file__).parents[2]
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
WORKLOADS = [d for d in DOCUMENTS if d["kind"] in ("Deployment", "Job")]
SETTINGS = {f.metadata["env"]: f.default for f in fields(Settings) if "env" in f.metadata}
FOREIGN = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GLIBC_TUNABLES"}
UNITS = {"Mi": 2**20, "Gi": 2**30}


def of_kind(kind: str, name: str) -> dict[str, Any]:
    return next(d for d in DOCUMENTS if (d["kind"], d["metadata"]["name"]) == (kind, name))


SHARED = of_kind("ConfigMap", "dam-connector")["data"]


def setting(container: dict[str, Any], name: str) -> int:
    own = {each["name"]: each["value"] for each in container.get("env", [])}
    return int(own.get(name) or SHARED.get(name) or SETTINGS[name])


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w["metadata"]["name"])
def test_a_pod_is_hardened_and_its_limits_fit(workload: dict[str, Any]) -> None:
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    memory = container["resources"]["limits"]["memory"]
    limit = int(memory[:-2]) * UNITS[memory[-2:]]
    program, *args = container["args"]
    if program == "dam-worker" and args[0] == "run":
        assert pod["terminationGracePeriodSeconds"] >= setting(container, "DAM_CONNECTOR_DRAIN_S") + 10
        assert limit > setting(container, "DAM_CONNECTOR_WORKER_MEMORY_MB") * 1_000_000 + 500_000_000
    if args[-1] == "make":
        assert limit > setting(container, "DAM_CONNECTOR_JOB_MEMORY_MB") * 1_000_000 + 500_000_000
    known = {"dam-connector": connector, "dam-worker": worker}[program]
    assert args[0] in known.commands
    unknown = {each["name"] for each in container.get("env", [])} - set(SETTINGS) - FOREIGN
    assert unknown == set()


def test_all_settings_and_secrets_are_known() -> None:
    secrets = of_kind("Secret", "dam-connector")["stringData"]
    foreign = {name for name in secrets if name.startswith("AWS_")}
    assert set(SHARED) - set(SETTINGS) == set()
    assert set(secrets) - set(SETTINGS) - set(GENERATED_SECRETS) - foreign == {TOKEN_VARIABLE}


def test_web_has_probes_and_workers_scale_by_queue_age() -> None:
    (web,) = of_kind("Deployment", "dam-connector-web")["spec"]["template"]["spec"]["containers"]
    paths = {name: web[name]["httpGet"]["path"] for name in web if name.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    scaler = of_kind("HorizontalPodAutoscaler", "dam-connector-make")["spec"]
    names = {metric["external"]["metric"]["name"] for metric in scaler["metrics"]}
    assert names == {f"{PREFIX}queue_age_seconds"}
    assert "replicas" not in of_kind("Deployment", scaler["scaleTargetRef"]["name"])["spec"]


def test_compose_gives_workers_the_time_that_they_drain() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("intake", "make", "sweeper"):
        assert (
            int(services[name]["stop_grace_period"].removesuffix("s"))
            >= SETTINGS["DAM_CONNECTOR_DRAIN_S"] + 10
        )
        assert services[name]["mem_limit"] and services[name]["read_only"]


COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OVERLAYS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "deploy/compose").glob("*.yml")}
CONNECTOR = ("web", "intake", "make", "sweeper")


@pytest.mark.parametrize("name", sorted(OVERLAYS))
def test_an_overlay_of_compose_changes_every_part_alike_and_adds_hardened_ones(name: str) -> None:
    overlay = OVERLAYS[name]
    environments = [overlay["services"][part]["environment"] for part in CONNECTOR]
    assert all(environment == environments[0] for environment in environments)
    unknown = set(environments[0]) - set(SETTINGS)
    assert {each for each in unknown if not each.startswith("AWS_")} == set()
    added = {part: s for part, s in overlay["services"].items() if part not in CONNECTOR}
    volumes = {*COMPOSE["volumes"], *overlay["volumes"]}
    for part, service in added.items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
        assert re.search(r":[^:/]+$", service["image"]), f"{part} needs a version"
        assert "healthcheck" in service or service["restart"] == "no"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (ROOT / source).is_file(), volume
        for other in service.get("depends_on", {}):
            assert other in {*COMPOSE["services"], *overlay["services"]}


def test_parts_are_built_from_stages_that_exist() -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    builds = {part: s["build"]["target"] for part, s in COMPOSE["services"].items() if "build" in s}
    assert builds == {"web": "web", "intake": "worker", "make": "worker", "sweeper": "worker"}
    assert set(builds.values()) <= set(stages) and stages[-1] == "worker"  # without --target
    images = {COMPOSE["services"][part]["image"]: target for part, target in builds.items()}
    assert len(images) == 2  # one name has one content
    used = {w["spec"]["template"]["spec"]["containers"][0]["image"] for w in WORKLOADS}
    assert used == set(images)
    for workload in WORKLOADS:  # the web image has no worker
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert container["args"][0] == "dam-connector" or container["image"] == "dam-connector"
