"""SageMaker's four functions, called one by one, and by AWS's own toolkit."""

import base64
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sagemaker_inference.transformer import Transformer  # type: ignore[import-untyped]

from contract.inference import Answer, ErrorCode, InferenceError, Prediction
from contract.serving import Variable
from serving.inference import Model, Said, input_fn, model_fn, output_fn, predict_fn
from training.evaluation import evaluate
from training.photo_set import LabelledPhoto, PhotoReader
from vision.calibration import Calibration
from vision.classifier import ArtifactError, LoadedModel, load_artifact
from vision.decoding import decode

# Engine and training compute the same in another order: batch norms folded, photos of other batches beside.
TOLERANCE = 1e-5
JSON = "application/json"


@pytest.fixture(scope="module")
def loaded(artifact: Path) -> LoadedModel:
    return load_artifact(artifact)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(image: Image.Image, kind: str) -> bytes:
    """The photo as a camera stores it that was held upright: lying, with the note to turn it by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), kind, exif=exif, lossless=True)


def answered(photo: bytes, model: Model, content_type: str = "image/jpeg") -> Answer:
    """Return the answer to one photo, or raise why there is none."""
    (answer,) = predict_fn(input_fn(photo, content_type), model).answers
    if isinstance(answer, InferenceError):
        raise answer
    return answer


def as_json(photos: list[bytes], **options: object) -> bytes:
    return json.dumps({"photos": [base64.b64encode(photo).decode() for photo in photos], **options}).encode()


def test_the_prediction_is_the_five_most_probable_labels_in_order(model: Model, jpeg: bytes) -> None:
    predictions = answered(jpeg, model).predictions
    probabilities = [prediction.probability for prediction in predictions]
    assert len(predictions) == 5
    assert probabilities == sorted(probabilities, reverse=True)
    assert {prediction.label for prediction in predictions} <= {
        "Breed ash", "Breed bay", "Breed coal", "Breed dun", "Breed elk", "Breed fawn",
    }  # fmt: skip


def test_fewer_than_five_classes_are_all_predicted(
    make_artifact: Callable[[tuple[str, ...]], Path], jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(Variable.ENGINE, "eager")
    model = model_fn(str(make_artifact(("1.Cat", "2.Dog", "3.Hen"))))
    predictions = answered(jpeg, model).predictions
    assert {prediction.label for prediction in predictions} == {"Cat", "Dog", "Hen"}
    assert sum(prediction.probability for prediction in predictions) == pytest.approx(1)


def test_the_probabilities_are_those_of_the_network_as_training_runs_it(
    model: Model, loaded: LoadedModel, jpeg: bytes
) -> None:
    expected = dict(zip(loaded.classes.labels, loaded.probabilities(decode(jpeg)).tolist(), strict=True))
    for prediction in answered(jpeg, model).predictions:
        assert prediction.probability == pytest.approx(expected[prediction.label], abs=TOLERANCE)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_photo_with_an_exif_turn_is_predicted_as_if_upright(model: Model, picture: Image.Image, kind: str) -> None:
    upright = answered(encoded(picture, kind, lossless=True), model)
    assert answered(turned(picture, kind), model) == upright
    lying = encoded(picture.transpose(Image.Transpose.ROTATE_90), kind, lossless=True)
    assert answered(lying, model) != upright


def test_each_photo_of_several_gets_its_own_answer_and_a_bad_one_spoils_none(
    model: Model, jpeg: bytes, picture: Image.Image
) -> None:
    other = encoded(picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM), "PNG")
    request = input_fn(as_json([jpeg, b"no photo", other, b""] + [jpeg] * 8, top=2), JSON)
    answers = json.loads(output_fn(predict_fn(request, model)))["answers"]
    assert len(answers) == 12
    assert [one["error"]["code"] for one in (answers[1], answers[3])] == ["BadImage", "EmptyBody"]
    for number, photo in ((0, jpeg), (2, other), (11, jpeg)):
        expected = answered(photo, model).predictions[:2]
        assert [one["label"] for one in answers[number]["predictions"]] == [one.label for one in expected]
        for one, wanted in zip(answers[number]["predictions"], expected, strict=True):
            assert one["probability"] == pytest.approx(wanted.probability, abs=TOLERANCE)


def test_an_explanation_is_a_picture_for_the_most_probable_label(model: Model, jpeg: bytes) -> None:
    answers = json.loads(output_fn(predict_fn(input_fn(as_json([b"?", jpeg], explain=True), JSON), model)))["answers"]
    explanation = answers[1]["explanation"]
    assert explanation["label"] == answers[1]["predictions"][0]["label"]
    picture = Image.open(io.BytesIO(base64.b64decode(explanation["data"])))
    assert (picture.format, picture.size, explanation["content_type"]) == ("JPEG", (224, 224), "image/jpeg")
    assert answered(jpeg, model).explanation is None


def test_a_request_of_nothing_but_bad_photos_is_answered(model: Model) -> None:
    answers = json.loads(output_fn(predict_fn(input_fn(as_json([b"one", b"two"]), JSON), model)))["answers"]
    assert [one["error"]["code"] for one in answers] == ["BadImage", "BadImage"]


def test_training_evaluates_real_photos_with_the_probabilities_that_serving_answers(
    model: Model, loaded: LoadedModel, dogs: Path
) -> None:
    paths = sorted(dogs.glob("test/*/*.jpg"))[::9]
    measured = evaluate(loaded, [LabelledPhoto(path, 0) for path in paths], PhotoReader(dogs)).probabilities  # (N, 6)
    assert len(measured) == len(paths) >= 8
    labels = loaded.classes.labels
    for path, expected in zip(paths, measured.tolist(), strict=True):
        found = {one.label: one.probability for one in answered(path.read_bytes(), model).predictions}
        wanted = dict(zip(labels, expected, strict=True))
        assert found == pytest.approx({label: wanted[label] for label in found}, abs=TOLERANCE)


def test_more_labels_than_there_are_classes_are_refused(model: Model, jpeg: bytes) -> None:
    said = predict_fn(input_fn(as_json([jpeg], top=7), JSON), model)
    with pytest.raises(InferenceError, match="top=7: the model has 6 classes"):
        output_fn(said)


def test_concurrent_requests_get_the_answers_to_their_own_photos(model: Model) -> None:
    shades = [Image.new("RGB", (40 + number, 50), (9 * number, 255 - 9 * number, 60)) for number in range(24)]
    photos = [encoded(shade, "PNG") for shade in shades]
    alone = [answered(photo, model).body() for photo in photos]
    assert len({json.dumps(answer) for answer in alone}) == len(photos)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: answered(photo, model).body(), photos * 2))
    assert together == alone * 2


def test_the_response_is_json_with_the_contracts_shape() -> None:
    said = Said((Answer([Prediction("Boxer", 0.9700001), Prediction("Pug", 0.03)]),))
    assert json.loads(output_fn(said, JSON)) == {
        "predictions": [{"label": "Boxer", "probability": 0.97}, {"label": "Pug", "probability": 0.03}]
    }


def calibrated(model: Model, calibration: Calibration) -> Model:
    return dataclasses.replace(model, card=dataclasses.replace(model.card, calibration=calibration))


def test_a_model_that_was_not_asked_to_says_nothing_of_being_sure(model: Model, jpeg: bytes) -> None:
    assert answered(jpeg, model).confident is None


def test_an_answer_is_sure_from_the_models_own_threshold_on(model: Model, jpeg: bytes) -> None:
    best = answered(jpeg, model).predictions[0].probability
    for threshold, sure in ((best - 1e-4, True), (best + 1e-4, False)):
        said = predict_fn(input_fn(jpeg, "image/jpeg"), calibrated(model, Calibration(1.0, threshold)))
        assert json.loads(output_fn(said))["confident"] is sure


def test_the_temperature_changes_how_sure_an_answer_is_and_not_what_it_is(model: Model, jpeg: bytes) -> None:
    plain, cooled = (answered(jpeg, calibrated(model, Calibration(t))).predictions for t in (1.0, 0.1))
    assert [one.label for one in plain] == [one.label for one in cooled]
    assert cooled[0].probability > plain[0].probability


class Toolkit:
    """AWS's Transformer, as their model servers call it: one request after the other, with a context."""

    def __init__(self, model_dir: Path) -> None:
        self._transformer = Transformer()
        self.system_properties = {"model_dir": str(model_dir)}
        self.request_processor = [self]
        self._headers: dict[str, str] = {}
        self.status = 200
        self.content_type = ""

    def get_request_properties(self) -> dict[str, str]:
        return self._headers

    def set_response_status(self, code: int = 200, phrase: str = "") -> None:
        self.status = code

    def set_response_content_type(self, _request: int, value: str) -> None:
        self.content_type = value

    def send(self, body: bytes, **headers: str) -> dict[str, Any]:
        self._headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.status = 200
        (response,) = self._transformer.transform([{"body": bytearray(body)}], self)
        assert self.content_type == JSON, response
        result: dict[str, Any] = json.loads(response)
        return result


