"""What may become of a job: one table ``(state, event) → state``. What is not in it cannot happen."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from cspine.domain import Conflict


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class JobEvent(StrEnum):
    """What happens to a job."""

    CLAIM = "claim"
    SUCCEED = "succeed"
    REFUSE = "refuse"
    TRIP = "trip"
    GIVE_UP = "give up"
    EXPIRE = "expire"
    RELEASE = "release"
    RETRY = "retry"


TRANSITIONS: Mapping[tuple[JobState, JobEvent], JobState] = MappingProxyType(
    {
        (JobState.QUEUED, JobEvent.CLAIM): JobState.RUNNING,
        (JobState.WAITING, JobEvent.CLAIM): JobState.RUNNING,
        (JobState.RUNNING, JobEvent.SUCCEED): JobState.DONE,
        (JobState.RUNNING, JobEvent.REFUSE): JobState.REFUSED,  # the input is at fault: trying again changes nothing
        (JobState.RUNNING, JobEvent.TRIP): JobState.WAITING,  # an error that may pass
        (JobState.RUNNING, JobEvent.GIVE_UP): JobState.FAILED,  # one error too many
        (JobState.RUNNING, JobEvent.EXPIRE): JobState.WAITING,  # its worker died or hangs
        (JobState.RUNNING, JobEvent.RELEASE): JobState.QUEUED,  # its worker was asked to stop
        (JobState.REFUSED, JobEvent.RETRY): JobState.QUEUED,
        (JobState.FAILED, JobEvent.RETRY): JobState.QUEUED,
    }
)
ENDED = frozenset({JobState.DONE, JobState.REFUSED, JobState.FAILED})
CLAIMABLE = tuple(old for (old, event) in TRANSITIONS if event is JobEvent.CLAIM)


def next_state(state: JobState, event: JobEvent) -> JobState:
    """Return the state after an event.

    Raises
    ------
    Conflict
        The event cannot happen in this state.
    """
    new = TRANSITIONS.get((state, event))
    if new is None:
        possible = ", ".join(f"{known}" for (old, known) in TRANSITIONS if old is state) or "nothing"
        raise Conflict(f"a job that is {state} cannot {event}; possible: {possible}")
    return new
