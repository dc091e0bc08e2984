"""The report: every section of a real run's page, hostile names, damaged records, the command, the curves."""

from __future__ import annotations

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import mezzotint as mz
from mezzotint.app.cli._app import app
from mezzotint.core.errors import ConfigError
from mezzotint.data.output import grid
from mezzotint.tasks.report import write_report
from mezzotint.tasks.report._charts import Series, chart, smooth, ticks, whiskers
from mezzotint.tasks.report._command import command, place
from mezzotint.tasks.report._html import Html, escape, tag
from mezzotint.tasks.report._images import ungrid
from mezzotint.tasks.report._records import read_diagnosis, read_log

EVIL = '<img src=x onerror=alert(1)>"&amp; \u202egnp'
SECTIONS = {
    "diagnosis", "scores", "samples", "film", "interpolations", "traversals", "neighbours", "reconstructions", "curves",
    "settings", "data", "again",
}  # fmt: skip


class Page(HTMLParser):
    """What a page holds: elements with their attributes, sections with their text, whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.open: list[str] = []
        self._section = "head"
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        assert len(values) == len(attributes)
        self.elements.append((name, values))
        if name == "section":
            self._section = values["id"] or ""
        if name not in ("meta", "link", "img", "input", "br"):
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name
        if name == "section":
            self._section = "tail"

    def handle_data(self, text: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.sections[self._section] = self.sections.get(self._section, "") + text

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [values for each, values in self.elements if each == name]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mz.Run:
    """A tiny VAE on pictures whose classes and files have hostile names."""
    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    for name in ("cat", "<b>dog<"):
        (folder / "pets & <i>co" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 255, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / "pets & <i>co" / name / f"<script>alert({i})<.png")
    train = {"preview_every": 2, "log_every": 1, "validate_every": 2, "batch_size": 8, "precision": "fp32"}
    return mz.train(
        "vae",
        folder / "pets & <i>co",
        out=folder / "run <u>",
        steps=6,
        quiet=True,
        settings={"model": {"width": 8, "latent": 3}, "train": train},
    )


def test_training_leaves_a_report_with_every_section(run: mz.Run) -> None:
    page = Page(run.path / "report.html")
    assert {values["id"] for values in page.all("section")} == SECTIONS
    assert "vae on pets & <i>co" in page.sections["head"]
    assert "6 steps of 8 pictures" in page.sections["head"]
    assert "It has done all its steps." in page.sections["head"]
    for name in SECTIONS - {"film"}:
        assert page.sections[name].strip(), name
    assert "step 2" in page.sections["film"]
    assert page.sections["curves"].count("vae")
    assert "model.latent" in page.sections["settings"]
    assert "<b>dog<" in page.sections["data"]  # as text
    assert "40" in page.sections["data"]
    assert "mezzotint train vae" in page.sections["again"]
    assert "torch" in page.sections["again"]
    assert "PSNR" in page.sections["reconstructions"]
    assert "[report.html](report.html)" in (run.path / "README.md").read_text()


def test_the_page_loads_nothing_and_runs_only_its_own_script(run: mz.Run) -> None:
    page, text = Page(run.path / "report.html"), (run.path / "report.html").read_text()
    addresses = [
        values[key] for _, values in page.elements for key in ("src", "href", "data", "action") if key in values
    ]
    assert addresses
    assert all(re.match(r"#[a-z]+$|data:(image/(png|webp);base64,|,$)", str(address)) for address in addresses)
    assert not re.search(r"url\((?!#clip-)|@import|https?://", text)
    policy = next(v["content"] for v in page.all("meta") if v.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)
    assert "unsafe" not in str(policy)
    assert len(page.all("script")) == 1
    for _, values in page.elements:
        assert not [key for key in values if key.startswith("on") or key == "style"]
    assert len(text) < 3_000_000


def test_pictures_and_curves_have_words(run: mz.Run) -> None:
    page = Page(run.path / "report.html")
    assert len(page.all("img")) >= 3 + 3 + 8  # film, sheets, neighbours
    assert all(str(values["alt"]).strip() for values in page.all("img"))
    charts = [values for values in page.all("svg") if "aria-hidden" not in values]
    assert charts
    assert all(values["role"] == "img" and "over steps" in str(values["aria-label"]) for values in charts)
    shown = [values for values in page.all("figure") if "hidden" in values]
    assert len(shown) == 2  # of three previews the last is seen without a script
    assert page.all("html")[0]["lang"] == "en"


def test_names_do_not_become_markup(run: mz.Run) -> None:
    page = Page(run.path / "report.html")
    assert not {name for name, _ in page.elements} & {"i ", "u"}
    assert "<script>alert(" in page.sections["neighbours"]  # names of files, as text
    assert escape(EVIL).count("<") == 0
    assert tag("a", EVIL, title=EVIL).count("<") == 2
    assert "\u202e" not in escape(EVIL)
    assert escape(Html("<b>")) == "<b>"
    assert escape("a\0\ud800b") == "a\\u0000\\ud800b"


def test_scores_and_findings_are_shown(run: mz.Run, tmp_path: Path) -> None:
    found = mz.evaluate(run, metrics="psnr,kid", extractor="pixels", split="validation")
    found.save(run.path / "scores.json")
    lines = [
        {"step": 2, "measures": {"diversity": 0.5}, "findings": [_finding("collapse", "Gone by now.")]},
        {"step": 4, "measures": {"diversity": None}, "findings": [_finding("few-pictures", EVIL)]},
    ]
    (run.path / "diagnosis.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{cut")
    try:
        page = Page(mz.report(run, tmp_path / "a.html"))
        assert mz.report(run.path) == run.path / "report.html"
        card = (run.path / "README.md").read_text()
    finally:
        (run.path / "scores.json").unlink()
        (run.path / "diagnosis.jsonl").unlink()
    for score in found:
        assert score.name in page.sections["scores"]
        assert f"| {score.name} | {score.value:.4g}" in card
    assert found.scores[0].contract.real in page.sections["scores"]
    assert "Gone by now." in page.sections["diagnosis"]
    assert "no longer at the end" in page.sections["diagnosis"]
    assert page.sections["diagnosis"].index("few-pictures") < page.sections["diagnosis"].index("collapse")
    assert "diversity" in page.sections["curves"]


def _finding(name: str, sentence: str) -> dict[str, object]:
    return {"name": name, "step": 2, "sentence": sentence, "advice": "Do this."}


def test_what_is_missing_is_said(run: mz.Run, tmp_path: Path) -> None:
    (run.path / "scores.json").write_text("[]")
    try:
        page = Page(write_report(run, None, {}, out=tmp_path / "a.html", missing="They are gone."))
        bare = Page(write_report(run, None, {}, out=tmp_path / "b.html", draw=False))
    finally:
        (run.path / "scores.json").unlink()
    assert "evaluate again" in page.sections["scores"]
    assert "They are gone." in page.sections["neighbours"]
    assert "They are gone." in page.sections["reconstructions"]
    assert page.sections["samples"].startswith("SamplesDrawn")
    assert "mezzotint report" in bare.sections["interpolations"]
    with pytest.raises(ConfigError, match=r"\.html"):
        mz.report(run, tmp_path / "a.pdf")


def test_the_command_makes_the_run_again(run: mz.Run, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    words = shlex.split(command(run, str(tmp_path / "again")))
    assert words[0] == "mezzotint"
    done = CliRunner().invoke(app, [*words[1:], "--quiet"])
    assert done.exit_code == 0, done.output
    one, other = (
        next(path.glob("checkpoints/step-00000006*/*.safetensors")) for path in (run.path, tmp_path / "again")
    )
    mine, theirs = load_file(one), load_file(other)
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[key], theirs[key]) for key in mine)


def test_the_command_line(run: mz.Run, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["report", str(run.path), "-o", str(tmp_path / "a.html"), "--json"])
    assert json.loads(done.stdout) == {"run": str(run.path), "step": 6, "report": str(tmp_path / "a.html")}
    assert Page(tmp_path / "a.html").all("section")


def test_a_home_folder_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert place(str(tmp_path / "my photos")) == "~/'my photos'"
    assert place("digits") == "digits"
    assert place("an array") == "PICTURES"


def test_damaged_records_cost_only_themselves(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "a/b": 1.0}\nnot json\n[1]\n{"step": "2"}\n{"step": 3, "a/b": null, "c": true}\n{"st')
    found = read_log(log)
    assert list(found) == ["a/b"]
    assert found["a/b"].steps.tolist() == [1, 3]
    assert np.isnan(found["a/b"].values[1])
    log.write_text('{"step": 1, "findings": [3, {"name": 4}], "measures": [1]}\n')
    assert read_diagnosis(log).findings == ()
    assert read_diagnosis(tmp_path / "none").times == 0


@pytest.mark.parametrize(("count", "size", "columns"), [(64, (8, 8), None), (7, (5, 9), 3), (1, (64, 64), None)])
def test_ungrid_is_the_inverse_of_grid(count: int, size: tuple[int, int], columns: int | None) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (count, *size, 3), np.uint8)
    again = ungrid(grid(pictures, columns), size, count, columns)
    assert again is not None
    assert np.array_equal(again, pictures)
    assert ungrid(grid(pictures, columns)[1:], size, count, columns) is None


def test_what_a_model_is_made_of_is_drawn(tmp_path: Path) -> None:
    settings = {"model": {"components": 6, "choose": "bic", "covariance": "diag"}}
    mixture = mz.train("gmm", "digits", out=tmp_path / "a", settings=settings, quiet=True)
    page = Page(mixture.path / "report.html")
    assert "The means; the component with most pictures first." in page.sections["learned"]
    assert "BIC of mixtures" in page.sections["learned"]


@pytest.mark.parametrize(("low", "high"), [(0, 600), (-0.13, 0.42), (1e-7, 3e-7), (20, 250_000), (-5, -1)])
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-9 <= each <= high + 1e-9 for each in found)
    steps = np.diff(found)
    assert np.allclose(steps, steps[0])
    assert f"{steps[0]:e}"[0] in "125"


def test_curves_of_any_kind_are_drawn() -> None:
    steps = np.arange(1.0, 5001)
    wild = np.where(steps % 7 == 0, np.nan, np.exp(-steps / 500))
    for values in (wild, steps * 0, np.full(5000, np.nan), -steps):
        text = chart("a", [Series("a/b", steps, values)], "k")
        assert "nan" not in re.sub(r"aria-label=\"[^\"]*\"|<figcaption>.*?</figcaption>", "", text)
        assert len(text) < 40_000
    assert "logarithmic" in chart("a", [Series("a", steps, np.exp(-steps / 500))], "k")
    assert "circle" in chart("a", [Series("a", steps[:1], steps[:1])], "k")
    assert np.allclose(smooth(np.full(100, 3.0)), 3.0)


def test_whiskers_lie_where_the_numbers_are() -> None:
    text = whiskers(0.5, 0.25, 0.75, share=True)
    assert 'cx="120.0"' in text
    assert "M62 14H178" in text
    assert "circle" not in whiskers(float("nan"), None, None)
    assert re.findall(r">([-\d.]+)</text>", whiskers(-54.5, -54.7, -54.3)) == ["-60", "0"]
    assert re.findall(r">([-\d.]+)</text>", whiskers(37.0, 33.3, 38.7)) == ["0", "40"]
