"""The autoregressive prior: causality by its gradients, and one place at a time as all at once."""

from __future__ import annotations

import pytest
import torch

from mezzotint.nn.pixelcnn import PixelCNN


def made(books: int = 2, classes: int = 0) -> PixelCNN:
    torch.manual_seed(0)
    return PixelCNN(5, books, width=24, layers=4, classes=classes).double()


@pytest.mark.parametrize("books", [1, 2])
def test_a_code_depends_on_all_codes_before_it_and_on_no_other(books: int) -> None:
    """The field of view of four layers covers a 3 x 4 map."""
    net, size = made(books), (3, 4)
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(5, (1, *size, books), generator=generator)
    base = net(codes).flatten(1, 3)
    for place in range(base.shape[1]):
        changed = codes.flatten().clone()
        changed[place] = (changed[place] + 1) % 5
        moved = (net(changed.view_as(codes)).flatten(1, 3) - base).abs().amax(-1)[0] > 0
        assert not moved[: place + 1].any()
        assert moved[place + 1 :].all()


@pytest.mark.parametrize(("books", "classes"), [(1, 0), (2, 3)])
def test_walking_gives_what_forward_gives(books: int, classes: int) -> None:
    net, size, n = made(books, classes), (4, 3), 5
    labels = torch.arange(n) % classes if classes else None
    generator = torch.Generator().manual_seed(1)
    wanted = torch.randint(5, (n, *size, books), generator=generator)
    seen = torch.zeros(n, wanted[0].numel(), 5, dtype=torch.float64)

    def choose(logits: torch.Tensor, place: int) -> torch.Tensor:
        seen[:, place] = logits.detach()
        return wanted.flatten(1)[:, place]

    assert torch.equal(net.walk(size, choose, n, labels), wanted)
    torch.testing.assert_close(seen, net(wanted, labels).flatten(1, 3), rtol=1e-9, atol=1e-12)


def test_it_learns_how_codes_follow_each_other() -> None:
    """Maps in which each code is the one to its left, or above at the edge, plus one: but for the first it is known."""
    torch.manual_seed(0)
    net = PixelCNN(4, width=16, layers=2)
    generator = torch.Generator().manual_seed(0)
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    steps = torch.arange(3)[:, None] + torch.arange(4)[None]
    for _ in range(250):
        first = torch.randint(4, (32, 1, 1), generator=generator)
        codes = ((first + steps) % 4)[..., None]
        loss = torch.nn.functional.cross_entropy(net(codes).flatten(0, 3), codes.flatten())
        adam.zero_grad()
        loss.backward()
        adam.step()
    exact = torch.tensor(4.0).log() / 12  # nats a code: the first of twelve is any of four
    assert exact * 0.95 < loss < exact * 1.1
