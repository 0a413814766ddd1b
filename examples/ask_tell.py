"""Search with an F of your own: anything that turns a network into `correct` of `total`.

Here it is a formula, so this runs in a second; put your own training in its place.

    python examples/ask_tell.py
"""

import math

import rcas


def measure(network: rcas.Network) -> int:
    """Correct images out of 10,000. More blocks help, and help less the more there are."""
    return round(10_000 * (0.5 + 0.4 * (1 - math.exp(-network.block_count / 8))))


space = rcas.Space.cifar(num_classes=100)
search = rcas.Search(space, rcas.Budget(params="1M", madds="60M"), rules=("UC", "APR", "AMR"))
while not search.done:
    for evaluation in search.ask(8):
        search.tell(evaluation.key, correct=measure(evaluation.network), total=10_000)

best = search.result.best
print(f"{best.network}: {float(best.accuracy):.1%}, {best.cost.params:,} params, {best.cost.madds:,} MAdds")
print(f"{search.result.evaluations} evaluations instead of {search.result.offered}")
