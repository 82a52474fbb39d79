"""SageMaker's four functions, called one by one."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from contract.inference import Answer, ErrorCode, InferenceError, Prediction
from serving.inference import Model, input_fn, model_fn, output_fn, predict_fn
from vision.calibration import Calibration
from vision.classifier import ArtifactError


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(image: Image.Image, kind: str) -> bytes:
    """The photo as a camera stores it that was held upright: lying, with the note to turn it by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), kind, exif=exif, lossless=True)


def test_the_prediction_is_the_five_most_probable_labels_in_order(model: Model, jpeg: bytes) -> None:
    predictions = predict_fn(input_fn(jpeg, "image/jpeg"), model).predictions
    probabilities = [prediction.probability for prediction in predictions]
    assert len(predictions) == 5
    assert probabilities == sorted(probabilities, reverse=True)
    assert {prediction.label for prediction in predictions} <= {
        "Breed ash", "Breed bay", "Breed coal", "Breed dun", "Breed elk", "Breed fawn",
    }  # fmt: skip


def test_fewer_than_five_classes_are_all_predicted(
    make_artifact: Callable[[tuple[str, ...]], Path], jpeg: bytes
) -> None:
    model = model_fn(str(make_artifact(("1.Cat", "2.Dog", "3.Hen"))))
    predictions = predict_fn(input_fn(jpeg, "image/jpeg"), model).predictions
    assert {prediction.label for prediction in predictions} == {"Cat", "Dog", "Hen"}
    assert sum(prediction.probability for prediction in predictions) == pytest.approx(1)


def test_the_probabilities_are_those_of_the_network_as_training_runs_it(model: Model, jpeg: bytes) -> None:
    photo = input_fn(jpeg, "image/jpeg")
    loaded = model.loaded
    with torch.inference_mode():
        logits = loaded.classifier(torch.stack([loaded.preprocessing.apply(photo)] * 2))[0]  # (classes,)
    expected = dict(zip(loaded.classes.labels, torch.softmax(logits.float(), 0).tolist(), strict=True))
    for prediction in predict_fn(photo, model).predictions:
        assert prediction.probability == pytest.approx(expected[prediction.label], abs=1e-5)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_photo_with_an_exif_turn_is_predicted_as_if_upright(model: Model, picture: Image.Image, kind: str) -> None:
    upright = predict_fn(input_fn(encoded(picture, kind, lossless=True), "image/png"), model)
    assert predict_fn(input_fn(turned(picture, kind), "image/png"), model) == upright
    lying = encoded(picture.transpose(Image.Transpose.ROTATE_90), kind, lossless=True)
    assert predict_fn(input_fn(lying, "image/png"), model) != upright


@pytest.mark.parametrize("content_type", ["image/jpeg", "IMAGE/JPEG", "image/png; charset=binary", " image/webp "])
def test_photo_types_are_accepted_in_any_spelling(jpeg: bytes, content_type: str) -> None:
    assert input_fn(jpeg, content_type).size == (400, 260)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "image/gif", "application/json", "image/jpeg2000"])
def test_other_types_are_refused_with_what_is_accepted(jpeg: bytes, content_type: str | None) -> None:
    with pytest.raises(InferenceError, match="image/jpeg, image/png, image/webp") as refused:
        input_fn(jpeg, content_type)
    assert refused.value.status == 415


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded(picture: Image.Image) -> None:
    photo = encoded(picture.convert("L"), "JPEG", progressive=True)
    assert photo.count(b"\xff\xda") > 1
    assert input_fn(photo, "image/jpeg").size == picture.size
    last_scan = photo[photo.rindex(b"\xff\xda") : -2]
    with pytest.raises(InferenceError, match="scans; at most 64"):
        input_fn(photo[:-2] + last_scan * 2000 + photo[-2:], "image/jpeg")


def test_a_body_as_sagemakers_toolkits_hand_it_over_is_taken(jpeg: bytes) -> None:
    assert input_fn(bytearray(jpeg), "image/jpeg").size == (400, 260)


def test_the_response_is_json_with_the_contracts_shape() -> None:
    body = output_fn(Answer([Prediction("Boxer", 0.9700001), Prediction("Pug", 0.03)]), "application/json")
    assert json.loads(body) == {
        "predictions": [{"label": "Boxer", "probability": 0.97}, {"label": "Pug", "probability": 0.03}]
    }


def calibrated(model: Model, calibration: Calibration) -> Model:
    return Model(dataclasses.replace(model.loaded, calibration=calibration))


def test_a_model_that_was_not_asked_to_says_nothing_of_being_sure(model: Model, jpeg: bytes) -> None:
    assert predict_fn(input_fn(jpeg, "image/jpeg"), model).confident is None


def test_an_answer_is_sure_from_the_models_own_threshold_on(model: Model, jpeg: bytes) -> None:
    photo = input_fn(jpeg, "image/jpeg")
    best = predict_fn(photo, model).predictions[0].probability
    for threshold, sure in ((best - 1e-4, True), (best + 1e-4, False)):
        answer = predict_fn(photo, calibrated(model, Calibration(1.0, threshold)))
        assert json.loads(output_fn(answer))["confident"] is sure


def test_the_temperature_changes_how_sure_an_answer_is_and_not_what_it_is(model: Model, jpeg: bytes) -> None:
    photo = input_fn(jpeg, "image/jpeg")
    plain, cooled = (predict_fn(photo, calibrated(model, Calibration(t))).predictions for t in (1.0, 0.1))
    assert [one.label for one in plain] == [one.label for one in cooled]
    assert cooled[0].probability > plain[0].probability


def test_an_incomplete_artifact_is_named(artifact: Path, tmp_path: Path) -> None:
    for path in artifact.iterdir():
        if path.name != "weights.pt":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ArtifactError, match=r"weights\.pt is missing"):
        model_fn(str(tmp_path))


def test_every_refusal_has_a_code_of_the_contract() -> None:
    with pytest.raises(InferenceError) as refused:
        input_fn(b"", "image/jpeg")
    assert refused.value.code is ErrorCode.EMPTY_BODY
