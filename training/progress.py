"""What a training job prints: metric lines for SageMaker, and how far it is for people."""

from contract.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VALID_ACCURACY, VALID_LOSS
from training.history import Epoch, Phase
from training.pulse import PULSE


def say(text: str) -> None:
    """Print a line for the job's log at once, from any thread."""
    print(f"{text}\n", end="", flush=True)  # print writes the end apart: two threads' lines would become one
    PULSE.beat()


class Progress:
    """Reports each epoch of a training whose number of epochs is known.

    Args:
        head_epochs: passes over the cached features, which take next to no time.
        fine_tune_epochs: passes through the backbone, which take all of it.
    """

    def __init__(self, head_epochs: int, fine_tune_epochs: int = 0) -> None:
        self._epochs = head_epochs + fine_tune_epochs
        self._lasting: Phase = "fine-tune" if fine_tune_epochs else "probe"

    def epoch(self, row: Epoch) -> None:
        """Print the metrics of one epoch and, in the phase that lasts, how long the rest will take at its pace."""
        values = (
            (TRAIN_LOSS, row.train_loss),
            (TRAIN_ACCURACY, row.train_accuracy),
            (VALID_LOSS, row.valid_loss),
            (VALID_ACCURACY, row.valid_accuracy),
        )
        for metric, value in values:
            say(metric.line(value, row.epoch))
        left = f", {(self._epochs - row.epoch) * row.seconds:.0f} s left" if row.phase == self._lasting else ""
        say(
            f"epoch {row.epoch} of {self._epochs}{left} ({row.phase}): "
            f"loss {row.train_loss:.3f}, validation loss {row.valid_loss:.3f}, "
            f"validation accuracy {row.valid_accuracy:.1%}"
        )
