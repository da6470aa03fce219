"""Images: readers of files, official downloads, binarization, and minibatches."""

from avi_theory.vae.data.binarize import Binarization
from avi_theory.vae.data.images import Images
from avi_theory.vae.data.load import SETS, load_images

__all__ = ["SETS", "Binarization", "Images", "load_images"]
