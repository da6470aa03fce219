"""The answers: frozen, plain numbers and strings. Everything downstream speaks them."""
