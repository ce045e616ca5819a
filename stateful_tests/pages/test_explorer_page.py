"""The explorer in Chromium: a person steps, undoes, searches, compares and shares by clicking."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from lastref.conformance.trace import parse
from lastref.model import designs
from lastref.model.explore import explore
from lastref.model.system import System, scenario

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

SCENARIO = "go-2023-pidfd/linux:kill,release:"
RACE = SCENARIO + "K1.K1.R1.R1.reopen.K1"


@pytest.fixture
def play(page: Page, explorer: str) -> Page:
    """Open the explorer on a kill and a release of go-2023-pidfd."""
    page.goto(f"{explorer}#{SCENARIO}")
    return page


def step(page: Page, who: str) -> Locator:
    """Return the button by which ``who``, a thread or a kernel command, steps."""
    return page.locator(f'button[data-step="{who}"]')


def address(page: Page) -> str:
    """Return the address as the page itself has it; Playwright is told of a new one afterwards."""
    return str(page.evaluate("location.href"))


def law(page: Page, name: str) -> Locator:
    """Return the line of a law."""
    return page.locator(f'[data-law="{name}"]')


def is_broken(page: Page, name: str) -> bool:
    """Return whether the light of a law is on."""
    return "broken" in (law(page, name).get_attribute("class") or "")


def test_go_67641_is_reproduced_by_clicking(play: Page) -> None:
    """Six clicks: the signal hits the bystander, and the law about that lights up."""
    for who in ("K1", "K1", "R1", "R1", "reopen"):
        step(play, who).click()
        assert not is_broken(play, "no-wrong-process")
    step(play, "K1").click()
    assert is_broken(play, "no-wrong-process")
    assert "the bystander" in play.locator("#state tr", has_text="killed").inner_text()
    assert address(play).endswith("#" + RACE)
    assert play.locator("#replay").inner_text() == f"lastref replay '{RACE}'"
    assert parse(RACE).broken == "no-wrong-process"


def test_a_step_that_is_not_enabled_is_refused(play: Page) -> None:
    """What may not happen yet has a button that cannot be pressed; afterwards it can."""
    assert step(play, "reopen").is_disabled()
    step(play, "reopen").click(force=True)
    assert play.locator("#at").inner_text() == "0 of 0"
    step(play, "R1").click()
    step(play, "R1").click()
    assert step(play, "reopen").is_enabled()


def test_a_link_to_a_step_that_is_not_enabled_is_refused(page: Page, explorer: str) -> None:
    """The run is followed up to there, and the page says which steps were possible instead."""
    page.goto(f"{explorer}#{SCENARIO}K1.reopen.K1")
    told = page.get_by_role("alert").inner_text()
    assert "step 2 is 'reopen', which is not enabled there; that leaves K1, R1, exit" in told
    assert page.locator("#at").inner_text() == "1 of 1"


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("go-1999/linux:kill:K1", "there is no design 'go-1999/linux'"),
        ("go-2024/linux:fly:F1", "go-2024 has no method 'fly'"),
        ("go-2024/linux?wood=0x1:kill:K1", "go-2024 has no variable 'wood'"),
        ("go-2024/linux?word=0x10000000000000000:kill:K1", "is no value of word"),
        ("what", "'what' is no schedule"),
    ],
)
def test_a_malformed_link_is_refused_in_words(
    page: Page, explorer: str, link: str, said: str
) -> None:
    """The page says what is wrong with the link and shows something usable."""
    page.goto(f"{explorer}#{link}")
    assert said in page.get_by_role("alert").inner_text()
    assert page.locator(".step:not(:disabled)").count() > 0


def test_a_shared_link_restores_the_run(
    play: Page, open_tab: Callable[..., Page], explorer: str
) -> None:
    """The address after some clicks shows somebody else the same state and the same history."""
    for who in ("K1", "R1", "K1", "R1", "exit"):
        step(play, who).click()
    play.locator("#undo").click()
    shown = play.locator("#state").inner_text(), play.locator("#run").inner_text()
    other = open_tab()
    other.goto(address(play))
    assert (other.locator("#state").inner_text(), other.locator("#run").inner_text()) == shown
    assert other.locator("#at").inner_text() == "4 of 4"


def test_undo_and_the_slider_show_earlier_states(page: Page, explorer: str) -> None:
    """Any step of the run can be looked at again; undo takes the last one back."""
    page.goto(f"{explorer}#{RACE}")
    texts = []
    for at in range(7):
        page.locator("#slider").fill(str(at))
        assert page.locator("#at").inner_text() == f"{at} of 6"
        texts.append(page.locator("#state").inner_text())
    assert address(page).endswith("#" + RACE)
    for at in range(5, -1, -1):
        page.locator("#undo").click()
        assert page.locator("#at").inner_text() == f"{at} of {at}"
        assert page.locator("#state").inner_text() == texts[at]
    assert page.locator("#undo").is_disabled()


def test_stepping_from_the_middle_begins_another_run(page: Page, explorer: str) -> None:
    """A step taken while the slider stands in the middle replaces what came after."""
    page.goto(f"{explorer}#{RACE}~2")
    assert page.locator("#at").inner_text() == "2 of 6"
    step(page, "exit").click()
    assert address(page).endswith(f"#{SCENARIO}K1.K1.exit")


def test_a_counterexample_is_as_short_as_the_explorers(play: Page) -> None:
    """The search in the page finds a run no longer than the model's own search does."""
    system = System(designs.get("go-2023-pidfd"), scenario("kill", "release"))
    shortest = explore(system).counterexamples["no-wrong-process"]
    play.locator("#law").select_option("no-wrong-process")
    play.locator("#search").click()
    play.wait_for_function("document.getElementById('said').textContent.includes('no run is')")
    assert play.locator("#at").inner_text() == f"{len(shortest.steps)} of {len(shortest.steps)}"
    assert is_broken(play, "no-wrong-process")


