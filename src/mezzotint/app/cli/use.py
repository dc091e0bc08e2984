"""`mezzotint sample`, `reconstruct` and `export`: what one does with a trained model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mezzotint.app.cli._answer import safe
from mezzotint.app.cli._common import DeviceOption, JsonFlag, QuietFlag, Voice, complete_source, examples
from mezzotint.core.errors import ConfigError

if TYPE_CHECKING:
    from mezzotint.tasks.reconstruct import Reconstructions
    from mezzotint.tasks.run import Run

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a training.")]
PicturesArgument = Annotated[
    str,
    typer.Argument(
        metavar="PICTURES", help="One picture, a folder, an archive or a named set.", autocompletion=complete_source
    ),
]
CheckpointOption = Annotated[
    str, typer.Option("--checkpoint", metavar="WHICH", help="latest, best, or the number of a step.")
]
SamplerOption = Annotated[
    Path | None,
    typer.Option("--sampler", metavar="RUN", help="A run trained on the codes of this one, which draws them."),
]
PathOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="PATH",
        help="A picture file for one sheet, a folder/ for single files, a .csv for rows; within RUN when left out.",
    ),
]
WalkOption = Annotated[
    Path | None, typer.Option("--walk", metavar="FILE", help="A film, .gif, .mp4 or .webm, of a walk in a circle.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "sample",
        epilog=examples(
            "mezzotint sample runs/a -n 64 --seed 3 -o grid.png",
            "mezzotint sample runs/a -n 1000 -o pictures/",
            "mezzotint sample runs/a --interpolate -o way.png",
            "mezzotint sample runs/a --walk walk.gif",
            "mezzotint sample runs/a --code c0=3 --code c1=-1.5 -o threes.png",
            "mezzotint sample runs/vae --sampler runs/maf -n 64 -o grid.png",
            "mezzotint sample runs/a --label cat,dog --truncation 0.7 --checkpoint best -o pets.png",
        ),
    )(sample)
    app.command(
        "reconstruct",
        epilog=examples(
            "mezzotint reconstruct runs/vae pictures/ -o out/",
            "mezzotint reconstruct runs/vae photo.jpg -o out/ --json",
        ),
    )(reconstruct)
    app.command(
        "export",
        epilog=examples(
            "mezzotint export runs/a --onnx out.onnx",
            "mezzotint export runs/vae --onnx folder/ --what encode,decode",
            "mezzotint export runs/a --hub folder/ --license cc-by-4.0",
            "mezzotint export runs/a --push name/model",
        ),
    )(export)


def sample(
    run: RunArgument,
    n: Annotated[int, typer.Option("-n", "--number", help="How many pictures.")] = 64,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same pictures.")] = 0,
    out: PathOption = None,
    single: Annotated[bool, typer.Option("--single", help="Save each picture as a file of its own.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace single files that are there.")] = False,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="A sheet whose rows go from one picture to another.")
    ] = False,
    walk: WalkOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="With --walk: length of the film; 6 if left out.")
    ] = None,
    columns: Annotated[int | None, typer.Option("--columns", help="Pictures in a row of the sheet.")] = None,
    truncation: Annotated[
        float, typer.Option("--truncation", help="Below 1: more typical pictures, less variety.")
    ] = 1.0,
    label: Annotated[
        str | None, typer.Option("--label", "--labels", help="Classes by name or number, such as cat or 0,1,2 or all.")
    ] = None,
    code: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="NAME=NUMBER", help="Give all pictures this code, such as c0=3; repeatable."),
    ] = None,
    sampler: SamplerOption = None,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Draw new pictures.

    A sheet, single files, interpolations or a film of a walk.
    """
    if walk is not None and (out is not None or single or interpolate):
        raise ConfigError(
            "--walk names its own file and makes only the film; leave -o, --single and --interpolate out."
        )
    if single and interpolate:
        raise ConfigError("--interpolate makes one sheet; leave --single out.")
    if seconds is not None and walk is None:
        raise ConfigError("--seconds is the length of a film; name the film with --walk walk.gif, or leave it out.")
    voice = Voice(json, quiet)
    with voice.working():
        opened = open_run(voice, run, checkpoint, device, sampler)
        from mezzotint.tasks import sample as task
        from mezzotint.tasks._codes import parse_codes

        same: dict[str, Any] = {"labels": label, "truncation": truncation, "codes": parse_codes(code or ())}
        whole = Path(opened.model.spec.meaning.one_file or "grid.png")
        named = f"seed-{seed}" if single else f"{whole.stem}-seed-{seed}{whole.suffix}"
        target = out if out is not None else str(run / named)
        if walk is not None:
            length = 6.0 if seconds is None else seconds
            files = [task.walk_film(opened, walk, seed=seed, seconds=length, **same)]
        elif interpolate:
            files = [_interpolate(opened, n, seed, Path(target), columns, same)]
        else:
            files = task.sample_to(
                opened,
                n,
                seed,
                out=target,
                single=single or _names_folder(target),
                overwrite=overwrite,
                columns=columns,
                **same,
            )
    _report(voice, opened, files)


