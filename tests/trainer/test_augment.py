import torch
import torch.nn.functional as F

from rcas_trainer.augment import Augmentation, crop_and_flip
from rcas_trainer.seeds import generator


def augmented(images: torch.Tensor, *, pad: int, flip: bool, seed: int = 0) -> torch.Tensor:
    return crop_and_flip(images, Augmentation(pad, flip, (seed, 0)), generator(seed))


def copies(count: int) -> torch.Tensor:
    image = torch.arange(1, 2 * 4 * 5 + 1, dtype=torch.uint8).reshape(1, 2, 4, 5)
    return image.expand(count, 2, 4, 5)


def windows(pad: int) -> list[torch.Tensor]:
    padded = F.pad(copies(1)[0], [pad] * 4)
    return [padded[:, top : top + 4, left : left + 5] for top in range(2 * pad + 1) for left in range(2 * pad + 1)]


def test_every_crop_is_a_window_of_the_padded_image_and_every_window_comes() -> None:
    expected, seen = windows(2), [0] * 25
    for image in augmented(copies(1000), pad=2, flip=False):
        seen[next(i for i, window in enumerate(expected) if torch.equal(image, window))] += 1
    assert min(seen) > 10


def test_half_of_the_images_are_mirrored_whole() -> None:
    plain = copies(1)[0]
    found = augmented(copies(1000), pad=0, flip=True)
    kept = sum(torch.equal(image, plain) for image in found)
    mirrored = sum(torch.equal(image, plain.flip(2)) for image in found)
    assert kept + mirrored == 1000
    assert 400 < mirrored < 600


def test_a_mirrored_crop_mirrors_its_own_window() -> None:
    expected = windows(1)
    allowed = expected + [window.flip(2) for window in expected]
    for image in augmented(copies(200), pad=1, flip=True):
        assert any(torch.equal(image, window) for window in allowed)


def test_nothing_asked_changes_nothing_and_a_seed_repeats() -> None:
    images = torch.randint(256, (50, 3, 6, 6), dtype=torch.uint8)
    assert torch.equal(augmented(images, pad=0, flip=False), images)
    assert torch.equal(augmented(images, pad=2, flip=True, seed=3), augmented(images, pad=2, flip=True, seed=3))
    assert not torch.equal(augmented(images, pad=2, flip=True, seed=3), augmented(images, pad=2, flip=True, seed=4))


def test_batches_epochs_and_replicates_have_draws_of_their_own() -> None:
    seeds = {
        Augmentation(4, True, (seed, replicate)).batch_generator(epoch, batch).initial_seed()
        for seed in range(3)
        for replicate in range(3)
        for epoch in range(3)
        for batch in range(3)
    }
    assert len(seeds) == 81
