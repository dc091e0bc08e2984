"""The fast forms compute what torch's own operators compute, in value and in every derivative."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mezzotint.nn import _convforms as forms
from mezzotint.nn import _products, fastconv
from mezzotint.nn._convforms import Geometry
from mezzotint.nn._fewforms import down_to_few
from mezzotint.nn.fastconv import FastConv2d, FastConvTranspose2d, down, quicken, up, weight_grad

# batch, channels of the large side, channels of the small side, height and width of the large side
SHAPES = [
    (1, 1, 1, 2, 2),
    (2, 3, 5, 8, 8),
    (1, 4, 2, 7, 10),
    (3, 2, 3, 9, 5),
    (2, 5, 1, 3, 3),
    (5, 1, 4, 16, 6),
]
GEOMETRIES = [Geometry(4, 2, 1), Geometry(3, 2, 1), Geometry(3, 1, 1), Geometry(5, 3, 2), Geometry(2, 2, 0)]
HALVING = GEOMETRIES[0]
bf16 = torch.bfloat16


def tensors(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float64, geometry: Geometry = HALVING
) -> tuple[Tensor, Tensor, Tensor]:
    """x [B, C, H, W], y [B, D, h, w], w [D, C, k, k]."""
    b, c, d, *size = shape
    k, s, p = geometry
    gen = torch.Generator().manual_seed(sum(shape))

    def make(*size: int) -> Tensor:
        return torch.randn(*size, generator=gen, dtype=torch.float64).to(dtype)

    return make(b, c, *size), make(b, d, *((side + 2 * p - k) // s + 1 for side in size)), make(d, c, k, k)


def options(geometry: Geometry, x: Tensor, y: Tensor) -> tuple[dict[str, int], dict[str, object]]:
    """What torch's own operators are to be told: those of the convolution, and of the transposed one."""
    least = geometry.least((y.shape[2], y.shape[3]))
    plain = {"stride": geometry.stride, "padding": geometry.padding}
    return plain, {**plain, "output_padding": (x.shape[2] - least[0], x.shape[3] - least[1])}


def close(got: Tensor, want: Tensor, relative: float) -> None:
    assert got.shape == want.shape
    assert (got.double() - want.double()).abs().max() <= relative * want.double().abs().max()


@pytest.fixture
def every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the second forms wherever they exist, and cut patches into several blocks."""
    monkeypatch.setattr(fastconv, "_weight_grad", forms.weight_grad_by_patches)
    biased = fastconv._biased
    monkeypatch.setattr(fastconv, "_down", lambda x, w, g, bias: biased(forms.down_by_patches(x, w, g), bias))
    monkeypatch.setattr(fastconv, "_up", lambda y, w, g, size, bias: biased(forms.up_by_patches(y, w, g, size), bias))
    monkeypatch.setattr(forms, "PATCH_BYTES", 1024)


@pytest.fixture
def every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where float32 has faster forms too."""
    monkeypatch.setattr(fastconv, "_measured", lambda dtype: dtype in (bf16, torch.float32))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_patches_are_torch_unfold(geometry):
    x, y, _ = tensors((2, 3, 1, 7, 6), geometry=geometry)
    k, s, p = geometry
    want = F.unfold(x, k, padding=p, stride=s).view(2, 3, k * k, -1).permute(0, 3, 2, 1).reshape(-1, 3 * k * k)
    assert torch.equal(forms.patches(x, geometry, (y.shape[2], y.shape[3])), want)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_forms_equal_torchs_own(shape, dtype, relative, layout, geometry):
    x, y, w = (t.contiguous(memory_format=layout) for t in tensors(shape, dtype, geometry))
    plain, transposed = options(geometry, x, y)
    size = (x.shape[2], x.shape[3])
    want = torch.nn.grad.conv2d_weight(x, w.shape, y, **plain)
    for weight_form in (forms.weight_grad_native, forms.weight_grad_by_patches, forms.weight_grad_by_parity):
        close(weight_form(x, y, geometry), want, relative)
    for down_form in (forms.down_native, forms.down_by_patches, forms.down_by_parity):
        close(down_form(x, w, geometry), F.conv2d(x, w, **plain), relative)
    for up_form in (forms.up_native, forms.up_by_patches, forms.up_by_parity):
        close(up_form(y, w, geometry, size), F.conv_transpose2d(y, w, **transposed), relative)
    if geometry == HALVING:
        close(forms.up_by_pixels(y, w), F.conv_transpose2d(y, w, **plain), relative)


