"""A training as its files would tell it, made up: small, or with as many classes as a test wants."""

import dataclasses
from pathlib import Path
from typing import Any

from tests.training.conftest import photo_bytes
from training.history import Epoch
from training.learning_curve import judge
from training.report.data import Prediction, ReportData

FINDING = {
    "rule": "VanishingGradient",
    "severity": "warning",
    "step": 120,
    "evidence": "The mean absolute gradient of 14 of 20 layers is below 0.0000001.",
    "meaning": "The first layers hardly learn.",
    "advice": "Unfreeze fewer stages, or train them with a higher learning rate.",
}
FINDINGS: dict[str, Any] = {
    "rules": [
        {"name": "VanishingGradient", "state": "found", "why": None},
        {"name": "Overfit", "state": "clear", "why": None},
        {"name": "LowGPUUtilization", "state": "not evaluated", "why": "this machine has no GPU"},
        {"name": "DeadRelu", "state": "failed", "why": "TensorUnavailable: relu:0"},
    ],
    "findings": [FINDING],
}
PHASES = {"wait": 3.0, "copy": 0.1, "forward": 4.0, "backward": 6.0, "optimizer": 0.8, "save": 0.3, "other": 0.2}


def profile(steps: int = 300, samples: int = 60) -> dict[str, Any]:
    """Return profile.json of so many steps."""
    times = [0.12 + 0.03 * (step % 7 == 0) + 0.2 * (step % 97 == 0) for step in range(1, steps + 1)]
    return {
        "steps": steps,
        "seconds": sum(times),
        "initialization_seconds": 4.2,
        "phases": PHASES,
        "step_seconds": {"median": 0.12, "p90": 0.15, "max": max(times)},
        "step_times": [[step, time, {"wait": time / 5}] for step, time in enumerate(times, 1)],
        "timeline": [
            {
                "at": float(at),
                "cpu": 60 + at % 30,
                "memory_bytes": 1_500_000_000 + at * 4_000_000,
                "disk_read_bytes_s": 2_000_000 * (at % 5),
                "disk_write_bytes_s": 300_000 * (at % 3),
                "network_bytes_s": 1000,
                "gpu": None if at < 5 else 40 + at % 50,
                "gpu_memory_bytes": None if at < 5 else 6_000_000_000,
            }
            for at in range(samples)
        ],
        "trace": "trace.json.gz",
    }


