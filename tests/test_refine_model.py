"""The refiner's network: what its outputs depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch, the extra `refine`")

from infgram.errors import InvalidParameter
from infgram.refine.network.masks import draw_masks
from infgram.refine.network.model import SIZES, Refiner, Shape
from infgram.refine.network.muon import Muon, orthogonal

TINY = Shape(width=16, n_layers=2, n_heads=2, n_detector_layers=1)


@pytest.fixture
def network() -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = Refiner(7, TINY)
    with torch.no_grad():
        for param in network.parameters():
            param.normal_(std=0.3)
    return network.eval()


def codes(*shape: int) -> Any:
    return torch.from_numpy(np.random.default_rng(2).integers(0, 8, shape))


def test_sizes_have_the_parameters_they_claim() -> None:
    counts = {
        name: sum(
            p.numel() for n, p in Refiner(65, shape).named_parameters() if "detector" not in n
        )
        for name, shape in SIZES.items()
    }
    assert 0.82e6 < counts["nano"] < 0.87e6
    assert 10.5e6 < counts["base"] < 11e6


def test_some_places_have_the_logits_of_all(network: Any) -> None:
    rows = codes(3, 11)
    places = torch.tensor([[0, 5], [10, 10], [3, 2]])
    expected = network(rows).gather(1, places[..., None].expand(-1, -1, 7))
    torch.testing.assert_close(network.at(rows, places), expected)


def test_every_place_is_seen_from_every_other(network: Any) -> None:
    rows = codes(1, 9)
    before = network(rows)
    for at in range(9):
        other = rows.clone()
        other[0, at] = (other[0, at] + 1) % 8
        assert ((network(other) - before).abs().amax(-1) > 1e-6).all()


def test_rows_of_a_batch_do_not_see_each_other(network: Any) -> None:
    rows = codes(4, 9)
    alone = torch.cat([network(row[None]) for row in rows])
    torch.testing.assert_close(network(rows), alone)


def test_the_detector_begins_as_the_trunks_upper_layers(network: Any) -> None:
    network.begin_detector()
    rows = codes(2, 9)
    states, rotation = network.trunk(rows, 1)
    torch.testing.assert_close(network.detector[0](states, rotation), network.trunk(rows)[0])


def test_the_detector_leaves_the_trunk_alone(network: Any) -> None:
    network.detect(codes(2, 9)).sum().backward()
    trained = {name.split(".")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert trained == {"detector", "detector_head"}


@pytest.mark.parametrize("changes", [{"n_heads": 3}, {"n_detector_layers": 3}])
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match="no shape"):
        Refiner(7, replace(TINY, **changes))


@pytest.mark.parametrize("shape", [(2, 8, 8), (1, 8, 24), (3, 24, 8)])
def test_orthogonal_matrices_keep_directions_and_even_out_lengths(
    shape: tuple[int, int, int],
) -> None:
    torch.manual_seed(1)
    matrices = torch.randn(shape)
    made = orthogonal(matrices)
    values = torch.linalg.svdvals(made)
    assert values.min() > 0.3 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    assert ((made * (u @ v)).sum(dim=(1, 2)) > 0.8 * min(shape[1:])).all()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="needs torch 2.9, which has Muon")
@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (16, 8)])
def test_muon_does_what_torchs_does(shape: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.zeros(shape)) for _ in range(2))
    for optimizer in (
        Muon([ours], lr=0.1, momentum=0.95),
        torch.optim.Muon([theirs], 0.1, weight_decay=0),
    ):
        rng.manual_seed(0)
        for _ in range(3):
            for parameter in optimizer.param_groups[0]["params"]:
                parameter.grad = torch.randn(shape, generator=rng)
            optimizer.step()
    assert (ours - theirs).norm() < 0.02 * theirs.norm()  # which is in bfloat16


def test_muon_steps_do_not_depend_on_a_gradients_size() -> None:
    torch.manual_seed(1)
    gradient, start = torch.randn(6, 4), torch.randn(6, 4)
    found = []
    for scale in (1.0, 100.0):
        param = torch.nn.Parameter(start.clone())
        param.grad = scale * gradient
        Muon([param], lr=0.1, momentum=0.9).step()
        found.append(param.detach())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    assert not torch.equal(found[0], start)


def test_masks_hide_the_share_they_are_drawn_for() -> None:
    rng = np.random.default_rng(1)
    masks = np.concatenate([draw_masks(64, 200, rng) for _ in range(20)])
    shares = masks.mean(axis=1)
    assert (masks.sum(axis=1) > 0).all()
    assert 0.36 < shares.mean() < 0.46  # 7/8 of 0.39 and 1/8 of 0.875, less the prefixes
    assert (shares < 0.1).mean() > 0.05 and (shares > 0.75).mean() > 0.05


@pytest.mark.parametrize("n", [1, 2, 5])
def test_rows_as_short_as_a_token_have_a_hidden_place(n: int) -> None:
    masks = draw_masks(200, n, np.random.default_rng(1))
    assert masks.shape == (200, n) and masks.any(axis=1).all()
