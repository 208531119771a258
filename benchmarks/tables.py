"""Tables of the measurements, as text. Each function takes the figures that it is named for."""

_SPEED_HEAD = """
preset, precision                 images/s  GFLOP/s  of conv.   bare   ratio  peak MB\
  conv. ceiling"""
_SPEED = (
    "{0:<32}{images_per_second[median]:>10,.0f}{gigaflops_per_second[median]:>9,.0f}"
    "{convolution_share[median]:>10.0%}{bare_share[median]:>7.0%}{ratio[median]:>7.2f}x"
    "{memory[peak_megabytes]:>9,.0f}{ceilings[convolution][median]:>15,.0f}"
)
_PARTS_HEAD = """
of conv.: GFLOP/s of the step / of a large convolution; bare: time of the step's own
convolutions and products by themselves / of the step; ratio: to the first precision.
The first two and the ceiling are meant for processors: a GPU's step is compiled as one.

preset               GFLOP    MMD  optimizer  waiting    input  / plain Keras  a FLOP  / pythae"""
_PARTS = (
    "{0:<18}{gigaflops_per_step:>8.2f}{shares[mmd][median]:>7.1%}"
    "{shares[optimizer][median]:>11.1%}{shares[waiting][median]:>9.1%}"
    "{input[ratio][median]:>8.0f}x{plain[ratio][median]:>14.2f}x"
    "{plain[operations_ratio][median]:>7.2f}x{1:>10}"
)
_PARTS_NOTE = """
GFLOP: a step's convolutions and products; shares are of the step's time; input: cached
input's images/s / training's; the others: our images/s, or FLOP/s, / theirs."""


def training_tables(presets):
    """Two tables of `training_speed`'s figures; dict of preset -> figures."""
    lines = [_SPEED_HEAD]
    for name, figures in presets.items():
        for policy, one in figures["precisions"].items():
            lines.append(_SPEED.format(f"{name}, {policy}", **one))
    lines.append(_PARTS_HEAD)
    for name, figures in presets.items():
        pythae = figures["pythae"]
        ratio = f"{pythae['ratio']['median']:.2f}x" if pythae else "-"
        lines.append(_PARTS.format(name, ratio, **figures))
    return "\n".join([*lines, _PARTS_NOTE])


_INPUT_HEAD = "\ndata set, input           images/s    a core  training/s    ratio"
_INPUT = (
    "{0:<24}{images_per_second[median]:>10,.0f}{images_per_core_second[median]:>10,.0f}"
    "{1[median]:>12,.0f}{ratio[median]:>8.1f}x"
)


def input_table(datasets):
    """A table of `input_speed`'s figures; dict of data set -> figures."""
    lines = [_INPUT_HEAD]
    for dataset, figures in datasets.items():
        training = figures["training_images_per_second"]
        for name, one in figures["rows"].items():
            lines.append(_INPUT.format(f"{dataset}, {name}", training, **one))
    return "\n".join(lines)


_MMD_HEAD = "\nestimator               dimensions   batch         ms   peak MB  deviation"
_MMD_NOTE = "\nms: an estimate with its gradient; deviation: of the estimate between draws."


def mmd_table(rows):
    """A table of `mmd_speed`'s rows."""
    lines = [_MMD_HEAD]
    for row in rows:
        frequencies = f", {row['frequencies']:,}" if row["frequencies"] else ""
        name = row["estimator"] + frequencies
        start = f"{name:<24}{row['dimensions']:>10}{row['batch']:>8,}"
        if row["left_out"]:
            lines.append(f"{start}  left out: {row['left_out']}")
            continue
        deviation = "-" if row["deviation"] is None else f"{row['deviation']:.1e}"
        milliseconds = row["milliseconds"]["median"]
        lines.append(f"{start}{milliseconds:>11,.1f}{row['peak_megabytes']:>10,.0f}{deviation:>11}")
    return "\n".join([*lines, _MMD_NOTE])


_WORKERS_HEAD = "\ndata set           cores  batch      one      two     two/one"
_WORKERS = (
    "{0:<18}{cores:>6}{batch_size:>7}{one[median]:>9,.0f}{two[median]:>9,.0f}"
    "{efficiency[median]:>12.0%}"
)
_TRAFFIC_HEAD = """
one, two: images/s of one process with these cores, and of two workers with half of them each.

data set           devices  MB a step   codes  messages       ms   80% from  network"""
_TRAFFIC = (
    "{0:<18}{devices:>8}{megabytes:>11.1f}{codes_megabytes:>8.1f}{messages:>10,}"
    "{milliseconds:>9.1f}{step_for_80_percent:>8.0f} ms  {network}"
)
_TRAFFIC_NOTE = """
What each device sends in a step (codes: of these, for the MMD of the whole batch), how
long that takes, nothing overlapping, and from how long a step on 80% of it is computing."""


def scaling_tables(datasets):
    """A table of `scaling_speed` and one of `scaling_model`; dict of data set -> their figures."""
    lines = [_WORKERS_HEAD]
    lines += [_WORKERS.format(name, **figures["measured"]) for name, figures in datasets.items()]
    lines.append(_TRAFFIC_HEAD)
    for name, figures in datasets.items():
        lines += [_TRAFFIC.format(name, **row) for row in figures["model"]]
    return "\n".join([*lines, _TRAFFIC_NOTE])


_SERVING_HEAD = """
{path}: {megabytes:.1f} MB, loaded in {load_seconds:.1f} s. Ratios are to the live model's predict.

call         batch  first ms       ms  images/s   ratio"""
_SERVING = (
    "{signature:<12}{batch:>6}{first_milliseconds:>10,.0f}{milliseconds[median]:>9.2f}"
    "{images_per_second[median]:>10,.0f}{ratio[median]:>7.1f}x"
)
_SERVING_NOTE = "\nedit_bytes takes {median:.2f} ms a picture over edit in batches of 64."


def serving_table(speed):
    """A table of `serving_speed`'s figures."""
    lines = [_SERVING_HEAD.format(**speed)]
    lines += [_SERVING.format(**row) for row in speed["rows"]]
    if speed["bytes_milliseconds_over"]:
        lines.append(_SERVING_NOTE.format(**speed["bytes_milliseconds_over"]))
    return "\n".join(lines)
