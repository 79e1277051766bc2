"""Published tables and registered models that are refused, and questions that they cannot answer."""

from pathlib import Path

from tests.support.bad_input.kind import FILE, TABLE, Kind


def _parts(folder: Path) -> list[Path]:
    return sorted((folder / TABLE / "current").resolve().glob("table/*/*.parquet"))


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _edit_manifest(folder: Path) -> None:
    path = (folder / TABLE / "current").resolve() / "manifest.json"
    path.write_text(path.read_text().replace('"rows": ', '"rows": 1', 1))


def _forget_snapshot(folder: Path) -> None:
    (folder / TABLE / "current").unlink()
    (folder / TABLE / "current").symlink_to("versions/20200101T000000Z-abcdef")


def _add_part(folder: Path) -> None:
    part = _parts(folder)[0]
    part.with_name("part-99999-extra.parquet").write_bytes(part.read_bytes())


def _make_notes(folder: Path) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "diary.txt").write_text("mine")


REFUSED: dict[str, Kind] = {
    # The table.
    "a table folder that is not ours": Kind(
        ("run", FILE, "--table", "notes"), "found 1 entries that are not of a prediction table (diary.txt)",
        content=b"user,item,rating\n1,2,3\n", spoil=_make_notes,
    ),
    "a file in place of the table": Kind(
        ("run", FILE, "--table", FILE), "found something that is no folder", content=b"user,item,rating\n1,2,3\n"
    ),
    "no table": Kind(("verify", "--table", "nowhere"), "nowhere: found no published snapshot"),
    "a manifest edited by hand": Kind(
        ("verify",), "found a manifest that differs from its own digest", spoil=_edit_manifest
    ),
    "a part file cut by a byte": Kind(
        ("verify",), " bytes, expected ", spoil=lambda here: _cut_off(_parts(here)[0])
    ),
    "a part file with a flipped bit": Kind(
        ("verify",), "found sha256 ", spoil=lambda here: _flip(_parts(here)[0])
    ),
    "a part file too many": Kind(
        ("verify",), "found a file that the manifest does not list", spoil=_add_part
    ),
    "a pointer to nowhere": Kind(
        ("verify",), "which is not there; expected a published snapshot", spoil=_forget_snapshot
    ),
    "a version that is a path": Kind(
        ("rollback", "../../etc"), "found '../../etc', expected a letter or digit"
    ),
    "a version that is not there": Kind(("rollback", "v1"), "found no version v1, expected one of "),
    "a model that is a path": Kind(
        ("top", "7", "--model", "../x"), "found no model '../x', expected one of "
    ),
    "changes of a first version": Kind(("changes",), "found no version before it, expected one to compare with"),
    "an export to another kind of file": Kind(
        ("export", "--to", "out.xlsx"), "found 'out.xlsx', expected a name that ends in .duckdb"
    ),
    "an export to another kind of server": Kind(
        ("export", "--to", "mysql://host/db"), "found an address of mysql, expected postgresql://… or a file"
    ),
    "an export to a Postgres server that is not there": Kind(
        ("export", "--to", "postgresql://ann:hush@127.0.0.1:1/db"), "//127.0.0.1:1/db: found no way to connect"
    ),
    "an export to a table of a bad name": Kind(
        ("export", "--to", "postgresql://127.0.0.1:1/db?table=a;b"), "found 'a;b' as the name of a table, expected "
    ),
    "an unknown user": Kind(("top", "nobody"), "found 'nobody', expected one of the users"),
    # The model.
    "no registered model": Kind(
        ("score", "--set=tracking.registered_model=nobody"), "found no champion of 'nobody', expected a registered one"
    ),
    "a model artifact with a wrong digest": Kind(
        ("score", "--set=tracking.registered_model=bad-input"), "factors.npz: found sha256 ",
        spoil=lambda here: [_flip(path) for path in (here / "mlruns").rglob("served/factors.npz")],
    ),
}  # fmt: skip
