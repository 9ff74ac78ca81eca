"""The pictures are drawn, are the same each time, and say which extra they need."""

import subprocess
import sys
from pathlib import Path

import pytest

from tablegen.__main__ import main
from tablegen.show.moments import error_cells
from tablegen.show.report import describe
from tablegen.show.words import bounds_in_words
from tablegen.show.wrong_today import wrong_today_picture
from tanhlut import ModeTable
from tanhlut.file.bounds import WHOLE_PLANE, Bounds

PNG = b"\x89PNG\r\n\x1a\n"


def test_plot_writes_the_same_png_twice(coarse_file: Path, tmp_path: Path) -> None:
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for picture in pictures:
        assert main(["plot", str(coarse_file), "-o", str(picture)]) == 0
    first, second = (picture.read_bytes() for picture in pictures)
    assert first.startswith(PNG)
    assert first == second


def test_a_narrow_table_is_drawn(narrow: ModeTable, tmp_path: Path) -> None:
    from tablegen.show.pictures import table_picture

    table_picture(narrow, tmp_path / "narrow.png")
    wrong_today_picture(tmp_path / "wrong.png")
    assert all(path.read_bytes().startswith(PNG) for path in tmp_path.iterdir())


def test_moments_are_drawn(coarse_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    default, out = Path(__file__).parents[2] / "data" / "default.h5", tmp_path / "moments.png"
    assert main(["plot", str(default), "--moments", "-o", str(out)]) == 0
    assert out.read_bytes().startswith(PNG)
    own = ModeTable.default().moments
    assert own is not None
    _, _, found = error_cells(ModeTable.default(), "mean")
    assert 1e-7 < found.max() <= float(own.metadata["mean_bound"])
    assert main(["plot", str(coarse_file), "--moments", "-o", str(tmp_path / "none.png")]) == 2
    assert "holds no moments" in capsys.readouterr().err
    assert "variance error" in describe(ModeTable.default())


def test_a_missing_matplotlib_names_the_extra(coarse_file: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from tablegen.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "plot", str(coarse_file), "-o", str(tmp_path / "x.png")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "tanhlut[plot]" in run.stderr
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (WHOLE_PLANE, "every loc, every scale"),
        (Bounds(3.0, 0.1, 1.5), "|loc| ≤ 3, scale 0.1 to 1.5; exact method outside"),
        (Bounds(float("inf"), 0.5, float("inf")), "every loc, scale ≥ 0.5; exact method outside"),
    ],
)
def test_bounds_in_words(bounds: Bounds, words: str) -> None:
    assert bounds_in_words(bounds) == words


def test_a_description_cannot_steer_a_terminal(coarse: ModeTable) -> None:
    metadata = dict(coarse.metadata) | {"command": "tablegen\x1b[2Jbuild", "solver_settings": "{not json"}
    hostile = ModeTable(coarse.loc.copy(), coarse.scale.copy(), coarse.values.copy(), metadata)
    text = describe(hostile)
    assert "\x1b" not in text
    assert "{not json" in text
