"""Encoders: they start plain, adapt per image, bend by context, and climb where they step."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

from avi_theory.errors import InputError
from avi_theory.vae import (
    AuxiliaryEncoder,
    Bernoulli,
    Diagonal,
    FlowEncoder,
    Gaussian,
    InstanceAdaptive,
    ProcessEncoder,
    SemiAmortized,
    convolutional,
    convolutional_decoder,
    dense,
    dense_decoder,
    elbo,
    flop_count,
    iwae,
    parameter_count,
    posterior_of,
    refine,
)
from avi_theory.vae.encoders import MODULATIONS

EVENT, D = (8, 8), 3
MAKERS = {
    "dense": lambda: dense(EVENT, D, hidden=(12, 10)),
    "linear": lambda: dense(EVENT, D, hidden=()),
    "convolutional": lambda: convolutional(EVENT, D, channels=(4, 6), hidden=(8,)),
}


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(rng):
    return torch.randint(0, 2, (5, *EVENT), generator=rng).float()


def disturbed(module, rng):
    """A module whose silent layers speak."""
    with torch.no_grad():
        for p in module.parameters():
            p += 0.3 * torch.randn(p.shape, generator=rng)
    return module


def test_parameter_arithmetic_of_the_specification():
    plain = dense((28, 28), 50)
    assert parameter_count(plain) == 217_300
    film = InstanceAdaptive(plain, modulation="film", hidden=(64,))
    assert parameter_count(film) - parameter_count(plain) == 115_240
    products = 784 * 200 + 200 * 200 + 2 * 200 * 50
    assert flop_count(plain, torch.zeros(3, 784)) == 2 * products
    extra = flop_count(film, torch.zeros(3, 784)) - 2 * products
    assert extra == 2 * (784 * 64 + 64 * 1000)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("modulation", MODULATIONS)
def test_adaptive_encoders_start_plain_and_can_move(maker, modulation, images):
    plain = MAKERS[maker]()
    adaptive = InstanceAdaptive(plain, modulation=modulation, hidden=(6,))
    for a, b in zip(plain(images), adaptive(images), strict=True):
        assert torch.equal(a, b)
    sum(x.square().sum() for x in adaptive(images)).backward()
    for change in adaptive.modulations:
        heads = [h for h in change.children() if isinstance(h, nn.Linear)]
        assert any(float(h.weight.grad.norm()) > 0 for h in heads), type(change)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("modulation", MODULATIONS)
def test_a_batch_is_its_images_one_by_one(maker, modulation, images, rng):
    adaptive = InstanceAdaptive(MAKERS[maker](), modulation=modulation, hidden=(6,))
    disturbed(adaptive, rng).double()
    images = images.double()
    mean, log_variance = adaptive(images)
    each = [adaptive(x[None]) for x in images]
    torch.testing.assert_close(mean, torch.cat([m for m, _ in each]))
    torch.testing.assert_close(log_variance, torch.cat([v for _, v in each]))
    plain, _ = adaptive.encoder(images)  # nothing of the images before lingers
    assert not torch.allclose(plain, mean)
    twin = copy.deepcopy(adaptive)
    torch.testing.assert_close(twin(images)[0], mean)


def weights(layer, change, features):
    """The weights that a modulation means, for each image."""
    w = layer.weight
    if isinstance(layer, nn.Conv2d):
        w = w.flatten(2)
    u, v = change.numbers(features)
    if u.dim() == 3:
        return layer.weight + torch.einsum("brm,br...->bm...", u, v)
    uv = torch.einsum("bm,bn->bmn", u, v)
    return layer.weight * (1 + uv.reshape(*uv.shape, *[1] * (layer.weight.dim() - 2)))


@pytest.mark.parametrize("modulation", ["low_rank", "multiplicative"])
@pytest.mark.parametrize("kind", ["dense", "convolutional"])
def test_weights_are_those_of_the_equation(modulation, kind, rng):
    if kind == "dense":
        layer, x = nn.Linear(4, 3), torch.randn(5, 4, generator=rng)
        run = nn.functional.linear
    else:
        layer, x = nn.Conv2d(2, 3, 3, padding=1), torch.randn(5, 2, 6, 6, generator=rng)
        run = lambda a, w, b: nn.functional.conv2d(a, w, b, padding=1)  # noqa: E731
    change = disturbed(MODULATIONS[modulation](layer, 7), rng)
    features = torch.randn(5, 7, generator=rng)
    change.read(features)
    found = change.hook(layer, (x,), layer(x))
    own = weights(layer, change, features)
    expected = torch.cat([run(a[None], w, layer.bias) for a, w in zip(x, own, strict=True)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_layers_are_chosen_by_name(images):
    plain = MAKERS["dense"]()
    one = InstanceAdaptive(plain, layers=["trunk.1"], hidden=(6,))
    assert [m.outputs for m in one.modulations] == [12]
    heads = InstanceAdaptive(plain, modulation="heads", hidden=(6,))
    assert [m.outputs for m in heads.modulations] == [D, D]


class Own(nn.Module):
    """A user's encoder, with both outputs in one layer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 2 * D))

    def forward(self, x):
        return self.body(x).chunk(2, -1)


