"""Exact binomial bounds (Clopper and Pearson), without scipy."""

import math

STEPS = 60


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def binomial_cdf(k: int, n: int, p: float) -> float:
    """Give the chance of at most k successes in n draws."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0:
        return 1.0
    if p >= 1:
        return 0.0
    log_p, log_q = math.log(p), math.log1p(-p)
    terms = (math.exp(_log_choose(n, i) + i * log_p + (n - i) * log_q) for i in range(k + 1))
    return min(1.0, math.fsum(terms))


def upper_bound(failures: int, draws: int, confidence: float) -> float:
    """Bound a failure probability from above, one-sided.

    Source: C. Clopper and E. Pearson, Biometrika 26 (1934); with no failure it is the
    rule of three.
    """
    if draws == 0 or failures >= draws:
        return 1.0
    low, high = failures / draws, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if binomial_cdf(failures, draws, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower_bound(failures: int, draws: int, confidence: float) -> float:
    """Bound a failure probability from below, one-sided."""
    if draws == 0 or failures == 0:
        return 0.0
    return 1 - upper_bound(draws - failures, draws, confidence)
