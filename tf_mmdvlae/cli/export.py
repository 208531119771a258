"""Exports a finished run again, as the next version.

  bin/export --workdir=runs/mnist
  bin/export --workdir=runs/mnist --tflite --onnx
  bin/export --workdir=runs/image_folder_pets_3fa21c --labels=FILE.csv   edits along these labels

Earlier versions stay as they are.
"""

from tf_mmdvlae.cli.command import RUN_DATA_DIR, Command, Flag, labels_path, place

FLAGS = {
    "workdir": Flag(place, "folder of the run, such as runs/mnist", required=True),
    "export_dir": Flag(
        place,
        "folder of the SavedModel's versions [default: exports/<dataset>, if the run was exported "
        "there]",
    ),
    "data_dir": RUN_DATA_DIR,
    "labels": Flag(
        labels_path,
        "for a run on an image folder: a CSV file of labels as in bin/train, or none "
        "[default: the run's labels]",
    ),
    "max_megapixels": Flag(int, "the export refuses larger pictures [default: 50]", at_least=1),
    "tflite": Flag(bool, "write TensorFlow Lite files too (needs '.[tflite]')"),
    "onnx": Flag(bool, "write ONNX files too (needs '.[onnx]')"),
}


def _run(flags):
    from tf_mmdvlae.data.decode import MAX_MEGAPIXELS
    from tf_mmdvlae.training.workdir import Workdir

    Workdir(flags.workdir).read_finished_config()
    formats = [name for name in ("tflite", "onnx") if getattr(flags, name)]
    print(f"Exporting {flags.workdir} ...", flush=True)
    from tf_mmdvlae.training.finish import export_run

    path = export_run(
        flags.workdir,
        flags.export_dir,
        formats,
        flags.data_dir,
        flags.labels,
        flags.max_megapixels or MAX_MEGAPIXELS,
    )
    print(f"SavedModel:  {path}")


main = Command("export", __doc__, FLAGS, _run)
