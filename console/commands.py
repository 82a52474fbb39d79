"""The commands: each composes the parts that do the work."""

import json
import webbrowser
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from console import aws, environment, laptop, results, status, summary, teardown, tuning
from console.aws import Aws
from console.cloud import Cloud
from console.cost import show as cost_page
from console.deployment import Deployment
from console.doctor import examination
from console.errors import ConsoleError
from console.findings import PAGE, finding_lines, findings_in
from console.laptop import Laptop
from console.prediction import request as prediction
from console.prediction.api import Api
from console.prediction.folder import predict_folder
from console.prediction.model import given_model, served_model
from console.project import Project
from console.report import fetch_report
from console.run import Run
from console.screen import Screen
from console.stacks import deployed
from console.summary import Options
from console.up import up as stay_up
from contract.metrics import Objective
from contract.search_space import Sampler, Stopping


class Place(StrEnum):
    """Which cloud."""

    LAPTOP = "laptop"
    AWS = "aws"


class BackboneName(StrEnum):
    """What the photos' features come from."""

    AUTO = "auto"
    RESNET50 = "resnet50"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"


@dataclass
class Console:
    """What the global options came to."""

    project: Project
    screen: Screen
    cloud: Cloud


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Train, tune, deploy and serve an image classifier: on this laptop, or on AWS with the same words.

    A first run, on drawn photos, a few minutes:   **pedigree run**

    Your own photos, one folder per class:         **pedigree run --data photos/**

    Then keep it served:                           **pedigree up**

    and ask it, from another terminal:             **pedigree predict photo.jpg**

    A whole folder:                                **pedigree predict photos/ --out answers.csv**

    In the cloud, with your AWS credentials:       **pedigree --on aws run**
    """,
)


@app.callback()
def options(
    context: typer.Context,
    on: Annotated[Place, typer.Option(help="Which cloud.", envvar="PEDIGREE_ON")] = Place.LAPTOP,
    stage: Annotated[
        str, typer.Option(help="Which stage of cdk.json; laptop on the laptop, dev on AWS unless given.")
    ] = "",
) -> None:
    """Compose the parts that every command uses."""
    project, screen = Project.here(), Screen()
    cloud: Cloud
    if on is Place.LAPTOP:
        cloud = Laptop(project, screen, stage or laptop.DEFAULT_STAGE)
    else:
        cloud = Aws(stage or aws.DEFAULT_STAGE)
    context.obj = Console(project, screen, cloud)


@app.command()
def run(
    context: typer.Context,
    data: Annotated[
        str, typer.Option(help="toy (drawn photos), a folder, a .zip, https://....zip, or s3://bucket/prefix.")
    ] = "toy",
    backbone: Annotated[
        BackboneName, typer.Option(help="auto: ResNet50, or EfficientNet-Lite0 where its weights cannot be had.")
    ] = BackboneName.AUTO,
    trials: Annotated[int, typer.Option(min=1, max=100, help="How many hyperparameter settings are tried.")] = 4,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Epochs of the fine-tuning; if not given, as many as the tuning finds best."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Draws everything random.")] = None,
) -> None:
    """Do the whole job: deploy, prepare, extract features, tune, train, gate, serve, predict.

    Shows live what happens; Ctrl-C stops everything, and the next run with the same options goes on after the tuning
    if it had come that far. Leaves build/run/summary.json and build/run/report.html.

    Examples:
    pedigree run

    pedigree run --data photos/ --trials 8

    pedigree run --data https://example.org/photos.zip --backbone resnet50 --epochs 5
    """
    console: Console = context.obj
    chosen = Options(data, str(backbone), trials, epochs, seed)
    Run(console.project, console.cloud, console.screen, chosen)()


@app.command()
def up(context: typer.Context) -> None:
    """Keep the local cloud running, and serve the last trained model again without training.

    Prints the AWS endpoint, the API's address and its key, and what to type in another terminal. Ctrl-C ends it all.
    """
    console: Console = context.obj
    stay_up(console.project, _laptop(console, "up"), console.screen)


@app.command()
def env(context: typer.Context) -> None:
    """Print what points any AWS tool, and curl, at the running local cloud; for AWS, at what is deployed there.

    Use it so:   eval "$(pedigree env)"

    Then: aws sagemaker list-training-jobs, aws logs tail /aws/sagemaker/TrainingJobs, boto3, ...
    """
    console: Console = context.obj
    _require_running(console)
    unset = environment.OTHER_ACCOUNTS if isinstance(console.cloud, Laptop) else ()
    for line in environment.export_lines(environment.variables(console.cloud), unset):
        print(line)


@app.command()
def tune(
    context: typer.Context,
    features: Annotated[
        Path | None, typer.Option(help="What extract_features.py left; if not given, those of the last run.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=100, help="How many hyperparameter settings are tried.")] = 8,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of the settings and of the photos' order.")] = 0,
    objective: Annotated[Objective, typer.Option(help="What is compared on the validation set.")] = Objective.ACCURACY,
    sampler: Annotated[Sampler, typer.Option(help="Settings far apart, or drawn.")] = Sampler.SPREAD,
    stopping: Annotated[Stopping, typer.Option(help="Which trials are ended early.")] = Stopping.NONE,
) -> None:
    """Tune the head on features that exist already, on this machine: seconds per trial, no jobs.

    The search space is that of a run, and so are the numbers for the same settings and seed. Prints the trials, leaves
    build/tune/tuning.json.
    """
    console: Console = context.obj
    if features is None:
        _require_running(console)
        features = tuning.features_of_last_run(console.project, console.cloud)
    wanted = tuning.Sweep(trials, seed, str(objective), str(sampler), str(stopping))
    tuning.tune(console.project, console.screen, features, wanted)


@app.command()
def deploy(context: typer.Context) -> None:
    """Bring the stacks to the state of the sources, with the stock CDK CLI.

    `pedigree run` does this by itself. On the laptop with no local cloud running, one is started for the time it takes;
    what was deployed is there again with the next start.
    """
    console: Console = context.obj
    try:
        console.cloud.start()
        examination.require_quick(console.project, console.cloud)
        Deployment(console.project, console.cloud, console.screen).deploy()
        api_url = console.cloud.predict_url(deployed(console.cloud).api_url)
        console.screen.say(f"API: {api_url}")
    finally:
        console.cloud.stop()


@app.command()
def predict(
    context: typer.Context,
    photos: Annotated[list[Path], typer.Argument(help="JPEG, PNG or WebP, up to 4.4 MB each; or one folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers, one line per photo.")] = False,
    out: Annotated[Path | None, typer.Option(help="For a folder: answers.csv or answers.jsonl.")] = None,
    model: Annotated[
        Path | None, typer.Option(help="For a folder: a model.tar.gz or what it holds; else the model in service.")
    ] = None,
) -> None:
    """Ask the deployed model what is on photos, through the API that users call.

    On the laptop a local cloud must be running: pedigree up

    A folder, with all folders in it, is classified here, at full speed and by no API; with --model, no cloud is needed
    either. A photo that cannot be used is a row with its reason; exit code 1 where there are any.

    Examples:
    pedigree predict photo.jpg

    pedigree predict photos/ --out answers.csv
    """
    console: Console = context.obj
    asked = prediction.asked(photos, as_json=as_json, out=out, model=model)
    if isinstance(asked, prediction.Folder):
        here = console.project.build / "models"
        if model is None:
            _require_running(console)
        chosen = served_model(console.cloud, here) if model is None else given_model(model, here)
        failures = predict_folder(console.project, console.screen, asked.photos, chosen, asked.out)
    else:
        _require_running(console)
        failures = prediction.ask(Api.of(console.cloud, deployed(console.cloud)), console.screen, photos, as_json)
    if failures:
        raise typer.Exit(1)


@app.command("status")
def show_status(context: typer.Context) -> None:
    """Show the stacks, the last executions, the endpoint and its model's accuracy."""
    console: Console = context.obj
    _require_running(console)
    status.show_status(console.cloud, console.screen)


@app.command()
def report(
    context: typer.Context,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Print where the last run's report is: how it learned, its mistakes with their photos, findings, profile, trials.

    With --on aws, where no run from here left one: brings that of the last execution that succeeded.
    """
    console: Console = context.obj
    path = console.project.run / results.REPORT
    if not path.is_file():
        former = console.project.run / summary.PREVIOUS / results.REPORT
        if former.is_file():
            raise ConsoleError("The last run left no report.", f"The one before it: {former}")
        if isinstance(console.cloud, Laptop):  # whose runs all leave theirs on this disk
            raise ConsoleError("There is no report yet.", "Make one: pedigree run")
        _require_running(console)
        fetch_report(console.cloud, console.project.run)
    print(path)
    found = findings_in(console.project.run)
    for line in [] if found is None else finding_lines(found, f"{PAGE}, and the report"):
        console.screen.note(line)  # beside what scripts read
    if open_it and not webbrowser.open(path.as_uri()):
        raise ConsoleError("No browser could be opened.", f"Open it yourself: {path.as_uri()}")


@app.command()
def doctor(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="Look for these photos, not for those that the settings name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
) -> None:
    """Look for what would stand in the way, and say for each thing what to do.

    With --on aws: credentials, SageMaker in the region, the CDK's bootstrap, the quotas of the instance types in use,
    network, weights, photos. Nothing is changed. Exit code 1 where something will not work.
    """
    console: Console = context.obj
    if as_json:
        found = examination.examine(console.project, console.cloud, data)
        print(json.dumps(examination.as_json(found), indent=2))
    else:
        with console.screen.task("Looking", "Looked"):
            found = examination.examine(console.project, console.cloud, data)
        examination.show(found, console.screen)
    if examination.has_problems(found):
        raise typer.Exit(1)


@app.command()
def cost(
    context: typer.Context,
    trials: Annotated[
        int | None, typer.Option(min=1, max=100, help="If not given, as many as the settings say.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
) -> None:
    """Estimate what the first deployment, a run and an idle month cost on AWS with a stage's settings.

    From the dated prices in prices.json; no credentials are needed.
    """
    console: Console = context.obj
    stage = _aws_stage(console)
    if as_json:
        print(json.dumps(cost_page.as_json(console.project, stage, trials), indent=2))
    else:
        cost_page.show_cost(console.project, stage, console.screen, trials)


@app.command()
def down(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove everything: the local cloud with its state, or the stage on AWS.

    With the stage go the endpoints, models and their configurations that executions made. What stays is named.
    """
    console: Console = context.obj
    if console.cloud.name == Place.AWS:
        console.cloud.start()
    if not yes and not typer.confirm(f"Remove {teardown.what_goes(console.project, console.cloud)}?"):
        raise ConsoleError("Nothing was removed.")
    teardown.take_down(console.project, console.cloud, console.screen)


def _aws_stage(console: Console) -> str:
    """Return the stage whose cost is asked for: on the laptop nothing costs, so the one meant is AWS's."""
    is_default = console.cloud.name == Place.LAPTOP and console.cloud.stage == laptop.DEFAULT_STAGE
    return aws.DEFAULT_STAGE if is_default else console.cloud.stage


def _laptop(console: Console, word: str) -> Laptop:
    if not isinstance(console.cloud, Laptop):
        raise ConsoleError(f"pedigree {word} is for the laptop: AWS is always up.", "Leave out: --on aws")
    return console.cloud


def _require_running(console: Console) -> None:
    """Connect: to AWS, or to the local cloud that runs already, for nobody waits for one to start to ask it once."""
    if isinstance(console.cloud, Laptop):
        _ = console.cloud.connection
    else:
        console.cloud.start()
