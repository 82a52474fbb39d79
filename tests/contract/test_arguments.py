import argparse

import pytest

from contract import recipe, search_space


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--lr", "1000"), "argument --lr: lr=1000: a number from 0.001 to 0.1 expected"),
        (("--batch-size", "7"), "argument --batch-size: batch-size=7: one of 16, 64, 256, 1024 expected"),
        (("--class-balance", "perhaps"), "argument --class-balance: 'perhaps': True or False expected"),
    ],
)
def test_a_refused_option_is_told_what_is_allowed(
    given: tuple[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    search_space.add_arguments(parser)
    recipe.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(given)
    assert said in capsys.readouterr().err
