"""The part on training the same model again: commands, seeds, versions and every choice."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from contract.recipe import Recipe
from training.report.data import ReportData
from training.report.section import Section, number

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_SURROUNDINGS: Final = ("platform", "device", "threads", "processes")


def reproduce(data: ReportData) -> Section:
    """Return the commands and all that must be the same for the same model to come out."""
    metrics = data.metrics
    recipe = {each.name: metrics[each.name] for each in fields(Recipe) if each.name in metrics}
    choices = {**metrics["hyperparameters"], "fine_tune_epochs": metrics["fine_tune_epochs"], **recipe}
    seeds = metrics.get("seeds", {"training": metrics["seed"]})
    view = {
        "commands": commands(data),
        "groups": [
            (
                "Data and weights",
                {
                    "Source": data.manifest.get("source", "not known"),
                    "Fingerprint of the photos": metrics["fingerprint"],
                    "Backbone": metrics["backbone"],
                    "Its weights": metrics["weights_origin"],
                    "Revision of the code": metrics["source_revision"],
                },
            ),
            ("Seeds", {name.capitalize(): number(value) for name, value in seeds.items()}),
            (
                "Hyperparameters",
                {name: number(value) if value is not None else "none" for name, value in choices.items()},
            ),
            ("Versions", metrics.get("versions", {})),
            ("Machine", {name.capitalize(): metrics[name] for name in _SURROUNDINGS if name in metrics}),
            (
                "Losses to compare with",
                {"Validation": number(metrics["valid_loss"]), "Test": number(metrics["test_loss"])},
            ),
        ],
    }
    return Section("reproduce", "To train the same model again", "Reproduce", view)


def commands(data: ReportData) -> list[str]:
    """Return the shell commands that make this model, in a checkout of this project."""
    metrics = data.metrics
    seeds: Mapping[str, Any] = metrics.get("seeds", {})
    revision = str(metrics["source_revision"])
    lines = [["git", "checkout", revision]] if _COMMIT.fullmatch(revision) else []
    lines.append(["python", "-m", "pip", "install", "-c", "constraints.txt", "-r", "requirements.txt"])
    prepare = ["python", "training/prepare.py", "--source", str(data.manifest.get("source", "SOURCE"))]
    lines.append([*prepare, "--seed", str(seeds.get("data") or 0), "--model-dir", "build/prepared"])
    extract = ["python", "training/extract_features.py", "--backbone", str(metrics["backbone"])]
    asked = metrics.get("features", {})
    extract += [text for name, value in asked.items() for text in (f"--{name}", str(value))]
    extract += ["--seed", str(seeds.get("features", 0)), "--prepared", "build/prepared"]
    lines.append([*extract, "--model-dir", "build/features"])
    return [*map(shlex.join, lines), shlex.join(_train(metrics))]


def _train(metrics: Mapping[str, Any]) -> list[str]:
    options = {name.replace("_", "-"): str(value) for name, value in metrics["hyperparameters"].items()}
    recipe = Recipe(**{each.name: metrics[each.name] for each in fields(Recipe) if each.name in metrics})
    options |= {"fine-tune-epochs": str(metrics["fine_tune_epochs"]), **recipe.as_strings()}
    options |= {"seed": str(metrics["seed"]), "known-share": str(metrics.get("known_share") or 0)}
    folders = {"prepared": "build/prepared", "features": "build/features"}
    folders |= {"model-dir": "build/model", "output-dir": "build/output"}
    words = [text for name, value in (options | folders).items() for text in (f"--{name}", value)]
    return ["python", "training/train_model.py", *words]
