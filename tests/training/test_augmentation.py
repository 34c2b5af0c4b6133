"""Augmentation: seeded, another for each sample, the same however many processes share a batch."""

import numpy as np
import torch

from aloha_stack.training.augmentation import Augmentation, colour_matrix, erased
from aloha_stack.training.averaging import Average
from aloha_stack.training.dataset import Sample
from aloha_stack.training.draws import Draws
from aloha_stack.training.recipes import AugmentationRecipe
from aloha_stack.training.statistics import Statistics


def spread(size: float) -> Statistics:
    """A standard deviation of `size`, a range twice as large."""
    ones = np.ones(14, np.float32)
    return Statistics(
        tuple(map(str, range(14))), 0 * ones, size * ones, -size * ones, size * ones, 9
    )


STD = spread(1.0)
ALL = AugmentationRecipe(
    shift_px=3, brightness=0.2, contrast=0.2, saturation=0.2, noise=3.0, state_noise=0.1
)


def batch(samples: int = 4, length: int | None = None) -> Sample:
    """The same smooth picture for all, so that differences are the augmentation's."""
    slope = np.linspace(40, 200, 24 * 32 * 3).reshape(24, 32, 3).astype(np.uint8)
    shape = (samples, 2, 24, 32, 3) if length is None else (samples, length, 2, 24, 32, 3)
    images = torch.from_numpy(np.broadcast_to(slope, shape).copy())
    return {"images": images, "state": torch.zeros(samples, 14)}


def test_each_sample_and_camera_gets_its_own_and_a_seed_gives_the_same_again() -> None:
    one = Augmentation(ALL, STD)(batch(), Draws(0, 7))
    again = Augmentation(ALL, STD)(batch(), Draws(0, 7))
    assert torch.equal(one["images"], again["images"])
    assert torch.equal(one["state"], again["state"])
    pictures = one["images"].flatten(0, 1).numpy()
    assert len({picture.tobytes() for picture in pictures}) == 8
    for other in (Draws(0, 8), Draws(1, 7)):
        assert not torch.equal(one["images"], Augmentation(ALL, STD)(batch(), other)["images"])


def test_processes_that_share_a_batch_change_it_as_one_would() -> None:
    whole = Augmentation(ALL, STD)(batch(4), Draws(3, 5))
    for rank in range(2):
        part = Augmentation(ALL, STD)(batch(2), Draws(3, 5, rank, 2))
        for name in ("images", "state"):
            assert torch.equal(part[name], whole[name][rank::2])


def test_pictures_of_a_sequence_move_together() -> None:
    recipe = AugmentationRecipe(shift_px=3, brightness=0.2)
    images = Augmentation(recipe, STD)(batch(2, length=3), Draws(0, 0))["images"]
    for step in (1, 2):
        assert torch.equal(images[:, 0], images[:, step])
    assert not torch.equal(images[0], images[1])


