"""What `evaluate` does with runs and with pictures: which are scored, what is cached, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mezzotint as mz
from mezzotint.core.errors import CapabilityError, ConfigError, DataError
from mezzotint.data.open import open_pictures
from mezzotint.data.types import DataConfig
from mezzotint.engine.model import PictureSpec, build
from mezzotint.metrics.extractor import EXTRACTORS, Extractor, Output
from mezzotint.metrics.frechet import frechet_distance
from mezzotint.metrics.score import ScoreError
from mezzotint.tasks import _features, _sides
from mezzotint.tasks._factors import known_factors
from mezzotint.tasks._translated import ahead, translated
from mezzotint.tasks.evaluate import METRICS, evaluate
from mezzotint.tasks.evaluation import Evaluation, load_scores


class Counting(Extractor):
    """Pixels, with the number of pictures it has seen."""

    name, title, resizer, dims, digest = "counting", "Fréchet distance (counting)", "none", 0, "d" * 64

    def __init__(self) -> None:
        self.seen = 0

    @classmethod
    def open(cls, path: Path | None = None) -> Counting:
        return cls()

    def extract(self, pictures: torch.Tensor) -> Output:
        self.seen += len(pictures)
        features = pictures.flatten(1).float()[:, :12] / 255
        return Output(features, features[:, :3] * 9, (pictures.float(),))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 grey pictures of 12 x 12 in two classes."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for k in range(60):
        place = folder / ("dark" if k % 3 else "light")
        place.mkdir(exist_ok=True)
        pixels = noise.integers(0, 100, (12, 12), np.uint8) + (0 if k % 3 else 100)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{k}.png")
    return folder


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A VAE trained for two rounds, with a test part."""
    out = tmp_path_factory.mktemp("runs") / "vae"
    data = {"validation": 0.2, "test": 0.3}
    return mz.train("vae", photos, steps=2, out=out, settings={"model": {"width": 4}, "data": data}, quiet=True)