@pytest.mark.parametrize("geometry", [HALVING, Geometry(5, 2, 2), Geometry(3, 1, 1)])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (2, 7), (7, 3)])
def test_rows_of_the_kernel_that_see_only_padding_are_left_out(geometry, size):
    if min(geometry.small(size)) < 1:
        pytest.skip("the kernel is larger than picture and padding")
    x, y, w = tensors((3, 4, 5, *size), geometry=geometry)
    seeing, seen = geometry.seeing(geometry.small(size), size)
    moved = torch.nn.grad.conv2d_weight(x, w.shape, y, geometry.stride, geometry.padding).abs().sum((0, 1)) > 0
    needed = (moved.any(0) | moved.any(1)).tolist()
    assert [k in range(seen.start, seen.stop) for k in range(geometry.kernel)] == needed
    assert seeing.kernel == sum(needed)


@pytest.mark.parametrize("shape", [(9, 6, 5), (1, 1, 1), (40, 3, 7)])
def test_products_are_the_same_by_either_library(monkeypatch, shape):
    m, k, n = shape
    a, b = torch.randn(m, k), torch.randn(k, n)
    want = a.double() @ b.double()
    for pays in (False, True):
        monkeypatch.setattr(_products, "_pays", lambda a, b, pays=pays: pays)
        for left in (a, a.t().contiguous().t()):
            close(_products.times(left, b), want, 1e-5)
            close(_products.times_transposed(left, b.t().contiguous()), want, 1e-5)
            into = torch.empty(m, n)
            assert _products.times_transposed(left, b.t(), out=into) is into
            close(into, want, 1e-5)


@pytest.mark.parametrize("blocks_of", [1, 100, 5000, 1 << 24])
def test_patches_in_blocks(monkeypatch, blocks_of):
    x, y, w = tensors((5, 3, 4, 8, 6))
    monkeypatch.setattr(forms, "PATCH_BYTES", blocks_of)
    want = torch.nn.grad.conv2d_weight(x, w.shape, y, stride=2, padding=1)
    close(forms.weight_grad_by_patches(x, y, HALVING), want, 1e-12)


@pytest.mark.usefixtures("every_form")
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_gradients(shape, geometry):
    x, y, w = tensors(shape, geometry=geometry)
    plain, transposed = options(geometry, x, y)
    size = (x.shape[2], x.shape[3])
    pairs = [
        (lambda: down(x, w, geometry), lambda: F.conv2d(x, w, **plain)),
        (lambda: up(y, w, geometry, size), lambda: F.conv_transpose2d(y, w, **transposed)),
    ]
    for ours, theirs in pairs:
        inputs = [t.requires_grad_() for t in (x, y, w)]
        seed = torch.randn_like(theirs())
        for got, want in zip(
            torch.autograd.grad(ours(), inputs, seed, allow_unused=True),
            torch.autograd.grad(theirs(), inputs, seed, allow_unused=True),
            strict=True,
        ):
            assert (got is None) == (want is None)
            if got is not None:
                close(got, want, 1e-12)


