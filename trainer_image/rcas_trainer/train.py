"""The training of one network (paper, section 4.1), exact to the bit over any number of interruptions.

All randomness is counted, not stored: weights, order and augmentation derive from (seed, replicate, purpose,
epoch, batch). So a checkpoint of weights, momentum and counters is the whole state.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rcas.errors import InvalidSpec
from rcas.evaluation import Protocol, Task, Training
from rcas.final import FinalProtocol, FinalTask
from rcas.messages import WORKER_VARIABLE
from rcas_trainer.augment import Augmentation
from rcas_trainer.checkpoint import Checkpoint, State
from rcas_trainer.data import Batch, Data
from rcas_trainer.errors import Interrupted
from rcas_trainer.model import build
from rcas_trainer.patience import LAST_WORDS_S
from rcas_trainer.seeds import derived_seed, generator
from rcas_trainer.sgd import Descent

_LARGEST_COUNT = 10**9
_CHEAP_SHARE = 20
"""Validate after every epoch only if there are at least this many training images for a validation image."""


@dataclass
class Progress:
    """How far a training is; all of it goes into the checkpoint.

    Attributes:
        epoch, batch: the next to train, from 0.
        loss_sum: over the images of the current epoch so far.
        train_loss: mean over the last whole epoch.
        diverged: train_loss is not finite.
        resumed: how often the training went on from a checkpoint.
        restarted: how often it began anew because its checkpoint could not be used.
        seconds: by activity, over all attempts.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    train_loss: float = math.nan
    diverged: bool = False
    resumed: int = 0
    restarted: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"data": 0.0, "training": 0.0, "validation": 0.0})

    @classmethod
    def of(cls, fields: dict[str, Any], epochs: int) -> Progress:
        """The progress that a checkpoint tells, of a training of so many epochs.

        Raises:
            ValueError, TypeError: no such training can have come so far.
        """
        progress = cls(**fields)
        counts = (progress.epoch, progress.batch, progress.resumed, progress.restarted)
        whole = all(type(count) is int and 0 <= count < _LARGEST_COUNT for count in counts)
        timed = progress.seconds.keys() == cls().seconds.keys()
        if not (whole and timed and progress.epoch <= epochs and type(progress.diverged) is bool):
            raise ValueError("its counters are those of no training")
        if not all(math.isfinite(seconds) and seconds >= 0 for seconds in progress.seconds.values()):
            raise ValueError("its seconds are those of no training")
        return progress

    @contextmanager
    def timed(self, activity: str) -> Generator[None]:
        """Add the seconds of the body to those of the activity."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[activity] += time.perf_counter() - start


@dataclass(frozen=True)
class Score:
    """What validation found: images right at the first guess, among five guesses, of how many; mean loss."""

    correct: int
    correct_top5: int
    total: int
    loss: float


class Session:
    """One network in training.

    Args:
        task: what to train.
        data: its images.
        device: where.
    """

    def __init__(self, task: Task | FinalTask, data: Data, device: torch.device) -> None:
        self.task, self.data, self.device = task, data, device
        self.recipe: Training = task.protocol.training
        self.progress = Progress()
        self.module = _fresh_module(task).to(device, memory_format=torch.channels_last)  # pyright: ignore
        self.descent = Descent(self.module.parameters(), self.recipe)
        mean = data.mean() if self.recipe.mean_subtraction else torch.zeros(task.space.input[0])
        self.mean = mean.to(device)[:, None, None]

    @property
    def ended(self) -> bool:
        """Whether it is trained to its end."""
        return self.progress.diverged or self.progress.epoch >= self.recipe.epochs

    def state(self) -> State:
        """Everything that `restore` needs."""
        return {
            "module": self.module.state_dict(),
            "velocities": self.descent.velocities,
            "progress": asdict(self.progress),
        }

    @property
    def most_bytes(self) -> int:
        """More than a checkpoint of this training can have."""
        tensors = [*self.module.state_dict().values(), *self.descent.velocities]
        return (1 << 20) + 2 * sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    def restore(self, state: State) -> None:
        """Go on from there. After an error, whatever its type, the session is not to be used any more."""
        self.module.load_state_dict(state["module"])
        self.descent.restore(state["velocities"])
        self.progress = Progress.of(state["progress"], self.recipe.epochs)
        self.progress.resumed += 1

    def logits(self, images: Tensor) -> Tensor:
        """float32 (count, num_classes) of images (count, channels, height, width) from 0 to 1."""
        centred = (images - self.mean).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return self.module(centred).float()

    def step(self, batch: Batch) -> Tensor:
        """One step of gradient descent; returns the batch's summed loss, still on the device."""
        loss = F.cross_entropy(self.logits(batch.images), batch.labels)
        loss.backward()
        self.descent.step()
        return loss.detach().double() * len(batch.labels)

    @torch.no_grad()
    def score(self) -> Score:
        """Measure the network on the validation images."""
        self.module.eval()
        correct, correct_top5, loss = (torch.zeros((), dtype=torch.float64, device=self.device) for _ in range(3))
        for images, labels in self.data.validation(self.recipe.batch_size, self.device):
            logits = self.logits(images)
            hits = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]  # (count, 5)
            correct += hits[:, 0].sum()
            correct_top5 += hits.sum()
            loss += F.cross_entropy(logits, labels, reduction="sum").double()
        total = self.data.validation_count
        return Score(int(correct), int(correct_top5), total, float(loss) / total)