@pytest.fixture(scope="module")
def gan(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A conditional DCGAN trained for two rounds, with nothing but a validation part."""
    out = tmp_path_factory.mktemp("runs") / "gan"
    model = {"width": 4, "discriminator_width": 4, "conditional": True}
    return mz.train("dcgan", photos, steps=2, out=out, settings={"model": model, "data": {"size": 12}}, quiet=True)


def test_all_scores_that_can_be_had(run: Any) -> None:
    found = evaluate(run, extractor=Counting())
    names = {each.contract.metric.split(",")[0].removesuffix(" of reconstructions") for each in found}
    assert {"frechet", "kid", "precision", "inception score", "sliced", "diversity", "memorising", "psnr", "ssim",
            "ms-ssim", "perceptual", "likelihood", "mutual information", "kl of q(z|x)",
            "units whose mean varies by more than 0.01"} == names - {"recall", "density", "coverage"}  # fmt: skip
    assert set(found.skipped) == {"accuracy"}, "and not nll, which takes long and was not named"
    assert "classes" in found.skipped["accuracy"]
    for score in found:
        assert score.contract.split == "test"
        assert np.isfinite(score.value)
        assert score.low is None or score.low <= score.high
        assert score.contract.real == run.recipe.summary.fingerprint
        assert score.contract.size == (12, 12, 1)


def test_the_scores_are_those_of_the_test_part_and_of_the_models_own_samples(run: Any) -> None:
    found = evaluate(run, metrics="frechet", extractor=Counting(), seed=5)["Fréchet"]
    real = open_pictures(run.recipe.summary.source, run.recipe.data)
    extractor = Counting()
    x = extractor(_features.to_bytes(real.split("test").pictures)).features
    samples = run.model.sample(len(x), seed=5)
    y = extractor(((samples * 127.5 + 128).floor().clamp(0, 255)).to(torch.uint8)).features
    assert found.value == pytest.approx(frechet_distance(x, y).value, rel=1e-9)
    assert (found.contract.n_real, found.contract.n_fake) == (18, 18)


def test_the_likelihood_by_importance_sampling(run: Any, gan: Any) -> None:
    found = evaluate(run, metrics="likelihood,nll", extractor=Counting())
    bound, nll = found.scores
    assert (nll.unit, nll.better, nll.details["samples"]) == ("nats", "lower", 5000)
    assert nll.contract.metric == "nll, importance sampling, 5,000 samples"
    assert (nll.contract.n_real, nll.contract.split) == (18, "test")
    x = torch.from_numpy(open_pictures(run.recipe.summary.source, run.recipe.data).split("test").pictures)
    x = x.permute(0, 3, 1, 2).float() / 127.5 - 1
    own = run.model.importance_log_likelihood(x, samples=5000, seed=11)
    assert nll.value == pytest.approx(-float(own.mean()), abs=0.2)
    assert nll.low < nll.value < nll.high
    assert nll.high - nll.value == pytest.approx(2.11 * float(own.std()) / 18**0.5, rel=0.05), "Student's t, 17 degrees"
    for score, nats in ((bound, bound.value), (nll, -nll.value)):
        bits = float(run.model.bits_per_dim(torch.tensor([nats])))
        assert score.details["bits_per_value"] == pytest.approx(bits, rel=1e-5)
    with pytest.raises(
        CapabilityError, match=r"a model that marginalises, and dcgan does not \(these do: .*pixelvae, vae\)"
    ):
        evaluate(gan, metrics="nll", extractor=Counting())


def test_disentanglement_is_of_the_codes_and_the_known_factors(run: Any, gan: Any, tmp_path: Path) -> None:
    settings = {"model": {"width": 4, "latent": 3}, "data": {"validation": 0.02}}
    shapes = mz.train("vae", "shapes", steps=2, out=tmp_path / "vae", settings=settings, quiet=True)
    shapes.model.encode = lambda pictures: pictures.mean((2, 3))  # the mean colour: of the ground, mostly
    assert "disentanglement" not in {each.contract.metric for each in evaluate(shapes, metrics="psnr")}
    found = {each.name: each for each in evaluate(shapes, metrics="disentanglement", extractor=Counting())}
    assert set(found) == {
        "mutual information gap",
        "separated attribute predictability",
        "FactorVAE score",
        "DCI disentanglement",
        "DCI completeness",
        "DCI informativeness",
    }
    gap = found["mutual information gap"]
    assert gap.contract.metric.endswith("of shape, colour, size, x, y, rotation, background")
    assert (gap.contract.n_real, gap.contract.split, gap.contract.extractor) == (400, "validation", "none")
    assert set(gap.details) == {"shape", "colour", "size", "x", "y", "rotation", "background"}
    assert max(gap.details, key=lambda name: gap.details[name]) != "rotation"
    with pytest.raises(DataError, match=r"\"disentanglement\" cannot be had: it needs pictures of which two factors"):
        evaluate(run, metrics="disentanglement", extractor=Counting())
    with pytest.raises(CapabilityError, match="a model that encodes, and dcgan does not"):
        evaluate(gan, metrics="disentanglement", extractor=Counting())


def test_factors_are_columns_of_few_values_and_the_class() -> None:
    pictures = open_pictures(np.zeros((6, 8, 8), np.uint8))
    columns = {"mood": np.array(["a", "b", "a", "c", "b", "a"]), "age": np.array([3.0, 1.0, 2.0, 3.0, 1.0, 2.0])}
    columns |= {"glad": np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0]), "same": np.ones(6)}
    columns |= {"part": np.array([0.0, 1.0, np.nan, 0.0, 0.0, 1.0]), "some": np.array(["", "a", "b", "a", "a", "b"])}
    known = replace(pictures, attributes=columns, labels=np.array([0, 0, 1, 1, 0, 1]), classes=("x", "y"))
    found = known_factors(known, np.arange(6))
    assert found is not None
    assert (found.names, found.ordered) == (("mood", "age", "glad", "class"), (False, True, False, False))
    assert found.values[:, 1].tolist() == [2, 0, 1, 2, 0, 1]
    assert known_factors(pictures, np.arange(6)) is None


def test_the_same_twice_and_other_seeds_another(run: Any) -> None:
    first, again, other = (evaluate(run, metrics="kid", extractor=Counting(), seed=s)["KID"] for s in (1, 1, 2))
    assert first == again
    assert first.value != other.value
    with pytest.raises(ScoreError, match="seed is 1 and 2"):
        mz.compare_scores(*(Evaluation("x", 1, (each,)) for each in (first, other)))


def test_one_pass_and_real_features_from_the_cache(run: Any, tmp_path: Path) -> None:
    first = Counting()
    one = evaluate(run, metrics="frechet,kid,prdc,sliced,memorising", extractor=first, cache_dir=tmp_path)
    # 18 real, 18 generated and 30 training pictures, each seen once.
    assert first.seen == 18 + 18 + 30
    second = Counting()
    two = evaluate(run, metrics="frechet,kid,prdc,sliced,memorising", extractor=second, cache_dir=tmp_path)
    assert second.seen == 18
    assert one.scores == two.scores


def test_a_damaged_cache_is_made_again(run: Any, tmp_path: Path) -> None:
    one = evaluate(run, metrics="frechet", extractor=Counting(), cache_dir=tmp_path)
    (file,) = (tmp_path / "features").iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    extractor = Counting()
    assert evaluate(run, metrics="frechet", extractor=extractor, cache_dir=tmp_path).scores == one.scores
    assert extractor.seen == 36


def test_a_cache_that_cannot_be_written_is_no_fault(run: Any, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file in the way")
    assert evaluate(run, metrics="frechet", extractor=Counting(), cache_dir=tmp_path).scores


def test_classes_come_in_the_proportions_of_the_real_set(gan: Any, photos: Path) -> None:
    side = _sides.real_for_run(gan, None, "all", None, 0)
    labels = _sides.fake_labels(gan.model, side, 90, 0)
    assert labels is not None
    assert np.bincount(labels.numpy()).tolist() == [60, 30]
    few = _sides.fake_labels(gan.model, side, 3, 0)
    assert few is not None
    assert sorted(few.tolist()) == [0, 0, 1]


def test_classification_accuracy_of_a_conditional_model(gan: Any) -> None:
    found = evaluate(gan, metrics="accuracy", n=40, extractor=Counting(), split="all")
    (score,) = found
    assert 0 <= score.value <= 1
    assert (score.contract.n_real, score.contract.n_fake) == (40, 40)
    assert any("flatter" in warning for warning in score.warnings)


def test_the_validation_part_where_there_is_no_test_part(gan: Any) -> None:
    assert evaluate(gan, metrics="kid", extractor=Counting())["KID"].contract.split == "validation"


def test_other_pictures_are_used_whole_and_said_to_be_others(run: Any, tmp_path: Path) -> None:
    for k in range(12):
        Image.fromarray(np.full((20, 30, 3), 20 * k, np.uint8)).save(tmp_path / f"{k}.png")
    found = evaluate(run, tmp_path, extractor=Counting())
    assert "memorising" in found.skipped
    assert "not the pictures that the run was trained on" in found.notes[0]
    for score in found:
        assert score.contract.split == "all"
        assert any("flatter" in warning for warning in score.warnings)


def test_training_pictures_are_never_taken_silently(photos: Path, tmp_path: Path) -> None:
    settings = {"model": {"width": 4}, "data": {"validation": 0.0}}
    run = mz.train("vae", photos, steps=1, out=tmp_path / "a", settings=settings, quiet=True)
    with pytest.raises(ConfigError, match="--split train"):
        evaluate(run, extractor=Counting())
    found = evaluate(run, metrics="kid", extractor=Counting(), split="train")
    assert "flatter" in found["KID"].warnings[-1]


def test_pictures_against_pictures(photos: Path, tmp_path: Path) -> None:
    light, dark = photos / "light", photos / "dark"
    found = evaluate(light, dark, extractor="pixels")
    assert found.step is None
    for name in ("psnr", "likelihood"):
        assert "only pictures" in found.skipped[name]
    assert found["precision"].contract.n_fake == 20
    same = evaluate(dark, dark, metrics="frechet,kid", extractor="pixels")
    assert same["Fréchet"].value == pytest.approx(0, abs=1e-6)
    assert same["KID"].value < found["KID"].value


def test_colour_against_grey_is_scored_in_colour(photos: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for k in range(10):
        Image.fromarray(noise.integers(0, 256, (24, 24, 3), np.uint8)).save(tmp_path / f"{k}.png")
    found = evaluate(tmp_path, photos, metrics="kid", extractor="pixels")
    assert found["KID"].contract.size == (24, 24, 3)


def test_scores_are_kept_and_compared(run: Any, tmp_path: Path) -> None:
    a, b = (evaluate(run, metrics="kid,psnr,diversity", extractor=Counting()) for _ in range(2))
    assert load_scores(a.save(tmp_path / "a.json")) == a
    found = mz.compare_scores(tmp_path / "a.json", b)
    assert set(found) == {"KID (counting)", "PSNR of reconstructions", "MS-SSIM within the set"}
    assert found["KID (counting)"].better is None
    with pytest.raises(ScoreError, match="share no score"):
        mz.compare_scores(a, evaluate(run, metrics="likelihood", extractor=Counting()))


def test_a_file_that_holds_no_scores_is_refused(tmp_path: Path) -> None:
    for text, words in (("{", "cannot be read"), ("{}", "does not hold"), ("[]", "does not hold")):
        (tmp_path / "scores.json").write_text(text)
        with pytest.raises(ScoreError, match=words):
            load_scores(tmp_path)
    with pytest.raises(ScoreError, match="is not there"):
        load_scores(tmp_path / "none.json")
    whole = Evaluation("x", 1, (), {}, ()).to_json()
    (tmp_path / "scores.json").write_text(json.dumps(whole | {"step": "many"}))
    with pytest.raises(ScoreError, match="wrong type"):
        load_scores(tmp_path)


@pytest.mark.parametrize("cached", [False, True])
def test_progress_counts_to_the_end(run: Any, tmp_path: Path, cached: bool) -> None:
    if cached:
        evaluate(run, extractor=Counting(), cache_dir=tmp_path)
    steps: list[tuple[int, int]] = []
    evaluate(run, extractor=Counting(), progress=lambda *step: steps.append(step), cache_dir=tmp_path)
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"metrics": "frechet,fid2"}, ConfigError, 'no score "fid2"'),
        ({"metrics": "kid", "split": "tset"}, ConfigError, 'no part "tset"'),
        ({"metrics": "kid", "n": 1}, ConfigError, "at least 2"),
        ({"metrics": "kid", "size": 9}, ConfigError, "leave --size out"),
        ({"metrics": "accuracy"}, DataError, '"accuracy" cannot be had: it needs classes'),
        ({"metrics": "kid", "extractor": "pixel"}, ConfigError, 'did you mean "pixels"'),
        ({"metrics": "inception-score", "extractor": "pixels"}, DataError, "names no classes"),
    ],
)
def test_mistakes_are_answered_in_words(run: Any, options: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        evaluate(run, **{"extractor": "random", **options})


def test_a_model_that_cannot_is_told_of_those_that_can(gan: Any) -> None:
    with pytest.raises(CapabilityError, match=r"dcgan does not \(these do: .*vae"):
        evaluate(gan, metrics="psnr", extractor="pixels")


def test_pictures_need_others_to_be_compared_with(photos: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        evaluate(photos, extractor="pixels")


def test_sixteen_bits_are_brought_to_eight() -> None:
    deep = np.array([0, 128, 129, 257, 65535], np.uint16).reshape(1, 1, 5, 1)
    assert _features.to_bytes(deep).flatten().tolist() == [0, 0, 1, 1, 255]


def test_every_score_names_needs_that_exist() -> None:
    from mezzotint.tasks._case import NEEDS

    for metric in METRICS.values():
        assert set(metric.needs) <= set(NEEDS)
    assert "pixels" in EXTRACTORS
    assert DataConfig().validation > 0


def test_a_run_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no .*gone"):
        evaluate(tmp_path / "gone")
    with pytest.raises(ConfigError, match="need real ones"):
        evaluate(np.zeros((4, 8, 8), np.uint8))


# Translation ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translator(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cyclegan trained for one round, whose ways are then told: light is dark and 100 brighter."""
    out = tmp_path_factory.mktemp("runs") / "cyclegan"
    model = {"width": 4, "critic_width": 4, "blocks": 1, "critic_layers": 1}
    data = {"validation": 0.2, "test": 0.5}
    run = mz.train("cyclegan", photos, steps=1, out=out, settings={"model": model, "data": data}, quiet=True)
    run.model.to_a.forward = lambda x: x - 200 / 255
    run.model.to_b.forward = lambda x: (x + 200 / 255).clamp(max=1)
    return run


def test_translation_is_scored_for_each_domain_before_and_after(translator: Any) -> None:
    extractor = Counting()
    found = evaluate(translator, metrics="translation", extractor=extractor)
    held = open_pictures(translator.recipe.summary.source, translator.recipe.data).split("test")
    assert held.labels is not None
    assert held.classes == ("dark", "light")
    dark, light = (_features.to_bytes(held.pictures[held.labels == k]) for k in (0, 1))
    assert extractor.seen == 2 * len(held), "each once as it is and once translated"
    x, y = (Counting()(side).features for side in (dark, light))
    brighter, darker = ((side.int() + shift).clamp(0, 255).byte() for side, shift in ((dark, 100), (light, -100)))
    wanted = {
        "to dark": (x, Counting()(darker).features),
        "to dark before translation": (x, y),
        "to light": (y, Counting()(brighter).features),
        "to light before translation": (y, x),
    }
    assert [each.name for each in found] == [f"Fréchet distance (counting) {name}" for name in wanted]
    for each, (real, seen) in zip(found, wanted.values(), strict=True):
        assert each.value == pytest.approx(frechet_distance(real, seen).value, rel=1e-6)
        assert (each.contract.n_real, each.contract.n_fake) == (len(real), len(seen))
        assert each.contract.split == "test"
    after, before = found["Fréchet distance (counting) to light"], found.scores[3]
    assert after.value < before.value / 10
    assert (after.better, before.better) == ("lower", "none")


def test_translation_comes_unasked_and_is_said_to_be_lacking(translator: Any, run: Any, photos: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = evaluate(translator, extractor=Counting(), progress=lambda *step: steps.append(step))
    assert len(found.scores) == 4
    assert not {"frechet", "kid", "memorising"} & set(found.skipped), "it is known not to sample"
    assert steps[-1][0] == steps[-1][1]
    with pytest.raises(CapabilityError, match=r"translates, and vae does not \(these do: cyclegan, pix2pix, stargan\)"):
        evaluate(run, metrics="translation", extractor=Counting())
    with pytest.raises(DataError, match=r"two pictures of a domain \(dark, light\) and two that are not of it"):
        evaluate(translator, photos / "dark", metrics="translation", extractor=Counting())


def test_other_pictures_count_by_the_names_of_their_classes(translator: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    for name, count in (("light", 5), ("another", 4), ("dark", 3)):
        (tmp_path / name).mkdir()
        for k in range(count):
            Image.fromarray(noise.integers(0, 256, (12, 12), dtype=np.uint8)).save(tmp_path / name / f"{k}.png")
    found = evaluate(translator, tmp_path, metrics="translation", extractor=Counting())
    assert [(each.contract.n_real, each.contract.n_fake) for each in found] == [(3, 5), (3, 5), (5, 3), (5, 3)]


def test_a_picture_that_gets_a_word_loses_the_other_words_of_its_column() -> None:
    targets = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 0]], np.float32)
    names = ("age=old", "age=young", "hat")
    pictures = open_pictures(np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8))
    known = replace(pictures, targets=targets, target_names=names)
    spec = PictureSpec(1, 8, 8, attributes=names)
    model: Any = build("stargan", {"width": 4, "critic_width": 4, "blocks": 1}, spec).eval()
    old, young, hat = ahead(model, _sides.RealSide(known, "all", np.arange(4), None))
    assert old.to.tolist() == [[1, 0, 1], [1, 0, 0]]
    assert young.to.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert hat.to.tolist() == [[0, 1, 1], [1, 0, 1]]


