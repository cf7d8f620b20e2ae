"""The resource that the Dask operator is given: its form. No cluster has run it."""

from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from dask_kubernetes import operator

from tests.ports.test_clusters import context
from workbench.compute import Need, clusters
from workbench.compute.kube import DaskOperator
from workbench.core import Unavailable

URL = "kube://team?image=registry.example.org/studio:1.0"
CRDS = Path(operator.__file__).parent / "deployment/helm/dask-kubernetes-operator/crds"


@pytest.fixture
def made(tmp_path: Path) -> dict[str, Any]:
    need = Need(workers=3, threads=2, memory_mb=1500)
    return DaskOperator(URL, tmp_path).manifest("job-01abc", need)


def test_it_is_what_the_operator_knows(made: dict[str, Any]) -> None:
    (version,) = yaml.safe_load((CRDS / "daskcluster.yaml").read_text())["spec"]["versions"]
    assert made["apiVersion"] == f"kubernetes.dask.org/{version['name']}"
    jsonschema.validate(made, version["schema"]["openAPIV3Schema"])


@pytest.mark.parametrize("version", ["1.31.0", "1.37.0"])
@pytest.mark.parametrize("part", ["worker", "scheduler"])
def test_its_pods_are_pods(made: dict[str, Any], part: str, version: str) -> None:
    spec = made["spec"][part]["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part}, "spec": spec}
    kubernetes_validate.validate(pod, version, strict=True)
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    (container,) = spec["containers"]
    assert container["image"] == "registry.example.org/studio:1.0"
    assert container["args"][:2] == ["dask", part]
    assert not container["securityContext"]["allowPrivilegeEscalation"]


def test_what_was_asked_for_is_in_it(made: dict[str, Any]) -> None:
    worker = made["spec"]["worker"]
    assert worker["replicas"] == 3
    (container,) = worker["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1500Mi"}
    args = container["args"]
    assert args[args.index("--memory-limit") + 1] == "1500MiB"
    assert args[args.index("--nthreads") + 1] == "1"
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in container["env"]
    assert made["spec"]["idleTimeout"] > 0


def test_no_kubernetes_answers(tmp_path: Path) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "me", "user": {}}],
    }
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    ctx = context(tmp_path, f"{URL}&kubeconfig={file}")
    with (
        pytest.raises(Unavailable, match="Kubernetes makes no cluster in team: "),
        ctx.engine(clusters).open(ctx, Need(workers=1)),
    ):
        pass
