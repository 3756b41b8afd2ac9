"""Models and data whose concepts are known: each world is a module, imported by its name."""
