"""Metrics of a trained model: functions of arrays and callables, never of a model.

A live model and a loaded export therefore go through the same code. All metrics share this:

* Codes are latent dicts [n, d_l] (see `model.latents`). `means` and `deviations` are those of the
  posterior, and "all" names the layers joined, beside "z_1" to "z_L".
* `encode` takes images [n, H, W, C], float32 in [0, 1], and gives (means, deviations); `decode`
  takes a latent dict and gives images.
* Every number is an estimate with its standard error and count (see `estimates`). A number that
  cannot be known is NaN, and its "note" says why. Results are dicts that JSON can hold.
* All random draws follow `seed` or `generator`. `progress`, if any, is called as
  progress(done, total).
* An InputError refuses arrays whose shapes, types, layers or numbers of rows do not match or that
  have no rows, values that are not finite, and what a function lists under "Raises".
"""
