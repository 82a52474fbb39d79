"""Deploying with the stock CDK CLI, as often as needed and no more."""

import json
import shlex
import shutil
from pathlib import Path
from typing import Any, Final

from console import process
from console.cloud import Cloud
from console.errors import ConsoleError
from console.files import read_json, write_json
from console.interrupts import shielded
from console.project import Project
from console.screen import Screen
from console.stacks import describe_stack, describe_stacks

_QUIET: Final = ("--ci", "--no-color", "--no-notices")
BOOTSTRAP_STACK: Final = "CDKToolkit"


class Deployment:
    """One stage of the app in one cloud."""

    def __init__(self, project: Project, cloud: Cloud, screen: Screen) -> None:
        self._project = project
        self._cloud = cloud
        self._screen = screen
        self._folder = project.cdk(cloud.stage)

    @property
    def assembly(self) -> Path:
        """What was synthesized: templates and assets."""
        return self._folder / "cdk.out"

    @property
    def log(self) -> Path:
        """All that the CDK CLI said since the last deployment began."""
        return self._folder / "deploy.log"

    def ensure(self) -> None:
        """Deploy unless exactly these sources are what is deployed."""
        fingerprint = self._fingerprint()
        if read_json(self._folder / "deployed.json") != self._record(fingerprint):
            self.deploy()

    def exists(self) -> bool:
        """Whether every stack of the stage is deployed, from whatever sources."""
        return all(state is not None and state.is_complete for state in describe_stacks(self._cloud).values())

    def deploy(self) -> None:
        """Bring the deployed stacks to the state of the sources."""
        self._require_cdk()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        fingerprint = self._fingerprint()
        self._synthesize(fingerprint)
        self._bootstrap()
        with self._screen.task(f"Deploying stage {self._cloud.stage}", f"Stage {self._cloud.stage} deployed"):
            self._cdk("deploy", "--all", "--require-approval", "never", "--app", str(self.assembly))
        write_json(self._folder / "deployed.json", self._record(fingerprint))

    def destroy(self) -> None:
        """Delete the stacks of the stage."""
        self._require_cdk()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.log.unlink(missing_ok=True)
        self._synthesize(self._fingerprint())
        with self._screen.task(f"Deleting stage {self._cloud.stage}", f"Stage {self._cloud.stage} deleted"):
            self._cdk("destroy", "--all", "--force", "--app", str(self.assembly))
        (self._folder / "deployed.json").unlink(missing_ok=True)

    def _record(self, fingerprint: str) -> dict[str, Any]:
        """What is deployed, from which sources: equal only if nobody has deployed anything else since."""
        states = describe_stacks(self._cloud)
        return {
            "sources": fingerprint,
            "account": self._cloud.account(),
            "region": self._cloud.region(),
            "stacks": {
                stack: state.version if state and state.is_complete else None for stack, state in states.items()
            },
        }

    def _fingerprint(self) -> str:
        adapted = json.dumps(self._cloud.adapt(self._stage_settings()), sort_keys=True)
        return self._project.sources_fingerprint(
            self._cloud.stage, self._cloud.account(), self._cloud.region(), adapted
        )

    def _stage_settings(self) -> dict[str, Any]:
        """What cdk.json says about the stage; what is wrong with it is for the app to say."""
        context = (read_json(self._project.root / "cdk.json") or {}).get("context", {})
        return dict(context.get("stages", {}).get(self._cloud.stage, {}))

    def _synthesis_folder(self) -> Path:
        """Return where to synthesize: the checkout, or a folder whose cdk.json has what the cloud adapts.

        `cdk --context` replaces strings only, and a stage's settings are a tree.
        """
        settings = self._stage_settings()
        adapted = self._cloud.adapt(settings)
        if adapted == settings:
            return self._project.root
        content = read_json(self._project.root / "cdk.json")
        content["app"] = shlex.join(["python", str(self._project.root / "app.py")])
        content["context"]["stages"][self._cloud.stage] = adapted
        write_json(self._folder / "adapted" / "cdk.json", content)
        return self._folder / "adapted"

    def _require_cdk(self) -> None:
        if not self._project.cdk_cli.exists():
            raise ConsoleError(f"The CDK CLI is missing: {self._project.cdk_cli}", "Run: make setup")

    def _synthesize(self, fingerprint: str) -> None:
        marker = self._folder / "synthesized.json"
        if read_json(marker) == {"sources": fingerprint} and (self.assembly / "manifest.json").is_file():
            return
        fresh = self._folder / "cdk.out.new"
        shutil.rmtree(fresh, ignore_errors=True)
        folder = self._synthesis_folder()
        with self._screen.task("Synthesizing the stacks", "Stacks synthesized"):
            self._cdk("synth", "--quiet", "--context", f"stage={self._cloud.stage}", "--output", str(fresh), cwd=folder)
        with shielded():
            marker.unlink(missing_ok=True)
            shutil.rmtree(self.assembly, ignore_errors=True)
            fresh.rename(self.assembly)
            write_json(marker, {"sources": fingerprint})

    def _bootstrap(self) -> None:
        state = describe_stack(self._cloud, BOOTSTRAP_STACK)
        if state is not None and state.is_complete:
            return
        where = f"aws://{self._cloud.account()}/{self._cloud.region()}"
        with self._screen.task(f"Preparing {where} for the CDK", "CDK bootstrapped"):
            self._cdk("bootstrap", where, "--app", str(self.assembly))

    def _cdk(self, *arguments: str, cwd: Path | None = None) -> None:
        command = [str(self._project.cdk_cli), *arguments, *_QUIET]
        if process.run_logged(command, self._environment(), cwd or self._project.root, self.log) != 0:
            raise ConsoleError(f"cdk {arguments[0]} failed.", f"{process.tail(self.log)}\nAll of it: {self.log}")

    def _environment(self) -> dict[str, str]:
        environment = self._cloud.environment()
        return environment | {
            "PATH": f"{self._project.programs}:{environment.get('PATH', '')}",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "true",
            # Of our own: an old entry in the person's ~/.cdk must not decide whether this works.
            "CDK_HOME": str(self._project.build / "cdk" / "home"),
            "CDK_DEFAULT_ACCOUNT": self._cloud.account(),
            "CDK_DEFAULT_REGION": self._cloud.region(),
            "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED": "true",
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "true",
            "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "true",
        }