@pytest.fixture(scope="module")
def toolkit(artifact: Path) -> Iterator[Toolkit]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAGEMAKER_PROGRAM", "serving.inference")
        patch.setenv(Variable.ENGINE, "eager")
        yield Toolkit(artifact)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_awss_toolkit_answers_a_photo(toolkit: Toolkit, model: Model, picture: Image.Image, kind: str) -> None:
    photo = encoded(picture, kind)
    said = toolkit.send(photo, Content_Type=f"image/{kind.lower()}", Accept="*/*")
    assert toolkit.status == 200
    assert said == answered(photo, model).body()


@pytest.mark.parametrize("body", [b"no photo", None])
def test_awss_toolkit_says_that_it_answers_json_whatever_is_asked_for(
    toolkit: Toolkit, jpeg: bytes, body: bytes | None
) -> None:
    toolkit.send(body or jpeg, Content_Type="image/jpeg", Accept="text/csv")
    assert toolkit.content_type == JSON


def test_awss_toolkit_answers_several_photos(toolkit: Toolkit, model: Model, jpeg: bytes) -> None:
    said = toolkit.send(as_json([jpeg, b"no photo"], top=1), Content_Type=JSON)
    assert toolkit.status == 200
    assert said["answers"][0]["predictions"][0]["label"] == answered(jpeg, model).predictions[0].label
    assert said["answers"][1]["error"]["code"] == "BadImage"


