"""The gallery: the declared models that come with the package."""

from avi_theory.gallery.find import data_path, gallery_names, gallery_path, load

__all__ = ["data_path", "gallery_names", "gallery_path", "load"]
