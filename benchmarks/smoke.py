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
    first, *others = params or ((),)
    for values in itertools.product(first[:1] if others else first, *others) if params else [()]:
        for name in names:
            instance = benchmark()
            if hasattr(instance, "setup"):
                instance.setup(*cache, *values)
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
            if inspect.isclass(benchmark) and benchmark.__module__ == f"benchmarks.{module}":
                run_once(benchmark)


if __name__ == "__main__":
    main()