def test_awss_toolkit_hands_over_the_custom_attributes(toolkit: Toolkit, jpeg: bytes) -> None:
    headers = {"Content_Type": "image/jpeg", "x_amzn_sagemaker_custom_attributes": "top=2"}
    assert len(toolkit.send(jpeg, **headers)["predictions"]) == 2


@pytest.mark.parametrize(
    ("body", "content_type", "attributes", "status", "code"),
    [
        (b"no photo", "image/jpeg", "", 400, "BadImage"),
        (b"", "image/jpeg", "", 400, "EmptyBody"),
        (b"photo", "text/plain", "", 415, "UnsupportedMediaType"),
        (b"{}", JSON, "", 400, "BadRequest"),
        (b"photo", "image/jpeg", "top=7", 400, "BadRequest"),
        (b"photo", "image/jpeg", "colour=red", 400, "BadRequest"),
    ],
)
def test_awss_toolkit_answers_what_is_wrong_with_its_status(
    toolkit: Toolkit, body: bytes, content_type: str, attributes: str, status: int, code: str
) -> None:
    said = toolkit.send(body, Content_Type=content_type, X_Amzn_SageMaker_Custom_Attributes=attributes)
    assert (toolkit.status, said["error"]["code"]) == (status, code)
    assert said["error"]["message"]
    assert said["error"]["request_id"]


def test_an_incomplete_artifact_is_named(artifact: Path, tmp_path: Path) -> None:
    for path in artifact.iterdir():
        if path.is_file() and path.name != "weights.pt":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ArtifactError, match=r"weights\.pt is missing"):
        model_fn(str(tmp_path))


def test_every_refusal_has_a_code_of_the_contract() -> None:
    with pytest.raises(InferenceError) as refused:
        input_fn(b"", "image/jpeg")
    assert refused.value.code is ErrorCode.EMPTY_BODY
