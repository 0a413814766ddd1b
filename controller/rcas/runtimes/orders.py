"""What a trainer is told for a task: where its result, its checkpoint and its weights go."""

from __future__ import annotations

from collections.abc import Callable

from rcas.evaluation import Task
from rcas.final import FinalTask
from rcas.location import S3Location
from rcas.messages import Assignment, FinalAssignment
from rcas.state import checkpoint_name, final_checkpoint_name, final_name, result_name, weights_name
from rcas.stores.file import FileStore

Place = Callable[[str], str]
"""Path or URL of an object by its name."""


def place_in(store: FileStore | S3Location) -> Place:
    """Where a trainer finds the objects of a store."""
    if isinstance(store, S3Location):
        return store.url
    return lambda name: str(store.path(name))


def assignment_of(task: Task | FinalTask, place: Place) -> Assignment | FinalAssignment:
    """The order to carry out `task`."""
    if isinstance(task, FinalTask):
        return FinalAssignment(
            task=task,
            weights=place(weights_name(task.key)),
            result=place(final_name(task.key)),
            checkpoint=place(final_checkpoint_name(task.key)),
        )
    return Assignment(task=task, result=place(result_name(task.key)), checkpoint=place(checkpoint_name(task.key)))
