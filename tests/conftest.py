"""Shapes and types of tensors are checked while testing."""

from jaxtyping import install_import_hook

install_import_hook(["tasks.ebm", "tasks.mcmc"], "beartype.beartype")
