"""Run every benchmark once, at its smallest settings, to see that all of them still work."""

import importlib
import importlib.util
import inspect
import itertools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def run_once(benchmark):
    """All methods of one class, on the first of its sizes and every value of its other parameters."""
    params = getattr(benchmark, "params", ())
    params = params if params and isinstance(params[0], tuple) else (params,) if params else ()
    cache = (benchmark().setup_cache(),) if hasattr(benchmark, "setup_cache") else ()
    names = [name for name in dir(benchmark) if name.startswith(("time_", "peakmem_", "track_"))]
    # the memory of what is timed anyway is the same call once more
    names = [name for name in names if name.replace("peakmem_", "time_") not in names or name.startswith("time_")]
    first, *others = params or ((),)
    for values in itertools.product(first[:1] if others else first, *others) if params else [()]:
        instance = benchmark()
        try:
            instance.setup(*cache, *values) if hasattr(instance, "setup") else None
        except NotImplementedError:  # as asv has it, this combination is none
            continue
        for name in names:
            start = time.perf_counter()
            getattr(instance, name)(*cache, *values)
            print(f"{1e3 * (time.perf_counter() - start):9.1f} ms  {benchmark.__name__}.{name} {values}")
        if hasattr(instance, "teardown"):
            instance.teardown(*cache, *values)


def main():
    modules = ["steps", "metrics", "pipelines", "pretrained"]
    modules += ["networks"] * (importlib.util.find_spec("keras") is not None)
    for module in modules:
        contents = vars(importlib.import_module(f"benchmarks.{module}"))
        for benchmark in contents.values():
            own = inspect.isclass(benchmark) and benchmark.__module__ == f"benchmarks.{module}"
            if own and not benchmark.__name__.startswith("_"):
                run_once(benchmark)


if __name__ == "__main__":
    main()
