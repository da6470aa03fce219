"""The gallery: the declared models that come with the package."""

from avi_theory.gallery.find import (
    configuration_names,
    configuration_path,
    data_path,
    gallery_names,
    gallery_path,
    load,
)

__all__ = [
    "configuration_names",
    "configuration_path",
    "data_path",
    "gallery_names",
    "gallery_path",
    "load",
]
