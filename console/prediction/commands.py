"""`pedigree predict` and `pedigree open`: the commands that use what is deployed, as users do."""

import webbrowser
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from console.context import Console
from console.errors import ConsoleError
from console.prediction import request
from console.prediction.api import Api
from console.prediction.folder import predict_folder
from console.prediction.model import given_model, served_model
from console.stacks import command, deployed
from contract.inference import MAX_UPLOAD_BYTES
from contract.names import ApiPath


def predict(
    context: typer.Context,
    photos: Annotated[
        list[str],
        typer.Argument(
            help=f"JPEG, PNG, WebP, and HEIC where the model can read it, up to {MAX_UPLOAD_BYTES // 10**6} MB each: "
            "files, http(s) addresses, or - for standard input. Or one folder.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON per photo, for programs.")] = False,
    top: Annotated[int | None, typer.Option(min=1, help="How many labels per photo; 5 unless given.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="FILE_OR_FOLDER", help="Write pictures of what the model looked at: to a .jpg, or into a folder."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="For a folder: answers.csv or answers.jsonl.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="For a folder: a model.tar.gz, or what it holds; unless given, the model in service."),
    ] = None,
) -> None:
    """Ask the deployed model what is on photos, through the API that users call.

    On the laptop a local cloud must be running: pedigree up

    An API that is busy is asked again, for a minute at most. Exit code 1 where a photo has no answer; the others are
    answered all the same.

    A folder, with all folders in it, is classified here, at full speed and without the API; with --model, no cloud is
    needed either. A photo that cannot be used is a row with its reason, and the exit code is 1.

    For example:

    pedigree predict photo.jpg another.png

    pedigree predict https://example.org/dog.jpg --top 3 --explain looked.jpg

    pedigree predict photos/*.jpg --json

    pedigree predict photos/ --out answers.csv
    """
    console: Console = context.obj
    words = request.Words(as_json=as_json, top=top, explain=explain, out=out, model=model)
    asked = request.asked(photos, words)
    if isinstance(asked, request.Folder):
        here = console.project.build / "models"
        if model is None:
            console.require_running()
        chosen = served_model(console.cloud, here) if model is None else given_model(model, here)
        failures = predict_folder(console.project, console.screen, asked.photos, chosen, asked.out)
    else:
        console.require_running()
        failures = request.ask(Api.of(console.cloud, deployed(console.cloud)), console.screen, asked)
    if failures:
        raise typer.Exit(1)


def open_page(context: typer.Context) -> None:
    """Open the deployed model's web page in the browser, with the API's key already in place.

    Prints the page's address, without the key. The browser gets the key behind the # of the address: it stays in the
    browser, and no server sees it.
    """
    console: Console = context.obj
    console.require_running()
    api = Api.of(console.cloud, deployed(console.cloud))
    page = api.at(ApiPath.PAGE)
    print(page)
    if not webbrowser.open(f"{page}#key={quote(api.key, safe='')}"):
        raise ConsoleError(
            "No browser could be opened here.",
            f"Open {page} in one, and give it the key: {command(console.cloud, 'env')} prints it.",
        )