def test_a_users_own_encoder(images, rng):
    adaptive = InstanceAdaptive(Own(), modulation="heads", hidden=(6,))
    assert [m.outputs for m in adaptive.modulations] == [2 * D]
    bent = FlowEncoder(InstanceAdaptive(Own(), hidden=(6,)), latents=D, hidden=(8,))
    z, log_q = posterior_of(bent, images).sample(4, rng)
    assert z.shape == (4, 5, D) and log_q.shape == (4, 5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InstanceAdaptive(Own(), modulation="filmy"), "film"),
        (lambda: InstanceAdaptive(Own(), layers=["body.2"]), "body.1"),
        (lambda: InstanceAdaptive(nn.Sequential(nn.Flatten())), "no Linear or Conv2d"),
        (lambda: InstanceAdaptive(nn.Sequential(nn.Conv2d(1, 2, 3))), "pixels=28"),
        (lambda: InstanceAdaptive(Own(), pixels=7)(torch.zeros(2, 8, 8)), "pixels=64"),
        (lambda: dense(EVENT, D)(torch.zeros(2, 9, 9)), r"\[9, 9\]"),
        (lambda: dense(EVENT, D, activation="elo"), "elu"),
        (lambda: convolutional((64,), D), "height, width"),
        (lambda: convolutional((2, 2), D), "too small"),
        (lambda: FlowEncoder(Own()), "latents=50"),
        (lambda: ProcessEncoder(MAKERS["dense"](), scale=0.0), "not positive"),
    ],
)
def test_misuse(make, words):
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("event", [(8, 8), (3, 7, 9)])
@pytest.mark.parametrize("levels", [None, 4])
def test_decoders_keep_leading_dimensions(event, levels, rng):
    z = torch.randn(2, 5, D, generator=rng)
    for make in (dense_decoder, convolutional_decoder):
        decoder = make(D, event, levels=levels)
        found = decoder(z)
        assert found.shape == (2, 5, *event, *([levels] if levels else []))
        torch.testing.assert_close(found[1, 3], decoder(z[1, 3]))


def test_nothing_global_is_changed():
    before = torch.random.get_rng_state()
    AuxiliaryEncoder(InstanceAdaptive(MAKERS["dense"]()), hidden=(4,))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(MAKERS["dense"]().mean.weight, MAKERS["dense"]().mean.weight)


def test_flow_densities_by_change_of_variables(images, rng):
    """log q of a drawn code equals the base's less the log determinant of a dense Jacobian."""
    encoder = disturbed(FlowEncoder(MAKERS["dense"](), hidden=(8,)), rng).double()
    q = posterior_of(encoder, images.double())
    start, base = q.base.sample(1, torch.Generator().manual_seed(3))
    z, log_q = q.sample(1, torch.Generator().manual_seed(3))
    whole = torch.func.jacrev(lambda a: q.transform(a[None])[0])(start[0])
    blocks = torch.stack([whole[b, :, b] for b in range(len(images))])
    torch.testing.assert_close(log_q[0], base[0] - torch.linalg.slogdet(blocks)[1])
    torch.testing.assert_close(q.transform(start), z)


def affine_case(rng, count=40):
    """A linear decoder with images of it: all posteriors are known."""
    decoder = dense_decoder(D, EVENT, hidden=(), seed=1)
    likelihood = Gaussian(0.5)
    z = torch.randn(count, D, generator=rng)
    with torch.no_grad():
        return decoder, likelihood, likelihood.draw(2 * decoder(z), rng)


def evidence(decoder, images):
    """Of that decoder, exactly."""
    w, b = decoder.body[0].weight.double(), decoder.body[0].bias.double()
    covariance = w @ w.T + 0.25 * torch.eye(len(w)).double()
    return torch.distributions.MultivariateNormal(b, covariance).log_prob(images.flatten(1))


@pytest.mark.parametrize("family", ["flow", "auxiliary"])
def test_flow_posteriors_learn_and_use_their_context(family, rng):
    decoder, likelihood, images = affine_case(rng)
    plain = dense(EVENT, D, hidden=(16,))
    make = FlowEncoder if family == "flow" else AuxiliaryEncoder
    encoder = make(plain, hidden=(16,))
    optimiser = torch.optim.Adam(encoder.parameters(), 1e-2)

    def bound(q, draws=1, seed=None):
        codes = rng if seed is None else torch.Generator().manual_seed(seed)
        return elbo(decoder, likelihood, q, images, draws=draws, generator=codes).value.mean()

    for _ in range(100):
        optimiser.zero_grad()
        (-bound(encoder.posterior(images))).backward()
        optimiser.step()
    with torch.no_grad():
        q, rolled = encoder.posterior(images), encoder.posterior(images.roll(1, 0))
        straight = bound(q, 50, seed=7)
        assert bound(rolled, 50, seed=7) < straight - 1
        # The couplings themselves read the image, not the base alone: other images' are worse.
        if family == "flow":
            mixed = dataclasses.replace(q, transform=rolled.transform)
        else:
            mixed = dataclasses.replace(
                q, both=dataclasses.replace(q.both, transform=rolled.both.transform)
            )
        assert bound(mixed, 50, seed=7) < straight - 0.01
        exact = evidence(decoder, images)
        found = iwae(decoder, likelihood, q, images, draws=2000, generator=rng)
        assert straight < exact.mean() + 0.01
        assert bool(((found.value - exact).abs() < 5 * found.standard_error + 0.05).all())


