"""The model card of a model that is handed on: the README.md of its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mezzotint.engine.capabilities import capabilities
from mezzotint.engine.recipe import Recipe


def hub_card(run: Any, license: str | None, tags: Sequence[str], title: str, pictured: bool) -> str:
    """The text of the card: what it is, how to use it, what it was trained on, and under which licence."""
    recipe: Recipe = run.recipe
    model, spec, data = run.model, recipe.spec, recipe.summary
    words = list(dict.fromkeys(["mezzotint", recipe.name, *tags]))
    kind = {1: "grey", 2: "grey with alpha", 3: "colour", 4: "colour with alpha"}[spec.channels]
    can = capabilities(model)
    use = {"samples": "pictures = pretrained.model.sample(16, seed=3)  # [16, C, H, W] in [-1, 1]"}
    rights = f"Licence: {license}." if license else "The licence is not known: ask the author before you use it."
    lines = [
        "---",
        "library_name: mezzotint",
        f"license: {license or 'unknown'}",
        *(["pipeline_tag: unconditional-image-generation"] if "samples" in can else []),
        "tags:",
        *(f"- {json.dumps(word)}" for word in words),
        "---",
        "",
        f"# {title}",
        "",
        *(["![samples](samples.png)", ""] if pictured else []),
        f"{model.summary} {model.paper}.",
        "",
        "## Use it",
        "",
        "```python",
        "from mezzotint.tasks.hub import from_pretrained",
        "",
        f'pretrained = from_pretrained("{title}")',
        *(use[name] for name in can if name in use),
        "```",
        "",
        f"It {', '.join(can)}.",
        "",
        "## Trained on",
        "",
        f"{data.count:,} {kind} pictures of {spec.height} x {spec.width} pixels, {data.train:,} of them to train"
        + (f", in {len(spec.classes)} classes." if spec.classes else "."),
        "All settings are in `config.json`.",
        "",
        "## Limits and rights",
        "",
        f"{rights} The model knows only what it was trained on, may repeat training pictures, and has their biases.",
        "",
    ]
    return "\n".join(lines)
