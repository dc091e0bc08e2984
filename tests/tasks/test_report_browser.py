"""The report in a real browser: no request leaves it, no script fails, and the film plays."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mezzotint as mz

_SPEC = importlib.util.spec_from_file_location("report_browser", Path(__file__).with_name("browser.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
browser_module: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(browser_module)

# What Chromium itself talks to, whatever page is open.
_ITS_OWN = ("google.com", "googleapis.com", "gstatic.com", "gvt1.com", "googleusercontent.com")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """(browser, proxy); skipped where there is no Chromium."""
    program = browser_module.find()
    if program is None:
        pytest.skip("there is no Chromium here")
    proxy = browser_module.Proxy()
    try:
        browser = browser_module.Browser(program, tmp_path_factory.mktemp("profile"), proxy.port)
    except (TimeoutError, BrokenPipeError) as error:  # such as a stub that wants another installation first
        proxy.close()
        pytest.skip(f"{program} does not start here: {error}")
    yield browser, proxy
    browser.close()
    proxy.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = mz.train(
        "vae",
        "digits",
        out=tmp_path_factory.mktemp("run") / "a",
        steps=6,
        batch_size=8,
        quiet=True,
        settings={"model": {"width": 8}, "train": {"preview_every": 2, "log_every": 1, "precision": "fp32"}},
    )
    return run.path / "report.html"


def _strange(lines: list[str]) -> list[str]:
    """Requests that Chromium does not make by itself; a connection opened ahead, which asks for nothing, is none."""
    asked = [line.split()[1] for line in lines if line.strip()]
    hosts = [address.removeprefix("http://").partition("/")[0].partition(":")[0] for address in asked]
    return [host for host in hosts if not host.endswith(_ITS_OWN)]


@pytest.mark.slow
def test_no_request_and_no_error(opened: tuple[Any, Any], page: Path) -> None:
    browser, proxy = opened
    browser.open(page.as_uri())
    browser.evaluate("new Promise(done => setTimeout(done, 300))")
    assert browser.troubles() == []
    assert browser.requests() == [page.as_uri()]
    assert _strange(proxy.seen) == []
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert browser.evaluate("document.images.length") > 10
    assert browser.evaluate(broken) == 0


@pytest.mark.slow
def test_the_film_plays(opened: tuple[Any, Any], page: Path) -> None:
    browser, _ = opened
    browser.open(page.as_uri())
    seen = "[...document.querySelectorAll('.film figure')].map(f => f.offsetHeight > 0)"
    assert browser.evaluate(seen) == [False, False, True]
    move = "const s = document.querySelector('.controls input'); s.value = 0; s.dispatchEvent(new Event('input'))"
    browser.evaluate(f"{{ {move} }}")
    assert browser.evaluate(seen) == [True, False, False]
    browser.evaluate("document.querySelector('.controls button').click()")
    assert browser.evaluate("document.querySelector('.controls button').textContent") == "Pause"
    played = (
        "new Promise(done => setInterval(() => document.querySelector('button').textContent == 'Play' && done(1), 50))"
    )
    browser.evaluate(played)
    assert browser.evaluate(seen) == [False, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_window(opened: tuple[Any, Any], page: Path, width: int) -> None:
    browser, _ = opened
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    browser.open(page.as_uri())
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_the_traps_catch(opened: tuple[Any, Any], tmp_path: Path) -> None:
    """What the first test looks for is seen when it is there."""
    browser, proxy = opened
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://pictures.invalid/a.png'><script>nowhere()</script>")
    browser.open(bad.as_uri())
    assert any("nowhere" in trouble for trouble in browser.troubles())
    assert "http://pictures.invalid/a.png" in browser.requests()
    assert "pictures.invalid" in _strange(proxy.seen)
    proxy.seen.clear()
    policed = tmp_path / "policed.html"
    policed.write_text(
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
        <img src='http://pictures.invalid/b.png'>"""
    )
    browser.open(policed.as_uri())
    assert browser.troubles()  # a refusal of the policy is heard of
