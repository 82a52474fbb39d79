"""What a training job prints: metric lines for SageMaker, and how far it is for people."""

from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS
from training.history import Epoch


def say(text: str) -> None:
    """Print a line for the job's log at once."""
    print(text, flush=True)


class Progress:
    """Reports each epoch of a training whose number of epochs is known."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def epoch(self, row: Epoch) -> None:
        """Print the metrics of one epoch and, from the time that it took, how long the rest will take."""
        values = (
            (TRAIN_LOSS, row.train_loss),
            (TRAIN_ACCURACY, row.train_accuracy),
            (VALID_LOSS, row.valid_loss),
            (VALID_ACCURACY, row.valid_accuracy),
        )
        for metric, value in values:
            say(metric.line(value, row.epoch))
        left = (self._epochs - row.epoch) * row.seconds
        say(
            f"epoch {row.epoch} of {self._epochs} ({row.phase}), {left:.0f} s left: "
            f"loss {row.train_loss:.3f}, validation loss {row.valid_loss:.3f}, "
            f"validation accuracy {row.valid_accuracy:.1%}"
        )