def test_process_encoder_is_one_of_random_weights(images, rng):
    encoder = disturbed(ProcessEncoder(MAKERS["dense"]()), rng).requires_grad_(False)
    assert isinstance(encoder.eval().posterior(images), Diagonal)
    z, log_q = encoder.train().posterior(images).sample(5_000, rng)
    mean, _ = encoder(images)
    encoder.marginal = True
    _, wide = encoder(images)
    error = z.std(0) / len(z) ** 0.5
    assert float(((z.mean(0) - mean).abs() / error).max()) < 4.5
    torch.testing.assert_close(z.var(0), wide.exp(), rtol=0.2, atol=0.01)
    assert bool(torch.isfinite(log_q).all())


def test_process_encoder_penalty_and_difficulty(images):
    encoder = ProcessEncoder(MAKERS["dense"](), scale=0.2)
    q = torch.distributions.Normal(encoder.means, encoder.log_sds.exp())
    p = torch.distributions.Normal(torch.zeros_like(encoder.means), 0.2)
    expected = torch.distributions.kl_divergence(q, p).sum()
    torch.testing.assert_close(encoder.penalty(), expected)
    features = encoder.encoder.describe(images)[2]
    v = torch.diag_embed(torch.exp(2 * encoder.log_sds))
    expected = torch.einsum("bh,jhk,bk->b", features, v, features)
    torch.testing.assert_close(encoder.difficulty(images), expected)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(0.4)])
def test_semi_amortized_steps_raise_the_elbo(likelihood, rng):
    images = torch.randint(0, 2, (120, *EVENT), generator=rng).float()
    decoder = disturbed(dense_decoder(D, EVENT, hidden=(12,)), rng)
    encoder = dense(EVENT, D, hidden=(12,))
    start = posterior_of(encoder, images)

    def fresh(q):
        return elbo(decoder, likelihood, q, images, draws=500, generator=rng)

    with torch.no_grad():
        before = fresh(start)
        for steps in (1, 5):
            found = refine(decoder, likelihood, start, images, steps=steps, draws=64)
            assert bool((found.trace.diff(dim=0) >= 0).all())
            after = fresh(found.posterior)
            assert float((after.value > before.value).float().mean()) > 0.99
            before = after
        semi = SemiAmortized(encoder, decoder, likelihood, steps=5, draws=64)
        torch.testing.assert_close(posterior_of(semi, images).mean, found.posterior.mean)
        alone = posterior_of(semi, images[:1]).mean  # one image's steps do not depend on others
        torch.testing.assert_close(alone, found.posterior.mean[:1], rtol=1e-3, atol=1e-4)


def test_steps_reach_the_optimum_of_a_linear_decoder(rng):
    decoder, likelihood, images = affine_case(rng)
    w = decoder.body[0].weight.double()
    precision = torch.eye(D).double() + w.T @ w / 0.25
    b = decoder.body[0].bias.double()
    mean = torch.linalg.solve(precision, w.T @ (images.flatten(1).double() - b).T / 0.25).T
    start = posterior_of(dense(EVENT, D), images)
    found = refine(decoder, likelihood, start, images, steps=30).posterior
    error = ((found.mean.double() - mean) * precision.diagonal().sqrt()).detach()
    assert float(error.abs().max()) < 0.5  # in standard deviations, by 32 noise vectors
    expected = -precision.diagonal().log().float().expand_as(found.log_variance).detach()
    torch.testing.assert_close(found.log_variance, expected, rtol=0.0, atol=0.7)


def test_training_through_the_steps(images):
    decoder = dense_decoder(D, EVENT, hidden=(6,))
    encoder = dense(EVENT, D, hidden=(6,))

    def after(through):
        encoder.zero_grad()
        start = posterior_of(encoder, images)
        return refine(decoder, Bernoulli(), start, images, steps=2, through=through).posterior

    assert not after(False).mean.requires_grad
    q = after(True)
    (q.mean.sum() + q.log_variance.sum()).backward()
    assert float(encoder.trunk[1].weight.grad.norm()) > 0
    assert float(decoder.body[0].weight.grad.norm()) > 0
    with pytest.raises(InputError, match="even"):
        refine(decoder, Bernoulli(), q, images, steps=1, draws=3)
