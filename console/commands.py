"""The commands: each composes the parts that do the work."""

import json
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from console import aws, environment, laptop, results, status, summary, teardown, tuning
from console.aws import Aws
from console.cloud import Cloud
from console.context import Console, Place
from console.cost import show as cost_page
from console.deployment import Deployment
from console.doctor import examination
from console.errors import ConsoleError
from console.findings import PAGE, finding_lines, findings_in
from console.laptop import Laptop
from console.prediction.commands import open_page, predict
from console.project import Project
from console.report import fetch_report
from console.run import Run
from console.screen import Screen
from console.stacks import deployed
from console.summary import Options
from console.up import up as stay_up
from contract.metrics import Objective
from contract.search_space import Sampler, Stopping


class BackboneName(StrEnum):
    """What the photos' features come from."""

    AUTO = "auto"
    RESNET50 = "resnet50"
    EFFICIENTNET_LITE0 = "efficientnet_lite0"


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

    or on its web page:                            **pedigree open**

    A whole folder:                                **pedigree predict photos/ --out answers.csv**

    In the cloud, with your AWS credentials:       **pedigree --on aws run**
    """,
)


@app.callback()
def options(
    context: typer.Context,
    on: Annotated[Place, typer.Option(help="Which cloud.", envvar="PEDIGREE_ON")] = Place.LAPTOP,
    stage: Annotated[
        str, typer.Option(help="Which stage of cdk.json; unless given, laptop on the laptop and dev on AWS.")
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
            min=0, max=1000, help="Epochs of the fine-tuning; unless given, as many as the tuning found best."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**31 - 1, help="The seed of everything random: the same seed, the same results."),
    ] = None,
) -> None:
    """Do the whole job: deploy, prepare, extract features, tune, train, gate, serve, predict.

    Shows live what happens; Ctrl-C stops everything, and the next run with the same options goes on after the tuning
    if this one got that far. Leaves build/run/summary.json and build/run/report.html.

    For example:

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

    Prints the AWS endpoint, the addresses of the page and of the API, its key, and what to type in another terminal.
    Ctrl-C ends it all.
    """
    console: Console = context.obj
    stay_up(console.project, _laptop(console, "up"), console.screen)


@app.command()
def env(context: typer.Context) -> None:
    """Print what points any AWS tool, and curl, at the running local cloud; with --on aws, at what is deployed there.

    Use it like this:   eval "$(pedigree env)"

    Then: aws sagemaker list-training-jobs, aws logs tail /aws/sagemaker/TrainingJobs, boto3, ...
    """
    console: Console = context.obj
    console.require_running()
    unset = environment.OTHER_ACCOUNTS if isinstance(console.cloud, Laptop) else ()
    for line in environment.export_lines(environment.variables(console.cloud), unset):
        print(line)


@app.command()
def tune(
    context: typer.Context,
    features: Annotated[
        Path | None,
        typer.Option(help="The features that extract_features.py left; unless given, those of the last run."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, max=100, help="How many hyperparameter settings are tried.")] = 8,
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**31 - 1, help="The seed of the settings and of the photos' order."),
    ] = 0,
    objective: Annotated[Objective, typer.Option(help="What is compared on the validation set.")] = Objective.ACCURACY,
    sampler: Annotated[
        Sampler, typer.Option(help="How settings are chosen: far apart, or drawn at random.")
    ] = Sampler.SPREAD,
    stopping: Annotated[Stopping, typer.Option(help="Which trials are ended early.")] = Stopping.NONE,
) -> None:
    """Tune the head on features that exist already, on this machine: seconds per trial, no jobs.

    The search space is that of a run, and so are the numbers for the same settings and seed. Prints the trials, leaves
    build/tune/tuning.json.
    """
    console: Console = context.obj
    if features is None:
        console.require_running()
        features = tuning.features_of_last_run(console.project, console.cloud)
    wanted = tuning.Sweep(trials, seed, str(objective), str(sampler), str(stopping))
    tuning.tune(console.project, console.screen, features, wanted)


@app.command()
def deploy(context: typer.Context) -> None:
    """Bring the stacks to the state of the sources, with the stock CDK CLI.

    `pedigree run` does this by itself. On the laptop with no local cloud running, one is started for the time it takes;
    what was deployed is back with the next start.
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


app.command()(predict)
app.command("open")(open_page)


@app.command("status")
def show_status(context: typer.Context) -> None:
    """Show the stacks, the last executions, the endpoint, its model's accuracy and the page."""
    console: Console = context.obj
    console.require_running()
    status.show_status(console.cloud, console.screen)


@app.command()
def report(
    context: typer.Context,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Print where the last run's report is: how it learned, its mistakes with their photos, findings, profile, trials.

    With --on aws, and no report of a run from here, the one of the last execution that succeeded is fetched.
    """
    console: Console = context.obj
    path = console.project.run / results.REPORT
    if not path.is_file():
        former = console.project.run / summary.PREVIOUS / results.REPORT
        if former.is_file():
            raise ConsoleError("The last run left no report.", f"The one before it: {former}")
        if isinstance(console.cloud, Laptop):  # whose runs all leave theirs on this disk
            raise ConsoleError("There is no report yet.", "Make one: pedigree run")
        console.require_running()
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
    data: Annotated[str, typer.Option(help="Check these photos instead of those that the settings name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
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
        int | None,
        typer.Option(min=1, max=100, help="How many trials a run has; unless given, as many as the settings say."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
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
