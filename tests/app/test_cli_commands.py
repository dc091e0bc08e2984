"""Every command on small data, as a person would use it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mezzotint.app.cli._app import app

SMALL = ["--set", "model.width=4", "--batch-size", "16", "--device", "cpu"]


@pytest.fixture(autouse=True, scope="module")
def _cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEZZOTINT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """24 colour pictures of several sizes."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for k in range(24):
        pixels = noise.integers(0, 256, (20 + k % 3, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"picture-{k}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A VAE after two rounds on the digits."""
    path = tmp_path_factory.mktemp("runs") / "vae"
    result = run("train", "vae", "digits", "--steps", "2", "--out", str(path), "--quiet", *SMALL)
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "gan"
    more = ["--set", "model.discriminator_width=4", "--set", "model.conditional=true"]
    result = run("train", "dcgan", "digits", "--steps", "2", "--out", str(path), "--quiet", *SMALL, *more)
    assert result.exit_code == 0, result.stderr
    return path


def run(*args: str):
    return CliRunner().invoke(app, list(args), prog_name="mezzotint")


def good(*args: str):
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return result


def test_train_says_where_things_are(photos, tmp_path):
    out = tmp_path / "a"
    result = good("train", "dcgan", str(photos), "--size", "16x8", "--flip", "--steps", "2", "--out", str(out), *SMALL)
    for part in ("2 steps", str(out / "samples.png"), f"mezzotint sample {out}", f"mezzotint train --resume {out}"):
        assert part in result.stdout
    config = json.loads((out / "config.json").read_text())
    assert (config["pictures"]["height"], config["pictures"]["width"]) == (16, 8)
    assert config["data"]["settings"]["flip"] is True
    assert config["train"]["batch_size"] == 16


def test_flags_that_are_not_given_leave_the_settings_file_alone(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nsteps = 3\nbatch_size = 8\nseed = 5\n[model]\nwidth = 4\n")
    args = ("train", "vae", "digits", "--config", str(file), "--seed", "7", "--dry-run", "--json")
    train = json.loads(good(*args).stdout)["config"]["train"]
    assert (train["steps"], train["batch_size"], train["seed"]) == (3, 8, 7)


def test_the_settings_of_a_run_are_taken_again(trained):
    """All of them, but what the flags say; the file and the folder are the same."""
    before = json.loads((trained / "config.json").read_text())
    for path in (trained / "config.json", trained):
        args = ("train", "vae", "digits", "--config", str(path), "--seed", "7", "--dry-run", "--json")
        again = json.loads(good(*args).stdout)["config"]
        assert again == {**before, "train": {**before["train"], "seed": 7}}


def test_dry_run_writes_nothing(tmp_path):
    out = tmp_path / "a"
    result = good("train", "vae", "digits", "--steps", "100", "--out", str(out), "--dry-run", *SMALL)
    assert not out.exists()
    for part in ("model.latent", "train.steps", "parameters", "FLOP", "memory", "about"):
        assert part in result.stdout
    assert "auto" not in [line.split()[-1] for line in result.stdout.splitlines() if "train.precision" in line]


def test_dry_run_as_json():
    document = json.loads(good("train", "vae", "digits", "--steps", "10", "--dry-run", "--json", *SMALL).stdout)
    assert document["plan"]["flops"] > 0
    assert document["plan"]["parameters"]
    assert document["seconds"] > 0


def test_resume_goes_on(tmp_path):
    out = str(tmp_path / "a")
    first = json.loads(good("train", "vae", "digits", "--steps", "2", "--out", out, "--json", *SMALL).stdout)
    assert (first["step"], first["model"], first["run"]) == (2, "vae", out)
    assert json.loads(good("train", "--resume", out, "--steps", "4", "--json").stdout)["step"] == 4
    again = good("train", "--resume", out, "--steps", "4")
    assert "has done its 4 steps already" in again.stderr


def test_quiet_is_silent(tmp_path, trained, photos):
    for args in (
        ("train", "vae", "digits", "--steps", "1", "--out", str(tmp_path / "a"), "-q", *SMALL),
        ("sample", str(trained), "-n", "2", "-o", str(tmp_path / "x.png"), "--quiet"),
        ("reconstruct", str(trained), str(photos), "-o", str(tmp_path / "r"), "--quiet"),
        ("data", "check", str(photos), "--size", "8", "--quiet"),
        *(
            (*words, "--quiet")
            for words in (("data", "list"), ("models",), ("models", "vae"), ("doctor",), ("version",))
        ),
    ):
        assert good(*args).output == "", args
    assert json.loads(good("version", "--quiet", "--json").stdout)["mezzotint"]


def test_sample_a_sheet_is_repeatable(trained, tmp_path):
    for name in ("a", "b"):
        good("sample", str(trained), "-n", "9", "--seed", "3", "-o", str(tmp_path / f"{name}.png"))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    good("sample", str(trained), "-n", "9", "--seed", "3", "--truncation", "0.1", "-o", str(tmp_path / "b.png"))
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("how", [["-o", "{}/"], ["-o", "{}", "--single"]])
def test_sample_single_files(trained, tmp_path, how):
    folder = tmp_path / "many"
    args = [part.format(folder) for part in how]
    document = json.loads(good("sample", str(trained), "-n", "5", *args, "--json").stdout)
    assert len(document["files"]) == len(list(folder.glob("*.png"))) == 5
    assert run("sample", str(trained), "-n", "5", *args).exit_code == 2  # they are there already
    good("sample", str(trained), "-n", "5", *args, "--overwrite")


def test_sample_single_files_without_a_folder_go_to_the_run(trained):
    files = json.loads(good("sample", str(trained), "-n", "2", "--seed", "9", "--single", "--json").stdout)["files"]
    assert files == [str(trained / "seed-9" / f"0000{k}.png") for k in range(2)]


def test_sample_interpolations_and_films(trained, tmp_path):
    good("sample", str(trained), "--interpolate", "-n", "10", "--columns", "5", "-o", str(tmp_path / "new" / "i.png"))
    with Image.open(tmp_path / "new" / "i.png") as sheet:
        assert sheet.width > sheet.height
    good("sample", str(trained), "--walk", str(tmp_path / "w.gif"), "--seconds", "0.25")
    with Image.open(tmp_path / "w.gif") as film:
        assert film.n_frames > 1


def test_sample_labels_and_checkpoints(gan, tmp_path):
    out = str(tmp_path / "x.png")
    good("sample", str(gan), "-n", "4", "--label", "3,7", "--checkpoint", "2", "-o", out)
    assert run("sample", str(gan), "--checkpoint", "9", "-o", out).exit_code == 4
    assert run("sample", str(gan), "--label", "eleven", "-o", out).exit_code == 2


def test_sample_without_an_output_goes_to_the_run_folder(trained):
    assert str(trained / "grid-seed-4.png") in good("sample", str(trained), "-n", "2", "--seed", "4").stdout
    assert (trained / "grid-seed-4.png").exists()


def test_reconstruct(trained, photos, tmp_path):
    document = json.loads(good("reconstruct", str(trained), str(photos), "-o", str(tmp_path / "r"), "--json").stdout)
    assert document["count"] == 24
    assert len(list((tmp_path / "r").glob("picture-*.png"))) == 24
    assert "PSNR" in good("reconstruct", str(trained), str(photos), "-o", str(tmp_path / "s")).stdout


@pytest.mark.parametrize("pairs", [("7", "1.5", "3", "-2"), ("7=1.5", "3=-2")])
def test_edit_takes_attributes_with_amounts(trained, tmp_path, pairs):
    step = 2 if len(pairs) == 4 else 1
    adds = [part for k in range(0, len(pairs), step) for part in ("--add", *pairs[k : k + step])]
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "one.png")
    made = good("edit", str(trained), str(tmp_path / "one.png"), "-o", str(tmp_path / "out"), *adds, "--json")
    assert json.loads(made.stdout)["add"] == {"7": 1.5, "3": -2.0}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["grid.png", "one.png", "scores.json"]


@pytest.mark.parametrize(
    ("adds", "said"),
    [
        (("--add", "7"), '"7" has no amount that is a number'),
        (("--add", "ten", "1"), 'no attribute "ten"'),
        (("--add", "7", "much"), '"7=much" has no amount that is a number'),
    ],
)
def test_edit_says_what_is_wrong(trained, tmp_path, adds, said):
    result = run("edit", str(trained), "digits", "-o", str(tmp_path / "out"), *adds)
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_export_for_the_hub(trained, tmp_path):
    document = json.loads(good("export", str(trained), "--hub", str(tmp_path / "hub"), "--json").stdout)
    assert document["hub"] == str(tmp_path / "hub")
    assert (tmp_path / "hub" / "model.safetensors").exists()


def test_export_onnx(gan, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    file = tmp_path / "out.onnx"
    assert good("export", str(gan), "--onnx", str(file)).stdout.strip() == str(file)
    assert file.stat().st_size > 1000


def test_data_check(photos):
    said = good("data", "check", str(photos), "--size", "16").stdout
    assert "usable pictures" in said
    assert "MiB of memory" in said
    found = json.loads(good("data", "check", str(photos), "--size", "16", "--json").stdout)
    assert found["training"].startswith("Training dcgan (5,000 steps of 64 at 16 x 16)")
    assert found["memory_bytes"] > 10**6
    assert found["seconds"] > 0
    without = json.loads(good("data", "check", str(photos), "--size", "16", "--json", "--model", "none").stdout)
    assert without["seconds"] is None


def test_data_list():
    assert "CC BY 4.0" in good("data", "list").stdout
    assert {entry["name"] for entry in json.loads(good("data", "list", "--json").stdout)} >= {"digits", "shapes"}


def test_models():
    assert "dcgan" in good("models").stdout
    known = {entry["name"]: entry for entry in json.loads(good("models", "--json").stdout)}
    assert "samples" in known["dcgan"]["capabilities"]
    assert "Radford" in known["dcgan"]["paper"]


def test_one_model_with_its_settings():
    shown = good("models", "dcgan").stdout
    assert "model.latent" in shown
    assert "train.batch_size" in shown
    settings = {entry["name"]: entry for entry in json.loads(good("models", "dcgan", "--json").stdout)["settings"]}
    assert settings["latent"]["default"] == 100
    assert settings["latent"]["range"]


def test_doctor():
    assert good("doctor").stdout.strip()
    assert isinstance(json.loads(good("doctor", "--json").stdout), dict)


def test_names_of_any_kind(photos, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "-run 🎨\nnew"
    trained.rename(odd)
    try:
        result = good("sample", "-n", "2", "-o", "a\nb.png", "--", odd.name)
        assert result.stdout == "a\\nb.png\n"
        assert json.loads(good("sample", "-n", "2", "-o", "a\nb.png", "--json", "--", odd.name).stdout)["files"] == [
            "a\nb.png"
        ]
    finally:
        odd.rename(trained)


def test_evaluate_a_run_keeps_its_scores(trained):
    args = ("evaluate", str(trained), "--extractor", "pixels", "--metrics", "kid,psnr", "-n", "50")
    result = good(*args)
    for part in ("KID (pixels)", "PSNR of reconstructions", "dB", "95 % interval", str(trained / "scores.json")):
        assert part in result.stdout
    document = json.loads(good(*args, "--json").stdout)
    assert document == json.loads((trained / "scores.json").read_text())
    assert [score["name"] for score in document["scores"]] == ["KID (pixels)", "PSNR of reconstructions"]


def test_a_sampler_draws_and_is_scored_beside_the_prior(trained, tmp_path):
    flow = tmp_path / "flow"
    small = ["--set", "model.layers=2", "--set", "model.hidden=[16]", "--batch-size", "16", "--device", "cpu"]
    good("train", "maf", str(trained), "--steps", "2", "--out", str(flow), "--quiet", *small)
    good("sample", str(trained), "--sampler", str(flow), "-n", "4", "-o", str(tmp_path / "a.png"))
    good("sample", str(trained), "-n", "4", "-o", str(tmp_path / "b.png"))
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()
    made = good("evaluate", str(trained), "--sampler", str(flow), "--metrics", "sliced", "--json")
    assert json.loads((trained / "scores-flow.json").read_text()) == json.loads(made.stdout)
    result = run("evaluate", str(tmp_path / "a.png"), "--data", "digits", "--sampler", str(flow))
    assert "--sampler draws for a run" in result.stderr


def test_evaluate_says_once_what_belongs_to_several_scores(trained):
    result = good("evaluate", str(trained), "--extractor", "random", "--metrics", "prdc", "-n", "60")
    assert result.stderr.count("60 pictures are few") == 1
    assert "precision (random), recall (random)" in result.stderr


def test_evaluate_pictures_against_pictures(photos, tmp_path):
    out = tmp_path / "there" / "scores.json"
    args = ("evaluate", str(photos), "--data", str(photos), "--size", "16", "--extractor", "random")
    result = good(*args, "-o", str(out))
    assert "Left out: psnr" in result.stdout
    assert json.loads(out.read_text())["step"] is None
    assert good(*args, "--quiet").output == ""


def test_evaluate_a_folder_that_is_no_run_needs_data(photos):
    result = run("evaluate", str(photos), "--extractor", "random")
    assert result.exit_code == 2
    assert "--data" in result.stderr