def _interpolate(run: Run, n: int, seed: int, out: Path, columns: int | None, same: dict[str, Any]) -> Path:
    from mezzotint.core import atomic
    from mezzotint.data.output import save_picture
    from mezzotint.tasks.sample import interpolate

    steps = 8 if columns is None else columns
    sheet = interpolate(run, seed, steps, max(1, n // max(1, steps)), **same)
    with atomic.explained(out.parent):
        out.parent.mkdir(parents=True, exist_ok=True)
    save_picture(out, sheet)
    return out


def open_run(voice: Voice, path: Path, checkpoint: str, device: str, sampler: Path | None = None) -> Run:
    """The run, with what is to be said about it said."""
    from mezzotint.tasks.run import load

    which = int(checkpoint) if checkpoint.isascii() and checkpoint.isdecimal() else checkpoint
    run = load(path, which, device, sampler)  # type: ignore[arg-type]  # other words are refused there
    for warning in run.warnings:
        voice.tell(warning)
    return run


def _names_folder(text: str) -> bool:
    return text.endswith(("/", os.sep))


def _report(voice: Voice, run: Run, files: Sequence[Path]) -> None:
    document = {"run": str(run.path), "model": run.recipe.name, "step": run.step, "files": [str(f) for f in files]}
    what = str(files[0]) if len(files) == 1 else f"{len(files):,} pictures in {files[0].parent}"
    voice.result(document, lambda console: console.print(safe(what), soft_wrap=True))


def tell_left_out(voice: Voice, made: Any) -> None:
    """What is to be said of pictures that were read: notes, and those that could not be."""
    for note in made.notes:
        voice.tell(note)
    for bad in made.left_out:
        voice.tell(f"{bad.path} was left out: it {bad.reason}.")


def written(voice: Voice, run: Run, made: Reconstructions, said: str, **more: Any) -> None:
    """Answer with the folder of pictures that was written."""
    document = {"run": str(run.path), "step": run.step, "out": str(made.out), **more, **made.to_json()}
    voice.result(document, lambda console: console.print(safe(said), soft_wrap=True))


def reconstruct(
    run: RunArgument,
    pictures: PicturesArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
    checkpoint: CheckpointOption = "latest",
    device: DeviceOption = "auto",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Give pictures back as a model sees them.

    scores.json says how near each comes, in decibels of PSNR.
    """
    from mezzotint.tasks.reconstruct import reconstruct as task

    voice = Voice(json, quiet)
    with voice.working():
        opened = open_run(voice, run, checkpoint, device)
        with voice.progress("Reconstructing") as progress:
            made = task(opened, pictures, out, overwrite=overwrite, progress=progress, tell=voice.tell)
        tell_left_out(voice, made)
    said = f"{len(made.files):,} pictures in {made.out}; PSNR {made.mean:.2f} dB on average, each in scores.json."
    written(voice, opened, made, said)


def export(
    run: RunArgument,
    onnx: Annotated[
        Path | None, typer.Option("--onnx", metavar="PATH", help="Write a file.onnx, or several to a folder.")
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(
            "--what",
            help="With --onnx: generate, encode, decode, discriminate, indices, from_indices. A file takes generate.",
        ),
    ] = None,
    hub: Annotated[
        Path | None, typer.Option("--hub", metavar="FOLDER", help="Write a folder in the layout of the hub.")
    ] = None,
    push: Annotated[str | None, typer.Option("--push", metavar="NAME/MODEL", help="Upload to Hugging Face.")] = None,
    public: Annotated[bool, typer.Option("--public", help="With --push: let everybody see a new one.")] = False,
    license: Annotated[
        str | None, typer.Option("--license", help="With --hub and --push: such as cc-by-4.0, for the card.")
    ] = None,
    checkpoint: CheckpointOption = "latest",
    json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a model as ONNX or for the hub.

    The hub is that of Hugging Face; nothing is uploaded without --push.
    """
    if onnx is None and hub is None and push is None:
        raise ConfigError("Say where to: --onnx out.onnx, --hub folder/ or --push name/model.")
    voice = Voice(json, quiet)
    document: dict[str, Any] = {}
    with voice.working():
        opened = open_run(voice, run, checkpoint, "cpu")
        document |= {"run": str(opened.path), "step": opened.step}
        if onnx is not None:
            document["onnx"] = _export_onnx(opened, onnx, what)
        if hub is not None:
            from mezzotint.tasks.hub import save_pretrained

            document["hub"] = str(save_pretrained(opened, hub, license=license))
        if push is not None:
            from mezzotint.tasks.hub import push_to_hub

            document["pushed"] = push_to_hub(opened, push, private=not public, license=license)
    lines = [str(about["file"]) for about in document.get("onnx", {}).values()]
    lines += [document[key] for key in ("hub", "pushed") if key in document]
    voice.result(document, lambda console: console.print("\n".join(map(safe, lines)), soft_wrap=True))


def _export_onnx(run: Run, out: Path, what: str | None) -> dict[str, Any]:
    from mezzotint.engine.capabilities import capabilities
    from mezzotint.tasks.export import export_onnx

    if what is not None:
        return export_onnx(run, out, what=[word.strip() for word in what.split(",")])
    # One file holds one function: what most people want of a model that samples is its samples.
    one = out.suffix.lower() == ".onnx" and not out.is_dir() and "samples" in capabilities(run.model)
    return export_onnx(run, out, what="generate" if one else None)