def test_where_nothing_breaks_the_search_says_how_many_states_it_saw(
    page: Page, explorer: str
) -> None:
    """The sound design has no counterexample, and the count of states is the model's."""
    page.goto(f"{explorer}#go-2024/linux:kill,release:")
    states = explore(System(designs.get("go-2024"), scenario("kill", "release"))).states
    page.locator("#search").click()
    page.wait_for_function("document.getElementById('said').textContent.includes('cannot break')")
    assert f"all {states:,} states" in page.locator("#said").inner_text()


def test_the_fix_is_shown_beside_the_run(page: Page, explorer: str) -> None:
    """The schedule of go-67641 on go-2024: the number cannot be recycled, and no law breaks."""
    page.goto(f"{explorer}#{RACE}")
    page.locator("#fix").click()
    beside = page.locator("#mended")
    assert beside.is_visible()
    assert "no reopen" in beside.inner_text()
    assert "kill.send.hit → nil" in beside.inner_text()
    assert "go-2024 breaks no law on this schedule" in page.locator("#said").inner_text()
    beside.get_by_role("link", name="open this run").click()
    assert "#go-2024/linux:kill,release:K1.K1.R1.R1.K1." in address(page)
    page.wait_for_function("!document.querySelector('#laws .broken')")


@pytest.mark.parametrize(
    ("run", "mended"),
    [
        (RACE, "go-2024"),
        ("go-2024/linux-pid:wait,wait:", "go-2024 / linux"),
        ("pid-naive/linux-pid:wait,kill:", "go-2016"),
        ("pid-naive/linux-pid:wait,wait:", "go-2024"),
        ("go-2025-double/linux:kill,release:", "go-2025"),
        ("go-2023-reland/windows:wait,wait:", "go-2024"),
    ],
)
def test_the_fix_is_the_one_of_the_named_case(
    page: Page, explorer: str, run: str, mended: str
) -> None:
    """The table beside a counterexample is the one that, as the named cases say, mends it."""
    page.goto(f"{explorer}#{run}")
    if run.endswith(":"):
        page.locator("#search").click()
        page.wait_for_function("document.getElementById('said').textContent.includes('no run is')")
    page.locator("#fix").click()
    assert page.locator("#mended h3").inner_text() == f"The same on {mended}"
    assert page.locator("#said").inner_text() == f"{mended} breaks no law on this schedule."
    assert page.locator("#mended .bad").count() == 0
    assert page.locator("#run .bad").count() == 1


def test_designs_threads_and_starts_are_chosen(play: Page) -> None:
    """The scenario's controls make the scenario, and a thread can call several methods."""
    play.locator("#add").select_option("wait")
    play.get_by_label("W1 then calls").select_option("kill")
    play.get_by_label("remove R1").click()
    play.locator("#start").select_option("find")
    assert re.search(
        r"#go-2023-pidfd/linux\?field=unset&handle=closed:kill,wait;kill:$", address(play)
    )
    play.locator("#design").select_option("go-2024 / linux")
    assert address(play).endswith("#go-2024/linux:kill,wait;kill:")
    assert play.locator(".bits i.set").count() == 1


def test_the_overflow_of_the_word_shows_in_its_bits(page: Page, explorer: str) -> None:
    """One reference short of 2**62 an acquire sets bit 62, which reads as done."""
    page.goto(f"{explorer}#go-2024/linux?word=0x3fffffffffffffff:signal:")
    assert page.locator(".bits i.set").count() == 62
    step(page, "S1").click()
    step(page, "S1").click()
    assert page.locator(".bits i.set").count() == 1
    assert page.locator("#references").inner_text() == "0"
    assert is_broken(page, "refs-are-holders")


def test_every_control_is_reached_and_used_by_keyboard(play: Page) -> None:
    """Tab reaches the buttons, Enter steps, and the focus stays with the thread that stepped."""
    step(play, "K1").focus()
    play.keyboard.press("Enter")
    play.keyboard.press("Enter")
    assert address(play).endswith("K1.K1")
    reached = set()
    play.locator("body").press("Home")
    play.evaluate("document.activeElement.blur()")
    for _ in range(60):
        play.keyboard.press("Tab")
        reached.add(
            play.evaluate("document.activeElement.id || document.activeElement.dataset.step")
        )
    assert {"design", "start", "add", "K1", "R1", "exit", "undo", "slider", "search"} <= reached


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_explorer_fits_its_window(
    open_tab: Callable[..., Page], explorer: str, pictures: Path, width: int, scheme: str
) -> None:
    """Nothing is wider than the window, wide or narrow, light or dark; pictures are kept."""
    page = open_tab(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.goto(f"{explorer}#{RACE}")
    page.locator("#fix").click()
    page.screenshot(path=pictures / f"explorer-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(
    ("design", "width"),
    [("go-2024 / linux", 64), ("go-fdmutex / any", 64), ("dotnet-safehandle / any", 32)],
)
def test_a_design_that_lives_in_one_word_shows_all_its_bits(
    play: Page, design: str, width: int
) -> None:
    """Each bit is there, set or not, and the set ones are said in words as well."""
    play.locator("#design").select_option(design)
    assert play.locator(".bits i:not(.gap)").count() == width
    told = play.locator(".bits").get_attribute("aria-label") or ""
    named = [] if told.endswith("none") else told.partition(": ")[2].split(", ")
    assert len(named) == play.locator(".bits i.set").count()
