"""The head of a report: what was found, what it costs, whether to trust it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from rcas.budget import format_count
from rcas.report.markup import paragraph
from rcas.report.model import Measured, Pair, Report
from rcas.report.words import milliseconds, moment
from rcas.wording import HELD, counted, duration, percent, points


def answer(report: Report, *, live: bool) -> str:
    """Everything above the first section."""
    attribute = ' id="progress" aria-live="polite"' if live else ""
    parts = [
        f"<h1>{escape(report.search)}</h1>",
        f'<p class="status"{attribute}>{escape(progress(report))}</p>',
        paragraph(task(report)),
    ]
    if report.best is None:
        return "\n".join([*parts, paragraph("Nothing is decided yet: the start network is not measured.")])
    so_far = "" if report.done else " so far"
    parts += [
        cards(report),
        f'<p>The best network{so_far}, as block types stage by stage: <span class="network">'
        f"{escape(report.best.network)}</span></p>",
        verdict(report),
    ]
    return "\n".join(parts)


def progress(report: Report) -> str:
    """One line: where the search stands."""
    measured = f"{counted(len(report.evaluations), 'network')} measured"
    when = f"began {moment(report.created)}"
    if report.done:
        return f"Done. {measured.capitalize()}; {when}."
    words = HELD.get(report.phase, "still running").capitalize()
    message = f": {report.message}" if report.message else ""
    blocks = max((len(rule.path) - 1 for rule in report.rules), default=0)
    where = f"{counted(max(0, blocks), 'block')} accepted, " if report.best else ""
    under_way = f", {report.under_way} under way" if report.under_way else ""
    return f"{words}{message}. {where}{measured}{under_way}; {when}. As of {moment(report.made)}."


def task(report: Report) -> str:
    """What was searched for, for somebody who does not know."""
    limits = [
        f"{format_count(limit)} {name}"
        for limit, name in (
            (report.budget.params, "parameters"),
            (report.budget.madds, "multiply-adds per image"),
        )
        if limit
    ]
    limits += [f"{milliseconds(report.budget.latency_ns)} per image"] if report.budget.latency_ns else []
    _, height, width = report.input
    data = f"{report.protocol.draw.dataset} ({report.classes} classes, {height} x {width} pixels)"
    return (
        f"This search looks for the most accurate small image classifier on {data} that needs at most "
        f"{' and '.join(limits) or 'what its budget allows'}. It starts from a tiny network, adds one block at a "
        "time, and trains every candidate shortly to see what it brings."
    )


def cards(report: Report) -> str:
    """The numbers of the answer."""
    best = report.best
    assert best is not None
    error = f"± {report.noise.error * 100:.2f} points (standard error)" if report.noise else ""
    seconds = report.counters.busy_seconds
    found = [
        _card("Accuracy", percent(best.accuracy), error),
        _cost_card("Parameters", best.cost.params, report.budget.params),
        _cost_card("Multiply-adds", best.cost.madds, report.budget.madds),
        *(
            [_cost_card("Latency", best.cost.latency_ns, report.budget.latency_ns, milliseconds)]
            if best.cost.latency_ns is not None
            else []
        ),
        _card("Trainings", f"{report.counters.trained:,}", f"{duration(seconds)} of work in all"),
    ]
    return f'<ul class="cards">{"".join(found)}</ul>'


def _card(label: str, value: str, note: str, bar: str = "") -> str:
    return (
        f'<li><span class="label">{escape(label)}</span><span class="value">{escape(value)}</span>'
        f'{bar}<span class="note">{escape(note)}</span></li>'
    )


def _cost_card(label: str, value: int, limit: int | None, say: Callable[[int], str] = format_count) -> str:
    if not limit:
        return _card(label, say(value), "no limit was set")
    share = value / limit
    bar = (
        '<svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" width="100" height="6"/><rect class="filled" width="{min(100.0, 100 * share):.1f}" '
        'height="6"/></svg>'
    )
    return _card(label, say(value), f"{share:.0%} of the budget of {say(limit)}", bar)


def limits_text(report: Report) -> str:
    """What the best network costs, with the shares of the budget."""
    assert report.best is not None
    cost, limits = report.best.cost, report.budget
    known = (
        (cost.params, limits.params, format_count, " params"),
        (cost.madds, limits.madds, format_count, " MAdds"),
        (cost.latency_ns, limits.latency_ns, milliseconds, ""),
    )
    return ", ".join(
        f"{say(amount)}{unit}" + (f" ({amount / limit:.0%} of {say(limit)})" if limit else "")
        for amount, limit, say, unit in known
        if amount is not None
    )


def verdict_line(report: Report) -> str:
    """Whether to trust the answer, in a sentence; nothing where that is not known."""
    noise = report.noise
    if noise is None or noise.gain is None:
        return ""
    gain = noise.again.pair if noise.again else noise.gain
    if gain.clear and gain.difference > 0:
        return "The gain over the start network stands out of the noise."
    return "The gain over the start network is within the noise: it may be chance."


def verdict(report: Report) -> str:
    """Whether to trust the answer, with the reasons."""
    head = verdict_line(report)
    if not head:
        return ""
    kind = "clear" if "stands out" in head else "unclear"
    lines = "".join(paragraph(line) for line in reasons(report))
    return f'<div class="verdict {kind}"><strong>{escape(head)}</strong>{lines}</div>'


def reasons(report: Report) -> Iterator[str]:
    """Why, and what else to know of the accuracy."""
    noise = report.noise
    if noise is None or noise.gain is None:
        return
    gain, top = noise.gain, noise.top
    words = f"{points(gain.difference)} points with a standard error of {gain.error * 100:.2f}"
    yield f"In the search: {words}. {_held(gain)}"
    if noise.again:
        again = noise.again
        yield (
            f"Trained again from {counted(min(again.best.count, again.start.count), 'other seed')}, which chose "
            f"nothing: {_spread(again.best)} against {_spread(again.start)} of the start network, "
            f"{points(again.pair.difference)} points with a standard error of {again.pair.error * 100:.2f}. "
            f"{_held(again.pair)}"
        )
    if top:
        apart = "The measurement tells them apart." if top.clear else "The measurement cannot tell the two apart."
        yield (
            f"The next best answer, {top.second}, is {abs(top.difference) * 100:.2f} points "
            f"{'below' if top.difference >= 0 else 'above'} it, standard error {top.error * 100:.2f}. {apart}"
        )
    if report.highest and report.best and report.highest.accuracy > report.best.accuracy:
        yield (
            f"A network earlier on a path measured higher, {percent(report.highest.accuracy)}: "
            f"{report.highest.network}. Greedy search goes on while the budget lasts, even where a block lowers the "
            "accuracy."
        )
    yield (
        f"Accuracy is measured after a short training, on {noise.images:,} validation images. It ranks "
        "networks; it is not what the network reaches when it is trained to the end. And as the best of many noisy "
        "measurements it is probably somewhat too high."
    )


def _spread(found: Measured) -> str:
    return percent(found.mean) + (f" ± {found.spread * 100:.2f}" if found.spread is not None else "")


def _held(pair: Pair) -> str:
    times = abs(pair.difference) / pair.error if pair.error else float("inf")
    return "" if times == float("inf") else f"That is {times:.1f} standard errors; from 2 on it is called clear here."