def manifest(labels: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """Return manifest.json."""
    counts = {"train": 8 * len(labels), "valid": len(labels), "test": 4 * len(labels)}
    return {
        "source": "toy",
        "fingerprint": "f1" * 32,
        "seed": 0,
        "splits": "as the source has them",
        "counts": counts,
        "left_out": 1,
        "converted": 0,
        "resized": 0,
        "class_folders": [
            {"folder": label, "label": label, "counts": {"train": 8, "valid": 1, "test": 4}} for label in labels
        ],
        "photos_left_out": [{"path": "train/Pug/cut.jpg", "reason": "the JPEG photo is damaged"}],
        "photos_converted": [],
    } | changes


def trials(count: int = 6) -> list[dict[str, Any]]:
    """Return the trials of tuning.json: a higher learning rate always did better, one failed."""
    made = [
        {
            "name": f"t-{n}",
            "status": "Completed",
            "objective": 0.9 + n / 100,
            "loss": 0.5 - n / 100,
            "hyperparameters": {
                "lr": f"{0.001 * 1.5**n}",
                "batch-size": f"{16 * 4 ** (n % 3)}",
                "epochs": f"{5 + n % 4}",
            },
        }
        for n in range(1, count)
    ]
    failed = {"lr": "0.1", "batch-size": "16", "epochs": "7"}
    return [*made, {"name": "t-x", "status": "Failed", "objective": None, "loss": None, "hyperparameters": failed}]


def split_calibration(error: float) -> dict[str, float]:
    """Return what metrics.json says of one split's probabilities."""
    before = {"loss_before": 0.4, "calibration_error_before": 0.08}
    return {**before, "loss": 0.3, "calibration_error": error, "confident": 1}


def bin_of(low: float, high: float, confidence: float, accuracy: float) -> dict[str, float]:
    """Return one bin of 12 photos."""
    return {"low": low, "high": high, "photos": 12, "confidence": confidence, "accuracy": accuracy}


CALIBRATION = {
    "temperature": 1.75,
    "confident_from": 0.61,
    "bins": 15,
    "valid": split_calibration(0.011),
    "test": split_calibration(0.023),
    "reliability": {"before": [bin_of(14 / 15, 1.0, 0.99, 0.75)], "served": [bin_of(0.8, 13 / 15, 0.81, 0.75)]},
}


def metrics(rows: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return metrics.json with the ``rows`` of the test classes."""
    history = learned()
    verdict = judge(history, len(rows))
    return {
        "backbone": "resnet50",
        "classes": len(rows),
        "hyperparameters": {"lr": 0.0123, "batch_size": 64, "epochs": 5},
        "fine_tune_epochs": 3,
        "first_trained": "layer4",
        "backbone_lr": 7.4e-05,
        "optimizer": "adamw",
        "processes": 1,
        "seed": 7,
        "known_share": 0.95,
        "source_revision": "a" * 40,
        "valid_accuracy": 0.9583,
        "valid_loss": 0.123,
        "test_accuracy": 0.9167,
        "test_loss": 0.2,
        "calibration": CALIBRATION,
        "test_classes": rows,
        "verdict": {"kind": str(verdict.kind), "text": verdict.text, "advice": verdict.advice},
        "fingerprint": "f1" * 32,
        "weights_origin": "torchvision's download",
        "features": {"weights": "imagenet", "views": 1},
        "notice": "backbone auto: fell back",
        "photos_left_out": [],
        "seeds": {"data": 0, "features": 1, "training": 7},
        "versions": {"torch": "2.14.1"},
        "platform": "Linux",
        "device": "x86_64 AVX2",
        "threads": 2,
    } | changes


def learned() -> tuple[Epoch, ...]:
    """Return eight epochs of a training that went well."""
    probe = [Epoch(n, "probe", 1 / n, 1 - 0.3 / n, 1.1 / n, 1 - 0.4 / n, 0.2) for n in range(1, 6)]
    return (*probe, *(Epoch(n, "fine-tune", 0.5 / n, 0.99, 0.8 / n, 0.96, 9.0) for n in range(6, 9)))


def class_rows(labels: tuple[str, ...], photos: int = 4, wrong: int = 1) -> list[dict[str, Any]]:
    """Return the test classes: of every second class, ``wrong`` photos are taken for the next class."""
    rows = []
    for index, label in enumerate(labels):
        count = wrong if index % 2 else 0
        taken_for = {labels[(index + 1) % len(labels)]: count} if count else {}
        rows.append({"label": label, "photos": photos, "accuracy": (photos - count) / photos, "taken_for": taken_for})
    return rows


def report_data(labels: tuple[str, ...] = ("Pug", "Boxer", "Corgi"), **changes: Any) -> ReportData:
    """Return a training with everything on record but the photos."""
    rows = class_rows(labels)
    data = ReportData(
        metrics=metrics(rows),
        history=learned(),
        manifest=manifest(labels),
        tuning={"trials": trials()},
        predictions=predictions(rows),
        findings=FINDINGS,
        profile=profile(),
        created="2026-11-22",
    )
    return dataclasses.replace(data, **changes)


def predictions(rows: list[dict[str, Any]]) -> tuple[Prediction, ...]:
    """Return what the model said of each photo, in keeping with the rows of the classes."""
    labels = [row["label"] for row in rows]
    made = []
    for true, row in enumerate(rows):
        named = [labels.index(label) for label, count in row["taken_for"].items() for _ in range(count)]
        named += [true] * (row["photos"] - len(named))
        for place, answer in enumerate(named):
            other = true if answer != true else (true + 1) % len(labels)
            top = ((answer, 0.6 + place / 20), (other, 0.3 - place / 20))
            made.append(Prediction(photo_name(true, place), true, top))
    return tuple(made)


def photo_name(label: int, place: int) -> str:
    """Return the path of a test photo."""
    return f"test/{label:03d}.Class/{place}.jpg"


def write_photos(folder: Path, made: tuple[Prediction, ...]) -> Path:
    """Write the photos that the predictions name."""
    for number, each in enumerate(made):
        path = folder / each.photo
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(number, size=(320, 240)))
    return folder
