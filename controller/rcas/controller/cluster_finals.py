"""The final trainings that a completed Search resource asks for: from its wish to Jobs, and back to its status."""

from __future__ import annotations

from fractions import Fraction

from rcas.clock import Clock
from rcas.controller.config import Config
from rcas.controller.deputy import check_pod
from rcas.controller.finals import FinalsLedger, FinalStep, Retrainer
from rcas.errors import CorruptState, InvalidSpec, SearchFailed, one_line
from rcas.evaluation import Description
from rcas.final import FinalResult, spread
from rcas.location import S3Location
from rcas.messages import Inquiry
from rcas.resource import FinalsStatus, Resource, SeedStatus, Status
from rcas.retraining import Retraining
from rcas.runtimes.kubernetes.jobs import describe_job, job_name
from rcas.runtimes.kubernetes.namespace import JobCluster, Namespace
from rcas.runtimes.kubernetes.observing import attempt_of
from rcas.search import Search
from rcas.state import SearchState, final_description_name, read_description_at, read_head
from rcas.stores.base import Store
from rcas.wording import percent, points


class ClusterFinals:
    """Of one search. After an error other than those that `advance` tells of, it is not to be used again."""

    def __init__(
        self, config: Config, namespace: Namespace, store: Store, location: S3Location, clock: Clock, writer: str
    ) -> None:
        self._config, self._namespace, self._store = config, namespace, store
        self._location, self._clock, self._writer = location, clock, writer
        self._retrainer: Retrainer | None = None
        self._generation: int | None = None

    def advance(self, search: Resource, before: Status) -> FinalsStatus:
        """Do what the final trainings need now; returns how they are.

        A wish that cannot be fulfilled is told in the status, and tried again when the resource's spec changes.

        Raises:
            Fenced, Unavailable: see `rcas.errors`.
        """
        try:
            if self._generation != search.generation:
                self._retrainer, self._generation = None, search.generation
            if self._retrainer is None:
                self._retrainer = self._opened(search, before)
            if self._retrainer is None:
                return FinalsStatus(
                    phase="Pending", message="a Job looks at the data", observedGeneration=search.generation
                )
            return _status_of(self._retrainer, self._retrainer.step(), search.generation)
        except (InvalidSpec, SearchFailed, CorruptState) as error:
            known = before.finals or FinalsStatus()
            self._generation = None
            return known.model_copy(
                update={
                    "phase": "Failed",
                    "message": one_line(error, 1000),
                    "running": 0,
                    "observedGeneration": search.generation,
                }
            )

    def _opened(self, search: Resource, before: Status) -> Retrainer | None:
        """The trainings, intended in the store; None while the data are not described yet."""
        wish = search.retraining()
        head = read_head(self._store, search.id)
        if wish is None or head is None:
            raise InvalidSpec("retrain", got="a search without a state", allowed="a search that is complete")
        state = head.state
        # Whoever can write to the store can write a pod into a state.
        check_pod(state.spec.pod, self._config)
        known = Search.from_snapshot(state.search)
        wish.chosen(known)
        found = self._description(search, wish, state, known)
        if found is None:
            return None
        settled = state.protocol
        final = wish.final(state.spec, known, found, device=settled.device, threads=settled.threads)
        cluster = JobCluster(
            self._namespace, search, state.spec.pod, self._location, self._clock, self._config.stall_s
        )
        failed_before = before.finals is not None and before.finals.observedGeneration == search.generation
        return Retrainer(
            FinalsLedger(self._store, search.id, self._writer),
            self._store,
            cluster,
            final,
            slots=self._config.parallelism_of(search.spec().parallelism),
            max_attempts=state.spec.max_attempts,
            retry=not failed_before,
        )

    def _description(
        self, search: Resource, wish: Retraining, state: SearchState, known: Search
    ) -> Description | None:
        """What a trainer found in the data; None while its Job is under way."""
        name = final_description_name(search.id, search.generation)
        found = read_description_at(self._store, name)
        attempt = f"finals-{search.generation}"
        if found:
            self._namespace.delete_job(job_name(search, attempt))
            return found
        jobs = [job for job in self._namespace.jobs_of(search) if _name(job) == job_name(search, attempt)]
        if not jobs:
            inquiry = Inquiry(
                source=wish.source(state.spec),
                draw=wish.draw(state.spec),
                space=None if wish.onto else known.problem.space,
                answer=self._location.url(name),
            )
            self._namespace.create_job(describe_job(search, state.spec.pod, inquiry, attempt))
            return None
        pods = self._namespace.pods_of(jobs[0])
        ended = attempt_of(jobs[0], pods, self._clock.now(), self._config.stall_s, gpus=0)
        if ended.outcome in {"interrupted", "lost"}:
            self._namespace.delete_job(_name(jobs[0]))
        elif ended.outcome == "finished":
            raise SearchFailed("the trainer said that it described the data, but there is no description")
        elif ended.outcome:
            raise SearchFailed(f"the trainer cannot describe the data: {ended.message}")
        return None


def is_due(search: Resource, status: Status) -> bool:
    """Whether a search asks for final trainings that are not settled for its spec as it is now."""
    if status.phase != "Complete" or "retrain" not in search.fields or search.fields["retrain"] is None:
        return False
    known = status.finals
    settled = known is not None and known.phase in {"Complete", "Failed"}
    return not (settled and known is not None and known.observedGeneration == search.generation)


def _status_of(retrainer: Retrainer, step: FinalStep, generation: int) -> FinalsStatus:
    final = retrainer.final
    firsts = {seed: _share(result.correct, result) for seed, result in step.results.items()}
    fives = {seed: _share(result.correct_top5, result) for seed, result in step.results.items()}
    over_seeds = spread(firsts.values()) if firsts else None
    waits = next((attempt.message for attempt in step.running if attempt.message), "")
    return FinalsStatus(
        phase="Complete" if step.done else "Running",
        message=one_line(waits, 1000),
        network=final.network[:2000],
        seeds=final.seeds,
        running=len(step.running),
        top1=percent(over_seeds.mean) if over_seeds else None,
        top5=percent(spread(fives.values()).mean) if fives else None,
        spread=points(over_seeds.deviation).lstrip("+") if over_seeds and over_seeds.deviation is not None else None,
        results=[
            SeedStatus(seed=seed, top1=percent(firsts[seed]), top5=percent(fives[seed]), key=result.key)
            for seed, result in sorted(step.results.items())
        ],
        observedGeneration=generation,
    )


def _share(count: int, result: FinalResult) -> Fraction:
    return Fraction(count, result.total)


def _name(job: dict[str, object]) -> str:
    metadata = job["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
