"""``import``: an external log into raw log and timelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place

if TYPE_CHECKING:
    from features.core.product import Product
    from features.declarations.log import LogDeclaration
    from features.ingest.import_log import ImportReport, ImportTarget
    from serving.cli.steps import Steps


def import_logs(
    path: Path,
    /,
    *,
    log: Annotated[str | None, Parameter(help="Name of the log in product.yaml; needed where its file has another name.")] = None,
    place: Place = HERE,
) -> None:
    """Import a log as product.yaml declares it: one file, or every declared file of a folder.

    Rows that cannot be used are written to a file, with line numbers and reasons, and the import goes on. Importing the same file again
    changes nothing.

    Example: `stillhere import exports/ --product products/mooc`

    Parameters
    ----------
    path
        A file, or a folder that holds the files that product.yaml names.
    """
    _require_path(path)  # what can be wrong with the arguments is said before anything is started
    from features.declarations.product_file import load_product
    from serving.cli.decide import opened
    from serving.cli.demo.state import keep
    from serving.cli.steps import Steps

    files = chosen_files(path, load_product(place.settings().product_folder), log)
    with opened(place, makes_home=True) as installation:
        keep(installation.settings.home)
        steps = Steps()
        for file, declaration in files:
            report = import_one(file, declaration, installation.product, installation.import_target(), steps=steps)
            steps.console.print(f"    {summary(report)}", soft_wrap=True)


def _require_path(path: Path) -> None:
    if not path.exists():
        where = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise BadInputError(f"there is no file or folder {path}{where}; name an event log, or a folder of logs that product.yaml declares")


def chosen_files(path: Path, product: Product, log: str | None) -> list[tuple[Path, LogDeclaration]]:
    """Pair files with the declarations that read them."""
    from features.declarations.log import LogDeclaration

    logs = {declared.name: declared for declared in product.logs if isinstance(declared, LogDeclaration)}
    if log is not None and log not in logs:
        raise BadInputError(f"product {product.name} declares no log {log!r}, expected one of {', '.join(logs) or 'none'}")
    if path.is_dir():
        from features.ingest.import_log import declared_files

        files = [(file, declared) for file, declared in declared_files(path, product) if log in {None, declared.name}]
        if not files:
            expected = ", ".join(str(declared.syntax.file) for declared in logs.values())
            raise BadInputError(f"{path} holds none of the files that product {product.name} declares: {expected}")
        return files
    named = [logs[log]] if log is not None else [declared for declared in logs.values() if declared.syntax.file == path.name]
    if len(named) != 1:
        raise BadInputError(f"no log of product {product.name} reads a file called {path.name}; name one with --log: {', '.join(logs)}")
    return [(path, named[0])]


def import_one(file: Path, declaration: LogDeclaration, product: Product, target: ImportTarget, *, steps: Steps) -> ImportReport:
    """Import one file as one step."""
    from features.ingest.import_log import import_file

    with steps.step(f"importing {file.name}") as share:
        return import_file(file, declaration, product, target, progress=share)


def summary(report: ImportReport) -> str:
    """Say what one import did.

    Examples
    --------
    >>> from features.ingest.import_log import ImportReport
    >>> summary(ImportReport(file=Path("a.csv"), log="a", rows=3, admitted=2, distinct=2, users=1, rejected={"naive_timestamp": 1},
    ...                      rejected_file=Path("rejected.csv"), first=None, last=None, seconds=0.1))
    '3 rows, 2 admitted (2 distinct) of 1 users; refused: 1 naive_timestamp, see rejected.csv'
    >>> summary(ImportReport(file=Path("a.csv"), log="a", rows=3, admitted=2, distinct=2, users=1, rejected={}, not_kept=1,
    ...                      rejected_file=None, first=None, last=None, seconds=0.1))
    '3 rows, 2 admitted (2 distinct) of 1 users; not kept: 1 rows of people who are not to be tracked'
    """
    text = f"{report.rows:,} rows, {report.admitted:,} admitted ({report.distinct:,} distinct) of {report.users:,} users"
    if report.rejected:
        text += f"; refused: {', '.join(f'{count:,} {code}' for code, count in report.rejected.items())}, see {report.rejected_file}"
    if report.not_kept:
        text += f"; not kept: {report.not_kept:,} rows of people who are not to be tracked"
    return text
