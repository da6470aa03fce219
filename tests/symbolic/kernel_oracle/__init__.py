"""The optimal factor by enumeration, beside the printed formula at numbers."""
