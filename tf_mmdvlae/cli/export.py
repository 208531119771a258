"""bin/export: exports a finished run again."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """exports a finished run again, as the next version.

  bin/export --workdir=runs/mnist
  bin/export --workdir=runs/mnist --tflite --onnx"""


def _define(values):
    flags.DEFINE_string(
        "workdir", None, "folder of the run, such as runs/mnist", flag_values=values
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "folder of the SavedModel's versions [default: where the run was exported to]",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "root of the TFDS data sets, for --tflite and --onnx [default: the run's]",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "tflite", False, "TensorFlow Lite files beside it (needs '.[tflite]')", flag_values=values
    )
    flags.DEFINE_bool("onnx", False, "ONNX files beside it (needs '.[onnx]')", flag_values=values)


def _call(values):
    from tf_mmdvlae.cli.images import required

    required(values, "workdir")
    from tf_mmdvlae.training.run import export_run

    formats = [name for name in ("tflite", "onnx") if values[name].value]
    print(f"Exporting {values.workdir} ...", flush=True)
    path = export_run(values.workdir, values.export_dir, formats, values.data_dir)
    print(f"SavedModel:  {path}")


def main():
    """Runs the command; returns its exit code."""
    return run("export", _ABOUT, _define, _call)
