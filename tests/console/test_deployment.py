import io
from pathlib import Path

import pytest

from console.deployment import Deployment
from console.errors import ConsoleError
from console.project import Project
from console.screen import Screen
from contract.names import Stack
from tests.console.fakes import FakeCloud
from tests.console.test_stacks import stack

# Notes how it was called, and leaves what the real one leaves.
_CDK = """#!/bin/sh
echo "$@" >> "{calls}"
echo "says something"
test -e "{fail}" && exit 1
while [ $# -gt 0 ]; do
  if [ "$1" = --output ]; then mkdir -p "$2" && echo '{{}}' > "$2/manifest.json"; fi
  shift
done
"""


class Cdk:
    """A CDK CLI that does nothing but remember."""

    def __init__(self, project: Project) -> None:
        self._calls, self._fail = project.root / "calls", project.root / "fail"
        project.cdk_cli.parent.mkdir(parents=True)
        project.cdk_cli.write_text(_CDK.format(calls=self._calls, fail=self._fail))
        project.cdk_cli.chmod(0o755)

    @property
    def verbs(self) -> list[str]:
        return [line.split()[0] for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    @property
    def last(self) -> str:
        return self._calls.read_text().splitlines()[-1]

    def fail(self) -> None:
        self._fail.touch()


@pytest.fixture
def cdk(project: Project) -> Cdk:
    return Cdk(project)


@pytest.fixture
def deployment(project: Project, cloud: FakeCloud, screen: Screen) -> Deployment:
    (project.root / "app.py").write_text("1")
    return Deployment(project, cloud, screen)


def _answer(cloud: FakeCloud, *names: str, status: str = "CREATE_COMPLETE") -> None:
    for name in names:
        cloud.stub("cloudformation").add_response("describe_stacks", stack(name, status))


def _absent(cloud: FakeCloud, count: int = 1) -> None:
    for _ in range(count):
        cloud.stub("cloudformation").add_client_error("describe_stacks", "ValidationError", "it does not exist")


def test_the_first_deployment_synthesizes_bootstraps_and_deploys(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud
) -> None:
    _absent(cloud)
    _answer(cloud, *Stack)
    deployment.deploy()
    assert cdk.verbs == ["synth", "bootstrap", "deploy"]
    assert f"--app {deployment.assembly}" in cdk.last
    assert "--require-approval never" in cdk.last


def test_nothing_is_done_where_nothing_has_changed(cdk: Cdk, deployment: Deployment, cloud: FakeCloud) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    _answer(cloud, *Stack)
    deployment.ensure()
    assert cdk.verbs == ["synth", "deploy"]


def test_changed_sources_are_deployed(cdk: Cdk, deployment: Deployment, cloud: FakeCloud, project: Project) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    (project.root / "app.py").write_text("2")
    _answer(cloud, *Stack, "CDKToolkit", *Stack)
    deployment.ensure()
    assert cdk.verbs == ["synth", "deploy", "synth", "deploy"]


def test_stacks_that_are_gone_are_deployed_again_without_synthesizing(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud
) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    _absent(cloud, 3)
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.ensure()
    assert cdk.verbs == ["synth", "deploy", "deploy"]


def test_a_failure_shows_what_the_cdk_said(cdk: Cdk, deployment: Deployment) -> None:
    cdk.fail()
    with pytest.raises(ConsoleError, match="cdk synth failed") as caught:
        deployment.deploy()
    assert "says something" in caught.value.hint
    assert str(deployment.log) in caught.value.hint


def test_a_failed_synthesis_leaves_the_former_templates(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud, project: Project
) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    (project.root / "app.py").write_text("broken")
    cdk.fail()
    with pytest.raises(ConsoleError):
        deployment.deploy()
    assert (deployment.assembly / "manifest.json").is_file()


def test_a_missing_cdk_is_told_how_to_get(deployment: Deployment) -> None:
    with pytest.raises(ConsoleError) as caught:
        deployment.deploy()
    assert caught.value.hint == "Run: make setup"


def test_the_cdk_keeps_out_of_the_persons_home(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud, project: Project
) -> None:
    project.cdk_cli.write_text(
        "#!/bin/sh\necho home=$CDK_HOME telemetry=$CDK_DISABLE_CLI_TELEMETRY path=$PATH\nexit 1\n"
    )
    with pytest.raises(ConsoleError) as caught:
        deployment.deploy()
    assert f"home={project.build}" in caught.value.hint
    assert "telemetry=true" in caught.value.hint
    assert f"path={project.programs}:" in caught.value.hint


def test_without_a_terminal_each_stage_of_it_is_a_line(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud, written: io.StringIO
) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    assert [line.split(" (")[0] for line in written.getvalue().splitlines()] == [
        "Synthesizing the stacks ...",
        "Stacks synthesized",
        "Deploying stage laptop ...",
        "Stage laptop deployed",
    ]


def test_what_is_there_exists(deployment: Deployment, cloud: FakeCloud) -> None:
    _answer(cloud, *Stack)
    assert deployment.exists()
    _answer(cloud, *list(Stack)[:2])
    _absent(cloud)
    assert not deployment.exists()


def test_destroying_forgets_what_was_deployed(
    cdk: Cdk, deployment: Deployment, cloud: FakeCloud, project: Project
) -> None:
    _answer(cloud, "CDKToolkit", *Stack)
    deployment.deploy()
    deployment.destroy()
    assert cdk.verbs[-1] == "destroy"
    assert not Path(project.cdk("laptop") / "deployed.json").exists()
