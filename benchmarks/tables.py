"""Tables of what was measured, as text."""


def training_tables(rows):
    """Two tables of `training_speed`'s figures: dict of name -> figures; -> text."""
    lines = [
        "",
        f"{'preset, precision':<32}{'images/s':>10}{'GFLOP/s':>9}{'of conv.':>10}"
        f"{'bare':>7}{'ratio':>8}{'peak MB':>9}{'conv. ceiling':>15}",
    ]
    for name, row in rows.items():
        for policy, one in row["precisions"].items():
            lines.append(
                f"{name + ', ' + policy:<32}{_number(one['images_per_second'], 10)}"
                f"{_number(one['gigaflops_per_second'], 9)}"
                f"{_share(one['convolution_share'], 10)}{_share(one['bare_share'], 7)}"
                f"{_ratio(one['ratio'], 8)}{one['memory']['peak_megabytes']:>9,.0f}"
                f"{_number(one['ceilings']['convolution'], 15)}"
            )
    lines += [
        "",
        "of conv.: GFLOP/s of the step / of a large convolution; bare: time of the step's own",
        "convolutions and products by themselves / of the step; ratio: to the first precision.",
        "The first two and the ceiling are meant for processors: a GPU's step is compiled as one.",
        "",
        f"{'preset':<18}{'GFLOP':>8}{'MMD':>7}{'optimizer':>11}{'waiting':>9}{'input':>9}"
        f"{'/ plain Keras':>15}{'a FLOP':>8}{'/ pythae':>10}",
    ]
    for name, row in rows.items():
        shares = row["shares"]
        pythae = row["pythae"]
        lines.append(
            f"{name:<18}{row['gigaflops_per_step']:>8.2f}{_share(shares['mmd'], 7, 1)}"
            f"{_share(shares['optimizer'], 11, 1)}{_share(shares['waiting'], 9, 1)}"
            f"{_ratio(row['input']['ratio'], 9, 0)}{_ratio(row['plain']['ratio'], 15)}"
            f"{_ratio(row['plain']['operations_ratio'], 8)}"
            + (_ratio(pythae["ratio"], 10) if pythae else f"{'-':>10}")
        )
    lines += [
        "",
        "GFLOP: a step's convolutions and products; shares are of the step's time; input: cached",
        "input's images/s / training's; the others: our images/s, or FLOP/s, / theirs.",
    ]
    return "\n".join(lines)


def input_table(rows):
    """A table of `input_speed`'s figures: dict of data set -> figures; -> text."""
    lines = [
        "",
        f"{'data set, input':<24}{'images/s':>10}{'a core':>10}{'training/s':>12}{'ratio':>9}",
    ]
    for dataset, row in rows.items():
        for name, one in row["rows"].items():
            lines.append(
                f"{dataset + ', ' + name:<24}{_number(one['images_per_second'], 10)}"
                f"{_number(one['images_per_core_second'], 10)}"
                f"{_number(row['training_images_per_second'], 12)}{_ratio(one['ratio'], 9, 1)}"
            )
    return "\n".join(lines)


def mmd_table(rows):
    """A table of `mmd_speed`'s figures, as text."""
    lines = [
        "",
        f"{'estimator':<24}{'dimensions':>10}{'batch':>8}{'ms':>11}{'peak MB':>10}"
        f"{'deviation':>11}",
    ]
    for row in rows:
        name = row["estimator"]
        if row["frequencies"]:
            name += f", {row['frequencies']:,}"
        start = f"{name:<24}{row['dimensions']:>10}{row['batch']:>8,}"
        if row["left_out"]:
            lines.append(f"{start}  left out: {row['left_out']}")
            continue
        deviation = "-" if row["deviation"] is None else f"{row['deviation']:.1e}"
        lines.append(
            f"{start}{row['milliseconds']['median']:>11,.1f}{row['peak_megabytes']:>10,.0f}"
            f"{deviation:>11}"
        )
    lines += ["", "ms: an estimate with its gradient; deviation: of the estimate between draws."]
    return "\n".join(lines)


def scaling_tables(rows):
    """What was measured of two workers, and what more would send; dict of name -> figures."""
    lines = [
        "",
        f"{'data set':<18}{'cores':>6}{'batch':>7}{'one':>9}{'two':>9}{'efficiency':>12}",
    ]
    for name, row in rows.items():
        one = row["measured"]
        lines.append(
            f"{name:<18}{one['cores']:>6}{one['batch_size']:>7}{_number(one['one'], 9)}"
            f"{_number(one['two'], 9)}{_share(one['efficiency'], 12)}"
        )
    lines += [
        "",
        "one, two: images/s of one worker and of two together, each with its own cores and batch.",
        "",
        f"{'data set':<18}{'devices':>8}{'MB a step':>11}{'codes':>8}{'messages':>10}"
        f"{'ms':>9}{'80% from':>11}  network",
    ]
    for name, row in rows.items():
        lines += [
            f"{name:<18}{one['devices']:>8}{one['megabytes']:>11.1f}{one['codes_megabytes']:>8.1f}"
            f"{one['messages']:>10,}{one['milliseconds']:>9.1f}"
            f"{one['step_for_80_percent']:>8.0f} ms  {one['network']}"
            for one in row["model"]
        ]
    lines += [
        "",
        "What each device sends in a step (codes: of these, for the MMD of the whole batch), how",
        "long that takes, nothing overlapping, and from how long a step on 80% of it is computing.",
    ]
    return "\n".join(lines)


def serving_table(speed):
    """A table of `serving_speed`'s figures, as text."""
    lines = [
        "",
        f"{speed['path']}: {speed['megabytes']:.1f} MB, loaded in {speed['load_seconds']:.1f} s. "
        "Ratios are to the live model's predict.",
        "",
        f"{'call':<12}{'batch':>6}{'first ms':>10}{'ms':>9}{'images/s':>10}{'ratio':>8}",
    ]
    for row in speed["rows"]:
        lines.append(
            f"{row['signature']:<12}{row['batch']:>6}{row['first_milliseconds']:>10,.0f}"
            f"{row['milliseconds']['median']:>9.2f}{_number(row['images_per_second'], 10)}"
            f"{_ratio(row['ratio'], 8, 1)}"
        )
    if speed["bytes_milliseconds_over"]:
        over = speed["bytes_milliseconds_over"]["median"]
        lines += ["", f"edit_bytes takes {over:.2f} ms a picture over edit in batches of 64."]
    return "\n".join(lines)


def _number(spread, width):
    return f"{spread['median']:>{width},.0f}"


def _share(spread, width, digits=0):
    return f"{spread['median']:>{width}.{digits}%}"


def _ratio(spread, width, digits=2):
    return f"{spread['median']:>{width - 1}.{digits}f}x"