def learning_rate(recipe: Training, epoch: int) -> float:
    """Of an epoch counted from 0: lr x gamma for each milestone that lies behind."""
    return recipe.lr * recipe.gamma ** sum(epoch >= milestone for milestone in recipe.milestones)


def epoch_batches(recipe: Training, replicate: int, count: int, epoch: int) -> list[tuple[int, Tensor]]:
    """The order of an epoch: numbered batches of indices into `count` training images; every image is in one.

    A last batch of one image is put into the batch before it: batch norm cannot normalise a single value.
    """
    order = torch.randperm(count, generator=generator(recipe.seed, replicate, "order", epoch))
    parts = list(order.split(recipe.batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return list(enumerate(parts))


def train(
    session: Session,
    checkpoint: Checkpoint,
    stop: Callable[[], bool],
    report: Callable[[int, Score | None], None],
) -> Score:
    """Train to the end and measure the network.

    Args:
        session: fresh, or restored from the checkpoint.
        checkpoint: written after every epoch and when stopped.
        stop: asked before every batch.
        report: called after every epoch with the epochs done, and the score if validation is cheap.

    Returns:
        The score of the final network.

    Raises:
        Interrupted: see `train_epochs`.
    """
    cheap = session.data.validation_count * _CHEAP_SHARE <= session.data.train_count
    score: Score | None = None

    def measure(epoch: int) -> None:
        nonlocal score
        score = timed_score(session) if cheap or session.ended else None
        report(epoch, score)

    train_epochs(session, checkpoint, stop, measure)
    return score or timed_score(session)


def train_epochs(
    session: Session, checkpoint: Checkpoint, stop: Callable[[], bool], after_epoch: Callable[[int], None]
) -> None:
    """Train to the last epoch, or until the loss is no longer finite. Nothing is measured.

    Args:
        session: fresh, or restored from the checkpoint.
        checkpoint: written after every epoch and when stopped.
        stop: asked before every batch.
        after_epoch: called after every epoch with the epochs done.

    Raises:
        Interrupted: stop() said so; the checkpoint has the state of this moment, unless its store does not answer.
    """
    progress = session.progress
    while not session.ended:
        with progress.timed("training"):
            finished = _train_epoch(session, stop)
        if not finished:
            kept = checkpoint.save(session.state(), LAST_WORDS_S)
            words = f"stopped in epoch {progress.epoch + 1}; {'a' if kept else 'no'} checkpoint is written"
            raise Interrupted(words, kept=kept)
        checkpoint.save(session.state(), stop=stop)
        after_epoch(progress.epoch)


def _train_epoch(session: Session, stop: Callable[[], bool]) -> bool:
    """Train what is left of the epoch; False if stopped on the way."""
    progress, recipe, data = session.progress, session.recipe, session.data
    session.descent.lr = learning_rate(recipe, progress.epoch)
    session.module.train()
    batches = epoch_batches(recipe, session.task.replicate, data.train_count, progress.epoch)
    augmentation = Augmentation.of(recipe, session.task.replicate)
    # Summed on the device: asking for the value would make a GPU wait at every step.
    loss_sum = torch.tensor(progress.loss_sum, dtype=torch.float64, device=session.device)
    for batch in data.training(batches[progress.batch :], progress.epoch, augmentation, session.device):
        if stop():
            progress.loss_sum = loss_sum.item()
            return False
        loss_sum += session.step(batch)
        progress.batch += 1
    progress.train_loss = loss_sum.item() / data.train_count
    progress.diverged = not math.isfinite(progress.train_loss)
    progress.epoch, progress.batch, progress.loss_sum = progress.epoch + 1, 0, 0.0
    return True


def timed_score(session: Session) -> Score:
    """Measure the network; the time counts as validation."""
    with session.progress.timed("validation"):
        return session.score()


def prepare_device(protocol: Protocol | FinalProtocol) -> torch.device:
    """Set torch up so that equal tasks give equal results.

    Raises:
        InvalidSpec: the protocol asks for CUDA and there is none.
    """
    if protocol.device == "cuda" and not torch.cuda.is_available():
        raise InvalidSpec("protocol.device", got="cuda", allowed="cpu, because torch finds no CUDA device here")
    torch.set_num_threads(protocol.threads)
    if protocol.device == "cuda":
        _make_cuda_deterministic()
        # Workers of one machine share its GPUs evenly.
        return torch.device("cuda", int(os.environ.get(WORKER_VARIABLE, "0")) % torch.cuda.device_count())
    return torch.device(protocol.device)


def _make_cuda_deterministic() -> None:
    # Not on a CPU, where the kernels in use are deterministic anyway: the call imports torch's compiler.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # It would fill every new tensor with NaN to show reads of memory that nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore
    torch.backends.cudnn.benchmark = False
    # float32 means float32: TF32 has 10 bits of mantissa and not every card has it.
    torch.backends.cudnn.allow_tf32 = False


def _fresh_module(task: Task | FinalTask) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(task.protocol.training.seed, task.replicate, "weights"))
        return build(task.space, task.space.network(task.network), task.protocol.training.activation)
