"""Registers the Gymnasium environments, so that `gymnasium.make("mirr:mirr/Sim-v0")` works.

For that name, Gymnasium imports `mirr` and then looks into its own registry. `import mirr` must stay quick, so it does
not import Gymnasium. If Gymnasium is imported already, this registers the environments at once. Otherwise it registers
them when somebody imports Gymnasium.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

GYMNASIUM = "gymnasium"


def _register() -> None:
    import mirr.interfaces.gymnasium_envs  # noqa: F401 - importing it registers the environments


class _GymnasiumWatcher:
    """Finds no module by itself. For Gymnasium, it passes on Gymnasium's own loader, and registers after the import."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Gymnasium's own spec, whose loader also registers our environments; None for every other module."""
        if fullname != GYMNASIUM or self._asking:
            return None
        self._asking = True
        try:
            spec = find_spec(fullname)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_register(module: ModuleType) -> None:
            load(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        spec.loader.exec_module = load_and_register  # type: ignore[method-assign]  # of this one loader
        return spec


def register_with_gymnasium() -> None:
    """Register the environments now if Gymnasium is imported, else when it will be imported."""
    if GYMNASIUM in sys.modules:
        _register()
    elif not any(isinstance(finder, _GymnasiumWatcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _GymnasiumWatcher())
