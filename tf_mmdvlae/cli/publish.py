"""Publishes an export on the Hugging Face Hub, with a model card.

  bin/publish --export=exports/mnist --to=hf://user/digits --license=apache-2.0
  bin/publish --export=exports/mnist --to=hf://user/digits@v1 --private
  bin/publish --export=exports/mnist --workdir=runs/mnist --to=hf://user/digits

Commands and tf_mmdvlae.load then take hf://user/digits in place of an export. This needs the extra
[hub], and publishing a token (`hf auth login`, or HF_TOKEN). --workdir adds what
bin/train --init_from needs. Publishing again replaces the model in one step; the one before stays
under its commit and its tag.
"""

from tf_mmdvlae.cli.command import EXPORT, Command, Flag, place
from tf_mmdvlae.common.hub import parse_name


def _name(text: str) -> str:
    """A name on the Hub, which is to be well-formed."""
    parse_name(text)
    return text


FLAGS = {
    "export": EXPORT,
    "to": Flag(_name, "hf://user/name, or hf://user/name@tag to tag this version", required=True),
    "workdir": Flag(place, "folder of the export's run, to publish what --init_from needs, too"),
    "private": Flag(bool, "only you and your organization see the model"),
    "license": Flag(
        str, "short name of the model's licence on the Hub, such as apache-2.0 [default: none]"
    ),
    "i_have_the_rights": Flag(
        bool, "publish a model of restricted data (CelebA); you answer for the rights"
    ),
}


def _run(flags):
    from tf_mmdvlae.training.publish import publish

    print(f"Publishing {flags.export} ...", flush=True)
    result = publish(
        flags.export,
        flags.to,
        flags.private,
        flags.license,
        flags.workdir,
        flags.i_have_the_rights,
    )
    print(f"Page:          {result.page} ({'private' if result.private else 'public'})")
    print(f"Export:        --export={result.name}")
    print(f"This version:  --export={result.pinned}")
    if not flags.license:
        print("The page names no licence; --license=apache-2.0, for instance, would.")


main = Command("publish", __doc__, FLAGS, _run)
