"""What follows from the pictures of a set, their headers and their twins, and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mezzotint.data._report import SHOWN, Leak, counted
from mezzotint.data.decode import Header
from mezzotint.data.types import SPLITS, DataConfig, PictureSet

_USUAL_MODES = {"L", "RGB", "RGBA"}
_FEW = 500


@dataclass
class Findings:
    """What follows from the pictures, their headers and their twins. Groups hold rows."""

    pictures: PictureSet
    headers: Sequence[Header]
    exact: Sequence[Sequence[int]]
    near: Sequence[Sequence[int]]
    twins: Sequence[Sequence[int]]
    blank: NDArray[np.bool_]
    part: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.part = ["train"] * len(self.pictures)
        for name, rows in self.pictures.splits.items():
            for row in rows.tolist():
                self.part[row] = name

    def named(self, groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(self.pictures.names[row] for row in group) for group in groups)

    def classes(self) -> tuple[dict[str, int], int]:
        labels = self.pictures.labels
        if labels is None:
            return {}, 0
        known = np.bincount(labels[labels >= 0], minlength=len(self.pictures.classes)).tolist()
        return dict(zip(self.pictures.classes, known, strict=True)), int((labels < 0).sum())

    def contradictions(self) -> list[Sequence[int]]:
        labels = self.pictures.labels
        if labels is None:
            return []
        return [group for group in self.twins if len({int(labels[i]) for i in group if labels[i] >= 0}) > 1]

    def leaks(self) -> tuple[Leak, ...]:
        names, found = self.pictures.names, []
        for group in self.twins:
            # A leak is told from the side of the part that must stay unseen.
            ordered = sorted(group, key=lambda row: SPLITS.index(self.part[row]))
            first = ordered[0]
            found += [
                Leak(names[row], self.part[row], names[first], self.part[first])
                for row in ordered[1:]
                if self.part[row] != self.part[first]
            ]
        return tuple(found)

    def advice(self, config: DataConfig, grey: bool) -> list[str]:
        """Sentences on what to do, the most important first."""
        said, count = [], len(self.pictures)
        leaks, contradictions = self.leaks(), self.contradictions()
        if leaks:
            said.append(
                f"{_are(len(leaks), 'held-out picture')} also in another part ({leaks[0].name} is {leaks[0].twin}), "
                "which makes scores too good: remove the copies, or keep them together with a group column."
            )
        if contradictions:
            pair = " and ".join(self.pictures.names[row] for row in contradictions[0][:2])
            said.append(f"{_are(len(contradictions))} in two classes at once ({pair}): decide for one.")
        copies = sum(len(group) - 1 for group in self.twins)
        if copies > 0.01 * count:
            said.append(f"{_are(copies)} there more than once, which a model learns by heart: remove the copies.")
        if self.pictures.bad:
            said.append(f"{_plural(len(self.pictures.bad), 'file')} cannot be used: save them again, or remove them.")
        if self.blank.any():
            name = self.pictures.names[int(self.blank.argmax())]
            said.append(f"{_are(int(self.blank.sum()))} of one colour only, such as {name}: remove what shows nothing.")
        if count < _FEW:
            said.append(f"{_are(count)} few: expect copies of them from a GAN, and watch the neighbours shown.")
        return said + self._class_advice() + self._format_advice(config, grey)

    def _class_advice(self) -> list[str]:
        classes, _ = self.classes()
        said = [f'The class "{name}" has no picture.' for name, n in classes.items() if n == 0][:SHOWN]
        held = {name: n for name, n in classes.items() if n}
        if len(held) > 1:
            most, least = max(held, key=held.__getitem__), min(held, key=held.__getitem__)
            if held[most] > 5 * held[least]:
                said.append(
                    f'The class "{most}" has {held[most]:,} pictures and "{least}" {held[least]:,}: '
                    "rare classes will be learnt badly, so collect more of them."
                )
        return said

    def _format_advice(self, config: DataConfig, grey: bool) -> list[str]:
        said = []
        modes = Counter(h.mode for h in self.headers)
        odd = {mode: n for mode, n in modes.most_common() if mode not in _USUAL_MODES}
        if odd:
            said.append(f"Some files have unusual modes ({counted(odd)}); they were converted, so look at a few.")
        films = [h.frames for h in self.headers if h.frames > 1]
        if films and config.frames == "first":
            said.append(
                f"{_plural(len(films), 'file')} of several frames ({sum(films):,} in all) gave the first one only: "
                "--set data.frames=all takes them all."
            )
        if modes["L"] and modes["RGB"] and self.pictures.shape[0] >= 3:
            said.append(f"{_are(modes['L'])} grey among colour ones: use --set data.mode=grey if colour is no matter.")
        if grey and self.pictures.shape[0] >= 3:
            said.append(
                "All pictures are grey although they have colour channels: --set data.mode=grey takes a third of the "
                "memory."
            )
        if self.headers:
            _, height, width = self.pictures.shape
            small = sum(h.height < height or h.width < width for h in self.headers)
            if small > 0.05 * len(self.headers):
                said.append(f"{_are(small)} smaller than {height} x {width}, and enlarged: take a smaller --size.")
            cut = 1 - median(_kept(h, height / width) for h in self.headers)
            if config.fit == "crop" and cut > 0.2:
                said.append(f"Cropping loses {100 * cut:.0f} % of the median picture: --fit pad would keep it all.")
        return said


def _kept(header: Header, ratio: float) -> float:
    """The share of a picture that is left when it is cropped to height / width = `ratio`."""
    own = header.height / header.width
    return min(own, ratio) / max(own, ratio)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _are(count: int, noun: str = "picture") -> str:
    return f"{_plural(count, noun)} {'is' if count == 1 else 'are'}"
