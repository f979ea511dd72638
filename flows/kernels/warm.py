"""Compile the kernels into numba's cache: `python -m flows.kernels.warm`, part of `make setup`."""

if __name__ == "__main__":
    pass
