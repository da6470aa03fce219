"""Per-image gaps of a small VAE on digits: all images at once beside one at a time.

    python benchmarks/vae_gaps.py [images] [rounds]

Both sides run the same code with the same settings, seed and noise samples; one gets all images,
the other one image per call (a few of them: the time per image does not depend on how many).
Timed are the whole of `vae_gaps`, with a short annealing, and q*_FFG alone.  The last row is q*_FFG
as the literature finds it: Adam at 1e-3 on fresh noise, one image at a time, until eleven windows
of 100 steps bring no rise.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits

from avi_theory.results.gaps import Gaps
from avi_theory.vae import Bernoulli, dense, dense_decoder, elbo, posterior_of, vae_gaps
from avi_theory.vae.gaps import Settings
from avi_theory.vae.gaps.fresh import evaluate
from avi_theory.vae.gaps.optimum import Optimum, optimum
from avi_theory.vae.gaps.problem import Problem, problem_of
from avi_theory.vae.posteriors import Diagonal

LATENTS, HIDDEN, EPOCHS = 16, (128, 128), 15
TEMPERATURES, ALONE = 100, 4
Task = Callable[[Problem, Diagonal], object]
WINDOW, PATIENCE, SAMPLES, MOST = 100, 11, 128, 6000


def main(images: int = 200, rounds: int = 5) -> None:
    problem, begin = trained(images)
    print(
        f"{images} images, {LATENTS} coordinates, {rounds} rounds; torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()}, {platform.machine()}"
    )
    for name, task in (("vae_gaps, whole", whole), ("q*_FFG alone", best)):
        together, alone = [], []
        task(problem, begin)  # the first call pays for what torch sets up
        for _ in range(rounds):
            together.append(timed(task, problem, begin))
            singles = [timed(task, *only(problem, begin, k)) for k in range(ALONE)]
            alone.append(tuple(statistics.mean(column) for column in zip(*singles, strict=True)))
        for k, clock in enumerate(("wall", "processor")):
            report(f"{name}, all at once, {clock}", [pair[k] for pair in together])
            report(f"{name}, one at a time, {clock}", [pair[k] for pair in alone])
            ratios = [b[k] / a[k] for a, b in zip(together, alone, strict=True)]
            middle = statistics.median(ratios)
            print(f"  ratio: median {middle:.1f}, {min(ratios):.1f} to {max(ratios):.1f}")
    start = time.perf_counter()
    slow, steps = adam(*only(problem, begin, 0))
    report("q*_FFG by Adam 1e-3, one image", [time.perf_counter() - start])
    some, ours = only(problem, best(problem, begin).q, 0)
    both = evaluate(some, slow, ours, seed=9)
    gap, error = float(both.best - both.elbo), float(both.gap_error)
    print(f"  ours is {gap:+.4f} ± {error:.4f} nats above Adam after {steps} steps")


def whole(problem: Problem, begin: Diagonal) -> Gaps:
    return vae_gaps(
        lambda _: (begin.mean, begin.log_variance), problem.decoder, problem.images,
        settings=Settings(temperatures=TEMPERATURES),
    )  # fmt: skip


def best(problem: Problem, begin: Diagonal) -> Optimum:
    return optimum(problem, begin, seed=0)


def trained(images: int) -> tuple[Problem, Diagonal]:
    """The last digits, thresholded at half, and what an encoder trained on the others says."""
    pixels = torch.as_tensor(load_digits().data > 8).float()
    training, rest = pixels[: len(pixels) - images], pixels[-images:]
    encoder = dense((64,), LATENTS, hidden=HIDDEN, seed=0)
    decoder = dense_decoder(LATENTS, (64,), hidden=HIDDEN, seed=1)
    generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    for _ in range(EPOCHS):
        for x in training[torch.randperm(len(training), generator=generator)].split(100):
            q = posterior_of(encoder, x)
            loss = -elbo(decoder, Bernoulli(), q, x, draws=1, generator=generator).value.mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        q = posterior_of(encoder, rest)
    assert isinstance(q, Diagonal)
    return problem_of(decoder, Bernoulli(), rest, LATENTS), q


def only(problem: Problem, q: Diagonal, k: int) -> tuple[Problem, Diagonal]:
    """The same for one image."""
    at = torch.tensor([k])
    return problem.take(at), Diagonal(q.mean[at], q.log_variance[at])


def timed(task: Task, problem: Problem, begin: Diagonal) -> tuple[float, float]:
    """Seconds and processor seconds per image."""
    start, busy = time.perf_counter(), time.process_time()
    task(problem, begin)
    spent = time.perf_counter() - start, time.process_time() - busy
    return spent[0] / len(problem), spent[1] / len(problem)


def adam(problem: Problem, begin: Diagonal, seed: int = 0) -> tuple[Diagonal, int]:
    """The better of both starts by Adam with the window rule, and the steps it took."""
    ends, steps = [], 0
    generator = torch.Generator().manual_seed(seed)
    for start in (begin, Diagonal(0 * begin.mean, 0 * begin.mean)):
        mean = start.mean.clone().requires_grad_(True)
        log_variance = start.log_variance.clone().requires_grad_(True)
        ascent = torch.optim.Adam([mean, log_variance], 1e-3)
        best, since, total = -float("inf"), 0, 0.0
        for step in range(1, MOST + 1):
            q = Diagonal(mean, log_variance)
            value = elbo(
                problem.decode, problem.likelihood, q, problem.images, draws=SAMPLES,
                generator=generator,
            ).value.sum()  # fmt: skip
            ascent.zero_grad()
            (-value).backward()
            ascent.step()
            total += float(value.detach())
            if step % WINDOW == 0:
                since = 0 if total > best else since + 1
                best, total = max(best, total), 0.0
                if since == PATIENCE:
                    break
        steps += step
        ends.append((best, Diagonal(mean.detach(), log_variance.detach())))
    return max(ends, key=lambda pair: pair[0])[1], steps


def report(name: str, seconds: list[float]) -> None:
    each = [1e3 * s for s in seconds]
    middle = statistics.median(each)
    print(f"  {name:44} {middle:9.2f} ms per image ({min(each):.2f} to {max(each):.2f})")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:3]))