@pytest.mark.usefixtures("every_form")
@pytest.mark.parametrize("geometry", [HALVING, Geometry(3, 1, 1), Geometry(3, 2, 1)])
@pytest.mark.parametrize("shape", [(2, 2, 3, 4, 4), (1, 1, 2, 5, 4), (1, 3, 1, 3, 2)])
def test_gradcheck_first_and_second(shape, geometry):
    x, y, w = (t.requires_grad_() for t in tensors(shape, geometry=geometry))
    size = (x.shape[2], x.shape[3])
    for function, inputs in (
        (lambda x, w: down(x, w, geometry), (x, w)),
        (lambda y, w: up(y, w, geometry, size), (y, w)),
        (lambda x, y: weight_grad(x, y, geometry), (x, y)),
    ):
        assert torch.autograd.gradcheck(function, inputs)
        assert torch.autograd.gradgradcheck(function, inputs)


def layers(c: int, d: int, bias: bool, geometry: Geometry = HALVING) -> list[tuple[nn.Module, nn.Module]]:
    fast: list[nn.Module] = [FastConv2d(c, d, *geometry, bias=bias), FastConvTranspose2d(d, c, *geometry, bias=bias)]
    plain: list[nn.Module] = [nn.Conv2d(c, d, *geometry, bias=bias), nn.ConvTranspose2d(d, c, *geometry, bias=bias)]
    for ours, theirs in zip(fast, plain, strict=True):
        theirs.load_state_dict(ours.state_dict())
    return list(zip(fast, plain, strict=True))


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("channels", [(3, 64), (96, 128), (1, 2)])
@pytest.mark.parametrize("size", [(8, 8), (9, 6), (20, 24), (3, 3)])
def test_modules_under_autocast_match_float32(bias, channels, size, geometry):
    """Each error is that of bfloat16: no more than three times that of the native operator, or 4 % of the largest."""
    torch.manual_seed(0)
    for ours, theirs in layers(*channels, bias, geometry):
        big = isinstance(ours, FastConv2d)
        x = torch.randn(4, channels[0 if big else 1], *(size if big else (size[0] // 2, size[1] // 2)))
        results = []
        for layer, amp in ((ours, True), (theirs, True), (copy.deepcopy(theirs), False)):
            mine = x.clone().requires_grad_()
            with torch.autocast("cpu", bf16, enabled=amp):
                out = layer(mine)
            assert out.dtype is (bf16 if amp else torch.float32)
            out.float().square().mean().backward()
            results.append([out.float(), mine.grad, *(p.grad for p in layer.parameters())])
        for got, native, exact in zip(*results, strict=True):
            scale = exact.abs().max()
            native_error = (native - exact).abs().max() / scale
            if not native_error < 1:  # torch 2.13 leaves weight gradients unset where the kernel meets only padding
                native_error = torch.zeros(())
            assert got.isfinite().all()
            assert (got - exact).abs().max() / scale <= max(3 * native_error, 0.04)


@pytest.mark.usefixtures("every_machine")
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("channels", [(3, 64), (96, 128), (512, 1024)])
@pytest.mark.parametrize("size", [(8, 8), (7, 6), (3, 3)])
def test_modules_in_float32_where_their_forms_are_used(channels, size, geometry):
    """Every form sums the same products in another order: the error is float32's."""
    torch.manual_seed(0)
    for ours, theirs in layers(*channels, True, geometry):
        big = isinstance(ours, FastConv2d)
        x = torch.randn(2, channels[0 if big else 1], *(size if big else (size[0] // 2, size[1] // 2)))
        results = []
        for layer, kind in ((ours, torch.float32), (theirs.double(), torch.float64)):
            mine = x.detach().clone().to(kind).requires_grad_()
            out = layer(mine)
            out.square().mean().backward()
            results.append([out, mine.grad, *(p.grad for p in layer.parameters())])
        for got, want in zip(*results, strict=True):
            close(got, want, 1e-5)


def test_float32_is_native_bit_for_bit_where_nothing_was_measured(monkeypatch):
    monkeypatch.setattr(fastconv, "_measured", lambda dtype: dtype is bf16)
    for ours, theirs in layers(8, 16, True):
        x = torch.randn(2, 8 if isinstance(ours, FastConv2d) else 16, 8, 8)
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 4, "stride": 2, "padding": 1, "groups": 2},
        {"kernel_size": 4},
        {"kernel_size": (3, 5), "stride": 2},
        {"kernel_size": 1, "stride": 1},
        {"kernel_size": 3, "stride": 2, "dilation": 2},
    ],
)
def test_other_convolutions_pass_through(monkeypatch, options):
    monkeypatch.setattr(fastconv, "_cast", lambda *_: pytest.fail("a second form was taken"))
    x = torch.randn(2, 4, 8, 8, dtype=bf16)
    for fast, plain in ((FastConv2d, nn.Conv2d), (FastConvTranspose2d, nn.ConvTranspose2d)):
        ours, theirs = fast(4, 6, **options).to(bf16), plain(4, 6, **options).to(bf16)
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("bias", [False, True])
def test_one_pixel_layers(bias):
    last, first = FastConv2d(6, 3, 4, bias=bias), FastConvTranspose2d(6, 3, 4, bias=bias)
    for layer, x in ((last, torch.randn(5, 6, 4, 4)), (first, torch.randn(5, 6, 1, 1))):
        with torch.autocast("cpu", bf16):
            got = layer(x)
        assert got.dtype is bf16
        close(got.float(), layer(x), 0.02)


def test_what_cannot_be_convolved_is_refused_as_by_torch():
    with torch.autocast("cpu", bf16), pytest.raises(RuntimeError):
        FastConv2d(2, 2, 4, 2, 1)(torch.randn(1, 2, 1, 8))


def test_odd_transposed_sizes():
    for extra in ((0, 0), (1, 0), (1, 1)):
        ours = FastConvTranspose2d(64, 3, 4, 2, 1, output_padding=extra)
        x = torch.randn(2, 64, 5, 4)
        want = ours(x)
        with torch.autocast("cpu", bf16):
            close(ours(x).float(), want, 0.02)
            assert ours(x, output_size=[11, 9]).shape == (2, 3, 11, 9)


def test_gradient_penalty_under_autocast():
    norms = []
    for kind in (FastConv2d, nn.Conv2d):
        torch.manual_seed(0)
        net = nn.Sequential(kind(3, 64, 4, 2, 1), nn.LeakyReLU(0.2), kind(64, 128, 4, 2, 1), nn.Flatten())
        x = torch.randn(4, 3, 16, 16, requires_grad=True)
        with torch.autocast("cpu", bf16):
            score = net(x).float().mean()
        (slope,) = torch.autograd.grad(score, x, create_graph=True)
        (slope.square().sum() * 1e3).backward()
        norms.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    assert norms[0].abs().max() > 0
    assert F.cosine_similarity(norms[0], norms[1], dim=0) > 0.999


def test_native_where_recorded_or_transformed(monkeypatch):
    def forbidden(*_: object) -> Tensor:
        raise AssertionError("not the native operator")

    monkeypatch.setattr(fastconv, "down", forbidden)
    layer, x = FastConv2d(3, 8, 4, 2, 1).to(bf16), torch.randn(2, 3, 8, 8, dtype=bf16)
    with pytest.raises(AssertionError, match="native"):
        layer(x)
    want = nn.Conv2d.forward(layer, x)
    assert torch.equal(torch.jit.trace(layer, x, check_trace=False)(x), want)
    assert torch.equal(torch.export.export(layer, (x,)).module()(x), want)
    torch.func.grad(lambda x: layer(x).float().sum())(x)
    assert torch.func.vmap(layer)(x[:, None]).shape == (2, 1, 8, 4, 4)
    torch.func.jvp(layer, (x,), (x,))


def test_checkpoints_are_ordinary():
    for ours, theirs in layers(4, 8, True):
        assert {k: v.shape for k, v in ours.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }


def test_quicken_changes_speed_and_nothing_else():
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, 1), nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(64, 3, 3, 2, 1)), nn.Conv1d(3, 3, 1)
    )
    fast = copy.deepcopy(plain)
    quicken(fast)
    assert [type(m) for m in (fast[0], fast[1][1], fast[2])] == [FastConv2d, FastConvTranspose2d, nn.Conv1d]
    x = torch.randn(2, 3, 8, 8)
    close(fast[:2](x), plain[:2](x), 1e-6)
    assert fast.state_dict().keys() == plain.state_dict().keys()


