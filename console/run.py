"""`pedigree run`: the whole job, from photos to a prediction by the deployed model."""

import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBars

from console import dataset, execution, summary
from console.cloud import Cloud
from console.dataset import Source
from console.deployment import Deployment
from console.doctor import examination
from console.errors import ConsoleError
from console.findings import PAGE, finding_lines, findings_of
from console.interrupts import Interrupted, shielded
from console.live import LiveDisplay
from console.plain import PlainDisplay
from console.progress import Progress
from console.project import Project
from console.results import fetch
from console.screen import Screen, duration, percent
from console.stacks import Deployed, command, deployed
from console.summary import Options
from console.watch import Display, Watch, follow
from console.words import best_line
from contract.rules import TENSOR_RULES


class Run:
    """One execution from the outside: prepared, started, watched, brought home."""

    def __init__(self, project: Project, cloud: Cloud, screen: Screen, options: Options) -> None:
        self._project = project
        self._cloud = cloud
        self._screen = screen
        self._options = options

    def __call__(self) -> None:
        """Do it.

        Raises:
            ConsoleError: it failed; summary.json says so too.
        """
        data = dataset.check(self._options.data)
        former = summary.former_seconds(self._project.run, self._options)
        try:
            self._cloud.start()
            examination.require_quick(self._project, self._cloud)
            Deployment(self._project, self._cloud, self._screen).ensure()
            stage = deployed(self._cloud)
            source = self._source(data, stage)
            summary.put_aside(self._project.run)
            self._execute(stage, source, former)
        finally:
            self._cloud.stop()
        self._say_what_next()

    def _source(self, data: str | Path, stage: Deployed) -> Source:
        if isinstance(data, str):
            return Source(data)
        with tempfile.TemporaryDirectory(prefix="pedigree-") as temporary, self._bars() as bars:
            archive = data
            if data.is_dir():
                archive = Path(temporary) / "photos.zip"
                packing = bars.add_task(f"Packing {escape(str(data))}")
                dataset.pack(data, archive, lambda done, total: bars.update(packing, completed=done, total=total))
            sending = bars.add_task("Uploading", total=archive.stat().st_size)
            source = dataset.upload(
                archive,
                self._cloud,
                stage.bucket,
                lambda done, total: bars.update(sending, completed=done, total=total),
            )
        self._screen.say(f"Photos: {data} as {source.uri}")
        return source

    def _bars(self) -> ProgressBars:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        return ProgressBars(*columns, console=self._screen.out, transient=True, disable=not self._screen.is_live)

    def _execute(self, stage: Deployed, source: Source, former: Mapping[str, float]) -> None:
        arn = ""
        progress: Progress | None = None
        try:
            with shielded():
                arn = execution.start(self._cloud, stage.state_machine_arn, execution.request(source, self._options))
            self._screen.say(f"Execution {arn.rsplit(':', 1)[-1]} started")
            watch = Watch(self._cloud, arn)
            with self._display(former) as display:
                progress = follow(watch, display, self._cloud)
        except Interrupted:
            self._abandon(arn)
            raise
        self._finish(arn, progress, stage)

    def _display(self, former: Mapping[str, float]) -> AbstractContextManager[Display]:
        if self._screen.is_live:
            return LiveDisplay(self._screen, former)
        return nullcontext(PlainDisplay(self._screen, former))

    def _abandon(self, arn: str) -> None:
        """Stop what was started; what it had reached is taken up by the next run."""
        with shielded():
            if not arn:
                return
            problem = execution.stop(self._cloud, arn)
            self._screen.note(f"Execution stopped: {arn}" if not problem else f"Could not stop {arn}: {problem}")

    def _finish(self, arn: str, progress: Progress, stage: Deployed) -> None:
        if progress.status != "SUCCEEDED":
            path = summary.save(self._project.run, summary.failed(arn, self._options, progress))
            step = summary.failed_step(progress) or "the state machine"
            cause = progress.cause or progress.error or "no cause was given"
            raise ConsoleError(
                f"The execution {_ENDS.get(progress.status, progress.status)} in step {step}: {_without(cause, step)}",
                f"Execution: {arn}\nSummary: {path}{_about_rules(cause)}",
            )
        results = fetch(self._cloud, progress.output, self._project.run, stage.bucket)
        content = summary.succeeded(arn, self._options, progress, results)
        content["api_url"] = self._cloud.predict_url(stage.api_url)
        summary.save(self._project.run, content)
        self._show(content, results.sample)

    def _show(self, content: Mapping[str, Any], photo: Path | None) -> None:
        say = self._screen.say
        say()
        _show_photos(self._screen, content)
        best = best_line(content["best_hyperparameters"])
        say(f"Backbone {content['backbone']}, {content['classes']} classes; {best}")
        if content["resumed"]:
            say("Taken up where an earlier execution stopped: its hyperparameters, features and checkpoints were used.")
        if content["notice"]:
            say(str(content["notice"]))
        for name, words in (("valid_accuracy", "Validation accuracy"), ("test_accuracy", "Test accuracy")):
            if content[name] is not None:
                say(f"{words}: {percent(content[name])}")
        if content["verdict"]:
            say(f"Learning curve: {content['verdict']['kind']}. {content['verdict']['text']}")
        if content["notice_not_sent"]:
            say(f"The notice of this run's end could not be sent: {content['notice_not_sent']}")
        for line in finding_lines(findings_of(content["findings"]), command(self._cloud, "report --open")):
            say(line)
        sample = content["sample"] or {}
        if sample:
            say()
            say(f"Photo:     {photo or sample.get('photo')}")
            say(f"True:      {sample.get('true')}")
            say(f"Predicted: {sample.get('predicted')} ({percent(float(sample.get('probability', 0)))})", style="bold")
        say()
        say(f"Report:    {content['report'] or 'the training left none'}")
        say(f"Summary:   {self._project.run / summary.SUMMARY}")
        say(f"Took:      {duration(content['total_seconds'])}")

    def _say_what_next(self) -> None:
        self._screen.say()
        self._screen.say("Next:")
        if self._cloud.name == "laptop":
            self._screen.say("  make up                     serve this model: AWS endpoint and API on this machine")
        self._screen.say(f"  {command(self._cloud, 'predict PHOTO.jpg')}   ask it what is on a photo")
        self._screen.say(f"  {command(self._cloud, 'report --open')}       see how it learned")


_ENDS = {"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "was stopped"}


def _without(cause: str, step: str) -> str:
    """Return a cause without the step's name in front, which has just been said."""
    return cause.removeprefix(f"{step}: ")


def _about_rules(cause: str) -> str:
    """Return where to read on about a failure that a rule of the training is the cause of."""
    told = any(f"{rule} at step " in cause or f"{rule}: " in cause for rule in TENSOR_RULES)
    return f"\nWhat each rule looks at, and how to switch one off: {PAGE}" if told else ""


def _show_photos(screen: Screen, content: Mapping[str, Any]) -> None:
    for name, words in (("photos_left_out", "left out"), ("photos_converted", "converted")):
        photos = content[name]
        for photo in photos[:10]:
            screen.say(f"Photo {words}: {photo['path']} ({photo['reason']})")
        if len(photos) > 10:
            screen.say(f"... and {len(photos) - 10} more, see summary.json")
