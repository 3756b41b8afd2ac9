"""`conceptscope`, also as `python -m conceptscope`."""

from conceptscope._ctrl_c import listen, told


def main() -> None:
    """Run the command line."""
    listen()
    with told():
        from conceptscope._cli import main as run

        run()


if __name__ == "__main__":
    main()
