"""Find the concepts inside pretrained transformers, check them, and act on them.

Every public name is loaded when it is first used, so that importing the package costs next to nothing;
`__init__.pyi` lists them.
"""

from importlib.metadata import version as _version

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__version__ = _version("conceptscope")