def test_attributes_are_scored_one_by_one_and_the_others_stay() -> None:
    targets = np.array([[1, 0], [0, 1], [0, np.nan], [1, 1], [np.nan, 0], [0, 0]], np.float32)
    pictures = open_pictures(np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8))
    known = replace(pictures, targets=targets, target_names=("smile", "hat"))
    real = _sides.RealSide(known, "all", np.arange(6), None)
    spec = PictureSpec(1, 8, 8, attributes=("smile", "hat"))
    model: Any = build("stargan", {"width": 4, "critic_width": 4, "blocks": 1}, spec).eval()
    seen: list[Any] = []
    model.read = lambda x: torch.full((len(x), 2), 0.8)
    model.translate = lambda x, to: seen.append(to.tolist()) or x
    smile, hat = ahead(model, real)
    assert (smile.real.tolist(), smile.sources.tolist()) == ([0, 3], [1, 2, 5])
    assert (hat.real.tolist(), hat.sources.tolist()) == ([1, 3], [0, 4, 5])
    features = np.arange(12, dtype=np.float32).reshape(6, 2)
    found = translated(model, real, features, Counting(), 0, lambda done: None)
    assert seen == [[[1, 1], [1, 1], [1, 0]], [[1, 1], [1, 1], [0, 1]]], "what is unknown is read"
    np.testing.assert_array_equal(found[0].before, features[[1, 2, 5]])
    assert ahead(model, _sides.RealSide(pictures, "all", np.arange(6), None)) == []


def test_translations_of_a_model_with_styles_are_in_styles_of_their_own() -> None:
    settings = {"width": 4, "critic_width": 4, "blocks": 1, "styles": 4, "style_noise": 3, "mapping_width": 16}
    model: Any = build("stargan", settings, PictureSpec(1, 8, 8, classes=("a", "b"))).eval()
    pictures = open_pictures(np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8))
    known = replace(pictures, labels=np.array([0, 0, 0, 1, 1, 1]), classes=("a", "b"))
    seen: list[torch.Tensor] = []
    restyle = model.restyle
    model.restyle = lambda x, styles: seen.append(styles) or restyle(x, styles)
    real = _sides.RealSide(known, "all", np.arange(6), None)
    translated(model, real, np.zeros((6, 2), np.float32), Counting(), 5, lambda done: None)
    wanted = model.draw_styles(torch.eye(2)[[0, 0, 0]], 5)
    torch.testing.assert_close(seen[0], wanted)
    assert (wanted[0] - wanted[1]).abs().max() > 0
