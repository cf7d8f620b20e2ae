"""The manifests of a Studio: their form, and what they allow. No cluster has run them."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner
from traitlets.config.loader import PyFileConfigLoader

from workbench.cli.kubernetes import MARK, Deployment, manifests, text, write_kubernetes
from workbench.cli.main import cli
from workbench.core import Conflict, Invalid, Refused, Settings, load_settings

VERSIONS = ("1.31.0", "1.37.0")
IMAGE = "registry.example.org/studio:1.0"
ASKED = Deployment(image=IMAGE)
DATABASE = "postgresql://studio@db.example.org:6432/studio?sslmode=require&passfile=keys/pgpass"
EVERYWHERE_ELSE: dict[str, Any] = {
    "urls": {"core.store": DATABASE, "pipelines.jobs": f"dbos+{DATABASE}"},
    "hub_db_url": "postgresql://studio@db.example.org:6432/accounts",
    "oidc_issuer": "https://login.example.org",
    "oidc_client_id": "studio",
    "oidc_groups": {'it\'s "us"': [("a\\b", "editor")]},
    "oidc_name": "Ünïted: {1} \n# yes",
    "pods_port": 9001,
    "log_format": "json",
}
ODD = Deployment(
    image=f"registry.example.org:5000/a/studio@sha256:{'a' * 64}",
    namespace="team-1",
    replicas=0,
    ingress_class="traefik",
    ingress_namespace="edge",
    metrics_namespace="edge",
    storage="2Ti",
    storage_class="fast.example.org",
    access_mode="ReadWriteMany",
    cpus="1500m",
    seccomp_profile="profiles/studio.json",
)


def settings_of(home: Path, **given: Any) -> Settings:
    return load_settings(home=home, **{"domain": "studio.example.org", "urls": {}, **given})


def documents(settings: Settings, asked: Deployment = ASKED) -> dict[tuple[str, str], Any]:
    """What a reader of the files sees, by kind and name."""
    found = {}
    for name, given in manifests(settings, asked).items():
        written = text(given)
        assert "NOT RUN ON A CLUSTER" in written and "&id" not in written
        for each in yaml.safe_load_all(written):
            if name != "kustomization.yaml":
                found[each["kind"], each["metadata"]["name"]] = each
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("asked", "given"), [(ASKED, {}), (ODD, EVERYWHERE_ELSE)])
def test_every_document_has_the_form_that_kubernetes_takes(
    tmp_path: Path, version: str, asked: Deployment, given: dict[str, Any]
) -> None:
    found = documents(settings_of(tmp_path, **given), asked)
    for each in found.values():
        kubernetes_validate.validate(each, version, strict=True)
    kinds = {kind for kind, _ in found}
    assert kinds >= {"Namespace", "Role", "Deployment", "Ingress", "NetworkPolicy", "ConfigMap"}
    assert "Secret" not in kinds
    spaced = {each["metadata"].get("namespace") for (kind, _), each in found.items()}
    assert spaced == {asked.namespace, None}


def test_the_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    found = documents(settings_of(tmp_path))["Deployment", "nexus-studio"]
    found["spec"]["template"]["spec"]["containers"][0]["securityContext"]["runAsRoot"] = True
    with pytest.raises(kubernetes_validate.ValidationError, match="runAsRoot"):
        kubernetes_validate.validate(found, VERSIONS[-1], strict=True)


def test_the_configuration_is_that_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORKBENCH_HOME", "WORKBENCH_URL_CORE__STORE"):
        monkeypatch.delenv(name, raising=False)
    settings = settings_of(tmp_path, **EVERYWHERE_ELSE)
    config = documents(settings, ODD)["ConfigMap", "nexus-studio"]["data"]["jupyter_config.py"]
    file = tmp_path / "jupyter_config.py"
    file.write_text(config)
    there = load_settings(file)
    assert there.address == "https://studio.example.org/"
    assert (there.servers, there.home, there.pods_port) == ("kubernetes", Path("/studio"), 9001)
    assert there.oidc_groups == settings.oidc_groups
    assert (there.oidc_name, there.log_format) == (settings.oidc_name, "json")
    for url in (*there.urls.values(), there.hub_db_url):
        assert "passfile=%2Frun%2Fstudio%2Fpgpass" in url and "keys" not in url
    assert "sslmode=require" in there.urls["core.store"]
    spawner = PyFileConfigLoader(file.name, str(tmp_path)).load_config().StudioKubeSpawner
    assert spawner.image == ODD.image
    assert spawner.studio_url == "http://nexus-studio.team-1.svc:9001/services/studio/"
    assert "nexus-studio.team-1.svc" in there.names
    assert "pod_affinity_required" not in spawner


def test_the_pod_of_the_studio_has_no_rights(tmp_path: Path) -> None:
    for asked, profile in ((ASKED, "RuntimeDefault"), (ODD, "Localhost")):
        found = documents(settings_of(tmp_path, **EVERYWHERE_ELSE), asked)
        levels = found["Namespace", asked.namespace]["metadata"]["labels"]
        assert levels["pod-security.kubernetes.io/enforce"] == "restricted"
        deployment = found["Deployment", "nexus-studio"]["spec"]
        pod = deployment["template"]["spec"]
        assert deployment["strategy"] == {"type": "Recreate"}
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"]
        assert pod["securityContext"]["seccompProfile"]["type"] == profile
        for each in (*pod["containers"], *pod["initContainers"]):
            own = each["securityContext"]
            assert own["allowPrivilegeEscalation"] is own["privileged"] is False
            assert own["capabilities"] == {"drop": ["ALL"]} and own["readOnlyRootFilesystem"]
            assert {*each["resources"]} == {"requests", "limits"}
        assert {*pod["containers"][0]} >= {"startupProbe", "readinessProbe", "livenessProbe"}
        assert all("value" in each for each in pod["containers"][0]["env"])
        rules = found["Role", "nexus-studio"]["rules"]
        assert [(each["apiGroups"], each["resources"]) for each in rules] == [([""], ["pods"])]
        assert "*" not in rules[0]["verbs"]


def test_secrets_are_named_and_never_written(tmp_path: Path) -> None:
    found = documents(settings_of(tmp_path, **EVERYWHERE_ELSE))
    pod = found["Deployment", "nexus-studio"]["spec"]["template"]["spec"]
    named = {each["secret"]["secretName"] for each in pod["volumes"] if "secret" in each}
    assert named == {"nexus-studio-tls", "nexus-studio-postgres", "nexus-studio-oidc"}
    plain = documents(settings_of(tmp_path))["Deployment", "nexus-studio"]
    volumes = plain["spec"]["template"]["spec"]["volumes"]
    assert [each["name"] for each in volumes if "secret" in each] == ["tls"]
    assert "initContainers" not in plain["spec"]["template"]["spec"]


def test_a_project_reaches_names_and_the_studio_alone(tmp_path: Path) -> None:
    found = documents(settings_of(tmp_path, **EVERYWHERE_ELSE))
    denied = found["NetworkPolicy", "nexus-studio-default-deny"]["spec"]
    assert denied["podSelector"] == {}
    assert not denied.get("ingress") and not denied.get("egress")
    assert denied["policyTypes"] == ["Ingress", "Egress"]
    project = found["NetworkPolicy", "nexus-studio-project"]["spec"]
    studio = found["NetworkPolicy", "nexus-studio-studio"]["spec"]
    assert project["ingress"] == [
        {
            "from": [{"podSelector": studio["podSelector"]}],
            "ports": [{"protocol": "TCP", "port": 8888}],
        }
    ]
    names, calls = project["egress"]
    assert {each["port"] for each in names["ports"]} == {53} and names["to"]
    assert calls == {
        "to": [{"podSelector": studio["podSelector"]}],
        "ports": [{"protocol": "TCP", "port": 9001}],
    }
    pages, inner = studio["ingress"]
    assert {each["port"] for each in pages["ports"]} == {443} and pages["from"]
    assert inner["from"] == [{"podSelector": project["podSelector"]}]
    outside = {each["port"] for rule in studio["egress"] for each in rule["ports"]}
    assert 6432 in outside


def test_it_is_opened_at_its_domain_and_below(tmp_path: Path) -> None:
    found = documents(settings_of(tmp_path))
    ingress = found["Ingress", "nexus-studio"]["spec"]
    names = ["studio.example.org", "*.studio.example.org"]
    assert ingress["tls"] == [{"hosts": names, "secretName": "nexus-studio-tls"}]
    assert [each["host"] for each in ingress["rules"]] == names
    service = found["Service", "nexus-studio"]
    assert service["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    pod = found["Deployment", "nexus-studio"]["spec"]["template"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    assert pod["spec"]["hostAliases"][0]["hostnames"] == names[:1]


@pytest.mark.parametrize(
    ("error", "says", "given", "asked"),
    [
        (Invalid, "domain", {"domain": ""}, {}),
        (Invalid, "localhost", {"domain": "localhost"}, {}),
        (Invalid, "10.0.0.1", {"domain": "10.0.0.1"}, {}),
        (Invalid, "example.org\n", {"domain": "example.org\n"}, {}),
        (Refused, "TLS", {}, {"tls_secret": ""}),
        (Refused, "3 replicas .* SQLite", {}, {"replicas": 3}),
        (Refused, "2 replicas cannot", EVERYWHERE_ELSE, {"replicas": 2}),
        (Refused, "SQLite", {}, {"access_mode": "ReadWriteMany"}),
        (Refused, "idle_s", {"idle_s": 60.0}, {}),
        (Invalid, "names no version", {}, {"image": "studio"}),
        (Invalid, "namespace", {}, {"namespace": "Team"}),
        (Invalid, "tls secret", {}, {"tls_secret": "a b"}),
        (Invalid, "storage", {}, {"storage": "much"}),
        (Invalid, "seccomp", {}, {"seccomp_profile": "../x"}),
        (Refused, "password", {"hub_db_url": "postgresql://a:hush@db/x"}, {}),
        (Refused, "password", {"urls": {"core.store": "postgresql://a@db/x?password=hush"}}, {}),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(
    tmp_path: Path,
    error: type[Exception],
    says: str,
    given: dict[str, Any],
    asked: dict[str, Any],
) -> None:
    settings = settings_of(tmp_path, **given)
    with pytest.raises(error, match=says.strip()) as raised:
        manifests(settings, Deployment(**{"image": IMAGE, **asked}))
    assert raised.value.hint  # type: ignore[attr-defined]
    assert "hush" not in f"{raised.value}{raised.value.hint}"  # type: ignore[attr-defined]


def test_the_files_are_the_same_each_time_and_foreign_ones_are_left(tmp_path: Path) -> None:
    settings, folder = settings_of(tmp_path), tmp_path / "made"
    files = write_kubernetes(settings, ASKED, folder)
    before = {file: file.read_text() for file in files}
    assert all(content.startswith(MARK) for content in before.values())
    assert {each.name for each in folder.iterdir()} == {each.name for each in files}
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert {*kustomization["resources"]} == {each.name for each in files} - {"kustomization.yaml"}
    write_kubernetes(settings, ASKED, folder)
    assert {file: file.read_text() for file in files} == before
    (folder / "studio.yaml").write_text("mine: true\n")
    with pytest.raises(Conflict, match=r"studio\.yaml"):
        write_kubernetes(settings, ASKED, folder)
    assert (folder / "studio.yaml").read_text() == "mine: true\n"


def test_the_shell_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WORKBENCH_URL_CORE__STORE", raising=False)
    monkeypatch.setenv("WORKBENCH_DOMAIN", "studio.example.org")
    made = tmp_path / "made"
    asked = ["deploy", "kubernetes", "--output", str(made), "--image", IMAGE]
    done = CliRunner().invoke(cli, [*asked, "--storage", "20Gi"])
    assert done.exit_code == 0, done.output
    assert "not run on a cluster" in done.output
    claim = yaml.safe_load((made / "storage.yaml").read_text())
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert CliRunner().invoke(cli, ["deploy", "kubernetes", "--output", str(made)]).exit_code == 2
