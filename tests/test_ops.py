"""rbmx.RBM under torch.compile, torch.export and autograd's own checks."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

import rbmx  # noqa: E402
from rbmx import ops  # noqa: E402
from rbmx.rng import Key, Purpose  # noqa: E402

PAIRS = list(itertools.product(("bernoulli", "gaussian"), repeat=2))
DIFFERENTIABLE = ["hidden_mean", "visible_mean", "energy", "free_energy"]
# what a graph compiler does before it writes machine code: tracing, fake tensors, functionalisation, autograd
BACKEND = "aot_eager"


def machine(visible="bernoulli", hidden="bernoulli", *, dtype=torch.float32, seed=3):
    rbm = rbmx.RBM(6, 4, visible=visible, hidden=hidden, seed=seed, dtype=dtype)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in rbm.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator))
    return rbm


def arguments(name, dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    v, h = (torch.rand(3, units, generator=generator, dtype=dtype, requires_grad=True) for units in (6, 4))
    return {"visible_mean": (h,), "energy": (v, h)}.get(name, (v,))


def bits(rows=3, units=6):
    return (torch.rand(rows, units, generator=torch.Generator().manual_seed(1)) < 0.5).float()


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


# what autograd goes through


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradcheck_in_float64_for_inputs_and_parameters(name, visible, hidden):
    rbm = machine(visible, hidden, dtype=torch.float64)
    names = [n for n, _ in rbm.named_parameters()]

    def function(*values):
        parameters, inputs = dict(zip(names, values, strict=False)), values[len(names) :]
        return torch.func.functional_call(_Method(rbm, name), {f"rbm.{n}": p for n, p in parameters.items()}, inputs)

    parameters = [p.detach().clone().requires_grad_() for p in rbm.parameters()]
    assert torch.autograd.gradcheck(function, (*parameters, *arguments(name, torch.float64)))


class _Method(torch.nn.Module):
    """A method of a machine as the forward of a module, which is what export and functional_call take."""

    def __init__(self, rbm, name, **settings):
        super().__init__()
        self.rbm, self.name, self.settings = rbm, name, settings

    def forward(self, *values):
        return getattr(self.rbm, self.name)(*values, **self.settings)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_differentiable_methods_compile_to_one_graph_with_their_gradients(name):
    rbm, values = machine(), arguments(name)
    compiled = torch.compile(getattr(rbm, name), backend=BACKEND, fullgraph=True)
    outcome, expected = compiled(*values), getattr(rbm, name)(*values)
    torch.testing.assert_close(outcome, expected)
    gradients = torch.autograd.grad(outcome.sum(), values)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), values))


@pytest.mark.parametrize("visible", ["softmax(3)", "gaussian(learned)", "gaussian*2 + softmax(3) + bernoulli"])
@pytest.mark.parametrize("hidden", ["relu", "spin"])
def test_every_unit_type_compiles_and_samples(visible, hidden):
    rbm = machine(visible, hidden)
    h = rbm.sample_hidden(rbm.sample(3, steps=1, seed=0), seed=1)
    v = rbm.sample_visible(h, seed=2)
    compiled = torch.compile(rbm.free_energy, backend=BACKEND, fullgraph=True)
    torch.testing.assert_close(compiled(v), rbm.free_energy(v))
    key = ops.key_tensor(Key(9))
    torch.library.opcheck(ops.gibbs, (v, parameters_of(rbm), key, 2, visible, hidden))
    torch.library.opcheck(ops.contrastive_divergence, (v, parameters_of(rbm), key, 2, visible, hidden))


def test_a_network_with_a_machine_in_it_compiles_to_one_graph():
    net = torch.nn.Sequential(machine(), torch.nn.Linear(4, 2))
    compiled = torch.compile(net, backend=BACKEND, fullgraph=True)
    for rows in (3, 5):  # the second size makes the number of rows symbolic
        torch.testing.assert_close(compiled(bits(rows)), net(bits(rows)))
    compiled(bits()).sum().backward()
    assert net[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_differentiable_methods_export(name):
    rbm, values = machine(), arguments(name)
    program = torch.export.export(_Method(rbm, name), values)
    torch.testing.assert_close(program.module()(*values), getattr(rbm, name)(*values))


def test_an_exported_layer_takes_any_number_of_rows(tmp_path):
    rbm = machine()
    rows = torch.export.Dim("rows")
    torch.export.save(torch.export.export(rbm, (bits(),), dynamic_shapes=({0: rows},)), tmp_path / "layer.pt2")
    program = torch.export.load(tmp_path / "layer.pt2")
    torch.testing.assert_close(program.module()(bits(17)), rbm(bits(17)))


# operators


def parameters_of(rbm):
    """Without gradients, as the methods pass them: samples have none, and going back through them is an error."""
    return [p.detach() for p in rbm.parameters()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_opcheck_of_every_operator(visible, hidden, dtype):
    p, key = parameters_of(machine(visible, hidden, dtype=dtype)), ops.key_tensor(Key(9))
    v, h = bits().to(dtype), bits(3, 4).to(dtype)
    units = (visible, hidden)
    for operator, values in [
        (ops.half_step, (v, p, key, "hidden", *units)),
        (ops.half_step, (h, p, key, "visible", *units)),
        (ops.gibbs, (v, p, key, 0, *units)),
        (ops.gibbs, (v, p, key, 2, *units)),
        (ops.contrastive_divergence, (v, p, key, 2, *units)),
        (ops.fold_in, (key, 3)),
        (ops.noise_key, (key, torch.tensor(5))),
    ]:
        torch.library.opcheck(operator, values)


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_keys_keep_their_64_bits_as_tensors(seed):
    words = ops.key_tensor(Key(seed))
    assert ops.as_key(words) == Key(seed)
    assert ops.as_key(ops.fold_in(words, 7)) == Key(seed).fold_in(7)
    assert ops.as_key(ops.noise_key(words, torch.tensor(7))) == Key(seed).fold_in(Purpose.SAMPLING).fold_in(7)


V, H, GIVEN = bits(), bits(3, 4), torch.tensor([1.0] * 3 + [torch.nan] * 3)
SAMPLERS = {
    "sample_hidden": lambda rbm, **seed: rbm.sample_hidden(V, **seed),
    "sample_visible": lambda rbm, **seed: rbm.sample_visible(H, **seed),
    "gibbs": lambda rbm, **seed: rbm.gibbs(V, 2, **seed),
    "sample": lambda rbm, **seed: rbm.sample(4, steps=3, **seed),
    "sample given": lambda rbm, **seed: rbm.sample(4, steps=2, given=GIVEN, **seed),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_compiled_samples_are_the_eager_ones_and_never_repeat(name):
    """One graph; the noise counter moves on inside it, so that its noise is fresh and that of the eager call."""
    draw = SAMPLERS[name]
    eager, rbm = machine(), machine()
    compiled = torch.compile(lambda: draw(rbm), backend=BACKEND, fullgraph=True)
    expected = [draw(eager) for _ in range(4)]
    for samples in expected:
        assert torch.equal(compiled(), samples)
    assert int(rbm.noise_counter) == int(eager.noise_counter) == 4
    assert not all(torch.equal(samples, expected[0]) for samples in expected)
    fixed = torch.compile(lambda: draw(rbm, seed=11), backend=BACKEND, fullgraph=True)
    assert torch.equal(fixed(), draw(eager, seed=11))
    assert torch.equal(fixed(), fixed())


def test_compiled_samples_without_a_seed_follow_torchs_generator():
    rbm = machine(seed=None)
    compiled = torch.compile(lambda: rbm.gibbs(V, 1), backend=BACKEND, fullgraph=True)
    outcomes = []
    for _ in range(2):
        torch.manual_seed(4)
        rbm.noise_counter.zero_()
        outcomes.append([compiled(), compiled()])
    assert torch.equal(outcomes[0][0], outcomes[1][0]) and torch.equal(outcomes[0][1], outcomes[1][1])


def test_an_exported_sampler_moves_its_counter():
    rbm, eager = machine(), machine()
    program = torch.export.export(_Method(rbm, "gibbs", steps=2), (bits(),)).module()
    for _ in range(3):
        assert torch.equal(program(bits()), eager.gibbs(bits(), 2))
    assert int(dict(program.named_buffers())["rbm.noise_counter"]) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ways_of_gibbs_keep_the_distribution(dtype):
    """40,000 chains that start from p(v) of all 64 states, strongly coupled, are still there three steps later."""
    rbm = machine(dtype=dtype)
    parameters = [3 * p for p in parameters_of(rbm)]
    states = torch.tensor(list(itertools.product((0, 1), repeat=6)), dtype=dtype)
    weight, visible_bias, hidden_bias = parameters
    log_p = states @ visible_bias + torch.nn.functional.softplus(states @ weight.t() + hidden_bias).sum(1)
    p = torch.softmax(log_p.double(), 0)
    start = torch.multinomial(p, 40_000, replacement=True, generator=torch.Generator().manual_seed(0))
    v = ops.gibbs(states[start], parameters, ops.key_tensor(Key(1)), 3, "bernoulli", "bernoulli")
    counts = torch.bincount((v.long() @ 2 ** torch.arange(5, -1, -1)), minlength=64)
    common = 40_000 * p >= 5
    chi2 = ((counts - 40_000 * p) ** 2 / (40_000 * p))[common].sum().item()
    assert chi2 < common.sum() + 4 * (2 * common.sum()) ** 0.5  # four standard deviations


def test_contrastive_divergence_compiles_and_adds_to_grad():
    eager, rbm = machine(), machine()
    compiled = torch.compile(lambda v: rbm.contrastive_divergence(v, k=2), backend=BACKEND)
    for _ in range(2):
        eager.contrastive_divergence(bits(), k=2)
        compiled(bits())
    for p, q in zip(rbm.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_a_training_step_compiles_to_one_graph():
    """The gradient as a value, for a loop that holds its own parameters."""
    rbm = machine()

    def step(v, parameters, key):
        gradients = ops.contrastive_divergence(v, parameters, key, 1, "bernoulli", "bernoulli")
        return [p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)]

    values = (bits(), parameters_of(rbm), ops.key_tensor(Key(2)))
    compiled = torch.compile(step, backend=BACKEND, fullgraph=True)
    for a, b in zip(compiled(*values), step(*values), strict=True):
        torch.testing.assert_close(a, b)