def test_the_rule_knows_small_layers():
    """Where the forms differ in speed, the rule takes the faster: 2x2 pixels by patches, 4x4 and 32x32 as they are."""
    calls = []
    for side in (2, 4, 32):
        x = torch.randn(2, 128, side, side, dtype=bf16)
        layer = FastConv2d(128, 64, 3, 1, 1).to(bf16)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forms, "down_by_patches", lambda *a: calls.append(a) or forms.down_native(*a))
            layer(x)
        assert len(calls) == 1


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("geometry", [Geometry(3, 1, 1), Geometry(3, 2, 1), Geometry(5, 1, 2), Geometry(2, 3, 1)])
@pytest.mark.parametrize("channels", [4, 96])
def test_kernel_rows_that_meet_only_padding_have_no_gradient(size, geometry, channels):
    """torch's own operator leaves random memory there."""
    torch.manual_seed(0)
    x = torch.randn(2, channels, size, size)
    for _ in range(5):
        layer = FastConv2d(channels, channels, *geometry)
        with torch.autocast("cpu", bf16):
            layer(x).float().square().sum().backward()
        exact = copy.deepcopy(layer)
        exact.zero_grad()
        exact(x).square().sum().backward()
        close(layer.weight.grad, exact.weight.grad, 0.03)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("size", [3, 8, 20])
