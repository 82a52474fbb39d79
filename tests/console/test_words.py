from console.words import best_line


def test_the_best_hyperparameters_read_as_a_phrase() -> None:
    values = {"lr": 0.005611516415334507, "batch_size": 16, "epochs": 10}
    assert best_line(values) == "lr 0.00561, batch size 16, 10 epochs"
