"""What a request is told: logits to labels with probabilities, and these to JSON."""

import json
from collections.abc import Sequence

import torch

from contract.inference import Answer, InferenceError, Prediction
from vision.check_photos import Logits
from vision.classifier import ModelCard


def answers(logits: Logits, card: ModelCard, top: int) -> list[Answer]:
    """Return what the model says of each photo: ``top`` labels of logits (N, classes), and whether it is sure."""
    probabilities = card.calibration.probabilities(torch.from_numpy(logits))  # (N, classes)
    best = torch.topk(probabilities, min(top, len(card.classes)))  # (N, top) each
    labels = card.classes.labels
    return [
        Answer(
            [Prediction(labels[number], value) for number, value in zip(numbers, values, strict=True)],
            card.calibration.confident(of_photo),
        )
        for numbers, values, of_photo in zip(best.indices.tolist(), best.values.tolist(), probabilities, strict=True)
    ]


def output(said: Sequence[Answer | InferenceError], several: bool) -> bytes:
    """Return the response's body: of one photo its answer, of several their answers in the order of the request.

    Raises:
        InferenceError: there is one photo alone, and it has no answer.
    """
    if several:
        return json.dumps(
            {"answers": [one.body() if isinstance(one, Answer) else one.answer() for one in said]}
        ).encode()
    (alone,) = said
    if isinstance(alone, InferenceError):
        raise alone
    return json.dumps(alone.body()).encode()
