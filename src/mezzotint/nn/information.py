"""What two guesses at the kind of the same thing tell of each other."""

from __future__ import annotations

from torch import Tensor


def shared_information(one: Tensor, other: Tensor) -> Tensor:
    """The mutual information [] in nats of two categorical guesses at each of N things (Ji et al. 2019, eqs. 2 and 3).

        P = 1/N sum_n one_n other_n^T,  made symmetric,      I = sum_kl P_kl (log P_kl - log P_k - log P_l)

    It is largest, log K, where both guesses are certain, always the same, and all kinds are equally frequent.

    Args:
        one, other: probabilities of K kinds [N, K]; row n of both is of the same thing.

    Example:
        >>> import torch
        >>> certain = torch.eye(4)
        >>> shared_information(certain, certain).exp().item(), shared_information(certain, certain * 0 + 0.25).item()
        (4.0, 0.0)
    """
    joint = one.float().mT @ other.float() / len(one)
    joint = ((joint + joint.mT) / 2).clamp(min=1e-12)
    alone = joint.sum(0)
    return (joint * (joint.log() - alone.log()[:, None] - alone.log())).sum()
