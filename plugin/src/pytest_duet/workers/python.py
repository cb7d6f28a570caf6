"""Find Python implementations and make a host for them: a task's ``impl_<framework>.py``, or a plain function."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import platform
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from pytest_duet.digests import source_digest
from pytest_duet.errors import ImplementationError, SpecError, Unavailable
from pytest_duet.implementation import Implementation, JobReader, Outputs
from pytest_duet.protocol import VERSION, Capability, Features, HelloReply
from pytest_duet.values import NonFinite, from_number
from pytest_duet.workers.host import Host
from pytest_duet.workers.threads import Threads, blas, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.implementation import Prepare
    from pytest_duet.protocol import Job
    from pytest_duet.spec.schema import Framework

PACKAGE: Final = "duet_benches"


def load_module(folder: Path, name: str) -> types.ModuleType:
    """Return module `name` of the task folder `folder`.

    The folder that holds the task folders is a package and each task folder is one inside it: a task's modules import
    each other as ``.name``, and what tasks share as ``..name``.

    Raises:
        SpecError: there is no such file.
        Unavailable: it imports a module that is not installed.
    """
    benches = _package(PACKAGE, folder.parent)
    return _import(_package(f"{benches}.{folder.name}", folder), folder, name)


def load_shared(benches: Path, name: str) -> types.ModuleType:
    """Return module `name` beside the task folders in `benches`; raise as `load_module` does."""
    return _import(_package(PACKAGE, benches), benches, name)


def _import(package: str, folder: Path, name: str) -> types.ModuleType:
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{package}.{name}":
            raise SpecError(f"{folder / name}.py does not exist; create it or drop what names it") from error
        raise Unavailable(f"{folder.name}/{name}.py needs module {error.name!r}, which is not installed") from error


def _package(name: str, folder: Path) -> str:
    """Make `folder` the package `name`, in place of another folder's package of that name; return `name`."""
    known = sys.modules.get(name)
    if known is None or list(known.__path__) != [str(folder)]:
        for stale in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[stale]
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def import_modules(framework: Framework) -> None:
    """Import the modules that every implementation of `framework` needs, so that no call has to.

    Raises:
        Unavailable: a module is not installed, or cannot be imported.
    """
    for module in framework.modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise Unavailable(f"{framework.title} cannot be imported: {error}") from error


def framework_host(benches: Path, name: str, framework: Framework) -> Host:
    """Return a host of every implementation of Python framework `name` in the task folders of `benches`."""

    def files() -> list[Path]:
        return sorted(benches.glob(f"*/impl_{name}.py"))

    def implementations(task_folder: Path) -> dict[tuple[str, str], Prepare]:
        table: dict[tuple[str, str], Prepare] = load_module(task_folder, f"impl_{name}").IMPLEMENTATIONS
        return table

    def capabilities() -> list[Capability]:
        return sorted(
            Capability(task=file.parent.name, algorithm=algorithm, phase=phase)
            for file in files()
            for algorithm, phase in implementations(file.parent)
        )

    def find(job: Job) -> Prepare:
        try:
            return implementations(benches / job.task)[job.algorithm, job.phase]
        except KeyError:
            raise Unavailable(f"{name} has no {job.algorithm} {job.phase} in {job.task}/impl_{name}.py") from None

    def identify(request_id: int) -> HelloReply:
        # A BLAS library is visible once it is imported.
        import_modules(framework)
        versions = {each: importlib.metadata.version(each) for each in framework.distributions}
        # Tasks share the modules beside their folders.
        sources = [*files(), *benches.glob("*.py")]
        details = {label: str(resolve(where)) for label, where in framework.details.items()}
        return _hello(request_id, name, versions, sources, details)

    threads = Threads(framework.set_threads, framework.get_threads)
    return Host(identify=identify, capabilities=capabilities, find=find, threads=threads)


def _hello(
    request_id: int, framework: str, versions: dict[str, str], sources: list[Path], details: dict[str, str]
) -> HelloReply:
    return HelloReply(
        id=request_id,
        protocol=VERSION,
        framework=framework,
        versions=versions,
        source_digest=source_digest(sources) if sources else "",
        lock_digest="",
        compiler=f"{platform.python_implementation()} {platform.python_version()}",
        profile="interpreted",
        features=Features(detected=[], compiled=[]),
        blas=blas(),
        details=details,
    )


class FunctionCall(Implementation[dict[str, Any], Any]):
    """A plain Python function, called with the job's parameters and arrays by name."""

    def __init__(self, function: Callable[..., Any], reader: JobReader) -> None:
        """Read every parameter and array of the job: a plain function takes all of them."""
        self._function = function
        params = {name: reader.scalar(name) for name in reader.job.params}
        self._given: dict[str, Any] = {
            **{name: from_number(each) if isinstance(each, NonFinite) else each for name, each in params.items()},
            **{name: reader.array(name) for name in reader.job.data},
        }

    def fresh(self) -> dict[str, Any]:
        """Return the arguments, with arrays copied so that the function may write into them."""
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self._given.items()}

    def run(self, given: dict[str, Any]) -> Any:
        """Call the function."""
        return self._function(**given)

    def outputs(self, result: Any) -> Outputs:
        """Return the result as named arrays: a mapping by its keys, anything else as ``result``."""
        named = result if isinstance(result, dict) else {"result": result}
        arrays = {str(key): np.asarray(value) for key, value in named.items()}
        for key, array in arrays.items():
            if array.dtype.kind not in "biuf":
                msg = f"output {key!r} is a {type(named[key]).__name__}; return numbers or arrays of numbers"
                raise ImplementationError(msg)
            if array.dtype.kind == "u" and array.size and int(array.max()) >= 2**63:
                raise ImplementationError(f"output {key!r} holds {array.max()}; a worker's integers are below 2**63")
        # Integers become 64 bits wide, as in any worker; floats keep their type.
        return Outputs({key: a.astype(np.int64) if a.dtype.kind in "biu" else a for key, a in arrays.items()})


def function_host(function: Callable[..., Any], task: str) -> Host:
    """Return a host whose only implementation is `function`, for task `task`."""

    def find(job: Job) -> Prepare:
        if job.task != task:
            raise Unavailable(f"this host serves {task}, not {job.task}")
        return lambda reader: FunctionCall(function, reader)

    def identify(request_id: int) -> HelloReply:
        path = inspect.getsourcefile(function)
        return _hello(request_id, "python", {"numpy": np.__version__}, [Path(path)] if path else [], {})

    capabilities = [Capability(task=task, algorithm="default", phase="call")]
    return Host(identify=identify, capabilities=lambda: capabilities, find=find, threads=Threads())


def load_function(file: Path, name: str) -> Callable[..., Any]:
    """Import the Python file `file` anew and return its function `name`, which may be nested in classes (``Class.name``).

    Raises:
        Unavailable: `file` is not a Python file, or has no such function.
    """
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        # The file may import its neighbours, as it may under pytest.
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(f"duet_served_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise Unavailable(f"{file} is not importable as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function: Any = module
    for part in name.split("."):
        function = getattr(function, part, None)
    if not callable(function):
        raise Unavailable(f"{file} has no function {name!r} at its top level")
    return cast("Callable[..., Any]", function)
