import pytest

from contract.inference import STATUS, Answer, ErrorCode, InferenceError, Prediction


def test_every_error_code_has_its_status() -> None:
    assert STATUS.keys() == set(ErrorCode)


def test_an_error_body_names_code_message_and_request() -> None:
    error = InferenceError(ErrorCode.TOO_LARGE, "11 MB; at most 4.4 MB")
    assert error.status == 413
    assert error.body("r-1") == {
        "error": {"code": "PhotoTooLarge", "message": "11 MB; at most 4.4 MB", "request_id": "r-1"}
    }


def test_predictions_are_labels_with_probabilities() -> None:
    body = Answer([Prediction("Pug", 0.9876543)]).body()
    assert body == {"predictions": [{"label": "Pug", "probability": 0.987654}]}


@pytest.mark.parametrize("confident", [True, False])
def test_an_answer_says_whether_it_is_sure_where_the_model_does(confident: bool) -> None:
    assert Answer([Prediction("Pug", 0.5)], confident).body()["confident"] is confident


@pytest.mark.parametrize("confident", [True, False, None])
def test_an_answer_is_read_as_it_was_sent(confident: bool | None) -> None:
    answer = Answer([Prediction("Pug", 0.75), Prediction("Boxer", 0.25)], confident)
    assert Answer.read(answer.body()) == answer