def test_an_activation_may_work_in_place(geometry, size):
    for net in (
        nn.Sequential(
            FastConv2d(3, 96, *geometry, bias=False),
            nn.ReLU(True),
            FastConv2d(96, 96, 3, 1, 1, bias=False),
            nn.ReLU(True),
        ),
        nn.Sequential(FastConvTranspose2d(3, 96, *geometry, bias=False), nn.LeakyReLU(0.2, True)),
        nn.Sequential(FastConvTranspose2d(96, 3, *geometry, bias=False), nn.LeakyReLU(0.2, True)),
        nn.Sequential(FastConvTranspose2d(96, 96, *geometry, bias=False), nn.ReLU(True)),
    ):
        x = torch.randn(2, net[0].in_channels, size, size)
        with torch.autocast("cpu", bf16):
            net(x).float().sum().backward()
        assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize(("kernel", "padding"), [(5, 0), (7, 3)])
def test_a_large_kernel_to_few_channels_is_a_convolution_in_any_derivative(kernel, padding):
    torch.manual_seed(0)
    x, w, bias = torch.randn(2, 4, 8, 9).double(), torch.randn(3, 4, kernel, kernel).double(), torch.randn(3).double()
    leaves = [each.requires_grad_() for each in (x.contiguous(memory_format=torch.channels_last), w, bias)]
    found = []
    for form in (lambda x, w, b: down_to_few(x, w, padding, b), lambda x, w, b: F.conv2d(x, w, b, padding=padding)):
        out = form(*leaves)
        slopes = torch.autograd.grad(out.pow(3).sum(), leaves, create_graph=True)
        again = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), leaves)
        found.append((out, *slopes, *again))
    for got, want in zip(*found, strict=True):
        close(got, want, 1e-9)


def test_bfloat16_takes_it_and_rounds_once_more():
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 3, 7)
    x = torch.randn(2, 16, 20, 20).contiguous(memory_format=torch.channels_last)
    exact = layer(x)
    with torch.autocast("cpu", bf16):
        want = layer(x)
        quicken(layer)
        got = layer(x)
    assert got.dtype == want.dtype == bf16
    assert got.grad_fn is not None
    assert not torch.equal(got, want)
    assert (got - exact).abs().mean() < 1.5 * (want - exact).abs().mean(), "one rounding more"
