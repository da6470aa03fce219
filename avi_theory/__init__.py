"""Can amortized variational inference be as good as factorized variational inference here?"""
