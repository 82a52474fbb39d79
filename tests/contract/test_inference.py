from contract.inference import STATUS, ErrorCode, InferenceError, Prediction, predictions_body


def test_every_error_code_has_its_status() -> None:
    assert STATUS.keys() == set(ErrorCode)


def test_an_error_body_names_code_message_and_request() -> None:
    error = InferenceError(ErrorCode.TOO_LARGE, "11 MB; at most 4.4 MB")
    assert error.status == 413
    assert error.body("r-1") == {
        "error": {"code": "PhotoTooLarge", "message": "11 MB; at most 4.4 MB", "request_id": "r-1"}
    }


def test_predictions_are_labels_with_probabilities() -> None:
    body = predictions_body([Prediction("Pug", 0.9876543)])
    assert body == {"predictions": [{"label": "Pug", "probability": 0.987654}]}
