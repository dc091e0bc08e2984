"""Mezzotint trains, compares and uses generative models on your own pictures.

Example:
    >>> import mezzotint as mz
    >>> mz.__version__
    '0.1.0'
"""

__version__ = "0.1.0"
