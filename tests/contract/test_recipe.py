import argparse
from dataclasses import replace

import pytest

from contract.recipe import Recipe, add_arguments, recipe_of

ALL_CHANGED = Recipe(
    "layer3", 1e-3, "sgd", 0, 0.1, 0.2, 1.0, 9, 0.25, 0.999, "bf16", True, 288
)  # one value per field, none of them the default


def parsed(strings: dict[str, str]) -> Recipe:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return recipe_of(parser.parse_args([word for name, value in strings.items() for word in (f"--{name}", value)]))


@pytest.mark.parametrize("recipe", [Recipe(), ALL_CHANGED, Recipe(class_balance=True)])
def test_a_recipe_travels_as_hyperparameters_and_comes_back(recipe: Recipe) -> None:
    assert parsed(recipe.as_strings()) == recipe


def test_only_what_differs_from_the_defaults_travels() -> None:
    assert Recipe().as_strings() == {}
    assert Recipe(mixup=0.2).as_strings() == {"mixup": "0.2"}
    assert len(ALL_CHANGED.as_strings()) == len(ALL_CHANGED.as_dict())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("optimizer", "adam"),
        ("precision", "int8"),
        ("backbone_lr", 0.0),
        ("fine_tune_batch", -1),
        ("label_smoothing", 1.0),
        ("ema", 1.0),
        ("mixup", -0.1),
        ("cutmix", -0.1),
        ("random_erasing", 1.1),
        ("randaugment", 31),
        ("test_resolution", 16),
    ],
)
def test_an_impossible_choice_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name.replace('_', '-')}={value}: .* expected$"):
        replace(Recipe(), **{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_what_changes_pixels_is_told_from_what_does_not() -> None:
    assert Recipe(label_smoothing=0.1, ema=0.9, class_balance=True).pixel_augmentations == ()
    assert ALL_CHANGED.pixel_augmentations == ("mixup", "cutmix", "randaugment", "random_erasing")
