"""What a user asks for when a found network is to be trained finally, and what that means for a given search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rcas.errors import InvalidSpec
from rcas.evaluation import Count, DatasetName, DataSource, Description, Model, Seed, Training
from rcas.final import MOST_SEEDS, Final, FinalDraw, FinalProtocol, final_training
from rcas.search import Search
from rcas.space import Network, Space
from rcas.spec import SearchSpec

Skeleton = Literal["cifar", "imagenet", "custom"]


class RetrainingData(Model):
    """The data set of a final training, if it is not the search's."""

    dataset: DatasetName = Field(description="Which data set; its own test set measures.")
    path: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Folder that holds the data set, or s3://bucket/prefix."
    )
    download: bool = Field(default=False, description="Let torchvision download the data set if it is missing.")
    train_per_class: Count | None = Field(default=None, description="Train on at most this many images per class.")
    draw_seed: Seed = Field(default=0, description="Seed of that choice.")


class Retraining(Model):
    """Train a found network from scratch, with several seeds, and measure it once on the test set."""

    network: Annotated[str, Field(max_length=2048)] = Field(
        default="best", description="best or highest of the result, or block types by stage such as 5,1 / 5."
    )
    onto: Literal["cifar", "imagenet"] | None = Field(
        default=None, description="Put its stages onto this skeleton of the paper; needs data."
    )
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(default=3, description="How many trainings.")
    training: Training | None = Field(
        default=None, description="Fields to take instead of the paper's schedule for the skeleton."
    )
    data: RetrainingData | None = Field(default=None, description="Default: the data set of the search.")

    def draw(self, spec: SearchSpec) -> FinalDraw:
        """Which images train and which measure."""
        data = self.data
        return FinalDraw(
            dataset=data.dataset if data else spec.data.dataset,
            held_out="test",
            train_per_class=data.train_per_class if data else None,
            draw_seed=data.draw_seed if data else 0,
        )

    def source(self, spec: SearchSpec) -> DataSource:
        """Where the data lie."""
        return DataSource(path=self.data.path, download=self.data.download) if self.data else spec.data.source()

    def final(
        self,
        spec: SearchSpec,
        search: Search,
        found: Description,
        *,
        device: Literal["auto", "cpu", "cuda"],
        threads: int,
        target: SearchSpec | None = None,
    ) -> Final:
        """What to train, on a machine where a trainer found `found`.

        Args:
            spec: of the search.
            search: as far as it is.
            found: about the data of `draw` and `source`.
            device: where to train; auto takes a GPU if there is one.
            threads: of one training.
            target: a spec whose skeleton the stages are put onto; instead of `onto`.

        Raises:
            InvalidSpec: the search is not done and no network is named, the network does not lie in the skeleton, the
                data set has other classes, or there is no GPU where one is asked for.
        """
        of, network = self.chosen(search)
        space = self._space(search.problem.space, found, target)
        if found.test_sha256 is None:
            raise InvalidSpec("data", got="a data set without test images", allowed="one with a test set")
        if found.num_classes != space.num_classes:
            allowed = f"{space.num_classes} classes, as the skeleton has"
            raise InvalidSpec("data", got=f"{found.num_classes} classes", allowed=allowed)
        if device == "cuda" and not found.gpus:
            raise InvalidSpec("device", got="cuda", allowed="cpu or auto: torch finds no GPU")
        base = target or spec
        skeleton: Skeleton = self.onto or base.space.skeleton
        protocol = FinalProtocol(
            draw=self.draw(target or spec),
            training=self.schedule(skeleton, base.training),
            data_sha256=found.data_sha256,
            test_sha256=found.test_sha256,
            device="cuda" if found.gpus and device != "cpu" else "cpu",
            threads=threads,
            versions=found.versions,
        )
        return Final(
            of=of,
            onto=target.name if target else self.onto,
            space=space,
            network=str(space.network(str(network))),
            protocol=protocol,
            source=self.source(target or spec),
            seeds=self.seeds,
        )

    def schedule(self, skeleton: Skeleton, base: Training) -> Training:
        """The paper's schedule with the fields that are given in their places. `base`: the search's training."""
        given = self.training.model_dump(exclude_unset=True) if self.training else {}
        return final_training(skeleton, base, given)

    def chosen(self, search: Search) -> tuple[Literal["best", "highest", "given"], Network]:
        """The network that is meant.

        Raises:
            InvalidSpec: the search is not done and no network is named, or it does not lie in the space.
        """
        if self.network not in {"best", "highest"}:
            return "given", search.problem.space.network(self.network)
        result = search.result
        found = result.best if self.network == "best" else result.highest
        if not search.done or found is None:
            raise InvalidSpec("search", got="one that is not done", allowed="one that is done, or a network by name")
        return ("best" if self.network == "best" else "highest"), found.network

    def _space(self, own: Space, found: Description, target: SearchSpec | None) -> Space:
        if target:
            return target.space.build()
        if self.onto:
            paper = Space.cifar if self.onto == "cifar" else Space.imagenet
            return paper(found.num_classes)
        return own