def test_a_shift_is_no_larger_than_asked_and_repeats_the_border() -> None:
    recipe = AugmentationRecipe(shift_px=3)
    original = batch(1)["images"][0, 0].numpy()
    padded = np.pad(original, ((3, 3), (3, 3), (0, 0)), mode="edge")
    seen = set()
    for step in range(40):
        shifted = Augmentation(recipe, STD)(batch(1), Draws(0, step))["images"][0, 0].numpy()
        places = [
            (y, x)
            for y in range(7)
            for x in range(7)
            if np.array_equal(padded[y : y + 24, x : x + 32], shifted)
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 20


def test_colours_change_about_grey_and_light_is_a_factor() -> None:
    grey, red = np.array([127.5, 127.5, 127.5, 1.0]), np.array([200.0, 50.0, 50.0, 1.0])
    light = colour_matrix(AugmentationRecipe(brightness=0.2), np.array([1.0, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(light @ red, 1.2 * red[:3])
    contrast = colour_matrix(AugmentationRecipe(contrast=0.2), np.array([0.0, -1.0, 0.0, 0.0]))
    np.testing.assert_allclose(contrast @ grey, grey[:3])
    np.testing.assert_allclose(contrast @ red, 127.5 + 0.8 * (red[:3] - 127.5))
    pale = colour_matrix(AugmentationRecipe(saturation=0.5), np.array([0.0, 0.0, -1.0, 0.0]))
    np.testing.assert_allclose(pale @ grey, grey[:3])
    np.testing.assert_allclose(np.ptp(pale @ red), np.ptp(red[:3]) / 2)


def test_a_turned_hue_keeps_grey_and_a_third_of_a_turn_exchanges_the_colours() -> None:
    third = colour_matrix(AugmentationRecipe(hue=1 / 3), np.array([0.0, 0.0, 0.0, 1.0]))
    np.testing.assert_allclose(third @ [100.0, 100.0, 100.0, 1.0], [100.0] * 3)
    np.testing.assert_allclose(third @ [200.0, 50.0, 20.0, 1.0], [20.0, 200.0, 50.0])


def test_mirrored_pictures_are_the_same_from_the_other_side() -> None:
    original = batch(1)["images"][0, 0].numpy()
    seen = set()
    for step in range(20):
        changed = Augmentation(AugmentationRecipe(flip=0.5), STD)(batch(1), Draws(0, step))
        picture = changed["images"][0, 0].numpy()
        kinds = [original[::down, ::across] for down in (1, -1) for across in (1, -1)]
        places = [n for n, kind in enumerate(kinds) if np.array_equal(kind, picture)]
        assert len(places) == 1
        seen.add(places[0])
    assert seen == {0, 1, 2, 3}


def test_a_part_of_a_sequence_is_erased_in_all_its_pictures_as_often_as_asked() -> None:
    hidden = 0
    for step in range(40):
        images = Augmentation(AugmentationRecipe(erase=0.5), STD)(batch(1, 3), Draws(0, step))
        black = (images["images"][0, :, 0] == 0).all(dim=-1)
        assert torch.equal(black[0], black[2])
        hidden += bool(black.any())
        assert 0 <= black[0].float().mean() < 0.4
    assert 10 < hidden < 30


def test_what_is_erased_lies_in_the_picture() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows, columns = erased(rng.uniform(-1, 1, 4), (24, 32))
        assert 0 <= rows.start < rows.stop <= 24
        assert 0 <= columns.start < columns.stop <= 32


def test_noise_is_another_in_each_picture_of_a_sequence() -> None:
    images = Augmentation(AugmentationRecipe(noise=5.0), STD)(batch(1, 4), Draws(0, 0))["images"]
    noise = images[0, :, 0].flatten(1).double() - batch(1)["images"][0, 0].flatten().double()
    together = torch.corrcoef(noise)
    assert (together - torch.eye(4)).abs().max() < 0.1


def test_clean_pictures_are_moved_but_not_disturbed() -> None:
    recipe = AugmentationRecipe(shift_px=3, brightness=0.3, noise=5.0, range_noise=0.1)
    changed = Augmentation(recipe, STD, kept_clean=("images", "state"))(batch(2), Draws(0, 3))
    moved = Augmentation(AugmentationRecipe(shift_px=3), STD)(batch(2), Draws(0, 3))
    assert torch.equal(changed["clean_images"], moved["images"])
    assert not torch.equal(changed["images"], moved["images"])
    assert torch.equal(changed["clean_state"], torch.zeros(2, 14))
    assert changed["state"].abs().min() > 0


def test_noise_in_units_of_the_range() -> None:
    flat: Sample = {"images": torch.zeros(1, 1, 2, 2, 3, dtype=torch.uint8)}
    flat["state"] = torch.zeros(500, 14)
    Augmentation(AugmentationRecipe(range_noise=0.1), spread(3.0))(flat, Draws(0, 0))
    assert 0.55 < flat["state"].std() < 0.65


def test_bright_pictures_do_not_wrap_around() -> None:
    bright: Sample = {"images": torch.full((1, 1, 8, 8, 3), 250, dtype=torch.uint8)}
    bright["state"] = torch.zeros(1, 14)
    recipe = AugmentationRecipe(brightness=0.5, noise=20.0)
    for step in range(10):
        images = {name: value.clone() for name, value in bright.items()}
        assert Augmentation(recipe, STD)(images, Draws(0, step))["images"].min() > 50


def test_noise_has_the_spread_that_was_asked_for() -> None:
    flat: Sample = {"images": torch.full((1, 1, 60, 80, 3), 128, dtype=torch.uint8)}
    flat["state"] = torch.zeros(1, 14)
    changed = Augmentation(AugmentationRecipe(noise=5.0, state_noise=0.1), spread(2.0))
    images = changed(flat, Draws(0, 0))["images"].double()
    assert 4.5 < images.std() < 5.5
    assert 0.1 < flat["state"].std() < 0.4


def test_nothing_asked_is_nothing_changed() -> None:
    same = Augmentation(AugmentationRecipe(), STD)(batch(), Draws(0, 0))
    assert torch.equal(same["images"], batch()["images"])


def test_an_average_follows_weights_at_its_pace() -> None:
    weights = {"w": torch.zeros(3)}
    average = Average(weights, decay=0.9)
    weights["w"] += 1.0
    average.update(1)  # (1 + 1) / (10 + 1): the start counts little
    torch.testing.assert_close(average.weights["w"], torch.full((3,), 1 - 2 / 11))
    before = average.weights["w"].clone()
    average.update(10_000)
    torch.testing.assert_close(average.weights["w"], before + 0.1 * (1 - before))
    assert Average(weights, decay=0.0).weights["w"].data_ptr() == weights["w"].data_ptr()
