"""Cost-effective greedy search without laziness: after every block all candidates are measured again."""

from __future__ import annotations

from collections.abc import Iterable

from rcas.baselines.strategy import Strategy
from rcas.greedy import Blocked, Problem, Rule, RuleState, enqueue, start, transition
from rcas.space import Network


class PlainGreedy(Strategy):
    """The search's rules and decisions (paper, Algorithm 1), all of them in rounds of one block.

    In a round each rule, in the order given, asks for what its next decision reads. Networks are shared. A rule that
    asks for more new ones than are left stands still from then on; what it stands at counts. The answer is, as in the
    search (Algorithm 3), the best of the rules' last networks.
    """

    def __init__(self, problem: Problem, limit: int, rules: Iterable[Rule]) -> None:
        super().__init__(problem, limit)
        self._states: dict[Rule, RuleState] = {rule: start(problem, rule) for rule in rules}
        self._cut_short = set[Rule]()

    @property
    def states(self) -> tuple[RuleState, ...]:
        """Where the rules stand."""
        return tuple(self._states.values())

    @property
    def answer(self) -> Network | None:
        """See `Strategy.answer`."""
        reached = [state.network for state in self.states if state.network in self.known]
        return max(reached, key=self.goodness, default=None)

    def _extend(self, waiting: int) -> None:  # noqa: ARG002 - a round is asked for at once
        if not self._order:
            self._append(self.space.start)
        # A rule that went ahead would take trainings from the others, the more the sooner its results come.
        while self._stopped is None and not self._waiting():
            asked = len(self._order)
            for rule, state in self._states.items():
                if state.stopped is None and rule not in self._cut_short:
                    self._advance(rule, state)
            if len(self._order) == asked:
                self._stopped = "trainings" if self._cut_short else "ended"

    def _advance(self, rule: Rule, state: RuleState) -> None:
        while state.stopped is None:
            following = transition(self.problem, state, self.known)
            if isinstance(following, Blocked):
                self._request(rule, following.networks)
                break
            state = _forget_gains(self.problem, following) if len(following.path) > len(state.path) else following
        self._states[rule] = state

    def _request(self, rule: Rule, networks: tuple[Network, ...]) -> None:
        new = [network for network in networks if network not in self._order]
        if len(self._order) + len(new) > self.limit:
            self._cut_short.add(rule)
            return
        for network in new:
            self._order[network] = None


def _forget_gains(problem: Problem, state: RuleState) -> RuleState:
    """The state in which nothing of the queue is measured."""
    return enqueue(problem, state, [(c.element, None, 0) for c in (*state.queue, *state.parked)])
